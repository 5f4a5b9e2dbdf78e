use serde_json::{Value, json};

use super::{NOW, World, event, messages, place};
use crate::ServiceBatch;

const HOUR: i64 = 3_600_000;

fn put(events: &[(i64, &str)]) -> Value {
    let events: Vec<_> =
        events.iter().map(|(time, message)| json!({ "timestamp": time, "message": message })).collect();
    json!({ "logGroupName": "g", "logStreamName": "s", "logEvents": events })
}

fn get(more: Value) -> Value {
    let mut input = json!({ "logGroupName": "g", "logStreamName": "s" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

#[tokio::test]
async fn the_rules_of_a_batch_hold() {
    let world = World::with_stream("g").await;
    let big = "x".repeat(1_048_576 - 25);
    let half = "x".repeat(524_288);
    for bad in [
        put(&[(NOW, "b"), (NOW - 1, "a")]),
        put(&[(NOW - 25 * HOUR, "a"), (NOW, "b")]),
        put(&[(NOW, &big)]),
        put(&[(NOW, &half), (NOW, &half)]),
        put(&[]),
        put(&[(NOW, "")]),
    ] {
        assert_eq!(world.refused("PutLogEvents", bad).await, "InvalidParameterException");
    }
    world.call("PutLogEvents", put(&[(NOW, &big[1..])])).await;
    let mut nowhere = put(&[(NOW, "a")]);
    nowhere["logStreamName"] = json!("t");
    assert_eq!(world.refused("PutLogEvents", nowhere).await, "ResourceNotFoundException");
}

#[tokio::test]
async fn events_too_old_too_new_or_expired_are_told_and_the_others_kept() {
    let world = World::with_stream("g").await;
    let old = world.call("PutLogEvents", put(&[(NOW - 15 * 24 * HOUR, "a")])).await;
    assert_eq!(old["rejectedLogEventsInfo"], json!({ "tooOldLogEventEndIndex": 1 }));
    let new = world.call("PutLogEvents", put(&[(NOW, "kept"), (NOW + 3 * HOUR, "late")])).await;
    assert_eq!(new["rejectedLogEventsInfo"], json!({ "tooNewLogEventStartIndex": 1 }));
    world.call("PutRetentionPolicy", json!({ "logGroupName": "g", "retentionInDays": 1 })).await;
    let expired = world.call("PutLogEvents", put(&[(NOW - 25 * HOUR, "a"), (NOW - 2 * HOUR, "kept too")])).await;
    assert_eq!(expired["rejectedLogEventsInfo"], json!({ "expiredLogEventEndIndex": 1 }));
    assert_eq!(world.search(json!({ "logGroupName": "g" })).await, ["kept too", "kept"]);
    let odd = json!({ "logGroupName": "g", "retentionInDays": 2 });
    assert_eq!(world.refused("PutRetentionPolicy", odd).await, "InvalidParameterException");
}

#[tokio::test]
async fn tokens_lead_both_ways_and_stay_at_the_ends() {
    let world = World::with_stream("g").await;
    world.put("g", NOW, &["1", "2", "3", "4", "5"]).await;
    let newest = world.call("GetLogEvents", get(json!({ "limit": 2 }))).await;
    assert_eq!(messages(&newest), ["4", "5"]);
    let older = world.call("GetLogEvents", get(json!({ "limit": 2, "nextToken": newest["nextBackwardToken"] }))).await;
    assert_eq!(messages(&older), ["2", "3"]);
    let forward = world.call("GetLogEvents", get(json!({ "nextToken": older["nextForwardToken"] }))).await;
    assert_eq!(messages(&forward), ["4", "5"]);
    let end = world.call("GetLogEvents", get(json!({ "nextToken": forward["nextForwardToken"] }))).await;
    assert!(messages(&end).is_empty());
    assert_eq!(end["nextForwardToken"], forward["nextForwardToken"]);
    world.put("g", NOW + 10, &["6"]).await;
    let more = world.call("GetLogEvents", get(json!({ "nextToken": end["nextForwardToken"] }))).await;
    assert_eq!(messages(&more), ["6"]);
    let head = world.call("GetLogEvents", get(json!({ "limit": 1, "startFromHead": true }))).await;
    assert_eq!(messages(&head), ["1"]);
    let window = get(json!({ "startTime": NOW + 1, "endTime": NOW + 3, "startFromHead": true }));
    assert_eq!(messages(&world.call("GetLogEvents", window).await), ["2", "3"]);
    assert_eq!(world.refused("GetLogEvents", get(json!({ "nextToken": "x" }))).await, "InvalidParameterException");
}

#[tokio::test]
async fn searches_go_over_streams_by_pattern_and_pages() {
    let world = World::with_stream("g").await;
    world.call("CreateLogStream", json!({ "logGroupName": "g", "logStreamName": "t" })).await;
    world.put("g", NOW, &["ERROR a", "ok"]).await;
    let mut other = put(&[(NOW, "ERROR b"), (NOW + 5, "ERROR c")]);
    other["logStreamName"] = json!("t");
    world.call("PutLogEvents", other).await;
    let all = world.search(json!({ "logGroupName": "g", "filterPattern": "ERROR", "limit": 1 })).await;
    assert_eq!(all, ["ERROR a", "ERROR b", "ERROR c"]);
    let of_t = json!({ "logGroupName": "g", "logStreamNames": ["t"], "filterPattern": "ERROR" });
    assert_eq!(world.search(of_t).await, ["ERROR b", "ERROR c"]);
    let prefixed = json!({ "logGroupName": "g", "logStreamNamePrefix": "s" });
    assert_eq!(world.search(prefixed).await, ["ERROR a", "ok"]);
    let backwards = json!({ "logGroupName": "g", "startFromHead": false, "limit": 3 });
    assert_eq!(world.search(backwards).await, ["ERROR c", "ok", "ERROR b", "ERROR a"]);
    let until = json!({ "logGroupName": "g", "endTime": NOW });
    assert_eq!(world.search(until).await, ["ERROR a", "ERROR b"]);
    let page = world.call("FilterLogEvents", json!({ "logGroupName": "g" })).await;
    assert_eq!(page["events"][0]["eventId"].as_str().unwrap().len(), 56);
    let bad = json!({ "logGroupName": "g", "filterPattern": "{ $.a = " });
    assert_eq!(world.refused("FilterLogEvents", bad).await, "InvalidParameterException");
}

fn batch(group: &str, stream: &str, events: Vec<crate::LogEvent>) -> ServiceBatch {
    ServiceBatch { group: place(group), stream: stream.to_owned(), events }
}

#[tokio::test]
async fn a_service_appends_each_position_once_over_reopening() {
    let mut world = World::with_stream("g").await;
    for position in 1..=3 {
        for _ in 0..2 {
            let events = vec![event(NOW, format!("p{position}")), event(NOW, "")];
            let batches = vec![batch("g", "made", events), batch("gone", "x", vec![event(NOW, "lost")])];
            let appended = world.logs.append("trail", position, batches).await.unwrap();
            if appended.repeated {
                assert_eq!(appended.events, 0);
            } else {
                assert_eq!((appended.events, appended.refused), (1, 1));
                assert_eq!(appended.missing, [place("gone")]);
            }
        }
        world = world.reopened().await;
        assert_eq!(world.logs.position("trail").await.unwrap(), Some(position));
    }
    assert_eq!(world.search(json!({ "logGroupName": "g" })).await, ["p1", "p2", "p3"]);
    assert_eq!(world.logs.position("other").await.unwrap(), None);
}

#[tokio::test]
async fn merging_and_retention_change_nothing_that_is_seen() {
    let mut world = World::with_stream("g").await;
    let mut expected = Vec::new();
    for n in 0..40 {
        let message = format!("m{n}");
        world.put("g", NOW + n % 7, &[&message]).await;
        expected.push((n % 7, n, message));
    }
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(.., message)| message).collect();
    let before = world.call("FilterLogEvents", json!({ "logGroupName": "g" })).await;
    assert_eq!(messages(&before), expected);
    let merged = world.logs.maintain().await.unwrap().merged;
    assert!(merged >= 32, "{merged}");
    assert_eq!(world.call("FilterLogEvents", json!({ "logGroupName": "g" })).await["events"], before["events"]);
    world = world.reopened().await;
    assert_eq!(world.call("FilterLogEvents", json!({ "logGroupName": "g" })).await["events"], before["events"]);
    world.call("PutRetentionPolicy", json!({ "logGroupName": "g", "retentionInDays": 1 })).await;
    world.clock.advance(std::time::Duration::from_secs(2 * 24 * 3600));
    assert!(world.search(json!({ "logGroupName": "g" })).await.is_empty());
    assert!(world.logs.maintain().await.unwrap().expired > 0);
    world.call("DeleteRetentionPolicy", json!({ "logGroupName": "g" })).await;
    assert!(world.search(json!({ "logGroupName": "g" })).await.is_empty(), "what is expired is gone");
}

#[tokio::test]
async fn followers_see_every_commit_in_order_from_memory_and_from_the_file() {
    let mut world = World::with_stream("g").await;
    for n in 0..30 {
        world.put("g", NOW, &[&format!("m{n}")]).await;
    }
    let mut follower = world.logs.follow(0);
    let mut seen = Vec::new();
    while seen.len() < 30 {
        seen.extend(follower.next().await.unwrap());
    }
    assert!(seen.is_sorted_by_key(|chunk| chunk.sequence));
    let position = follower.position();
    world = world.reopened().await;
    let (mut again, mut late) = (world.logs.follow(0), world.logs.follow(position));
    let mut count = 0;
    while count < 30 {
        count += again.next().await.unwrap().len();
    }
    assert!(world.logs.follow(0).recent().is_err(), "what came before the start is not in memory");
    assert!(late.recent().unwrap().is_empty());
    world.put("g", NOW, &["new"]).await;
    let chunks = late.next().await.unwrap();
    assert_eq!(chunks[0].events.iter().collect::<Vec<_>>(), [(NOW, "new")]);
    assert!(chunks[0].sequence > position, "numbers go on after reopening");
}

#[tokio::test]
async fn a_damaged_chunk_is_skipped_and_the_others_are_read() {
    let world = World::with_stream("g").await;
    for message in ["a", "b", "c"] {
        world.put("g", NOW, &[message]).await;
    }
    let damage = "UPDATE chunk SET body = zeroblob(length(body)) WHERE sequence = 2";
    sqlx::query(damage).execute(world.logs.shared.store.pool()).await.unwrap();
    assert_eq!(world.search(json!({ "logGroupName": "g" })).await, ["a", "c"]);
    sqlx::query("UPDATE chunk SET raw = 99 WHERE sequence = 1").execute(world.logs.shared.store.pool()).await.unwrap();
    assert_eq!(world.search(json!({ "logGroupName": "g" })).await, ["c"]);
    let mut follower = world.logs.follow(0);
    assert!(!follower.next().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stream_with_the_name_of_a_deleted_one_is_empty() {
    let world = World::with_stream("g").await;
    world.put("g", NOW, &["a"]).await;
    world.call("DeleteLogGroup", json!({ "logGroupName": "g" })).await;
    world.call("CreateLogGroup", json!({ "logGroupName": "g" })).await;
    world.call("CreateLogStream", json!({ "logGroupName": "g", "logStreamName": "s" })).await;
    assert!(world.search(json!({ "logGroupName": "g" })).await.is_empty());
    assert_eq!(world.logs.maintain().await.unwrap().dropped, 1);
    world.put("g", NOW, &["b"]).await;
    assert_eq!(world.search(json!({ "logGroupName": "g" })).await, ["b"]);
}

#[tokio::test]
async fn requests_after_the_end_are_refused_and_those_before_are_done() {
    let world = World::with_stream("g").await;
    world.tasks.shutdown().begin();
    world.tasks.join(std::time::Duration::from_secs(60)).await;
    let (status, body) = world.call_as("AKIAROOT", "PutLogEvents", put(&[(NOW, "a")])).await;
    assert_eq!((status, body["__type"].as_str()), (500, Some("ServiceUnavailableException")));
}
