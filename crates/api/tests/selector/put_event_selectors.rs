use opentrail_api::RecordOrder;
use opentrail_trails::TrailChange;
use serde_json::{Value, json};

use crate::support::{Api, arn};

#[tokio::test]
async fn selectors_are_stored_with_their_defaults_and_echoed() {
    let api = Api::new().await;
    let root = api.root();
    let arn = root.create_trail("main").await;
    let selectors = json!([
        {
            "ReadWriteType": "WriteOnly",
            "IncludeManagementEvents": false,
            "DataResources": [
                { "Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::bucket/prefix", "arn:aws:s3:::other/"] },
                { "Type": "AWS::DynamoDB::Table", "Values": ["arn:aws:dynamodb"] },
            ],
            "ExcludeManagementEventSources": [],
        },
        { "ExcludeManagementEventSources": ["kms.amazonaws.com"] },
    ]);
    let answer = root.call("PutEventSelectors", json!({ "TrailName": "main", "EventSelectors": selectors })).await;
    let second = json!({
        "ReadWriteType": "All",
        "IncludeManagementEvents": true,
        "DataResources": [],
        "ExcludeManagementEventSources": ["kms.amazonaws.com"],
    });
    assert_eq!(answer.body, json!({ "TrailARN": arn, "EventSelectors": [selectors[0], second] }));
    assert_eq!(answer.order, RecordOrder::RecordFirst);
    assert!(matches!(&answer.changes[..], [TrailChange::PutTrail(trail)] if trail.selectors.len() == 2));
    assert_eq!(root.ok("GetEventSelectors", json!({ "TrailName": "main" })).await, answer.body);
    assert_eq!(root.ok("GetTrail", json!({ "Name": "main" })).await["Trail"]["HasCustomEventSelectors"], true);
}

#[tokio::test]
async fn the_default_put_again_is_no_custom_selector() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let put = |selector: Value| json!({ "TrailName": "main", "EventSelectors": [selector] });
    root.ok("PutEventSelectors", put(json!({ "ReadWriteType": "ReadOnly" }))).await;
    let terraform = json!({ "ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": [] });
    root.ok("PutEventSelectors", put(terraform.clone())).await;
    assert_eq!(root.ok("GetTrail", json!({ "Name": "main" })).await["Trail"]["HasCustomEventSelectors"], false);
    assert!(root.call("PutEventSelectors", put(terraform)).await.changes.is_empty(), "nothing changed");
}

#[tokio::test]
async fn bad_selectors_are_refused_and_change_nothing() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let data = |kind: &str, values: Vec<String>| json!({ "DataResources": [{ "Type": kind, "Values": values }] });
    let tables = (0..251).map(|i| format!("arn:aws:dynamodb:us-east-1:111122223333:table/t{i}")).collect();
    let advanced = json!([{ "FieldSelectors": [{ "Field": "eventCategory", "Equals": ["Management"] }] }]);
    let cases = [
        (json!([]), "1 to 5"),
        (json!([{}, {}, {}, {}, {}, {}]), "1 to 5"),
        (json!([{ "ReadWriteType": "read-only" }]), "'eventSelectors.1.member.readWriteType'"),
        (
            json!([data("AWS::S3::Object", vec!["arn:aws:s3:::*".into()])]),
            "Value arn:aws:s3:::* for DataResources.Values is invalid.",
        ),
        (
            json!([data("AWS::DynamoDB::Table", tables)]),
            "Specify a valid number of DataResources.Values (0 to 250) for all your selectors",
        ),
        (json!([data("AWS::SNS::Topic", vec![])]), "AWS::SNS::Topic"),
        (json!([{ "ExcludeManagementEventSources": ["s3.amazonaws.com"] }]), "s3.amazonaws.com"),
    ];
    for (selectors, message) in cases {
        let input = json!({ "TrailName": "main", "EventSelectors": selectors });
        root.refused("PutEventSelectors", input, "InvalidEventSelectorsException", message).await;
    }
    let neither = json!({ "TrailName": "main" });
    root.refused("PutEventSelectors", neither, "InvalidEventSelectorsException", "1 to 5").await;
    let both = json!({ "TrailName": "main", "EventSelectors": [{}], "AdvancedEventSelectors": advanced });
    root.refused("PutEventSelectors", both, "InvalidEventSelectorsException", "not both").await;
    let new = json!({ "TrailName": "main", "AdvancedEventSelectors": advanced });
    root.refused("PutEventSelectors", new, "UnsupportedOperationException", "not built yet").await;
    assert_eq!(root.ok("GetTrail", json!({ "Name": "main" })).await["Trail"]["HasCustomEventSelectors"], false);
}

#[tokio::test]
async fn selectors_are_changed_at_home_only() {
    let api = Api::new().await;
    let arn_at_home = api.root().create_trail("main").await;
    let elsewhere = api.root().at("eu-west-1");
    let put = |name: &str| json!({ "TrailName": name, "EventSelectors": [{}] });
    elsewhere.refused("PutEventSelectors", put(&arn_at_home), "InvalidHomeRegionException", "us-east-1").await;
    elsewhere.refused("PutEventSelectors", put("main"), "TrailNotFoundException", &arn("eu-west-1", "main")).await;
    elsewhere.refused("PutEventSelectors", put("a"), "InvalidTrailNameException", "too short").await;
    elsewhere.refused("PutEventSelectors", put("arn:x"), "CloudTrailARNInvalidException", "arn:x").await;
}
