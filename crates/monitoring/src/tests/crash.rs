//! The process dies and another opens the file: nothing that was durable is lost or doubled.

use std::time::Duration;

use serde_json::json;

use super::{NOW, World, above_two};
use crate::Stored;

#[tokio::test]
async fn data_and_their_position_survive_together() {
    let world = World::new().await;
    let data = |world: &World| vec![world.datum("errors", NOW, 1.0)];
    let folded = world.monitoring.metrics().fold("filters", 7, data(&world)).await.unwrap();
    assert_eq!(folded, Some(Stored { kept: 1, expired: 0, refused: 0 }));
    // The next fold is begun and not committed.
    let mut writing = world.monitoring.metrics().store.writing().await.unwrap();
    world.monitoring.metrics().store.add(&mut writing, &data(&world), NOW).await.unwrap();
    drop(writing);
    let world = world.reopened().await;
    assert_eq!(world.monitoring.metrics().position("filters").await.unwrap(), Some(7));
    assert_eq!(world.monitoring.metrics().fold("filters", 7, data(&world)).await.unwrap(), None);
    let ask = json!({ "Namespace": "App", "MetricName": "errors", "StartTime": NOW.as_secs(), "EndTime": NOW.as_secs() + 60,
        "Period": 60, "Statistics": ["Sum"] });
    assert_eq!(world.call("GetMetricStatistics", ask).await["Datapoints"][0]["Sum"], 1.0);
}

#[tokio::test]
async fn a_series_of_a_transaction_that_was_rolled_back_is_not_remembered() {
    let world = World::new().await;
    let store = &world.monitoring.metrics().store;
    let mut writing = store.writing().await.unwrap();
    store.add(&mut writing, &[world.datum("gone", NOW, 1.0)], NOW).await.unwrap();
    drop(writing);
    world.put("other", NOW, 5.0).await;
    world.put("gone", NOW, 2.0).await;
    let listed = world.call("ListMetrics", json!({})).await;
    assert_eq!(listed["Metrics"].as_array().unwrap().len(), 2);
    let ask = json!({ "Namespace": "App", "MetricName": "gone", "StartTime": NOW.as_secs(), "EndTime": NOW.as_secs() + 60,
        "Period": 60, "Statistics": ["Sum"] });
    assert_eq!(world.call("GetMetricStatistics", ask).await["Datapoints"][0]["Sum"], 2.0);
}

#[tokio::test]
async fn data_that_nobody_looked_at_are_looked_at_by_the_next_start() {
    let world = World::new().await;
    world.call("PutMetricAlarm", above_two("a")).await;
    world.put("errors", NOW, 3.0).await;
    let world = world.reopened().await;
    world.evaluate().await;
    assert_eq!(world.state("a").await, "ALARM");
}

#[tokio::test]
async fn a_transition_and_its_actions_survive_once() {
    let world = World::new().await;
    world.call("PutMetricAlarm", above_two("a")).await;
    world.put("errors", NOW, 3.0).await;
    world.evaluate().await;
    let world = world.reopened().await;
    assert_eq!(world.told(), Vec::<String>::new());
    world.evaluate().await;
    world.perform().await;
    assert_eq!(world.told(), ["ALARM: \"a\" in EU (Ireland)"]);
    let world = world.reopened().await;
    world.evaluate().await;
    world.perform().await;
    assert_eq!(world.told().len(), 1);
    let updates: Vec<_> = world.history("a").await.into_iter().filter(|item| item.contains("updated from")).collect();
    assert_eq!(updates, ["Alarm updated from INSUFFICIENT_DATA to ALARM"]);
    assert_eq!(world.performed.events.lock().len(), 1);
}

#[tokio::test]
async fn a_composite_alarm_whose_child_changed_before_the_death_follows() {
    let world = World::new().await;
    world.call("PutMetricAlarm", above_two("a")).await;
    world.call("PutCompositeAlarm", json!({ "AlarmName": "c", "AlarmRule": "ALARM(a)" })).await;
    world.evaluate().await;
    world.call("SetAlarmState", json!({ "AlarmName": "a", "StateValue": "ALARM", "StateReason": "r" })).await;
    // The child is evaluated again too, as by every start.
    world.put("errors", NOW, 3.0).await;
    let world = world.reopened().await;
    world.evaluate().await;
    assert_eq!(world.state("c").await, "ALARM");
}

#[tokio::test]
async fn what_was_put_off_by_a_clock_that_ran_ahead_is_not_held_up() {
    let world = World::new().await;
    world.performed.fails.lock().push(crate::ActionError::Retryable("busy".to_owned()));
    world.clock.set(NOW + Duration::from_secs(86_400));
    world.call("PutMetricAlarm", above_two("a")).await;
    world.evaluate().await;
    world.perform().await;
    world.clock.set(NOW);
    world.perform().await;
    assert_eq!(world.told().len(), 2);
}

#[tokio::test]
async fn a_file_of_another_format_is_refused() {
    let world = World::new().await;
    let pool = world.monitoring.metrics().store.pool().clone();
    sqlx::query("PRAGMA user_version = 7").execute(&pool).await.unwrap();
    let file: String = sqlx::query_scalar("SELECT file FROM pragma_database_list").fetch_one(&pool).await.unwrap();
    let refused = crate::store::Store::open(std::path::Path::new(&file), 1).await.unwrap_err();
    assert_eq!(refused.to_string(), "the metrics file has format 7, this version of OpenTrail reads 1");
}
