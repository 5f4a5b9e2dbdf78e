//! How files become records of the journal: read several at once, taken in order, closed with a mark of what was taken.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_imports::{EntryError, LogEvent, Reader};
use opentrail_ingest::{Ingest, IngestError};
use opentrail_journal::NewEntry;
use opentrail_model::{AccountId, Position};
use opentrail_runtime::{Clock, CrashPoint};
use tokio::sync::watch;
use tracing::{error, warn};

use crate::documents::{FAILURES, FailureState, key_of};
use crate::listing::Found;
use crate::mark::{Counts, Mark, TakenFile};
use crate::{Source, Surroundings};

/// So many files are read at once.
const READING: usize = 8;
/// The most files that one mark names.
const MOST_FILES: usize = 500;

/// Takes files of one source.
pub(crate) struct Taking<'a> {
    pub(crate) source: &'a Source,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) ingest: &'a Ingest,
    pub(crate) around: &'a dyn Surroundings,
    pub(crate) reader: Reader,
    pub(crate) clock: &'a Arc<dyn Clock>,
    /// Bytes of records that make a chunk.
    pub(crate) chunk_bytes: usize,
    /// Through which position marks are documents.
    pub(crate) folded: watch::Receiver<Position>,
}

/// Why nothing more is taken for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("the server is stopping")]
    Stopping,
}

/// Records that go into the journal together.
#[derive(Default)]
struct Chunk {
    records: Vec<(AccountId, Bytes)>,
    files: Vec<TakenFile>,
    bytes: usize,
    refused: u64,
}

impl Taking<'_> {
    /// Takes the files, and returns once all that is taken is known as taken. Those that cannot be read become
    /// failures.
    ///
    /// # Errors
    /// When journal or catalog fails. What was taken until then stays taken.
    pub(crate) async fn take(&mut self, files: Vec<Found>) -> Result<(), TakeError> {
        let mut last = None;
        let taken = self.take_all(files, &mut last).await;
        // Whoever looks next, after an error too, must find what was taken: else a file would be taken twice.
        if let Some(last) = last {
            self.folded.wait_for(|folded| *folded >= last).await.map_err(|_| TakeError::Stopping)?;
        }
        taken
    }

    /// Takes the files; `last` gets where the mark of the last chunk is.
    async fn take_all(&self, files: Vec<Found>, last: &mut Option<Position>) -> Result<(), TakeError> {
        let reader = &self.reader.clone();
        let read = stream::iter(files).map(|found| async move {
            let ahead = reader.ahead(&found.object).await;
            (found, ahead)
        });
        let mut read = Box::pin(read.buffered(READING));
        let (mut chunk, mut failed) = (Chunk::default(), Vec::new());
        while let Some((found, ahead)) = read.next().await {
            match reader.finish(&found.object, ahead).await {
                Ok(events) => self.add(&mut chunk, last, &found, events).await?,
                Err(error) => failed.push((found, error)),
            }
        }
        self.append(&mut chunk, last).await?;
        Ok(self.fail(failed).await?)
    }

    async fn add(
        &self,
        chunk: &mut Chunk,
        last: &mut Option<Position>,
        found: &Found,
        events: Vec<LogEvent>,
    ) -> Result<(), TakeError> {
        let mut refused = Refused::default();
        let (all, skip) = (events.len() as u64, usize::try_from(found.skip).unwrap_or(usize::MAX));
        let file = |records, done| {
            let (key, modified, minute) = (found.object.key.clone(), found.modified, found.minute);
            TakenFile { key, modified, records, done, minute }
        };
        for (index, LogEvent { raw, account, .. }) in (0_u64..).zip(events).skip(skip) {
            if chunk.bytes >= self.chunk_bytes {
                chunk.files.push(file(index, false));
                self.append(chunk, last).await?;
            }
            let named = account.unwrap_or(found.account);
            match self.source.whose(named, self.around.is_here(named)) {
                Some(account) => {
                    chunk.bytes += raw.len();
                    chunk.records.push((account, raw));
                }
                None => {
                    chunk.refused += 1;
                    refused.note(named);
                }
            }
        }
        refused.tell(self.source, found);
        chunk.files.push(file(all, true));
        if chunk.files.len() >= MOST_FILES {
            self.append(chunk, last).await?;
        }
        Ok(())
    }

    /// Makes a chunk durable, its mark with it.
    async fn append(&self, chunk: &mut Chunk, last: &mut Option<Position>) -> Result<(), TakeError> {
        let Chunk { records, files, bytes, refused } = std::mem::take(chunk);
        if files.is_empty() {
            return Ok(());
        }
        let done = files.iter().filter(|file| file.done).count() as u64;
        let counts = Counts { files: done, refused, bytes: bytes as u64, ..Counts::default() };
        let mark = Mark { source: self.source.name.clone(), files, counts };
        // A crash before the append takes these files again; after it, they are taken. (ADR 28.)
        CrashPoint::FollowTake.reach();
        let received = self.clock.now();
        let taken = self.ingest.append_whole(opentrail_model::Source::Records, records, |report| {
            let counts = Counts { records: report.accepted, duplicates: report.duplicates, ..mark.counts };
            let body = Mark { counts, ..mark.clone() }.to_bytes();
            NewEntry { source: opentrail_model::Source::Control, account: self.source.account, received, body }
        });
        let taken = taken.await?;
        CrashPoint::FollowTaken.reach();
        *last = Some(taken.closed);
        let name = &self.source.name;
        let count = |outcome: &'static str, records| {
            metrics::counter!("opentrail_follow_records_total", "source" => name.clone(), "outcome" => outcome)
                .increment(records);
        };
        count("taken", taken.report.accepted);
        count("duplicate", taken.report.duplicates);
        count("refused", refused);
        metrics::counter!("opentrail_follow_bytes_total", "source" => name.clone()).increment(bytes as u64);
        metrics::counter!("opentrail_follow_files_total", "source" => name.clone(), "outcome" => "taken")
            .increment(done);
        Ok(())
    }

    /// Takes note of files that cannot be read.
    async fn fail(&self, failed: Vec<(Found, EntryError)>) -> Result<(), CatalogError> {
        let (mut changes, now) = (Vec::new(), self.clock.now());
        for (Found { object, modified, .. }, error) in failed {
            let key = key_of(&self.source.name, &object.key);
            let before = self.catalog.find::<FailureState>(FAILURES, &key).await?.map(|found| found.value);
            let state = FailureState::after(before.as_ref(), error, modified, now);
            let (source, reason) = (&self.source.name, &state.error);
            if state.is_set_aside() && !before.is_some_and(|before| before.is_set_aside()) {
                error!(source, key = object.key, %reason, "a log file cannot be read and was set aside");
            } else {
                warn!(source, key = object.key, attempts = state.attempts, %reason, "a log file cannot be read");
            }
            metrics::counter!("opentrail_follow_files_total", "source" => source.clone(), "outcome" => "failed")
                .increment(1);
            changes.push(Change::put(FAILURES, key, Expect::Anything, &state));
        }
        if changes.is_empty() { Ok(()) } else { self.catalog.commit(changes).await }
    }
}

/// Records of one file that may not be taken.
#[derive(Default)]
struct Refused {
    count: u64,
    first: Option<AccountId>,
}

impl Refused {
    fn note(&mut self, account: AccountId) {
        self.count += 1;
        self.first.get_or_insert(account);
    }

    fn tell(&self, source: &Source, found: &Found) {
        if let Some(account) = self.first {
            let (source, key, refused) = (&source.name, &found.object.key, self.count);
            error!(source, key, refused, %account, "a log file has events of an account that the source may not bring");
        }
    }
}
