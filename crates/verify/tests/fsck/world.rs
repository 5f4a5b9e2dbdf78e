//! A small data directory, made by the real writers, to be copied and damaged.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use opentrail_catalog::{Catalog, CatalogError, Change, Expect, SqliteCatalog, Versioned};
use opentrail_delivery::{Delivery, DeliveryDeps, DeliverySettings};
use opentrail_history::{History, HistoryOptions};
use opentrail_journal::{Journal, NewEntry, SegmentsJournal, SegmentsOptions};
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Position, Region, Selectors, Source, Timestamp};
use opentrail_objects::Store;
use opentrail_projection::{Feed, Projection};
use opentrail_runtime::{Clock, ManualClock, SeededRandom, Shutdown, TaskGroup};
use opentrail_trails::{BucketError, Buckets, Delivery as To, Nowhere, Trail, TrailChange, TrailKey};
use opentrail_verify::{Area, FsckError, FsckFinding, FsckOptions, FsckReport, fsck};
use tokio::sync::{OnceCell, watch};

pub const OWNER: &str = "111122223333";
pub const BUCKET: &str = "trail-logs";
/// 2026-11-21T12:00:00Z, when these tests take place.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);
/// Enough flushes of the history that its log has a checkpoint.
const BATCHES: u64 = 55;
const RECORDS: u64 = 4;
/// Entries in the journal: a trail and the records.
pub const LAST: u64 = 1 + (BATCHES + 1) * RECORDS;

/// A data directory that a test may damage.
#[derive(Debug)]
pub struct World(tempfile::TempDir);

static ORIGINAL: OnceCell<tempfile::TempDir> = OnceCell::const_new();

/// A copy of the data directory of a server that has stopped.
pub async fn world() -> World {
    let original = ORIGINAL
        .get_or_init(async || {
            let dir = tempfile::tempdir().unwrap();
            make(dir.path()).await;
            dir
        })
        .await;
    let copy = tempfile::tempdir().unwrap();
    copy_all(original.path(), copy.path());
    World(copy)
}

impl World {
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub async fn try_check(&self) -> Result<FsckReport, FsckError> {
        fsck(self.0.path(), FsckOptions::at(NOW + Duration::from_secs(2 * 3600)), Arc::new(|_| {})).await
    }

    pub async fn check(&self) -> FsckReport {
        self.try_check().await.unwrap()
    }

    /// Files below `name` whose names contain `part`, sorted, relative to the data directory.
    pub fn files(&self, name: &str, part: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut pending = vec![self.path(name)];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else if path.file_name().unwrap().to_string_lossy().contains(part) {
                    found.push(path.strip_prefix(self.0.path()).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }

    /// Turns over one bit of the byte at `offset`.
    pub fn flip(&self, name: &str, offset: u64) {
        let file = File::options().read(true).write(true).open(self.path(name)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
    }

    pub fn cut(&self, name: &str, by: u64) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_len(file.metadata().unwrap().len() - by).unwrap();
    }

    pub fn swap(&self, one: &str, other: &str) {
        let between = self.path("between");
        fs::rename(self.path(one), &between).unwrap();
        fs::rename(self.path(other), self.path(one)).unwrap();
        fs::rename(between, self.path(other)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Puts `change(body)` in the place of a document's body.
    pub async fn edit(
        &self,
        kind: &'static str,
        key: &str,
        change: impl FnOnce(serde_json::Value) -> serde_json::Value,
    ) {
        let catalog = SqliteCatalog::open(&self.path("catalog.sqlite")).await.unwrap();
        let body = catalog.get(kind, key).await.unwrap().unwrap().value;
        let body = change(serde_json::from_slice(&body).unwrap());
        catalog.commit(vec![Change::put(kind, key, Expect::Anything, &body)]).await.unwrap();
        catalog.close().await;
    }
}

/// The one finding that is damage of `area` and says `problem`; a clear failure when there is none.
#[track_caller]
pub fn damage<'a>(report: &'a FsckReport, area: Area, problem: &str) -> &'a FsckFinding {
    find(report, area, problem, true)
}

#[track_caller]
pub fn remark<'a>(report: &'a FsckReport, area: Area, problem: &str) -> &'a FsckFinding {
    find(report, area, problem, false)
}

#[track_caller]
fn find<'a>(report: &'a FsckReport, area: Area, problem: &str, is_damage: bool) -> &'a FsckFinding {
    let fits =
        |found: &&FsckFinding| found.area == area && found.is_damage == is_damage && found.problem.contains(problem);
    report
        .findings
        .iter()
        .find(fits)
        .unwrap_or_else(|| panic!("no {area} finding says {problem:?}: {:#?}", report.findings))
}

/// Which areas have damage.
pub fn damaged(report: &FsckReport) -> Vec<Area> {
    report.areas.iter().filter(|area| area.damage > 0).map(|area| area.area).collect()
}

pub fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn trail() -> Trail {
    Trail {
        key: TrailKey {
            account: OWNER.parse().unwrap(),
            home_region: Region::us_east_1(),
            name: "main".parse().unwrap(),
        },
        version: 1,
        bucket: BUCKET.into(),
        prefix: Some("v1.2/prefix".into()),
        kms_key: None,
        organization: None,
        include_global_service_events: true,
        multi_region: true,
        log_file_validation: true,
        recursive_logging: true,
        logging: true,
        started: Some(NOW),
        stopped: None,
        selectors: Selectors::default(),
        aggregation: Vec::new(),
        insights: Vec::new(),
        topic: None,
        log_group: None,
        tags: Vec::new(),
        created: NOW,
    }
}

pub fn record(number: u64) -> Bytes {
    // Nothing that compresses away: of equal bytes a damaged file could tell the same as a whole one.
    let part = |part: u64| format!("{:016x}", (number * 1000 + part + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let padding: String = (0..60).map(part).collect();
    format!(
        r#"{{ "eventID":"id-{number}","awsRegion":"us-east-1","eventTime":"{NOW}","eventSource":"iam.amazonaws.com","eventName":"CreateUser","x":1,"x":"{padding}" }}"#
    )
    .into()
}

async fn make(root: &Path) {
    let clock = Arc::new(ManualClock::new(NOW));
    fs::write(root.join("LOCK"), "4242\n").unwrap();
    let sqlite = Arc::new(SqliteCatalog::open(&root.join("catalog.sqlite")).await.unwrap());
    let catalog = Arc::new(Watched { inner: Arc::clone(&sqlite), commits: watch::Sender::new(0) });
    let segments = SegmentsOptions { segment_bytes: 64 << 10, ..SegmentsOptions::default() };
    let journal: Arc<dyn Journal> = Arc::new(SegmentsJournal::open(&root.join("journal"), segments).unwrap());
    let store = Store::open(&root.join("objects"), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    store.create_bucket(BUCKET, OWNER.parse().unwrap(), Region::us_east_1()).unwrap();
    let feed = Feed::new(Arc::clone(&journal));
    let tasks = TaskGroup::new(Shutdown::new());
    let delivery = Delivery::start(DeliveryDeps {
        catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
        feed: Arc::clone(&feed),
        buckets: Arc::new(OneStore(store)),
        topics: Arc::new(Nowhere),
        log_groups: Arc::new(Nowhere),
        keys: Arc::new(KeyRing::ephemeral(Arc::new(SeededRandom::new(1)))),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        random: Arc::new(SeededRandom::new(2)),
        settings: DeliverySettings::default(),
        tasks: tasks.clone(),
    })
    .await
    .unwrap();
    let history_dir = root.join("tables/history");
    let (mut history, _) =
        History::open(&history_dir, HistoryOptions::default(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();

    let trail = trail();
    catalog.commit(vec![Change::put("trails", trail.key.to_string(), Expect::Absent, &trail)]).await.unwrap();
    append(&*journal, Source::Control, vec![TrailChange::PutTrail(Box::new(trail.clone())).to_bytes()]).await;
    let mut applied = Position::START;
    for batch in 0..BATCHES {
        let records = (0..RECORDS).map(|index| record(batch * RECORDS + index)).collect();
        append(&*journal, Source::Gateway, records).await;
        while applied < journal.tail() {
            let batch = feed.next(applied).await.unwrap();
            applied = batch.through;
            history.apply(&batch).await.unwrap();
        }
        history.finish().await.unwrap();
    }
    // Delivered, and then listed in a digest.
    catalog.until(async || catalog.get("delivery-workers", &trail.key.to_string()).await.unwrap().is_some()).await;
    delivery.flush().await;
    let listed = async || catalog.list("delivery-files", "", "", 1).await.unwrap().is_empty();
    assert!(!listed().await, "something was delivered");
    clock.advance(Duration::from_secs(3600));
    catalog.until(listed).await;
    // Delivered, and in no digest yet.
    append(&*journal, Source::Gateway, (0..RECORDS).map(|index| record(BATCHES * RECORDS + index)).collect()).await;
    delivery.flush().await;
    history.finish().await.unwrap();
    tasks.shutdown().begin();
    tasks.join(Duration::from_secs(60)).await;
    journal.close().await;
    sqlite.close().await;
}

pub async fn append(journal: &dyn Journal, source: Source, bodies: Vec<Bytes>) {
    let account: AccountId = OWNER.parse().unwrap();
    let entry = |body| NewEntry { source, account, received: NOW, body };
    journal.append(bodies.into_iter().map(entry).collect()).await.unwrap();
}

/// Every bucket is the embedded store's, and lets everybody in.
#[derive(Debug)]
struct OneStore(Store);

#[async_trait]
impl Buckets for OneStore {
    async fn check(&self, _: To<'_>) -> Result<(), BucketError> {
        Ok(())
    }

    async fn open(&self, to: To<'_>) -> Result<Arc<dyn ObjectStore>, BucketError> {
        Ok(self.0.object_store(to.bucket))
    }
}

/// A catalog whose commits can be waited for.
#[derive(Debug)]
struct Watched {
    inner: Arc<SqliteCatalog>,
    commits: watch::Sender<u64>,
}

impl Watched {
    async fn until(&self, mut holds: impl AsyncFnMut() -> bool) {
        let mut commits = self.commits.subscribe();
        while !holds().await {
            commits.changed().await.unwrap();
        }
    }
}

#[async_trait]
impl Catalog for Watched {
    async fn get(&self, kind: &'static str, key: &str) -> Result<Option<Versioned<Vec<u8>>>, CatalogError> {
        self.inner.get(kind, key).await
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Versioned<Vec<u8>>>, CatalogError> {
        self.inner.list(kind, prefix, after, limit).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), CatalogError> {
        let done = self.inner.commit(changes).await;
        self.commits.send_modify(|commits| *commits += 1);
        done
    }
}
