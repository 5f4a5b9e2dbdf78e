use serde_json::json;

use crate::support::{Api, arn};

#[tokio::test]
async fn a_trail_that_was_never_configured_has_the_default_selector() {
    let api = Api::new().await;
    let arn = api.root().create_trail("main").await;
    let expected = json!({
        "TrailARN": arn,
        "EventSelectors": [{
            "ReadWriteType": "All",
            "IncludeManagementEvents": true,
            "DataResources": [],
            "ExcludeManagementEventSources": [],
        }],
    });
    assert_eq!(api.root().ok("GetEventSelectors", json!({ "TrailName": "main" })).await, expected);
    let elsewhere = api.root().at("eu-west-1");
    assert_eq!(elsewhere.ok("GetEventSelectors", json!({ "TrailName": arn })).await, expected);
}

#[tokio::test]
async fn names_that_are_nobodys_are_refused() {
    let api = Api::new().await;
    let root = api.root();
    let named = |name: &str| json!({ "TrailName": name });
    root.refused("GetEventSelectors", named("absent"), "TrailNotFoundException", &arn("us-east-1", "absent")).await;
    root.refused("GetEventSelectors", named("a"), "InvalidTrailNameException", "too short").await;
    root.refused("GetEventSelectors", named("arn:x"), "CloudTrailARNInvalidException", "arn:x").await;
    root.refused("GetEventSelectors", json!({}), "ValidationException", "Value null at 'trailName'").await;
}
