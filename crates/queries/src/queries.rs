use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect, Versioned};
use opentrail_delivery::Signer;
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{Clock, OnError, Random, TaskGroup};
use opentrail_stores::{DataKeys, StoreKey};
use opentrail_trails::Buckets;
use tracing::info;
use uuid::Uuid;

use crate::index::{Entry, Index, State};
use crate::results::{Reader, ResultsDir};
use crate::run::end;
use crate::seal::Seal;
use crate::turns::Turns;
use crate::{
    Alias, Delivery, Ended, Engine, InvalidStatement, Page, PlanError, Query, QueryError, QueryKey, QueryStatus,
    ResultsError, Scanned, metrics,
};

pub(crate) const KIND: &str = "queries";

/// So many queries of an account may be queued or running in a Region. (User Guide, "Quotas in AWS CloudTrail".)
const MAX_UNDER_WAY: usize = 10;
/// So many starts of the server may find a query not ended before it is given up: it may be what ends the server.
const MAX_INTERRUPTIONS: u32 = 3;

/// What queries are run with.
#[derive(Debug)]
pub struct QueriesDeps {
    /// Where their documents are.
    pub catalog: Arc<dyn Catalog>,
    /// What runs statements.
    pub engine: Arc<dyn Engine>,
    /// Where results are delivered to.
    pub buckets: Arc<dyn Buckets>,
    /// Signs what is delivered.
    pub signer: Signer,
    /// What rows of event data stores with KMS keys are sealed with.
    pub keys: DataKeys,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for ids.
    pub random: Arc<dyn Random>,
    /// Where results are kept.
    pub dir: PathBuf,
    /// The bounds.
    pub options: QueriesOptions,
    /// Runs the queries; its shutdown interrupts them.
    pub tasks: TaskGroup,
}

/// The bounds of queries.
#[derive(Clone, Debug)]
pub struct QueriesOptions {
    /// How many run at a time, of all accounts together; the others are queued. An account that has none running may go
    /// beyond, to twice as many.
    pub running: usize,
    /// How long one may run. (User Guide, "CloudTrail Lake": one hour.)
    pub time_limit: Duration,
    /// How long a query and its results are kept. (API Reference, ListQueries: seven days.)
    pub history: Duration,
    /// The most that the rows of one query may take on disk, compressed.
    pub max_result_bytes: u64,
    /// How long a bucket that fails is tried.
    pub delivery_patience: Duration,
}

impl Default for QueriesOptions {
    fn default() -> Self {
        Self {
            running: 4,
            time_limit: Duration::from_secs(3600),
            history: Duration::from_secs(7 * 24 * 3600),
            max_result_bytes: 4 << 30,
            delivery_patience: Duration::from_secs(15 * 60),
        }
    }
}

/// A query to be started.
#[derive(Clone, Debug)]
pub struct NewQuery {
    /// Whose the event data stores are.
    pub account: AccountId,
    /// The Region called.
    pub region: Region,
    /// What to run; checked by [`Queries::check`].
    pub statement: String,
    /// The event data stores that it names; not empty.
    pub stores: Vec<StoreKey>,
    /// Where its results go.
    pub delivery: Option<Delivery>,
    /// The name that its statement was found by, if it was.
    pub alias: Option<Alias>,
}

/// A query as it is at a moment.
#[derive(Clone, Debug)]
pub struct QueryView {
    /// Its document.
    pub query: Query,
    /// Its state.
    pub status: QueryStatus,
    /// What it read so far.
    pub scanned: Scanned,
    /// How long it has run so far.
    pub ran: Duration,
}

/// A query in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `QueryId`.
    pub id: Uuid,
    /// Its state.
    pub status: QueryStatus,
    /// When it was started.
    pub created: Timestamp,
}

/// All queries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queries {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) buckets: Arc<dyn Buckets>,
    pub(crate) signer: Signer,
    pub(crate) keys: DataKeys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) options: QueriesOptions,
    pub(crate) tasks: TaskGroup,
    pub(crate) results: ResultsDir,
    pub(crate) index: Index,
    pub(crate) turns: Arc<Turns>,
}

impl Queries {
    /// Takes up what the catalog says: queries that were under way run again, from the beginning, and results that were
    /// on their way to a bucket are delivered.
    ///
    /// # Errors
    /// When the catalog or the directory of results fails.
    pub async fn open(deps: QueriesDeps) -> Result<Self, QueryError> {
        metrics::describe();
        let QueriesDeps { catalog, engine, buckets, signer, keys, clock, random, dir, options, tasks } = deps;
        let turns = Turns::new(options.running);
        let (results, index) = (ResultsDir::open(dir)?, Index::default());
        let inner =
            Inner { catalog, engine, buckets, signer, keys, clock, random, options, tasks, results, index, turns };
        let queries = Self { inner: Arc::new(inner) };
        for document in queries.inner.catalog.all::<Query>(KIND, "").await? {
            queries.resume(document).await?;
        }
        let (inner, upkeep) = (&queries.inner, queries.clone());
        inner.tasks.spawn("queries upkeep", OnError::Log, async move { upkeep.run_upkeep().await });
        Ok(queries)
    }

    async fn resume(&self, document: Versioned<Query>) -> Result<(), CatalogError> {
        let Versioned { revision, value: mut query, .. } = document;
        let key = query.key.clone();
        if query.ended.is_none() {
            query.interruptions += 1;
            if query.interruptions >= MAX_INTERRUPTIONS {
                let message = format!(
                    "The query was interrupted by {} restarts of the server and is not run again. Start it anew.",
                    query.interruptions
                );
                query = query.end(end(QueryStatus::Failed, self.inner.clock.now()).because(message));
            }
            self.put(&query, revision).await?;
        }
        let entry = Entry::of(&query);
        self.inner.index.insert(key, entry.clone());
        if let State::UnderWay(progress) = entry.state {
            info!(query.id = %query.key.id, "a query that was interrupted runs again");
            metrics::started();
            self.spawn_run(query, revision + 1, progress);
        } else if query.is_to_be_delivered() {
            self.spawn_delivery(query, revision);
        }
        Ok(())
    }

    /// The ids of the event data stores that a statement names.
    pub fn stores_of(&self, statement: &str) -> Result<std::collections::BTreeSet<Uuid>, InvalidStatement> {
        self.inner.engine.stores(statement)
    }

    /// Checks all of a statement over its stores, without running it.
    pub async fn check(&self, statement: &str, stores: &[StoreKey]) -> Result<(), PlanError> {
        self.inner.engine.check(statement, stores, self.inner.clock.now()).await
    }

    /// Starts a query; it is durable when this returns.
    pub async fn start(&self, new: NewQuery) -> Result<QueryKey, QueryError> {
        let mut started = self.start_all(vec![new], |_| Vec::new()).await?;
        Ok(started.pop().expect("the one query was started"))
    }

    /// Starts queries of one account and Region, all of them or none, in one transaction with `more`, which is told
    /// their keys in the same order.
    pub async fn start_all(
        &self,
        new: Vec<NewQuery>,
        more: impl FnOnce(&[QueryKey]) -> Vec<Change>,
    ) -> Result<Vec<QueryKey>, QueryError> {
        let created = self.inner.clock.now();
        let query = |NewQuery { account, region, statement, stores, delivery, alias }| {
            let key = QueryKey { account, region, id: self.inner.random.uuid() };
            Query { key, statement, stores, created, ended: None, interruptions: 0, delivery, alias }
        };
        let queries: Vec<Query> = new.into_iter().map(query).collect();
        let keys: Vec<QueryKey> = queries.iter().map(|query| query.key.clone()).collect();
        let entries: Vec<Entry> = queries.iter().map(Entry::of).collect();
        if !self.inner.index.admit(keys.iter().cloned().zip(entries.iter().cloned()).collect(), MAX_UNDER_WAY) {
            return Err(QueryError::TooMany { limit: MAX_UNDER_WAY });
        }
        let put = |query: &Query| Change::put(KIND, query.key.to_string(), Expect::Absent, query);
        let changes = queries.iter().map(put).chain(more(&keys)).collect();
        if let Err(error) = self.inner.catalog.commit(changes).await {
            keys.iter().for_each(|key| self.inner.index.remove(key));
            return Err(error.into());
        }
        for (query, entry) in queries.into_iter().zip(entries) {
            let State::UnderWay(progress) = entry.state else { unreachable!("a new query has not ended") };
            metrics::started();
            self.spawn_run(query, 1, progress);
        }
        Ok(keys)
    }

    /// The latest query of an account in a Region that was started by `alias`, and by that refresh if one is given.
    pub fn latest_of(
        &self,
        account: AccountId,
        region: &Region,
        alias: &str,
        refresh: Option<&str>,
    ) -> Option<QueryKey> {
        let is_meant = |is: &Alias| is.name == alias && (refresh.is_none() || is.refresh.as_deref() == refresh);
        self.inner.index.latest(account, region, |entry| entry.alias.as_ref().is_some_and(is_meant))
    }

    /// Whether the query is queued or running.
    pub fn is_under_way(&self, key: &QueryKey) -> bool {
        self.inner.index.find(key).is_some_and(|entry| !entry.status().is_final())
    }

    /// The query as it is now.
    pub async fn find(&self, key: &QueryKey) -> Result<QueryView, QueryError> {
        loop {
            let query = self.document(key).await?.value;
            if let Some(Ended { status, ran, scanned, .. }) = query.ended {
                return Ok(QueryView { status, scanned, ran, query });
            }
            match self.inner.index.find(key) {
                None => return Err(QueryError::NotFound { key: key.clone() }),
                // It ended since its document was read.
                Some(Entry { state: State::Ended(_), .. }) => {}
                Some(entry @ Entry { .. }) => {
                    let State::UnderWay(progress) = &entry.state else { continue };
                    let (since, scanned) = progress.so_far();
                    let ran = since.map(|since| self.inner.clock.now().since(since)).unwrap_or_default();
                    return Ok(QueryView { status: entry.status(), scanned, ran, query });
                }
            }
        }
    }

    pub(crate) async fn document(&self, key: &QueryKey) -> Result<Versioned<Query>, QueryError> {
        let found = self.inner.catalog.find::<Query>(KIND, &key.to_string()).await?;
        found.ok_or_else(|| QueryError::NotFound { key: key.clone() })
    }

    /// Stores a query that was read at `revision`.
    pub(crate) async fn put(&self, query: &Query, revision: u64) -> Result<(), CatalogError> {
        let change = Change::put(KIND, query.key.to_string(), Expect::Revision(revision), query);
        self.inner.catalog.commit(vec![change]).await
    }

    /// The queries of an account in a Region that name the event data store, newest first.
    pub fn list(&self, account: AccountId, region: &Region, store: Uuid) -> Vec<Listed> {
        let all = self.inner.index.of_account(account, region).into_iter();
        let named = all.filter(|(_, entry)| entry.stores.contains(&store));
        let mut listed: Vec<Listed> =
            named.map(|(key, entry)| Listed { id: key.id, status: entry.status(), created: entry.created }).collect();
        listed.sort_by_key(|query| std::cmp::Reverse((query.created, query.id)));
        listed
    }

    /// Stops a query; that it is cancelled is durable when this returns.
    pub async fn cancel(&self, key: &QueryKey) -> Result<(), QueryError> {
        loop {
            let Versioned { revision, value: query, .. } = self.document(key).await?;
            if let Some(ended) = &query.ended {
                return Err(QueryError::Inactive { key: key.clone(), status: ended.status });
            }
            let now = self.inner.clock.now();
            let (since, scanned) = match self.inner.index.find(key).map(|entry| entry.state) {
                Some(State::UnderWay(progress)) => progress.so_far(),
                _ => (None, Scanned::default()),
            };
            let ran = since.map(|since| now.since(since)).unwrap_or_default();
            let ended = Ended { ran, scanned, ..end(QueryStatus::Cancelled, now) };
            match self.put(&query.end(ended), revision).await {
                Ok(()) => {
                    self.ended(key, QueryStatus::Cancelled);
                    return Ok(());
                }
                // It ended meanwhile.
                Err(CatalogError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says in memory what the catalog has: how a query ended.
    pub(crate) fn ended(&self, key: &QueryKey, status: QueryStatus) {
        if let Some(progress) = self.inner.index.end(key, status) {
            metrics::ended(status);
            progress.cancel.begin();
        }
    }

    /// Rows of a query that finished or timed out, from number `from` on: up to `max_rows`, fewer once they have
    /// `max_bytes` together.
    pub async fn rows(&self, id: Uuid, from: u64, max_rows: usize, max_bytes: usize) -> Result<Page, ResultsError> {
        let results = self.inner.results.clone();
        let read = blocking(move || {
            let reader = results.read(id)?;
            // Rows that are not sealed are read at once.
            match reader.sealed_by() {
                [] => reader.page(from, max_rows, max_bytes).map(Ok),
                _ => Ok(Err(reader)),
            }
        });
        match read.await? {
            Ok(page) => Ok(page),
            Err(sealed) => {
                let reader = self.opened(sealed).await?;
                blocking(move || reader.page(from, max_rows, max_bytes)).await
            }
        }
    }

    /// A reader with what it needs to read rows that are sealed.
    pub(crate) async fn opened(&self, reader: Reader) -> Result<Reader, ResultsError> {
        match reader.sealed_by() {
            [] => Ok(reader),
            by => {
                let seal = Seal::open(&self.inner.keys, by.to_vec(), &self.inner.random).await?;
                Ok(reader.with(seal))
            }
        }
    }
}

/// Runs work on files beside the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ResultsError> + Send + 'static,
) -> Result<T, ResultsError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(ResultsError::Damaged { path: PathBuf::new(), reason: panic.to_string() }))
}
