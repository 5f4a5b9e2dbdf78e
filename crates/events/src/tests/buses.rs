use serde_json::json;

use super::{TOPIC, topic, world};

#[tokio::test]
async fn the_default_bus_is_always_there_and_others_come_and_go() {
    let world = world().await;
    let arn = world.call("CreateEventBus", json!({ "Name": "shop", "Description": "d" })).await["EventBusArn"].clone();
    assert_eq!(arn, "arn:aws:events:eu-west-1:111122223333:event-bus/shop");
    for name in ["shop", "default"] {
        assert_eq!(world.refused("CreateEventBus", json!({ "Name": name })).await.0, "ResourceAlreadyExistsException");
    }
    let listed = world.call("ListEventBuses", json!({})).await;
    let names: Vec<_> = listed["EventBuses"].as_array().unwrap().iter().map(|bus| bus["Name"].clone()).collect();
    assert_eq!(names, ["default", "shop"]);
    world.call("UpdateEventBus", json!({ "Name": "shop", "Description": "e" })).await;
    assert_eq!(world.call("DescribeEventBus", json!({ "Name": arn })).await["Description"], "e");
    let rule = json!({ "Name": "r", "EventBusName": "shop", "EventPattern": r#"{"source":["a"]}"# });
    let rule = world.call("PutRule", rule).await;
    assert_eq!(rule["RuleArn"], "arn:aws:events:eu-west-1:111122223333:rule/shop/r");
    assert_eq!(world.refused("DeleteEventBus", json!({ "Name": "shop" })).await.0, "ValidationException");
    world.call("DeleteRule", json!({ "Name": "r", "EventBusName": "shop" })).await;
    for _ in 0..2 {
        world.call("DeleteEventBus", json!({ "Name": "shop" })).await;
    }
    assert_eq!(world.refused("DeleteEventBus", json!({ "Name": "default" })).await.0, "ValidationException");
    assert_eq!(world.refused("DescribeEventBus", json!({ "Name": "shop" })).await.0, "ResourceNotFoundException");
    for more in [json!({ "KmsKeyIdentifier": "alias/a" }), json!({ "DeadLetterConfig": { "Arn": super::QUEUE } })] {
        let mut input = json!({ "Name": "more" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(world.refused("CreateEventBus", input).await.0, "ValidationException");
    }
}

#[tokio::test]
async fn another_account_puts_events_only_where_the_buss_policy_lets_it() {
    let world = world().await;
    world.rule("r", json!({ "source": ["theirs"] }), topic()).await;
    let bus = "arn:aws:events:eu-west-1:111122223333:event-bus/default";
    let entry = json!({ "Source": "theirs", "DetailType": "order", "Detail": "{}", "EventBusName": bus });
    let put = json!({ "Entries": [entry] });
    let (_, body, _) = world.call_as("AKIATHEIRS", "PutEvents", put.clone()).await;
    assert_eq!(body["__type"], "AccessDeniedException");
    let permission = json!({ "StatementId": "s", "Principal": "444455556666", "Action": "events:PutEvents", "EventBusName": "default" });
    world.call("PutPermission", permission).await;
    let (status, body, _) = world.call_as("AKIATHEIRS", "PutEvents", put.clone()).await;
    assert_eq!((status, &body["FailedEntryCount"]), (200, &json!(0)), "{body}");
    let waiting = world.waiting(TOPIC).await;
    assert_eq!((waiting.len(), &waiting[0]["account"]), (1, &json!("444455556666")));
    assert_eq!(world.refused("RemovePermission", json!({ "StatementId": "x" })).await.0, "ResourceNotFoundException");
    world.call("RemovePermission", json!({ "StatementId": "s" })).await;
    assert_eq!(world.call("DescribeEventBus", json!({})).await.get("Policy"), None);
    assert_eq!(world.call_as("AKIATHEIRS", "PutEvents", put).await.1["__type"], "AccessDeniedException");
    assert_eq!(world.refused("PutPermission", json!({ "Policy": "{" })).await.0, "ValidationException");
}

#[tokio::test]
async fn entries_are_judged_one_by_one() {
    let world = world().await;
    world.rule("r", json!({ "source": ["shop"] }), topic()).await;
    let entry = |source: &str, detail: &str, bus: &str| json!({ "Source": source, "DetailType": "order", "Detail": detail, "EventBusName": bus, "Resources": ["a"] });
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let entries = json!([
        entry("shop", r#"{"n": 1}"#, "default"),
        entry("aws.ec2", "{}", "default"),
        entry("shop", "[]", "default"),
        entry("shop", &deep, "default"),
        entry("shop", "{}", "none"),
        entry("", "{}", "default"),
        json!({ "Source": "shop", "Detail": "{}" }),
    ]);
    let told = world.call("PutEvents", json!({ "Entries": entries })).await;
    assert_eq!(told["FailedEntryCount"], 6);
    let codes: Vec<_> = told["Entries"].as_array().unwrap().iter().map(|entry| entry["ErrorCode"].clone()).collect();
    let expected = [
        json!(null),
        json!("NotAuthorizedForSourceException"),
        json!("MalformedDetail"),
        json!("MalformedDetail"),
        json!("ResourceNotFoundException"),
        json!("InvalidArgument"),
        json!("InvalidArgument"),
    ];
    assert_eq!(codes, expected);
    let waiting = world.waiting(TOPIC).await;
    assert_eq!(
        waiting,
        [json!({
            "version": "0", "id": told["Entries"][0]["EventId"], "detail-type": "order", "source": "shop",
            "account": "111122223333", "time": super::NOW.to_iso(), "region": "eu-west-1", "resources": ["a"],
            "detail": { "n": 1 }
        })]
    );
    let large = json!({ "Entries": [entry("shop", &format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20)), "default")] });
    assert_eq!(world.refused("PutEvents", large).await.0, "ValidationException");
}

#[tokio::test]
async fn policies_can_ask_for_the_source() {
    let world = world().await;
    let put = |source: &str| json!({ "Entries": [{ "Source": source, "DetailType": "order", "Detail": "{}" }] });
    assert_eq!(world.call_as("AKIAALICE", "PutEvents", put("shop")).await.0, 200);
    assert_eq!(world.call_as("AKIAALICE", "PutEvents", put("bank")).await.1["__type"], "AccessDeniedException");
}
