use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogExt};
use opentrail_model::Position;
use opentrail_projection::{Feed, run};
use opentrail_runtime::{Clock, OnError, Shutdown, TaskGroup};
use opentrail_stores::{DataKeys, StoreKey};
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::error;

use crate::PrincipalTags;
use crate::Snapshot;
use crate::TableError;
use crate::budget::{Budget, Share};
use crate::projection::{StoreProjection, Surroundings};
use crate::state::{SUPERVISOR, SUPERVISOR_KEY, TABLES, TableState};
use crate::supervisor::Supervisor;
use crate::table::StoreTable;

/// How long a reader waits for a table to be opened.
pub(crate) const OPENING: Duration = Duration::from_secs(10);

/// How the tables behave.
#[derive(Clone, Debug)]
pub struct TablesOptions {
    /// A store's rows in memory go to its table when they take this many bytes. Default 32 MiB.
    pub flush_bytes: usize,
    /// … or when they are so many. Default 100,000.
    pub flush_rows: usize,
    /// … or when the oldest has waited so long. Default 60 s.
    pub flush_age: Duration,
    /// How long a store without new rows keeps its position to itself, which holds back the journal. Default 10 min.
    pub position_age: Duration,
    /// What the rows of all stores together may take in memory. Default 128 MiB.
    pub memory_bytes: usize,
    /// Files are merged into ones of at most so many bytes. Default 128 MiB.
    pub file_bytes: u64,
    /// How often files are merged and old ones let go. Default 10 s.
    pub maintenance_interval: Duration,
    /// How old a file that left a table is when its bytes are deleted. Default one hour, longer than any read.
    pub vacuum_age: Duration,
}

impl Default for TablesOptions {
    fn default() -> Self {
        Self {
            flush_bytes: 32 << 20,
            flush_rows: 100_000,
            flush_age: Duration::from_secs(60),
            position_age: Duration::from_secs(10 * 60),
            memory_bytes: 128 << 20,
            file_bytes: 128 << 20,
            maintenance_interval: Duration::from_secs(10),
            vacuum_age: Duration::from_secs(60 * 60),
        }
    }
}

/// What the tables work with.
#[derive(Debug)]
pub struct TablesDeps {
    /// Where each table's beginning and settings are kept.
    pub catalog: Arc<dyn Catalog>,
    /// The journal.
    pub feed: Arc<Feed>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For stores that add the tags of principals to their events.
    pub tags: Arc<dyn PrincipalTags>,
    /// For stores with a KMS key.
    pub keys: DataKeys,
    /// Holds a directory per store, by its id.
    pub dir: PathBuf,
    /// How the tables behave.
    pub options: TablesOptions,
    /// Runs the projections.
    pub tasks: TaskGroup,
}

/// The tables of all stores. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tables {
    context: Arc<Context>,
}

/// What the parts of this crate share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) deps: TablesDeps,
    budget: Arc<Budget>,
    /// The journal's last position when this process began.
    tail: Position,
    workers: Mutex<BTreeMap<StoreKey, Worker>>,
}

/// A store's projection, as others see it.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    opened: watch::Receiver<Option<Arc<StoreTable>>>,
    stop: Shutdown,
    ended: watch::Receiver<bool>,
}

impl Tables {
    /// Resumes the table of every known store and starts to follow the journal.
    ///
    /// # Errors
    /// When the stored positions cannot be read, the tables' directory cannot be made, or the journal is older than what
    /// the catalog says.
    pub async fn start(deps: TablesDeps) -> Result<Self, TableError> {
        let dir = deps.dir.clone();
        std::fs::create_dir_all(&dir).map_err(|source| opentrail_lake::LakeError::Io { path: dir.clone(), source })?;
        let stored = deps.catalog.find::<Position>(SUPERVISOR, SUPERVISOR_KEY).await?;
        let seen = stored.map_or(Position::START, |document| document.value);
        let known = deps.catalog.all::<TableState>(TABLES, "").await?;
        let tail = deps.feed.journal().tail();
        if let Some(ahead) = known.iter().find(|document| document.value.begin > tail) {
            let (store, position) = (ahead.key.clone(), ahead.value.begin);
            return Err(TableError::JournalBehind { store, position, tail });
        }
        let budget = Arc::new(Budget::new(deps.options.memory_bytes));
        let context = Arc::new(Context { deps, budget, tail, workers: Mutex::default() });
        // Everybody's place is registered before this returns, so that the journal keeps what is needed.
        let progress = context.deps.feed.follow("stores", seen);
        let mut dropped = Vec::new();
        for document in known {
            match StoreKey::from_text(&document.key) {
                None => error!(key = document.key, "a table's state names no store and is left alone"),
                Some(key) if document.value.dropped => dropped.push(key),
                Some(key) => context.spawn(key, document.value),
            }
        }
        let supervisor = Supervisor::new(Arc::clone(&context), progress, seen, dropped);
        let shutdown = context.deps.tasks.shutdown().clone();
        context.deps.tasks.spawn("store-supervisor", OnError::ShutDown, async move {
            supervisor.run(shutdown).await;
            Ok::<(), TableError>(())
        });
        Ok(Self { context })
    }

    /// Every store that has a table.
    ///
    /// One that is here and no longer in the catalog, and for which the journal has no deletion (the server ended between
    /// the two), needs that deletion appended once more.
    pub fn stores(&self) -> Vec<StoreKey> {
        self.context.workers.lock().keys().cloned().collect()
    }

    /// What the store holds now; `None` for a store that has no table. Waits for a table that is being opened.
    ///
    /// # Errors
    /// [`TableError::Opening`] for a table that does not open within ten seconds; [`TableError::Key`] for a store whose
    /// KMS key cannot be used now; when the table's log cannot be read.
    pub async fn snapshot(&self, key: &StoreKey) -> Result<Option<Snapshot>, TableError> {
        match self.opened(key).await? {
            Some(table) => Snapshot::take(&table, self.clock().now()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The columns of [`Self::snapshot`] and none of its rows, whatever the state of the store's KMS key.
    ///
    /// # Errors
    /// [`TableError::Opening`].
    pub async fn empty_snapshot(&self, key: &StoreKey) -> Result<Option<Snapshot>, TableError> {
        Ok(self.opened(key).await?.map(|table| Snapshot::empty(&table)))
    }

    /// Whether the store can be read: it has no KMS key, or one that can be used now.
    ///
    /// # Errors
    /// [`TableError::Key`] when it cannot be used; [`TableError::Opening`].
    pub async fn require_key(&self, key: &StoreKey) -> Result<(), TableError> {
        match self.opened(key).await? {
            Some(table) => table.data_key().await.map(drop),
            None => Ok(()),
        }
    }

    /// The store's table, which is waited for while it is being opened; `None` for a store that has none.
    pub(crate) async fn opened(&self, key: &StoreKey) -> Result<Option<Arc<StoreTable>>, TableError> {
        let worker = self.context.workers.lock().get(key).cloned();
        let Some(Worker { mut opened, .. }) = worker else { return Ok(None) };
        let clock = self.clock();
        let table = tokio::select! {
            biased;
            opened = opened.wait_for(Option::is_some) => opened.ok().and_then(|table| table.clone()),
            () = clock.sleep(OPENING) => None,
        };
        table.map(Some).ok_or_else(|| TableError::Opening { store: key.id.to_string() })
    }

    pub(crate) fn tags(&self) -> Arc<dyn PrincipalTags> {
        Arc::clone(&self.context.deps.tags)
    }

    /// A part of the memory that all stores have for rows.
    pub(crate) fn share(&self) -> Share {
        self.context.budget.share()
    }

    pub(crate) fn open_tables(&self) -> Vec<Arc<StoreTable>> {
        self.context.workers.lock().values().filter_map(|worker| worker.opened.borrow().clone()).collect()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.context.deps.clock)
    }

    /// Wipes data keys whose time is over from memory.
    pub(crate) fn forget_old_keys(&self) {
        self.context.deps.keys.forget_old();
    }

    pub(crate) fn options(&self) -> TablesOptions {
        self.context.deps.options.clone()
    }
}

impl Context {
    pub(crate) fn is_known(&self, key: &StoreKey) -> bool {
        self.workers.lock().contains_key(key)
    }

    /// Where the store's table is.
    pub(crate) fn table_dir(&self, key: &StoreKey) -> PathBuf {
        self.deps.dir.join(key.id.to_string())
    }

    /// Starts the store's projection.
    pub(crate) fn spawn(self: &Arc<Self>, key: StoreKey, state: TableState) {
        let feed = Arc::clone(&self.deps.feed);
        let (opened_sender, opened) = watch::channel(None);
        let (ended_sender, ended) = watch::channel(false);
        let stop = self.deps.tasks.shutdown().child();
        let around = Surroundings {
            catalog: Arc::clone(&self.deps.catalog),
            clock: Arc::clone(&self.deps.clock),
            options: self.deps.options.clone(),
            dir: self.table_dir(&key),
            share: self.budget.share(),
            tags: Arc::clone(&self.deps.tags),
            keys: self.deps.keys.clone(),
            opened: opened_sender,
            tail: self.tail,
            starting: Some(feed.follow(format!("stores/{key}/starting"), state.begin)),
        };
        let worker = Worker { opened, stop: stop.clone(), ended };
        self.workers.lock().insert(key.clone(), worker);
        let projection = StoreProjection::new(key.clone(), state, around);
        let clock = Arc::clone(&self.deps.clock);
        self.deps.tasks.spawn("store", OnError::Log, async move {
            let ran = run(projection, Arc::clone(&feed), clock, stop.clone()).await;
            if let Err(error) = ran
                && !stop.has_begun()
            {
                // The others go on. The journal keeps what is left, for whoever mends it.
                let held = feed.follow(format!("stores/{key}"), feed.journal().trimmed());
                error!(store.id = %key.id, %error, "the event data store takes no more events until the next start");
                stop.begun().await;
                drop(held);
            }
            ended_sender.send_replace(true);
            Ok::<(), TableError>(())
        });
    }

    /// Ends the store's projection and the upkeep of its table, and returns once nobody writes there.
    pub(crate) async fn end(&self, key: &StoreKey) {
        let worker = self.workers.lock().get(key).cloned();
        if let Some(mut worker) = worker {
            worker.stop.begin();
            // A sender that is gone has ended, too.
            let _ = worker.ended.wait_for(|ended| *ended).await;
            let table = worker.opened.borrow().clone();
            if let Some(table) = table {
                *table.upkeep.lock().await = false;
                table.imports.lock().await.over = true;
            }
            self.workers.lock().remove(key);
        }
    }
}
