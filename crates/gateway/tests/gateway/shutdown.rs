//! Stopping, and a sink that takes no more.

use super::world::*;
use http::Response;
use http_body_util::BodyExt;
use opentrail_gateway::GatewayConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

#[tokio::test]
async fn a_call_under_way_is_finished_and_recorded_when_the_gateway_stops() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel::<()>();
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let upstream = upstream(move |_| {
        arrived.send(()).unwrap();
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Response::new(full("late"))
        }
    })
    .await;
    let world = World::before(upstream).await;
    let mut client = client(world.address).await;
    let sent = client.send_request(request("GET", "/k").body(full("")).unwrap());
    let call = async { sent.await.unwrap().into_body().collect().await.unwrap().to_bytes() };
    let stop = async {
        arrivals.recv().await.unwrap();
        world.shutdown.begin();
        go_on.notify_one();
    };
    let (body, ()) = tokio::join!(call, stop);
    assert_eq!(body, "late");
    assert_eq!(world.remaining().await.len(), 1);
}

#[tokio::test]
async fn a_call_that_does_not_finish_is_cut_at_the_deadline_and_recorded() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel::<()>();
    let upstream = upstream(move |_| {
        arrived.send(()).unwrap();
        std::future::pending()
    })
    .await;
    let drain = Duration::from_millis(20);
    let world = World::with(GatewayConfig { upstream: uri(upstream), drain, ..GatewayConfig::default() }).await;
    let mut client = client(world.address).await;
    let sent = client.send_request(request("GET", "/k").body(full("")).unwrap());
    let stop = async {
        arrivals.recv().await.unwrap();
        world.remaining().await
    };
    let (answer, records) = tokio::join!(sent, stop);
    assert!(answer.is_err());
    assert_eq!(records.len(), 1);
}

#[tokio::test]
async fn no_call_reaches_the_upstream_while_the_sink_takes_no_more() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel::<()>();
    let upstream = upstream(move |_| {
        arrived.send(()).unwrap();
        async { Response::new(full("ok")) }
    })
    .await;
    let mut world =
        World::with(GatewayConfig { upstream: uri(upstream), max_calls: 1, ..GatewayConfig::default() }).await;
    let room = world.room.forget_permits(usize::MAX);
    let mut client = client(world.address).await;
    let call = || request("GET", "/k").body(full("")).unwrap();
    client.send_request(call()).await.unwrap().into_body().collect().await.unwrap();
    arrivals.recv().await.unwrap();
    client.ready().await.unwrap();

    let mut second = Box::pin(client.send_request(call()));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut second).await.is_err());
    assert!(arrivals.try_recv().is_err(), "the second call waits for the first one's record");
    world.room.add_permits(room);
    world.record().await;
    assert_eq!(second.await.unwrap().status(), 200);
    world.record().await;
}
