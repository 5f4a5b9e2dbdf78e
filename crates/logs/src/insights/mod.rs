//! Logs Insights: queries over log events, started, run beside the calls, and asked for their results.
//!
//! A query is read into commands (`query`, over `syntax`, `expression` and `functions`) and run as a pipeline, event by event,
//! the newest first (`pipeline`, `stats`). Queries and their results live in memory: at most [`MOST_QUERIES`], each at most
//! [`KEPT`] after its end, which is less than CloudWatch Logs' seven days.
//! (CloudWatch Logs User Guide, "CloudWatch Logs Insights language query syntax".)

mod expression;
mod functions;
mod pipeline;
mod query;
mod row;
mod run;
mod stats;
mod syntax;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::OnError;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::error::LogsError;
use crate::service::Logs;
use crate::store::GroupRow;

pub(crate) use query::{MOST_ROWS, Query};
pub(crate) use run::pointer;

/// How many queries are known at a time.
const MOST_QUERIES: usize = 200;
/// How many bytes the results of all queries have together.
const MOST_RESULT_BYTES: usize = 128 << 20;
/// How many queries wait or run at a time, of one account. (User Guide, "CloudWatch Logs quotas", concurrent queries.)
const MOST_CONCURRENT: usize = 30;
/// How many run at once; the others wait.
const RUNNING: usize = 2;
/// How long results are kept.
const KEPT: Duration = Duration::from_secs(3600);
/// How long a query runs at most. (User Guide: 60 minutes; a choice of ours.)
pub(crate) const LONGEST: Duration = Duration::from_secs(900);

/// The names and values of a result.
pub(crate) type ResultRow = Vec<(Arc<str>, String)>;

/// The queries of this process.
#[derive(Debug)]
pub(crate) struct Queries {
    all: Mutex<BTreeMap<String, Arc<Started>>>,
    running: Semaphore,
}

impl Default for Queries {
    fn default() -> Self {
        Self { all: Mutex::default(), running: Semaphore::new(RUNNING) }
    }
}

/// A query that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) id: String,
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) text: String,
    /// The names of its groups.
    pub(crate) groups: Vec<String>,
    pub(crate) user: String,
    pub(crate) created: Timestamp,
    stopped: AtomicBool,
    progress: Mutex<Progress>,
}

/// How far a query is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) status: Status,
    pub(crate) results: Arc<Vec<ResultRow>>,
    pub(crate) matched: u64,
    pub(crate) scanned: u64,
    pub(crate) bytes: u64,
    pub(crate) ended: Option<Timestamp>,
}

/// A query's status. (API Reference, GetQueryResults.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    #[default]
    Scheduled,
    Running,
    Complete,
    Failed,
    Cancelled,
    Timeout,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Running => "Running",
            Self::Complete => "Complete",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Timeout => "Timeout",
        }
    }

    fn has_ended(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Running)
    }
}

/// What a query is asked over.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) query: Query,
    pub(crate) groups: Vec<GroupRow>,
    /// In milliseconds, both inclusive.
    pub(crate) from: i64,
    pub(crate) through: i64,
    pub(crate) limit: usize,
}

impl Started {
    pub(crate) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    fn has_ended(&self) -> bool {
        self.progress.lock().status.has_ended()
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> usize {
        let progress = self.progress.lock();
        progress.results.iter().flatten().map(|(_, text)| 64 + text.len()).sum()
    }
}

impl Logs {
    /// Starts a query of `user` in `account` and `region`; its id.
    pub(crate) fn start_query(
        &self,
        (account, region): (AccountId, Region),
        user: String,
        question: Question,
    ) -> Result<String, LogsError> {
        self.expire_queries();
        let shared = Arc::clone(&self.shared);
        let started = Arc::new(Started {
            id: shared.random.uuid().to_string(),
            account,
            region,
            text: question.text.clone(),
            groups: question.groups.iter().map(|group| group.place.name.clone()).collect(),
            user,
            created: shared.clock.now(),
            stopped: AtomicBool::new(false),
            progress: Mutex::default(),
        });
        let mut all = shared.queries.all.lock();
        let open = all.values().filter(|query| query.account == account && !query.has_ended()).count();
        if open >= MOST_CONCURRENT || all.len() >= MOST_QUERIES {
            return Err(LogsError::LimitExceeded(
                "Too many queries at a time: wait for one of them to end, or stop one.".to_owned(),
            ));
        }
        all.insert(started.id.clone(), Arc::clone(&started));
        drop(all);
        let id = started.id.clone();
        let logs = self.clone();
        shared.tasks.spawn("logs query", OnError::Log, async move {
            logs.run_query(&started, question).await;
            Ok::<(), std::convert::Infallible>(())
        });
        Ok(id)
    }

    /// The account's query of that id.
    pub(crate) fn find_query(&self, id: &str, account: AccountId, region: &Region) -> Result<Arc<Started>, LogsError> {
        let found = self.shared.queries.all.lock().get(id).cloned();
        let found = found.filter(|query| query.account == account && query.region == *region);
        found.ok_or_else(|| LogsError::NotFound(format!("Query with id {id} does not exist.")))
    }

    /// The account's queries, the newest first.
    pub(crate) fn queries(&self, account: AccountId, region: &Region) -> Vec<Arc<Started>> {
        let all = self.shared.queries.all.lock();
        let own = all.values().filter(|query| query.account == account && query.region == *region);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        own
    }

    /// Has the query end soon; `false` when it has ended.
    pub(crate) fn stop_query(&self, query: &Started) -> bool {
        query.stopped.store(true, Ordering::Relaxed);
        let mut progress = query.progress.lock();
        let ended = progress.status.has_ended();
        if !ended {
            progress.status = Status::Cancelled;
            progress.ended = Some(self.shared.clock.now());
        }
        !ended
    }

    /// Forgets queries that ended long ago, and the oldest ones where the results take too much.
    pub(crate) fn expire_queries(&self) {
        let now = self.shared.clock.now();
        let mut all = self.shared.queries.all.lock();
        all.retain(|_, query| query.progress.lock().ended.is_none_or(|ended| now.since(ended) < KEPT));
        let mut ended: Vec<_> = all.values().filter(|query| query.has_ended()).cloned().collect();
        ended.sort_by_key(|query| query.created);
        let mut bytes: usize = ended.iter().map(|query| query.bytes()).sum();
        for query in ended {
            if bytes <= MOST_RESULT_BYTES && all.len() < MOST_QUERIES {
                return;
            }
            bytes -= query.bytes();
            all.remove(&query.id);
        }
    }
}
