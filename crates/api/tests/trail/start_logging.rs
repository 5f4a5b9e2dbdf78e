use std::time::Duration;

use opentrail_api::RecordOrder;
use opentrail_trails::TrailChange;
use serde_json::json;

use crate::support::{Api, arn};

#[tokio::test]
async fn logging_starts_before_the_call_is_recorded_and_only_once() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let started = root.call("StartLogging", json!({ "Name": "main" })).await;
    assert_eq!((&started.body, started.order), (&json!({}), RecordOrder::ChangeFirst));
    let now = api.services.clock.now();
    assert!(matches!(&started.changes[..], [TrailChange::PutTrail(t)] if t.logging && t.started == Some(now)));

    api.clock.advance(Duration::from_secs(60));
    let again = root.call("StartLogging", json!({ "Name": arn("us-east-1", "main") })).await;
    assert_eq!((again.body, again.changes.len()), (json!({}), 0));
    let status = root.ok("GetTrailStatus", json!({ "Name": "main" })).await;
    assert_eq!((&status["IsLogging"], &status["StartLoggingTime"]), (&json!(true), &json!(now.as_secs())));
}

#[tokio::test]
async fn a_trail_is_started_at_home_only() {
    let api = Api::new().await;
    let arn = api.root().create_trail("main").await;
    let elsewhere = api.root().at("eu-west-1");
    elsewhere.refused("StartLogging", json!({ "Name": arn }), "InvalidHomeRegionException", "us-east-1").await;
    elsewhere.refused("StartLogging", json!({ "Name": "main" }), "TrailNotFoundException", "eu-west-1").await;
    elsewhere.refused("StartLogging", json!({ "Name": "a" }), "InvalidTrailNameException", "too short").await;
    elsewhere.refused("StartLogging", json!({ "Name": "arn:x" }), "CloudTrailARNInvalidException", "").await;
}
