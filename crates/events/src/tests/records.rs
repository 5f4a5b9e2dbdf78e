use std::sync::Arc;
use std::time::Duration;

use opentrail_journal::Journal;
use opentrail_model::Source;
use opentrail_projection::Projection;
use serde_json::{Value, json};

use super::{OTHER_TOPIC, START, TOPIC, record, topic, world};
use crate::Outbox;

#[tokio::test]
async fn a_record_goes_to_the_rules_in_its_envelope_and_untouched() {
    let world = world().await;
    world.rule("r", json!({ "source": ["aws.iam"], "detail": { "eventName": ["CreateUser"] } }), topic()).await;
    let mut projection = world.projection().await;
    let (user, role) = (record("CreateUser", json!({})), record("CreateRole", json!({})));
    let batch = world.records(&[user.clone(), role]).await;
    assert_eq!(projection.apply(&batch).await.unwrap(), batch.through);
    let expected = json!({
        "version": "0", "id": "id-CreateUser", "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam",
        "account": "111122223333", "time": "2026-01-02T03:04:05Z", "region": "eu-west-1", "resources": [],
        "detail": user
    });
    assert_eq!(world.waiting(TOPIC).await, [expected]);
}

#[tokio::test]
async fn each_kind_of_record_has_its_detail_type() {
    let world = world().await;
    world.rule("r", json!({ "account": ["111122223333"] }), topic()).await;
    let kinds = [
        (
            json!({ "eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com" }),
            "AWS Console Sign In via CloudTrail",
            "aws.signin",
        ),
        (
            json!({ "eventType": "AwsServiceEvent", "eventSource": "kms.amazonaws.com" }),
            "AWS Service Event via CloudTrail",
            "aws.kms",
        ),
        (json!({ "eventType": "AwsConsoleAction" }), "AWS Console Action via CloudTrail", "aws.iam"),
        (
            json!({ "eventType": "AwsCloudTrailInsight", "eventCategory": "Insight" }),
            "AWS Insight via CloudTrail",
            "aws.cloudtrail",
        ),
        (
            json!({ "eventType": "AwsVpceEvent", "eventCategory": "NetworkActivity" }),
            "AWS Network Activity Event via CloudTrail",
            "aws.iam",
        ),
    ];
    let records: Vec<Value> = kinds.iter().map(|(more, ..)| record("A", more.clone())).collect();
    let batch = world.records(&records).await;
    let taken = crate::records::take(&world.events, &batch);
    for (matched, (_, detail_type, source)) in taken.iter().zip(&kinds) {
        let event: Value = serde_json::from_slice(&matched.body).unwrap();
        assert_eq!((&event["detail-type"], &event["source"]), (&json!(detail_type), &json!(source)));
    }
    assert_eq!(taken.len(), kinds.len());
}

#[tokio::test]
async fn the_state_says_which_management_events_a_rule_takes() {
    let world = world().await;
    world.rule("r", json!({ "source": ["aws.iam"] }), topic()).await;
    let read = json!({ "readOnly": true });
    let data = json!({ "readOnly": true, "managementEvent": false, "eventCategory": "Data" });
    let batch =
        world.records(&[record("GetUser", read), record("GetObject", data), record("CreateUser", json!({}))]).await;
    let names = || {
        let taken = crate::records::take(&world.events, &batch);
        let name = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["detail"]["eventName"].clone();
        taken.iter().map(|matched| name(&matched.body)).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["GetObject", "CreateUser"]);
    let pattern = r#"{"source":["aws.iam"]}"#;
    let state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";
    world.call("PutRule", json!({ "Name": "r", "EventPattern": pattern, "State": state })).await;
    assert_eq!(names(), ["GetUser", "GetObject", "CreateUser"]);
    world.call("DisableRule", json!({ "Name": "r" })).await;
    assert_eq!(names(), [] as [&str; 0]);
    // Switched on again, it takes nothing from before.
    world.call("EnableRule", json!({ "Name": "r" })).await;
    assert_eq!(names(), [] as [&str; 0]);
}

#[tokio::test]
async fn records_that_are_no_events_reach_no_rule() {
    let world = world().await;
    world.rule("r", json!({ "account": ["111122223333"] }), topic()).await;
    for source in [Source::Channel, Source::Import] {
        let batch = world.records_of(source, &[record("A", json!({}))]).await;
        assert!(crate::records::take(&world.events, &batch).is_empty());
    }
    let large = record("A", json!({ "requestParameters": { "x": "y".repeat(300_000) } }));
    let elsewhere = record("A", json!({ "awsRegion": "us-east-1" }));
    let strange = record("A", json!({ "awsRegion": 5 }));
    let batch = world.records(&[large, elsewhere, strange]).await;
    assert!(crate::records::take(&world.events, &batch).is_empty());
}

#[tokio::test]
async fn whenever_it_dies_a_record_is_stored_once() {
    let mut world = world().await;
    world.rule("r", json!({ "source": ["aws.iam"] }), topic()).await;
    let mut projection = world.projection().await;
    let batch = world.records(&[record("A", json!({})), record("B", json!({}))]).await;
    projection.apply(&batch).await.unwrap();
    for _ in 0..3 {
        drop(projection);
        world = world.crashed().await;
        projection = world.projection().await;
        // It resumes after what is stored, and so is offered nothing of it again.
        assert_eq!(projection.resume().await.unwrap(), batch.through);
        assert_eq!(world.waiting(TOPIC).await.len(), 2);
    }
}

#[tokio::test]
async fn without_matches_the_position_is_saved_seldom() {
    let world = world().await;
    let mut projection = world.projection().await;
    assert_eq!(projection.resume().await.unwrap(), START);
    let batch = world.records(&[record("A", json!({}))]).await;
    assert_eq!(projection.apply(&batch).await.unwrap(), START, "an fsync for nothing");
    world.clock.advance(Duration::from_secs(10));
    let now = opentrail_runtime::Clock::now(&*world.clock);
    assert_eq!(projection.idle(now).await.unwrap(), batch.through);
    let batch = world.records(&[record("A", json!({}))]).await;
    projection.apply(&batch).await.unwrap();
    assert_eq!(projection.finish().await.unwrap(), batch.through);
}

#[tokio::test]
async fn a_full_outbox_holds_up_neither_the_journal_nor_clients() {
    let world = world().await;
    world.rule("r", json!({ "source": ["aws.iam"] }), topic()).await;
    let mut projection = world.projection().await;
    let many: Vec<Value> = (0..1200).map(|_| record("A", json!({}))).collect();
    for _ in 0..2 {
        let batch = world.records(&many).await;
        assert_eq!(projection.apply(&batch).await.unwrap(), batch.through);
    }
    assert_eq!(world.events.outbox.pending(), 1000);
    world.rule("s", json!({ "source": ["shop"] }), json!({ "Id": "t", "Arn": OTHER_TOPIC })).await;
    world.put("shop", json!({})).await;
    assert_eq!(world.waiting(OTHER_TOPIC).await.len(), 1);
    let failed = world.events.outbox.counts().take();
    let failed: Vec<_> = failed.iter().map(|count| (&*count.rule, count.metric, count.count)).collect();
    assert_eq!(failed, [("r", "FailedInvocations", 1400)]);
}

#[tokio::test]
async fn rules_are_there_again_after_a_restart() {
    let world = world().await;
    world.rule("r", json!({ "source": ["shop"] }), topic()).await;
    let world = world.crashed().await;
    world.put("shop", json!({})).await;
    assert_eq!(world.waiting(TOPIC).await.len(), 1);
    let outbox: &Arc<Outbox> = &world.events.outbox;
    assert_eq!(outbox.pending(), 1);
    assert_eq!(world.journal.tail(), START);
}
