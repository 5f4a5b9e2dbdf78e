use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::{Value, json};

use super::{NOW, World, event, place};
use crate::{Body, ServiceBatch};

const ARN: &str = "arn:aws:logs:eu-west-1:111122223333:log-group:g";

async fn start(world: &World, more: Value) -> BoxStream<'static, Bytes> {
    let mut input = json!({ "logGroupIdentifiers": [ARN] });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = world.reply_as("AKIAROOT", "StartLiveTail", input).await;
    let Body::Frames(mut frames) = reply.response.into_body() else { panic!("no frames") };
    assert!(text(&frames.next().await.unwrap()).contains("initial-response"));
    let session = frames.next().await.unwrap();
    assert!(text(&session).contains("sessionStart") && text(&session).contains(ARN));
    frames
}

fn text(frame: &Bytes) -> String {
    String::from_utf8_lossy(frame).into_owned()
}

/// The next frame; the clock goes on until it is there.
async fn next(world: &World, frames: &mut BoxStream<'static, Bytes>) -> Option<String> {
    let ticking = async {
        loop {
            world.clock.advance(Duration::from_millis(250));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        frame = frames.next() => frame.map(|frame| text(&frame)),
        () = ticking => unreachable!("the clock ticks for ever"),
    }
}

#[tokio::test]
async fn a_session_shows_what_matches_once() {
    let world = World::with_stream("g").await;
    world.put("g", NOW, &["ERROR before"]).await;
    let mut frames = start(&world, json!({ "logEventFilterPattern": "ERROR" })).await;
    world.put("g", NOW, &["ERROR one", "fine"]).await;
    let update = next(&world, &mut frames).await.unwrap();
    assert!(update.contains("ERROR one") && update.contains("\"sampled\":false"), "{update}");
    assert!(!update.contains("before") && !update.contains("fine"), "{update}");
    assert!(next(&world, &mut frames).await.unwrap().contains("\"sessionResults\":[]"));
}

#[tokio::test]
async fn of_many_events_some_are_shown_and_streams_are_chosen() {
    let world = World::with_stream("g").await;
    let mut frames = start(&world, json!({ "logStreamNamePrefixes": ["many"] })).await;
    let events = (0..2000).map(|number| event(NOW, format!("m{number}"))).collect();
    let batch = ServiceBatch { group: place("g"), stream: "many-1".to_owned(), events };
    world.logs.append("test", 1, vec![batch]).await.unwrap();
    world.put("g", NOW, &["of another stream"]).await;
    let update = next(&world, &mut frames).await.unwrap();
    assert_eq!(update.matches("many-1").count(), 500);
    assert!(update.contains("\"sampled\":true") && !update.contains("another"));
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_session() {
    let world = World::with_stream("g").await;
    let mut frames = start(&world, json!({})).await;
    let message = "x".repeat(1_000_000);
    for position in 1..=40 {
        let batch = ServiceBatch { group: place("g"), stream: "s".to_owned(), events: vec![event(NOW, &*message)] };
        world.logs.append("test", position, vec![batch]).await.unwrap();
    }
    assert!(next(&world, &mut frames).await.unwrap().contains("SessionStreamingException"));
    assert_eq!(next(&world, &mut frames).await, None);
}

#[tokio::test]
async fn sessions_are_counted_and_end_with_the_server_or_after_three_hours() {
    let world = World::with_stream("g").await;
    let mut open = Vec::new();
    for _ in 0..15 {
        open.push(start(&world, json!({})).await);
    }
    let input = json!({ "logGroupIdentifiers": [ARN] });
    assert_eq!(world.refused("StartLiveTail", input.clone()).await, "LimitExceededException");
    open.truncate(1);
    let mut late = start(&world, json!({})).await;
    world.clock.advance(Duration::from_secs(3 * 3600));
    assert!(next(&world, &mut late).await.unwrap().contains("SessionTimeoutException"));
    world.logs.shared.closing.begin();
    assert_eq!(next(&world, &mut open[0]).await, None);
    for wrong in [
        json!({ "logGroupIdentifiers": ["g"] }),
        json!({ "logGroupIdentifiers": [format!("{ARN}:*")] }),
        json!({ "logGroupIdentifiers": [ARN], "logEventFilterPattern": "{" }),
        json!({ "logGroupIdentifiers": [ARN], "logStreamNames": ["a"], "logStreamNamePrefixes": ["b"] }),
    ] {
        assert_eq!(world.refused("StartLiveTail", wrong).await, "InvalidParameterException");
    }
}
