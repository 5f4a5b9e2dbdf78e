use serde_json::json;

use super::{NOW, TOPIC, topic, world};

#[tokio::test]
async fn a_rule_is_told_of_as_it_was_put() {
    let world = world().await;
    let pattern = r#"{"source":["shop"]}"#;
    let arn = world.call("PutRule", json!({ "Name": "r", "EventPattern": pattern, "Description": "d" })).await;
    assert_eq!(arn, json!({ "RuleArn": "arn:aws:events:eu-west-1:111122223333:rule/r" }));
    let told = world.call("DescribeRule", json!({ "Name": "r" })).await;
    assert_eq!(
        told,
        json!({
            "Name": "r", "Arn": arn["RuleArn"], "EventPattern": pattern, "State": "ENABLED", "Description": "d",
            "EventBusName": "default", "CreatedBy": "111122223333"
        })
    );
    // What an update leaves out is gone; targets stay.
    world.call("PutTargets", json!({ "Rule": "r", "Targets": [topic()] })).await;
    world.call("PutRule", json!({ "Name": "r", "EventPattern": pattern, "State": "DISABLED" })).await;
    let told = world.call("DescribeRule", json!({ "Name": "r" })).await;
    assert_eq!((&told["Description"], &told["State"]), (&json!(null), &json!("DISABLED")));
    let targets = world.call("ListTargetsByRule", json!({ "Rule": "r" })).await;
    assert_eq!(targets, json!({ "Targets": [{ "Id": "t", "Arn": TOPIC }] }));
    let names = world.call("ListRuleNamesByTarget", json!({ "TargetArn": TOPIC })).await;
    assert_eq!(names, json!({ "RuleNames": ["r"] }));
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_eventbridges_words() {
    let world = world().await;
    let (name, text) = world.refused("PutRule", json!({ "Name": "r" })).await;
    assert_eq!(
        (&*name, &*text),
        ("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
    );
    for pattern in ["", "{", "[]", r#"{"source":"shop"}"#] {
        let (name, _) = world.refused("PutRule", json!({ "Name": "r", "EventPattern": pattern })).await;
        assert!(matches!(&*name, "InvalidEventPatternException" | "ValidationException"), "{pattern}: {name}");
    }
    let (name, text) = world.refused("DescribeRule", json!({ "Name": "r" })).await;
    assert_eq!((&*name, &*text), ("ResourceNotFoundException", "Rule r does not exist on EventBus default."));
    let elsewhere = json!({ "Name": "r", "EventBusName": "none", "EventPattern": r#"{"source":["a"]}"# });
    let (name, text) = world.refused("PutRule", elsewhere).await;
    assert_eq!((&*name, &*text), ("ResourceNotFoundException", "Event bus none does not exist."));
    let (name, _) = world.refused("CreateEndpoint", json!({})).await;
    assert_eq!(name, "OperationDisabledException");
    assert_eq!(world.refused("Nonsense", json!({})).await.0, "UnknownOperationException");
}

#[tokio::test]
async fn targets_are_checked_one_by_one() {
    let world = world().await;
    world.call("PutRule", json!({ "Name": "r", "EventPattern": r#"{"source":["shop"]}"# })).await;
    let bad = [
        json!({ "Id": "t", "Arn": "nonsense" }),
        json!({ "Id": "t", "Arn": "arn:aws:firehose:eu-west-1:111122223333:deliverystream/a" }),
        json!({ "Id": "t", "Arn": "arn:aws:sns:eu-west-1:111122223333:forbidden" }),
        json!({ "Id": "t", "Arn": "arn:aws:events:eu-west-1:111122223333:event-bus/default" }),
        json!({ "Id": "t", "Arn": "arn:aws:events:eu-west-1:111122223333:api-destination/none/1" }),
        json!({ "Id": "t", "Arn": "arn:aws:events:eu-west-1:111122223333:rule/r" }),
        json!({ "Id": "t", "Arn": TOPIC, "Input": "{" }),
        json!({ "Id": "t", "Arn": TOPIC, "Input": "1", "InputPath": "$.detail" }),
        json!({ "Id": "t", "Arn": TOPIC, "KinesisParameters": { "PartitionKeyPath": "$.id" } }),
        json!({ "Id": "t", "Arn": TOPIC, "DeadLetterConfig": { "Arn": TOPIC } }),
        json!({ "Id": "t", "Arn": TOPIC, "HttpParameters": { "PathParameterValues": ["a"] } }),
        json!({ "Id": "t", "Arn": TOPIC, "RoleArn": "arn:aws:iam::444455556666:role/r" }),
        json!({ "Id": "t", "Arn": "arn:aws:sqs:eu-west-1:111122223333:q.fifo" }),
    ];
    for target in bad {
        let (name, text) = world.refused("PutTargets", json!({ "Rule": "r", "Targets": [topic(), target] })).await;
        assert!(
            matches!(&*name, "ValidationException" | "ResourceNotFoundException" | "AccessDeniedException"),
            "{name}: {text}"
        );
    }
    assert_eq!(world.call("ListTargetsByRule", json!({ "Rule": "r" })).await, json!({ "Targets": [] }));
    let six: Vec<_> = (0..6).map(|i| json!({ "Id": format!("t{i}"), "Arn": TOPIC })).collect();
    let (name, _) = world.refused("PutTargets", json!({ "Rule": "r", "Targets": six })).await;
    assert_eq!(name, "LimitExceededException");
}

#[tokio::test]
async fn a_target_is_told_of_as_it_was_put() {
    let world = world().await;
    let target = json!({
        "Id": "t", "Arn": TOPIC, "InputTransformer": { "InputPathsMap": { "a": "$.id" }, "InputTemplate": "\"<a>\"" },
        "DeadLetterConfig": { "Arn": super::QUEUE },
        "RetryPolicy": { "MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 600 },
    });
    world.rule("r", json!({ "source": ["shop"] }), target.clone()).await;
    assert_eq!(world.call("ListTargetsByRule", json!({ "Rule": "r" })).await, json!({ "Targets": [target] }));
    let removed = world.call("RemoveTargets", json!({ "Rule": "r", "Ids": ["t", "none"] })).await;
    assert_eq!(removed["FailedEntryCount"], 0);
    world.call("DeleteRule", json!({ "Name": "r" })).await;
    world.call("DeleteRule", json!({ "Name": "r" })).await;
}

#[tokio::test]
async fn rules_have_a_limit_pages_and_tags() {
    let world = world().await;
    let put = |name: String| {
        let tags = json!([{ "Key": "team", "Value": "audit" }]);
        json!({ "Name": name, "EventPattern": r#"{"source":["shop"]}"#, "Tags": tags })
    };
    for i in 0..20 {
        world.call("PutRule", put(format!("r{i:02}"))).await;
    }
    assert_eq!(world.refused("PutRule", put("more".to_owned())).await.0, "LimitExceededException");
    let mut names = Vec::new();
    let mut token = json!(null);
    loop {
        let page = world.call("ListRules", json!({ "Limit": 7, "NextToken": token, "NamePrefix": "r" })).await;
        names.extend(page["Rules"].as_array().unwrap().iter().map(|rule| rule["Name"].clone()));
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    let all: Vec<_> = (0..20).map(|i| json!(format!("r{i:02}"))).collect();
    assert_eq!(names, all);
    assert_eq!(world.refused("ListRules", json!({ "NextToken": "AAAA" })).await.0, "ValidationException");
    let arn = "arn:aws:events:eu-west-1:111122223333:rule/r00";
    world.call("TagResource", json!({ "ResourceARN": arn, "Tags": [{ "Key": "a", "Value": "b" }] })).await;
    world.call("UntagResource", json!({ "ResourceARN": arn, "TagKeys": ["team"] })).await;
    let told = world.call("ListTagsForResource", json!({ "ResourceARN": arn })).await;
    assert_eq!(told, json!({ "Tags": [{ "Key": "a", "Value": "b" }] }));
}

#[tokio::test]
async fn a_pattern_is_tested_without_a_rule() {
    let world = world().await;
    let event = json!({
        "id": "1", "account": "111122223333", "source": "shop", "time": NOW.to_iso(), "region": "eu-west-1",
        "resources": [], "detail-type": "order", "detail": { "price": 5 }
    });
    let test = |pattern: &str| json!({ "EventPattern": pattern, "Event": event.to_string() });
    let told = world.call("TestEventPattern", test(r#"{"detail":{"price":[{"numeric":[">",4]}]}}"#)).await;
    assert_eq!(told, json!({ "Result": true }));
    assert_eq!(world.call("TestEventPattern", test(r#"{"source":["bank"]}"#)).await, json!({ "Result": false }));
    let (name, _) = world.refused("TestEventPattern", test("{")).await;
    assert_eq!(name, "InvalidEventPatternException");
    let (name, _) = world.refused("TestEventPattern", json!({ "EventPattern": "{\"a\":[1]}", "Event": "{}" })).await;
    assert_eq!(name, "ValidationException");
}

#[tokio::test]
async fn nobody_may_what_no_policy_allows() {
    let world = world().await;
    let put = json!({ "Name": "r", "EventPattern": r#"{"source":["shop"]}"# });
    let (status, body, resources) = world.call_as("AKIAALICE", "PutRule", put).await;
    assert_eq!((status, &body["__type"]), (400, &json!("AccessDeniedException")));
    assert_eq!(
        body["message"],
        "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: events:PutRule on resource: \
         arn:aws:events:eu-west-1:111122223333:rule/r because no identity-based policy allows the events:PutRule action"
    );
    assert_eq!(resources[0]["type"], "AWS::Events::Rule");
}
