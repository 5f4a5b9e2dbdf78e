use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Versioned};
use opentrail_ingest::Ingest;
use opentrail_model::{AccountId, Position, Timestamp};
use opentrail_runtime::{Clock, OnError, TaskGroup};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use crate::documents::{FAILURES, FailureState, TOTALS, Totals, folded, key_of, within};
use crate::follower::Follower;
use crate::report::{FailureReport, SourceReport};
use crate::{Fold, Queue, Source, Surroundings};

/// The sources of this server.
#[derive(Clone, Debug)]
pub struct Follow {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    folded: watch::Receiver<Position>,
    /// Marks up to here were there at the start.
    tail: Position,
    sources: Vec<Followed>,
}

/// A source, what tells of its new files, and what is known of it while the server runs.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) source: Source,
    pub(crate) queue: Option<Arc<dyn Queue>>,
    pub(crate) live: Arc<Live>,
}

/// What followers work with.
#[derive(Debug)]
pub struct FollowDeps {
    /// The way into the journal.
    pub ingest: Ingest,
    /// Buckets and accounts.
    pub surroundings: Arc<dyn Surroundings>,
    /// Sizes and times.
    pub options: FollowOptions,
    /// Followers run here.
    pub tasks: TaskGroup,
}

/// Sizes and times of following.
#[derive(Clone, Debug)]
pub struct FollowOptions {
    /// Bytes of records that go into the journal at once, about: 4 MiB. One file's are more chunks if they are more.
    pub chunk_bytes: usize,
    /// What files that were read ahead may take in memory, of each source: 128 MiB.
    pub window_bytes: usize,
    /// The most that a file may have, compressed or not: 128 MiB. CloudTrail's have at most 50 MB.
    pub file_bytes: usize,
    /// How long a bucket that does not answer is asked again before that is a failure: 10 s.
    pub patience: Duration,
}

impl Default for FollowOptions {
    fn default() -> Self {
        let patience = Duration::from_secs(10);
        Self { chunk_bytes: 4 << 20, window_bytes: 128 << 20, file_bytes: 128 << 20, patience }
    }
}

impl Follow {
    /// The sources as the catalog knows them, and what folds marks of the journal into it, which must be driven from
    /// here on. `tail` is the journal's now. Nothing is to be folded, and nothing written, if nothing was ever
    /// followed.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn open(
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        tail: Position,
        sources: Vec<(Source, Option<Arc<dyn Queue>>)>,
    ) -> Result<(Self, Option<Fold>), CatalogError> {
        let followed = |(source, queue)| Followed { source, queue, live: Arc::new(Live::new(clock.now())) };
        let sources: Vec<Followed> = sources.into_iter().map(followed).collect();
        if sources.is_empty() && folded(&*catalog).await?.is_none() {
            let (_, folded) = watch::channel(tail);
            return Ok((Self { catalog, clock, folded, tail, sources }, None));
        }
        let (fold, folded) = Fold::open(Arc::clone(&catalog), Arc::clone(&clock), tail).await?;
        Ok((Self { catalog, clock, folded, tail, sources }, Some(fold)))
    }

    /// Begins to follow.
    pub fn start(&self, deps: FollowDeps) {
        let tasks = deps.tasks.clone();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let inner = Arc::new(Inner::new(self, deps, Arc::new(Semaphore::new(cores))));
        for followed in self.sources() {
            let follower = Follower::new(Arc::clone(&inner), followed.clone());
            let shutdown = tasks.shutdown().clone();
            tasks.spawn("follow", OnError::Log, async move {
                follower.run(shutdown).await;
                Ok::<_, std::convert::Infallible>(())
            });
        }
    }

    /// The sources.
    pub(crate) fn sources(&self) -> &[Followed] {
        &self.sources
    }

    /// What can be told of the account's sources.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn report(&self, account: AccountId) -> Result<Vec<SourceReport>, CatalogError> {
        let mut reports = Vec::new();
        let of_account = self.sources.iter().filter(|followed| followed.source.account == account);
        for Followed { source, queue, live } in of_account {
            let totals = self.catalog.find::<Totals>(TOTALS, &source.name).await?;
            let Totals { counts, newest } = totals.map(|found| found.value).unwrap_or_default();
            let failures: Vec<Versioned<FailureState>> = self.catalog.all(FAILURES, &key_of(&source.name, "")).await?;
            let failures = failures.into_iter().map(|Versioned { key, value, .. }| FailureReport {
                key: within(&source.name, &key).to_owned(),
                kind: value.error.kind.as_str(),
                set_aside: value.is_set_aside(),
                message: value.error.message,
                attempts: value.attempts,
                first: value.first,
                last: value.last,
                next: value.next,
            });
            let state = live.state.lock().clone();
            reports.push(SourceReport {
                name: source.name.clone(),
                bucket: source.bucket.clone(),
                prefix: source.prefix.clone(),
                is_notified: queue.is_some(),
                state: state.phase,
                since: state.since,
                error: state.error,
                looked: state.looked,
                folders: state.folders,
                unnamed_accounts: state.unnamed.into_iter().collect(),
                newest,
                lag_seconds: newest.map(|newest| self.clock.now().since(newest).as_secs()),
                counts,
                failures: failures.collect(),
            });
        }
        Ok(reports)
    }
}

/// What all followers share.
#[derive(Debug)]
pub(crate) struct Inner {
    follow: Follow,
    ingest: Ingest,
    surroundings: Arc<dyn Surroundings>,
    options: FollowOptions,
    decoding: Arc<Semaphore>,
}

impl Inner {
    pub(crate) fn new(follow: &Follow, deps: FollowDeps, decoding: Arc<Semaphore>) -> Self {
        let FollowDeps { ingest, surroundings, options, tasks: _ } = deps;
        Self { follow: follow.clone(), ingest, surroundings, options, decoding }
    }

    pub(crate) fn catalog(&self) -> &dyn Catalog {
        &*self.follow.catalog
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.follow.clock
    }

    pub(crate) fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    pub(crate) fn surroundings(&self) -> &dyn Surroundings {
        &*self.surroundings
    }

    pub(crate) fn options(&self) -> &FollowOptions {
        &self.options
    }

    pub(crate) fn decoding(&self) -> &Arc<Semaphore> {
        &self.decoding
    }

    pub(crate) fn folded(&self) -> watch::Receiver<Position> {
        self.follow.folded.clone()
    }

    /// Waits until what was taken before the start is known as taken.
    pub(crate) async fn caught_up(&self) {
        let tail = self.follow.tail;
        // Without the fold the server is stopping.
        let _ = self.folded().wait_for(|folded| *folded >= tail).await;
    }
}

/// How a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Phase {
    /// It was not looked at yet.
    Starting,
    /// What is there is taken.
    Following,
    /// The last look failed; it is tried again.
    Failing,
    /// It is not followed until the configuration, or a trail, is another.
    Refused,
}

/// What is known of a source only while the server runs.
#[derive(Debug)]
pub(crate) struct Live {
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
struct State {
    phase: Phase,
    since: Timestamp,
    error: Option<String>,
    looked: Option<Timestamp>,
    folders: usize,
    unnamed: BTreeSet<AccountId>,
}

impl Live {
    fn new(now: Timestamp) -> Self {
        let unnamed = BTreeSet::new();
        let state = State { phase: Phase::Starting, since: now, error: None, looked: None, folders: 0, unnamed };
        Self { state: Mutex::new(state) }
    }

    pub(crate) fn set(&self, phase: Phase, now: Timestamp) {
        let mut state = self.state.lock();
        if state.phase != phase {
            (state.phase, state.since) = (phase, now);
        }
        state.error = None;
    }

    /// Whether that is news.
    pub(crate) fn fail(&self, phase: Phase, error: String, now: Timestamp) -> bool {
        let mut state = self.state.lock();
        let news = state.error.as_ref() != Some(&error);
        if state.phase != phase {
            (state.phase, state.since) = (phase, now);
        }
        state.error = Some(error);
        news
    }

    pub(crate) fn looked(&self, folders: usize, now: Timestamp) {
        let mut state = self.state.lock();
        (state.folders, state.looked) = (folders, Some(now));
    }

    /// Takes note of an account of this server that the source does not name; whether that is news.
    pub(crate) fn is_unnamed(&self, account: AccountId) -> bool {
        self.state.lock().unnamed.insert(account)
    }
}
