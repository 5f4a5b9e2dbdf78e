use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use opentrail_model::{Position, Timestamp};
use opentrail_projection::Feed;
use opentrail_queries::{Engine, Execution, ExecutionError, InvalidStatement, PlanError, Row, Scanned};
use opentrail_runtime::Clock;
use opentrail_sql::{EngineOptions, Query, Rows, RunError, Statement, StatementError, StoreTable};
use opentrail_stores::StoreKey;
use opentrail_tables::{Snapshot, TableError, Tables};
use tracing::error;
use uuid::Uuid;

use super::memory;
use crate::config::QueriesSection;

/// How long a store is waited for that has no table yet: when it is new.
const OPENING: Duration = Duration::from_secs(10);
/// How long a store is waited for that has not taken in what the journal has: after a start, or under more load than it
/// bears.
const CATCHING_UP: Duration = Duration::from_secs(2 * 60);
/// What the rest of the server takes at most, with some room. A choice.
const REST_BYTES: usize = 1 << 30;
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
        let memory_bytes = usize::try_from(section.memory_bytes).unwrap_or(usize::MAX);
        let options = EngineOptions {
            memory_bytes,
            spill_directory: spill.to_owned(),
            spill_bytes: section.spill_bytes,
            threads: usize::try_from(section.threads).unwrap_or(usize::MAX),
            process_bytes: memory_bytes.saturating_add(REST_BYTES),
            in_use: memory::in_use,
        };
        Ok(Self { engine: Arc::new(opentrail_sql::Engine::new(&options)?), tables, feed, clock })
    }

    /// What runs statements, for whoever has tables of their own.
    pub(crate) fn engine(&self) -> Arc<opentrail_sql::Engine> {
        Arc::clone(&self.engine)
    }

    /// What a store holds: all that was acknowledged before `asked`, a position of the journal.
    async fn snapshot(&self, store: &StoreKey, asked: Position) -> Result<Snapshot, PlanError> {
        let unavailable = |reason: String| PlanError::Unavailable { reason };
        let failed = |error: TableError| match error {
            TableError::Key(refusal) => PlanError::Locked { reason: refusal.to_string() },
            other => unavailable(other.to_string()),
        };
        // Without its key a store takes nothing in: there is nothing to be waited for.
        self.tables.require_key(store).await.map_err(failed)?;
        let (begun, name) = (self.clock.now(), format!("stores/{store}"));
        loop {
            let waited = self.clock.now().since(begun);
            match self.feed.reached(&name) {
                Some(reached) if reached >= asked => break,
                Some(reached) if waited >= CATCHING_UP => {
                    let reason = format!("{} has taken in the journal up to {reached} only, not {asked}", store.arn());
                    return Err(unavailable(reason));
                }
                None if waited >= OPENING => return Err(unavailable(format!("{} has no table", store.arn()))),
                Some(_) | None => self.clock.sleep(LOOK_AGAIN).await,
            }
        }
        let found = self.tables.snapshot(store).await.map_err(failed)?;
        found.ok_or_else(|| unavailable(format!("{} has no table", store.arn())))
    }

    /// The columns of a store that cannot be read now.
    async fn empty(&self, store: &StoreKey) -> Result<Snapshot, PlanError> {
        let unavailable = |reason: String| PlanError::Unavailable { reason };
        let found = self.tables.empty_snapshot(store).await.map_err(|error| unavailable(error.to_string()))?;
        found.ok_or_else(|| unavailable(format!("{} has no table", store.arn())))
    }

    /// The statement over what its stores hold, and those of them that have a KMS key.
    async fn planned(
        &self,
        statement: &str,
        stores: &[StoreKey],
        (asked, depth): (Position, Depth),
        now: Timestamp,
    ) -> Result<(Query, Vec<(StoreKey, String)>), PlanError> {
        let (mut snapshots, mut sealed_by) = (Vec::new(), Vec::new());
        for store in stores {
            let snapshot = match (self.snapshot(store, asked).await, depth) {
                (Err(PlanError::Locked { .. }), Depth::Check) => self.empty(store).await?,
                (snapshot, _) => snapshot?,
            };
            sealed_by.extend(snapshot.kms_key().map(|kms_key| (store.clone(), kms_key.to_owned())));
            snapshots.push((store.id, snapshot));
        }
        let (engine, statement) = (Arc::clone(&self.engine), statement.to_owned());
        let planned = tokio::task::spawn_blocking(move || {
            let table = |(id, snapshot)| (id, Arc::new(StoreTable::new(snapshot)) as _);
            let tables = snapshots.into_iter().map(table).collect();
            engine.plan(&Statement::parse(&statement)?, tables, now)
        });
        let panicked = |panic: tokio::task::JoinError| PlanError::Unavailable { reason: panic.to_string() };
        Ok((planned.await.map_err(panicked)?.map_err(invalid)?, sealed_by))
    }
}

/// What a statement is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// To see whether it can be run: no rows are needed.
    Check,
    Run,
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
        // A query that runs again after a start must not miss what a table has yet to take from the journal.
        let (query, sealed_by) = self.planned(statement, stores, (self.feed.journal().tail(), Depth::Run), now).await?;
        let columns = query.columns().to_vec();
        Ok(Box::new(Running { columns, sealed_by, state: State::Planned(Some(Box::new(query))) }))
    }

    async fn check(&self, statement: &str, stores: &[StoreKey], now: Timestamp) -> Result<(), PlanError> {
        self.planned(statement, stores, (Position::START, Depth::Check), now).await.map(drop)
    }
}

struct Running {
    columns: Vec<String>,
    sealed_by: Vec<(StoreKey, String)>,
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

    fn sealed_by(&self) -> Vec<(StoreKey, String)> {
        self.sealed_by.clone()
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
