use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;

use crate::HistoryError;
use crate::file::{FOOTER_KEY, Layout};

/// Bloom filters by row group and leaf column; `None` for a column without one.
type Blooms = HashMap<(usize, usize), Option<Arc<Sbbf>>>;

/// What a file says of itself, read once and kept: metadata, page index, layout, the Bloom filters asked for so far.
pub(crate) struct Footer {
    pub(crate) metadata: ArrowReaderMetadata,
    pub(crate) layout: Layout,
    blooms: Mutex<Blooms>,
    size_bytes: AtomicUsize,
}

impl Footer {
    fn load(path: &str, file: &File) -> Result<Self, HistoryError> {
        let unreadable = |source| HistoryError::Unreadable { file: path.to_owned(), source };
        let damaged = |reason: &str| HistoryError::Damaged { file: path.to_owned(), reason: reason.to_owned() };
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(file, options).map_err(unreadable)?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let layout = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == FOOTER_KEY)?.value.as_deref());
        let layout = layout.ok_or_else(|| damaged("its footer has no layout"))?;
        let layout: Layout = serde_json::from_str(layout).map_err(|error| damaged(&error.to_string()))?;
        let rows = layout.groups.iter().map(|group| group.rows as u64).sum::<u64>();
        if metadata.metadata().file_metadata().num_rows().cast_unsigned() != rows {
            return Err(damaged("its layout does not add up to its rows"));
        }
        let size_bytes = AtomicUsize::new(metadata.metadata().memory_size() + layout.groups.len() * 100);
        Ok(Self { metadata, layout, blooms: Mutex::default(), size_bytes })
    }

    /// Whether the Bloom filters of a column allow `value` to be in the file.
    pub(crate) fn may_hold(&self, file: &File, column: &str, value: &str) -> Result<bool, ParquetError> {
        let schema = self.metadata.parquet_schema();
        let Some(leaf) = schema.columns().iter().position(|leaf| leaf.path().string() == column) else {
            return Ok(true);
        };
        for group in 0..self.metadata.metadata().num_row_groups() {
            let known = self.blooms.lock().get(&(group, leaf)).cloned();
            let bloom = match known {
                Some(bloom) => bloom,
                None => {
                    let reader =
                        ParquetRecordBatchReaderBuilder::new_with_metadata(file.try_clone()?, self.metadata.clone());
                    let bloom = reader.get_row_group_column_bloom_filter(group, leaf)?.map(Arc::new);
                    let size = bloom.as_ref().map_or(0, |bloom| bloom.num_blocks() * 32) + 64;
                    self.size_bytes.fetch_add(size, Ordering::Relaxed);
                    self.blooms.lock().insert((group, leaf), bloom.clone());
                    bloom
                }
            };
            if bloom.is_none_or(|bloom| bloom.check(value)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Footers in memory, at most `limit_bytes` of them: those asked for longest ago go first.
pub(crate) struct Footers {
    limit_bytes: usize,
    clock: AtomicU64,
    kept: Mutex<HashMap<String, (u64, Arc<Footer>)>>,
}

impl std::fmt::Debug for Footers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Footers").field("limit_bytes", &self.limit_bytes).finish_non_exhaustive()
    }
}

impl Footers {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, clock: AtomicU64::new(0), kept: Mutex::default() }
    }

    /// The open file at `path` below `dir` and its footer. Blocks.
    pub(crate) fn open(&self, dir: &Path, path: &str) -> Result<(File, Arc<Footer>), HistoryError> {
        let file = File::open(dir.join(path))
            .map_err(|error| HistoryError::Unreadable { file: path.to_owned(), source: error.into() })?;
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        if let Some((used, footer)) = self.kept.lock().get_mut(path) {
            *used = now;
            return Ok((file, Arc::clone(footer)));
        }
        let footer = Arc::new(Footer::load(path, &file)?);
        let mut kept = self.kept.lock();
        kept.insert(path.to_owned(), (now, Arc::clone(&footer)));
        let size = |footer: &Footer| footer.size_bytes.load(Ordering::Relaxed);
        let mut total: usize = kept.values().map(|(_, footer)| size(footer)).sum();
        while total > self.limit_bytes && kept.len() > 1 {
            let Some(oldest) = kept.iter().min_by_key(|(_, (used, _))| *used).map(|(path, _)| path.clone()) else {
                break;
            };
            total -= kept.remove(&oldest).map_or(0, |(_, footer)| size(&footer));
        }
        Ok((file, footer))
    }

    /// Forgets a file that is no longer in the table.
    pub(crate) fn forget(&self, path: &str) {
        self.kept.lock().remove(path);
    }
}
