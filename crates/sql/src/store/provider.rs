use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::kernels::cmp::gt_eq;
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, Result};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::union::UnionExec;
use datafusion::scalar::ScalarValue;
use opentrail_model::Timestamp;
use opentrail_tables::{Snapshot, SnapshotFile};

use super::older::Older;
use super::{blooms, conditions, files, made};
use crate::statistics::ScanStatistics;

/// When an event happened.
pub(super) const TIME: &str = "eventtime";
/// The record as it came.
pub(super) const RAW: &str = "raw";

/// A store's events at one moment, with Lake's columns.
#[derive(Debug)]
pub struct StoreTable {
    snapshot: Arc<Snapshot>,
    /// Lake's columns.
    shown: SchemaRef,
    /// The columns of files and rows in memory.
    stored: SchemaRef,
}

impl StoreTable {
    /// The events of a snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        let (shown, stored) = (read_as(snapshot.shown()), read_as(snapshot.stored()));
        Self { snapshot: Arc::new(snapshot), shown, stored }
    }

    /// Whether the store has a KMS key.
    pub(crate) fn is_sealed(&self) -> bool {
        self.snapshot.kms_key().is_some()
    }

    /// The first of its files whose bytes are not those that were written, by its path: what a query that failed may have
    /// met. Reads every file whole. Blocks.
    pub fn damaged_file(&self) -> Option<String> {
        let damaged = self.snapshot.files().iter().find(|file| file.verify().is_err())?;
        Some(damaged.path.display().to_string())
    }

    /// The time before which events are not kept, as `eventtime` has it.
    fn oldest(&self) -> Option<i64> {
        self.snapshot.oldest().map(|oldest| oldest.as_millis().saturating_mul(1000))
    }

    /// Whether the file may have events that are not kept any more.
    fn is_cut(&self, file: &SnapshotFile) -> bool {
        let kept = |oldest: Timestamp| file.times.is_some_and(|(first, _)| first >= oldest);
        self.snapshot.oldest().is_some_and(|oldest| !kept(oldest))
    }

    /// The rows in memory that are kept: these columns, and perhaps their times.
    fn recent(&self, columns: &[usize]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let time = self.stored.index_of(TIME)?;
        let more = (!columns.contains(&time)).then_some(time);
        let columns: Vec<usize> = columns.iter().copied().chain(more).collect();
        let schema = Arc::new(self.stored.project(&columns)?);
        let kept = |batch: &RecordBatch| -> Result<RecordBatch> {
            Ok(kept_rows(&retyped(&batch.project(&columns)?, &schema)?, self.oldest())?)
        };
        let rows = self.snapshot.recent().iter().map(kept).collect::<Result<_>>()?;
        Ok((schema, rows))
    }

    /// Files, current and older, that have rows which meet the conditions as far as their times tell.
    fn chosen(&self, conditions: &[Arc<dyn PhysicalExpr>]) -> (Vec<SnapshotFile>, Vec<SnapshotFile>) {
        let all = self.snapshot.files();
        let wanted = conditions::wanted(all, &self.shown, conditions);
        let chosen = all.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(file, _)| file.clone());
        chosen.partition(SnapshotFile::is_current)
    }
}

#[async_trait]
impl TableProvider for StoreTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shown)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Conditions leave out much, and what is left is filtered above, or within the files by the optimizer of plans.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.shown.fields().len()).collect();
        let wanted = Arc::new(self.shown.project(projection.unwrap_or(&all))?);
        let columns = made::sources(&wanted, &self.stored)?;
        let statistics = state.config().get_extension::<ScanStatistics>();
        let implied = conditions::implied(filters);
        let mut conditions = conditions::physical(state, &self.shown, filters)?;
        let (current, older) = self.chosen(&conditions);
        conditions.extend(conditions::physical(state, &self.stored, &implied)?);
        let texts = blooms::wanted(&conditions);
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        let (cut, whole): (Vec<_>, Vec<_>) = current.into_iter().partition(|file| self.is_cut(file));
        for (files, kept) in [(whole, None), (cut, self.oldest())] {
            let exact = kept.is_some();
            let kept =
                kept.map(|oldest| column(TIME).gt_eq(lit(ScalarValue::TimestampMicrosecond(Some(oldest), None))));
            let conditions: Vec<Expr> = kept.into_iter().chain(implied.clone()).collect();
            let scan = files::Scan {
                dir: self.snapshot.dir(),
                stored: &self.stored,
                files: newest_first(files),
                columns: &columns,
                conditions,
                exact,
                wanted: &texts,
                limit,
                statistics: statistics.clone(),
            };
            plans.extend(scan.plan(state).await?);
        }
        if !older.is_empty() {
            let stream = |file| {
                let (snapshot, stored) = (Arc::clone(&self.snapshot), Arc::clone(&self.stored));
                let oldest = self.oldest();
                Arc::new(Older { snapshot, file, stored, oldest, statistics: statistics.clone() })
                    as Arc<dyn PartitionStream>
            };
            let streams = older.into_iter().map(stream).collect();
            let stored = Arc::clone(&self.stored);
            plans.push(Arc::new(StreamingTableExec::try_new(stored, streams, Some(&columns), [], false, limit)?));
        }
        let (schema, recent) = self.recent(&columns)?;
        let rows: usize = recent.iter().map(RecordBatch::num_rows).sum();
        if rows > 0 {
            if let Some(statistics) = &statistics {
                statistics.add(rows as u64, 0);
            }
            plans.push(MemorySourceConfig::try_new_exec(&[recent], schema, Some((0..columns.len()).collect()))?);
        }
        let plan: Arc<dyn ExecutionPlan> = match plans.len() {
            0 => Arc::new(EmptyExec::new(Arc::new(self.stored.project(&columns)?))),
            1 => plans.remove(0),
            _ => UnionExec::try_new(plans)?,
        };
        let made = made::expressions(&wanted, &plan.schema(), state)?;
        Ok(match made {
            Some(made) => Arc::new(ProjectionExec::try_new(made, plan)?),
            None => plan,
        })
    }
}

/// Whoever asks for the latest events has them in the first files, and what is left of the others is known by their times.
fn newest_first(mut files: Vec<SnapshotFile>) -> Vec<SnapshotFile> {
    files.sort_by_key(|file| Reverse(file.times.map(|(_, last)| last)));
    files
}

/// A column by its name, which no planner has to find.
pub(super) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Lake's `eventtime` has no zone. Texts are views: those of a page's dictionary are not copied for each row.
fn read_as(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| {
        let data_type = match (field.name().as_str(), field.data_type()) {
            (TIME, _) => DataType::Timestamp(TimeUnit::Microsecond, None),
            (name, _) if made::is_made(name) => return Arc::clone(field),
            _ => return with_views(field),
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// The field with all of its texts as views.
fn with_views(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(with_views).collect()),
        DataType::List(element) => DataType::List(with_views(element)),
        DataType::Map(entries, sorted) => DataType::Map(with_views(entries), *sorted),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// The rows with the types of `schema`, whose columns they have.
pub(super) fn retyped(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| match column.data_type() == field.data_type() {
        true => Ok(Arc::clone(column)),
        false => cast(column, field.data_type()),
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

/// The rows that happened at `oldest` or later.
pub(super) fn kept_rows(batch: &RecordBatch, oldest: Option<i64>) -> Result<RecordBatch, ArrowError> {
    let Some(oldest) = oldest else { return Ok(batch.clone()) };
    let times = batch.column_by_name(TIME).ok_or_else(|| ArrowError::SchemaError("rows have no time".into()))?;
    let kept = gt_eq(times, &TimestampMicrosecondArray::new_scalar(oldest))?;
    if kept.true_count() == batch.num_rows() { Ok(batch.clone()) } else { filter_record_batch(batch, &kept) }
}
