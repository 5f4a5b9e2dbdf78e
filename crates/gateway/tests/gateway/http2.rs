//! HTTP/2 and HTTP/1.1 on either side of the gateway, and clients that stop reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::certificate::sides;
use super::world::*;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentrail_gateway::GatewayConfig;
use parking_lot::Mutex;

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 1024;

/// A TLS upstream that prefers the first of `protocols`; counts its connections.
async fn tls_upstream<F, A>(protocols: &[&str], limit: Option<u32>, answer: F) -> (GatewayConfig, Arc<AtomicUsize>)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let (server, client) = sides(protocols);
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(limit);
    let address = serve_tls(server, builder, answer, move || {
        counted.fetch_add(1, Ordering::Relaxed);
    })
    .await;
    let upstream = format!("https://{address}").parse().unwrap();
    (GatewayConfig { upstream, upstream_tls: client, ..GatewayConfig::default() }, connections)
}

/// A client of the gateway.
enum Client {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

impl Client {
    async fn connect(version: Version, address: std::net::SocketAddr) -> Self {
        if version == Version::HTTP_11 {
            return Self::One(client(address).await);
        }
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        spawn(async move {
            let _ = connection.await;
        });
        Self::Two(sender)
    }

    async fn send(&mut self, method: &str, path: &str, body: Body) -> Response<Incoming> {
        match self {
            Self::One(sender) => {
                sender.ready().await.unwrap();
                sender
                    .send_request(
                        request(method, path)
                            .header("te", "trailers")
                            .header("trailer", "x-amz-checksum-crc32")
                            .body(body)
                            .unwrap(),
                    )
                    .await
                    .unwrap()
            }
            Self::Two(sender) => {
                let mut request = request(method, path)
                    .header("te", "trailers")
                    .header("trailer", "x-amz-checksum-crc32")
                    .body(body)
                    .unwrap();
                request.headers_mut().remove("host");
                *request.uri_mut() = format!("http://bucket.s3.amazonaws.com{path}").parse().unwrap();
                sender.send_request(request).await.unwrap()
            }
        }
    }
}

/// Bytes that have been made and have not arrived yet, now and at most: all that lies between the two ends.
#[derive(Default)]
struct Between {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Between {
    fn made(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    fn arrived(&self, bytes: usize) {
        self.now.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// 64 MiB and a trailer.
fn large(between: &Arc<Between>) -> Body {
    let between = Arc::clone(between);
    let data = (0..CHUNKS).map(move |n| {
        between.made(CHUNK);
        Ok(Frame::data(Bytes::from(vec![n as u8; CHUNK])))
    });
    let mut trailers = HeaderMap::new();
    trailers.insert("x-amz-checksum-crc32", HeaderValue::from_static("abc="));
    StreamBody::new(stream::iter(data.chain([Ok(Frame::trailers(trailers))]))).boxed_unsync()
}

/// Reads such a body and checks each byte of it.
async fn check_large(mut body: Incoming, between: &Between) {
    let (mut seen, mut trailers) = (0, None);
    while let Some(frame) = body.frame().await {
        match frame.unwrap().into_data() {
            Ok(data) => {
                between.arrived(data.len());
                for byte in data {
                    assert_eq!(byte, (seen / CHUNK) as u8);
                    seen += 1;
                }
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    assert_eq!(seen, CHUNK * CHUNKS);
    assert_eq!(trailers.unwrap()["x-amz-checksum-crc32"], "abc=");
}

/// A 64 MiB body both ways, and what the upstream saw of the request.
async fn both_ways(client: Version, protocols: &[&str], arrives: Version) {
    let between = Arc::new(Between::default());
    let upstream = Arc::clone(&between);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let (config, _) = tls_upstream(protocols, None, move |request| {
        let host = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
        let authority = request.uri().authority().map(ToString::to_string);
        noted.lock().push((request.version(), host.or(authority).unwrap()));
        let between = Arc::clone(&upstream);
        async move {
            if request.method() == "GET" {
                let mut response = Response::new(large(&between));
                response.headers_mut().insert("trailer", HeaderValue::from_static("x-amz-checksum-crc32"));
                return response;
            }
            check_large(request.into_body(), &between).await;
            Response::new(full(""))
        }
    })
    .await;
    let world = World::with(config).await;
    let mut client = Client::connect(client, world.address).await;
    let put = client.send("PUT", "/k", large(&between)).await;
    assert_eq!(put.status(), 200, "the upstream got every byte and the trailer");
    put.into_body().collect().await.unwrap();
    check_large(client.send("GET", "/k", full("")).await.into_body(), &between).await;
    let most = between.most.load(Ordering::Relaxed);
    assert!(most < 24 << 20, "{most} of {} bytes lay in buffers", CHUNK * CHUNKS);
    let host = "bucket.s3.amazonaws.com".to_owned();
    assert_eq!(*seen.lock(), [(arrives, host.clone()), (arrives, host)]);
    let records = world.remaining().await;
    let shown: Vec<_> =
        records.iter().map(|record| (&record["eventName"], &record["requestParameters"]["Host"])).collect();
    let host = "bucket.s3.amazonaws.com".into();
    assert_eq!(shown, [(&"PutObject".into(), &host), (&"GetObject".into(), &host)]);
    let size = serde_json::Value::from(CHUNK * CHUNKS);
    assert_eq!(records[0]["additionalEventData"]["bytesTransferredIn"], size);
    assert_eq!(records[1]["additionalEventData"]["bytesTransferredOut"], size);
}

#[tokio::test]
async fn http2_to_http2() {
    both_ways(Version::HTTP_2, &["h2", "http/1.1"], Version::HTTP_2).await;
}

#[tokio::test]
async fn http1_to_http2() {
    both_ways(Version::HTTP_11, &["h2", "http/1.1"], Version::HTTP_2).await;
}

#[tokio::test]
async fn http2_to_http1() {
    both_ways(Version::HTTP_2, &["http/1.1"], Version::HTTP_11).await;
}

#[tokio::test]
async fn http1_to_an_upstream_that_knows_no_alpn() {
    both_ways(Version::HTTP_11, &[], Version::HTTP_11).await;
}

#[tokio::test]
async fn a_request_signed_with_what_http2_forbids_goes_by_http1() {
    let (config, connections) = tls_upstream(&["h2", "http/1.1"], None, |request| {
        let shown = format!("{:?} {:?}", request.version(), request.headers().get("keep-alive"));
        async { Response::new(full(shown)) }
    })
    .await;
    let world = World::with(config).await;
    let signed = |names: &str| {
        let scope = "Credential=AKIA1/20260102/us-east-1/s3/aws4_request";
        let value = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders={names}, Signature=0");
        let mut request = request("GET", "/k").header("keep-alive", "timeout=5").body(full("")).unwrap();
        request.headers_mut().insert("authorization", value.parse().unwrap());
        request
    };
    let mut client = client(world.address).await;
    for (names, arrives) in
        [("host", "HTTP/2.0 None"), ("host;keep-alive", r#"HTTP/1.1 Some("timeout=5")"#), ("host", "HTTP/2.0 None")]
    {
        client.ready().await.unwrap();
        let answer = client.send_request(signed(names)).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), arrives);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    assert_eq!(world.remaining().await.len(), 3);
}

#[tokio::test]
async fn many_calls_spread_over_connections_within_what_the_upstream_allows() {
    let barrier = Arc::new(tokio::sync::Barrier::new(64));
    // All must be under way at once, or none gets an answer.
    let (config, connections) = tls_upstream(&["h2"], Some(20), move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Response::new(full("ok"))
        }
    })
    .await;
    let world = World::with(config).await;
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(Client::connect(Version::HTTP_11, world.address).await);
    }
    let calls = clients.iter_mut().map(|client| async move {
        client.send("GET", "/k", full("")).await.into_body().collect().await.unwrap().to_bytes()
    });
    assert!(futures::future::join_all(calls).await.iter().all(|body| body == "ok"));
    assert_eq!(connections.load(Ordering::Relaxed), 4);
    assert_eq!(world.remaining().await.len(), 64);
}

#[tokio::test]
async fn an_upstream_that_says_good_bye_after_each_call_loses_none() {
    let (server, client) = sides(&["h2"]);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(server);
    spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let acceptor = acceptor.clone();
            spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let answered = Arc::new(tokio::sync::Notify::new());
                let tell = Arc::clone(&answered);
                let service = hyper::service::service_fn(move |_| {
                    tell.notify_one();
                    async { Ok::<_, std::convert::Infallible>(Response::new(full("ok"))) }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = answered.notified() => connection.as_mut().graceful_shutdown(),
                }
                let _ = connection.await;
            });
        }
    });
    let upstream = format!("https://{address}").parse().unwrap();
    let world = World::with(GatewayConfig { upstream, upstream_tls: client, ..GatewayConfig::default() }).await;
    let address = world.address;
    let callers = (0..4).map(|_| async move {
        let mut client = Client::connect(Version::HTTP_11, address).await;
        for _ in 0..25 {
            let response = client.send("GET", "/k", full("")).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
        }
    });
    futures::future::join_all(callers).await;
    assert_eq!(world.remaining().await.len(), 100);
}

#[tokio::test]
async fn an_upstream_that_is_no_longer_there_is_told_to_all_who_wait_at_once() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("https://{}", socket.local_addr().unwrap()).parse().unwrap();
    // It accepts, and never says a word of TLS.
    let connect_timeout = Duration::from_millis(200);
    let world = World::with(GatewayConfig { upstream, connect_timeout, ..GatewayConfig::default() }).await;
    let address = world.address;
    let begun = std::time::Instant::now();
    let calls = (0..50).map(|_| async move {
        Client::connect(Version::HTTP_11, address).await.send("GET", "/k", full("")).await.status().as_u16()
    });
    assert_eq!(futures::future::join_all(calls).await, vec![503; 50]);
    assert!(begun.elapsed() < connect_timeout * 25, "they waited one after another");
    assert_eq!(world.remaining().await.len(), 50);
}

#[tokio::test]
async fn an_http2_client_that_leaves_its_window_shut_is_cut_off_alone() {
    let upstream = upstream(|request| async move {
        if request.uri().path() == "/small" {
            return Response::new(full("ok"));
        }
        let endless = stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![0; CHUNK]))));
        Response::new(StreamBody::new(endless.boxed()).boxed_unsync())
    })
    .await;
    let client_timeout = Duration::from_millis(300);
    let mut world =
        World::with(GatewayConfig { upstream: uri(upstream), client_timeout, ..GatewayConfig::default() }).await;
    let mut client = Client::connect(Version::HTTP_2, world.address).await;
    // Its connection goes on answering pings; only this answer is left unread.
    let mut unread = client.send("GET", "/endless", full("")).await.into_body();
    let record = world.record().await;
    assert_eq!((&record["eventName"], record.get("errorCode")), (&"GetObject".into(), None));
    assert_eq!(record["additionalEventData"]["interruptedBy"], "client");
    let small = client.send("GET", "/small", full("")).await;
    assert_eq!(small.into_body().collect().await.unwrap().to_bytes(), "ok");
    // What had been sent is there, and then the stream's reset.
    let ended = async { while let Some(Ok(_)) = unread.frame().await {} };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(world.remaining().await.len(), 1);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let upstream = upstream(|_| async { Response::new(full("ok")) }).await;
    let (head_timeout, client_timeout) = (Duration::from_millis(100), Duration::from_millis(100));
    let config = GatewayConfig { upstream: uri(upstream), head_timeout, client_timeout, ..GatewayConfig::default() };
    let world = World::with(config).await;
    // One says nothing at all, one only greets.
    let silent = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let (_sender, connection) =
        http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let closed = async {
        let mut silent = silent;
        tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut Vec::new()).await.unwrap();
        let _ = connection.await;
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
}
