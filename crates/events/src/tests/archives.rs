use std::sync::Arc;
use std::time::Duration;

use opentrail_projection::Projection;
use serde_json::{Value, json};

use super::{NOW, OTHER_TOPIC, TOPIC, World, record, topic, world};
use crate::Archivist;
use crate::archivist::Step;

const BUS: &str = "arn:aws:events:eu-west-1:111122223333:event-bus/default";
const ARCHIVE: &str = "arn:aws:events:eu-west-1:111122223333:archive/a";

async fn archive(world: &World, more: Value) {
    let mut input = json!({ "ArchiveName": "a", "EventSourceArn": BUS });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call("CreateArchive", input).await;
}

fn replay(name: &str, more: Value) -> Value {
    let mut input = json!({
        "ReplayName": name, "EventSourceArn": ARCHIVE, "Destination": { "Arn": BUS },
        "EventStartTime": (NOW - Duration::from_secs(60)).as_secs(),
        "EventEndTime": (NOW + Duration::from_secs(3600)).as_secs(),
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

async fn finish(world: &World) {
    let mut archivist = Archivist::new(Arc::clone(&world.events));
    while archivist.step().await.unwrap() == Step::More {}
}

async fn state(world: &World, name: &str) -> Value {
    world.call("DescribeReplay", json!({ "ReplayName": name })).await["State"].clone()
}

/// The numbers and the replays' names of what waits for a target.
async fn waiting(world: &World, arn: &str) -> Vec<(Value, Value)> {
    let events = world.waiting(arn).await;
    events.iter().map(|event| (event["detail"]["n"].clone(), event["replay-name"].clone())).collect()
}

#[tokio::test]
async fn an_archive_is_told_of_as_it_was_made() {
    let world = world().await;
    let pattern = r#"{"source":["shop"]}"#;
    archive(&world, json!({ "Description": "d", "EventPattern": pattern, "RetentionDays": 2 })).await;
    let told = world.call("DescribeArchive", json!({ "ArchiveName": "a" })).await;
    let expected = json!({
        "ArchiveArn": ARCHIVE, "ArchiveName": "a", "EventSourceArn": BUS, "Description": "d", "EventPattern": pattern,
        "State": "ENABLED", "RetentionDays": 2, "SizeBytes": 0, "EventCount": 0, "CreationTime": told["CreationTime"],
    });
    assert_eq!(told, expected);
    world.put("shop", json!({ "n": 1 })).await;
    world.put("bank", json!({ "n": 2 })).await;
    let told = world.call("ListArchives", json!({ "NamePrefix": "a", "State": "ENABLED" })).await;
    assert_eq!((&told["Archives"][0]["EventCount"], told["Archives"].as_array().unwrap().len()), (&json!(1), 1));
    assert!(told["Archives"][0]["SizeBytes"].as_i64().unwrap() > 100);
    assert_eq!(world.call("ListArchives", json!({ "NamePrefix": "b" })).await, json!({ "Archives": [] }));
    world.call("UpdateArchive", json!({ "ArchiveName": "a", "RetentionDays": 0 })).await;
    let told = world.call("DescribeArchive", json!({ "ArchiveName": "a" })).await;
    assert_eq!((&told["RetentionDays"], &told["EventPattern"]), (&json!(0), &json!(pattern)));
    world.call("DeleteArchive", json!({ "ArchiveName": "a" })).await;
    let (name, text) = world.refused("DescribeArchive", json!({ "ArchiveName": "a" })).await;
    assert_eq!((&*name, &*text), ("ResourceNotFoundException", "Archive a does not exist."));
}

#[tokio::test]
async fn what_cannot_be_archived_or_replayed_is_refused() {
    let world = world().await;
    let create = |more: Value| {
        let mut input = json!({ "ArchiveName": "a", "EventSourceArn": BUS });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.refused("CreateArchive", input)
    };
    let none = format!("{}none", BUS.trim_end_matches("default"));
    let (name, text) = create(json!({ "EventSourceArn": none })).await;
    assert_eq!((&*name, &*text), ("ResourceNotFoundException", "Event bus none does not exist."));
    assert_eq!(create(json!({ "EventPattern": "{" })).await.0, "InvalidEventPatternException");
    assert_eq!(create(json!({ "KmsKeyIdentifier": "alias/a" })).await.0, "ValidationException");
    archive(&world, json!({})).await;
    let (name, text) = create(json!({})).await;
    assert_eq!((&*name, &*text), ("ResourceAlreadyExistsException", "Archive a already exists."));

    world.call("CreateEventBus", json!({ "Name": "b" })).await;
    let bus = BUS.replace("default", "b");
    let other = ARCHIVE.replace("archive/a", "archive/other");
    let cases = [
        (
            json!({ "EventSourceArn": other }),
            "Parameter EventSourceArn is not valid. Reason: Archive other does not exist.",
        ),
        (
            json!({ "Destination": { "Arn": bus } }),
            "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.",
        ),
        (
            json!({ "Destination": { "Arn": "default" } }),
            "Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN.",
        ),
        (
            json!({ "EventEndTime": (NOW - Duration::from_secs(60)).as_secs() }),
            "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.",
        ),
    ];
    for (more, expected) in cases {
        let (name, text) = world.refused("StartReplay", replay("x", more)).await;
        assert_eq!((&*name, &*text), ("ValidationException", expected));
    }
    let (name, text) = world.refused("DescribeReplay", json!({ "ReplayName": "x" })).await;
    assert_eq!((&*name, &*text), ("ResourceNotFoundException", "Replay x does not exist."));
}

#[tokio::test]
async fn a_replay_sends_again_what_was_kept_of_its_times_to_its_rules() {
    let world = world().await;
    archive(&world, json!({})).await;
    for n in 0..4 {
        world.put("shop", json!({ "n": n })).await;
        world.clock.advance(Duration::from_secs(60));
    }
    // The rules came later.
    world.rule("r", json!({ "source": ["shop"] }), topic()).await;
    world.rule("s", json!({ "replay-name": [{ "exists": true }] }), json!({ "Id": "t", "Arn": OTHER_TOPIC })).await;
    let rule = "arn:aws:events:eu-west-1:111122223333:rule/r";
    let times = json!({
        "EventStartTime": (NOW + Duration::from_secs(60)).as_secs(),
        "EventEndTime": (NOW + Duration::from_secs(180)).as_secs(),
        "Destination": { "Arn": BUS, "FilterArns": [rule] },
    });
    let started = world.call("StartReplay", replay("one", times)).await;
    assert_eq!(started["State"], "STARTING");
    assert_eq!(started["ReplayArn"], "arn:aws:events:eu-west-1:111122223333:replay/one");
    finish(&world).await;
    assert_eq!(waiting(&world, TOPIC).await, [(json!(1), json!("one")), (json!(2), json!("one"))]);
    assert_eq!(waiting(&world, OTHER_TOPIC).await, []);
    let told = world.call("DescribeReplay", json!({ "ReplayName": "one" })).await;
    assert_eq!((&told["State"], &told["Destination"]["FilterArns"]), (&json!("COMPLETED"), &json!([rule])));
    assert_eq!(told["EventLastReplayedTime"].as_f64(), Some((NOW + Duration::from_secs(120)).as_secs_f64()));
    world.call("StartReplay", replay("two", json!({}))).await;
    finish(&world).await;
    assert_eq!(waiting(&world, OTHER_TOPIC).await.len(), 4);
    // What is sent again is not kept again.
    assert_eq!(world.call("DescribeArchive", json!({ "ArchiveName": "a" })).await["EventCount"], 4);
    let told = world.call("ListReplays", json!({ "State": "COMPLETED", "EventSourceArn": ARCHIVE })).await;
    assert_eq!(told["Replays"].as_array().unwrap().len(), 2);
    let (name, text) = world.refused("StartReplay", replay("one", json!({}))).await;
    assert_eq!((&*name, &*text), ("ResourceAlreadyExistsException", "Replay one already exists."));
}

#[tokio::test]
async fn whenever_it_dies_each_event_is_kept_and_sent_again_once() {
    let mut world = world().await;
    archive(&world, json!({})).await;
    world.rule("r", json!({ "source": ["shop"], "replay-name": ["one"] }), topic()).await;
    for n in 0..5 {
        world.put("shop", json!({ "n": n })).await;
        world = world.crashed().await;
    }
    world.call("StartReplay", replay("one", json!({}))).await;
    let mut steps = 0;
    while state(&world, "one").await != "COMPLETED" {
        Archivist::new(Arc::clone(&world.events)).step().await.unwrap();
        world = world.crashed().await;
        steps += 1;
    }
    assert_eq!(steps, 7, "it begins, sends five chunks, and ends");
    let numbers: Vec<Value> = waiting(&world, TOPIC).await.into_iter().map(|(n, _)| n).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4].map(|n| json!(n)));
}

#[tokio::test]
async fn a_replay_is_cancelled_and_fails_without_its_archive() {
    let world = world().await;
    archive(&world, json!({})).await;
    world.rule("r", json!({ "source": ["shop"] }), topic()).await;
    world.put("shop", json!({ "n": 0 })).await;
    world.call("StartReplay", replay("one", json!({}))).await;
    let cancelled = world.call("CancelReplay", json!({ "ReplayName": "one" })).await;
    assert_eq!(cancelled["State"], "CANCELLING");
    let (name, text) = world.refused("CancelReplay", json!({ "ReplayName": "one" })).await;
    assert_eq!((&*name, &*text), ("IllegalStatusException", "Replay one is not in a valid state for this operation."));
    finish(&world).await;
    assert_eq!(state(&world, "one").await, "CANCELLED");
    world.call("StartReplay", replay("two", json!({}))).await;
    world.call("DeleteArchive", json!({ "ArchiveName": "a" })).await;
    finish(&world).await;
    let told = world.call("DescribeReplay", json!({ "ReplayName": "two" })).await;
    assert_eq!((&told["State"], &told["StateReason"]), (&json!("FAILED"), &json!("Archive a does not exist.")));
    assert_eq!(waiting(&world, TOPIC).await, [(json!(0), Value::Null)]);
    archive(&world, json!({})).await;
    for n in 0..10 {
        world.call("StartReplay", replay(&format!("open-{n}"), json!({}))).await;
    }
    assert_eq!(world.refused("StartReplay", replay("more", json!({}))).await.0, "LimitExceededException");
}

#[tokio::test]
async fn events_are_kept_for_their_days() {
    let world = world().await;
    archive(&world, json!({ "RetentionDays": 1 })).await;
    world.put("shop", json!({ "n": 0 })).await;
    world.clock.advance(Duration::from_secs(86_000));
    world.put("shop", json!({ "n": 1 })).await;
    let count = async || {
        finish(&world).await;
        world.call("DescribeArchive", json!({ "ArchiveName": "a" })).await["EventCount"].clone()
    };
    assert_eq!(count().await, 2);
    world.clock.advance(Duration::from_secs(401));
    assert_eq!(count().await, 1);
    world.call("DeleteArchive", json!({ "ArchiveName": "a" })).await;
    finish(&world).await;
    assert!(world.events.outbox.shelves().await.unwrap().is_empty());
}

#[tokio::test]
async fn records_are_archived_as_rules_see_them() {
    let world = world().await;
    archive(&world, json!({})).await;
    let mut projection = world.projection().await;
    let read = record("GetUser", json!({ "readOnly": true }));
    let batch = world.records(&[record("CreateUser", json!({})), read]).await;
    assert_eq!(projection.apply(&batch).await.unwrap(), batch.through, "it is durable");
    world.rule("r", json!({ "source": ["aws.iam"] }), topic()).await;
    let times = json!({ "EventStartTime": 0, "EventEndTime": (NOW + Duration::from_secs(9)).as_secs() });
    world.call("StartReplay", replay("one", times)).await;
    finish(&world).await;
    let events = world.waiting(TOPIC).await;
    assert_eq!((events.len(), &events[0]["detail"]), (1, &record("CreateUser", json!({}))));
    assert_eq!((&events[0]["id"], &events[0]["replay-name"]), (&json!("id-CreateUser"), &json!("one")));
}
