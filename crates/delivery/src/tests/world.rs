//! One journal, one catalog and some buckets that outlive the server, and lives of the server that may end anywhere.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attribute, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use opentrail_catalog::{Catalog, CatalogError, Change, MemoryCatalog, Versioned};
use opentrail_journal::{Journal, MemoryJournal, NewEntry};
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Position, Region, Selectors, Source, Timestamp};
use opentrail_projection::Feed;
use opentrail_runtime::{Clock, ManualClock, SeededRandom, Shutdown, SystemRandom, TaskGroup};
use opentrail_trails::{
    BucketError, Buckets, Delivery as To, LogBatch, LogGroup, LogGroupError, LogGroups, Memory, Status, TopicError,
    Topics, Trail, TrailChange, TrailKey, TrailStatus,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::{Delivery, DeliveryDeps, DeliveryError, DeliverySettings, PublicKeys};

pub(super) const OWNER: &str = "111122223333";
pub(super) const HOME: &str = "us-east-1";

/// The log group that keeps no position, and takes events one by one.
pub(super) const ELSEWHERE: &str = "arn:aws:logs:us-east-1:111122223333:log-group:elsewhere:*";

/// How a bucket misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Missing,
    Denied,
    /// Denies what is the account's.
    DeniedFor(AccountId),
    Hangs,
    /// Stores the object and then says that it failed.
    FailsAfterStoring,
    /// Refuses digests only.
    RefusesDigests,
}

/// What happens at the chosen step of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// It ends: from then on nothing that it asks of the world returns.
    Crash,
    /// The commit or put fails; if the step is after it, it was kept all the same.
    Failure,
}

/// Counts the steps of a life: each side of each commit and put.
#[derive(Debug)]
pub(super) struct Fuse {
    left: AtomicI64,
    mishap: Mishap,
    pub(super) blown: watch::Sender<bool>,
}

impl Fuse {
    fn new(steps: i64, mishap: Mishap) -> Arc<Self> {
        Arc::new(Self { left: AtomicI64::new(steps), mishap, blown: watch::Sender::new(false) })
    }

    pub(super) fn mishap(&self) -> Mishap {
        self.mishap
    }

    /// Whether to fail here.
    async fn step(&self) -> bool {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        match self.mishap {
            Mishap::Crash if left <= 0 => {
                self.blown.send_replace(true);
                std::future::pending().await
            }
            Mishap::Crash => false,
            Mishap::Failure => left == 0 && !self.blown.send_replace(true),
        }
    }

    async fn dead(&self) {
        if self.mishap == Mishap::Crash && *self.blown.borrow() {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) catalog: Arc<MemoryCatalog>,
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) settings: DeliverySettings,
    ring: Arc<KeyRing>,
    buckets: Mutex<BTreeMap<String, Arc<InMemory>>>,
    faults: Arc<Mutex<BTreeMap<String, Fault>>>,
    beside: Arc<Mutex<Beside>>,
    changes: Arc<watch::Sender<u64>>,
}

/// What topics and log groups have got.
#[derive(Debug, Default)]
struct Beside {
    /// Topic, message, deduplication.
    told: Vec<(String, String, String)>,
    /// Group, stream, event ID.
    logged: Vec<(String, String, String)>,
    through: BTreeMap<TrailKey, Position>,
}

/// The server between a start and a stop or crash.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) delivery: Delivery,
    pub(super) fuse: Arc<Fuse>,
    tasks: TaskGroup,
    feed: Arc<Feed>,
}

pub(super) fn trail(name: &str, bucket: &str) -> Trail {
    Trail {
        key: TrailKey {
            account: OWNER.parse().unwrap(),
            home_region: HOME.parse().unwrap(),
            name: name.parse().unwrap(),
        },
        version: 1,
        bucket: bucket.into(),
        prefix: None,
        kms_key: None,
        organization: None,
        include_global_service_events: true,
        multi_region: true,
        log_file_validation: true,
        recursive_logging: true,
        logging: true,
        started: None,
        stopped: None,
        selectors: Selectors::default(),
        aggregation: Vec::new(),
        insights: Vec::new(),
        topic: None,
        log_group: None,
        tags: Vec::new(),
        created: Timestamp::EPOCH,
    }
}

pub(super) fn record(id: &str, region: &str) -> String {
    // Odd spacing and a repeated key: what was received is what is delivered.
    format!(
        r#"{{ "eventID":"{id}","awsRegion":"{region}","eventTime":"2026-03-04T05:06:07Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","x":1,"x":2}}"#
    )
}

impl World {
    pub(super) fn new() -> Self {
        let start: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
        Self {
            catalog: Arc::default(),
            journal: Arc::default(),
            clock: Arc::new(ManualClock::new(start)),
            settings: DeliverySettings::default(),
            ring: Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom))),
            buckets: Mutex::default(),
            faults: Arc::default(),
            beside: Arc::default(),
            changes: Arc::new(watch::Sender::new(0)),
        }
    }

    /// A new world in which the digest keys of `other` are there already: making them takes most of a test's time.
    pub(super) async fn with_keys_of(other: &Self) -> Self {
        let world = Self { ring: Arc::clone(&other.ring), ..Self::new() };
        for key in other.catalog.list("digest-keys", "", "", 100).await.unwrap() {
            let change = Change {
                kind: "digest-keys",
                key: key.key,
                expect: opentrail_catalog::Expect::Absent,
                body: Some(key.value),
            };
            world.catalog.commit(vec![change]).await.unwrap();
        }
        world
    }

    pub(super) async fn live(&self) -> Life {
        self.live_for(i64::MAX).await
    }

    /// A life that ends at its step `steps`, counting each side of each commit and put.
    pub(super) async fn live_for(&self, steps: i64) -> Life {
        self.try_to_live(steps, Mishap::Crash).await.unwrap()
    }

    pub(super) async fn try_to_live(&self, steps: i64, mishap: Mishap) -> Result<Life, DeliveryError> {
        let fuse = Fuse::new(steps, mishap);
        let feed = Feed::new(Arc::clone(&self.journal) as Arc<dyn Journal>);
        let tasks = TaskGroup::new(Shutdown::new());
        let stores = self.buckets.lock().clone();
        let beside = Arc::new(TestBeside {
            got: Arc::clone(&self.beside),
            faults: Arc::clone(&self.faults),
            fuse: Arc::clone(&fuse),
            changes: Arc::clone(&self.changes),
        });
        let delivery = Delivery::start(DeliveryDeps {
            topics: Arc::clone(&beside) as Arc<dyn Topics>,
            log_groups: beside,
            catalog: Arc::new(MortalCatalog {
                inner: Arc::clone(&self.catalog),
                fuse: Arc::clone(&fuse),
                changes: Arc::clone(&self.changes),
            }),
            feed: Arc::clone(&feed),
            buckets: Arc::new(TestBuckets {
                stores,
                faults: Arc::clone(&self.faults),
                fuse: Arc::clone(&fuse),
                changes: Arc::clone(&self.changes),
            }),
            keys: Arc::clone(&self.ring),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            random: Arc::new(SeededRandom::new(1)),
            settings: self.settings,
            tasks: tasks.clone(),
        })
        .await?;
        Ok(Life { delivery, fuse, tasks, feed })
    }

    pub(super) fn make_bucket(&self, name: &str) {
        self.buckets.lock().insert(name.to_owned(), Arc::new(InMemory::new()));
    }

    /// What topics were told: topic, message, deduplication.
    pub(super) fn told(&self) -> Vec<(String, String, String)> {
        self.beside.lock().told.clone()
    }

    /// What log groups have: group, stream, event ID.
    pub(super) fn logged(&self) -> Vec<(String, String, String)> {
        self.beside.lock().logged.clone()
    }

    /// A log group gets an event of the owner's late.
    pub(super) fn arrive(&self, group: &str, id: &str) {
        let stream = format!("{OWNER}_CloudTrail_{HOME}");
        self.beside.lock().logged.push((group.to_owned(), stream, id.to_owned()));
    }

    /// A bucket, a topic or a log group, by name.
    pub(super) fn break_bucket(&self, name: &str, fault: Fault) {
        self.faults.lock().insert(name.to_owned(), fault);
    }

    pub(super) fn mend_bucket(&self, name: &str) {
        self.faults.lock().remove(name);
    }

    async fn append(&self, source: Source, bodies: Vec<Bytes>) -> Position {
        self.append_for(OWNER, source, bodies).await
    }

    async fn append_for(&self, account: &str, source: Source, bodies: Vec<Bytes>) -> Position {
        let entry = |body| NewEntry { source, account: account.parse().unwrap(), received: self.clock.now(), body };
        self.journal.append(bodies.into_iter().map(entry).collect()).await.unwrap().last
    }

    pub(super) async fn put_trail(&self, trail: &Trail) -> Position {
        self.append(Source::Control, vec![TrailChange::PutTrail(Box::new(trail.clone())).to_bytes()]).await
    }

    /// Puts the trail and waits until its worker obeys it.
    pub(super) async fn put_trail_and_wait(&self, trail: &Trail) {
        let position = self.put_trail(trail).await;
        self.until("the trail is obeyed", async || {
            let document = self.catalog.get(crate::state::WORKERS, &trail.key.to_string()).await.unwrap();
            document.is_some_and(|document| {
                let state: Value = serde_json::from_slice(&document.value).unwrap();
                state["cursor"].as_u64().unwrap() >= position.0
            })
        })
        .await;
    }

    pub(super) async fn delete_trail(&self, trail: &Trail) -> Position {
        self.append(Source::Control, vec![TrailChange::DeleteTrail(trail.key.clone()).to_bytes()]).await
    }

    /// Appends one record per id.
    pub(super) async fn record(&self, region: &str, ids: &[&str]) -> Position {
        self.append(Source::Gateway, ids.iter().map(|id| record(id, region).into()).collect()).await
    }

    /// Appends one record per id, of another account than the trails' owner.
    pub(super) async fn record_for(&self, account: &str, region: &str, ids: &[&str]) -> Position {
        self.append_for(account, Source::Gateway, ids.iter().map(|id| record(id, region).into()).collect()).await
    }

    /// Appends these very records.
    pub(super) async fn records(&self, records: &[Value]) -> Position {
        self.append(Source::Gateway, records.iter().map(|record| record.to_string().into()).collect()).await
    }

    pub(super) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) async fn import(&self, region: &str, id: &str) {
        self.append(Source::Import, vec![record(id, region).into()]).await;
    }

    /// Waits until `holds`, looking again whenever something was committed or put.
    pub(super) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if holds().await {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), waiting).await.is_err() {
            panic!("waited in vain until {what}; delivered are {:?}", self.delivered().await);
        }
    }

    /// Advances the clock past a file's age and waits until all `ids` are delivered, in whatever order.
    pub(super) async fn until_delivered(&self, ids: &[&str]) {
        self.clock.advance(self.settings.max_age);
        self.until(&format!("{ids:?} are delivered"), async || {
            let delivered = self.delivered().await;
            ids.iter().all(|id| delivered.iter().any(|d| d == id))
        })
        .await;
    }

    /// Key, uncompressed content and metadata of each object of a bucket.
    pub(super) async fn objects(&self, bucket: &str) -> Vec<(String, String, BTreeMap<String, String>)> {
        let store = Arc::clone(&self.buckets.lock()[bucket]);
        let mut out = Vec::new();
        let mut listed = store.list(None);
        while let Some(meta) = listed.next().await {
            let location = meta.unwrap().location;
            let object = store.get(&location).await.unwrap();
            let attributes = object.attributes.clone();
            assert_eq!(attributes.get(&Attribute::ContentType).unwrap().as_ref(), "application/json");
            assert_eq!(attributes.get(&Attribute::ContentEncoding).unwrap().as_ref(), "gzip");
            let metadata = attributes.iter().filter_map(|(name, value)| match name {
                Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
                _ => None,
            });
            let metadata = metadata.collect();
            let bytes = object.bytes().await.unwrap();
            let mut text = String::new();
            // One member only: the decoder stops at its end, where validate-logs allows nothing more.
            let mut decoder = flate2::bufread::GzDecoder::new(&bytes[..]);
            decoder.read_to_string(&mut text).unwrap();
            assert!(decoder.into_inner().is_empty());
            out.push((location.to_string(), text, metadata));
        }
        out.sort();
        out
    }

    /// Bucket, key and content of each log file.
    pub(super) async fn log_files(&self) -> Vec<(String, String, String)> {
        let names: Vec<String> = self.buckets.lock().keys().cloned().collect();
        let mut out = Vec::new();
        for bucket in names {
            for (key, text, _) in self.objects(&bucket).await {
                if key.contains("/CloudTrail/") {
                    out.push((bucket.clone(), key, text));
                }
            }
        }
        out
    }

    /// The ids of all delivered records, sorted; one that was delivered twice is there twice.
    pub(super) async fn delivered(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for (_, key, text) in self.log_files().await {
            let json: Value = serde_json::from_str(&text).unwrap();
            for record in json["Records"].as_array().unwrap() {
                let region = record["awsRegion"].as_str().unwrap();
                assert!(key.contains(&format!("/CloudTrail/{region}/")), "{key}: {record}");
                ids.push(record["eventID"].as_str().unwrap().to_owned());
            }
        }
        ids.sort();
        ids
    }

    pub(super) async fn status(&self, trail: &Trail, region: &str) -> TrailStatus {
        self.status_of(trail, OWNER, region).await
    }

    pub(super) async fn status_of(&self, trail: &Trail, account: &str, region: &str) -> TrailStatus {
        let catalog = Arc::clone(&self.catalog) as Arc<dyn Catalog>;
        let (account, region) = (account.parse().unwrap(), region.parse().unwrap());
        TrailStatus::load(&catalog, &trail.key, account, &region).await.unwrap()
    }

    /// How many objects a bucket holds.
    pub(super) async fn objects_in(&self, bucket: &str) -> usize {
        let store = Arc::clone(&self.buckets.lock()[bucket]);
        store.list(None).count().await
    }

    /// Every digest of the owner in `region`, see [`Self::checked_digests_of`].
    pub(super) async fn checked_digests(&self, trail: &Trail, region: &str) -> Vec<Value> {
        self.checked_digests_of(trail, OWNER, region).await
    }

    /// Every digest of `account` and `region` in all buckets, checked as `validate-logs` checks them, in the order of time.
    pub(super) async fn checked_digests_of(&self, trail: &Trail, account: &str, region: &str) -> Vec<Value> {
        let names: Vec<String> = self.buckets.lock().keys().cloned().collect();
        let infix = format!("/{account}_CloudTrail-Digest_{region}_{}_", trail.key.name);
        let mut digests = Vec::new();
        let mut log_files = BTreeMap::new();
        for bucket in names {
            for (key, text, metadata) in self.objects(&bucket).await {
                if key.contains(&infix) {
                    digests.push((key[key.len() - 24..key.len() - 8].to_owned(), bucket.clone(), key, text, metadata));
                } else {
                    log_files.insert((bucket.clone(), key), text);
                }
            }
        }
        digests.sort();
        let public = PublicKeys::new(Arc::clone(&self.catalog) as Arc<dyn Catalog>, Arc::clone(&self.clock) as _);
        let region: Region = region.parse().unwrap();
        let mut last: Option<(Value, String, String)> = None;
        let mut out = Vec::new();
        for (stamp, bucket, key, text, metadata) in digests {
            let digest: Value = serde_json::from_str(&text).unwrap();
            let text_of = |name: &str| digest[name].as_str().map(str::to_owned);
            let end = text_of("digestEndTime").unwrap();
            assert_eq!(end.replace(['-', ':'], ""), stamp);
            assert_eq!(text_of("digestS3Bucket").unwrap(), bucket);
            assert_eq!(text_of("digestS3Object").unwrap(), key);
            // The command asks for the keys of its whole range plus two hours; a narrow range is the hardest.
            let at: Timestamp = end.parse().unwrap();
            let keys = public.list(&region, Some(at), Some(at + Duration::from_secs(7200))).await.unwrap();
            let fingerprint = text_of("digestPublicKeyFingerprint").unwrap();
            let public_key = keys.iter().find(|key| key.fingerprint == fingerprint).expect("the key is listed");
            let previous = text_of("previousDigestSignature").unwrap_or("null".into());
            let hash = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()));
            let signed = format!("{end}\n{bucket}/{key}\n{hash}\n{previous}");
            let signature = &metadata["signature"];
            assert_eq!(metadata["signature-algorithm"], "SHA256withRSA");
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public_key.value_der)
                .verify(signed.as_bytes(), &hex::decode(signature).unwrap())
                .unwrap();
            if previous != "null" {
                let (before, before_hash, before_signature) = last.as_ref().unwrap();
                assert_eq!(digest["digestStartTime"], before["digestEndTime"], "no gap");
                assert_eq!(digest["previousDigestS3Bucket"], before["digestS3Bucket"]);
                assert_eq!(digest["previousDigestS3Object"], before["digestS3Object"]);
                assert_eq!(digest["previousDigestHashValue"], before_hash.as_str());
                assert_eq!(previous, *before_signature);
            }
            for file in digest["logFiles"].as_array().unwrap() {
                let place = |name: &str| file[name].as_str().unwrap().to_owned();
                let content = &log_files[&(place("s3Bucket"), place("s3Object"))];
                let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content.as_bytes());
                assert_eq!(place("hashValue"), hex::encode(hash));
            }
            last = Some((digest.clone(), hash, signature.clone()));
            out.push(digest);
        }
        out
    }
}

/// The objects that `digests` list, sorted.
pub(super) fn listed(digests: &[Value]) -> Vec<String> {
    let files = digests.iter().flat_map(|digest| digest["logFiles"].as_array().unwrap());
    let mut keys: Vec<_> = files.map(|file| file["s3Object"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    keys
}

impl Life {
    /// Up to where the worker of `trail` needs the journal no more.
    pub(super) fn passed(&self, trail: &Trail) -> Position {
        let name = format!("delivery/{}", trail.key);
        self.feed.positions().into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    /// A graceful stop.
    pub(super) async fn stop(self) {
        self.tasks.shutdown().begin();
        self.tasks.join(Duration::from_secs(60)).await;
    }

    pub(super) fn begin_stop(&self) {
        self.tasks.shutdown().begin();
    }

    /// Ends at once: the tasks hang for good.
    pub(super) fn kill(self) {
        self.fuse.blown.send_replace(true);
        self.fuse.left.store(0, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct MortalCatalog {
    inner: Arc<MemoryCatalog>,
    fuse: Arc<Fuse>,
    changes: Arc<watch::Sender<u64>>,
}

#[async_trait]
impl Catalog for MortalCatalog {
    async fn get(&self, kind: &'static str, key: &str) -> Result<Option<Versioned<Vec<u8>>>, CatalogError> {
        self.fuse.dead().await;
        self.inner.get(kind, key).await
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Versioned<Vec<u8>>>, CatalogError> {
        self.fuse.dead().await;
        self.inner.list(kind, prefix, after, limit).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), CatalogError> {
        let failure = || CatalogError::Unavailable { reason: "the disk is full".into() };
        if self.fuse.step().await {
            return Err(failure());
        }
        let outcome = self.inner.commit(changes).await;
        self.changes.send_modify(|count| *count += 1);
        if self.fuse.step().await {
            return Err(failure());
        }
        outcome
    }
}

#[derive(Debug)]
struct TestBuckets {
    stores: BTreeMap<String, Arc<InMemory>>,
    faults: Arc<Mutex<BTreeMap<String, Fault>>>,
    fuse: Arc<Fuse>,
    changes: Arc<watch::Sender<u64>>,
}

#[async_trait]
impl Buckets for TestBuckets {
    async fn check(&self, delivery: To<'_>) -> Result<(), BucketError> {
        self.open(delivery).await.map(drop)
    }

    async fn open(&self, delivery: To<'_>) -> Result<Arc<dyn ObjectStore>, BucketError> {
        self.fuse.dead().await;
        let bucket = delivery.bucket.to_owned();
        assert_eq!(delivery.account, OWNER.parse::<AccountId>().unwrap());
        let fault = self.faults.lock().get(&bucket).copied();
        match (fault, self.stores.get(&bucket)) {
            (Some(Fault::Missing), _) | (_, None) => Err(BucketError::NoSuchBucket { bucket }),
            (Some(Fault::Denied), _) => Err(BucketError::AccessDenied { bucket }),
            (Some(Fault::DeniedFor(account)), _) if account == delivery.recipient => {
                Err(BucketError::AccessDenied { bucket })
            }
            (_, Some(store)) => Ok(Arc::new(TestStore {
                inner: Arc::clone(store),
                bucket,
                faults: Arc::clone(&self.faults),
                fuse: Arc::clone(&self.fuse),
                changes: Arc::clone(&self.changes),
            })),
        }
    }
}

/// Topics and log groups.
#[derive(Debug)]
struct TestBeside {
    got: Arc<Mutex<Beside>>,
    faults: Arc<Mutex<BTreeMap<String, Fault>>>,
    fuse: Arc<Fuse>,
    changes: Arc<watch::Sender<u64>>,
}

impl TestBeside {
    /// Whether it is refused. Hangs, if it is to.
    async fn refused(&self, name: &str) -> bool {
        let fault = self.faults.lock().get(name).copied();
        self.changes.send_modify(|count| *count += 1);
        match fault {
            Some(Fault::Hangs) => std::future::pending().await,
            Some(_) => true,
            None => self.fuse.step().await,
        }
    }

    /// Whether it is done and said to have failed.
    async fn lost(&self) -> bool {
        self.changes.send_modify(|count| *count += 1);
        self.fuse.step().await
    }
}

#[async_trait]
impl Topics for TestBeside {
    async fn check(&self, _: &TrailKey, topic: &str) -> Result<String, TopicError> {
        Ok(topic.to_owned())
    }

    async fn publish(&self, _: &TrailKey, topic: &str, message: &str, once: &str) -> Result<(), TopicError> {
        let failure = || TopicError::Refused { code: "AuthorizationError".to_owned() };
        if self.refused(topic).await {
            return Err(failure());
        }
        self.got.lock().told.push((topic.to_owned(), message.to_owned(), once.to_owned()));
        if self.lost().await { Err(failure()) } else { Ok(()) }
    }
}

#[async_trait]
impl LogGroups for TestBeside {
    async fn check(&self, _: &TrailKey, _: &LogGroup) -> Result<(), LogGroupError> {
        Ok(())
    }

    async fn memory(&self, trail: &TrailKey, group: &LogGroup) -> Result<Memory, LogGroupError> {
        let through = self.got.lock().through.get(trail).copied();
        Ok(if group.arn == ELSEWHERE { Memory::Events } else { Memory::Position(through) })
    }

    async fn missing(
        &self,
        _: &TrailKey,
        group: &LogGroup,
        mut batches: Vec<LogBatch>,
    ) -> Result<Vec<LogBatch>, LogGroupError> {
        if self.refused(&group.arn).await {
            return Err(LogGroupError::Permissions);
        }
        let got = self.got.lock();
        for batch in &mut batches {
            let stream = &batch.stream;
            batch.events.retain(|(_, record)| !got.logged.contains(&logged(group, stream, record)));
        }
        batches.retain(|batch| !batch.events.is_empty());
        Ok(batches)
    }

    async fn append(
        &self,
        trail: &TrailKey,
        group: &LogGroup,
        batches: Vec<LogBatch>,
        through: Position,
    ) -> Result<(), LogGroupError> {
        if self.refused(&group.arn).await {
            return Err(LogGroupError::Permissions);
        }
        for LogBatch { stream, events, .. } in batches {
            for (_, record) in events {
                self.got.lock().logged.push(logged(group, &stream, &record));
                if group.arn == ELSEWHERE && self.lost().await {
                    return Err(LogGroupError::Permissions);
                }
            }
        }
        if group.arn == ELSEWHERE {
            return Ok(());
        }
        self.got.lock().through.insert(trail.clone(), through);
        if self.lost().await { Err(LogGroupError::Permissions) } else { Ok(()) }
    }
}

fn logged(group: &LogGroup, stream: &str, record: &[u8]) -> (String, String, String) {
    let record: Value = serde_json::from_slice(record).unwrap();
    (group.arn.clone(), stream.to_owned(), record["eventID"].as_str().unwrap().to_owned())
}

#[derive(Debug)]
struct TestStore {
    inner: Arc<InMemory>,
    bucket: String,
    faults: Arc<Mutex<BTreeMap<String, Fault>>>,
    fuse: Arc<Fuse>,
    changes: Arc<watch::Sender<u64>>,
}

impl fmt::Display for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bucket)
    }
}

#[async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(&self, path: &Path, body: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        let failure = |code: &str| object_store::Error::Generic {
            store: "S3",
            source: format!("<Error><Code>{code}</Code></Error>").into(),
        };
        let fault = self.faults.lock().get(&self.bucket).copied();
        if self.fuse.step().await {
            return Err(failure("SlowDown"));
        }
        let outcome = match fault {
            Some(Fault::Hangs) => {
                self.changes.send_modify(|count| *count += 1);
                std::future::pending().await
            }
            Some(Fault::RefusesDigests) if path.as_ref().contains("CloudTrail-Digest") => Err(failure("AccessDenied")),
            Some(Fault::FailsAfterStoring) => {
                self.inner.put_opts(path, body, options).await?;
                Err(failure("InternalError"))
            }
            _ => self.inner.put_opts(path, body, options).await,
        };
        self.changes.send_modify(|count| *count += 1);
        if self.fuse.step().await {
            return Err(failure("SlowDown"));
        }
        outcome
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl World {
    /// Whether no document of any trail's delivery is left.
    pub(super) async fn catalog_is_empty(&self) -> bool {
        use crate::state::{CHAINS, DIGESTS, FILES, NOTIFICATIONS, WORKERS};
        for kind in [WORKERS, CHAINS, FILES, DIGESTS, NOTIFICATIONS, "trail-status"] {
            if !self.catalog.list(kind, "", "", 1).await.unwrap().is_empty() {
                return false;
            }
        }
        true
    }
}
