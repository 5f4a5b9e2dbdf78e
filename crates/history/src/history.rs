use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use opentrail_lake::{DataFile, Table};
use opentrail_model::{Position, Timestamp};
use opentrail_runtime::Clock;
use parking_lot::RwLock;

use crate::footer::Footers;
use crate::recent::Recent;
use crate::segment::Segment;
use crate::{HistoryError, HistoryProjection, file};

/// How the history behaves.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// How long an event is found, from its time. Default 90 days, as CloudTrail's.
    pub retention: Duration,
    /// Rows in memory go to the table when their raw records have this many bytes. Default 32 MiB.
    pub flush_bytes: usize,
    /// … or when they are so many. Default 100,000.
    pub flush_rows: usize,
    /// … or when the oldest has waited so long. Default 60 s.
    pub flush_age: Duration,
    /// Files are merged into ones of at most so many bytes of raw records. A merge holds their compressed pages in
    /// memory, a tenth of that. Default 256 MiB.
    pub file_bytes: usize,
    /// What is kept of files in memory to search them quickly: footers, page indexes, filters. Default 48 MiB.
    pub cache_bytes: usize,
    /// How often files are merged and old ones let go. Default 10 s.
    pub maintenance_interval: Duration,
    /// How old a file that left the table is when its bytes are deleted. Default one hour, longer than any read.
    pub vacuum_age: Duration,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(90 * 24 * 60 * 60),
            flush_bytes: 32 << 20,
            flush_rows: 100_000,
            flush_age: Duration::from_secs(60),
            file_bytes: 256 << 20,
            cache_bytes: 48 << 20,
            maintenance_interval: Duration::from_secs(10),
            vacuum_age: Duration::from_secs(60 * 60),
        }
    }
}

/// The reading side of the Event history, and its upkeep. Cheap to clone.
#[derive(Clone, Debug)]
pub struct History {
    pub(crate) shared: Arc<Shared>,
}

/// What projection, lookups and maintenance share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) options: HistoryOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) footers: Footers,
    /// The log's only writer. Held while committing, and until `view` shows the commit.
    pub(crate) table: tokio::sync::Mutex<Table>,
    /// Changed in one step, so that a reader sees every row in exactly one place.
    pub(crate) view: RwLock<View>,
    /// Merges begun by this process, which set their files' names apart.
    pub(crate) merges: AtomicU64,
}

/// What a lookup looks at.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) recent: Recent,
    /// The table's files by day.
    pub(crate) days: BTreeMap<String, Vec<Arc<Segment>>>,
}

impl View {
    pub(crate) fn add(&mut self, data: DataFile) {
        let segment = Segment { data };
        self.days.entry(segment.day().to_owned()).or_default().push(Arc::new(segment));
    }

    pub(crate) fn remove(&mut self, data: &DataFile) {
        if let Some(day) = data.partition.get(file::DAY)
            && let Some(segments) = self.days.get_mut(day)
        {
            segments.retain(|segment| segment.data.path != data.path);
            if segments.is_empty() {
                self.days.remove(day);
            }
        }
    }
}

impl History {
    /// Opens the history whose table lies in `dir`, creating it when there is none.
    ///
    /// The projection must be driven by `opentrail_projection::run`, and [`Self::run_maintenance`] beside it.
    ///
    /// # Errors
    /// When the table cannot be used.
    pub async fn open(
        dir: &Path,
        options: HistoryOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(HistoryProjection, Self), HistoryError> {
        let table = Table::open_or_create(dir, &file::table_spec()).await?;
        let footers = Footers::new(options.cache_bytes);
        let dir = table.dir().to_owned();
        let (table, view, merges) = (tokio::sync::Mutex::new(table), RwLock::default(), AtomicU64::new(0));
        let shared = Shared { dir, options, clock, footers, table, view, merges };
        let position = shared.show(&*shared.table.lock().await).await?;
        let shared = Arc::new(shared);
        Ok((HistoryProjection::new(Arc::clone(&shared), position), Self { shared }))
    }
}

impl Shared {
    /// Makes the view show the table as it is, and nothing in memory twice. Returns the table's position.
    pub(crate) async fn show(&self, table: &Table) -> Result<Position, HistoryError> {
        let position = table.position().await?;
        let files = table.files()?;
        let mut view = self.view.write();
        view.days.clear();
        for data in files {
            view.add(data);
        }
        view.recent.prune(position);
        Ok(position)
    }

    /// Events before this moment are no longer found.
    pub(crate) fn oldest(&self) -> Timestamp {
        self.clock.now() - self.options.retention
    }
}

/// Runs `work`, which blocks, where that holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(HistoryError::Stopping),
        },
    }
}
