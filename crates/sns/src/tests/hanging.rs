use std::time::Duration;

use opentrail_runtime::OnError;

use super::world::world_with;
use crate::endpoint::Protocol;
use crate::subscription::Settings;

/// Endpoints that hang: more than there are places for couriers.
const HANGING: usize = 300;

/// Were the good endpoint to wait for a place, it would wait for an hour.
#[tokio::test]
async fn however_many_endpoints_hang_a_good_one_is_served() {
    let world = world_with(Default::default(), Duration::from_secs(3600)).await;
    let mut site = world.site().await;
    let (good, bad) = (world.topic("good").await, world.topic("bad").await);
    world.subscribed(&good, Protocol::Http, &format!("{}/good", site.base), Settings::default()).await;
    // It takes connections and never says a word.
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", hanging.local_addr().unwrap());
    for number in 0..HANGING {
        world.subscribed(&bad, Protocol::Http, &format!("{base}/{number}"), Settings::default()).await;
    }
    let shutdown = world.tasks().shutdown().clone();
    world.tasks().spawn("couriers", OnError::Log, world.sns.clone().run(shutdown));
    let publish = async |topic: &str, message: &str| {
        world.call("Publish", &[("TopicArn", topic), ("Message", message)]).await;
    };
    publish(&good, "first").await;
    assert_eq!(site.received.recv().await.unwrap().json()["Message"], "first");
    // A backlog for all of them, and the good one's messages among it.
    for round in 0..5 {
        publish(&bad, "m").await;
        publish(&good, &round.to_string()).await;
    }
    let mut received = Vec::new();
    while received.len() < 5 {
        let next = site.received.recv().await.unwrap();
        received.push(next.json()["Message"].as_str().unwrap().to_owned());
    }
    received.sort();
    assert_eq!(received, ["0", "1", "2", "3", "4"]);
    assert_eq!(world.sns.waiting().await.unwrap() / HANGING as u64, 5, "nothing of theirs is lost");
    world.tasks().shutdown().begin();
    world.tasks().join(Duration::from_secs(10)).await;
}
