use opentrail_api::RecordOrder;
use opentrail_model::Selectors;
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
    let [TrailChange::PutTrail(trail)] = &answer.changes[..] else { panic!("one change, not {:?}", answer.changes) };
    assert!(matches!(&trail.selectors, Selectors::Basic(selectors) if selectors.len() == 2));
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
async fn advanced_selectors_are_echoed_as_given_and_replace_basic_ones() {
    let api = Api::new().await;
    let root = api.root();
    let arn = root.create_trail("main").await;
    let selectors = json!([
        {
            "Name": "Objects of one bucket",
            "FieldSelectors": [
                { "Field": "resources.type", "Equals": ["AWS::S3::Object"] },
                { "Field": "eventCategory", "Equals": ["Data"] },
                { "Field": "eventName", "StartsWith": ["Put", "Delete", "Copy"], "NotEndsWith": ["Tagging"] },
                { "Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::bucket/"] },
            ],
        },
        { "FieldSelectors": [{ "Field": "eventCategory", "Equals": ["Management"] }] },
    ]);
    let put = json!({ "TrailName": "main", "AdvancedEventSelectors": selectors });
    let answer = root.call("PutEventSelectors", put.clone()).await;
    assert_eq!(answer.body, json!({ "TrailARN": arn, "AdvancedEventSelectors": selectors }));
    assert_eq!(answer.order, RecordOrder::RecordFirst);
    let [TrailChange::PutTrail(trail)] = &answer.changes[..] else { panic!("one change, not {:?}", answer.changes) };
    assert!(matches!(&trail.selectors, Selectors::Advanced { advanced } if advanced.len() == 2));
    assert_eq!(root.ok("GetEventSelectors", json!({ "TrailName": "main" })).await, answer.body);
    assert_eq!(root.ok("GetTrail", json!({ "Name": "main" })).await["Trail"]["HasCustomEventSelectors"], true);
    assert!(root.call("PutEventSelectors", put).await.changes.is_empty(), "nothing changed");

    let basic = json!({ "TrailName": "main", "EventSelectors": [{}], "AdvancedEventSelectors": [] });
    let answer = root.call("PutEventSelectors", basic).await;
    assert!(answer.body.get("AdvancedEventSelectors").is_none(), "{}", answer.body);
    assert_eq!(root.ok("GetEventSelectors", json!({ "TrailName": "main" })).await, answer.body);
    assert_eq!(root.ok("GetTrail", json!({ "Name": "main" })).await["Trail"]["HasCustomEventSelectors"], false);
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
    let advanced =
        |fields: Value| json!({ "TrailName": "main", "AdvancedEventSelectors": [{ "FieldSelectors": fields }] });
    let management = json!({ "Field": "eventCategory", "Equals": ["Management"] });
    let cases = [
        (json!([]), "'advancedEventSelectors.1.member.fieldSelectors'"),
        (json!([{ "Field": "", "Equals": ["x"] }]), "'advancedEventSelectors.1.member.fieldSelectors.1.member.field'"),
        (json!([{ "Field": "eventCategory", "Equals": [] }]), ".fieldSelectors.1.member.equals'"),
        (json!([{ "Field": "eventcategory", "Equals": ["Management"] }]), "\"eventcategory\" is no field"),
        (json!([management, { "Field": "eventName", "Equals": ["x"] }]), "eventName cannot be used"),
        (json!([{ "Field": "eventCategory", "Equals": ["Data"] }]), "resources.type is required"),
    ];
    for (fields, message) in cases {
        root.refused("PutEventSelectors", advanced(fields), "InvalidEventSelectorsException", message).await;
    }
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
