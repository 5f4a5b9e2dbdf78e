//! Queries over an engine that does what the statement says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use opentrail_catalog::{Catalog, MemoryCatalog};
use opentrail_delivery::Signer;
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{ManualClock, SeededRandom, Shutdown, TaskGroup};
use opentrail_stores::{DataKeys, StoreKey};
use opentrail_trails::{BucketError, Buckets, Delivery as Target};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{
    Delivery, DeliveryStatus, Engine, Execution, ExecutionError, InvalidStatement, NewQuery, PlanError, Queries,
    QueriesDeps, QueriesOptions, Query, QueryKey, QueryStatus, QueryView, Row, Scanned,
};

pub(super) const ACCOUNT: &str = "111122223333";

/// Runs `rows N`, `rows N then hang`, `rows N then fail`, `rows N then panic`, `rows N noisy`.
#[derive(Debug, Default)]
pub(super) struct ScriptEngine {
    pub(super) running: AtomicUsize,
    pub(super) most_running: AtomicUsize,
}

pub(super) struct Script {
    engine: Arc<ScriptEngine>,
    left: usize,
    total: usize,
    then: String,
    columns: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<ScriptEngine>);

#[async_trait]
impl Engine for Shared {
    fn stores(&self, _statement: &str) -> Result<BTreeSet<Uuid>, InvalidStatement> {
        Ok(BTreeSet::from([Uuid::nil()]))
    }

    async fn plan(
        &self,
        statement: &str,
        _stores: &[StoreKey],
        _now: Timestamp,
    ) -> Result<Box<dyn Execution>, PlanError> {
        let mut words = statement.splitn(3, ' ').skip(1);
        let count = words.next().and_then(|count| count.parse().ok());
        let total: usize = count.ok_or_else(|| InvalidStatement(format!("{statement:?} is no script")))?;
        let then = words.next().unwrap_or_default().to_owned();
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_running.fetch_max(running, Ordering::SeqCst);
        let columns = vec!["number".to_owned(), "what, exactly".to_owned()];
        Ok(Box::new(Script { engine: Arc::clone(&self.0), left: total, total, then, columns }))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.engine.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Execution for Script {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn next(&mut self) -> Result<Option<Vec<Row>>, ExecutionError> {
        tokio::task::yield_now().await;
        if self.left > 0 {
            let some = self.left.min(700);
            let first = self.total - self.left;
            self.left -= some;
            let of = if self.then == "noisy" { noisy } else { row };
            return Ok(Some((first..first + some).map(of).collect()));
        }
        match self.then.as_str() {
            "then hang" => std::future::pending().await,
            "then fail" => Err(ExecutionError("division by zero".to_owned())),
            "then panic" => panic!("a panic that the test wants"),
            _ => Ok(None),
        }
    }

    fn scanned(&self) -> Scanned {
        let read = (self.total - self.left) as u64;
        Scanned { events_scanned: read * 10, events_matched: read, bytes: read * 100 }
    }
}

pub(super) fn row(number: usize) -> Row {
    vec![Some(number.to_string()), number.is_multiple_of(2).then(|| "say \"hi\"".to_owned())]
}

/// A row that does not compress.
fn noisy(number: usize) -> Row {
    let hash = |text: String| hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()));
    vec![Some(hash(format!("a{number}"))), Some(hash(format!("b{number}")))]
}

/// One bucket, which answers as it is told.
#[derive(Debug, Default)]
pub(super) struct OneBucket {
    pub(super) objects: Arc<InMemory>,
    pub(super) error: Mutex<Option<BucketError>>,
    pub(super) asked: AtomicUsize,
}

#[async_trait]
impl Buckets for OneBucket {
    async fn check(&self, _delivery: Target<'_>) -> Result<(), BucketError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.error.lock().clone().map_or(Ok(()), Err)
    }

    async fn open(&self, delivery: Target<'_>) -> Result<Arc<dyn ObjectStore>, BucketError> {
        self.check(delivery).await?;
        Ok(Arc::clone(&self.objects) as _)
    }
}

/// What outlives a server, and the server.
pub(super) struct World {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) engine: Arc<ScriptEngine>,
    pub(super) bucket: Arc<OneBucket>,
    pub(super) dir: tempfile::TempDir,
    pub(super) options: QueriesOptions,
    pub(super) queries: Option<Queries>,
    tasks: TaskGroup,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(QueriesOptions { running: 2, ..QueriesOptions::default() }).await
    }

    pub(super) async fn with(options: QueriesOptions) -> Self {
        let random = Arc::new(SeededRandom::new(1));
        let mut world = Self {
            catalog: Arc::new(MemoryCatalog::default()),
            ring: Arc::new(KeyRing::ephemeral(random)),
            clock: Arc::new(ManualClock::new("2026-01-02T03:04:05Z".parse().unwrap())),
            engine: Arc::default(),
            bucket: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
            options,
            queries: None,
            tasks: TaskGroup::default(),
        };
        world.start().await;
        world
    }

    pub(super) async fn start(&mut self) {
        self.tasks = TaskGroup::new(Shutdown::new());
        let deps = QueriesDeps {
            catalog: Arc::clone(&self.catalog),
            engine: Arc::new(Shared(Arc::clone(&self.engine))),
            buckets: Arc::clone(&self.bucket) as _,
            signer: Signer::new(Arc::clone(&self.catalog), Arc::clone(&self.ring)),
            keys: DataKeys::none(Arc::clone(&self.clock) as _, Arc::new(opentrail_runtime::SystemRandom)),
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(opentrail_runtime::SystemRandom),
            dir: self.dir.path().join("queries"),
            options: self.options.clone(),
            tasks: self.tasks.clone(),
        };
        self.queries = Some(Queries::open(deps).await.unwrap());
    }

    /// Stops the server and starts another.
    pub(super) async fn restart(&mut self) {
        self.tasks.shutdown().begin();
        self.tasks.join(Duration::from_secs(5)).await;
        self.start().await;
    }

    pub(super) fn queries(&self) -> &Queries {
        self.queries.as_ref().unwrap()
    }

    pub(super) fn new_query(&self, statement: &str) -> NewQuery {
        let (account, region): (AccountId, Region) = (ACCOUNT.parse().unwrap(), Region::us_east_1());
        let store = StoreKey { account, home_region: region.clone(), id: Uuid::nil() };
        NewQuery { account, region, statement: statement.to_owned(), stores: vec![store], delivery: None, alias: None }
    }

    pub(super) async fn begin(&self, statement: &str) -> QueryKey {
        self.queries().start(self.new_query(statement)).await.unwrap()
    }

    /// Begins a query whose results go to the bucket.
    pub(super) async fn begin_delivered(&self, statement: &str) -> QueryKey {
        let delivery = Delivery {
            uri: "s3://results/a/b".to_owned(),
            bucket: "results".to_owned(),
            prefix: Some("a/b".to_owned()),
            status: DeliveryStatus::Pending,
        };
        let new = NewQuery { delivery: Some(delivery), ..self.new_query(statement) };
        self.queries().start(new).await.unwrap()
    }

    /// Waits until the query is so; it must come to that without the clock.
    pub(super) async fn until(&self, key: &QueryKey, what: impl Fn(&QueryView) -> bool) -> QueryView {
        let wait = async {
            loop {
                let view = self.queries().find(key).await.unwrap();
                if what(&view) {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let late = || panic!("the query did not come to that");
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| late())
    }

    pub(super) async fn until_status(&self, key: &QueryKey, status: QueryStatus) -> Query {
        self.until(key, |view| view.status == status).await.query
    }

    pub(super) async fn until_delivery(&self, key: &QueryKey, status: DeliveryStatus) {
        self.until(key, |view| view.query.delivery.as_ref().is_some_and(|delivery| delivery.status == status)).await;
    }

    /// What is kept on disk, by name.
    pub(super) fn kept(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("queries")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}
