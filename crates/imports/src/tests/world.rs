//! An import between a bucket and a store that the tests make, with faults at every durable step.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use opentrail_catalog::{Catalog, CatalogError, Change, MemoryCatalog, Versioned};
use opentrail_model::{Region, Timestamp};
use opentrail_runtime::{Clock, Shutdown, SystemRandom, TaskGroup};
use opentrail_stores::{EventDataStore, StoreKey, Stores};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::*;

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const NOW: &str = "2026-03-10T12:00:00Z";

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not done, and fails.
    Lost,
    /// It is done, and reported failed.
    KeptButFailed,
    /// The process dies before it.
    DiesBefore,
    /// The process dies after it.
    DiesAfter,
}

/// Counts the durable steps, and has one fail.
#[derive(Debug, Default)]
pub(super) struct Faults {
    plan: Mutex<(u64, Option<(u64, Fault)>)>,
    pub(super) died: Notify,
}

impl Faults {
    pub(super) fn plan(&self, step: u64, fault: Fault) {
        *self.plan.lock() = (0, Some((step, fault)));
    }

    pub(super) fn clear(&self) -> u64 {
        std::mem::take(&mut *self.plan.lock()).0
    }

    fn next(&self) -> Option<Fault> {
        let mut plan = self.plan.lock();
        plan.0 += 1;
        plan.1.filter(|(step, _)| *step == plan.0).map(|(_, fault)| fault)
    }

    async fn step<T, E>(
        &self,
        failure: E,
        work: impl Future<Output = std::result::Result<T, E>>,
    ) -> std::result::Result<T, E> {
        match self.next() {
            None => work.await,
            Some(Fault::Lost) => Err(failure),
            Some(Fault::KeptButFailed) => work.await.and(Err(failure)),
            Some(fault) => {
                if fault == Fault::DiesAfter {
                    let _ = work.await;
                }
                self.died.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[derive(Debug)]
struct FaultyCatalog(Arc<MemoryCatalog>, Arc<Faults>);

#[async_trait]
impl Catalog for FaultyCatalog {
    async fn get(
        &self,
        kind: &'static str,
        key: &str,
    ) -> std::result::Result<Option<Versioned<Vec<u8>>>, CatalogError> {
        self.0.get(kind, key).await
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> std::result::Result<Vec<Versioned<Vec<u8>>>, CatalogError> {
        self.0.list(kind, prefix, after, limit).await
    }

    async fn commit(&self, changes: Vec<Change>) -> std::result::Result<(), CatalogError> {
        self.1.step(CatalogError::Unavailable { reason: "injected".into() }, self.0.commit(changes)).await
    }
}

/// A store in memory.
#[derive(Debug, Default)]
pub(super) struct Table {
    chunks: Mutex<BTreeMap<Uuid, u64>>,
    events: Mutex<Vec<Event>>,
}

impl Table {
    /// The events, in an order of their own.
    pub(super) fn events(&self) -> Vec<String> {
        let mut events: Vec<String> =
            self.events.lock().iter().map(|event| String::from_utf8(event.raw.to_vec()).unwrap()).collect();
        events.sort();
        events
    }
}

#[derive(Debug)]
struct FaultyTable(Arc<Table>, Arc<Faults>);

#[async_trait]
impl Destinations for FaultyTable {
    async fn landed(&self, _: &StoreKey, import: Uuid) -> std::result::Result<u64, DestinationError> {
        Ok(self.0.chunks.lock().get(&import).copied().unwrap_or_default())
    }

    async fn add(&self, _: &StoreKey, chunk: Chunk) -> std::result::Result<(), DestinationError> {
        let add = async {
            let last = self.0.chunks.lock().insert(chunk.import, chunk.number).unwrap_or_default();
            assert_eq!(chunk.number, last + 1, "chunks come once and in order");
            self.0.events.lock().extend(chunk.events);
            Ok(())
        };
        self.1.step(DestinationError::Failed { reason: "injected".into() }, add).await
    }
}

/// A bucket, parts of which can be forbidden or out of order.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) inner: InMemory,
    pub(super) forbidden: Mutex<Vec<String>>,
    pub(super) broken: Mutex<Vec<String>>,
}

impl Bucket {
    fn check(&self, path: Option<&Path>) -> Result<()> {
        let path = path.map(ToString::to_string).unwrap_or_default();
        let named = |names: &Mutex<Vec<String>>| names.lock().contains(&path);
        if named(&self.forbidden) {
            return Err(Error::PermissionDenied { path, source: "injected".into() });
        }
        if named(&self.broken) {
            return Err(Error::Generic { store: "Bucket", source: "injected".into() });
        }
        Ok(())
    }
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bucket")
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(Some(path))?;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check(prefix) {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check(prefix)?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct OneBucket(Arc<Bucket>);

#[async_trait]
impl Origins for OneBucket {
    async fn open(&self, _: &Origin, _: &StoreKey) -> std::result::Result<Arc<dyn ObjectStore>, OriginError> {
        Ok(Arc::clone(&self.0) as _)
    }
}

/// A clock on which whoever sleeps has slept at once.
#[derive(Debug)]
pub(super) struct Hasty(Mutex<Timestamp>);

impl Hasty {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(NOW.parse().unwrap())))
    }
}

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let mut now = self.0.lock();
        *now = deadline.max(*now);
    }
}

pub(super) struct World {
    pub(super) bucket: Arc<Bucket>,
    pub(super) catalog: Arc<MemoryCatalog>,
    pub(super) faults: Arc<Faults>,
    pub(super) table: Arc<Table>,
    pub(super) clock: Arc<Hasty>,
    pub(super) options: ImportsOptions,
    /// The events that the bucket's log files have.
    pub(super) put: Vec<String>,
}

pub(super) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn store() -> EventDataStore {
    let now = NOW.parse().unwrap();
    let region: Region = "us-east-1".parse().unwrap();
    let key = StoreKey { account: ACCOUNT.parse().unwrap(), home_region: region, id: Uuid::from_u128(7) };
    EventDataStore::new(key, "store", Vec::new(), now)
}

impl World {
    pub(super) async fn new() -> Self {
        let catalog = Arc::new(MemoryCatalog::default());
        Stores::new(Arc::clone(&catalog) as _).create(&store()).await.unwrap();
        let (forbidden, broken) = (Mutex::default(), Mutex::default());
        let bucket = Arc::new(Bucket { inner: InMemory::new(), forbidden, broken });
        let options =
            ImportsOptions { chunk_bytes: 300, patience: Duration::from_secs(60), ..ImportsOptions::default() };
        let (faults, table) = (Arc::default(), Arc::default());
        Self { bucket, catalog, faults, table, clock: Hasty::new(), options, put: Vec::new() }
    }

    /// The same with the bucket of another.
    pub(super) async fn with(self, other: &Self) -> Self {
        let mut all = other.bucket.inner.list(None);
        while let Some(meta) = all.next().await {
            let path = meta.unwrap().location;
            let bytes = other.bucket.inner.get(&path).await.unwrap().bytes().await.unwrap();
            self.put(path.as_ref(), bytes).await;
        }
        self
    }

    pub(super) async fn put(&self, key: &str, bytes: impl Into<PutPayload>) {
        self.bucket.put(&Path::from(key), bytes.into()).await.unwrap();
    }

    /// Puts a log file with events of this time.
    pub(super) async fn put_log(&mut self, key: &str, events: usize, time: &str) {
        let event = |n: usize| format!("{{\"eventTime\":\"{time}\",\"n\": {n},\"in\":\"{key}\"}}");
        let events: Vec<String> = (0..events).map(event).collect();
        self.put(key, gzip(&format!("{{\"Records\":[{}]}}", events.join(",")))).await;
        self.put.extend(events);
        self.put.sort();
    }

    /// A new process.
    pub(super) async fn open(&self) -> Imports {
        Imports::open(ImportsDeps {
            catalog: Arc::new(FaultyCatalog(Arc::clone(&self.catalog), Arc::clone(&self.faults))),
            origins: Arc::new(OneBucket(Arc::clone(&self.bucket))),
            destinations: Arc::new(FaultyTable(Arc::clone(&self.table), Arc::clone(&self.faults))),
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(SystemRandom),
            options: self.options.clone(),
            tasks: TaskGroup::new(Shutdown::new()),
        })
        .await
        .unwrap()
    }

    pub(super) fn new_import(&self, folder: &str) -> NewImport {
        let origin = Origin {
            uri: format!("s3://logs/{folder}"),
            bucket: "logs".into(),
            folder: folder.into(),
            region: "us-east-1".parse().unwrap(),
            role: format!("arn:aws:iam::{ACCOUNT}:role/import"),
        };
        NewImport { destination: store().key, origin, start: None, end: None }
    }

    pub(super) async fn start(&self, imports: &Imports, folder: &str) -> ImportKey {
        imports.start("us-east-1".parse().unwrap(), self.new_import(folder)).await.unwrap().key
    }
}

/// The import once it has ended.
pub(super) async fn ended(imports: &Imports, key: &ImportKey) -> Import {
    loop {
        let import = imports.find(key).await.unwrap();
        if !import.status.is_ongoing() && imports.require_none_ongoing(key.account).is_ok() {
            return import;
        }
        tokio::task::yield_now().await;
    }
}

pub(super) fn key(region: &str, day: &str, name: &str) -> String {
    format!("AWSLogs/{ACCOUNT}/CloudTrail/{region}/{day}/{ACCOUNT}_CloudTrail_{region}_{name}.json.gz")
}
