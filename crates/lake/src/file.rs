use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::LakeError;

/// One Parquet file of a table: what its commit says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its path below the table's directory, `/` between the parts, e.g. `event_date=2026-01-02/flush-1-9.parquet`.
    pub path: String,
    /// The value of each partition column.
    pub partition: BTreeMap<String, String>,
    /// Its size.
    pub size_bytes: u64,
    /// Statistics as Delta spells them: JSON with `numRecords`, `minValues`, `maxValues`, `nullCount`.
    pub stats: Option<String>,
}

/// Writes `batch` to the file `path` below `dir`, replacing a file of that name, and returns once the file and its
/// name are on stable storage. Blocks.
///
/// A crash leaves no file, a part of one or the whole one; no commit names it before this returns.
///
/// # Errors
/// When the system or the Parquet library refuses; the part written is deleted.
pub fn write_file(
    dir: &Path,
    path: String,
    partition: BTreeMap<String, String>,
    stats: Option<String>,
    batch: &RecordBatch,
    properties: WriterProperties,
) -> Result<DataFile, LakeError> {
    let target = dir.join(&path);
    let parent = target.parent().unwrap_or(dir);
    if !parent.exists() {
        fs::create_dir_all(parent).map_err(LakeError::io(parent))?;
        sync_dir(dir)?;
    }
    let written = write(&target, batch, properties);
    if written.is_err() {
        // Nothing names it; what cannot be deleted now the vacuum deletes later.
        let _ = fs::remove_file(&target);
    }
    let size_bytes = written?;
    sync_dir(parent)?;
    Ok(DataFile { path, partition, size_bytes, stats })
}

fn write(target: &Path, batch: &RecordBatch, properties: WriterProperties) -> Result<u64, LakeError> {
    let parquet = |source| LakeError::Parquet { path: target.to_owned(), source };
    let file = File::create(target).map_err(LakeError::io(target))?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(parquet)?;
    writer.write(batch).map_err(parquet)?;
    let file = writer.into_inner().map_err(parquet)?;
    file.sync_all().map_err(LakeError::io(target))?;
    Ok(file.metadata().map_err(LakeError::io(target))?.len())
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LakeError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(LakeError::io(dir))
}
