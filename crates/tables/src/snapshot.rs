//! What a store holds at one moment, for whoever reads it.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_lake::{DataFile, LakeError, SealedFile, SealedReader};
use opentrail_model::Timestamp;
use opentrail_stores::{DataKeys, Kind, StoreKey};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde::Deserialize;

use crate::TableError;
use crate::columns::{self, DAY, Kept, LAYOUT, layout_of, upgrade};
use crate::error::blocking;
use crate::file::day_of;
use crate::schema::Columns;
use crate::selection::time_of;
use crate::table::StoreTable;

/// A store's events at one moment: the files of one version of its table, and the rows that were in memory then. No event
/// is missing, none is there twice, whatever is flushed, merged or let go meanwhile.
///
/// Its files stay where they are for at least [`crate::TablesOptions::vacuum_age`] after they left the table: a read
/// that takes longer may find one gone, which is an error and never fewer rows.
#[derive(Clone, Debug)]
pub struct Snapshot {
    kind: Kind,
    kms_key: Option<String>,
    dir: PathBuf,
    files: Vec<SnapshotFile>,
    recent: Vec<RecordBatch>,
    oldest: Option<Timestamp>,
}

/// A Parquet file of a snapshot: rows of one day in UTC, sorted by time.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size; that of its plain bytes if it is sealed.
    pub size_bytes: u64,
    /// The day that all its events are of, e.g. `2026-01-02`.
    pub day: String,
    /// How many rows it has.
    pub rows: u64,
    /// The times of its oldest and its newest event; `None` when the log does not say.
    pub times: Option<(Timestamp, Timestamp)>,
    data: DataFile,
    sealed: Option<Sealed>,
}

/// What opens a sealed file.
#[derive(Clone, Debug)]
struct Sealed {
    keys: DataKeys,
    store: StoreKey,
    /// What it says in the clear, once somebody has read it.
    found: Arc<OnceLock<SealedFile>>,
}

impl SnapshotFile {
    fn of(dir: &Path, data: DataFile, (keys, store): (&DataKeys, &StoreKey)) -> Self {
        let stats: Stats = data.stats.as_deref().and_then(|stats| serde_json::from_str(stats).ok()).unwrap_or_default();
        let time = |bound: &Bound| bound.eventtime.as_deref().and_then(|time| time.parse().ok());
        Self {
            path: dir.join(&data.path),
            size_bytes: data.size_bytes,
            day: data.partition.get(DAY).cloned().unwrap_or_default(),
            rows: stats.num_records,
            times: time(&stats.min_values).zip(time(&stats.max_values)),
            sealed: data.is_sealed().then(|| Sealed {
                keys: keys.clone(),
                store: store.clone(),
                found: Arc::default(),
            }),
            data,
        }
    }

    /// Whether its bytes on disk are sealed: then it is read by [`Self::bytes`] or [`Self::rows`].
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// The plain bytes of ranges of a sealed file. Its data key is asked for each time, so that a KMS key which is
    /// switched off stops a reader, too.
    ///
    /// # Errors
    /// [`TableError::Key`] when the store's KMS key cannot be used; when the file is altered, gone, or not sealed.
    pub async fn bytes(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>, TableError> {
        let reader = self
            .unsealed()
            .await?
            .ok_or_else(|| TableError::Damaged { file: self.data.path.clone(), reason: "it is not sealed".into() })?;
        blocking(move || Ok(ranges.into_iter().map(|range| reader.bytes(range)).collect::<Result<_, _>>()?)).await
    }

    /// All its rows, so many at once.
    ///
    /// # Errors
    /// As [`Self::bytes`], and when it is no Parquet file.
    pub async fn rows(&self, at_once: usize) -> Result<ParquetRecordBatchReader, TableError> {
        let (sealed, path, name) = (self.unsealed().await?, self.path.clone(), self.data.path.clone());
        blocking(move || {
            let unreadable = |source| TableError::Unreadable { file: name, source };
            let reader = match sealed {
                Some(reader) => ParquetRecordBatchReaderBuilder::try_new(reader)
                    .and_then(|builder| builder.with_batch_size(at_once).build()),
                None => {
                    let file = File::open(&path).map_err(|source| LakeError::Io { path, source })?;
                    ParquetRecordBatchReaderBuilder::try_new(file)
                        .and_then(|builder| builder.with_batch_size(at_once).build())
                }
            };
            reader.map_err(unreadable)
        })
        .await
    }

    async fn unsealed(&self) -> Result<Option<SealedReader>, TableError> {
        let Some(Sealed { keys, store, found }) = self.sealed.clone() else { return Ok(None) };
        let found = match found.get() {
            Some(known) => known.clone(),
            None => {
                let (dir, data) = (self.dir().to_owned(), self.data.clone());
                let read = blocking(move || Ok(SealedFile::find(&dir, &data)?)).await?;
                found.get_or_init(|| read).clone()
            }
        };
        let data_key = keys.open(&store, found.key()).await?;
        blocking(move || Ok(Some(found.open(&data_key)?))).await
    }

    /// The table's directory.
    fn dir(&self) -> &Path {
        self.path.ancestors().nth(2).unwrap_or(Path::new("/"))
    }

    /// Whether it has the columns [`Snapshot::stored`]. Those of a file of an older layout are made by
    /// [`Snapshot::upgraded`].
    pub fn is_current(&self) -> bool {
        layout_of(&self.data) == LAYOUT
    }

    /// Compares its bytes with what was written, reading it whole. Blocks.
    ///
    /// # Errors
    /// When they are not the same; the error names the file.
    pub fn verify(&self) -> Result<(), TableError> {
        Ok(self.data.verify(self.dir())?)
    }
}

/// Of Delta's statistics.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Stats {
    num_records: u64,
    min_values: Bound,
    max_values: Bound,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bound {
    eventtime: Option<String>,
}

impl Snapshot {
    pub(crate) async fn take(table: &StoreTable, now: Timestamp) -> Result<Self, TableError> {
        let oldest = table.oldest(now);
        // Rows in memory are no more readable than those in files.
        table.data_key().await?;
        let kms_key = table.kms_key.lock().clone();
        // Whoever holds the table neither commits nor forgets rows that are committed.
        let (listed, version, recent) = {
            let writer = table.table.lock().await;
            let listed = table.listed.lock().clone().filter(|(version, _)| *version == writer.version());
            let listed = match listed {
                Some((_, files)) => Ok(files),
                None => Err(writer.files()?),
            };
            (listed, writer.version(), table.recent.read().all())
        };
        let all = match listed {
            Ok(files) => files,
            Err(files) => {
                let (dir, keys, store) = (table.dir.clone(), table.keys.clone(), table.key.clone());
                let of = move |file| SnapshotFile::of(&dir, file, (&keys, &store));
                let files: Arc<[SnapshotFile]> = blocking(move || Ok(files.into_iter().map(of).collect())).await?;
                *table.listed.lock() = Some((version, Arc::clone(&files)));
                files
            }
        };
        let first_day = oldest.map(day_of);
        let kept = |file: &&SnapshotFile| first_day.as_ref().is_none_or(|first| file.day >= *first);
        let files = all.iter().filter(kept).cloned().collect();
        Ok(Self { kind: table.kind, kms_key, dir: table.dir.clone(), files, recent, oldest })
    }

    /// Events of a batch, those of these rows, as a store of CloudTrail events would hold them that takes them all.
    ///
    /// # Errors
    /// When they are too large for a store's columns.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn of_events(batch: &EventBatch, rows: &[usize]) -> Result<Self, ArrowError> {
        let kept = |row: &usize| Kept { row: *row, time: time_of(batch.event(*row)), shown: None };
        let kept: Vec<Kept> = rows.iter().map(kept).collect();
        let (kind, recent) = (Kind::CloudTrail, vec![columns::rows(Kind::CloudTrail, batch, &kept)?.batch]);
        Ok(Self { kind, kms_key: None, dir: PathBuf::new(), files: Vec::new(), recent, oldest: None })
    }

    pub(crate) fn empty(table: &StoreTable) -> Self {
        let (kind, kms_key, dir) = (table.kind, None, table.dir.clone());
        Self { kind, kms_key, dir, files: Vec::new(), recent: Vec::new(), oldest: None }
    }

    /// Lake's columns for a store of this kind, in Lake's order. `eventjson` and `eventjsonchecksum` are null where they
    /// follow from `raw`.
    pub fn shown(&self) -> &SchemaRef {
        &Columns::of(self.kind).shown
    }

    /// The columns of [`Self::recent`] and of current files: Lake's, and of OpenTrail's own `position`, `received`,
    /// `username`, `userarn` (`useridentity.arn`), `accesskeyid` (`useridentity.accesskeyid`) and `raw`.
    pub fn stored(&self) -> &SchemaRef {
        &Columns::of(self.kind).stored
    }

    /// The KMS key that seals the store, if it has one.
    pub fn kms_key(&self) -> Option<&str> {
        self.kms_key.as_deref()
    }

    /// The table's directory: no file lies elsewhere.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files. Those of the oldest day may have events that are not kept any more.
    pub fn files(&self) -> &[SnapshotFile] {
        &self.files
    }

    /// The rows that no file has.
    pub fn recent(&self) -> &[RecordBatch] {
        &self.recent
    }

    /// Events before this moment are not kept any more; `None` when all are.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.oldest
    }

    /// How many rows there are, those that are not kept any more included.
    pub fn rows(&self) -> u64 {
        let recent: usize = self.recent.iter().map(RecordBatch::num_rows).sum();
        self.files.iter().map(|file| file.rows).sum::<u64>() + recent as u64
    }

    /// How many bytes its files have.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Rows of a file of an older layout, all of whose columns are given, with the columns [`Self::stored`].
    ///
    /// # Errors
    /// When the columns are not those of a store.
    pub fn upgraded(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        upgrade(self.kind, rows).map(|rows| rows.batch)
    }
}
