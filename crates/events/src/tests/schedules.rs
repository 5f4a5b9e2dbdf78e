use std::sync::Arc;
use std::time::Duration;

use opentrail_model::Timestamp;
use serde_json::{Value, json};

use super::{NOW, TOPIC, World, topic, world};
use crate::Scheduler;

/// Puts a rule with that schedule and one target.
async fn scheduled(world: &World, name: &str, expression: &str) {
    world.call("PutRule", json!({ "Name": name, "ScheduleExpression": expression })).await;
    world.call("PutTargets", json!({ "Rule": name, "Targets": [topic()] })).await;
}

async fn scheduler(world: &World) -> Scheduler {
    Scheduler::open(Arc::clone(&world.events)).await.unwrap()
}

/// The times of the events that wait.
async fn times(world: &World) -> Vec<String> {
    let time = |event: &Value| event["time"].as_str().unwrap().to_owned();
    world.waiting(TOPIC).await.iter().map(time).collect()
}

fn later(minutes: u64) -> Timestamp {
    NOW + Duration::from_secs(minutes * 60)
}

#[tokio::test]
async fn a_schedule_is_told_of_as_it_was_put_and_refused_elsewhere() {
    let world = world().await;
    scheduled(&world, "r", "rate(5 minutes)").await;
    let told = world.call("DescribeRule", json!({ "Name": "r" })).await;
    assert_eq!((&told["ScheduleExpression"], &told["EventPattern"]), (&json!("rate(5 minutes)"), &json!(null)));
    let told = world.call("ListRules", json!({})).await;
    assert_eq!(told["Rules"][0]["ScheduleExpression"], "rate(5 minutes)");
    world.call("CreateEventBus", json!({ "Name": "b" })).await;
    let on_bus = json!({ "Name": "r", "EventBusName": "b", "ScheduleExpression": "rate(5 minutes)" });
    let refused = ("ValidationException".to_owned(), "ScheduleExpression is supported only on the default event bus.");
    let (name, text) = world.refused("PutRule", on_bus).await;
    assert_eq!((name, &*text), refused);
    let (name, text) = world.refused("PutRule", json!({ "Name": "r", "ScheduleExpression": "rate(5 minute)" })).await;
    assert_eq!((&*name, &*text), ("ValidationException", "Parameter ScheduleExpression is not valid."));
}

#[tokio::test]
async fn a_rule_that_is_due_makes_an_event_for_its_own_targets() {
    let world = world().await;
    scheduled(&world, "r", "rate(5 minutes)").await;
    world.rule("other", json!({ "source": ["aws.events"] }), json!({ "Id": "t", "Arn": super::OTHER_TOPIC })).await;
    let mut scheduler = scheduler(&world).await;
    assert_eq!(scheduler.look().await.unwrap(), Some(later(5)));
    assert_eq!(times(&world).await, [] as [&str; 0]);
    world.clock.set(later(5));
    assert_eq!(scheduler.look().await.unwrap(), Some(later(10)));
    let mut event = world.waiting(TOPIC).await.remove(0);
    assert!(event["id"].as_str().is_some_and(|id| id.len() == 36));
    event["id"] = json!("");
    let arn = "arn:aws:events:eu-west-1:111122223333:rule/r";
    let expected = json!({
        "version": "0", "id": "", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "111122223333", "time": later(5).to_iso(), "region": "eu-west-1", "resources": [arn], "detail": {}
    });
    assert_eq!(event, expected);
    assert!(world.waiting(super::OTHER_TOPIC).await.is_empty());
    assert_eq!(scheduler.look().await.unwrap(), Some(later(10)), "once");
    assert_eq!(times(&world).await.len(), 1);
}

#[tokio::test]
async fn of_what_was_due_during_an_outage_the_last_comes_and_a_crash_repeats_nothing() {
    let mut world = world().await;
    scheduled(&world, "r", "rate(5 minutes)").await;
    scheduled(&world, "c", "cron(0 * * * ? *)").await;
    for _ in 0..2 {
        world.clock.set(later(62));
        world = world.crashed().await;
        scheduler(&world).await.look().await.unwrap();
        let mut times = times(&world).await;
        times.sort();
        // NOW is 3:04:05.
        assert_eq!(times, ["2026-01-02T04:00:00Z", "2026-01-02T04:04:05Z"]);
    }
}

#[tokio::test]
async fn a_schedule_begins_when_it_is_put_changed_or_switched_on() {
    let world = world().await;
    scheduled(&world, "r", "rate(1 hour)").await;
    let mut scheduler = scheduler(&world).await;
    let put = |expression: &str, state: &str| json!({ "Name": "r", "ScheduleExpression": expression, "State": state });
    world.clock.set(later(30));
    world.call("PutRule", put("rate(1 hour)", "ENABLED")).await;
    assert_eq!(scheduler.look().await.unwrap(), Some(later(60)), "put again, it goes on");
    world.call("PutRule", put("rate(2 hours)", "ENABLED")).await;
    assert_eq!(scheduler.look().await.unwrap(), Some(later(150)));
    world.call("DisableRule", json!({ "Name": "r" })).await;
    world.clock.set(later(200));
    assert_eq!(scheduler.look().await.unwrap(), None);
    world.call("EnableRule", json!({ "Name": "r" })).await;
    assert_eq!(scheduler.look().await.unwrap(), Some(later(320)));
    assert_eq!(times(&world).await, [] as [&str; 0]);
    // What was due before there was a target is gone.
    world.call("PutRule", json!({ "Name": "bare", "ScheduleExpression": "rate(1 minute)" })).await;
    world.clock.set(later(201));
    scheduler.look().await.unwrap();
    world.call("PutTargets", json!({ "Rule": "bare", "Targets": [topic()] })).await;
    scheduler.look().await.unwrap();
    assert_eq!(times(&world).await, [] as [&str; 0]);
    world.clock.set(later(202));
    scheduler.look().await.unwrap();
    assert_eq!(times(&world).await, [later(202).to_iso()]);
}

#[tokio::test]
async fn a_rule_may_take_events_and_make_them() {
    let world = world().await;
    let both = json!({ "Name": "r", "ScheduleExpression": "rate(1 minute)", "EventPattern": r#"{"source":["shop"]}"# });
    world.call("PutRule", both).await;
    world.call("PutTargets", json!({ "Rule": "r", "Targets": [topic()] })).await;
    world.put("shop", json!({})).await;
    world.clock.set(later(1));
    scheduler(&world).await.look().await.unwrap();
    let sources: Vec<_> = world.waiting(TOPIC).await.iter().map(|event| event["source"].clone()).collect();
    assert_eq!(sources, ["shop", "aws.events"]);
}
