//! The whole of it, over a file of its own and a clock that is moved by hand.

mod alarms;
mod crash;
mod data;
mod protocols;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_identity::{AccessKeySpec, AccountSpec, Call, Directory, PolicySpec, Secret, UserSpec};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{Clock, ManualClock, SeededRandom};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::alarm::Dispatcher;
use crate::{
    ActionError, AlarmActions, AlarmNotification, Background, Datum, MetricName, Monitoring, Resolution, Settings,
    Summary, Unit, api,
};

/// A full hour.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_767_322_800);
pub(super) const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:ops";

/// What actions were performed, and how the next ones end.
#[derive(Debug, Default)]
pub(super) struct Performed {
    pub(super) notifications: Mutex<Vec<(String, AlarmNotification)>>,
    pub(super) events: Mutex<Vec<Value>>,
    /// Taken from the end; when none is left, actions succeed.
    pub(super) fails: Mutex<Vec<ActionError>>,
    /// Actions of this ARN never end.
    pub(super) hangs: Option<String>,
    /// Told of each action that ended.
    pub(super) done: tokio::sync::Notify,
}

#[async_trait]
impl AlarmActions for Performed {
    async fn perform(
        &self,
        _: AccountId,
        action_arn: &str,
        notification: &AlarmNotification,
    ) -> Result<(), ActionError> {
        if self.hangs.as_deref() == Some(action_arn) {
            std::future::pending::<()>().await;
        }
        self.notifications.lock().push((action_arn.to_owned(), notification.clone()));
        self.done.notify_one();
        self.fails.lock().pop().map_or(Ok(()), Err)
    }

    async fn state_changed(&self, _: AccountId, event: &Value) -> Result<(), ActionError> {
        self.events.lock().push(event.clone());
        Ok(())
    }
}

pub(super) struct World {
    pub(super) monitoring: Monitoring,
    pub(super) background: Background,
    pub(super) clock: Arc<ManualClock>,
    pub(super) performed: Arc<Performed>,
    directory: Arc<Directory>,
    files: tempfile::TempDir,
}

pub(super) fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

pub(super) fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

fn directory() -> Directory {
    let mut ours = AccountSpec::new(account());
    ours.root_access_keys = vec![AccessKeySpec::new("AKIAROOT", Secret::new("s".to_owned()))];
    let mut alice = UserSpec::new("alice");
    alice.access_keys = vec![AccessKeySpec::new("AKIAALICE", Secret::new("s".to_owned()))];
    let allow = json!({ "Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*",
        "Condition": { "StringEquals": { "cloudwatch:namespace": "Hers" } } });
    alice.policies = vec![PolicySpec(json!({ "Version": "2012-10-17", "Statement": allow }).to_string())];
    ours.users = vec![alice];
    Directory::new(vec![ours]).unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Performed::default(), Settings::default()).await
    }

    pub(super) async fn with(performed: Performed, settings: Settings) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (clock, directory) = (Arc::new(ManualClock::new(NOW)), Arc::new(directory()));
        let performed = Arc::new(performed);
        let (monitoring, background) =
            open(files.path().join("metrics.sqlite"), &directory, &clock, &performed, settings).await;
        Self { monitoring, background, clock, performed, directory, files }
    }

    /// The same files in another process, after this one was killed.
    pub(super) async fn reopened(self) -> Self {
        let Self { clock, performed, directory, files, .. } = self;
        let (monitoring, background) =
            open(files.path().join("metrics.sqlite"), &directory, &clock, &performed, Settings::default()).await;
        Self { monitoring, background, clock, performed, directory, files }
    }

    pub(super) fn caller(&self, key: &str) -> Call {
        Call {
            principal: self.directory.find_key(key, None, NOW).unwrap().principal,
            region: region(),
            request_id: "id".to_owned(),
            source_ip: "192.0.2.1".parse().unwrap(),
            secure_transport: true,
            user_agent: None,
        }
    }

    /// Status and answer of a call in awsJson.
    pub(super) async fn call_as(&self, key: &str, operation: &str, input: Value) -> (u16, Value) {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-amz-target", format!("GraniteServiceVersion20100801.{operation}").parse().unwrap());
        let uri = "/".parse().unwrap();
        let (caller, body) = (self.caller(key), input.to_string().into());
        let reply = sends(api(&self.monitoring, &caller, &uri, &headers, &body)).await;
        let body = serde_json::from_slice(reply.response.body()).unwrap_or(Value::Null);
        (reply.response.status().as_u16(), body)
    }

    /// The root's call, which succeeds.
    pub(super) async fn call(&self, operation: &str, input: Value) -> Value {
        let (status, body) = self.call_as("AKIAROOT", operation, input).await;
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    /// The name of the error of the root's call, and its text.
    pub(super) async fn refused(&self, operation: &str, input: Value) -> (String, String) {
        let (_, body) = self.call_as("AKIAROOT", operation, input).await;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (text("__type"), text("message"))
    }

    pub(super) fn datum(&self, name: &str, time: Timestamp, value: f64) -> Datum {
        Datum {
            account: account(),
            region: region(),
            metric: MetricName::new("App", name, []),
            time,
            unit: Unit::COUNT,
            resolution: Resolution::Standard,
            values: Summary::of(value),
        }
    }

    pub(super) async fn put(&self, name: &str, time: Timestamp, value: f64) {
        self.monitoring.metrics().put(&[self.datum(name, time, value)]).await.unwrap();
    }

    /// Evaluates what is due.
    pub(super) async fn evaluate(&self) {
        self.monitoring.alarms.evaluate_due(self.clock.now()).await;
    }

    /// Moves the clock and evaluates what is due then.
    pub(super) async fn after(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
        self.evaluate().await;
    }

    pub(super) async fn state(&self, alarm: &str) -> String {
        let input = json!({ "AlarmNames": [alarm], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"] });
        let found = self.call("DescribeAlarms", input).await;
        let all = [&found["MetricAlarms"], &found["CompositeAlarms"]];
        let one = all.into_iter().find_map(|list| list.get(0)).unwrap();
        one["StateValue"].as_str().unwrap().to_owned()
    }

    pub(super) async fn history(&self, alarm: &str) -> Vec<String> {
        let input = json!({ "AlarmName": alarm, "ScanBy": "TimestampAscending",
            "AlarmTypes": ["MetricAlarm", "CompositeAlarm"] });
        let items = self.call("DescribeAlarmHistory", input).await["AlarmHistoryItems"].clone();
        items.as_array().unwrap().iter().map(|item| item["HistorySummary"].as_str().unwrap().to_owned()).collect()
    }

    /// Performs what is due in the outbox, one errand of each lane, and again until nothing is due.
    pub(super) async fn perform(&self) {
        let dispatcher = Dispatcher { alarms: self.monitoring.alarms.clone(), actions: self.performed.clone() };
        dispatcher.perform_due().await;
    }

    /// The topics that were told, with the subjects.
    pub(super) fn told(&self) -> Vec<String> {
        self.performed.notifications.lock().iter().map(|(_, notification)| notification.subject.clone()).collect()
    }
}

/// What the server's tasks need.
pub(super) fn sends<T: Send>(future: T) -> T {
    future
}

async fn open(
    file: PathBuf,
    directory: &Arc<Directory>,
    clock: &Arc<ManualClock>,
    performed: &Arc<Performed>,
    settings: Settings,
) -> (Monitoring, Background) {
    let random = Arc::new(SeededRandom::new(1));
    Monitoring::open(&file, directory.clone(), clock.clone(), random, performed.clone(), settings).await.unwrap()
}

/// An alarm on the sum of App/errors in a minute above 2.
pub(super) fn above_two(name: &str) -> Value {
    json!({ "AlarmName": name, "Namespace": "App", "MetricName": "errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 2.0, "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching", "AlarmActions": [TOPIC], "OKActions": [TOPIC] })
}
