use opentrail_api::RecordOrder;
use opentrail_trails::{AggregationTemplate, TrailChange};
use serde_json::{Value, json};

use crate::support::{Api, Caller, arn};

const STORE: &str = "arn:aws:cloudtrail:us-east-1:111122223333:eventdatastore/11111111-2222-3333-4444-555555555555";

async fn trail_of_data(caller: &Caller<'_>) -> String {
    let arn = caller.create_trail("main").await;
    let data = json!([{ "DataResources": [{ "Type": "AWS::S3::Object", "Values": ["arn:aws:s3"] }] }]);
    caller.ok("PutEventSelectors", json!({ "TrailName": "main", "EventSelectors": data })).await;
    arn
}

fn templates(names: &[&str]) -> Value {
    json!([{ "EventCategory": "Data", "Templates": names }])
}

fn put(templates: Value) -> Value {
    json!({ "TrailName": "main", "AggregationConfigurations": templates })
}

#[tokio::test]
async fn templates_are_kept_and_turned_off_by_an_empty_list() {
    let api = Api::new().await;
    let root = api.root();
    let arn = trail_of_data(&root).await;
    let get = json!({ "TrailName": arn });
    let none = json!({ "TrailARN": arn, "AggregationConfigurations": [] });
    assert_eq!(root.ok("GetEventConfiguration", get.clone()).await, none);

    let answer = root.call("PutEventConfiguration", put(templates(&["USER_ACTIONS", "API_ACTIVITY"]))).await;
    let set = json!({ "TrailARN": arn, "AggregationConfigurations": templates(&["USER_ACTIONS", "API_ACTIVITY"]) });
    assert_eq!((&answer.body, answer.order), (&set, RecordOrder::RecordFirst));
    let [TrailChange::PutTrail(trail)] = &answer.changes[..] else { panic!("one change, not {:?}", answer.changes) };
    assert_eq!(trail.aggregation, [AggregationTemplate::UserActions, AggregationTemplate::ApiActivity]);
    assert_eq!(root.ok("GetEventConfiguration", get.clone()).await, set);
    let elsewhere = root.at("eu-west-1");
    assert_eq!(elsewhere.ok("GetEventConfiguration", get.clone()).await, set, "by its ARN from everywhere");

    let root = api.root();
    let again = put(templates(&["USER_ACTIONS", "USER_ACTIONS", "API_ACTIVITY"]));
    let answer = root.call("PutEventConfiguration", again).await;
    assert!(answer.changes.is_empty(), "a template counts once, so that nothing changed");
    assert_eq!(root.ok("PutEventConfiguration", put(json!([]))).await, none);
    assert_eq!(root.ok("GetEventConfiguration", get).await, none);
}

#[tokio::test]
async fn one_target_is_named_and_it_is_there() {
    let api = Api::new().await;
    let root = api.root();
    trail_of_data(&root).await;
    for operation in ["PutEventConfiguration", "GetEventConfiguration"] {
        let both = json!({ "TrailName": "main", "EventDataStore": STORE });
        root.refused(operation, both, "InvalidParameterCombinationException", "not both").await;
        root.refused(operation, json!({}), "InvalidParameterException", "a trail or an event data store").await;
        let trail = |name: &str| json!({ "TrailName": name });
        root.refused(operation, trail("none"), "TrailNotFoundException", &arn("us-east-1", "none")).await;
        root.refused(operation, trail("a"), "InvalidTrailNameException", "too short").await;
        root.refused(operation, trail("arn:x"), "CloudTrailARNInvalidException", "arn:x").await;
        let store = |name: &str| json!({ "EventDataStore": name });
        root.refused(operation, store(STORE), "EventDataStoreNotFoundException", STORE).await;
        let id = STORE.rsplit('/').next().unwrap();
        root.refused(operation, store(id), "EventDataStoreNotFoundException", STORE).await;
        for bad in ["no-store", "arn:aws:cloudtrail:us-east-1:111122223333:trail/main", &STORE[..STORE.len() - 1]] {
            root.refused(operation, store(bad), "EventDataStoreARNInvalidException", bad).await;
        }
    }
}

#[tokio::test]
async fn what_a_trail_cannot_have_is_refused() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let call = async |input: Value, error: &str, message: &str| {
        root.refused("PutEventConfiguration", input, error, message).await;
    };
    let activity = || put(templates(&["API_ACTIVITY"]));
    call(activity(), "InvalidParameterException", "does not log data events").await;
    let data = json!([{ "FieldSelectors": [
        { "Field": "eventCategory", "Equals": ["Data"] }, { "Field": "resources.type", "Equals": ["AWS::S3::Object"] },
    ] }]);
    root.ok("PutEventSelectors", json!({ "TrailName": "main", "AdvancedEventSelectors": data })).await;
    root.ok("PutEventConfiguration", activity()).await;

    call(json!({ "TrailName": "main" }), "InvalidParameterException", "AggregationConfigurations").await;
    let combination = "InvalidParameterCombinationException";
    call(json!({ "TrailName": "main", "MaxEventSize": "Large" }), combination, "MaxEventSize").await;
    let context = json!([{ "Type": "TagContext", "Equals": ["a"] }]);
    call(json!({ "TrailName": "main", "ContextKeySelectors": context }), combination, "ContextKeySelectors").await;
    let on_store = json!({ "EventDataStore": STORE, "AggregationConfigurations": templates(&["API_ACTIVITY"]) });
    call(on_store, combination, "on trails only").await;
    for bad in [
        templates(&["OTHER"]),
        templates(&[]),
        json!([{ "Templates": ["API_ACTIVITY"] }]),
        json!([{ "EventCategory": "Management", "Templates": ["API_ACTIVITY"] }]),
        json!([{ "EventCategory": "Data", "Templates": ["API_ACTIVITY"] }, { "EventCategory": "Data", "Templates": ["USER_ACTIONS"] }]),
    ] {
        call(put(bad), "InvalidParameterException", "aggregationConfigurations").await;
    }
    let elsewhere = api.root().at("eu-west-1");
    let arn_at_home = json!({ "TrailName": arn("us-east-1", "main"), "AggregationConfigurations": [] });
    elsewhere.refused("PutEventConfiguration", arn_at_home, "InvalidHomeRegionException", "us-east-1").await;
}

#[tokio::test]
async fn who_may_not_is_told_before_anything_else() {
    let policy = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "cloudtrail:GetEventConfiguration", "Resource": "arn:aws:cloudtrail:*:*:trail/main" } });
    let api = Api::with_users(vec![("reader", policy)]).await;
    trail_of_data(&api.root()).await;
    let reader = api.caller("reader", None);
    reader.ok("GetEventConfiguration", json!({ "TrailName": "main" })).await;
    let denied = "AccessDeniedException";
    reader.refused("PutEventConfiguration", put(json!([])), denied, "cloudtrail:PutEventConfiguration").await;
    for other in [json!({ "TrailName": "other" }), json!({ "EventDataStore": STORE }), json!({})] {
        reader.refused("GetEventConfiguration", other, denied, "cloudtrail:GetEventConfiguration").await;
    }
}
