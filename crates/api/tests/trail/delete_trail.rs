use opentrail_api::RecordOrder;
use opentrail_trails::TrailChange;
use serde_json::json;

use crate::support::{Api, arn};

#[tokio::test]
async fn a_deleted_trail_is_gone_everywhere() {
    let api = Api::new().await;
    let root = api.root();
    let input = json!({ "Name": "main", "S3BucketName": "logs", "IsMultiRegionTrail": true });
    root.ok("CreateTrail", input).await;
    let answer = root.call("DeleteTrail", json!({ "Name": "main" })).await;
    assert_eq!(answer.body, json!({}));
    assert_eq!(answer.order, RecordOrder::RecordFirst);
    assert!(matches!(&answer.changes[..], [TrailChange::DeleteTrail(key)] if key.name.as_str() == "main"));
    for region in ["us-east-1", "eu-west-1"] {
        assert_eq!(api.root().at(region).ok("DescribeTrails", json!({})).await["trailList"], json!([]));
    }
    root.refused("DeleteTrail", json!({ "Name": "main" }), "TrailNotFoundException", "").await;
}

#[tokio::test]
async fn a_new_trail_of_the_same_name_is_newer_than_the_old_one_ever_was() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let version = |changes: &[TrailChange]| match changes {
        [TrailChange::PutTrail(trail)] => trail.version,
        other => panic!("{other:?}"),
    };
    api.clock.advance(std::time::Duration::from_secs(1));
    let started = root.call("StartLogging", json!({ "Name": "main" })).await;
    let last = version(&started.changes);
    root.ok("DeleteTrail", json!({ "Name": "main" })).await;
    let again = root.call("CreateTrail", json!({ "Name": "main", "S3BucketName": "logs" })).await;
    assert!(version(&again.changes) > last);
}

#[tokio::test]
async fn a_shadow_is_not_deleted() {
    let api = Api::new().await;
    let input = json!({ "Name": "main", "S3BucketName": "logs", "IsMultiRegionTrail": true });
    api.root().ok("CreateTrail", input).await;
    let elsewhere = api.root().at("eu-west-1");
    let by_arn = json!({ "Name": arn("us-east-1", "main") });
    elsewhere.refused("DeleteTrail", by_arn, "InvalidHomeRegionException", "us-east-1").await;
    elsewhere.refused("DeleteTrail", json!({ "Name": "main" }), "TrailNotFoundException", "eu-west-1").await;
    elsewhere.refused("DeleteTrail", json!({ "Name": "a" }), "InvalidTrailNameException", "too short").await;
    elsewhere.refused("DeleteTrail", json!({ "Name": "arn:x" }), "CloudTrailARNInvalidException", "arn:x").await;
}
