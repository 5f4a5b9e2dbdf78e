use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::ObjectStore;
use opentrail_catalog::{Catalog, MemoryCatalog};
use opentrail_delivery::Signer;
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_queries::{
    Engine, Execution, ExecutionError, InvalidStatement, PlanError, Queries, QueriesDeps, QueriesOptions, QueryKey,
    QueryStatus, Row, Scanned,
};
use opentrail_runtime::{Clock, ManualClock, SeededRandom, Shutdown, TaskGroup};
use opentrail_stores::{DataKeys, EventDataStore, ResourcePolicies, StoreKey, Stores};
use opentrail_trails::{BucketError, Buckets, Delivery as Target};
use uuid::Uuid;

use crate::{Dashboard, DashboardKey, Dashboards, DashboardsDeps, NewWidget, Schedule, ScheduleRequest};

pub(super) const ACCOUNT: &str = "111122223333";

/// `… FROM <id> …`: no rows at once; with `hang` in it, none ever; with `fail` in it, an error.
#[derive(Debug)]
struct ScriptEngine;

struct Script(String);

#[async_trait]
impl Engine for ScriptEngine {
    fn stores(&self, statement: &str) -> Result<BTreeSet<Uuid>, InvalidStatement> {
        let words = statement.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
        Ok(words.filter(|word| word.len() == 36).filter_map(|word| word.parse().ok()).collect())
    }

    async fn plan(
        &self,
        statement: &str,
        _stores: &[StoreKey],
        _now: Timestamp,
    ) -> Result<Box<dyn Execution>, PlanError> {
        Ok(Box::new(Script(statement.to_owned())))
    }
}

#[async_trait]
impl Execution for Script {
    fn columns(&self) -> &[String] {
        &[]
    }

    async fn next(&mut self) -> Result<Option<Vec<Row>>, ExecutionError> {
        if self.0.contains("hang") {
            std::future::pending::<()>().await;
        }
        if self.0.contains("fail") { Err(ExecutionError("it does not work".to_owned())) } else { Ok(None) }
    }

    fn scanned(&self) -> Scanned {
        Scanned::default()
    }
}

#[derive(Debug)]
struct NoBuckets;

#[async_trait]
impl Buckets for NoBuckets {
    async fn check(&self, _delivery: Target<'_>) -> Result<(), BucketError> {
        unreachable!("nothing is delivered")
    }

    async fn open(&self, _delivery: Target<'_>) -> Result<Arc<dyn ObjectStore>, BucketError> {
        unreachable!("nothing is delivered")
    }
}

/// What outlives a server, and the server.
pub(super) struct World {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) stores: Stores,
    pub(super) policies: ResourcePolicies,
    dir: tempfile::TempDir,
    tasks: TaskGroup,
    running: Option<(Queries, Dashboards)>,
}

impl World {
    /// A store, which lets CloudTrail query it for every dashboard; it is 03:04:05.
    pub(super) async fn new() -> Self {
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
        let mut world = Self {
            clock: Arc::new(ManualClock::new("2026-01-02T03:04:05Z".parse().unwrap())),
            stores: Stores::new(Arc::clone(&catalog)),
            policies: ResourcePolicies::new(Arc::clone(&catalog)),
            catalog,
            dir: tempfile::tempdir().unwrap(),
            tasks: TaskGroup::default(),
            running: None,
        };
        world.stores.create(&store()).await.unwrap();
        world.allow(&store().key.arn(), "cloudtrail:StartQuery").await;
        world.start().await;
        world
    }

    async fn start(&mut self) {
        self.tasks = TaskGroup::new(Shutdown::new());
        let queries = Queries::open(QueriesDeps {
            catalog: Arc::clone(&self.catalog),
            engine: Arc::new(ScriptEngine),
            buckets: Arc::new(NoBuckets),
            signer: Signer::new(
                Arc::clone(&self.catalog),
                Arc::new(KeyRing::ephemeral(Arc::new(SeededRandom::new(1)))),
            ),
            keys: DataKeys::none(Arc::clone(&self.clock) as _, Arc::new(SeededRandom::new(2))),
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(opentrail_runtime::SystemRandom),
            dir: self.dir.path().join("queries"),
            options: QueriesOptions::default(),
            tasks: self.tasks.clone(),
        });
        let queries = queries.await.unwrap();
        let dashboards = Dashboards::new(DashboardsDeps {
            catalog: Arc::clone(&self.catalog),
            queries: queries.clone(),
            stores: self.stores.clone(),
            policies: self.policies.clone(),
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(opentrail_runtime::SystemRandom),
        });
        self.running = Some((queries, dashboards));
    }

    /// Stops the server and starts another.
    pub(super) async fn restart(&mut self) {
        self.tasks.shutdown().begin();
        self.tasks.join(Duration::from_secs(5)).await;
        self.start().await;
    }

    /// Has schedules obeyed until the next restart.
    pub(super) fn obey_schedules(&self) {
        let (dashboards, shutdown) = (self.dashboards().clone(), self.tasks.shutdown().clone());
        self.tasks.spawn("dashboards", opentrail_runtime::OnError::Log, dashboards.run(shutdown));
    }

    pub(super) fn queries(&self) -> &Queries {
        &self.running.as_ref().unwrap().0
    }

    pub(super) fn dashboards(&self) -> &Dashboards {
        &self.running.as_ref().unwrap().1
    }

    /// Gives a resource a policy that lets CloudTrail do `action` for all dashboards of the account.
    pub(super) async fn allow(&self, resource: &opentrail_model::Arn, action: &str) {
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": action,
            "Condition": {"StringLike": {"AWS:SourceAccount": ACCOUNT, "AWS:SourceArn": "arn:aws:cloudtrail:*:dashboard/*"}},
        }]});
        let stored = self.policies.find(resource).await.unwrap().map(|stored| stored.revision);
        self.policies.put(resource, policy.to_string(), stored).await.unwrap();
    }

    /// Makes a dashboard of these statements over the store, refreshed every so many hours if that is said.
    pub(super) async fn make(&self, name: &str, statements: &[&str], hours: Option<i32>) -> DashboardKey {
        let key = key(name);
        let view = [("Height", "2"), ("Width", "2"), ("View", "Table"), ("Title", "t")];
        let widget = |statement: &&str| NewWidget {
            statement: format!("{statement} FROM {}", store().key.id),
            parameters: Vec::new(),
            view: view.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        let dashboard = Dashboard {
            widgets: self.dashboards().named(&key, statements.iter().map(widget).collect(), Vec::new()),
            schedule: hours.map(|hours| self.every(hours)),
            termination_protection: false,
            tags: Vec::new(),
            created: self.clock.now(),
            updated: None,
            key: key.clone(),
        };
        self.dashboards().create(&dashboard).await.unwrap();
        key
    }

    pub(super) fn every(&self, hours: i32) -> Schedule {
        let request =
            ScheduleRequest { frequency: Some((Some("HOURS".to_owned()), Some(hours))), ..Default::default() };
        request.applied(None, crate::DashboardKind::Custom, self.clock.now()).unwrap().unwrap()
    }

    /// Waits until what is asked is so; it must come to that without the clock.
    pub(super) async fn until<T, F: Future<Output = Option<T>>>(&self, what: impl Fn() -> F) -> T {
        let wait = async {
            loop {
                if let Some(is) = what().await {
                    return is;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let late = || panic!("it did not come to that");
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| late())
    }

    pub(super) async fn until_ended(&self, key: &QueryKey) -> QueryStatus {
        let ended = || async {
            let view = self.queries().find(key).await.unwrap();
            view.status.is_final().then_some(view.status)
        };
        self.until(ended).await
    }
}

pub(super) fn key(name: &str) -> DashboardKey {
    let (account, region): (AccountId, Region) = (ACCOUNT.parse().unwrap(), Region::us_east_1());
    DashboardKey { account, region, name: name.to_owned() }
}

pub(super) fn store() -> EventDataStore {
    let key = StoreKey { account: ACCOUNT.parse().unwrap(), home_region: Region::us_east_1(), id: Uuid::from_u128(7) };
    EventDataStore::new(key, "store", Vec::new(), Timestamp::EPOCH)
}
