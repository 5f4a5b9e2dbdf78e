//! Against a CloudWatch Logs, an STS and an SNS that hold to AWS's rules and answer as told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use opentrail_model::{Position, Timestamp};
use opentrail_outbound::aws::AwsEndpoint;
use opentrail_runtime::{Clock, OnError, Shutdown, SystemClock, TaskGroup};
use opentrail_trails::{
    LogBatch, LogGroup, LogGroupError, LogGroups, Memory, TopicError, Topics, TrailKey, VALIDATION_MESSAGE,
};
use opentrail_wire::sigv4::Credentials;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;

const GROUP: &str = "arn:aws:logs:us-east-1:111122223333:log-group:trail:*";
const ROLE: &str = "arn:aws:iam::111122223333:role/logs";
const STREAM: &str = "111122223333_CloudTrail_us-east-1";
const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:files";

type Events = Vec<(i64, String)>;

/// What the services have, and what they do not do.
#[derive(Default)]
struct Far {
    group_is_there: bool,
    streams: BTreeMap<String, Events>,
    /// Operations that are denied.
    denied: Vec<&'static str>,
    /// Times that are too old, in milliseconds: before this.
    oldest: i64,
    /// The access key of each call of CloudWatch Logs.
    keys: Vec<String>,
    /// What topics were told.
    told: Vec<String>,
}

type Cloud = Arc<Mutex<Far>>;

async fn answer(State(cloud): State<Cloud>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut far = cloud.lock();
    let Some((_, operation)) = text("x-amz-target").split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())) else {
        return query(&mut far, &String::from_utf8_lossy(&body));
    };
    let authorization = text("authorization");
    let key = authorization.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
    far.keys.push(key.unwrap_or_default().to_owned());
    let input: Value = serde_json::from_slice(&body).unwrap();
    match logs(&mut far, &operation, &input) {
        Ok(answer) => (StatusCode::OK, answer.to_string()),
        Err(name) => (StatusCode::BAD_REQUEST, json!({ "__type": name, "message": "no" }).to_string()),
    }
}

fn logs(far: &mut Far, operation: &str, input: &Value) -> Result<Value, &'static str> {
    if far.denied.contains(&operation) {
        return Err("AccessDeniedException");
    }
    assert_eq!(input["logGroupName"], "trail");
    let stream = input["logStreamName"].as_str().unwrap();
    if !far.group_is_there {
        return Err("ResourceNotFoundException");
    }
    if operation == "CreateLogStream" {
        let is_new = far.streams.insert(stream.to_owned(), Events::new()).is_none();
        return if is_new { Ok(json!({})) } else { Err("ResourceAlreadyExistsException") };
    }
    let oldest = far.oldest;
    let Some(events) = far.streams.get_mut(stream) else { return Err("ResourceNotFoundException") };
    match operation {
        "PutLogEvents" => {
            let put: Events = input["logEvents"].as_array().unwrap().iter().map(event).collect();
            let size_bytes: usize = put.iter().map(|(_, message)| message.len() + 26).sum();
            assert!(put.is_sorted_by_key(|(time, _)| *time) && put.len() <= 10_000 && size_bytes <= 1 << 20);
            assert!(put.last().unwrap().0 - put[0].0 <= 86_400_000);
            let old = put.iter().filter(|(time, _)| *time < oldest).count();
            events.extend_from_slice(&put[old..]);
            let info = json!({ "tooOldLogEventEndIndex": old });
            Ok(if old > 0 { json!({ "rejectedLogEventsInfo": info }) } else { json!({}) })
        }
        "GetLogEvents" => {
            let (start, end) = (input["startTime"].as_i64().unwrap(), input["endTime"].as_i64().unwrap());
            let mut found: Events = events.iter().filter(|(time, _)| (start..end).contains(time)).cloned().collect();
            found.sort_by_key(|(time, _)| *time);
            // Two at a time, with an empty page at first.
            let token = input["nextToken"].as_str().map(|token| token.parse::<usize>().unwrap());
            let (page, next) = match token {
                None => (Vec::new(), 0),
                Some(from) => {
                    let to = found.len().min(from + 2);
                    (found[from..to].to_vec(), to)
                }
            };
            let page: Vec<Value> =
                page.into_iter().map(|(time, message)| json!({ "timestamp": time, "message": message })).collect();
            Ok(json!({ "events": page, "nextForwardToken": next.to_string() }))
        }
        other => panic!("{other}"),
    }
}

fn event(of: &Value) -> (i64, String) {
    (of["timestamp"].as_i64().unwrap(), of["message"].as_str().unwrap().to_owned())
}

fn query(far: &mut Far, form: &str) -> (StatusCode, String) {
    let value = |name: &str| url_value(form, name);
    let action = value("Action");
    let error = |code: &str| {
        (StatusCode::FORBIDDEN, format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"))
    };
    match action.as_str() {
        "AssumeRole" if far.denied.contains(&"AssumeRole") => error("AccessDenied"),
        "AssumeRole" => {
            assert_eq!(value("RoleArn"), ROLE.replace(':', "%3A").replace('/', "%2F"));
            let credentials = "<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                               <SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>";
            let result = format!("<AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult>");
            (StatusCode::OK, format!("<AssumeRoleResponse xmlns=\"x\">{result}</AssumeRoleResponse>"))
        }
        "GetTopicAttributes" if !value("TopicArn").ends_with("files") => error("NotFound"),
        "Publish" if far.denied.contains(&"Publish") => error("AuthorizationError"),
        "Publish" => {
            far.told.push(value("Message").replace('+', " "));
            (StatusCode::OK, "<PublishResponse><PublishResult/></PublishResponse>".to_owned())
        }
        other => (StatusCode::OK, format!("<{other}Response/>")),
    }
}

fn url_value(form: &str, name: &str) -> String {
    let pair = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.unwrap_or_default().to_owned()
}

/// A cloud with the group, and what calls it.
async fn elsewhere() -> (Cloud, ElsewhereOptions) {
    let cloud: Cloud = Arc::new(Mutex::new(Far { group_is_there: true, ..Far::default() }));
    let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&cloud));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    TaskGroup::new(Shutdown::new()).spawn("cloud", OnError::Log, async move {
        axum::serve(listener, router).await?;
        Ok::<_, std::io::Error>(())
    });
    let credentials = Credentials { access_key_id: "AKIAOWN".to_owned(), secret: "s".to_owned(), session_token: None };
    let at = AwsEndpoint { endpoint, region: "eu-west-1".parse().unwrap(), credentials };
    (cloud, ElsewhereOptions { at, arns: vec![ArnPattern::any()], timeout: Duration::from_secs(10), sts: None })
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn trail() -> TrailKey {
    TrailKey {
        account: "111122223333".parse().unwrap(),
        home_region: "us-east-1".parse().unwrap(),
        name: "main".parse().unwrap(),
    }
}

fn group() -> LogGroup {
    LogGroup { arn: GROUP.to_owned(), role: ROLE.to_owned() }
}

fn batch(events: &[(i64, &str)], at: i64) -> LogBatch {
    let event = |(secs, text): &(i64, &str)| (Timestamp::from_secs(*secs), text.as_bytes().to_vec().into());
    LogBatch { stream: STREAM.to_owned(), events: events.iter().map(event).collect(), at: Timestamp::from_secs(at) }
}

fn messages(batches: &[LogBatch]) -> Vec<&str> {
    let events = batches.iter().flat_map(|batch| &batch.events);
    events.map(|(_, record)| std::str::from_utf8(record).unwrap()).collect()
}

#[tokio::test]
async fn a_group_is_checked_by_making_its_first_stream() {
    let (cloud, options) = elsewhere().await;
    let groups = LogGroupsElsewhere::new(&options, &clock()).unwrap();
    let check = || async { groups.check(&trail(), &group()).await };
    assert_eq!(check().await, Ok(()));
    assert_eq!(check().await, Ok(()), "the stream is there");
    assert_eq!(cloud.lock().streams.keys().collect::<Vec<_>>(), [STREAM]);
    cloud.lock().denied.push("CreateLogStream");
    assert_eq!(check().await, Err(LogGroupError::Permissions));
    *cloud.lock() = Far::default();
    assert_eq!(check().await, Err(LogGroupError::Group));
    assert_eq!(groups.memory(&trail(), &group()).await, Ok(Memory::Events));
    assert!(cloud.lock().keys.iter().all(|key| key == "AKIAOWN"));
}

#[tokio::test]
async fn events_are_put_by_the_rules_and_those_that_are_there_are_found() {
    let (cloud, options) = elsewhere().await;
    let groups = LogGroupsElsewhere::new(&options, &clock()).unwrap();
    let append = |batches| async { groups.append(&trail(), &group(), batches, Position(9)).await };
    // Out of order, and more than a day apart: two batches, into a stream that is not there yet.
    append(vec![batch(&[(200_000, "b"), (100, "a"), (200_000, "c")], 200_001)]).await.unwrap();
    let all = cloud.lock().streams[STREAM].clone();
    assert_eq!(all, [(100_000, "a"), (200_000_000, "b"), (200_000_000, "c")].map(|(at, text)| (at, text.to_owned())));

    let doubt = vec![batch(&[(100, "a"), (100, "d"), (200_000, "b"), (200_000, "c"), (200_000, "c")], 200_001)];
    let missing = groups.missing(&trail(), &group(), doubt.clone()).await.unwrap();
    assert_eq!(messages(&missing), ["d", "c"], "of two that are alike, one is there");
    append(missing).await.unwrap();
    assert_eq!(groups.missing(&trail(), &group(), doubt.clone()).await.unwrap(), []);

    // Who may not read puts again.
    cloud.lock().denied.push("GetLogEvents");
    assert_eq!(groups.missing(&trail(), &group(), doubt.clone()).await.unwrap(), doubt);
    cloud.lock().denied = vec!["PutLogEvents"];
    assert_eq!(append(doubt).await, Err(LogGroupError::Permissions));
    cloud.lock().streams.clear();
    let doubt = vec![batch(&[(100, "a")], 100)];
    assert_eq!(groups.missing(&trail(), &group(), doubt.clone()).await.unwrap(), doubt);
}

#[tokio::test]
async fn what_is_rejected_for_its_time_has_the_time_of_writing() {
    let (cloud, options) = elsewhere().await;
    let groups = LogGroupsElsewhere::new(&options, &clock()).unwrap();
    cloud.lock().oldest = 1_000_000;
    let batches = vec![batch(&[(999, "old"), (1000, "new"), (998, "older")], 1001)];
    groups.append(&trail(), &group(), batches.clone(), Position(3)).await.unwrap();
    let all = cloud.lock().streams[STREAM].clone();
    assert_eq!(all, [(1_000_000, "new"), (1_001_000, "older"), (1_001_000, "old")].map(|(at, text)| (at, text.into())));
    assert_eq!(groups.missing(&trail(), &group(), batches).await.unwrap(), []);

    // Even the time of writing may be too old by then.
    let now = SystemClock.now().as_millis();
    cloud.lock().oldest = now;
    groups.append(&trail(), &group(), vec![batch(&[(999, "late")], 1001)], Position(4)).await.unwrap();
    let (at, text) = cloud.lock().streams[STREAM].last().unwrap().clone();
    assert!(at >= now && text == "late");
}

#[tokio::test]
async fn roles_are_assumed_where_the_configuration_says_so() {
    let (cloud, mut options) = elsewhere().await;
    options.sts = Some(options.at.endpoint.clone());
    let groups = LogGroupsElsewhere::new(&options, &clock()).unwrap();
    cloud.lock().denied.push("AssumeRole");
    assert_eq!(groups.check(&trail(), &group()).await, Err(LogGroupError::Trust));
    cloud.lock().denied.clear();
    groups.check(&trail(), &group()).await.unwrap();
    assert_eq!(cloud.lock().keys, ["ASIAROLE"]);
}

#[tokio::test]
async fn topics_are_looked_up_and_told() {
    let (cloud, options) = elsewhere().await;
    let topics = TopicsElsewhere::new(&options, &clock()).unwrap();
    assert_eq!(topics.check(&trail(), "files").await.unwrap(), TOPIC);
    assert!(matches!(topics.check(&trail(), "a topic").await, Err(TopicError::Name { .. })));
    let code = topics.check(&trail(), "none").await.unwrap_err();
    assert_eq!(code, TopicError::Refused { code: "NotFound".to_owned() });
    topics.publish(&trail(), TOPIC, VALIDATION_MESSAGE, "once").await.unwrap();
    assert_eq!(cloud.lock().told, [VALIDATION_MESSAGE]);
    cloud.lock().denied.push("Publish");
    let refused = topics.publish(&trail(), TOPIC, "m", "once").await.unwrap_err();
    assert_eq!(refused.code(), "AuthorizationError");
}

#[tokio::test]
async fn who_does_not_answer_is_unavailable() {
    let (_, mut options) = elsewhere().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    options.at.endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    options.timeout = Duration::from_millis(50);
    let groups = LogGroupsElsewhere::new(&options, &clock()).unwrap();
    let unavailable = groups.check(&trail(), &group()).await.unwrap_err();
    assert!(matches!(unavailable, LogGroupError::Unavailable { .. }), "{unavailable}");
    let topics = TopicsElsewhere::new(&options, &clock()).unwrap();
    assert_eq!(topics.publish(&trail(), TOPIC, "m", "once").await.unwrap_err().code(), "ServiceUnavailable");
}
