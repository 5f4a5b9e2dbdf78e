use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentrail_lake::DataFile;
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;

use crate::HistoryError;
use crate::file::FOOTER_KEY;
use crate::filter::FilterPlace;
use crate::layout::Layout;

/// What a file says of itself, read once and kept: metadata, page index, layout, the filters asked for so far.
pub(crate) struct Footer {
    path: PathBuf,
    pub(crate) metadata: ArrowReaderMetadata,
    pub(crate) layout: Layout,
    filters: Mutex<HashMap<&'static str, Arc<[u8]>>>,
    size_bytes: AtomicUsize,
}

impl Footer {
    fn load(dir: &Path, name: &str) -> Result<Self, HistoryError> {
        let unreadable = |source| HistoryError::Unreadable { file: name.to_owned(), source };
        let damaged = |reason: &str| HistoryError::Damaged { file: name.to_owned(), reason: reason.to_owned() };
        let path = dir.join(name);
        let file = File::open(&path).map_err(|error| unreadable(error.into()))?;
        let options = ArrowReaderOptions::new()
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(unreadable)?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let layout = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == FOOTER_KEY)?.value.as_deref());
        let layout = layout.ok_or_else(|| damaged("its footer has no layout"))?;
        let layout: Layout = serde_json::from_str(layout).map_err(|error| damaged(&error.to_string()))?;
        if metadata.metadata().file_metadata().num_rows().cast_unsigned() != layout.rows() as u64 {
            return Err(damaged("its layout does not add up to its rows"));
        }
        let length = file.metadata().map_err(|error| unreadable(error.into()))?.len();
        let within = |offset: u64, size: usize| offset.checked_add(size as u64).is_some_and(|end| end <= length);
        let blocks = layout.blocks.len();
        if !layout.filters.values().all(|filter| within(filter.offset, filter.size_bytes(blocks))) {
            return Err(damaged("a filter lies outside the file"));
        }
        let size = metadata.metadata().memory_size() + layout.groups.len() * 100 + blocks * 8;
        Ok(Self { path, metadata, layout, filters: Mutex::default(), size_bytes: AtomicUsize::new(size) })
    }

    /// The bytes of a filter, and whether they have only now been read.
    fn filter(&self, column: &'static str, place: &FilterPlace) -> Result<(Arc<[u8]>, bool), ParquetError> {
        if let Some(bytes) = self.filters.lock().get(column) {
            return Ok((Arc::clone(bytes), false));
        }
        let mut bytes = vec![0; place.size_bytes(self.layout.blocks.len())];
        File::open(&self.path)?.read_exact_at(&mut bytes, place.offset)?;
        let bytes: Arc<[u8]> = bytes.into();
        let new = self.filters.lock().insert(column, Arc::clone(&bytes)).is_none();
        if new {
            self.size_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        Ok((bytes, new))
    }

    /// Reads the columns named, or all, of the rows selected, or all.
    pub(crate) fn read(
        &self,
        columns: Option<&[&str]>,
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let file = File::open(&self.path)?;
        let mut reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone()).with_batch_size(batch_rows);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(self.metadata.parquet_schema(), columns.iter().copied());
            reader = reader.with_projection(mask);
        }
        if let Some(selection) = selection {
            reader = reader.with_row_selection(selection);
        }
        reader.build()
    }
}

/// Footers in memory, about `limit_bytes` of them at most. Those of the oldest days go first, since lookups walk from
/// the newest day on: what is kept is met again, however many files there are.
pub(crate) struct Footers {
    limit_bytes: usize,
    /// By the name of the file, which begins with its day.
    kept: Mutex<BTreeMap<String, Arc<Footer>>>,
    /// Files whose bytes this process has written, or has compared with their checksum.
    verified: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Footers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Footers").field("limit_bytes", &self.limit_bytes).finish_non_exhaustive()
    }
}

impl Footers {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, kept: Mutex::default(), verified: Mutex::default() }
    }

    /// The footer of a file below `dir`, whose bytes are compared with their checksum first if that has not been done
    /// since the start: a bit that has changed in a filter would hide rows. Blocks.
    pub(crate) fn get(&self, dir: &Path, data: &DataFile) -> Result<Arc<Footer>, HistoryError> {
        let name = &data.path;
        if let Some(footer) = self.kept.lock().get(name) {
            return Ok(Arc::clone(footer));
        }
        if !self.verified.lock().contains(name) {
            data.verify(dir)?;
            self.trust(data);
        }
        let footer = Arc::new(Footer::load(dir, name)?);
        self.kept.lock().insert(name.clone(), Arc::clone(&footer));
        self.trim();
        Ok(footer)
    }

    /// The blocks of `among` in which the file's column may hold `value`; all of them for a column without a filter.
    pub(crate) fn blocks(
        &self,
        footer: &Footer,
        column: &'static str,
        value: &str,
        among: Range<usize>,
    ) -> Result<Vec<usize>, ParquetError> {
        let Some(place) = footer.layout.filters.get(column) else { return Ok(among.collect()) };
        let (bytes, new) = footer.filter(column, place)?;
        if new {
            self.trim();
        }
        Ok(place.blocks(&bytes, footer.layout.blocks.len(), among, value))
    }

    /// Whether a further footer would make another go.
    pub(crate) fn is_full(&self) -> bool {
        size(&self.kept.lock()) > self.limit_bytes / 10 * 9
    }

    /// Takes a file for whole, which this process has just written.
    pub(crate) fn trust(&self, data: &DataFile) {
        self.verified.lock().insert(data.path.clone());
    }

    /// Forgets a file that is no longer in the table.
    pub(crate) fn forget(&self, data: &DataFile) {
        self.kept.lock().remove(&data.path);
        self.verified.lock().remove(&data.path);
    }

    fn trim(&self) {
        let mut kept = self.kept.lock();
        let mut total = size(&kept);
        while total > self.limit_bytes
            && let Some((_, footer)) = kept.pop_first()
        {
            total -= footer.size_bytes.load(Ordering::Relaxed);
        }
    }
}

fn size(kept: &BTreeMap<String, Arc<Footer>>) -> usize {
    kept.values().map(|footer| footer.size_bytes.load(Ordering::Relaxed)).sum()
}
