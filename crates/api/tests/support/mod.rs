//! The API over stores in memory, with a clock that the test owns.

mod buckets;
mod imports;
mod kms;
mod queries;
mod trails;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use opentrail_api::{FederatedTables, FederationConflict, JournalChange, RecordOrder, Reply, Services, Turns};
use opentrail_catalog::{Catalog, MemoryCatalog};
use opentrail_dashboards::{Dashboards, DashboardsDeps};
use opentrail_delivery::{PublicKeys, Signer};
use opentrail_event::EventBatch;
use opentrail_history::{History, HistoryOptions, HistoryProjection};
use opentrail_iam::Iam;
use opentrail_identity::{AccessKeySpec, AccountSpec, Call, Directory, PolicySpec, RoleSpec, Sealer, Secret, UserSpec};
use opentrail_imports::{Imports, ImportsDeps, ImportsOptions};
use opentrail_insights::{Insights, SwitchTable};
use opentrail_journal::Entry;
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Position, Region, Source, Timestamp};
use opentrail_organizations::Organizations;
use opentrail_projection::Projection;
use opentrail_queries::{Queries, QueriesDeps, QueriesOptions};
use opentrail_runtime::{ManualClock, SeededRandom, TaskGroup};
use opentrail_stores::{
    Channels, DataKeys, EventDataStore, PENDING_DELETION, ResourcePolicies, StoreChange, StoreKey, Stores,
};
use opentrail_trails::{TrailChange, Trails};
use serde_json::{Value, json};
use tokio::sync::Mutex;

pub(crate) use buckets::TestBuckets;
use imports::Nowhere;
pub(crate) use kms::TestKms;
pub(crate) use queries::{TestEngine, TestGenerator};
pub(crate) use trails::Beside;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const OTHER_ACCOUNT: &str = "444455556666";

/// The API and what it works with. A trail can deliver to the bucket `logs`.
pub(crate) struct Api {
    pub(crate) services: Services,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) buckets: Arc<TestBuckets>,
    pub(crate) beside: Arc<Beside>,
    pub(crate) kms: Arc<TestKms>,
    history: Mutex<HistoryProjection>,
    position: AtomicU64,
    _directory: tempfile::TempDir,
}

/// Someone who calls the API.
pub(crate) struct Caller<'a> {
    api: &'a Api,
    call: Call,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) changes: Vec<TrailChange>,
    pub(crate) stores: Vec<StoreChange>,
    pub(crate) order: RecordOrder,
}

#[derive(Debug)]
struct RingSealer(Arc<KeyRing>);

impl Sealer for RingSealer {
    fn seal(&self, purpose: &str, plaintext: &[u8]) -> Vec<u8> {
        self.0.seal(purpose, plaintext)
    }

    fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.unseal(purpose, sealed).ok().map(|plaintext| plaintext.to_vec())
    }
}

/// Shows no tables, and has no place for one.
#[derive(Debug)]
struct NoTables;

impl FederatedTables for NoTables {
    fn check(&self, store: &StoreKey) -> Result<(), FederationConflict> {
        Err(FederationConflict { bucket: store.id.to_string() })
    }

    fn show(&self, _store: &EventDataStore) {}

    fn hide(&self, _store: &StoreKey) {}
}

impl Api {
    /// Noon of 2 January 2026, and nothing there but the accounts.
    pub(crate) async fn new() -> Self {
        Self::with_users(Vec::new()).await
    }

    /// Also users of the first account: name and policy. Their access keys are their names.
    pub(crate) async fn with_users(users: Vec<(&str, Value)>) -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-02T12:00:00Z".parse().unwrap()));
        let random = Arc::new(SeededRandom::new(1));
        let keys = Arc::new(KeyRing::ephemeral(random.clone()));
        let sealer = Arc::new(RingSealer(keys.clone()));
        let directory = Directory::new(accounts(users)).expect("the accounts of the tests are right");
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
        let buckets = Arc::new(TestBuckets::with("logs"));
        let beside = Arc::new(Beside::default());
        let dir = tempfile::tempdir().unwrap();
        let (projection, history) = History::open(dir.path(), HistoryOptions::default(), clock.clone()).await.unwrap();
        let directory = Arc::new(directory.with_sealer(sealer));
        let iam = Iam::open(catalog.clone(), directory.clone(), keys.clone()).await.unwrap();
        let queries = Queries::open(QueriesDeps {
            catalog: catalog.clone(),
            engine: Arc::new(TestEngine),
            buckets: buckets.clone(),
            signer: Signer::new(catalog.clone(), keys.clone()),
            keys: DataKeys::none(clock.clone(), random.clone()),
            clock: clock.clone(),
            random: random.clone(),
            dir: dir.path().join("queries"),
            options: QueriesOptions::default(),
            tasks: TaskGroup::default(),
        });
        let imports = Imports::open(ImportsDeps {
            catalog: catalog.clone(),
            origins: Arc::new(Nowhere),
            destinations: Arc::new(Nowhere),
            clock: clock.clone(),
            random: random.clone(),
            options: ImportsOptions::default(),
            tasks: TaskGroup::default(),
        });
        let (queries, stores) = (queries.await.unwrap(), Stores::new(catalog.clone()));
        let policies = ResourcePolicies::new(catalog.clone());
        let dashboards = Dashboards::new(DashboardsDeps {
            catalog: catalog.clone(),
            queries: queries.clone(),
            stores: stores.clone(),
            policies: policies.clone(),
            clock: clock.clone(),
            random: random.clone(),
        });
        let kms = Arc::new(TestKms::default());
        let switches = Arc::new(SwitchTable::default());
        let insights = Insights::open(&dir.path().join("insights.sqlite"), switches, 1000).await.unwrap();
        let services = Services {
            imports: imports.await.unwrap(),
            queries,
            federation: Arc::new(NoTables),
            dashboards,
            generator: Arc::new(TestGenerator),
            store_kms: kms.clone(),
            trails: Trails::new(catalog.clone()),
            stores,
            channels: Channels::new(catalog.clone()),
            policies,
            pending_deletion: PENDING_DELETION,
            insights,
            public_keys: PublicKeys::new(catalog.clone(), clock.clone()),
            catalog: catalog.clone(),
            buckets: buckets.clone(),
            topics: beside.clone(),
            log_groups: beside.clone(),
            history,
            directory,
            iam: Arc::new(iam),
            organizations: Arc::new(Organizations::open(catalog.clone()).await.unwrap()),
            keys,
            clock: clock.clone(),
            random,
            quotas: None,
            turns: Turns::default(),
        };
        let (history, position) = (Mutex::new(projection), AtomicU64::new(0));
        Self { services, clock, buckets, beside, kms, history, position, _directory: dir }
    }

    /// The root user of the first account, in `us-east-1`.
    pub(crate) fn root(&self) -> Caller<'_> {
        self.caller("root", None)
    }

    /// Whose access key that is, in `us-east-1`.
    pub(crate) fn caller(&self, key: &str, session_token: Option<&str>) -> Caller<'_> {
        let now = self.services.clock.now();
        let credential = self.services.directory.find_key(key, session_token, now).expect("the key is known");
        let call = Call {
            principal: credential.principal,
            region: Region::us_east_1(),
            request_id: "7f3a1c52-0000-4000-8000-000000000001".to_owned(),
            source_ip: Ipv4Addr::new(192, 0, 2, 1).into(),
            secure_transport: false,
            user_agent: Some("test".to_owned()),
        };
        Caller { api: self, call }
    }

    /// Puts records of `account` into the Event history, in this order.
    pub(crate) async fn record(&self, account: &str, records: &[Value]) {
        let account: AccountId = account.parse().unwrap();
        let after = Position(self.position.fetch_add(records.len() as u64, Ordering::Relaxed));
        let entry = |(index, record): (usize, &Value)| Entry {
            position: Position(after.0 + 1 + index as u64),
            source: Source::Records,
            account,
            received: self.services.clock.now(),
            body: record.to_string().into(),
        };
        let entries: Vec<Entry> = records.iter().enumerate().map(entry).collect();
        let batch = Arc::new(EventBatch::decode(after, &entries));
        self.history.lock().await.apply(&batch).await.unwrap();
    }
}

impl Caller<'_> {
    /// The same caller, in another Region.
    pub(crate) fn at(mut self, region: &str) -> Self {
        self.call.region = region.parse().unwrap();
        self
    }

    /// The same caller, with other circumstances.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Call)) -> Self {
        change(&mut self.call);
        self
    }

    /// Calls an operation of CloudTrail.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Answer {
        let target = format!("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.{operation}");
        self.send(&target, input.to_string()).await
    }

    /// Sends a body to a target.
    pub(crate) async fn send(&self, target: &str, body: impl Into<Bytes>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", HeaderValue::from_str(target).unwrap());
        let reply = opentrail_api::cloudtrail(&self.api.services, &self.call, &headers, &body.into()).await;
        answer(reply)
    }

    /// What a call that must succeed answers.
    pub(crate) async fn ok(&self, operation: &str, input: Value) -> Value {
        let answer = self.call(operation, input).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }

    /// Checks that a call is refused with `error`, its text holding `message`, and changes nothing.
    pub(crate) async fn refused(&self, operation: &str, input: Value, error: &str, message: &str) {
        let answer = self.call(operation, input).await;
        answer.assert_refused(error, message);
    }

    /// Creates a trail that delivers to `logs`; its ARN.
    pub(crate) async fn create_trail(&self, name: &str) -> String {
        let output = self.ok("CreateTrail", json!({ "Name": name, "S3BucketName": "logs" })).await;
        output["TrailARN"].as_str().unwrap().to_owned()
    }

    /// Calls an action of STS with a form; the status and the XML.
    pub(crate) async fn sts(&self, form: &str) -> (StatusCode, String) {
        let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let body = Bytes::copy_from_slice(form.as_bytes());
        let reply = opentrail_api::sts(&self.api.services, &self.call, &head, &body).await;
        (reply.response.status(), String::from_utf8(reply.response.body().to_vec()).unwrap())
    }

    /// Calls an action of IAM with a form; the status and the XML.
    pub(crate) async fn iam(&self, form: &str) -> (StatusCode, String) {
        let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let body = Bytes::copy_from_slice(form.as_bytes());
        let reply = opentrail_api::iam(&self.api.services, &self.call, &head, &body).await;
        (reply.response.status(), String::from_utf8(reply.response.body().to_vec()).unwrap())
    }

    /// Calls an operation of Organizations; the status and the JSON, null for nothing.
    pub(crate) async fn organizations(&self, operation: &str, input: Value) -> (StatusCode, Value) {
        let reply = self.organizations_reply(operation, input).await;
        let body = serde_json::from_slice(reply.response.body()).unwrap_or_default();
        (reply.response.status(), body)
    }

    /// Calls an operation of Organizations, which must succeed; with what it changes.
    pub(crate) async fn reorganize(&self, operation: &str, input: Value) -> Reply {
        let reply = self.organizations_reply(operation, input).await;
        assert_eq!(reply.response.status(), StatusCode::OK, "{:?}", reply.response.body());
        reply
    }

    async fn organizations_reply(&self, operation: &str, input: Value) -> Reply {
        let mut headers = HeaderMap::new();
        let target = format!("AWSOrganizationsV20161128.{operation}");
        headers.insert("x-amz-target", HeaderValue::from_str(&target).unwrap());
        let body = if input.is_null() { Bytes::new() } else { input.to_string().into() };
        opentrail_api::organizations(&self.api.services, &self.call, &headers, &body).await
    }

    /// The call as the server hands it on.
    pub(crate) fn raw(&self) -> &Call {
        &self.call
    }
}

impl Answer {
    /// Checks that the answer is `error`, its text holding `message`, and that nothing changed.
    pub(crate) fn assert_refused(&self, error: &str, message: &str) {
        assert_eq!(self.body["__type"], error, "{}", self.body);
        assert!(self.text().contains(message), "{}", self.body);
        assert!(!self.status.is_success());
        assert!(self.changes.is_empty() && self.stores.is_empty());
    }

    /// The error's text.
    pub(crate) fn text(&self) -> &str {
        self.body["Message"].as_str().or(self.body["message"].as_str()).unwrap_or_default()
    }
}

pub(crate) fn answer(reply: Reply) -> Answer {
    let Reply { response, changes, order, turn, .. } = reply;
    assert_eq!(turn.is_some(), !changes.is_empty(), "a change holds its turn");
    let (head, body) = response.into_parts();
    let body = serde_json::from_slice(&body).expect("the answer is JSON");
    let (mut trails, mut stores) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            JournalChange::Trail(change) => trails.push(change),
            JournalChange::EventDataStore(change) => stores.push(change),
        }
    }
    Answer { status: head.status, headers: head.headers, body, changes: trails, stores, order }
}

/// The ARN of a trail of the first account.
pub(crate) fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/{name}")
}

/// A policy that allows `actions` on `resource`, under `condition`.
pub(crate) fn allow(actions: &[&str], resource: &str, condition: Value) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition }],
    })
}

/// A management event.
pub(crate) fn event(id: &str, name: &str, time: Timestamp) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": { "type": "IAMUser", "userName": "alice", "accessKeyId": "AKIAALICE", "accountId": ACCOUNT },
        "eventTime": time.to_iso(),
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "eventID": id,
        "readOnly": true,
        "managementEvent": true,
        "eventCategory": "Management",
        "recipientAccountId": ACCOUNT,
    })
}

fn accounts(users: Vec<(&str, Value)>) -> Vec<AccountSpec> {
    let account = |id: &str, key: &str| {
        let root_access_keys = vec![AccessKeySpec::new(key, Secret::new("secret"))];
        AccountSpec { root_access_keys, ..AccountSpec::new(id.parse().unwrap()) }
    };
    let user = |(name, policy): (&str, Value)| UserSpec {
        policies: vec![PolicySpec(policy.to_string())],
        access_keys: vec![AccessKeySpec::new(name, Secret::new("secret"))],
        ..UserSpec::new(name)
    };
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:user/alice") },
            "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
        }],
    });
    let role = RoleSpec {
        policies: vec![PolicySpec(allow(&["cloudtrail:ListTrails"], "*", json!({})).to_string())],
        ..RoleSpec::new("auditor", trust.to_string())
    };
    let first =
        AccountSpec { users: users.into_iter().map(user).collect(), roles: vec![role], ..account(ACCOUNT, "root") };
    vec![first, account(OTHER_ACCOUNT, "other-root")]
}
