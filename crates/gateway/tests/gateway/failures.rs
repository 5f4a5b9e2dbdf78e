//! What each kind of failure leaves behind: an answer, and exactly one record.

use super::world::*;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use opentrail_gateway::GatewayConfig;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An address where nobody listens.
async fn nobody() -> std::net::SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn an_upstream_that_is_down_is_an_aws_error_and_a_record() {
    let mut world = World::before(nobody().await).await;
    let mut client = client(world.address).await;
    let response = client.send_request(request("GET", "/k").body(full("")).unwrap()).await.unwrap();
    assert_eq!(response.status(), 503);
    let id = response.headers()["x-amz-request-id"].to_str().unwrap().to_owned();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(text.starts_with(b"<?xml") && String::from_utf8_lossy(&text).contains("<Code>ServiceUnavailable</Code>"));
    let record = world.record().await;
    assert_eq!((&record["errorCode"], &record["requestID"]), (&"ServiceUnavailable".into(), &id.into()));

    client.ready().await.unwrap();
    let json = request("POST", "/").header("x-amz-target", "DynamoDB_20120810.ListTables").body(full("{}")).unwrap();
    let response = client.send_request(json).await.unwrap();
    let answer: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(answer["__type"], "ServiceUnavailable");
    let record = world.record().await;
    assert_eq!((&record["eventName"], &record["errorCode"]), (&"ListTables".into(), &"ServiceUnavailable".into()));
}

#[tokio::test]
async fn an_upstream_that_talks_nonsense_is_a_bad_gateway() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = socket.local_addr().unwrap();
    spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
    });
    let mut world = World::before(upstream).await;
    let response =
        client(world.address).await.send_request(request("GET", "/k").body(full("")).unwrap()).await.unwrap();
    assert_eq!(response.status(), 502);
    drop(response);
    assert_eq!(world.record().await["eventName"], "GetObject");
}

#[tokio::test]
async fn an_upstream_that_says_nothing_times_out() {
    let upstream = upstream(|_| std::future::pending()).await;
    let upstream_timeout = Duration::from_millis(50);
    let mut world =
        World::with(GatewayConfig { upstream: uri(upstream), upstream_timeout, ..GatewayConfig::default() }).await;
    let response =
        client(world.address).await.send_request(request("GET", "/k").body(full("")).unwrap()).await.unwrap();
    assert_eq!(response.status(), 504);
    response.into_body().collect().await.unwrap();
    assert_eq!(world.record().await["errorCode"], "ServiceUnavailable");
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_recorded_with_what_was_sent() {
    for part in ["content-length: 9\r\n\r\npart", "transfer-encoding: chunked\r\n\r\n4\r\npart\r\n"] {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = socket.local_addr().unwrap();
        spawn(async move {
            let (mut stream, _) = socket.accept().await.unwrap();
            // All of the request is read, so that closing sends what was written rather than a reset.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{part}").as_bytes()).await.unwrap();
        });
        let mut world = World::before(upstream).await;
        let sent = client(world.address).await.send_request(request("GET", "/k").body(full("")).unwrap()).await;
        // The client must not take the part for the whole.
        if let Ok(response) = sent {
            assert!(response.into_body().collect().await.is_err());
        }
        let record = world.record().await;
        assert_eq!(record["errorCode"], "ServiceUnavailable");
        let data = &record["additionalEventData"];
        assert_eq!((&data["interruptedBy"], &data["bytesTransferredOut"]), (&"upstream".into(), &4.into()));
        assert!(world.remaining().await.is_empty());
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_recorded() {
    let (arrived, arrivals) = tokio::sync::mpsc::unbounded_channel::<()>();
    let mut arrivals = arrivals;
    let upstream = upstream(move |_| {
        arrived.send(()).unwrap();
        std::future::pending()
    })
    .await;
    let mut world = World::before(upstream).await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /b/k HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    arrivals.recv().await.unwrap();
    drop(stream);
    let record = world.record().await;
    assert_eq!((&record["eventName"], &record["errorCode"]), (&"GetObject".into(), &"ClientDisconnected".into()));
    assert!(world.remaining().await.is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_during_the_answer_is_recorded_without_an_error() {
    let upstream = upstream(|_| async {
        let endless = stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![0; 65536]))));
        Response::new(StreamBody::new(endless.boxed()).boxed_unsync())
    })
    .await;
    let mut world = World::before(upstream).await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /b/k HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 100_000]).await.unwrap();
    drop(stream);
    let record = world.record().await;
    assert_eq!((record.get("errorCode"), &record["additionalEventData"]["interruptedBy"]), (None, &"client".into()));
    assert!(record["additionalEventData"]["bytesTransferredOut"].as_u64().unwrap() >= 65536);
    assert!(world.remaining().await.is_empty());
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_so() {
    let upstream = upstream(|request| async {
        let _ = request.into_body().collect().await;
        Response::new(full(""))
    })
    .await;
    let client_timeout = Duration::from_millis(50);
    let mut world =
        World::with(GatewayConfig { upstream: uri(upstream), client_timeout, ..GatewayConfig::default() }).await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"PUT /b/k HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n1").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
    let record = world.record().await;
    assert_eq!((&record["eventName"], &record["errorCode"]), (&"PutObject".into(), &"RequestTimeout".into()));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_before_the_upstream_hears_of_it() {
    let world = World::before(nobody().await).await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    // The gateway may have answered and closed before all of it is written.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    assert!(world.remaining().await.is_empty());
}

#[tokio::test]
async fn an_upstream_with_a_path_is_refused_at_once() {
    struct Nothing;
    impl opentrail_gateway::CallerLookup for Nothing {
        fn caller(&self, _: &str, _: Option<&str>) -> opentrail_recorder::Caller {
            opentrail_recorder::Caller::Anonymous
        }
    }
    #[async_trait::async_trait]
    impl opentrail_gateway::RecordSink for Nothing {
        async fn record(&self, _: opentrail_recorder::Recorded, _: opentrail_model::Timestamp) {}
    }
    let config = GatewayConfig { upstream: "http://127.0.0.1:1/base".parse().unwrap(), ..GatewayConfig::default() };
    let (clock, random) = (opentrail_runtime::SystemClock, opentrail_runtime::SystemRandom);
    let (clock, random) = (std::sync::Arc::new(clock), std::sync::Arc::new(random));
    let nothing = std::sync::Arc::new(Nothing);
    let bound = opentrail_gateway::Gateway::bind(config, clock, random, nothing.clone(), nothing).await;
    assert!(bound.unwrap_err().to_string().contains("must have no path"));
}
