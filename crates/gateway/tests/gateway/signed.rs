//! What leaves is what was signed.

use super::world::*;
use http::{Response, Version};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An upstream that takes one request, keeps its bytes, and answers.
async fn listening(answer: &'static str) -> (std::net::SocketAddr, tokio::sync::oneshot::Receiver<String>) {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        let mut text = Vec::new();
        while !text.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut text).await.unwrap();
        }
        tell.send(String::from_utf8(text).unwrap()).unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    (address, told)
}

#[tokio::test]
async fn target_host_and_headers_arrive_as_sent_and_nothing_is_added() {
    let (upstream, told) = listening("HTTP/1.1 204 No Content\r\nx-amz-request-id: R1\r\n\r\n").await;
    let mut world = World::before(upstream).await;
    let target = "//a%20b/../c//%E2%82%AC?x=1&empty&y=%2B+z";
    let request =
        request("GET", target).header("x-amz-meta-a", "1").header("x-amz-meta-a", "2").body(full("")).unwrap();
    let response = client(world.address).await.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-amz-request-id"]), (204, &"R1".parse().unwrap()));

    let sent = told.await.unwrap();
    let mut lines = sent.trim_end().lines();
    assert_eq!(lines.next().unwrap(), format!("GET {target} HTTP/1.1"));
    let mut names: Vec<_> = lines.map(|line| line.split(':').next().unwrap().to_ascii_lowercase()).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "host", "x-amz-meta-a", "x-amz-meta-a"]);
    assert!(sent.to_ascii_lowercase().contains("host: bucket.s3.amazonaws.com\r\n"));

    let record = world.record().await;
    assert_eq!((&record["eventName"], &record["requestID"]), (&"GetObject".into(), &"R1".into()));
    assert_eq!(record["userIdentity"]["accessKeyId"], "AKIA1");
}

#[tokio::test]
async fn an_http2_client_is_heard_and_its_authority_arrives_as_host() {
    let seen = Arc::new(Mutex::new(None));
    let seen_there = Arc::clone(&seen);
    let upstream = upstream(move |request| {
        *seen_there.lock() = Some((request.version(), request.headers()["host"].clone()));
        async { Response::new(full("body")) }
    })
    .await;
    let mut world = World::before(upstream).await;

    let stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    spawn(async move {
        let _ = connection.await;
    });
    let request = http::Request::get("http://b.s3.amazonaws.com/k").body(full("")).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
    assert_eq!(*seen.lock(), Some((Version::HTTP_11, "b.s3.amazonaws.com".parse().unwrap())));
    let record = world.record().await;
    assert_eq!(record["requestParameters"]["bucketName"], "b");
    assert_eq!(record["additionalEventData"]["bytesTransferredOut"], 4);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let upstream = upstream(|request| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(full(body))
    })
    .await;
    let mut world = World::before(upstream).await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let head = "PUT /b/k HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"12345").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("12345"), "{answer}");
    let record = world.record().await;
    assert_eq!(record["additionalEventData"]["bytesTransferredIn"], 5);
}
