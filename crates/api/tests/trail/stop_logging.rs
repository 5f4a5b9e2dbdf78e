use opentrail_api::RecordOrder;
use opentrail_trails::TrailChange;
use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn logging_stops_after_the_call_is_recorded_and_only_once() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let idle = root.call("StopLogging", json!({ "Name": "main" })).await;
    assert_eq!((idle.body, idle.changes.len()), (json!({}), 0));
    root.ok("StartLogging", json!({ "Name": "main" })).await;
    let stopped = root.call("StopLogging", json!({ "Name": "main" })).await;
    assert_eq!((&stopped.body, stopped.order), (&json!({}), RecordOrder::RecordFirst));
    let now = api.services.clock.now();
    assert!(matches!(&stopped.changes[..], [TrailChange::PutTrail(t)] if !t.logging && t.stopped == Some(now)));
    let again = root.call("StopLogging", json!({ "Name": "main" })).await;
    assert!(again.changes.is_empty());
}

#[tokio::test]
async fn a_trail_is_stopped_at_home_only() {
    let api = Api::new().await;
    let arn = api.root().create_trail("main").await;
    let elsewhere = api.root().at("eu-west-1");
    elsewhere.refused("StopLogging", json!({ "Name": arn }), "InvalidHomeRegionException", "us-east-1").await;
    elsewhere.refused("StopLogging", json!({ "Name": "main" }), "TrailNotFoundException", "eu-west-1").await;
    elsewhere.refused("StopLogging", json!({ "Name": "a" }), "InvalidTrailNameException", "too short").await;
    elsewhere.refused("StopLogging", json!({ "Name": "arn:x" }), "CloudTrailARNInvalidException", "").await;
}
