//! Current files, by DataFusion's Parquet source.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetAccessPlan, RowGroupAccess,
};
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::scalar::ScalarValue;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt, future, stream};
use opentrail_model::Timestamp;
use opentrail_tables::SnapshotFile;
use parking_lot::Mutex;

use super::blooms::{Blooms, Wanted};
use super::narrow::Narrow;
use super::provider::TIME;
use super::sealed::SealedFiles;
use crate::statistics::ScanStatistics;

/// Files that are asked at the same time whether they have a value.
const FILES_AT_ONCE: usize = 8;

/// What is to be read.
pub(super) struct Scan<'a> {
    /// Nothing outside of it is read.
    pub(super) dir: &'a Path,
    pub(super) stored: &'a SchemaRef,
    pub(super) files: Vec<SnapshotFile>,
    /// The numbers of columns in `stored`.
    pub(super) columns: &'a [usize],
    /// Rows that do not meet these may be left out.
    pub(super) conditions: Vec<Expr>,
    /// Whether they must be.
    pub(super) exact: bool,
    /// Files without these may be left out, too.
    pub(super) wanted: &'a [Wanted],
    pub(super) limit: Option<usize>,
    pub(super) statistics: Option<Arc<ScanStatistics>>,
}

impl Scan<'_> {
    /// `None` when there is no file.
    pub(super) async fn plan(self, state: &dyn Session) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.files.is_empty() {
            return Ok(None);
        }
        let local = LocalFileSystem::new_with_prefix(self.dir)?;
        let store = SealedFiles::over(local, self.dir, &self.files, self.statistics.as_ref());
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let narrow = Arc::new(Narrow::new(self.stored, self.columns, &self.conditions)?);
        let blooms = Blooms { store: &*store, cache: Arc::clone(&cache), wanted: self.wanted };
        let files = self.left(&narrow.schema, &blooms).await;
        if files.is_empty() {
            return Ok(None);
        }
        let readers = Readers {
            inner: CachedParquetFileReaderFactory::new(store, cache),
            dir: self.dir.to_owned(),
            narrow: Arc::clone(&narrow),
            statistics: self.statistics.clone(),
            groups: Arc::default(),
        };
        let mut source = ParquetSource::new(Arc::clone(&narrow.schema))
            .with_pushdown_filters(self.exact || self.is_wide())
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(self.wanted.is_empty())
            .with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(condition) = conjunction(self.conditions.clone()) {
            let schema = DFSchema::try_from(Arc::clone(&narrow.schema))?;
            source = source.with_predicate(state.create_physical_expr(condition, &schema)?);
        }
        let mut statistics = Statistics::new_unknown(&narrow.schema);
        if let Some(rows) = files.iter().map(|(_, rows)| *rows).sum() {
            statistics.num_rows = Precision::Exact(rows);
        }
        // Dealt out, so that each has the newest first.
        let mut groups = vec![Vec::new(); state.config().target_partitions().clamp(1, files.len())];
        let count = groups.len();
        files.into_iter().enumerate().for_each(|(number, (file, _))| groups[number % count].push(file));
        let groups = groups.into_iter().map(FileGroup::new).collect();
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(Some(narrow.shown.clone()))?
            .with_statistics(statistics)
            .with_limit(self.limit)
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }
}

impl Scan<'_> {
    /// The files that may have what is wanted, each with how many rows are read of it, if that is known.
    async fn left(&self, schema: &Schema, blooms: &Blooms<'_>) -> Vec<(PartitionedFile, Option<usize>)> {
        let time = schema.index_of(TIME).ok();
        let look = |file: &SnapshotFile| {
            let found = PartitionedFile::new(name_of(self.dir, file), file.size_bytes);
            let found = match time.zip(file.times) {
                Some((column, times)) => found.with_statistics(Arc::new(of_times(schema, column, times))),
                None => found,
            };
            let rows = usize::try_from(file.rows).ok().filter(|rows| *rows > 0);
            async move {
                if self.wanted.is_empty() {
                    return Some((found, rows));
                }
                match blooms.ask(&found).await {
                    Some(may) if may.iter().any(|may| !may) => {
                        let access = |may: &bool| if *may { RowGroupAccess::Scan } else { RowGroupAccess::Skip };
                        let groups = ParquetAccessPlan::new(may.iter().map(access).collect());
                        may.contains(&true).then(|| (found.with_extension(groups), None))
                    }
                    _ => Some((found, rows)),
                }
            }
        };
        stream::iter(self.files.iter().map(look)).buffered(FILES_AT_ONCE).filter_map(future::ready).collect().await
    }

    /// Whether it pays to decode columns for those rows only that pass the filters: where a row has a list, a map or a record.
    /// What else there is decodes faster than rows are picked; and where many pass, the reader decodes all and picks then.
    fn is_wide(&self) -> bool {
        let mut types = self.columns.iter().map(|column| self.stored.field(*column).data_type());
        types.any(|of| matches!(of, DataType::List(_) | DataType::Map(..) | DataType::Utf8 | DataType::Binary))
    }
}

/// What is known of a file whose events have these times in a column.
fn of_times(schema: &Schema, column: usize, (first, last): (Timestamp, Timestamp)) -> Statistics {
    let micros = |time: Timestamp| {
        Precision::Inexact(ScalarValue::TimestampMicrosecond(Some(time.as_millis().saturating_mul(1000)), None))
    };
    let mut statistics = Statistics::new_unknown(schema);
    let times = &mut statistics.column_statistics[column];
    (times.min_value, times.max_value, times.null_count) = (micros(first), micros(last), Precision::Exact(0));
    statistics
}

/// The file's path below the table's directory.
pub(super) fn name_of(dir: &Path, file: &SnapshotFile) -> String {
    file.path.strip_prefix(dir).unwrap_or(&file.path).to_string_lossy().into_owned()
}

/// Makes readers that count what they read.
#[derive(Debug)]
struct Readers {
    inner: CachedParquetFileReaderFactory,
    dir: PathBuf,
    narrow: Arc<Narrow>,
    statistics: Option<Arc<ScanStatistics>>,
    groups: Arc<Mutex<Groups>>,
}

/// The row groups of files, by path, once their metadata are known. Several readers may share a file.
type Groups = HashMap<PathBuf, Vec<Group>>;

#[derive(Debug)]
struct Group {
    /// Where its columns lie.
    place: Range<u64>,
    rows: u64,
    /// Whether it is counted.
    read: bool,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let path = self.dir.join(file.object_meta.location.as_ref());
        let inner = self.inner.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        let (statistics, groups) = (self.statistics.clone(), Arc::clone(&self.groups));
        Ok(Box::new(Reader { inner, path, narrow: Arc::clone(&self.narrow), statistics, groups }))
    }
}

impl Group {
    fn of(group: &RowGroupMetaData) -> Self {
        let places = group.columns().iter().map(|column| column.byte_range());
        let (start, end) =
            places.fold((u64::MAX, 0), |(first, end), (start, length)| (first.min(start), end.max(start + length)));
        Self { place: start..end, rows: u64::try_from(group.num_rows()).unwrap_or_default(), read: false }
    }
}

/// A file being read. Errors name it.
struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
    path: PathBuf,
    narrow: Arc<Narrow>,
    statistics: Option<Arc<ScanStatistics>>,
    groups: Arc<Mutex<Groups>>,
}

impl Reader {
    fn count(&self, range: &Range<u64>) {
        let Some(statistics) = &self.statistics else { return };
        let mut events = 0;
        for group in self.groups.lock().get_mut(&self.path).into_iter().flatten() {
            if !group.read && group.place.contains(&range.start) {
                group.read = true;
                events += group.rows;
            }
        }
        statistics.add(events, range.end.saturating_sub(range.start));
    }

    fn named(&self) -> impl FnOnce(ParquetError) -> ParquetError + use<> {
        let path = self.path.display().to_string();
        move |error| ParquetError::General(format!("file {path}: {error}"))
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.count(&range);
        let named = self.named();
        self.inner.get_bytes(range).map_err(named).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        ranges.iter().for_each(|range| self.count(range));
        let named = self.named();
        self.inner.get_byte_ranges(ranges).map_err(named).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let named = self.named();
        async move {
            let metadata = self.inner.get_metadata(options).await.and_then(|whole| self.narrow.of(whole));
            let metadata = metadata.map_err(named)?;
            let groups = || metadata.row_groups().iter().map(Group::of).collect();
            self.groups.lock().entry(self.path.clone()).or_insert_with(groups);
            Ok(metadata)
        }
        .boxed()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).finish_non_exhaustive()
    }
}
