//! The API as clients see it, and what flows to targets.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_catalog::{Catalog, MemoryCatalog};
use opentrail_event::EventBatch;
use opentrail_identity::{AccessKeySpec, AccountSpec, Call, Directory, PolicySpec, Secret, UserSpec};
use opentrail_journal::{Journal, MemoryJournal, NewEntry};
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Arn, Position, Source, Timestamp};
use opentrail_outbound::{Outbound, OutboundOptions};
use opentrail_projection::Projection;
use opentrail_runtime::{Clock, ManualClock, SystemRandom};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    Delivery, DeliveryFailure, Destination, Destinations, Events, EventsOptions, EventsParts, Outbox, RecordRules, api,
};

mod archives;
mod buses;
mod connections;
mod records;
mod rules;
mod schedules;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);
pub(crate) const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:alarms";
pub(crate) const OTHER_TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:hanging";
pub(crate) const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:dead";

/// What a scripted destination got: the ARN, the payload, the attributes.
pub(crate) type Got = (String, Value, Vec<(&'static str, String)>);

/// A destination that does what it is told to.
#[derive(Debug)]
pub(crate) struct Scripted {
    got: tokio::sync::mpsc::UnboundedSender<Got>,
    /// Failures to come, by ARN; deliveries to others succeed.
    pub(crate) failures: Mutex<Vec<(String, DeliveryFailure)>>,
}

#[async_trait]
impl Destination for Scripted {
    fn check(&self, arn: &Arn, _account: AccountId) -> Result<(), String> {
        if arn.resource().contains("forbidden") { Err("It is forbidden.".to_owned()) } else { Ok(()) }
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryFailure> {
        let arn = delivery.target.arn.as_str().to_owned();
        if arn == OTHER_TOPIC {
            return std::future::pending().await;
        }
        let failure = {
            let mut failures = self.failures.lock();
            let next = failures.iter().position(|(of, _)| *of == arn);
            next.map(|next| failures.remove(next).1)
        };
        let payload = serde_json::from_slice(delivery.payload).unwrap_or(Value::Null);
        self.got.send((arn, payload, delivery.attributes.to_vec())).unwrap();
        failure.map_or(Ok(()), Err)
    }
}

pub(crate) struct World {
    pub(crate) events: Arc<Events>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) scripted: Arc<Scripted>,
    pub(crate) got: tokio::sync::mpsc::UnboundedReceiver<Got>,
    directory: Arc<Directory>,
    catalog: Arc<dyn Catalog>,
    dir: tempfile::TempDir,
}

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn directory() -> Directory {
    let mut ours = AccountSpec::new(account());
    ours.root_access_keys = vec![AccessKeySpec::new("AKIAROOT", Secret::new("s".to_owned()))];
    let mut alice = UserSpec::new("alice");
    alice.access_keys = vec![AccessKeySpec::new("AKIAALICE", Secret::new("s".to_owned()))];
    let condition = json!({ "StringEquals": { "events:source": "shop" } });
    let put = json!({ "Effect": "Allow", "Action": "events:PutEvents", "Resource": "*", "Condition": condition });
    let policy = json!({ "Version": "2012-10-17", "Statement": [put] });
    alice.policies = vec![PolicySpec(policy.to_string())];
    ours.users = vec![alice];
    let mut theirs = AccountSpec::new("444455556666".parse().unwrap());
    theirs.root_access_keys = vec![AccessKeySpec::new("AKIATHEIRS", Secret::new("s".to_owned()))];
    Directory::new(vec![ours, theirs]).unwrap()
}

pub(crate) async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
    let (clock, journal) = (Arc::new(ManualClock::new(NOW)), Arc::new(MemoryJournal::default()));
    let directory = Arc::new(directory());
    open(dir, catalog, clock, journal, directory).await
}

async fn open(
    dir: tempfile::TempDir,
    catalog: Arc<dyn Catalog>,
    clock: Arc<ManualClock>,
    journal: Arc<MemoryJournal>,
    directory: Arc<Directory>,
) -> World {
    let random = Arc::new(SystemRandom);
    let (tell, got) = tokio::sync::mpsc::unbounded_channel();
    let scripted = Arc::new(Scripted { got: tell, failures: Mutex::default() });
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let parts = EventsParts {
        catalog: Arc::clone(&catalog),
        directory: Arc::clone(&directory),
        ring: Arc::new(KeyRing::ephemeral(random.clone())),
        journal: journal.clone(),
        clock: clock.clone(),
        random,
        outbound: Outbound::new(OutboundOptions { allow, ..OutboundOptions::default() }).unwrap(),
        destinations: Destinations::new().with("sns", scripted.clone()).with("sqs", scripted.clone()),
        outbox: Arc::new(Outbox::open(&dir.path().join("events.sqlite"), 1000).await.unwrap()),
    };
    let events = Events::open(parts, EventsOptions { most_rules: 20, ..EventsOptions::default() }).await.unwrap();
    World { events, clock, journal, scripted, got, directory, catalog, dir }
}

impl World {
    /// The process is gone, and another one opens what was durable.
    pub(crate) async fn crashed(self) -> Self {
        let Self { events, clock, journal, directory, catalog, dir, .. } = self;
        drop(events);
        open(dir, catalog, clock, journal, directory).await
    }

    pub(crate) async fn call_as(&self, key: &str, operation: &str, input: Value) -> (u16, Value, Vec<Value>) {
        let call = Call {
            principal: self.directory.find_key(key, None, NOW).unwrap().principal,
            region: "eu-west-1".parse().unwrap(),
            request_id: "id".to_owned(),
            source_ip: "192.0.2.1".parse().unwrap(),
            secure_transport: true,
            user_agent: None,
        };
        let mut headers = http::HeaderMap::new();
        headers.insert("x-amz-target", format!("AWSEvents.{operation}").parse().unwrap());
        let reply = api(&self.events, &call, &headers, &input.to_string().into()).await;
        let body = serde_json::from_slice(reply.response.body()).unwrap_or(Value::Null);
        (reply.response.status().as_u16(), body, reply.resources)
    }

    /// The root's call, which succeeds.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Value {
        let (status, body, _) = self.call_as("AKIAROOT", operation, input).await;
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    /// The name and the text of the error of the root's call.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (String, String) {
        let (status, body, _) = self.call_as("AKIAROOT", operation, input).await;
        assert_ne!(status, 200, "{operation}: {body}");
        let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        (text("__type"), text("message"))
    }

    /// A rule of the default bus with one target.
    pub(crate) async fn rule(&self, name: &str, pattern: Value, target: Value) {
        self.call("PutRule", json!({ "Name": name, "EventPattern": pattern.to_string() })).await;
        self.call("PutTargets", json!({ "Rule": name, "Targets": [target] })).await;
    }

    pub(crate) async fn put(&self, source: &str, detail: Value) -> Value {
        let entry = json!({ "Source": source, "DetailType": "order", "Detail": detail.to_string() });
        self.call("PutEvents", json!({ "Entries": [entry] })).await
    }

    /// Appends records, and gives the batch that they are.
    pub(crate) async fn records(&self, records: &[Value]) -> Arc<EventBatch> {
        self.records_of(Source::Records, records).await
    }

    pub(crate) async fn records_of(&self, source: Source, records: &[Value]) -> Arc<EventBatch> {
        let after = self.journal.tail();
        let entry = |record: &Value| NewEntry {
            source,
            account: account(),
            received: self.clock.now(),
            body: Bytes::from(record.to_string()),
        };
        self.journal.append(records.iter().map(entry).collect()).await.unwrap();
        let entries = self.journal.read(after, usize::MAX).await.unwrap();
        Arc::new(EventBatch::decode(after, &entries))
    }

    pub(crate) async fn projection(&self) -> RecordRules {
        let mut projection = RecordRules::new(Arc::clone(&self.events));
        projection.resume().await.unwrap();
        projection
    }

    /// The bodies of what waits for `arn`.
    pub(crate) async fn waiting(&self, arn: &str) -> Vec<Value> {
        let due = self.events.outbox.due(arn, self.clock.now(), 100).await.unwrap();
        due.invocations.iter().map(|found| serde_json::from_slice(&found.body).unwrap()).collect()
    }
}

/// A management event that writes.
pub(crate) fn record(name: &str, more: Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11", "userIdentity": { "type": "Root" }, "eventTime": "2026-01-02T03:04:05Z",
        "eventSource": "iam.amazonaws.com", "eventName": name, "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.1", "eventID": format!("id-{name}"), "readOnly": false,
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    });
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

pub(crate) fn topic() -> Value {
    json!({ "Id": "t", "Arn": TOPIC })
}

pub(crate) const START: Position = Position::START;
