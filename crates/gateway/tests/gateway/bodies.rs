//! Bodies stream, documents are kept, trailers pass.

use super::world::*;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

/// A body that a test feeds frame by frame.
fn channel_body() -> (futures::channel::mpsc::UnboundedSender<Frame<Bytes>>, Body) {
    let (sender, receiver) = futures::channel::mpsc::unbounded();
    (sender, StreamBody::new(receiver.map(Ok)).boxed_unsync())
}

#[tokio::test]
async fn both_directions_stream_without_waiting_for_the_end() {
    // The upstream echoes each frame as it comes.
    let upstream = upstream(|request| async {
        let body = request.into_body().map_err(std::io::Error::other);
        Response::new(body.boxed_unsync())
    })
    .await;
    let mut world = World::before(upstream).await;
    let (feed, body) = channel_body();
    let request = request("PUT", "/k").body(body).unwrap();
    feed.unbounded_send(Frame::data(Bytes::from("first"))).unwrap();
    let mut response = client(world.address).await.send_request(request).await.unwrap();
    let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "first");
    feed.unbounded_send(Frame::data(Bytes::from("second"))).unwrap();
    drop(feed);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "second");
    let data = &world.record().await["additionalEventData"];
    assert_eq!((&data["bytesTransferredIn"], &data["bytesTransferredOut"]), (&11.into(), &11.into()));
}

#[tokio::test]
async fn a_large_object_passes_unchanged() {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 512;
    let upstream = upstream(|_| async {
        let frames = stream::iter((0..CHUNKS).map(|n| Ok(Frame::data(Bytes::from(vec![n as u8; CHUNK])))));
        Response::new(StreamBody::new(frames).boxed_unsync())
    })
    .await;
    let mut world = World::before(upstream).await;
    let request = request("GET", "/k").body(full("")).unwrap();
    let response = client(world.address).await.send_request(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(bytes.len(), CHUNK * CHUNKS);
    assert!(bytes.chunks(CHUNK).enumerate().all(|(n, chunk)| chunk.iter().all(|byte| *byte == n as u8)));
    assert_eq!(world.record().await["additionalEventData"]["bytesTransferredOut"], CHUNK * CHUNKS);
}

#[tokio::test]
async fn documents_are_kept_for_the_record() {
    let upstream = upstream(|_| async { Response::new(full("")) }).await;
    let mut world = World::before(upstream).await;
    let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let request = request("PUT", "/?versioning").body(full(body)).unwrap();
    client(world.address).await.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    let record = world.record().await;
    assert_eq!(record["eventName"], "PutBucketVersioning");
    assert_eq!(record["requestParameters"]["VersioningConfiguration"]["Status"], "Enabled");
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let trailer = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-amz-checksum-crc32", HeaderValue::from_static("abc="));
        trailers
    };
    let upstream = upstream(move |request| async move {
        let received = request.into_body().collect().await.unwrap();
        assert_eq!(received.trailers(), Some(&trailer()));
        let frames = stream::iter([Ok(Frame::data(Bytes::from("data"))), Ok(Frame::trailers(trailer()))]);
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        response.headers_mut().insert("trailer", HeaderValue::from_static("x-amz-checksum-crc32"));
        response
    })
    .await;
    let world = World::before(upstream).await;
    let frames = stream::iter([Ok(Frame::data(Bytes::from("data"))), Ok(Frame::trailers(trailer()))]);
    let request = request("PUT", "/k")
        .header("te", "trailers")
        .header("trailer", "x-amz-checksum-crc32")
        .body(StreamBody::new(frames).boxed_unsync())
        .unwrap();
    let response = client(world.address).await.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().trailers(), Some(&trailer()));
    assert_eq!(world.remaining().await.len(), 1);
}

#[tokio::test]
async fn each_call_of_many_is_recorded_once() {
    let upstream = upstream(|_| async { Response::new(full("ok")) }).await;
    let world = World::before(upstream).await;
    let address = world.address;
    let callers = (0..8).map(|caller| async move {
        let mut client = client(address).await;
        for n in 0..50 {
            let request = request("GET", &format!("/{caller}-{n}")).body(full("")).unwrap();
            client.send_request(request).await.unwrap().into_body().collect().await.unwrap();
            client.ready().await.unwrap();
        }
    });
    futures::future::join_all(callers).await;
    let records = world.remaining().await;
    assert_eq!(records.len(), 400);
    let mut keys: Vec<_> = records.iter().map(|record| record["requestParameters"]["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 400);
}
