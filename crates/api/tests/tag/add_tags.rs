use opentrail_trails::TrailChange;
use serde_json::{Value, json};

use super::{bad_resources_are_refused, tags_of};
use crate::support::{Api, allow};

fn add(arn: &str, tags: Value) -> Value {
    json!({ "ResourceId": arn, "TagsList": tags })
}

#[tokio::test]
async fn a_known_key_gets_the_new_value() {
    let api = Api::new().await;
    let root = api.root();
    let arn = root.create_trail("main").await;
    let first = json!([{ "Key": "team", "Value": "audit" }, { "Key": "bare" }]);
    let answer = root.call("AddTags", add(&arn, first.clone())).await;
    assert_eq!(answer.body, json!({}));
    assert!(matches!(&answer.changes[..], [TrailChange::PutTrail(trail)] if trail.tags.len() == 2));
    assert_eq!(tags_of(&root, &arn).await, first);
    assert!(root.call("AddTags", add(&arn, first)).await.changes.is_empty(), "nothing changed");
    root.ok("AddTags", add(&arn, json!([{ "Key": "team", "Value": "security" }]))).await;
    assert_eq!(tags_of(&root, &arn).await, json!([{ "Key": "team", "Value": "security" }, { "Key": "bare" }]));
}

#[tokio::test]
async fn bad_tags_are_refused() {
    let api = Api::new().await;
    let root = api.root();
    let arn = root.create_trail("main").await;
    let fifty: Vec<Value> = (0..50).map(|i| json!({ "Key": format!("k{i}"), "Value": "v" })).collect();
    root.ok("AddTags", add(&arn, json!(fifty))).await;
    let cases = [
        (json!([{ "Key": "more", "Value": "v" }]), "TagsLimitExceededException", "51"),
        (json!([{ "Key": "a" }, { "Key": "a" }]), "InvalidTagParameterException", "more than once"),
        (json!([{ "Key": "aws:a" }]), "InvalidTagParameterException", "reserved"),
        (json!([{ "Key": "" }]), "InvalidTagParameterException", "tagsList.1.member.key"),
        (json!([{ "Key": "a", "Value": "v".repeat(257) }]), "InvalidTagParameterException", "256"),
        (json!([{ "Value": "v" }]), "InvalidTagParameterException", "must not be null"),
    ];
    for (tags, error, message) in cases {
        root.refused("AddTags", add(&arn, tags), error, message).await;
    }
    assert_eq!(tags_of(&root, &arn).await, json!(fifty));
}

#[tokio::test]
async fn resources_that_cannot_be_tagged_are_refused() {
    bad_resources_are_refused("AddTags", |arn| add(arn, json!([{ "Key": "k", "Value": "v" }]))).await;
}

#[tokio::test]
async fn a_shadow_is_not_tagged() {
    let api = Api::new().await;
    let wide = json!({ "Name": "wide", "S3BucketName": "logs", "IsMultiRegionTrail": true });
    let arn = api.root().ok("CreateTrail", wide).await["TrailARN"].as_str().unwrap().to_owned();
    let elsewhere = api.root().at("eu-west-1");
    let text = "Region in ARN is wrong, you can only access resources in region eu-west-1.";
    elsewhere.refused("AddTags", add(&arn, json!([{ "Key": "k" }])), "CloudTrailARNInvalidException", text).await;
}

#[tokio::test]
async fn permissions_can_hang_on_the_keys() {
    let keys = json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["team", "stage"] } });
    let api = Api::with_users(vec![("alice", allow(&["cloudtrail:AddTags"], "*", keys))]).await;
    let arn = api.root().create_trail("main").await;
    let alice = api.caller("alice", None);
    alice.ok("AddTags", add(&arn, json!([{ "Key": "team", "Value": "audit" }]))).await;
    let more = json!([{ "Key": "team" }, { "Key": "owner" }]);
    alice.refused("AddTags", add(&arn, more), "AccessDeniedException", "cloudtrail:AddTags on resource").await;
}
