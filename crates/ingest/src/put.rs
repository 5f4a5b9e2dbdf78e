use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use metrics::counter;
use opentrail_journal::{Journal, NewEntry};
use opentrail_model::{AccountId, Source};
use opentrail_runtime::{Clock, Shutdown, TaskGroup};

use crate::decode::Encoding;
use crate::dedup::DedupWindow;
use crate::error::IngestError;
use crate::report::Report;
use crate::room::{ALL_BODIES, Arrival, NoRoom, Room, Rooms};
use crate::take::Put;

/// Takes bodies of records into the journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingest {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dedup: DedupWindow,
    pub(crate) max_decoded_bytes: u64,
    rooms: Rooms,
    /// Appends run to their end here, even if the request that began them goes away.
    pub(crate) tasks: TaskGroup,
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

    /// Whose a record is that names this account.
    pub(crate) fn recipient(&self, named: Option<AccountId>) -> Result<AccountId, String> {
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

impl Ingest {
    /// What the decoded body of a request may have if nothing else is configured: 1 GiB.
    pub const DEFAULT_MAX_DECODED_BYTES: u64 = 1 << 30;

    /// Puts records into `journal`, with the time of `clock`, but those that `dedup` knows.
    pub fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, dedup: DedupWindow) -> Self {
        let tasks = TaskGroup::new(Shutdown::new());
        let max_decoded_bytes = Self::DEFAULT_MAX_DECODED_BYTES;
        Self { journal, clock, dedup, max_decoded_bytes, rooms: Rooms::new(ALL_BODIES), tasks }
    }

    /// The same with another limit for the decoded body of a request.
    #[must_use]
    pub fn with_max_decoded_bytes(self, max_decoded_bytes: u64) -> Self {
        Self { max_decoded_bytes, ..self }
    }

    /// Waits for room in memory for a body that comes in this way. To be taken before the body is read and kept until
    /// its records are put: so all bodies together hold 256 MiB at most, and clients wait instead.
    ///
    /// # Errors
    /// [`NoRoom`] after ten seconds.
    pub async fn room(&self, arrival: Arrival, encoding: Encoding) -> Result<Room, NoRoom> {
        self.rooms.take(arrival, encoding, &*self.clock).await
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
        self.put(body, encoding, source, account, |_| None).await
    }

    /// The same for a call that is an event itself: `event` makes that of what became of the body, and it is appended
    /// with the last of the records, in one batch. Either all of these are kept or none. The report given to `event`
    /// has no positions yet.
    ///
    /// # Errors
    /// As `put_records`. Of [`IngestError::Unavailable`] no event was kept; of all other errors it was.
    ///
    /// # Cancellation
    /// As `put_records`.
    pub async fn put_records_of_call<E: fmt::Display>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>>,
        encoding: Encoding,
        source: Source,
        account: AccountRule,
        event: impl FnOnce(&Result<Report, IngestError>) -> NewEntry,
    ) -> Result<Report, IngestError> {
        self.put(body, encoding, source, account, |outcome| Some(event(outcome))).await
    }

    async fn put<E: fmt::Display>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>>,
        encoding: Encoding,
        source: Source,
        account: AccountRule,
        event: impl FnOnce(&Result<Report, IngestError>) -> Option<NewEntry>,
    ) -> Result<Report, IngestError> {
        let mut put = Put::new(self, source, account);
        let taken = put.take(std::pin::pin!(body), encoding).await;
        let ended = put.finish(taken, event).await;
        let report = ended.as_ref().unwrap_or_else(IngestError::report);
        counter!("opentrail_ingest_records_total", "outcome" => "accepted").increment(report.accepted);
        counter!("opentrail_ingest_records_total", "outcome" => "duplicate").increment(report.duplicates);
        counter!("opentrail_ingest_records_total", "outcome" => "refused").increment(report.refused_count);
        ended
    }
}
