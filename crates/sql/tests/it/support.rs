//! Lake's schema made of JSON records, and statements run over it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use opentrail_model::Timestamp;
use opentrail_sql::{Engine, EngineOptions, RunError, Statement, StatementError};
use opentrail_stores::Kind;
use opentrail_tables::lakes_columns;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The store that statements call `{eds}`.
pub(crate) const STORE: &str = "3f2a9c1e-52d4-4b7a-9a53-0d6f4b1c8e21";

/// `{other}`: the same records.
pub(crate) const OTHER: &str = "a0b1c2d3-0000-4000-8000-00000000000f";

pub(crate) type Row = Vec<Option<String>>;

/// A result.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Rows in an order that does not depend on the plan.
    pub(crate) fn sorted(mut self) -> Vec<Row> {
        self.rows.sort();
        self.rows
    }
}

#[derive(Debug)]
pub(crate) enum Failure {
    Statement(StatementError),
    Run(RunError),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Statement(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
        }
    }
}

/// 2026-02-03T04:05:06.789Z.
pub(crate) fn now() -> Timestamp {
    "2026-02-03T04:05:06.789Z".parse().unwrap()
}

pub(crate) fn engine(memory_bytes: usize) -> (Engine, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let spill_directory = directory.path().to_owned();
    let options = EngineOptions {
        memory_bytes,
        spill_directory,
        spill_bytes: 64 << 20,
        threads: 2,
        process_bytes: usize::MAX,
        in_use: || 0,
    };
    (Engine::new(&options).unwrap(), directory)
}

static SHARED: LazyLock<(Engine, tempfile::TempDir)> = LazyLock::new(|| engine(256 << 20));

/// Runs `sql`, in which `{eds}` and `{other}` are stores that hold `records`.
pub(crate) async fn query(sql: &str, records: &[Value]) -> Result<Table, Failure> {
    let sql = sql.replace("{eds}", STORE).replace("{other}", OTHER);
    let statement = Statement::parse(&sql).map_err(Failure::Statement)?;
    run(shared(), &statement, records).await
}

/// The engine of all tests that need none of their own.
pub(crate) fn shared() -> &'static Engine {
    &SHARED.0
}

/// Runs `sql` over stores of that kind, which hold `records` with the names of their columns.
pub(crate) async fn query_of(kind: Kind, sql: &str, records: &[Value]) -> Result<Table, Failure> {
    let statement = Statement::parse(sql).map_err(Failure::Statement)?;
    run_over(shared(), &statement, tables_of(kind, &statement, records)).await
}

/// A table of `records` for each store of the statement.
pub(crate) fn tables(statement: &Statement, records: &[Value]) -> BTreeMap<Uuid, Arc<dyn TableProvider>> {
    tables_of(Kind::CloudTrail, statement, records)
}

fn tables_of(kind: Kind, statement: &Statement, records: &[Value]) -> BTreeMap<Uuid, Arc<dyn TableProvider>> {
    let table = table(kind, records);
    statement.stores().iter().map(|store| (*store, Arc::clone(&table))).collect()
}

/// A table of `records`, those of a store of that kind.
pub(crate) fn table(kind: Kind, records: &[Value]) -> Arc<dyn TableProvider> {
    let batch = batch(kind, records);
    let half = batch.num_rows() / 2;
    let partitions = vec![vec![batch.slice(0, half)], vec![batch.slice(half, batch.num_rows() - half)]];
    Arc::new(MemTable::try_new(batch.schema(), partitions).unwrap())
}

pub(crate) async fn run(engine: &Engine, statement: &Statement, records: &[Value]) -> Result<Table, Failure> {
    run_over(engine, statement, tables(statement, records)).await
}

pub(crate) async fn run_over(
    engine: &Engine,
    statement: &Statement,
    tables: BTreeMap<Uuid, Arc<dyn TableProvider>>,
) -> Result<Table, Failure> {
    let query = engine.plan(statement, tables, now()).map_err(Failure::Statement)?;
    let columns = query.columns().to_vec();
    let mut running = query.run();
    let mut rows = Vec::new();
    while let Some(more) = running.next().await.map_err(Failure::Run)? {
        rows.extend(more);
    }
    Ok(Table { columns, rows })
}

/// The one value of `SELECT expression`.
pub(crate) async fn value(expression: &str) -> Result<Option<String>, Failure> {
    let mut table = query(&format!("SELECT {expression}"), &[]).await?;
    assert_eq!((table.rows.len(), table.rows[0].len()), (1, 1), "{expression}");
    Ok(table.rows.remove(0).remove(0))
}

/// Real records, or none where their folder is absent.
pub(crate) fn real_records() -> &'static [Value] {
    static RECORDS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let dir = std::env::var_os("OPENTRAIL_SHARED_DATA")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
        let Ok(files) = std::fs::read_dir(&dir) else {
            eprintln!("skipped: no real records in {} (set OPENTRAIL_SHARED_DATA)", dir.display());
            return Vec::new();
        };
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "ndjson"));
        paths.sort();
        let lines = paths.iter().flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        });
        lines.collect()
    });
    &RECORDS
}

/// A column as stores give it: its texts are views, but for those that are made of the record.
fn given(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        _ if field.name().starts_with("eventjson") => return Arc::clone(field),
        DataType::Utf8 => DataType::Utf8View,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(given).collect()),
        DataType::List(item) => DataType::List(given(item)),
        DataType::Map(entries, sorted) => DataType::Map(given(entries), *sorted),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// `records` in Lake's schema, as stores of that kind give it.
fn batch(kind: Kind, records: &[Value]) -> RecordBatch {
    let schema = lakes_columns(kind, std::iter::empty()).schema();
    let rows: Vec<Value> = records
        .iter()
        .map(|record| {
            let mut shaped = shape(record, &DataType::Struct(schema.fields().clone()));
            shaped["eventjson"] = Value::String(record.to_string());
            shaped
        })
        .collect();
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(1 << 20).build_decoder().unwrap();
    decoder.serialize(&rows).unwrap();
    let rows = decoder.flush().unwrap().unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema)));
    let given = Schema::new(schema.fields().iter().map(given).collect::<Vec<_>>());
    let columns = rows.columns().iter().zip(given.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
    RecordBatch::try_new(Arc::new(given), columns).unwrap()
}

/// What of `value` fits the type: members by their names in lower case, map values as text.
fn shape(value: &Value, of: &DataType) -> Value {
    match (of, value) {
        (DataType::Struct(fields), Value::Object(members)) => {
            let mut shaped = Map::new();
            for field in fields {
                let member = members.iter().find(|(key, _)| key.eq_ignore_ascii_case(field.name()));
                let member = member.map_or(Value::Null, |(_, value)| shape(value, field.data_type()));
                shaped.insert(field.name().clone(), member);
            }
            Value::Object(shaped)
        }
        (DataType::List(item), Value::Array(items)) => {
            Value::Array(items.iter().map(|value| shape(value, item.data_type())).collect())
        }
        (DataType::Map(..), Value::Object(members)) => {
            let texts = members.iter().filter_map(|(key, value)| Some((key.clone(), json!(plain(value)?))));
            Value::Object(texts.collect())
        }
        (DataType::Utf8, value) => plain(value).map_or(Value::Null, Value::String),
        (DataType::Boolean, Value::Bool(_)) | (DataType::Float64 | DataType::Int32, Value::Number(_)) => value.clone(),
        (DataType::Timestamp(..), Value::String(text)) => {
            text.parse::<Timestamp>().map_or(Value::Null, |_| value.clone())
        }
        _ => Value::Null,
    }
}

/// A value of a map as Lake has it: text as it is, anything else as compact JSON; JSON's null is none.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
