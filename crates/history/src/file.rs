//! How rows lie in a Parquet file: sorted by account, Region and category, newest first, so that a page of a lookup
//! is one stretch of rows. The footer tells where each group lies ([`FOOTER_KEY`]); Bloom filters and a page index
//! let a lookup skip what it does not need. Readers that know nothing of this read an ordinary table.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Int64Builder, ListBuilder, StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use opentrail_lake::{DataFile, LakeError, TableSpec, write_file};
use opentrail_model::{AccountId, Position, Timestamp};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};

use crate::Category;
use crate::row::Row;

/// The key of [`Layout`] in a file's metadata.
pub(crate) const FOOTER_KEY: &str = "opentrail.history.layout";
/// The partition column.
pub(crate) const DAY: &str = "event_date";
/// Raw records compressed together. Larger compresses better, smaller is read faster: a page of 50 scattered
/// events decompresses 50 of these.
const RAW_PAGE_BYTES: usize = 64 << 10;
/// Rows of the other columns in one page.
const PAGE_ROWS: usize = 8192;

/// Where the groups lie, in the order of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) groups: Vec<GroupRows>,
    /// Bytes of raw records in the file.
    pub(crate) raw_bytes: u64,
}

/// One account's events of one Region and category: a stretch of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRows {
    pub(crate) account: AccountId,
    pub(crate) region: String,
    pub(crate) category: Category,
    pub(crate) rows: usize,
    pub(crate) newest: Timestamp,
    pub(crate) oldest: Timestamp,
}

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let resource = Field::new_struct("element", vec![text("type"), text("name")], true);
    Arc::new(Schema::new(vec![
        Field::new("position", DataType::Int64, true),
        text("account"),
        text("region"),
        text("category"),
        Field::new("event_time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        text("event_id"),
        text("event_name"),
        text("event_source"),
        text("username"),
        text("access_key_id"),
        Field::new("read_only", DataType::Boolean, true),
        Field::new_list("resources", resource, true),
        Field::new("raw", DataType::Binary, true),
    ]))
});

/// The table: the columns of its files and the day.
pub(crate) fn table_spec() -> TableSpec {
    let mut fields: Vec<Arc<Field>> = COLUMNS.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(DAY, DataType::Date32, true)));
    TableSpec {
        name: "event_history".into(),
        app_id: "opentrail-history".into(),
        schema: Arc::new(Schema::new(fields)),
        partition_columns: vec![DAY.into()],
    }
}

/// Writes rows of one day, whatever their order, to `event_date=<day>/<name>.parquet` below `dir`. Blocks.
pub(crate) fn write(dir: &Path, day: &str, name: &str, mut rows: Vec<Arc<Row>>) -> Result<DataFile, LakeError> {
    rows.sort_unstable_by(|a, b| a.file_order(b));
    let layout = layout(&rows);
    let footer = serde_json::to_string(&layout).expect("a layout is texts and numbers");
    let path = format!("{DAY}={day}/{name}.parquet");
    let partition = BTreeMap::from([(DAY.to_owned(), day.to_owned())]);
    let stats = stats(&rows);
    let properties = properties(rows.len(), footer);
    write_file(dir, path, partition, Some(stats), &batch(&rows), properties)
}

fn layout(rows: &[Arc<Row>]) -> Layout {
    let groups = rows.chunk_by(|a, b| a.group() == b.group()).map(|rows| GroupRows {
        account: rows[0].account,
        region: rows[0].region.to_string(),
        category: rows[0].category,
        rows: rows.len(),
        newest: rows[0].time,
        oldest: rows[rows.len() - 1].time,
    });
    Layout { groups: groups.collect(), raw_bytes: rows.iter().map(|row| row.raw.len() as u64).sum() }
}

/// What Delta readers prune by.
fn stats(rows: &[Arc<Row>]) -> String {
    let bounds = |position: Option<Position>, time: Option<Timestamp>| {
        let time = time.unwrap_or_default().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        serde_json::json!({ "position": position.unwrap_or_default().0, "event_time": time })
    };
    let (positions, times) = (rows.iter().map(|row| row.position), rows.iter().map(|row| row.time));
    let (min, max) = (bounds(positions.clone().min(), times.clone().min()), bounds(positions.max(), times.max()));
    let none = serde_json::json!({ "position": 0, "event_time": 0 });
    serde_json::json!({ "numRecords": rows.len(), "minValues": min, "maxValues": max, "nullCount": none }).to_string()
}

fn properties(rows: usize, footer: String) -> WriterProperties {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(3).expect("level 3 exists"));
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("opentrail ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(zstd)
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        // Pages are cut between write batches, and raw pages hold few rows.
        .set_write_batch_size(32)
        .set_key_value_metadata(Some(vec![KeyValue::new(FOOTER_KEY.into(), footer)]))
        .set_column_dictionary_enabled("raw".into(), false)
        .set_column_data_page_size_limit("raw".into(), RAW_PAGE_BYTES)
        .set_column_statistics_enabled("raw".into(), EnabledStatistics::None)
        .set_column_dictionary_enabled("event_id".into(), false)
        .set_column_statistics_enabled("event_id".into(), EnabledStatistics::None)
        .set_column_dictionary_enabled("position".into(), false)
        .set_column_encoding("position".into(), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled("event_time".into(), false)
        .set_column_encoding("event_time".into(), Encoding::DELTA_BINARY_PACKED);
    for column in BLOOM {
        let column = ColumnPath::from(column.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        properties = properties
            .set_column_bloom_filter_enabled(column.clone(), true)
            .set_column_bloom_filter_fpp(column.clone(), 0.005)
            .set_column_bloom_filter_max_ndv(column, rows.max(1) as u64);
    }
    properties.build()
}

/// Columns with Bloom filters; [`crate::segment`] asks them.
pub(crate) const BLOOM: [&[&str]; 7] = [
    &["event_id"],
    &["event_name"],
    &["event_source"],
    &["username"],
    &["access_key_id"],
    &["resources", "list", "element", "type"],
    &["resources", "list", "element", "name"],
];

fn batch(rows: &[Arc<Row>]) -> RecordBatch {
    let texts = |of: &dyn Fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(row)).collect::<StringArray>())
    };
    let mut position = Int64Builder::with_capacity(rows.len());
    let mut account = StringBuilder::new();
    let mut time = TimestampMicrosecondBuilder::with_capacity(rows.len()).with_timezone("UTC");
    let mut read_only = BooleanBuilder::with_capacity(rows.len());
    let mut raw = BinaryBuilder::with_capacity(rows.len(), rows.iter().map(|row| row.raw.len()).sum());
    let DataType::List(element) = COLUMNS.field(11).data_type() else { unreachable!("resources is a list") };
    let resource: Fields = ["type", "name"].into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let mut resources = ListBuilder::new(StructBuilder::from_fields(resource, rows.len())).with_field(element.clone());
    for row in rows {
        position.append_value(row.position.0.cast_signed());
        account.append_value(row.account.to_string());
        time.append_value(row.time.as_millis() * 1000);
        read_only.append_option(row.read_only);
        raw.append_value(&row.raw);
        for (kind, name) in &row.resources {
            for (index, text) in [kind, name].into_iter().enumerate() {
                let field = resources.values().field_builder::<StringBuilder>(index);
                field.expect("a resource is two texts").append_option(text.as_deref());
            }
            resources.values().append(true);
        }
        resources.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(position.finish()),
        Arc::new(account.finish()),
        texts(&|row| Some(&row.region)),
        texts(&|row| Some(row.category.as_str())),
        Arc::new(time.finish()),
        texts(&|row| row.event_id.as_deref()),
        texts(&|row| row.event_name.as_deref()),
        texts(&|row| row.event_source.as_deref()),
        texts(&|row| row.username.as_deref()),
        texts(&|row| row.access_key_id.as_deref()),
        Arc::new(read_only.finish()),
        Arc::new(resources.finish()),
        Arc::new(raw.finish()),
    ];
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns).expect("the columns are built by the schema")
}

/// The rows of a batch that was read with all columns; `None` when a column is missing or holds what
/// [`batch`] never writes.
pub(crate) fn rows(batch: &RecordBatch) -> Option<Vec<Row>> {
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let owned = |column: &StringArray, i: usize| column.is_valid(i).then(|| Box::from(column.value(i)));
    let position = batch.column_by_name("position")?.as_primitive_opt::<Int64Type>()?;
    let time = batch.column_by_name("event_time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let read_only = batch.column_by_name("read_only")?.as_boolean_opt()?;
    let raw = batch.column_by_name("raw")?.as_binary_opt::<i32>()?;
    let resources = batch.column_by_name("resources")?.as_list_opt::<i32>()?;
    let (account, region, category) = (text("account")?, text("region")?, text("category")?);
    let (id, name, source) = (text("event_id")?, text("event_name")?, text("event_source")?);
    let (username, key) = (text("username")?, text("access_key_id")?);
    let mut rows = Vec::with_capacity(batch.num_rows());
    for i in 0..batch.num_rows() {
        let list = resources.value(i);
        let list = list.as_struct_opt()?;
        let (kinds, names) = (list.column(0).as_string_opt::<i32>()?, list.column(1).as_string_opt::<i32>()?);
        rows.push(Row {
            position: Position(position.value(i).cast_unsigned()),
            account: account.value(i).parse().ok()?,
            region: region.value(i).into(),
            category: Category::parse(category.value(i))?,
            time: Timestamp::from_millis(time.value(i) / 1000),
            event_id: owned(id, i),
            event_name: owned(name, i),
            event_source: owned(source, i),
            username: owned(username, i),
            access_key_id: owned(key, i),
            read_only: read_only.is_valid(i).then(|| read_only.value(i)),
            resources: (0..list.len()).map(|j| (owned(kinds, j), owned(names, j))).collect(),
            raw: Bytes::copy_from_slice(raw.value(i)),
        });
    }
    Some(rows)
}
