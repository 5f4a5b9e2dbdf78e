//! A bucket that is followed into a journal that the tests make, with faults at every durable step.

use std::collections::{BTreeMap, BTreeSet};
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
use opentrail_ingest::{DedupWindow, Ingest};
use opentrail_journal::{AppendError, Appended, Entry, Journal, MemoryJournal, NewEntry, ReadError, TrimError};
use opentrail_model::{AccountId, Position, Source as Way, Timestamp};
use opentrail_runtime::{Clock, Shutdown, TaskGroup};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::follow::Inner;
use crate::follower::{Follower, LookError};
use crate::*;

/// The account of the source.
pub(super) const OURS: &str = "111122223333";
/// An account of the server that the source names.
pub(super) const NAMED: &str = "222233334444";
/// An account of the server that it does not name.
pub(super) const UNNAMED: &str = "333344445555";
/// An account elsewhere.
pub(super) const ELSEWHERE: &str = "999988887777";
pub(super) const NOW: &str = "2026-03-10T12:00:00Z";
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not done, and fails.
    Lost,
    /// It is done, and reported failed. (The journal promises that this does not happen: it is not done there.)
    KeptButFailed,
    /// The process dies before it.
    DiesBefore,
    /// The process dies after it.
    DiesAfter,
}

/// Counts the steps that can fail, and has one fail.
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

#[derive(Debug)]
struct FaultyJournal(Arc<MemoryJournal>, Arc<Faults>);

#[async_trait]
impl Journal for FaultyJournal {
    async fn append(&self, batch: Vec<NewEntry>) -> std::result::Result<Appended, AppendError> {
        match self.1.next() {
            None => self.0.append(batch).await,
            Some(Fault::Lost | Fault::KeptButFailed) => Err(AppendError::Unavailable { reason: "injected".into() }),
            Some(fault) => {
                if fault == Fault::DiesAfter {
                    let _ = self.0.append(batch).await;
                }
                self.1.died.notify_one();
                std::future::pending().await
            }
        }
    }

    async fn read(&self, after: Position, max_bytes: usize) -> std::result::Result<Vec<Entry>, ReadError> {
        self.0.read(after, max_bytes).await
    }

    fn tail(&self) -> Position {
        self.0.tail()
    }

    async fn wait_past(&self, position: Position) {
        self.0.wait_past(position).await;
    }

    fn trimmed(&self) -> Position {
        self.0.trimmed()
    }

    async fn trim(&self, through: Position) -> std::result::Result<(), TrimError> {
        self.0.trim(through).await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// A bucket that says of each object the time that the test's clock had, and whose requests are counted.
#[derive(Debug)]
pub(super) struct Bucket {
    inner: InMemory,
    modified: Mutex<BTreeMap<String, Timestamp>>,
    /// Folders and keys that are forbidden.
    pub(super) forbidden: Mutex<BTreeSet<String>>,
    /// Keys that fail for a while.
    pub(super) broken: Mutex<BTreeSet<String>>,
    pub(super) listings: Mutex<u64>,
    pub(super) gets: Mutex<Vec<String>>,
    faults: Arc<Faults>,
}

impl Bucket {
    fn check(&self, path: &str) -> Result<()> {
        if self.forbidden.lock().contains(path) {
            return Err(Error::PermissionDenied { path: path.to_owned(), source: "injected".into() });
        }
        if self.broken.lock().contains(path) {
            return Err(Error::Generic { store: "Bucket", source: "injected".into() });
        }
        Ok(())
    }

    fn list_check(&self, prefix: Option<&Path>) -> Result<()> {
        *self.listings.lock() += 1;
        self.check(&prefix.map(ToString::to_string).unwrap_or_default())
    }

    fn dated(&self, mut meta: ObjectMeta) -> ObjectMeta {
        if let Some(time) = self.modified.lock().get(meta.location.as_ref()) {
            meta.last_modified = chrono::DateTime::from_timestamp_millis(time.as_millis()).unwrap();
        }
        meta
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
        self.check(path.as_ref())?;
        self.gets.lock().push(path.to_string());
        let mut got = match self.faults.next() {
            None => self.inner.get_opts(path, options).await?,
            Some(Fault::Lost | Fault::KeptButFailed) => {
                return Err(Error::Generic { store: "Bucket", source: "injected".into() });
            }
            Some(_) => {
                self.faults.died.notify_one();
                std::future::pending().await
            }
        };
        got.meta = self.dated(got.meta);
        Ok(got)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        panic!("whole folders are never listed");
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.list_check(prefix) {
            Ok(()) => {
                let modified = self.modified.lock().clone();
                let listed = self.inner.list_with_offset(prefix, offset);
                listed
                    .map(move |meta| {
                        let mut meta = meta?;
                        if let Some(time) = modified.get(meta.location.as_ref()) {
                            meta.last_modified = chrono::DateTime::from_timestamp_millis(time.as_millis()).unwrap();
                        }
                        Ok(meta)
                    })
                    .boxed()
            }
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.list_check(prefix)?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct Around(Arc<Bucket>, Arc<Mutex<Option<OpenError>>>);

#[async_trait]
impl Surroundings for Around {
    async fn open(&self, _: &Source) -> std::result::Result<Arc<dyn ObjectStore>, OpenError> {
        match self.1.lock().clone() {
            None => Ok(Arc::clone(&self.0) as _),
            Some(error) => Err(error),
        }
    }

    fn is_here(&self, account: AccountId) -> bool {
        [OURS, NAMED, UNNAMED].contains(&account.to_string().as_str())
    }
}

/// A queue whose deletions can fail, and which gives a message again and again.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) messages: Mutex<BTreeMap<String, String>>,
    pub(super) put_back: Mutex<Vec<String>>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Queue for Inbox {
    async fn receive(&self) -> std::result::Result<Vec<Message>, QueueError> {
        let messages = self.messages.lock();
        let message = |(receipt, body): (&String, &String)| Message { body: body.clone(), receipt: receipt.clone() };
        Ok(messages.iter().take(10).map(message).collect())
    }

    async fn delete(&self, receipts: &[String]) -> std::result::Result<(), QueueError> {
        let delete = async {
            let mut messages = self.messages.lock();
            for receipt in receipts {
                messages.remove(receipt);
            }
            Ok(())
        };
        self.faults.step(QueueError { reason: "injected".into() }, delete).await
    }

    async fn put_back(&self, receipt: &str) -> std::result::Result<(), QueueError> {
        self.put_back.lock().push(receipt.to_owned());
        Ok(())
    }
}

/// A clock on which whoever sleeps has slept at once.
#[derive(Debug)]
pub(super) struct Hasty(Mutex<Timestamp>);

impl Hasty {
    pub(super) fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        *now = *now + by;
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
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) faults: Arc<Faults>,
    pub(super) clock: Arc<Hasty>,
    pub(super) refusal: Arc<Mutex<Option<OpenError>>>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) source: Source,
    pub(super) options: FollowOptions,
    /// Whether a new process knows the newest records of the journal.
    pub(super) remembers: bool,
    /// The records that the bucket's log files have.
    pub(super) put: Vec<String>,
}

/// A process that follows, and is looked at step by step.
pub(super) struct Life {
    follow: Follow,
    fold: Mutex<Option<Fold>>,
    follower: Mutex<Option<Follower>>,
    journal: Arc<MemoryJournal>,
    inbox: Arc<Inbox>,
}

pub(super) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        let faults = Arc::<Faults>::default();
        let bucket = Bucket {
            inner: InMemory::new(),
            modified: Mutex::default(),
            forbidden: Mutex::default(),
            broken: Mutex::default(),
            listings: Mutex::default(),
            gets: Mutex::default(),
            faults: Arc::clone(&faults),
        };
        let inbox = Inbox { messages: Mutex::default(), put_back: Mutex::default(), faults: Arc::clone(&faults) };
        let source = Source {
            name: "aws".into(),
            bucket: "logs".into(),
            prefix: String::new(),
            organization: None,
            accounts: BTreeSet::new(),
            regions: BTreeSet::new(),
            account: OURS.parse().unwrap(),
            start: Start::Back(HOUR),
            poll: Duration::from_secs(60),
            sweep: Duration::from_secs(60),
            look_back: 24 * HOUR,
        };
        Self {
            bucket: Arc::new(bucket),
            catalog: Arc::new(MemoryCatalog::default()),
            journal: Arc::new(MemoryJournal::default()),
            faults,
            clock: Arc::new(Hasty(Mutex::new(time(NOW)))),
            refusal: Arc::default(),
            inbox: Arc::new(inbox),
            source,
            options: FollowOptions { chunk_bytes: 200, ..FollowOptions::default() },
            remembers: false,
            put: Vec::new(),
        }
    }

    pub(super) async fn put(&self, key: &str, bytes: impl Into<PutPayload>) {
        self.bucket.modified.lock().insert(key.to_owned(), self.clock.now());
        self.bucket.put(&Path::from(key), bytes.into()).await.unwrap();
    }

    /// Puts a log file with so many records that name this account.
    pub(super) async fn put_log(&mut self, key: &str, records: usize, account: &str) {
        let record = |n: usize| {
            format!(
                "{{\"eventTime\":\"{NOW}\", \"eventID\":\"{key}-{n}\",\"n\": {n}, \"recipientAccountId\":\"{account}\"}}"
            )
        };
        let records: Vec<String> = (0..records).map(record).collect();
        self.put(key, gzip(&format!("{{\"Records\":[{}]}}", records.join(", ")))).await;
        self.put.extend(records);
        self.put.sort();
    }

    /// Has the queue tell of an object, as S3 does.
    pub(super) fn tell(&self, receipt: &str, keys: &[&str]) {
        let record = |key: &&str| {
            serde_json::json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                               "s3": {"bucket": {"name": "logs"}, "object": {"key": key}}})
        };
        let records: Vec<_> = keys.iter().map(record).collect();
        self.say(receipt, &serde_json::json!({ "Records": records }).to_string());
    }

    pub(super) fn say(&self, receipt: &str, body: &str) {
        self.inbox.messages.lock().insert(receipt.to_owned(), body.to_owned());
    }

    /// A new process.
    pub(super) async fn open(&self) -> std::result::Result<Life, CatalogError> {
        let catalog: Arc<dyn Catalog> = Arc::new(FaultyCatalog(Arc::clone(&self.catalog), Arc::clone(&self.faults)));
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let sources = vec![(self.source.clone(), None)];
        let (follow, fold) = Follow::open(catalog, Arc::clone(&clock), self.journal.tail(), sources).await?;
        let journal = Arc::new(FaultyJournal(Arc::clone(&self.journal), Arc::clone(&self.faults)));
        let window =
            if self.remembers { DedupWindow::load(1000, &*self.journal).await.unwrap() } else { DedupWindow::new(1) };
        let ingest = Ingest::new(journal, clock, window);
        let surroundings = Arc::new(Around(Arc::clone(&self.bucket), Arc::clone(&self.refusal)));
        let deps =
            FollowDeps { ingest, surroundings, options: self.options.clone(), tasks: TaskGroup::new(Shutdown::new()) };
        let followed = follow.sources()[0].clone();
        let follower = Follower::new(Arc::new(Inner::new(&follow, deps, Arc::new(Semaphore::new(2)))), followed);
        let (journal, inbox) = (Arc::clone(&self.journal), Arc::clone(&self.inbox));
        Ok(Life { follow, fold: Mutex::new(fold), follower: Mutex::new(Some(follower)), journal, inbox })
    }

    /// What is in the journal, in an order of its own, with whose it is.
    pub(super) async fn taken(&self) -> Vec<(String, String)> {
        let entries = self.journal.read(Position::START, usize::MAX).await.unwrap();
        let records = entries.into_iter().filter(|entry| entry.source != Way::Control);
        let mut records: Vec<_> = records
            .map(|entry| {
                assert_eq!(entry.source, Way::Records);
                (String::from_utf8(entry.body.to_vec()).unwrap(), entry.account.to_string())
            })
            .collect();
        records.sort();
        records
    }

    pub(super) async fn raw(&self) -> Vec<String> {
        self.taken().await.into_iter().map(|(raw, _)| raw).collect()
    }

    pub(super) async fn report(&self, life: &Life) -> SourceReport {
        life.follow.report(self.source.account).await.unwrap().remove(0)
    }

    /// How many documents of a kind there are.
    pub(super) async fn documents(&self, kind: &'static str) -> usize {
        self.catalog.list(kind, "", "", 10_000).await.unwrap().len()
    }
}

impl Life {
    /// Some messages, while marks are folded in. A process that dies never returns.
    pub(super) async fn listen(&self) -> std::result::Result<(), LookError> {
        self.step(true).await
    }

    /// One look at the bucket, likewise.
    pub(super) async fn look(&self) -> std::result::Result<(), LookError> {
        self.step(false).await
    }

    async fn step(&self, listens: bool) -> std::result::Result<(), LookError> {
        let (mut fold, mut follower) = (self.fold.lock().take().unwrap(), self.follower.lock().take().unwrap());
        let looked = {
            let look = async {
                follower.caught_up().await;
                let looked =
                    if listens { follower.listen(&*self.inbox).await.map(drop) } else { follower.look().await };
                follower.note(looked.as_ref().err());
                looked
            };
            tokio::select! {
                looked = look => looked,
                never = Self::folds(&mut fold, &self.journal) => match never {},
            }
        };
        *self.fold.lock() = Some(fold);
        *self.follower.lock() = Some(follower);
        looked
    }

    /// As the runner of projections does.
    async fn folds(fold: &mut Fold, journal: &MemoryJournal) -> std::convert::Infallible {
        'resume: loop {
            let Ok(mut read) = fold.resume().await else { continue };
            loop {
                journal.wait_past(read).await;
                // One batch at a time, so that there are more places to die.
                let entries = journal.read(read, 1).await.unwrap();
                let marks: Vec<Mark> = entries
                    .iter()
                    .filter(|entry| entry.source == Way::Control)
                    .filter_map(|entry| Mark::from_bytes(&entry.body))
                    .collect();
                read = entries.last().unwrap().position;
                if fold.apply(&marks, read).await.is_err() {
                    continue 'resume;
                }
            }
        }
    }
}

/// The key of a log file with this time in its name.
pub(super) fn key(account: &str, region: &str, minute: &str, unique: &str) -> String {
    let time = time(minute);
    let (day, minute) = (time.format("%Y/%m/%d"), time.format("%Y%m%dT%H%MZ"));
    format!("AWSLogs/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{minute}_{unique}.json.gz")
}
