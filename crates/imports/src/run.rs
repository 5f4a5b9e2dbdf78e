//! The life of an import.
//!
//! 1. StartImport commits its document. A crash before the answer leaves an import that nobody asks for, and that runs.
//! 2. The bucket is opened as the role may read it, and looked at; then files are read in the order of their keys
//!    (`taking`), and what they have is cut into chunks.
//! 3. A chunk's *intent* is committed to the catalog: its number, how far the import is with it, what failed. A crash leaves
//!    an intent whose chunk the store's table has not: the chunk is taken again from where the import was.
//! 4. The chunk goes into the store's table, in one commit with its number. A crash after that finds the number there.
//! 5. The chunk is *settled*: what was intended is how it is. A crash before that settles it at the next start.
//! 6. When all is taken, the document gets its end.
//!
//! What fails in between is tried again from what catalog and table say, for as long as it takes: nobody else writes either.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use object_store::ObjectStore;
use opentrail_catalog::{CatalogError, CatalogExt, Expect, Versioned};
use opentrail_runtime::{CrashPoint, OnError};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::entry::Patience;
use crate::filling::Full;
use crate::import::{FAILURES, Subject, failure_key};
use crate::imports::Running;
use crate::reader::Reader;
use crate::taking::{Left, Taking};
use crate::{
    Chunk, DestinationError, EntryError, EntryErrorKind, Failure, FailureStatus, Import, ImportError, ImportStatus,
    Imports, OriginError, Walk, Window,
};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a run leaves off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// Trying again may help.
    #[error("{0}")]
    Again(String),
    /// The event data store is gone.
    #[error("the event data store is gone")]
    Gone,
    /// It cannot go on, for the sake of what is at `location`.
    #[error("{error}")]
    Failed { location: String, error: EntryError },
    /// The bucket does not answer, which what failed says.
    #[error("the bucket does not answer")]
    Unavailable,
    /// Somebody stopped it.
    #[error("it was stopped")]
    Stopped,
    /// The server stops.
    #[error("the server stops")]
    Shutdown,
}

impl From<CatalogError> for Halt {
    fn from(error: CatalogError) -> Self {
        Self::Again(error.to_string())
    }
}

impl From<Left> for Halt {
    fn from(left: Left) -> Self {
        match left {
            Left::Lost { location, error } => Self::Failed { location, error },
            Left::Unavailable => Self::Unavailable,
            Left::Catalog(error) => error.into(),
            Left::Unheard => Self::Again("nobody commits chunks".to_owned()),
            Left::Stopped => Self::Stopped,
            Left::Shutdown => Self::Shutdown,
        }
    }
}

impl From<ImportError> for Halt {
    fn from(error: ImportError) -> Self {
        Self::Again(error.to_string())
    }
}

/// An import's document as it is in the catalog.
type Stored = Versioned<Import>;

impl Imports {
    /// Runs an import to its end.
    pub(crate) fn spawn_run(&self, running: Running, ended: watch::Sender<bool>) {
        let this = self.clone();
        self.inner.tasks.spawn("import", OnError::Log, async move {
            let key = running.key.clone();
            info!(import.id = %key.id, "an import runs");
            this.run(&running).await;
            this.dismiss(&key);
            ended.send_replace(true);
            Ok::<(), CatalogError>(())
        });
    }

    async fn run(&self, running: &Running) {
        let mut pause = FIRST_PAUSE;
        loop {
            // In a task of its own, so that a panic ends this import only.
            let attempt = {
                let (this, running) = (self.clone(), running.clone());
                async move { this.attempt(&running).await }
            };
            let halt = match self.inner.tasks.shield(attempt).await {
                Some(Ok(())) => return self.end(running, None, None).await,
                Some(Err(halt)) => halt,
                None => return self.end(running, Some(ImportStatus::Failed), None).await,
            };
            match halt {
                Halt::Shutdown => return,
                Halt::Stopped => return self.end(running, Some(ImportStatus::Stopped), None).await,
                Halt::Gone | Halt::Unavailable => {
                    return self.end(running, Some(ImportStatus::Failed), None).await;
                }
                Halt::Failed { location, error } => {
                    info!(import.id = %running.key.id, location, %error, "an import cannot go on");
                    let failure = Failure::of(&location, Subject::Import, error, self.inner.clock.now());
                    return self.end(running, Some(ImportStatus::Failed), Some(failure)).await;
                }
                Halt::Again(reason) => {
                    warn!(import.id = %running.key.id, reason, "an import was held up and will be tried again");
                    tokio::select! {
                        () = running.stop.begun() => {}
                        () = self.inner.tasks.shutdown().begun() => return,
                        () = self.inner.clock.sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Goes on from what is durable until all is taken.
    async fn attempt(&self, running: &Running) -> Result<(), Halt> {
        if running.stop.has_begun() {
            return Err(Halt::Stopped);
        }
        let mut stored = self.recover(running).await?;
        let import = stored.value.clone();
        let store = self.origin(&import).await?;
        let retention = self.inner.stores.find(&import.destination, self.inner.clock.now()).await;
        let retention = retention.map_err(|error| Halt::Again(error.to_string()))?.ok_or(Halt::Gone)?.value.retention();
        // What the store would not keep is not looked for.
        let oldest = self.inner.clock.now() - retention;
        let window = Window::new(Some(import.start.map_or(oldest, |start| start.max(oldest))), import.end);
        let options = &self.inner.options;
        let walk = Walk::new(store.clone(), window.clone(), self.inner.clock.clone(), options.patience);
        let scope = match import.scope {
            Some(scope) => scope,
            None => tokio::select! {
                () = running.stop.begun() => return Err(Halt::Stopped),
                () = self.inner.tasks.shutdown().begun() => return Err(Halt::Shutdown),
                scope = walk.scope(&import.origin.folder) => {
                    scope.map_err(|(location, error)| Halt::Failed { location: named(&import, location), error })?
                }
            },
        };
        let mut begun = Import { scope: Some(scope), status: ImportStatus::InProgress, ..import.clone() };
        if std::mem::take(&mut begun.again) {
            begun.progress.retried = Some(String::new());
        }
        self.put(&mut stored, begun, Vec::new()).await?;

        let patience = Patience { clock: self.inner.clock.clone(), limit: options.patience };
        let decoding = self.inner.decoding.clone();
        let reader = Reader::new(store, window, patience, options.window_bytes, options.file_bytes, decoding);
        let progress = stored.value.progress.clone();
        running.found.store(progress.passed, Ordering::Relaxed);
        let (send, receive) = mpsc::channel(1);
        let taking = Taking { imports: self.clone(), running: running.clone(), walk, reader, chunks: send };
        let taken = taking.run(&import, scope, progress);
        let committed = self.commit_all(running, stored, receive);
        let (taken, committed) = tokio::join!(taken, committed);
        // Whoever takes leaves off when nobody commits: that is the reason then.
        committed?;
        taken.map_err(|left| match Halt::from(left) {
            Halt::Failed { location, error } => Halt::Failed { location: named(&import, location), error },
            halt => halt,
        })
    }

    /// The bucket, once it can be asked.
    async fn origin(&self, import: &Import) -> Result<Arc<dyn ObjectStore>, Halt> {
        let begun = self.inner.clock.now();
        loop {
            let error = match self.inner.origins.open(&import.origin, &import.destination).await {
                Ok(store) => return Ok(store),
                Err(error) => error,
            };
            let kind = match &error {
                OriginError::Unavailable { .. } => EntryErrorKind::ServiceUnavailable,
                OriginError::NoSuchBucket { .. } | OriginError::Region { .. } => EntryErrorKind::NoSuchKey,
                OriginError::Role { .. } | OriginError::AccessDenied { .. } => EntryErrorKind::AccessDenied,
            };
            let waited = self.inner.clock.now().since(begun);
            if kind != EntryErrorKind::ServiceUnavailable || waited >= self.inner.options.patience {
                let (location, error) = (import.origin.uri.clone(), EntryError::new(kind, error));
                return Err(Halt::Failed { location, error });
            }
            tokio::select! {
                () = self.inner.tasks.shutdown().begun() => return Err(Halt::Shutdown),
                () = self.inner.clock.sleep(FIRST_PAUSE) => {}
            }
        }
    }

    /// The import as it is durable. An intent that is in the store's table is settled; one that is not is none.
    async fn recover(&self, running: &Running) -> Result<Stored, Halt> {
        let mut stored = self.document(&running.key).await?;
        if let Some(intent) = stored.value.intent.take() {
            let landed = self.inner.destinations.landed(&stored.value.destination, stored.value.key.id).await;
            let landed = match landed {
                Ok(landed) => landed,
                Err(error) => return Err(self.told(&stored.value, error).await),
            };
            if landed >= intent.progress.chunk {
                let (settled, failures) = stored.value.settled(intent);
                self.put(&mut stored, settled, failures).await?;
            }
        }
        Ok(stored)
    }

    async fn told(&self, import: &Import, error: DestinationError) -> Halt {
        if error == DestinationError::Missing {
            // A store that was just made has no table yet.
            let found = self.inner.stores.find(&import.destination, self.inner.clock.now()).await;
            if matches!(found, Ok(None)) {
                return Halt::Gone;
            }
        }
        Halt::Again(error.to_string())
    }

    /// Stores the next version of the document, and what becomes of its failures.
    async fn put(&self, stored: &mut Stored, next: Import, failures: Vec<Failure>) -> Result<(), Halt> {
        let next = Import { updated: self.inner.clock.now(), ..next };
        let mut changes: Vec<_> = failures.iter().map(|failure| failure.put(&next.key)).collect();
        changes.push(next.put(Expect::Revision(stored.revision)));
        self.inner.catalog.commit(changes).await?;
        stored.revision += 1;
        stored.value = next;
        Ok(())
    }

    /// Commits chunk after chunk.
    async fn commit_all(
        &self,
        running: &Running,
        mut stored: Stored,
        mut chunks: mpsc::Receiver<Full>,
    ) -> Result<(), Halt> {
        while let Some(full) = chunks.recv().await {
            let mut pause = FIRST_PAUSE;
            while let Err(halt) = self.commit(&mut stored, &full).await {
                let Halt::Again(reason) = halt else { return Err(halt) };
                warn!(import.id = %running.key.id, reason, "a chunk of an import is tried again");
                tokio::select! {
                    () = running.stop.begun() => return Err(Halt::Stopped),
                    () = self.inner.tasks.shutdown().begun() => return Err(Halt::Shutdown),
                    () = self.inner.clock.sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                // What is durable now may be the chunk, or its intent.
                match self.recover(running).await {
                    Ok(recovered) => stored = recovered,
                    Err(Halt::Again(_)) => {}
                    Err(halt) => return Err(halt),
                }
            }
            let intent = &full.intent.progress.statistics;
            metrics::counter!("opentrail_imports_events_total").increment(full.events.len() as u64);
            info!(
                import.id = %running.key.id, files = intent.files_completed, events = intent.events_completed,
                "a chunk of an import is in its store"
            );
        }
        Ok(())
    }

    /// Commits a chunk, unless it is the one that was committed last.
    async fn commit(&self, stored: &mut Stored, full: &Full) -> Result<(), Halt> {
        let Full { intent, events, taken } = full;
        if stored.value.progress == intent.progress {
            return Ok(());
        }
        if events.is_empty() {
            // Nothing goes elsewhere: there is nothing to settle.
            let (next, failures) = stored.value.settled(intent.clone());
            return self.put(stored, next, failures).await;
        }
        let import = &stored.value;
        let chunk =
            Chunk { import: import.key.id, number: intent.progress.chunk, received: *taken, events: events.clone() };
        let intended = Import { intent: Some(intent.clone()), ..import.clone() };
        self.put(stored, intended, Vec::new()).await?;
        CrashPoint::ImportsIntended.reach();
        if let Err(error) = self.inner.destinations.add(&stored.value.destination, chunk).await {
            return Err(self.told(&stored.value, error).await);
        }
        CrashPoint::ImportsLanded.reach();
        let (settled, failures) = stored.value.settled(intent.clone());
        self.put(stored, settled, failures).await?;
        CrashPoint::ImportsSettled.reach();
        Ok(())
    }

    /// Gives the import its end: `status`, or the one that follows from what failed.
    async fn end(&self, running: &Running, status: Option<ImportStatus>, failure: Option<Failure>) {
        CrashPoint::ImportsEnd.reach();
        let mut pause = FIRST_PAUSE;
        while let Err(halt) = self.try_end(running, status, failure.clone()).await {
            if !matches!(halt, Halt::Again(_)) {
                error!(import.id = %running.key.id, error = %halt, "the end of an import cannot be noted");
                return;
            }
            warn!(import.id = %running.key.id, error = %halt, "the end of an import is tried to be noted again");
            tokio::select! {
                () = self.inner.tasks.shutdown().begun() => return,
                () = self.inner.clock.sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        CrashPoint::ImportsEnded.reach();
    }

    async fn try_end(
        &self,
        running: &Running,
        status: Option<ImportStatus>,
        failure: Option<Failure>,
    ) -> Result<(), Halt> {
        let mut stored = match self.recover(running).await {
            // A store that is gone settles nothing.
            Err(Halt::Gone) => self.document(&running.key).await?,
            recovered => recovered?,
        };
        let mut ended = stored.value.clone();
        let failed = &mut ended.progress.statistics.failed_entries;
        if let Some(failure) = &failure {
            let place = failure_key(&running.key, &failure.location);
            let known = self.inner.catalog.find::<Failure>(FAILURES, &place).await?;
            if known.is_none_or(|known| known.value.status != FailureStatus::Failed) {
                *failed += 1;
            }
        }
        ended.status = status.unwrap_or(if *failed > 0 { ImportStatus::Failed } else { ImportStatus::Completed });
        info!(import.id = %running.key.id, status = ended.status.as_str(), "an import has ended");
        self.put(&mut stored, ended, failure.into_iter().collect()).await
    }
}

/// A location that is the whole bucket is called by the import's URI.
fn named(import: &Import, location: String) -> String {
    if location.is_empty() { import.origin.uri.clone() } else { location }
}
