use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Expect, Versioned};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{Clock, CrashPoint, Random, Shutdown, TaskGroup};
use opentrail_stores::{StoreKey, Stores};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use crate::import::{FAILURES, IMPORTS, Progress, failure_key};
use crate::{
    Destinations, Failure, FailureStatus, Import, ImportError, ImportKey, ImportStatus, Origin, OriginError, Origins,
    Statistics,
};

/// So many starts of the server may find an import without any progress before it is given up: it may be what ends the
/// server.
const MAX_INTERRUPTIONS: u32 = 5;

/// What imports are run with.
#[derive(Debug)]
pub struct ImportsDeps {
    /// Where their documents are.
    pub catalog: Arc<dyn Catalog>,
    /// Where they read.
    pub origins: Arc<dyn Origins>,
    /// Where they write.
    pub destinations: Arc<dyn Destinations>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for ids.
    pub random: Arc<dyn Random>,
    /// The bounds.
    pub options: ImportsOptions,
    /// Runs the imports; its shutdown interrupts them.
    pub tasks: TaskGroup,
}

/// The bounds of an import.
#[derive(Clone, Debug)]
pub struct ImportsOptions {
    /// How many objects are read at once. Default 32.
    pub reading: usize,
    /// How many files are decompressed at once, of all imports. Default: one per processor.
    pub decoding: usize,
    /// What files that were read may take in memory before it is their turn, uncompressed. Default 64 MiB.
    pub window_bytes: usize,
    /// Events go to the store when they have so many bytes. Default 64 MiB.
    pub chunk_bytes: usize,
    /// … or when the oldest has waited so long. Default 10 s.
    pub chunk_age: Duration,
    /// The most that a file may have uncompressed. Default 256 MiB.
    pub file_bytes: usize,
    /// How long a bucket that fails is asked again. Default 5 min.
    pub patience: Duration,
}

impl Default for ImportsOptions {
    fn default() -> Self {
        Self {
            reading: 32,
            decoding: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            window_bytes: 64 << 20,
            chunk_bytes: 64 << 20,
            chunk_age: Duration::from_secs(10),
            file_bytes: 256 << 20,
            patience: Duration::from_secs(5 * 60),
        }
    }
}

/// An import to be started.
#[derive(Clone, Debug)]
pub struct NewImport {
    /// Where the events go. Its owner's is the import.
    pub destination: StoreKey,
    /// Where they come from.
    pub origin: Origin,
    /// `StartEventTime`.
    pub start: Option<Timestamp>,
    /// `EndEventTime`.
    pub end: Option<Timestamp>,
}

/// All imports. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Imports {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) stores: Stores,
    pub(crate) origins: Arc<dyn Origins>,
    pub(crate) destinations: Arc<dyn Destinations>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) options: ImportsOptions,
    pub(crate) tasks: TaskGroup,
    /// A permit for each file that may be decompressed.
    pub(crate) decoding: Arc<Semaphore>,
    /// The imports that are under way: one per account. (API Reference, StartImport, AccountHasOngoingImportException.)
    running: Mutex<BTreeMap<AccountId, Running>>,
}

/// An import under way, as others see it.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) key: ImportKey,
    destination: StoreKey,
    /// Begins when somebody stops it.
    pub(crate) stop: Shutdown,
    /// Folders known of in this run: those passed before, and those found.
    pub(crate) found: Arc<AtomicU64>,
    ended: watch::Receiver<bool>,
}

impl Imports {
    /// Takes up what the catalog says: imports that were under way go on where they were.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn open(deps: ImportsDeps) -> Result<Self, CatalogError> {
        let ImportsDeps { catalog, origins, destinations, clock, random, options, tasks } = deps;
        let stores = Stores::new(Arc::clone(&catalog));
        let (decoding, running) = (Arc::new(Semaphore::new(options.decoding.max(1))), Mutex::default());
        let inner = Inner { catalog, stores, origins, destinations, clock, random, options, tasks, decoding, running };
        let imports = Self { inner: Arc::new(inner) };
        for document in imports.inner.catalog.all::<Import>(IMPORTS, "").await? {
            imports.resume(document).await?;
        }
        Ok(imports)
    }

    async fn resume(&self, document: Versioned<Import>) -> Result<(), CatalogError> {
        let Versioned { revision, value: mut import, .. } = document;
        if !import.status.is_ongoing() {
            return Ok(());
        }
        import.interruptions += 1;
        if import.interruptions >= MAX_INTERRUPTIONS {
            warn!(import.id = %import.key.id, "an import is given up: it made no progress over several starts");
            import.status = ImportStatus::Failed;
            import.updated = self.inner.clock.now();
        }
        self.inner.catalog.commit(vec![import.put(Expect::Revision(revision))]).await?;
        if import.status.is_ongoing() {
            info!(import.id = %import.key.id, "an import goes on where it was interrupted");
            // The documents of an account tell of one at most.
            if let Ok((running, ended)) = self.admit(&import.key, &import.destination) {
                self.spawn_run(running, ended);
            }
        }
        Ok(())
    }

    /// Notes that an import is under way, unless its account has one.
    fn admit(&self, key: &ImportKey, destination: &StoreKey) -> Result<(Running, watch::Sender<bool>), ImportError> {
        let mut all = self.inner.running.lock();
        if let Some(Running { key, .. }) = all.get(&key.account) {
            return Err(ImportError::Ongoing { key: key.clone() });
        }
        let (sender, ended) = watch::channel(false);
        let (stop, found) = (Shutdown::new(), Arc::default());
        let running = Running { key: key.clone(), destination: destination.clone(), stop, found, ended };
        all.insert(key.account, running.clone());
        Ok((running, sender))
    }

    /// The account has no import under way any more.
    pub(crate) fn dismiss(&self, key: &ImportKey) {
        self.inner.running.lock().remove(&key.account);
    }

    /// Refuses an account that has an import under way.
    pub fn require_none_ongoing(&self, account: AccountId) -> Result<(), ImportError> {
        match self.inner.running.lock().get(&account) {
            Some(Running { key, .. }) => Err(ImportError::Ongoing { key: key.clone() }),
            None => Ok(()),
        }
    }

    /// Whether log files can be imported from there, as far as can be known before they are read.
    ///
    /// # Errors
    /// What an import would end with at once.
    pub async fn check(&self, origin: &Origin, destination: &StoreKey) -> Result<(), OriginError> {
        self.inner.origins.open(origin, destination).await.map(drop)
    }

    /// The import into this store that is under way.
    pub fn ongoing(&self, store: &StoreKey) -> Option<ImportKey> {
        let all = self.inner.running.lock();
        all.get(&store.account).filter(|running| running.destination == *store).map(|running| running.key.clone())
    }

    /// Starts an import; it is durable when this returns.
    pub async fn start(&self, region: Region, new: NewImport) -> Result<Import, ImportError> {
        let NewImport { destination, origin, start, end } = new;
        let key = ImportKey { account: destination.account, region, id: self.inner.random.uuid() };
        let now = self.inner.clock.now();
        let import = Import {
            key,
            destination,
            origin,
            start,
            end,
            created: now,
            updated: now,
            status: ImportStatus::Initializing,
            scope: None,
            progress: Progress::default(),
            intent: None,
            again: false,
            interruptions: 0,
        };
        self.begin(import, Expect::Absent).await
    }

    /// Starts an import again that failed or was stopped: what failed is tried again, then it goes on where it was.
    pub async fn retry(&self, key: &ImportKey) -> Result<Import, ImportError> {
        self.require_none_ongoing(key.account)?;
        let Versioned { revision, value: mut import, .. } = self.document(key).await?;
        if !matches!(import.status, ImportStatus::Failed | ImportStatus::Stopped) {
            return Err(ImportError::NotToRetry { key: key.clone(), status: import.status });
        }
        import.status = ImportStatus::Initializing;
        import.updated = self.inner.clock.now();
        import.interruptions = 0;
        import.again = true;
        self.begin(import, Expect::Revision(revision)).await
    }

    async fn begin(&self, import: Import, expect: Expect) -> Result<Import, ImportError> {
        let (running, ended) = self.admit(&import.key, &import.destination)?;
        if let Err(error) = self.inner.catalog.commit(vec![import.put(expect)]).await {
            self.dismiss(&import.key);
            return Err(error.into());
        }
        CrashPoint::ImportsStarted.reach();
        self.spawn_run(running, ended);
        Ok(import)
    }

    /// Stops an import: once this returns, nothing more of it comes into the store.
    pub async fn stop(&self, key: &ImportKey) -> Result<Import, ImportError> {
        let running = self.inner.running.lock().get(&key.account).filter(|running| running.key == *key).cloned();
        let Some(mut running) = running else {
            let import = self.document(key).await?.value;
            return Err(ImportError::NotOngoing { key: key.clone(), status: import.status });
        };
        running.stop.begin();
        // A sender that is gone has ended, too.
        let _ = running.ended.wait_for(|ended| *ended).await;
        let import = self.document(key).await?.value;
        // Interrupted by the server's end, it goes on at the next start.
        if import.status.is_ongoing() { Err(ImportError::Stopping) } else { Ok(import) }
    }

    /// The import as it is now.
    pub async fn find(&self, key: &ImportKey) -> Result<Import, ImportError> {
        let mut import = self.document(key).await?.value;
        if let Some(running) = self.inner.running.lock().get(&key.account).filter(|running| running.key == *key) {
            let Statistics { prefixes_found, .. } = &mut import.progress.statistics;
            *prefixes_found = running.found.load(Ordering::Relaxed).max(*prefixes_found);
        }
        Ok(import)
    }

    pub(crate) async fn document(&self, key: &ImportKey) -> Result<Versioned<Import>, ImportError> {
        let found = self.inner.catalog.find::<Import>(IMPORTS, &key.to_string()).await?;
        found.ok_or_else(|| ImportError::NotFound { key: key.clone() })
    }

    /// The imports that an account started in a Region, newest first.
    pub async fn list(&self, account: AccountId, region: &Region) -> Result<Vec<Import>, CatalogError> {
        let all = self.inner.catalog.all::<Import>(IMPORTS, &format!("{account}/{region}/")).await?;
        let mut imports: Vec<Import> = all.into_iter().map(|document| document.value).collect();
        imports.sort_by_key(|import| std::cmp::Reverse((import.created, import.key.id)));
        Ok(imports)
    }

    /// What failed in the import now or before, up to `limit` entries whose location comes after `after`.
    pub async fn failures(&self, key: &ImportKey, after: &str, limit: usize) -> Result<Vec<Failure>, ImportError> {
        let import = self.document(key).await?.value;
        let mut failures = self.failed(key, after, limit).await?;
        let retried = if import.again { Some(String::new()) } else { import.progress.retried };
        if let (true, Some(retried)) = (import.status.is_ongoing(), retried) {
            for failure in failures.iter_mut().filter(|failure| failure.location > retried) {
                if failure.status == FailureStatus::Failed {
                    failure.status = FailureStatus::Retry;
                }
            }
        }
        Ok(failures)
    }

    pub(crate) async fn failed(
        &self,
        key: &ImportKey,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Failure>, CatalogError> {
        let (prefix, after) = (failure_key(key, ""), failure_key(key, after));
        let page = self.inner.catalog.list(FAILURES, &prefix, &after, limit).await?;
        page.into_iter()
            .map(|document| {
                serde_json::from_slice(&document.value).map_err(|error| CatalogError::Malformed {
                    kind: FAILURES.to_owned(),
                    key: document.key.clone(),
                    reason: error.to_string(),
                })
            })
            .collect()
    }
}
