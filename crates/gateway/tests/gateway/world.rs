//! A gateway, an upstream that does what the test says, and a sink that keeps records.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentrail_gateway::{CallerLookup, Gateway, GatewayConfig, RecordSink};
use opentrail_model::Timestamp;
use opentrail_recorder::{Caller, Recorded};
use opentrail_runtime::{ManualClock, OnError, SeededRandom, Shutdown, TaskGroup};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Long enough for anything on one machine; reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) records: mpsc::UnboundedReceiver<Value>,
    /// The sink takes a record for each of these.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
    pub(crate) stopped: tokio::sync::oneshot::Receiver<()>,
    _tasks: TaskGroup,
}

struct Sink {
    records: mpsc::UnboundedSender<Value>,
    room: Arc<Semaphore>,
}

#[async_trait]
impl RecordSink for Sink {
    async fn record(&self, recorded: Recorded, _received: Timestamp) {
        self.room.acquire().await.unwrap().forget();
        let record = serde_json::from_slice(&recorded.body).unwrap();
        // A test that is over no longer listens.
        let _ = self.records.send(record);
    }
}

struct Strangers;

impl CallerLookup for Strangers {
    fn caller(&self, access_key_id: &str, _session_token: Option<&str>) -> Caller {
        Caller::UnknownKey { access_key_id: access_key_id.to_owned() }
    }
}

impl World {
    /// A gateway before `upstream`, with room for many records.
    pub(crate) async fn before(upstream: SocketAddr) -> Self {
        Self::with(GatewayConfig { upstream: uri(upstream), ..GatewayConfig::default() }).await
    }

    pub(crate) async fn with(config: GatewayConfig) -> Self {
        let (sender, records) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(10_000));
        let sink = Arc::new(Sink { records: sender, room: Arc::clone(&room) });
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_767_323_045)));
        let random = Arc::new(SeededRandom::new(1));
        let gateway = Gateway::bind(config, clock, random, sink, Arc::new(Strangers)).await.unwrap();
        let (address, shutdown) = (gateway.local_addr(), Shutdown::new());
        let tasks = TaskGroup::new(shutdown.clone());
        let (tell, stopped) = tokio::sync::oneshot::channel();
        let run = gateway.run(shutdown.clone());
        tasks.spawn("gateway", OnError::Log, async move {
            run.await.unwrap();
            let _ = tell.send(());
            Ok::<_, Infallible>(())
        });
        Self { address, records, room, shutdown, stopped, _tasks: tasks }
    }

    pub(crate) async fn record(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.records.recv()).await.expect("a record in time").unwrap()
    }

    /// Stops the gateway: afterwards every record has been handed over.
    pub(crate) async fn remaining(mut self) -> Vec<Value> {
        self.shutdown.begin();
        tokio::time::timeout(PATIENCE, &mut self.stopped).await.expect("a stop in time").unwrap();
        std::iter::from_fn(|| self.records.try_recv().ok()).collect()
    }
}

pub(crate) fn uri(address: SocketAddr) -> http::Uri {
    format!("http://{address}").parse().unwrap()
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An HTTP/1.1 and HTTP/2 server for the rest of the test.
pub(crate) async fn upstream<F, A>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send,
{
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let answer = answer.clone();
            spawn(async move {
                let service = service_fn(move |request| {
                    let answer = answer.clone();
                    async move { Ok::<_, Infallible>(answer(request).await) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                // Tests break connections on purpose.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// The same behind TLS; `accepted` hears of each connection.
pub(crate) async fn serve_tls<F, A>(
    tls: Arc<rustls::ServerConfig>,
    builder: auto::Builder<TokioExecutor>,
    answer: F,
    accepted: impl Fn() + Send + 'static,
) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(tls);
    spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            accepted();
            let (acceptor, builder, answer) = (acceptor.clone(), builder.clone(), answer.clone());
            spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| {
                    let answered = answer(request);
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// Starts a task that ends with the test's runtime.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    TaskGroup::new(Shutdown::new()).spawn("test", OnError::Log, async move {
        task.await;
        Ok::<_, Infallible>(())
    });
}

/// A signed-looking request with the host that its client asked for.
pub(crate) fn request(method: &str, target: &str) -> http::request::Builder {
    Request::builder().method(method).uri(target).header("host", "bucket.s3.amazonaws.com").header(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIA1/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=5ec2e7",
    )
}

/// A connection of an HTTP/1.1 client.
pub(crate) async fn client(address: SocketAddr) -> hyper::client::conn::http1::SendRequest<Body> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    spawn(async move {
        let _ = connection.await;
    });
    sender
}
