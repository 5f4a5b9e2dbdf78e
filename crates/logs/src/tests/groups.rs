use serde_json::json;

use super::{NOW, World};

#[tokio::test]
async fn groups_are_made_listed_by_pages_and_deleted() {
    let world = World::new().await;
    for name in ["/aws/a", "/aws/b", "other"] {
        world.call("CreateLogGroup", json!({ "logGroupName": name, "tags": { "team": "x" } })).await;
    }
    let again = world.refused("CreateLogGroup", json!({ "logGroupName": "other" })).await;
    assert_eq!(again, "ResourceAlreadyExistsException");
    let first = world.call("DescribeLogGroups", json!({ "limit": 2 })).await;
    assert_eq!(first["logGroups"].as_array().unwrap().len(), 2);
    assert_eq!(first["logGroups"][0]["arn"], "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/a:*");
    assert_eq!(first["logGroups"][0]["creationTime"], NOW);
    let second = world.call("DescribeLogGroups", json!({ "limit": 2, "nextToken": first["nextToken"] })).await;
    assert_eq!(second["logGroups"][0]["logGroupName"], "other");
    assert_eq!(second.get("nextToken"), None);
    let prefixed = world.call("DescribeLogGroups", json!({ "logGroupNamePrefix": "/aws/" })).await;
    assert_eq!(prefixed["logGroups"].as_array().unwrap().len(), 2);
    let like = world.call("DescribeLogGroups", json!({ "logGroupNamePattern": "THE" })).await;
    assert_eq!(like["logGroups"][0]["logGroupName"], "other");
    let listed = world.call("ListLogGroups", json!({ "logGroupNamePattern": "^/aws" })).await;
    assert_eq!(listed["logGroups"].as_array().unwrap().len(), 2);
    world.call("DeleteLogGroup", json!({ "logGroupName": "other" })).await;
    assert_eq!(world.refused("DeleteLogGroup", json!({ "logGroupName": "other" })).await, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_groups_do_not_have_is_refused() {
    let world = World::new().await;
    for input in [
        json!({ "logGroupName": "a", "kmsKeyId": "arn:aws:kms:eu-west-1:111122223333:key/x" }),
        json!({ "logGroupName": "a", "logGroupClass": "INFREQUENT_ACCESS" }),
        json!({ "logGroupName": "a b" }),
        json!({}),
    ] {
        assert_eq!(world.refused("CreateLogGroup", input).await, "InvalidParameterException");
    }
    assert_eq!(world.refused("CreateExportTask", json!({})).await, "InvalidOperationException");
    assert_eq!(world.refused("Nonsense", json!({})).await, "UnknownOperationException");
}

#[tokio::test]
async fn a_protected_group_is_deleted_once_it_is_not() {
    let world = World::new().await;
    world.call("CreateLogGroup", json!({ "logGroupName": "a", "deletionProtectionEnabled": true })).await;
    assert_eq!(world.refused("DeleteLogGroup", json!({ "logGroupName": "a" })).await, "ValidationException");
    let off = json!({ "logGroupIdentifier": "a", "deletionProtectionEnabled": false });
    world.call("PutLogGroupDeletionProtection", off).await;
    world.call("DeleteLogGroup", json!({ "logGroupName": "a" })).await;
}

#[tokio::test]
async fn streams_are_listed_by_name_and_by_last_event() {
    let world = World::with_stream("g").await;
    for name in ["a", "b"] {
        world.call("CreateLogStream", json!({ "logGroupName": "g", "logStreamName": name })).await;
    }
    let again = world.refused("CreateLogStream", json!({ "logGroupName": "g", "logStreamName": "a" })).await;
    assert_eq!(again, "ResourceAlreadyExistsException");
    world.put("g", NOW, &["x"]).await;
    let names = |answer: &serde_json::Value| -> Vec<String> {
        let streams = answer["logStreams"].as_array().unwrap();
        streams.iter().map(|stream| stream["logStreamName"].as_str().unwrap().to_owned()).collect()
    };
    let by_name = world.call("DescribeLogStreams", json!({ "logGroupName": "g" })).await;
    assert_eq!(names(&by_name), ["a", "b", "s"]);
    let input = json!({ "logGroupName": "g", "orderBy": "LastEventTime", "descending": true, "limit": 1 });
    let newest = world.call("DescribeLogStreams", input.clone()).await;
    assert_eq!(names(&newest), ["s"]);
    assert_eq!(newest["logStreams"][0]["lastEventTimestamp"], NOW);
    let mut next = input;
    next["nextToken"] = newest["nextToken"].clone();
    assert_eq!(names(&world.call("DescribeLogStreams", next).await), ["b"]);
    world.call("DeleteLogStream", json!({ "logGroupName": "g", "logStreamName": "s" })).await;
    assert!(world.search(json!({ "logGroupName": "g" })).await.is_empty(), "its events are not seen any more");
    assert_eq!(world.logs.maintain().await.unwrap().dropped, 1);
}

#[tokio::test]
async fn tags_change_by_both_kinds_of_operations() {
    let world = World::with_stream("g").await;
    let arn = "arn:aws:logs:eu-west-1:111122223333:log-group:g";
    world.call("TagResource", json!({ "resourceArn": arn, "tags": { "a": "1", "b": "2" } })).await;
    world.call("TagLogGroup", json!({ "logGroupName": "g", "tags": { "b": "3" } })).await;
    let tags = world.call("ListTagsForResource", json!({ "resourceArn": arn })).await;
    assert_eq!(tags["tags"], json!({ "a": "1", "b": "3" }));
    world.call("UntagResource", json!({ "resourceArn": arn, "tagKeys": ["a"] })).await;
    world.call("UntagLogGroup", json!({ "logGroupName": "g", "tags": ["b"] })).await;
    assert_eq!(world.call("ListTagsLogGroup", json!({ "logGroupName": "g" })).await["tags"], json!({}));
    let many: serde_json::Map<_, _> = (0..50).map(|n| (n.to_string(), json!(""))).collect();
    world.call("TagResource", json!({ "resourceArn": arn, "tags": many })).await;
    let more = json!({ "resourceArn": arn, "tags": { "one": "more" } });
    assert_eq!(world.refused("TagResource", more).await, "TooManyTagsException");
}

#[tokio::test]
async fn policies_name_a_group_with_or_without_its_end_and_streams_alone() {
    let world = World::with_stream("open").await;
    world.call("CreateLogGroup", json!({ "logGroupName": "shut" })).await;
    let describe = |name: &str| json!({ "logGroupName": name });
    for key in ["AKIASTAR", "AKIABARE"] {
        assert_eq!(world.call_as(key, "DescribeLogStreams", describe("open")).await.0, 200, "{key}");
        let (_, refusal) = world.call_as(key, "DescribeLogStreams", describe("shut")).await;
        assert_eq!(refusal["__type"], "AccessDeniedException");
    }
    let get = json!({ "logGroupName": "open", "logStreamName": "s" });
    assert_eq!(world.call_as("AKIASTREAM", "GetLogEvents", get.clone()).await.0, 200);
    assert_eq!(
        world.call_as("AKIASTAR", "GetLogEvents", get.clone()).await.0,
        200,
        "streams lie behind the group's end"
    );
    assert_eq!(world.call_as("AKIABARE", "GetLogEvents", get).await.0, 400);
    let unknown = world.call_as("AKIASTAR", "DescribeLogStreams", describe("unknown")).await.1;
    assert_eq!(unknown["__type"], "AccessDeniedException", "nobody is told whether it is there");
}

#[tokio::test]
async fn resource_policies_have_revisions() {
    let world = World::new().await;
    let document = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" },
        "Action": "logs:PutLogEvents", "Resource": "*" } })
    .to_string();
    let put = json!({ "policyName": "p", "policyDocument": document });
    assert_eq!(world.call("PutResourcePolicy", put.clone()).await["revisionId"], "1");
    let mut stale = put.clone();
    stale["expectedRevisionId"] = json!("7");
    assert_eq!(world.refused("PutResourcePolicy", stale).await, "OperationAbortedException");
    assert_eq!(world.call("PutResourcePolicy", put).await["revisionId"], "2");
    let bad = json!({ "policyName": "q", "policyDocument": "{}" });
    assert_eq!(world.refused("PutResourcePolicy", bad).await, "InvalidParameterException");
    let listed = world.call("DescribeResourcePolicies", json!({})).await;
    assert_eq!(listed["resourcePolicies"][0]["policyName"], "p");
    let may = |action: &'static str| {
        let logs = world.logs.clone();
        async move {
            let context = opentrail_identity::Context::new();
            logs.service_may("events.amazonaws.com", action, &super::place("g"), "s", &context).await.unwrap()
        }
    };
    assert!(may("logs:PutLogEvents").await && !may("logs:CreateLogStream").await);
    world.call("DeleteResourcePolicy", json!({ "policyName": "p" })).await;
    assert_eq!(world.refused("DeleteResourcePolicy", json!({ "policyName": "p" })).await, "ResourceNotFoundException");
    assert!(!may("logs:PutLogEvents").await);
}
