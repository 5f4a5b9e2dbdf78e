//! The worker of one trail: follows the journal, fills log files, delivers them and the digests over them.
//!
//! # Exactly once
//! 1. **Cut.** Buffered records become files; which ones (keys, position ranges, hashes) is committed as an intent.
//!    *A crash before* leaves nothing: the records are read again from the cursor, and may be cut otherwise.
//! 2. **Put.** *A crash here*, at any file: the intent is found at the next start, the same records are collected from
//!    the journal again and put under the same keys, over what may be there.
//! 3. **Done.** One transaction drops the intent, moves the cursor, notes the files for their digest and the status.
//!    *A crash before* repeats the puts of step 2; *after*, the records are never read again.
//!
//! While files are on their way nothing is read, so that memory is bounded by what was cut and the journal keeps the
//! rest. A change of the trail is obeyed at its position: everything before it is delivered under the old settings
//! first. Windows of aggregated events ([`rounds`]) are files that go the same way. Digests go through the same three
//! steps (intent with bytes and signature, put, done) beside the files, and neither waits for the other.

mod buffers;
mod chains;
mod digests;
mod files;
mod fold;
mod rounds;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use opentrail_catalog::{CatalogError, CatalogExt, Change, Expect};
use opentrail_journal::ReadError;
use opentrail_model::{AccountId, Position, Region, Timestamp};
use opentrail_projection::Progress;
use opentrail_runtime::{CrashPoint, Shutdown};
use opentrail_trails::{LogGroupStatus, NotificationStatus, Status, TrailChange, TrailKey, TrailStatus};

use self::buffers::Buffers;
use self::chains::Chains;
use crate::aggregation::Aggregator;
use crate::back_off::BackOff;
use crate::chain::Chain;
use crate::digest::PendingDigest;
use crate::log_file::{Buffer, Sealed};
use crate::registry::Post;
use crate::selection::Selection;
use crate::signing::SigningError;
use crate::state::{CHAINS, DIGESTS, Deleted, FILES, WORKERS, WorkerState};
use crate::supervisor::Context;

/// How often the cursor is saved while nothing is delivered, so that the journal can be trimmed.
const SAVE_EVERY: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Digests made one after another before it is the files' turn: a trail of an organization can have thousands due at the
/// same moment.
const DIGESTS_IN_A_ROW: u32 = 16;

/// What a worker is and has for its whole life.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) key: TrailKey,
    pub(crate) context: Arc<Context>,
    pub(crate) progress: Progress,
    pub(crate) post: Arc<Post>,
}

/// Why a worker has to begin again from what is durable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// The catalog failed, or somebody else wrote the worker's documents.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A digest cannot be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// Work on another thread ended without a result.
    #[error("work on a file was lost: {0}")]
    Join(#[from] tokio::task::JoinError),
    /// A mistake in this program.
    #[error("a worker panicked")]
    Panicked,
    /// The process is stopping.
    #[error("stopping")]
    Stopping,
}

/// Works until the trail is gone or the shutdown has begun and what was received is delivered, whatever fails in
/// between. A stop has a deadline; what is then on its way is an intent in the catalog, and what is not was not cut:
/// both are taken up at the next start.
pub(crate) async fn run(worker: Worker, shutdown: Shutdown) {
    let deadline = async {
        shutdown.begun().await;
        worker.context.clock.sleep(worker.context.settings.stop_deadline).await;
    };
    tokio::select! {
        biased;
        () = keep_working(&worker, &shutdown) => {}
        () = deadline => {
            tracing::warn!(trail.name = %worker.key, "not everything was delivered before the deadline of the stop");
        }
    }
    // Nobody waits for a worker that is no more.
    worker.post.flushed.send_replace(u64::MAX);
}

async fn keep_working(worker: &Worker, shutdown: &Shutdown) {
    let mut delay = FIRST_RETRY;
    loop {
        // A panic in one worker is a mistake in this program; the other trails need not suffer from it, and this one
        // keeps its place in the journal.
        let session = AssertUnwindSafe(work_once(worker, shutdown, &mut delay)).catch_unwind();
        let failure = match session.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => WorkerError::Panicked,
        };
        if shutdown.has_begun() {
            return;
        }
        tracing::warn!(trail.name = %worker.key, error = %failure, "delivery begins again from its last saved state");
        tokio::select! {
            () = worker.context.clock.sleep(delay) => {}
            () = shutdown.begun() => return,
        }
        delay = (delay * 2).min(LONGEST_RETRY);
    }
}

async fn work_once(worker: &Worker, shutdown: &Shutdown, delay: &mut Duration) -> Result<(), WorkerError> {
    match Session::resume(worker).await? {
        Some(mut session) => session.work(shutdown, delay).await,
        None => {
            // The documents are gone: the last session ended the trail and failed only to hear of it.
            worker.context.registry.end(&worker.key);
            Ok(())
        }
    }
}

/// A worker at work: its durable state and what has been read since.
#[derive(Debug)]
struct Session<'w> {
    worker: &'w Worker,
    /// As in the catalog at `revision`.
    state: WorkerState,
    revision: u64,
    /// Present while events are taken.
    selection: Option<Selection>,
    /// Everything up to here is buffered, delivered or not the trail's.
    read: Position,
    buffers: Buffers,
    /// When the server received the last record up to `read`.
    read_received: Timestamp,
    /// Windows of aggregated events, while the trail has them.
    windows: Option<Aggregator>,
    /// The windows are to be filled again with what is before `read`, after a restart.
    refold: bool,
    /// A change of the trail right after `read`; reading stops until it is applied.
    change: Option<NextChange>,
    /// The bytes of `state.cut`, unless they must be collected from the journal first.
    sealed: Option<Vec<Sealed>>,
    /// Which files of `state.cut` are known to be in their bucket.
    put: Vec<bool>,
    cut_backoff: BackOff,
    chains: Chains,
    /// Digests whose bytes are fixed, by chain.
    pending: BTreeMap<String, PendingDigest>,
    /// How many digests were worked on since anything else was.
    digests_in_a_row: u32,
    statuses: BTreeMap<(AccountId, Region), TrailStatus>,
    /// Compressed bytes by bytes, once known.
    ratio: Option<f64>,
    /// When the cursor was last saved.
    saved: Timestamp,
    /// Deliver everything up to this position now, and say so by this number.
    flush: Option<(u64, Position)>,
}

/// A change of the trail that is to be obeyed at its position.
#[derive(Debug)]
struct NextChange {
    position: Position,
    /// When the server made it.
    received: Timestamp,
    change: TrailChange,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    /// Put the files of the cut.
    Deliver,
    /// Make or put the digest of this chain.
    Digest(String),
    /// Obey the change of the trail.
    Apply,
    /// Close the files of these buffers.
    Cut(Vec<usize>),
    /// Fill the windows of aggregated events again.
    Refill,
    /// Write the windows that are over, or all of them.
    Round { all: bool },
    /// Everything that was asked for is delivered.
    Flushed,
    /// Remove the documents of the trail that is gone.
    End,
    /// Save the cursor.
    Save,
    /// Read on, or wait until then.
    Wait(Option<Timestamp>),
}

impl<'w> Session<'w> {
    /// Loads what is durable; `None` when the worker has no documents any more.
    async fn resume(worker: &'w Worker) -> Result<Option<Self>, WorkerError> {
        let catalog = &worker.context.catalog;
        let Some(found) = catalog.find::<WorkerState>(WORKERS, &worker.key.to_string()).await? else {
            return Ok(None);
        };
        let mut state = found.value;
        let prefix = format!("{}/", worker.key);
        let chain_of = |key: &str| key.strip_prefix(&prefix).unwrap_or(key).to_owned();
        let pending = catalog.all::<PendingDigest>(DIGESTS, &prefix).await?;
        let pending: BTreeMap<String, PendingDigest> =
            pending.into_iter().map(|document| (chain_of(&document.key), document.value)).collect();
        let stored = catalog.all::<Chain>(CHAINS, &prefix).await?;
        // Chains without a document are of an earlier release. They leave the state in the commit that stores them.
        let earlier = std::mem::take(&mut state.chains);
        let move_chains = !earlier.is_empty();
        let mut all = earlier;
        all.extend(stored.into_iter().map(|document| (chain_of(&document.key), document.value)));
        let mut chains = Chains::new(worker.context.settings.digest_interval, all, pending.keys());
        if move_chains {
            chains.store_all();
        }
        worker.progress.advance(state.needs_from());
        let mut session = Self {
            worker,
            revision: found.revision,
            selection: None,
            // Buffers are empty: when a cut is found, reading goes on where it ends.
            read: state.cut.as_ref().map_or(state.cursor, |cut| cut.cursor),
            buffers: Buffers::default(),
            read_received: Timestamp::EPOCH,
            windows: None,
            refold: state.aggregated.is_some(),
            change: None,
            sealed: None,
            put: vec![false; state.cut.as_ref().map_or(0, |cut| cut.files.len())],
            // What was on its way at a crash may have arrived.
            cut_backoff: BackOff::in_doubt(),
            chains,
            pending,
            digests_in_a_row: 0,
            statuses: BTreeMap::new(),
            ratio: None,
            saved: worker.context.clock.now(),
            flush: None,
            state,
        };
        session.select();
        Ok(Some(session))
    }

    async fn work(&mut self, shutdown: &Shutdown, delay: &mut Duration) -> Result<(), WorkerError> {
        let context = Arc::clone(&self.worker.context);
        let mut seen = self.worker.post.seen.subscribe();
        let mut flushes = context.registry.flushes();
        self.ask_for_flush(*flushes.borrow_and_update());
        loop {
            let now = context.clock.now();
            self.report_lag(now);
            let wait = match self.next_work(now) {
                Work::Wait(until) => until,
                Work::End => {
                    if self.end().await? {
                        return Ok(());
                    }
                    None
                }
                work => {
                    self.perform(work).await?;
                    *delay = FIRST_RETRY;
                    if shutdown.has_begun() {
                        return self.drain().await;
                    }
                    // Between two pieces of work what is there is read, so that a long row of missed digests does
                    // not hold up the files.
                    if self.can_read()
                        && let Some(batch) = self.read_now().await?
                    {
                        self.fold(&batch);
                    }
                    continue;
                }
            };
            let can_read = self.can_read();
            tokio::select! {
                biased;
                () = shutdown.begun() => return self.drain().await,
                _ = seen.changed() => self.hurry_elsewhere(),
                _ = flushes.changed() => self.ask_for_flush(*flushes.borrow_and_update()),
                batch = self.worker.progress.next(self.read), if can_read => match self.readable(batch)? {
                    Some(batch) => self.fold(&batch),
                    None => continue,
                },
                () = context.clock.sleep_until(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
    }

    /// Delivers what was received before the shutdown, each file tried once.
    async fn drain(&mut self) -> Result<(), WorkerError> {
        let context = Arc::clone(&self.worker.context);
        self.flush = Some((0, context.feed.journal().tail()));
        loop {
            self.cut_backoff.hurry();
            match self.next_work(context.clock.now()) {
                Work::Flushed => break,
                Work::End | Work::Save | Work::Wait(_) => match self.read_now().await? {
                    Some(batch) => self.fold(&batch),
                    None => break,
                },
                work => {
                    self.perform(work).await?;
                    if !self.cut_backoff.is_clear() {
                        break;
                    }
                }
            }
        }
        self.save().await
    }

    /// Decides what to do; changes nothing.
    fn next_work(&self, now: Timestamp) -> Work {
        if self.state.cut.is_some() && self.cut_backoff.next().is_none_or(|at| at <= now) {
            return Work::Deliver;
        }
        let digest = self.chains.next();
        let due = digest.filter(|(_, at)| *at <= now).map(|(name, _)| Work::Digest(name.to_owned()));
        if self.digests_in_a_row < DIGESTS_IN_A_ROW
            && let Some(due) = due
        {
            return due;
        }
        match (self.next_work_on_files(now), due, digest) {
            (Work::Wait(_), Some(due), _) => due,
            (Work::Wait(until), None, Some((_, at))) => Work::Wait(Some(until.map_or(at, |until| until.min(at)))),
            (work, _, _) => work,
        }
    }

    fn next_work_on_files(&self, now: Timestamp) -> Work {
        if self.state.cut.is_some() {
            return Work::Wait(self.cut_backoff.next());
        }
        let all = || self.buffers.to_close(|_| true);
        if self.refold {
            return Work::Refill;
        }
        if self.change.is_some() {
            return match self.buffers.is_empty() {
                false => Work::Cut(all()),
                true if self.has_windows() => Work::Round { all: true },
                true => Work::Apply,
            };
        }
        if self.sums_too_much() {
            return Work::Round { all: true };
        }
        let flushing = self.flush.is_some_and(|(_, through)| self.read >= through);
        if self.buffers.is_empty() {
            if flushing {
                return Work::Flushed;
            }
        } else if flushing || self.holds_too_much() {
            return Work::Cut(all());
        }
        let cut = self.buffers.to_close(|buffer| self.is_due(buffer, now));
        if !cut.is_empty() {
            return Work::Cut(cut);
        }
        let mut wake = self.buffers.iter().map(|buffer| self.age_limit(buffer, now)).min();
        match self.round_due(now) {
            Some(at) if at <= now => return Work::Round { all: false },
            Some(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
            None => {}
        }
        if self.is_ended() {
            return Work::End;
        }
        if self.resume_cursor() > self.state.cursor || self.aggregated_now() != self.state.aggregated {
            let at = self.saved + SAVE_EVERY;
            if at <= now {
                return Work::Save;
            }
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
        }
        Work::Wait(wake)
    }

    async fn perform(&mut self, work: Work) -> Result<(), WorkerError> {
        self.digests_in_a_row = if matches!(work, Work::Digest(_)) { self.digests_in_a_row + 1 } else { 0 };
        match work {
            Work::Deliver => self.deliver().await,
            Work::Digest(chain) => self.digest(&chain).await,
            Work::Apply => self.apply().await,
            Work::Cut(which) => self.cut(&which).await,
            Work::Refill => self.refill_windows().await,
            Work::Round { all } => self.write_windows(all).await,
            Work::Save => self.save().await,
            Work::Flushed => {
                self.flushed();
                Ok(())
            }
            Work::End | Work::Wait(_) => Ok(()),
        }
    }

    /// Obeys the change of the trail that stands right after everything that was delivered.
    async fn apply(&mut self) -> Result<(), WorkerError> {
        let Some(NextChange { position, received, change }) = self.change.take() else { return Ok(()) };
        let now = self.worker.context.clock.now();
        let mut state = self.state.clone();
        match change {
            TrailChange::PutTrail(trail) => {
                state.trail = Some(*trail);
                state.deleted = None;
            }
            TrailChange::DeleteTrail(_) => state.deleted = Some(Deleted { position, at: now }),
        }
        self.chains.obey(self.state.digested_trail(), state.digested_trail(), now);
        state.aggregated = self.aggregated_after(&state, position, received);
        state.cursor = position;
        state.ahead.clear();
        CrashPoint::DeliveryObey.reach();
        self.commit(state, Vec::new()).await?;
        CrashPoint::DeliveryObeyed.reach();
        self.read = position;
        self.select();
        tracing::info!(
            trail.name = %self.worker.key, position = position.0, logging = self.state.is_logging(),
            "delivery obeys a change of the trail"
        );
        Ok(())
    }

    fn select(&mut self) {
        let trail = self.state.trail.as_ref().filter(|_| self.state.is_logging());
        self.selection = trail.map(Selection::of);
        self.begin_windows();
    }

    /// Whether the trail is gone and nothing is left to deliver for it.
    fn is_ended(&self) -> bool {
        self.state.deleted.is_some() && self.chains.are_closed()
    }

    /// Removes everything that is stored for the trail, unless it comes back.
    async fn end(&mut self) -> Result<bool, WorkerError> {
        let Some(deleted) = self.state.deleted else { return Ok(false) };
        let Worker { key, context, .. } = self.worker;
        if !context.registry.begin_end(key, deleted.position, self.read) {
            return Ok(false);
        }
        let prefix = format!("{key}/");
        let mut changes = TrailStatus::remove_all(&context.catalog, key).await?;
        changes.extend(NotificationStatus::remove_all(&context.catalog, key).await?);
        changes.extend(LogGroupStatus::remove_all(&context.catalog, key).await?);
        for kind in [FILES, DIGESTS, CHAINS] {
            let all = context.catalog.all::<serde_json::Value>(kind, &prefix).await?;
            changes.extend(all.into_iter().map(|document| Change::delete(kind, document.key, Expect::Anything)));
        }
        changes.push(Change::delete(WORKERS, key.to_string(), Expect::Revision(self.revision)));
        CrashPoint::DeliveryEnd.reach();
        context.catalog.commit(changes).await?;
        CrashPoint::DeliveryEnded.reach();
        context.registry.end(key);
        tracing::info!(trail.name = %key, "delivery for the deleted trail has ended");
        Ok(true)
    }

    /// The position from which everything that is not delivered would be read again.
    fn resume_cursor(&self) -> Position {
        let before = |buffer: &Buffer| Position(buffer.first.0.saturating_sub(1));
        self.buffers.iter().map(before).min().unwrap_or(self.read)
    }

    async fn save(&mut self) -> Result<(), WorkerError> {
        self.saved = self.worker.context.clock.now();
        let (cursor, aggregated) = (self.resume_cursor().max(self.state.cursor), self.aggregated_now());
        let moved = cursor > self.state.cursor || aggregated != self.state.aggregated;
        if self.state.cut.is_none() && moved {
            let mut state = self.state.clone();
            state.cursor = cursor;
            state.aggregated = aggregated;
            state.ahead.retain(|(_, through)| *through > cursor);
            self.commit(state, Vec::new()).await?;
            CrashPoint::DeliverySaved.reach();
        }
        Ok(())
    }

    /// Makes `state`, the chains and `others` durable in one transaction.
    async fn commit(&mut self, state: WorkerState, mut others: Vec<Change>) -> Result<(), WorkerError> {
        others.extend(self.chains.take_changes(&self.worker.key));
        others.push(state.store(&self.worker.key, self.revision));
        self.worker.context.catalog.commit(others).await?;
        self.revision += 1;
        self.state = state;
        self.worker.progress.advance(self.state.needs_from());
        Ok(())
    }

    /// The status of the trail for `account` in `region`.
    async fn status(&mut self, account: AccountId, region: &Region) -> Result<&mut TrailStatus, WorkerError> {
        let place = (account, region.clone());
        if !self.statuses.contains_key(&place) {
            let Worker { key, context, .. } = self.worker;
            let status = TrailStatus::load(&context.catalog, key, account, region).await?;
            self.statuses.insert(place.clone(), status);
        }
        Ok(self.statuses.entry(place).or_default())
    }

    fn ask_for_flush(&mut self, number: u64) {
        if number > *self.worker.post.flushed.borrow() {
            self.flush = Some((number, self.worker.context.feed.journal().tail()));
            // Whoever asks wants to know whether the bucket is back.
            self.cut_backoff.hurry();
        }
    }

    fn flushed(&mut self) {
        if let Some((number, _)) = self.flush.take() {
            self.worker.post.flushed.send_if_modified(|done| {
                let grown = number > *done;
                *done = number.max(*done);
                grown
            });
        }
    }

    fn report_lag(&self, now: Timestamp) {
        let cut = self.state.cut.as_ref().and_then(|cut| cut.oldest_received());
        let oldest = self.buffers.iter().map(|buffer| buffer.oldest_received).chain(cut).min();
        let lag = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
        crate::metrics::lag(self.worker.key.arn().as_str(), lag);
    }
}
