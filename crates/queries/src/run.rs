//! The life of a query.
//!
//! 1. StartQuery commits its document. A crash before the answer leaves a query that nobody asks for; it runs, and goes
//!    after seven days.
//! 2. It waits for its turn, then runs. Its rows go to a directory under another name. A crash leaves that, and a document
//!    without an end: the next start runs the query again from the beginning, over the stores as they are then, with the
//!    current time that it first had; the third time it is given up, as it may be what ends the server.
//! 3. The rows are made durable and get their name, then the document gets its end, in one transaction. A crash in between
//!    is as one before: the rows are written again.
//! 4. Whoever cancels commits the end first. A run that comes too late with its own finds the document changed, and takes
//!    its rows away.
//! 5. Results are delivered if that was asked for (`deliver`).

use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::CatalogError;
use opentrail_model::Timestamp;
use opentrail_runtime::{CrashPoint, OnError, Shutdown};
use tracing::{error, info, warn};

use crate::index::Progress;
use crate::queries::blocking;
use crate::results::Writer;
use crate::seal::Seal;
use crate::{Ended, Execution, PlanError, Queries, Query, QueryStatus, ResultsError, Scanned};

const RETRY: Duration = Duration::from_secs(1);
const OUR_FAULT: &str = "The query failed because of an internal error; the server's log has it. Try again later.";

/// An end at `at`, of which nothing else is said yet.
pub(crate) fn end(status: QueryStatus, at: Timestamp) -> Ended {
    Ended { status, at, ran: Duration::ZERO, scanned: Scanned::default(), rows: 0, message: None }
}

impl Ended {
    pub(crate) fn because(self, message: impl Into<String>) -> Self {
        // (API Reference, DescribeQuery, `ErrorMessage`: 4 to 1000 characters.)
        Self { message: Some(message.into().chars().take(1000).collect()), ..self }
    }
}

/// Why a run left off without an end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interrupted {
    /// Somebody cancelled the query; the catalog has its end.
    Cancelled,
    /// The server stops.
    Stopping,
}

impl Queries {
    /// Runs the query whose document is at `revision`.
    pub(crate) fn spawn_run(&self, query: Query, revision: u64, progress: Arc<Progress>) {
        let queries = self.clone();
        self.inner.tasks.spawn("query", OnError::Log, async move {
            queries.run(query, revision, progress).await;
            Ok::<(), CatalogError>(())
        });
    }

    async fn run(&self, query: Query, revision: u64, progress: Arc<Progress>) {
        let key = query.key.clone();
        let shutdown = self.inner.tasks.shutdown().clone();
        let turn = tokio::select! {
            turn = self.inner.turns.take(key.account) => turn,
            () = progress.cancel.begun() => return,
            () = shutdown.begun() => return,
        };
        progress.start(self.inner.clock.now());
        // In a task of its own, so that a panic of the engine ends this query only.
        let work = {
            let (this, query, progress) = (self.clone(), query.clone(), Arc::clone(&progress));
            async move { this.carry_out(&query, &progress).await }
        };
        let ended = match self.inner.tasks.shield(work).await {
            Some(Ok(ended)) => ended,
            None => self.ended_now(QueryStatus::Failed, &progress).because(OUR_FAULT),
            Some(Err(interrupted)) => {
                if interrupted == Interrupted::Cancelled {
                    self.forget_rows(&query).await;
                }
                return;
            }
        };
        drop(turn);
        let status = ended.status;
        if status == QueryStatus::Failed {
            self.forget_rows(&query).await;
        }
        info!(query.id = %key.id, status = status.as_str(), rows = ended.rows, "a query ended");
        let query = query.end(ended);
        if !self.keep(&query, revision, &shutdown).await {
            // Cancelled in the last moment.
            self.forget_rows(&query).await;
            return;
        }
        self.ended(&key, status);
        CrashPoint::QueriesFinished.reach();
        if query.is_to_be_delivered() {
            self.deliver(query, revision + 1).await;
        }
    }

    /// Commits the query's end; whether it is in the catalog. A catalog that fails is tried until the server stops.
    async fn keep(&self, query: &Query, revision: u64, shutdown: &Shutdown) -> bool {
        loop {
            match self.put(query, revision).await {
                Ok(()) => return true,
                Err(CatalogError::Conflict { .. }) => return false,
                Err(error) => warn!(query.id = %query.key.id, %error, "a query's end cannot be kept; trying again"),
            }
            tokio::select! {
                () = self.inner.clock.sleep(RETRY) => {}
                () = shutdown.begun() => return false,
            }
        }
    }

    async fn forget_rows(&self, query: &Query) {
        let (results, id) = (self.inner.results.clone(), query.key.id);
        if let Err(error) = blocking(move || results.remove(id)).await {
            warn!(query.id = %id, %error, "rows of a query without a result cannot be removed before it expires");
        }
    }

    fn ended_now(&self, status: QueryStatus, progress: &Progress) -> Ended {
        let now = self.inner.clock.now();
        let (since, scanned) = progress.so_far();
        let ran = since.map(|since| now.since(since)).unwrap_or_default();
        Ended { ran, scanned, ..end(status, now) }
    }

    /// Runs the query until it has an end, its rows durable.
    async fn carry_out(&self, query: &Query, progress: &Progress) -> Result<Ended, Interrupted> {
        let shutdown = self.inner.tasks.shutdown();
        let deadline = self.inner.clock.now() + self.inner.options.time_limit;
        let plan = tokio::select! {
            biased;
            () = progress.cancel.begun() => return Err(Interrupted::Cancelled),
            () = shutdown.begun() => return Err(Interrupted::Stopping),
            () = self.inner.clock.sleep_until(deadline) => {
                let message = "The query took too long to be prepared and was stopped.";
                return Ok(self.ended_now(QueryStatus::Failed, progress).because(message));
            }
            plan = self.inner.engine.plan(&query.statement, &query.stores, query.created) => plan,
        };
        let mut execution = match plan {
            Ok(execution) => execution,
            Err(PlanError::Statement(invalid)) => {
                return Ok(self.ended_now(QueryStatus::Failed, progress).because(invalid.to_string()));
            }
            Err(PlanError::Locked { reason }) => {
                return Ok(self.ended_now(QueryStatus::Failed, progress).because(reason));
            }
            Err(unavailable) => {
                error!(query.id = %query.key.id, error = %unavailable, "a query cannot read its stores");
                return Ok(self.ended_now(QueryStatus::Failed, progress).because(OUR_FAULT));
            }
        };
        let sealed_by = execution.sealed_by();
        let seal = match Seal::new(&self.inner.keys, sealed_by, &self.inner.random).await {
            Ok(seal) => seal,
            Err(refused) => return Ok(self.ended_now(QueryStatus::Failed, progress).because(refused.to_string())),
        };
        let (results, id, columns) = (self.inner.results.clone(), query.key.id, execution.columns().to_vec());
        let limit = self.inner.options.max_result_bytes;
        let mut status = QueryStatus::Finished;
        let written = blocking(move || results.write(id, columns, limit, seal)).await;
        let rows = match written {
            Ok(writer) => self.write_rows(writer, &mut *execution, progress, deadline, &mut status).await,
            Err(error) => Err(RowsError::Results(error)),
        };
        progress.scanned(execution.scanned());
        drop(execution);
        match rows {
            Ok(rows) => {
                let ended = Ended { rows, ..self.ended_now(status, progress) };
                let limit = self.inner.options.time_limit;
                let late = || format!("The query ran longer than {} seconds and was stopped.", limit.as_secs_f64());
                Ok(if status == QueryStatus::TimedOut { ended.because(late()) } else { ended })
            }
            Err(RowsError::Interrupted(interrupted)) => Err(interrupted),
            Err(RowsError::Results(error @ ResultsError::TooLarge)) => {
                Ok(self.ended_now(QueryStatus::Failed, progress).because(error.to_string()))
            }
            Err(RowsError::Results(error)) => {
                error!(query.id = %query.key.id, %error, "a query's rows cannot be written");
                Ok(self.ended_now(QueryStatus::Failed, progress).because(OUR_FAULT))
            }
            Err(RowsError::Execution(message)) => Ok(self.ended_now(QueryStatus::Failed, progress).because(message)),
        }
    }

    /// Writes all rows, or those until the deadline, which `status` says then; how many there are.
    async fn write_rows(
        &self,
        mut writer: Writer,
        execution: &mut dyn Execution,
        progress: &Progress,
        deadline: Timestamp,
        status: &mut QueryStatus,
    ) -> Result<u64, RowsError> {
        let shutdown = self.inner.tasks.shutdown();
        loop {
            let next = tokio::select! {
                biased;
                () = progress.cancel.begun() => return Err(RowsError::Interrupted(Interrupted::Cancelled)),
                () = shutdown.begun() => return Err(RowsError::Interrupted(Interrupted::Stopping)),
                () = self.inner.clock.sleep_until(deadline) => {
                    *status = QueryStatus::TimedOut;
                    break;
                }
                next = execution.next() => next,
            };
            progress.scanned(execution.scanned());
            let Some(rows) = next.map_err(|error| RowsError::Execution(error.to_string()))? else { break };
            writer = blocking(move || writer.push(rows).map(|()| writer)).await?;
        }
        Ok(blocking(move || writer.finish()).await?)
    }
}

enum RowsError {
    Interrupted(Interrupted),
    Results(ResultsError),
    Execution(String),
}

impl From<ResultsError> for RowsError {
    fn from(error: ResultsError) -> Self {
        Self::Results(error)
    }
}
