use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use opentrail_model::Timestamp;
use opentrail_runtime::{Clock, Shutdown};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{FileBody, Progress, Sink, SinkError, Summary};
use crate::{Encoding, Report};

/// An import to be run.
#[derive(Debug)]
pub struct Import {
    store: Arc<dyn ObjectStore>,
    prefix: Option<Path>,
    parallel: usize,
    clock: Arc<dyn Clock>,
    progress: watch::Sender<Progress>,
}

/// Why an import ended early. What was put stays put; importing again goes on from there.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ImportError {
    /// The files could not be listed.
    #[error("the files to import cannot be listed: {reason}")]
    List {
        /// The store's word.
        reason: String,
        /// What was done until then.
        summary: Box<Summary>,
    },
    /// The sink takes no files.
    #[error("{reason}")]
    Stopped {
        /// The sink's word.
        reason: String,
        /// What was done until then.
        summary: Box<Summary>,
    },
}

/// What a file's name says about it.
enum Kind {
    Log(Encoding),
    Digest,
    Other,
}

impl Kind {
    fn of(path: &Path) -> Self {
        if path.parts().any(|part| part.as_ref() == "CloudTrail-Digest") {
            return Self::Digest;
        }
        let name = path.as_ref().to_ascii_lowercase();
        let (name, encoding) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
            (Some(inner), _) => (inner, Encoding::Gzip),
            (_, Some(inner)) => (inner, Encoding::Zstd),
            _ => (&name[..], Encoding::Identity),
        };
        let is_log = [".json", ".ndjson", ".jsonl"].iter().any(|end| name.ends_with(end));
        if is_log { Self::Log(encoding) } else { Self::Other }
    }
}

impl Import {
    /// An import of everything below `prefix` (of whole path segments), four files at once.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Option<Path>, clock: Arc<dyn Clock>) -> Self {
        Self { store, prefix, parallel: 4, clock, progress: watch::Sender::default() }
    }

    /// The same with so many files at once, at least one.
    #[must_use]
    pub fn with_parallel(self, parallel: usize) -> Self {
        Self { parallel: parallel.max(1), ..self }
    }

    /// Tells how far the import is, whenever that changes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Puts every log file into `sink`. Once `stop` begins, the files at hand are finished and no other is begun.
    ///
    /// # Errors
    /// [`ImportError`], with the summary of what was done until then. A file that fails by itself is in the summary
    /// and ends nothing.
    pub async fn run(self, sink: &dyn Sink, stop: &Shutdown) -> Result<Summary, ImportError> {
        let run = Run { import: &self, sink, started: self.clock.now(), summary: Mutex::default() };
        let put = self
            .store
            .list(self.prefix.as_ref())
            .map_err(|error| Ended::List(error.to_string()))
            .take_until(stop.begun())
            .try_for_each_concurrent(self.parallel, |file| run.file(file));
        // Counting what is to be done goes on beside the doing, so that the rest can be told.
        let ended = tokio::select! {
            ended = put => ended,
            never = run.count() => match never {},
        };
        let mut summary = run.summary.into_inner();
        summary.stopped = stop.has_begun();
        match ended {
            Ok(()) => Ok(summary),
            Err(Ended::List(reason)) => Err(ImportError::List { reason, summary: Box::new(summary) }),
            Err(Ended::Stop(reason)) => Err(ImportError::Stopped { reason, summary: Box::new(summary) }),
        }
    }
}

enum Ended {
    List(String),
    Stop(String),
}

struct Run<'a> {
    import: &'a Import,
    sink: &'a dyn Sink,
    started: Timestamp,
    summary: Mutex<Summary>,
}

/// What became of one file.
enum Done {
    Put(Report),
    Before,
    Failed(String),
}

impl Run<'_> {
    /// Finds out how much there is to do, then waits forever.
    async fn count(&self) -> std::convert::Infallible {
        let mut files = self.import.store.list(self.import.prefix.as_ref());
        loop {
            match files.next().await {
                Some(Ok(file)) if matches!(Kind::of(&file.location), Kind::Log(_)) => self.tell(|progress| {
                    progress.files_found += 1;
                    progress.bytes_found += file.size;
                }),
                Some(Ok(_)) => {}
                None => {
                    self.tell(|progress| progress.all_found = true);
                    return future::pending().await;
                }
                // The listing that the work goes by meets the same error and says so.
                Some(Err(_)) => return future::pending().await,
            }
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        let elapsed = self.import.clock.now().since(self.started);
        self.import.progress.send_modify(|progress| {
            change(progress);
            progress.elapsed = elapsed;
        });
    }

    async fn file(&self, file: ObjectMeta) -> Result<(), Ended> {
        let name = file.location.to_string();
        let encoding = match Kind::of(&file.location) {
            Kind::Log(encoding) => encoding,
            Kind::Digest => {
                self.summary.lock().digest_files += 1;
                return Ok(());
            }
            Kind::Other => {
                self.summary.lock().other_files += 1;
                return Ok(());
            }
        };
        let done = match self.put(&file, &name, encoding).await {
            Ok(done) => done,
            Err(SinkError::File { reason }) => Done::Failed(reason),
            Err(SinkError::Stop { reason }) => return Err(Ended::Stop(reason)),
        };
        self.tell(|progress| {
            progress.files_done += 1;
            progress.bytes_done += file.size;
            match &done {
                Done::Put(report) => {
                    progress.accepted += report.accepted;
                    progress.duplicates += report.duplicates;
                    progress.refused += report.refused_count;
                }
                Done::Before => progress.bytes_skipped += file.size,
                Done::Failed(_) => {}
            }
        });
        let mut summary = self.summary.lock();
        match done {
            Done::Put(report) => summary.add(&name, report),
            Done::Before => summary.files_done_before += 1,
            Done::Failed(reason) => summary.fail(&name, reason),
        }
        Ok(())
    }

    async fn put(&self, file: &ObjectMeta, name: &str, encoding: Encoding) -> Result<Done, SinkError> {
        // A store without ETags is told apart by what else it says of a file's content.
        let etag = file.e_tag.clone().unwrap_or_else(|| format!("{}-{}", file.last_modified.timestamp(), file.size));
        if self.sink.is_done(name, &etag).await? {
            return Ok(Done::Before);
        }
        let opened = self.import.store.get(&file.location).await;
        let opened = opened.map_err(|error| SinkError::File { reason: format!("it cannot be read: {error}") })?;
        let body = FileBody { encoding, size_bytes: file.size, stream: opened.into_stream() };
        self.sink.put_file(name, &etag, body).await.map(Done::Put)
    }
}
