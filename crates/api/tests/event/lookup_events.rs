use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{ACCOUNT, Api, Caller, OTHER_ACCOUNT, allow, event};

async fn ids(caller: &Caller<'_>, input: Value) -> Vec<String> {
    let output = caller.ok("LookupEvents", input).await;
    output["Events"].as_array().unwrap().iter().map(|event| event["EventId"].as_str().unwrap().to_owned()).collect()
}

fn by(key: &str, value: &str) -> Value {
    json!({ "LookupAttributes": [{ "AttributeKey": key, "AttributeValue": value }] })
}

#[tokio::test]
async fn an_event_has_every_member_and_its_raw_record() {
    let api = Api::new().await;
    let time = api.services.clock.now() - Duration::from_secs(60);
    let mut record = event("e-1", "GetBucketAcl", time);
    record["requestParameters"] = json!({ "bucketName": "logs" });
    api.record(ACCOUNT, std::slice::from_ref(&record)).await;
    let output = api.root().ok("LookupEvents", json!({})).await;
    let event = &output["Events"][0];
    assert_eq!(event["EventId"], "e-1");
    assert_eq!(event["EventName"], "GetBucketAcl");
    assert_eq!(event["ReadOnly"], "true", "a text");
    assert_eq!(event["AccessKeyId"], "AKIAALICE");
    assert_eq!(event["EventTime"], time.as_secs());
    assert_eq!(event["EventSource"], "s3.amazonaws.com");
    assert_eq!(event["Username"], "alice");
    assert_eq!(event["Resources"], json!([{ "ResourceType": "AWS::S3::Bucket", "ResourceName": "logs" }]));
    assert_eq!(event["CloudTrailEvent"], record.to_string());
    assert_eq!(output.get("NextToken"), None);
}

#[tokio::test]
async fn what_an_event_does_not_have_is_left_out() {
    let api = Api::new().await;
    let bare = json!({ "eventCategory": "Management", "awsRegion": "us-east-1", "recipientAccountId": ACCOUNT });
    api.record(ACCOUNT, std::slice::from_ref(&bare)).await;
    let output = api.root().ok("LookupEvents", json!({})).await;
    let event = output["Events"][0].as_object().unwrap();
    let names: Vec<&str> = event.keys().map(String::as_str).collect();
    assert_eq!(names, ["EventTime", "Resources", "CloudTrailEvent"]);
    assert_eq!(event["EventTime"], api.services.clock.now().as_secs(), "when it was received");
}

#[tokio::test]
async fn only_the_callers_account_and_region_are_searched_newest_first() {
    let api = Api::new().await;
    let now = api.services.clock.now();
    let mut elsewhere = event("elsewhere", "A", now);
    elsewhere["awsRegion"] = json!("eu-west-1");
    let old = event("old", "A", now - Duration::from_secs(60));
    api.record(ACCOUNT, &[event("new", "A", now), old, elsewhere]).await;
    let mut theirs = event("theirs", "A", now);
    theirs["recipientAccountId"] = json!(OTHER_ACCOUNT);
    api.record(OTHER_ACCOUNT, &[theirs]).await;
    assert_eq!(ids(&api.root(), json!({})).await, ["new", "old"]);
    assert_eq!(ids(&api.root().at("eu-west-1"), json!({})).await, ["elsewhere"]);
    assert_eq!(ids(&api.caller("other-root", None), json!({})).await, ["theirs"]);
}

#[tokio::test]
async fn attributes_and_times_narrow() {
    let api = Api::new().await;
    let now = api.services.clock.now();
    let second = Duration::from_secs(1);
    let mut write = event("write", "B", now - second * 2);
    write["readOnly"] = json!(false);
    api.record(ACCOUNT, &[event("first", "A", now - second), write, event("third", "C", now - second * 3)]).await;
    let root = api.root();
    assert_eq!(ids(&root, by("EventName", "A")).await, ["first"]);
    assert_eq!(ids(&root, by("ReadOnly", "false")).await, ["write"]);
    assert_eq!(ids(&root, by("EventId", "third")).await, ["third"]);
    assert_eq!(ids(&root, by("Username", "alice")).await.len(), 3);
    assert!(ids(&root, by("Username", "Alice")).await.is_empty(), "case matters");
    let between = |start: u32, end: u32| json!({ "StartTime": (now - second * start).as_secs(), "EndTime": (now - second * end).as_secs() });
    assert_eq!(ids(&root, between(2, 2)).await, ["write"], "both ends belong to it");
    assert_eq!(ids(&root, between(9, 2)).await, ["write", "third"]);
    assert_eq!(ids(&root, json!({ "EventCategory": "insight" })).await, Vec::<String>::new());
}

#[tokio::test]
async fn pages_continue_behind_the_last_event_while_new_ones_arrive() {
    let api = Api::new().await;
    let now = api.services.clock.now();
    let events: Vec<Value> = (0..120).map(|i| event(&format!("e-{i}"), "A", now - Duration::from_secs(i))).collect();
    api.record(ACCOUNT, &events).await;
    let (root, mut seen, mut input) = (api.root(), Vec::new(), json!({}));
    loop {
        let page = root.ok("LookupEvents", input).await;
        let events = page["Events"].as_array().unwrap();
        assert!(events.len() <= 50);
        seen.extend(events.iter().map(|event| event["EventId"].as_str().unwrap().to_owned()));
        api.record(ACCOUNT, &[event(&format!("late-{}", seen.len()), "A", now)]).await;
        let Some(token) = page.get("NextToken") else { break };
        // How many come at once may change from page to page.
        input = json!({ "NextToken": token, "MaxResults": 50 });
    }
    let expected: Vec<String> = (0..120).map(|i| format!("e-{i}")).collect();
    assert_eq!(seen, expected);
    assert_eq!(ids(&root, json!({ "MaxResults": 7 })).await.len(), 7);
}

#[tokio::test]
async fn a_token_is_bound_to_its_question_and_asker() {
    let api = Api::new().await;
    let now = api.services.clock.now();
    api.record(ACCOUNT, &[event("one", "A", now), event("two", "A", now)]).await;
    let root = api.root();
    let mut first = by("EventName", "A");
    first["MaxResults"] = json!(1);
    let token = root.ok("LookupEvents", first).await["NextToken"].as_str().unwrap().to_owned();
    let with = |token: &str, mut input: Value| {
        input["NextToken"] = json!(token);
        input
    };
    let same = with(&token, by("EventName", "A"));
    assert_eq!(ids(&root, same.clone()).await.len(), 1);

    let name = "InvalidNextTokenException";
    let other_request = "repeat every other parameter";
    root.refused("LookupEvents", with(&token, json!({})), name, other_request).await;
    root.refused("LookupEvents", with(&token, by("EventName", "B")), name, other_request).await;
    let mut later = with(&token, by("EventName", "A"));
    later["EndTime"] = json!(now.as_secs());
    root.refused("LookupEvents", later, name, other_request).await;
    api.root().at("eu-west-1").refused("LookupEvents", same.clone(), name, other_request).await;
    api.caller("other-root", None).refused("LookupEvents", same.clone(), name, other_request).await;
    let altered = format!("{}{}", &token[..token.len() - 8], "AAAAAAA=");
    for bad in ["", "made up", &token[4..], &altered] {
        root.refused("LookupEvents", with(bad, by("EventName", "A")), name, "not one that").await;
    }
    api.clock.advance(Duration::from_secs(24 * 60 * 60 + 1));
    root.refused("LookupEvents", same, name, "expired").await;
}

#[tokio::test]
async fn bad_questions_are_refused_by_their_own_errors() {
    let api = Api::with_users(vec![("alice", allow(&["cloudtrail:GetTrail"], "*", json!({})))]).await;
    let mut two = by("EventName", "A");
    two["LookupAttributes"].as_array_mut().unwrap().push(json!({ "AttributeKey": "EventId", "AttributeValue": "x" }));
    let mut insight = by("Username", "alice");
    insight["EventCategory"] = json!("insight");
    let cases = [
        (two, "InvalidLookupAttributesException", "Only one"),
        (by("eventName", "A"), "InvalidLookupAttributesException", "attributeKey"),
        (by("EventName", ""), "InvalidLookupAttributesException", "attributeValue"),
        (by("EventName", &"a".repeat(2001)), "InvalidLookupAttributesException", "2000"),
        (by("EventName", &"_".repeat(1001)), "InvalidLookupAttributesException", "2002"),
        (by("ReadOnly", "yes"), "InvalidLookupAttributesException", "true or false"),
        (insight, "InvalidLookupAttributesException", "EventId, EventName and EventSource only"),
        (json!({ "EventCategory": "data" }), "InvalidEventCategoryException", "eventCategory"),
        (json!({ "MaxResults": 0 }), "InvalidMaxResultsException", "greater than or equal to 1"),
        (json!({ "MaxResults": 51 }), "InvalidMaxResultsException", "less than or equal to 50"),
        (json!({ "StartTime": 2, "EndTime": 1 }), "InvalidTimeRangeException", "is after"),
        (json!({ "StartTime": "noon" }), "SerializationException", "startTime"),
    ];
    for (input, error, message) in cases {
        api.root().refused("LookupEvents", input, error, message).await;
    }
    let denied = format!(
        "User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: cloudtrail:LookupEvents because no \
         identity-based policy allows the cloudtrail:LookupEvents action"
    );
    api.caller("alice", None).refused("LookupEvents", json!({}), "AccessDeniedException", &denied).await;
}
