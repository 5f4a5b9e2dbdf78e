use std::time::Duration;

use opentrail_model::Region;
use opentrail_trails::{Status, TrailKey, TrailStatus};
use serde_json::json;

use crate::support::{ACCOUNT, Api, arn};

async fn store(api: &Api, region: &str, status: &TrailStatus) {
    let key =
        TrailKey { account: ACCOUNT.parse().unwrap(), home_region: Region::us_east_1(), name: "main".parse().unwrap() };
    api.services.catalog.commit(vec![status.store(&key, key.account, &region.parse().unwrap())]).await.unwrap();
}

#[tokio::test]
async fn a_new_trail_has_empty_texts_and_no_times() {
    let api = Api::new().await;
    api.root().create_trail("main").await;
    let expected = json!({
        "IsLogging": false,
        "LatestDeliveryAttemptTime": "",
        "LatestNotificationAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
        "LatestDeliveryAttemptSucceeded": "",
        "TimeLoggingStarted": "",
        "TimeLoggingStopped": "",
    });
    assert_eq!(api.root().ok("GetTrailStatus", json!({ "Name": "main" })).await, expected);
}

#[tokio::test]
async fn start_stop_and_delivery_are_told_truly_in_each_region() {
    let api = Api::new().await;
    let wide = json!({ "Name": "main", "S3BucketName": "logs", "IsMultiRegionTrail": true });
    api.root().ok("CreateTrail", wide).await;
    api.root().ok("StartLogging", json!({ "Name": "main" })).await;
    let started = api.services.clock.now();
    api.clock.advance(Duration::from_secs(60));
    let delivered = api.services.clock.now();
    let status = TrailStatus {
        latest_delivery: Some(started),
        latest_delivery_attempt: Some(delivered),
        latest_delivery_error: Some("NoSuchBucket".into()),
        latest_digest_delivery: Some(delivered),
        latest_digest_delivery_error: Some("AccessDenied".into()),
    };
    store(&api, "eu-west-1", &status).await;
    api.root().ok("StopLogging", json!({ "Name": "main" })).await;

    let at_home = api.root().ok("GetTrailStatus", json!({ "Name": "main" })).await;
    assert_eq!(at_home.get("LatestDeliveryTime"), None);
    let there = api.root().at("eu-west-1").ok("GetTrailStatus", json!({ "Name": arn("us-east-1", "main") })).await;
    let expected = json!({
        "IsLogging": false,
        "LatestDeliveryError": "NoSuchBucket",
        "LatestDeliveryTime": started.as_secs(),
        "StartLoggingTime": started.as_secs(),
        "StopLoggingTime": delivered.as_secs(),
        "LatestDigestDeliveryTime": delivered.as_secs(),
        "LatestDigestDeliveryError": "AccessDenied",
        "LatestDeliveryAttemptTime": delivered.to_iso(),
        "LatestNotificationAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
        "LatestDeliveryAttemptSucceeded": started.to_iso(),
        "TimeLoggingStarted": started.to_iso(),
        "TimeLoggingStopped": delivered.to_iso(),
    });
    assert_eq!(there, expected);
}

#[tokio::test]
async fn what_an_earlier_trail_of_the_name_did_is_not_told() {
    let api = Api::new().await;
    let before = api.services.clock.now();
    let status = TrailStatus {
        latest_delivery: Some(before),
        latest_delivery_attempt: Some(before),
        latest_delivery_error: Some("NoSuchBucket".into()),
        latest_digest_delivery: Some(before),
        latest_digest_delivery_error: None,
    };
    store(&api, "us-east-1", &status).await;
    api.clock.advance(Duration::from_secs(1));
    api.root().create_trail("main").await;
    let status = api.root().ok("GetTrailStatus", json!({ "Name": "main" })).await;
    for member in ["LatestDeliveryTime", "LatestDeliveryError", "LatestDigestDeliveryTime"] {
        assert_eq!(status.get(member), None, "{member}");
    }
    assert_eq!(status["LatestDeliveryAttemptTime"], "");
}

#[tokio::test]
async fn a_trail_that_is_not_seen_here_has_no_status_here() {
    let api = Api::new().await;
    let arn = api.root().create_trail("main").await;
    let elsewhere = api.root().at("eu-west-1");
    let text = format!("Unknown trail: {arn} for the user: {ACCOUNT}");
    elsewhere.refused("GetTrailStatus", json!({ "Name": arn }), "TrailNotFoundException", &text).await;
    elsewhere.refused("GetTrailStatus", json!({ "Name": "a" }), "InvalidTrailNameException", "too short").await;
    elsewhere.refused("GetTrailStatus", json!({ "Name": "arn:" }), "CloudTrailARNInvalidException", "").await;
}
