use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use opentrail_journal::{AppendError, Appended, Journal, NewEntry};
use opentrail_model::Position;
use opentrail_runtime::{CrashPoint, OnError, TaskGroup};
use tokio::sync::oneshot;

use crate::dedup::{DedupWindow, Fingerprint};

/// A batch is full at this many records …
const BATCH_RECORDS: usize = 500;
/// … or at this many bytes.
const BATCH_BYTES: usize = 1 << 20;

/// Records that wait to be appended, with their reservations, which are released if it is dropped.
pub(crate) struct Batch {
    dedup: DedupWindow,
    /// The records, then perhaps the event that closes them.
    entries: Vec<NewEntry>,
    records: usize,
    bytes: usize,
    pub(crate) fingerprints: Vec<Fingerprint>,
}

impl Batch {
    pub(crate) fn new(dedup: DedupWindow) -> Self {
        Self { dedup, entries: Vec::new(), records: 0, bytes: 0, fingerprints: Vec::new() }
    }

    /// Whether nothing waits to be appended.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    pub(crate) fn records(&self) -> u64 {
        self.records as u64
    }

    pub(crate) fn push(&mut self, record: NewEntry) {
        self.records += 1;
        self.bytes += record.body.len();
        self.entries.push(record);
    }

    /// Puts the event of the call behind the records; it is none of them.
    pub(crate) fn close(&mut self, event: Option<NewEntry>) {
        self.entries.extend(event);
    }

    /// Makes the batch durable, in one append. That goes on if the answer is not waited for.
    pub(crate) fn append(mut self, journal: Arc<dyn Journal>, tasks: &TaskGroup) -> Appending {
        let (reply, answer) = oneshot::channel();
        let records = self.records();
        tasks.spawn("append records", OnError::Log, async move {
            CrashPoint::IngestAppend.reach();
            let appended = journal.append(std::mem::take(&mut self.entries)).await;
            CrashPoint::IngestAppended.reach();
            self.settle(appended.is_ok());
            // The request may be gone: its records are settled all the same.
            let _ = reply.send(appended);
            Ok::<(), std::convert::Infallible>(())
        });
        Appending { records, answer }
    }

    fn settle(&mut self, kept: bool) {
        let fingerprints = std::mem::take(&mut self.fingerprints);
        if kept {
            self.dedup.keep(&fingerprints);
        } else {
            self.dedup.release(&fingerprints);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.fingerprints.is_empty() {
            self.settle(false);
        }
    }
}

/// A batch on its way into the journal; as a future, its arrival, or why it did not arrive.
pub(crate) struct Appending {
    records: u64,
    answer: oneshot::Receiver<Result<Appended, AppendError>>,
}

/// A batch that is durable.
pub(crate) struct Arrived {
    pub(crate) records: u64,
    /// Of the first and the last record, if there is one.
    pub(crate) positions: Option<(Position, Position)>,
    /// Of the last entry.
    pub(crate) last: Position,
}

impl Future for Appending {
    type Output = Result<Arrived, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let records = self.records;
        Poll::Ready(match ready!(Pin::new(&mut self.answer).poll(context)) {
            Ok(Ok(Appended { first, last })) => {
                // A batch has consecutive positions, and its event stands behind its records.
                let positions = records.checked_sub(1).map(|more| (first, Position(first.0 + more)));
                Ok(Arrived { records, positions, last })
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("appending was given up".into()),
        })
    }
}
