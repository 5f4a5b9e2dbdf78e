//! What a store holds at one moment, for whoever reads it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use opentrail_lake::DataFile;
use opentrail_model::Timestamp;
use opentrail_stores::Kind;
use serde::Deserialize;

use crate::TableError;
use crate::columns::{DAY, LAYOUT, layout_of, upgrade};
use crate::error::blocking;
use crate::file::day_of;
use crate::schema::Columns;
use crate::table::StoreTable;

/// A store's events at one moment: the files of one version of its table, and the rows that were in memory then. No event
/// is missing, none is there twice, whatever is flushed, merged or let go meanwhile.
///
/// Its files stay where they are for at least [`crate::TablesOptions::vacuum_age`] after they left the table: a read
/// that takes longer may find one gone, which is an error and never fewer rows.
#[derive(Clone, Debug)]
pub struct Snapshot {
    kind: Kind,
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
    /// Its size.
    pub size_bytes: u64,
    /// The day that all its events are of, e.g. `2026-01-02`.
    pub day: String,
    /// How many rows it has.
    pub rows: u64,
    /// The times of its oldest and its newest event; `None` when the log does not say.
    pub times: Option<(Timestamp, Timestamp)>,
    data: DataFile,
}

impl SnapshotFile {
    fn of(dir: &Path, data: DataFile) -> Self {
        let stats: Stats = data.stats.as_deref().and_then(|stats| serde_json::from_str(stats).ok()).unwrap_or_default();
        let time = |bound: &Bound| bound.eventtime.as_deref().and_then(|time| time.parse().ok());
        Self {
            path: dir.join(&data.path),
            size_bytes: data.size_bytes,
            day: data.partition.get(DAY).cloned().unwrap_or_default(),
            rows: stats.num_records,
            times: time(&stats.min_values).zip(time(&stats.max_values)),
            data,
        }
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
        let dir = self.path.ancestors().nth(2).unwrap_or(Path::new("/"));
        Ok(self.data.verify(dir)?)
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
                let dir = table.dir.clone();
                let files: Arc<[SnapshotFile]> =
                    blocking(move || Ok(files.into_iter().map(|file| SnapshotFile::of(&dir, file)).collect())).await?;
                *table.listed.lock() = Some((version, Arc::clone(&files)));
                files
            }
        };
        let first_day = oldest.map(day_of);
        let kept = |file: &&SnapshotFile| first_day.as_ref().is_none_or(|first| file.day >= *first);
        let files = all.iter().filter(kept).cloned().collect();
        Ok(Self { kind: table.kind, dir: table.dir.clone(), files, recent, oldest })
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
