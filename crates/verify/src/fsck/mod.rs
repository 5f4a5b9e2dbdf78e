//! `fsck`: checks a data directory's journal, catalog, Event history, event data stores, objects, deliveries and the files of
//! Watch, each by itself and against the others, and changes nothing.
//!
//! It shares no code with the parts that write these files: each module here reads one format by its description, so
//! that a mistake of a writer is not repeated by its judge. Only the server's parts that stand still can be compared,
//! hence a directory that a server holds is refused.
//!
//! | module | reads | compares |
//! |---|---|---|
//! | `journal` | segments, frames, entries | positions over all files |
//! | `sqlite`, `wal` | SQLite and its log | – |
//! | `catalog` | the catalog's documents | – |
//! | `history` | the Delta log, the Parquet files | rows with the journal's entries, the position with its extent |
//! | `stores` | as `history`, by the code of `table` | rows with the journal's entries, tables with the stores |
//! | `objects`, `versions` | bytes and sidecars | each object and each older version with its checksums |
//! | `watch` | metrics, log events, findings, what is on its way | each file in itself, positions with the journal |
//! | `delivery` | – | cursors with the journal, trails with workers, files and digests with the objects |

mod catalog;
mod delivery;
mod delta;
mod expected;
mod follow;
mod history;
mod journal;
mod lock;
mod objects;
mod report;
mod sqlite;
mod stores;
mod table;
mod versions;
mod wal;
mod watch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentrail_model::{Position, Timestamp};

pub use report::{Area, AreaReport, FsckFinding, FsckReport};

use expected::Expected;
use report::Notes;

use crate::seals::Keys;

/// What the check must know beside the directory.
#[derive(Clone, Copy, Debug)]
pub struct FsckOptions {
    /// The time now: events older than `retention` need not be in Event history any more.
    pub now: Timestamp,
    /// `history.retention` of the server's configuration. Default 90 days.
    pub retention: Duration,
    /// At most about so many of the journal's records are compared with their rows in Event history, evenly spread;
    /// each takes 24 bytes of memory. Default 8,000,000.
    pub compared_records: usize,
}

impl FsckOptions {
    /// The defaults at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { now, retention: Duration::from_secs(90 * 24 * 60 * 60), compared_records: 8_000_000 }
    }
}

/// Why a directory was not checked. What is wrong inside one is in the report.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// It has nothing of a data directory.
    #[error("{} is not a data directory of opentrail: it has neither a journal nor a catalog", path.display())]
    NotADataDirectory {
        /// What was given.
        path: PathBuf,
    },
    /// A server has it.
    #[error(
        "the data directory {} is in use by an opentrail server (process {holder}), and what is being written cannot \
         be compared; stop the server, or check a copy of the directory", path.display()
    )]
    InUse {
        /// What was given.
        path: PathBuf,
        /// The server's process id, as it wrote it.
        holder: String,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was read or, for temporary files, written.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A thread of the check ended early.
    #[error("the check broke off: {reason}")]
    Broken {
        /// Why.
        reason: String,
    },
}

/// Checks the data directory `data_dir`. `progress` is told of bytes as they are checked.
///
/// Nothing in the directory is changed or made. It is held while the check lasts, so that no server starts on it.
///
/// # Errors
/// [`FsckError`] when there is nothing to check, a server runs, or the check itself fails.
///
/// # Cancellation
/// May be dropped: the threads of the check end soon after.
pub async fn fsck(
    data_dir: &Path,
    options: FsckOptions,
    progress: Arc<dyn Fn(u64) + Send + Sync>,
) -> Result<FsckReport, FsckError> {
    if !["journal", "catalog.sqlite"].iter().any(|name| data_dir.join(name).exists()) {
        return Err(FsckError::NotADataDirectory { path: data_dir.to_owned() });
    }
    let _lock = lock::take(data_dir)?;
    let stop = Arc::new(AtomicBool::new(false));
    let _stop_when_dropped = StopWhenDropped(Arc::clone(&stop));
    let pace = Pace { stop, progress };
    let root = data_dir.to_owned();

    let mut notes = Notes::new(Area::Journal);
    let (journal, expected, extent) = blocking({
        let (root, pace) = (root.clone(), pace.clone());
        move || {
            let mut expected = Expected::new(&options);
            let extent = journal::check(&root, &mut notes, &pace, &mut |entry| expected.take(entry))?;
            Ok((notes, expected, extent))
        }
    })
    .await?;

    let mut notes = Notes::new(Area::Catalog);
    let documents = Arc::new(catalog::check(&root, &mut notes).await?);
    follow::check(extent, &documents, &mut notes);
    let catalog = notes;

    let mut notes = Notes::new(Area::History);
    let (history, expected) = blocking({
        let (root, pace) = (root.clone(), pace.clone());
        move || {
            history::check(&root, extent, &expected, &mut notes, &pace)?;
            Ok((notes, expected))
        }
    })
    .await?;

    let mut notes = Notes::new(Area::Stores);
    let (stores, expected) = blocking({
        let (root, pace, documents) = (root.clone(), pace.clone(), Arc::clone(&documents));
        move || {
            let keys = Keys::open(&root, documents.kms_keys.clone());
            stores::check(&root, &documents, extent, &expected, &keys, &mut notes, &pace)?;
            Ok((notes, expected))
        }
    })
    .await?;

    let mut notes = Notes::new(Area::Objects);
    let (objects, buckets) = blocking({
        let (root, pace) = (root.clone(), pace.clone());
        let kms_keys = documents.kms_keys.clone();
        move || {
            let mut buckets = objects::check(&root, &mut notes, &pace)?;
            if buckets.values().any(|bucket| !bucket.sealed.is_empty()) {
                match Keys::open(&root, kms_keys) {
                    Ok(keys) => objects::open_seals(&mut buckets, &keys, &mut notes),
                    Err(problem) => notes.damage("keys/ring.json", problem),
                }
            }
            Ok((notes, buckets))
        }
    })
    .await?;

    let mut notes = Notes::new(Area::Delivery);
    delivery::check(extent, &documents, &expected.trails, buckets, &mut notes, &pace).await?;
    let delivery = notes;

    let mut notes = Notes::new(Area::Watch);
    watch::check(&root, extent, &mut notes, &pace).await?;
    let watch = notes;

    let mut report = FsckReport {
        first_position: (extent.last >= extent.first && extent.first > 0).then_some(Position(extent.first)),
        last_position: Position(extent.last),
        areas: Vec::new(),
        findings: Vec::new(),
    };
    for notes in [journal, catalog, history, stores, objects, delivery, watch] {
        let (area, findings) = notes.finish();
        report.areas.push(area);
        report.findings.extend(findings);
    }
    Ok(report)
}

/// Nobody waits for the check any more.
#[derive(Debug)]
struct Cancelled;

/// Tells how far the check is, and hears whether it is still wanted.
#[derive(Clone)]
struct Pace {
    stop: Arc<AtomicBool>,
    progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Pace {
    fn advance(&self, bytes: u64) -> Result<(), Cancelled> {
        (self.progress)(bytes);
        if self.stop.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Cancelled> + Send + 'static,
) -> Result<T, FsckError> {
    let broken = |reason: String| FsckError::Broken { reason };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| broken(error.to_string()))?;
    done.map_err(|Cancelled| broken("it was cancelled".into()))
}
