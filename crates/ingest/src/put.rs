use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use metrics::counter;
use opentrail_journal::{AppendError, Appended, Journal, NewEntry};
use opentrail_model::{AccountId, Source};
use opentrail_runtime::{Clock, OnError, Shutdown, TaskGroup};
use tokio::sync::oneshot;

use crate::decode::{Decoder, Encoding};
use crate::dedup::{DedupWindow, Fingerprint, Reserved};
use crate::record;
use crate::report::Report;
use crate::split::{Piece, Splitter};

/// A batch is appended at this many records …
const BATCH_RECORDS: usize = 500;
/// … or at this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes that are cut into records at once; between, other requests have their turn.
const PIECE_BYTES: usize = 64 << 10;
/// A body that pauses this long gets what it gave so far appended, so that nobody waits for its reservations.
const PAUSE: Duration = Duration::from_millis(200);
/// A body that pauses this long is given up.
const STALL: Duration = Duration::from_secs(60);

/// Takes bodies of records into the journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingest {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    dedup: DedupWindow,
    max_decoded_bytes: u64,
    /// Appends run to their end here, even if the request that began them goes away.
    tasks: TaskGroup,
}

/// Whose a record that names another account than the caller's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The account's that it names.
    Named,
    /// The caller's, e.g. since this server does not hold the account that it names.
    Callers,
    /// Nobody's: the caller may not put records of that account.
    Refused,
}

/// Which accounts a caller may put records of.
pub struct AccountRule {
    caller: AccountId,
    whose: Box<dyn Fn(AccountId) -> Whose + Send + Sync>,
}

impl AccountRule {
    /// The caller may always put records that name its own account or none; `whose` decides about other accounts.
    pub fn new(caller: AccountId, whose: impl Fn(AccountId) -> Whose + Send + Sync + 'static) -> Self {
        Self { caller, whose: Box::new(whose) }
    }

    /// The caller may put records of the accounts that `allowed` says yes to.
    pub fn allowing(caller: AccountId, allowed: impl Fn(AccountId) -> bool + Send + Sync + 'static) -> Self {
        Self::new(caller, move |named| if allowed(named) { Whose::Named } else { Whose::Refused })
    }

    fn recipient(&self, named: Option<AccountId>) -> Result<AccountId, String> {
        match named.filter(|named| *named != self.caller) {
            None => Ok(self.caller),
            Some(named) => match (self.whose)(named) {
                Whose::Named => Ok(named),
                Whose::Callers => Ok(self.caller),
                Whose::Refused => {
                    Err(format!("a caller of account {} may not put records of account {named}", self.caller))
                }
            },
        }
    }
}

impl fmt::Debug for AccountRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountRule").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// Why a body was not taken to its end. What was accepted before stays accepted; sending the whole body again is safe.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IngestError {
    /// The journal takes nothing now: send the body again later.
    #[error("{reason}; {} records were accepted before, send the body again", report.accepted)]
    Unavailable {
        /// The journal's word.
        reason: String,
        /// What became of the records before.
        report: Box<Report>,
    },
    /// The body broke off or stalled.
    #[error("the body broke off: {reason}; {} records were accepted before", report.accepted)]
    Body {
        /// The connection's word.
        reason: String,
        /// What became of the records before.
        report: Box<Report>,
    },
    /// The body is not compressed as it says.
    #[error("the body cannot be decoded: {reason}; {} records were accepted before", report.accepted)]
    Encoding {
        /// The decoder's word.
        reason: String,
        /// What became of the records before.
        report: Box<Report>,
    },
    /// The body is no array, document or lines of records.
    #[error("{reason} at byte {offset}; {} records were accepted before", report.accepted)]
    Framing {
        /// The byte of the decoded body.
        offset: u64,
        /// What is wrong there.
        reason: String,
        /// What became of the records before.
        report: Box<Report>,
    },
    /// The decoded body is larger than one request may be.
    #[error(
        "the body has more than the {limit_bytes} decoded bytes that a request may have: send it in parts; {} records \
         were accepted before",
        report.accepted
    )]
    TooLarge {
        /// Bytes allowed.
        limit_bytes: u64,
        /// What became of the records before.
        report: Box<Report>,
    },
}

impl Ingest {
    /// What the decoded body of a request may have if nothing else is configured: 1 GiB.
    pub const DEFAULT_MAX_DECODED_BYTES: u64 = 1 << 30;

    /// Puts records into `journal`, with the time of `clock`, but those that `dedup` knows.
    pub fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, dedup: DedupWindow) -> Self {
        let tasks = TaskGroup::new(Shutdown::new());
        Self { journal, clock, dedup, max_decoded_bytes: Self::DEFAULT_MAX_DECODED_BYTES, tasks }
    }

    /// The same with another limit for the decoded body of a request.
    #[must_use]
    pub fn with_max_decoded_bytes(self, max_decoded_bytes: u64) -> Self {
        Self { max_decoded_bytes, ..self }
    }

    /// Takes the records of a body. Returns once all that are accepted are durable.
    ///
    /// # Errors
    /// [`IngestError`]; each carries the report of what was taken before.
    ///
    /// # Cancellation
    /// May be dropped: what is being appended then is appended to its end and known afterwards.
    pub async fn put_records<E: fmt::Display>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>>,
        encoding: Encoding,
        source: Source,
        account: AccountRule,
    ) -> Result<Report, IngestError> {
        let mut put = Put {
            ingest: self,
            source,
            account,
            request: self.dedup.request(),
            batch: Batch::new(self.dedup.clone()),
            report: Report::default(),
            index: 0,
        };
        let taken = put.take(std::pin::pin!(body), encoding).await;
        // What was cut off before the body went wrong is good.
        let ended = match taken {
            Err(End::Unavailable(reason)) => Err(End::Unavailable(reason)),
            other => put.append().await.and(other),
        };
        let report = put.report;
        counter!("opentrail_ingest_records_total", "outcome" => "accepted").increment(report.accepted);
        counter!("opentrail_ingest_records_total", "outcome" => "duplicate").increment(report.duplicates);
        counter!("opentrail_ingest_records_total", "outcome" => "refused").increment(report.refused_count);
        ended.map_or_else(|end| Err(end.with(report.clone())), |()| Ok(report.clone()))
    }
}

/// Why a body ended early.
enum End {
    Unavailable(String),
    Body(String),
    Encoding(String),
    Framing(u64, &'static str),
    TooLarge(u64),
}

impl End {
    fn with(self, report: Report) -> IngestError {
        let report = Box::new(report);
        match self {
            Self::Unavailable(reason) => IngestError::Unavailable { reason, report },
            Self::Body(reason) => IngestError::Body { reason, report },
            Self::Encoding(reason) => IngestError::Encoding { reason, report },
            Self::Framing(offset, reason) => IngestError::Framing { offset, reason: reason.into(), report },
            Self::TooLarge(limit_bytes) => IngestError::TooLarge { limit_bytes, report },
        }
    }
}

/// One request under way.
struct Put<'a> {
    ingest: &'a Ingest,
    source: Source,
    account: AccountRule,
    request: u64,
    batch: Batch,
    report: Report,
    /// Of the next record of the body.
    index: u64,
}

impl Put<'_> {
    async fn take<E: fmt::Display>(
        &mut self,
        mut body: std::pin::Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
        encoding: Encoding,
    ) -> Result<(), End> {
        let mut decoder = Decoder::new(encoding).map_err(End::Encoding)?;
        let mut splitter = Splitter::new();
        let mut decoded = BytesMut::new();
        let mut total = 0_u64;
        while let Some(chunk) = self.next_chunk(&mut body).await? {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let taken = decoder.decode(&rest[..rest.len().min(PIECE_BYTES)], &mut decoded);
                let Ok(taken) = taken.as_ref() else {
                    // What was decoded until here is good.
                    self.split(&mut splitter, decoded.split().freeze(), &mut total).await?;
                    return Err(End::Encoding(taken.err().unwrap_or_default()));
                };
                rest = &rest[*taken..];
                if decoded.len() >= PIECE_BYTES || (rest.is_empty() && !decoded.is_empty()) {
                    self.split(&mut splitter, decoded.split().freeze(), &mut total).await?;
                }
            }
        }
        let finished = decoder.finish(&mut decoded);
        self.split(&mut splitter, decoded.freeze(), &mut total).await?;
        finished.map_err(End::Encoding)?;
        let mut pieces = Vec::new();
        let ended = splitter.finish(&mut pieces);
        self.add_all(pieces).await?;
        ended.map_err(|error| End::Framing(error.offset, error.reason))
    }

    /// The body's next bytes. A slow body gets what it gave so far appended meanwhile.
    async fn next_chunk<E: fmt::Display>(
        &mut self,
        body: &mut std::pin::Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
    ) -> Result<Option<Bytes>, End> {
        let clock = Arc::clone(&self.ingest.clock);
        let stalled = clock.sleep(STALL);
        tokio::pin!(stalled);
        loop {
            tokio::select! {
                biased;
                chunk = body.next() => return chunk.transpose().map_err(|error| End::Body(error.to_string())),
                () = clock.sleep(PAUSE), if !self.batch.entries.is_empty() => self.append().await?,
                () = &mut stalled => {
                    return Err(End::Body(format!("nothing came for {} seconds", STALL.as_secs())));
                }
            }
        }
    }

    /// Cuts decoded bytes into records and takes those.
    async fn split(&mut self, splitter: &mut Splitter, bytes: Bytes, total: &mut u64) -> Result<(), End> {
        *total += bytes.len() as u64;
        counter!("opentrail_ingest_decoded_bytes_total").increment(bytes.len() as u64);
        let limit = self.ingest.max_decoded_bytes;
        if *total > limit {
            return Err(End::TooLarge(limit));
        }
        let mut pieces = Vec::new();
        let cut = splitter.push(&bytes, &mut pieces);
        self.add_all(pieces).await?;
        // Cutting and checking is work: others have their turn before the next piece.
        tokio::task::yield_now().await;
        cut.map_err(|error| End::Framing(error.offset, error.reason))
    }

    async fn add_all(&mut self, pieces: Vec<Piece>) -> Result<(), End> {
        for piece in pieces {
            self.add(piece).await?;
        }
        Ok(())
    }

    /// Takes one record into the batch, or says why not.
    async fn add(&mut self, piece: Piece) -> Result<(), End> {
        let index = self.index;
        self.index += 1;
        let checked = piece.map_err(|error| error.to_string()).and_then(|bytes| {
            let envelope = record::envelope(&bytes).map_err(|error| error.to_string())?;
            let account = self.account.recipient(envelope.account)?;
            let id = envelope.event_id;
            let fingerprint = id.map(|id| self.ingest.dedup.fingerprint(account, &id, &bytes));
            Ok((account, fingerprint, bytes))
        });
        let (account, fingerprint, body) = match checked {
            Ok(checked) => checked,
            Err(reason) => {
                self.report.refuse(index, reason);
                return Ok(());
            }
        };
        if let Some(fingerprint) = fingerprint {
            loop {
                match self.ingest.dedup.reserve(fingerprint, self.request) {
                    Reserved::New => break self.batch.fingerprints.push(fingerprint),
                    Reserved::Duplicate => {
                        self.report.duplicates += 1;
                        return Ok(());
                    }
                    Reserved::Elsewhere => {
                        // Whoever waits holds nothing that another could wait for.
                        self.append().await?;
                        self.ingest.dedup.wait(fingerprint).await;
                    }
                }
            }
        }
        self.batch.bytes += body.len();
        let received = self.ingest.clock.now();
        self.batch.entries.push(NewEntry { source: self.source, account, received, body });
        if self.batch.entries.len() >= BATCH_RECORDS || self.batch.bytes >= BATCH_BYTES {
            self.append().await?;
        }
        Ok(())
    }

    /// Makes the batch durable.
    async fn append(&mut self) -> Result<(), End> {
        if self.batch.entries.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::replace(&mut self.batch, Batch::new(self.ingest.dedup.clone()));
        let records = batch.entries.len() as u64;
        let (reply, answer) = oneshot::channel::<Result<Appended, AppendError>>();
        let journal = Arc::clone(&self.ingest.journal);
        self.ingest.tasks.spawn("append records", OnError::Log, async move {
            let appended = journal.append(std::mem::take(&mut batch.entries)).await;
            batch.settle(appended.is_ok());
            // The request may be gone: its records are settled all the same.
            let _ = reply.send(appended);
            Ok::<(), std::convert::Infallible>(())
        });
        match answer.await {
            Ok(Ok(appended)) => {
                self.report.accepted += records;
                self.report.first_position.get_or_insert(appended.first);
                self.report.last_position = Some(appended.last);
                Ok(())
            }
            Ok(Err(error)) => Err(End::Unavailable(error.to_string())),
            Err(_) => Err(End::Unavailable("appending was given up".into())),
        }
    }
}

/// Records that wait to be appended, with their reservations, which are released if it is dropped.
struct Batch {
    dedup: DedupWindow,
    entries: Vec<NewEntry>,
    bytes: usize,
    fingerprints: Vec<Fingerprint>,
}

impl Batch {
    fn new(dedup: DedupWindow) -> Self {
        Self { dedup, entries: Vec::new(), bytes: 0, fingerprints: Vec::new() }
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
