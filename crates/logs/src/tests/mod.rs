//! The service as a whole: calls in, answers out, over one file that is reopened.

mod events;
mod filters;
mod groups;
mod insights;
mod live_tail;
mod model;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use opentrail_identity::{AccessKeySpec, AccountSpec, Call, Directory, PolicySpec, Secret, UserSpec};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{ManualClock, OnError, Shutdown, SystemRandom, TaskGroup};
use serde_json::{Value, json};

use crate::{Body, GroupPlace, LogEvent, Logs, Reply, api};

/// In milliseconds; a whole minute.
pub(crate) const NOW: i64 = 1_767_322_800_000;

/// A service over a file in a directory of its own.
pub(crate) struct World {
    pub(crate) logs: Logs,
    pub(crate) clock: Arc<ManualClock>,
    directory: Arc<Directory>,
    tasks: TaskGroup,
    path: PathBuf,
    _files: Option<tempfile::TempDir>,
}

pub(crate) fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

pub(crate) fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

pub(crate) fn place(name: &str) -> GroupPlace {
    GroupPlace { account: account(), region: region(), name: name.to_owned() }
}

pub(crate) fn event(timestamp: i64, message: impl Into<String>) -> LogEvent {
    LogEvent { timestamp, message: message.into() }
}

fn directory() -> Directory {
    let mut ours = AccountSpec::new(account());
    ours.root_access_keys = vec![AccessKeySpec::new("AKIAROOT", Secret::new("s".to_owned()))];
    let user = |name: &str, key: &str, resource: &str| {
        let mut user = UserSpec::new(name);
        user.access_keys = vec![AccessKeySpec::new(key, Secret::new("s".to_owned()))];
        let statement = json!({ "Effect": "Allow", "Action": "logs:*", "Resource": resource });
        user.policies = vec![PolicySpec(json!({ "Version": "2012-10-17", "Statement": statement }).to_string())];
        user
    };
    let arn = "arn:aws:logs:eu-west-1:111122223333:log-group:open";
    ours.users = vec![
        user("star", "AKIASTAR", &format!("{arn}:*")),
        user("bare", "AKIABARE", arn),
        user("stream", "AKIASTREAM", &format!("{arn}:log-stream:s")),
    ];
    Directory::new(vec![ours]).unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("logs.sqlite");
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW)));
        Self::open(path, clock, Some(files)).await
    }

    async fn open(path: PathBuf, clock: Arc<ManualClock>, files: Option<tempfile::TempDir>) -> Self {
        let directory = Arc::new(directory());
        let (logs, writer) = Logs::open(&path, directory.clone(), clock.clone(), Arc::new(SystemRandom)).await.unwrap();
        let tasks = TaskGroup::new(Shutdown::new());
        tasks.spawn("writer", OnError::Log, writer.run(tasks.shutdown().clone()));
        Self { logs, clock, directory, tasks, path, _files: files }
    }

    /// The same file, opened again.
    pub(crate) async fn reopened(mut self) -> Self {
        let (files, path, clock) = (self._files.take(), self.path.clone(), self.clock.clone());
        self.tasks.shutdown().begin();
        self.tasks.join(std::time::Duration::from_secs(60)).await;
        self.logs.close().await;
        Self::open(path, clock, files).await
    }

    pub(crate) async fn reply_as(&self, key: &str, operation: &str, input: Value) -> Reply {
        let call = Call {
            principal: self.directory.find_key(key, None, Timestamp::from_millis(NOW)).unwrap().principal,
            region: region(),
            request_id: "id".to_owned(),
            source_ip: "192.0.2.1".parse().unwrap(),
            secure_transport: true,
            user_agent: None,
        };
        let mut headers = http::HeaderMap::new();
        headers.insert("x-amz-target", format!("Logs_20140328.{operation}").parse().unwrap());
        api(&self.logs, &call, &headers, &Bytes::from(input.to_string())).await
    }

    /// Status and answer of a call.
    pub(crate) async fn call_as(&self, key: &str, operation: &str, input: Value) -> (u16, Value) {
        let (head, body) = self.reply_as(key, operation, input).await.response.into_parts();
        let Body::Whole(bytes) = body else { panic!("frames") };
        (head.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// The root's call, which succeeds.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Value {
        let (status, body) = self.call_as("AKIAROOT", operation, input).await;
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    /// The name of the error of the root's call.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> String {
        let (status, body) = self.call_as("AKIAROOT", operation, input).await;
        assert_ne!(status, 200, "{operation}: {body}");
        body["__type"].as_str().unwrap_or_default().to_owned()
    }

    /// A group with one stream `s`.
    pub(crate) async fn with_stream(group: &str) -> Self {
        let world = Self::new().await;
        world.call("CreateLogGroup", json!({ "logGroupName": group })).await;
        world.call("CreateLogStream", json!({ "logGroupName": group, "logStreamName": "s" })).await;
        world
    }

    /// Puts messages into the stream `s`, a millisecond apart from `time` on.
    pub(crate) async fn put(&self, group: &str, time: i64, messages: &[&str]) {
        let events: Vec<Value> = (time..)
            .zip(messages)
            .map(|(timestamp, message)| json!({ "timestamp": timestamp, "message": message }))
            .collect();
        let input = json!({ "logGroupName": group, "logStreamName": "s", "logEvents": events });
        let answer = self.call("PutLogEvents", input).await;
        assert_eq!(answer.get("rejectedLogEventsInfo"), None, "{answer}");
    }

    /// The messages that FilterLogEvents finds, all pages.
    pub(crate) async fn search(&self, mut input: Value) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let page = self.call("FilterLogEvents", input.clone()).await;
            found.extend(messages(&page));
            match page.get("nextToken") {
                Some(token) => input["nextToken"] = token.clone(),
                None => return found,
            }
        }
    }
}

pub(crate) fn messages(page: &Value) -> Vec<String> {
    page["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}
