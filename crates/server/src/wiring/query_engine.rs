use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use opentrail_model::Timestamp;
use opentrail_projection::Feed;
use opentrail_queries::{Engine, Execution, ExecutionError, InvalidStatement, PlanError, Row, Scanned};
use opentrail_runtime::Clock;
use opentrail_sql::{EngineOptions, Query, Rows, RunError, Statement, StatementError, StoreTable};
use opentrail_stores::StoreKey;
use opentrail_tables::{Snapshot, Tables};
use tracing::error;
use uuid::Uuid;

use crate::config::QueriesSection;

/// How long a store is waited for that has not taken in what the journal has: after a start, or when it is new.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Runs the statements of queries over the tables of event data stores.
#[derive(Debug)]
pub(crate) struct StoreQueries {
    engine: Arc<opentrail_sql::Engine>,
    tables: Tables,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
}

impl StoreQueries {
    /// Within the bounds of `section`; what does not fit into memory goes to `spill`, whose content nobody needs.
    ///
    /// # Errors
    /// When that directory cannot be used.
    pub(crate) fn new(
        section: &QueriesSection,
        spill: &Path,
        tables: Tables,
        feed: Arc<Feed>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let unusable = || format!("cannot use {}", spill.display());
        if spill.exists() {
            std::fs::remove_dir_all(spill).with_context(unusable)?;
        }
        std::fs::create_dir_all(spill).with_context(unusable)?;
        let options = EngineOptions {
            memory_bytes: usize::try_from(section.memory_bytes).unwrap_or(usize::MAX),
            spill_directory: spill.to_owned(),
            spill_bytes: section.spill_bytes,
            threads: usize::try_from(section.threads).unwrap_or(usize::MAX),
        };
        Ok(Self { engine: Arc::new(opentrail_sql::Engine::new(&options)?), tables, feed, clock })
    }

    /// What a store holds, everything that was acknowledged before this call included: a query that runs again after a
    /// start must not miss what the table has yet to take from the journal.
    async fn snapshot(&self, store: &StoreKey) -> Result<Snapshot, PlanError> {
        let unavailable = |reason: String| PlanError::Unavailable { reason };
        let tail = self.feed.journal().tail();
        let give_up = self.clock.now() + PATIENCE;
        let name = format!("stores/{store}");
        while self.feed.reached(&name).is_none_or(|reached| reached < tail) {
            if self.clock.now() >= give_up {
                return Err(unavailable(format!("{} has not taken in what the journal has", store.arn())));
            }
            self.clock.sleep(LOOK_AGAIN).await;
        }
        let found = self.tables.snapshot(store).await.map_err(|error| unavailable(error.to_string()))?;
        found.ok_or_else(|| unavailable(format!("{} has no table", store.arn())))
    }
}

fn invalid(error: StatementError) -> InvalidStatement {
    InvalidStatement(error.to_string())
}

#[async_trait]
impl Engine for StoreQueries {
    fn stores(&self, statement: &str) -> Result<BTreeSet<Uuid>, InvalidStatement> {
        Ok(Statement::parse(statement).map_err(invalid)?.stores().clone())
    }

    async fn plan(
        &self,
        statement: &str,
        stores: &[StoreKey],
        now: Timestamp,
    ) -> Result<Box<dyn Execution>, PlanError> {
        let mut snapshots = Vec::new();
        for store in stores {
            snapshots.push((store.id, self.snapshot(store).await?));
        }
        let (engine, statement) = (Arc::clone(&self.engine), statement.to_owned());
        let planned = tokio::task::spawn_blocking(move || {
            let table = |(id, snapshot)| (id, Arc::new(StoreTable::new(snapshot)) as _);
            let tables = snapshots.into_iter().map(table).collect();
            engine.plan(&Statement::parse(&statement)?, tables, now)
        });
        let panicked = |panic: tokio::task::JoinError| PlanError::Unavailable { reason: panic.to_string() };
        let query = planned.await.map_err(panicked)?.map_err(invalid)?;
        Ok(Box::new(Running { columns: query.columns().to_vec(), state: State::Planned(Some(Box::new(query))) }))
    }
}

struct Running {
    columns: Vec<String>,
    state: State,
}

enum State {
    Planned(Option<Box<Query>>),
    Started(Rows),
}

#[async_trait]
impl Execution for Running {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn next(&mut self) -> Result<Option<Vec<Row>>, ExecutionError> {
        if let State::Planned(query) = &mut self.state
            && let Some(query) = query.take()
        {
            self.state = State::Started(query.run());
        }
        let State::Started(rows) = &mut self.state else { return Ok(None) };
        rows.next().await.map_err(|failure| {
            if let RunError::Internal(reason) = &failure {
                error!(reason, "a query failed for a reason of ours");
            }
            ExecutionError(failure.to_string())
        })
    }

    fn scanned(&self) -> Scanned {
        let State::Started(rows) = &self.state else { return Scanned::default() };
        let read = rows.statistics();
        Scanned { events_scanned: read.events_scanned, events_matched: read.events_matched, bytes: read.bytes_scanned }
    }
}
