//! One client's connection: TLS, HTTP/1.1 or HTTP/2, and limits on how long the client may keep it waiting. The gateway
//! and OpenTrail's own port both serve with it.
//!
//! Nothing of a client that has stopped is held for ever: not its half-sent head, not an answer that it does not read
//! (whether it leaves the bytes in the socket or, in HTTP/2, the flow-control window shut), not an idle connection.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use opentrail_recorder::TlsDetails;
use opentrail_runtime::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::inbound::{self, Inbound};
use crate::patience::{Activity, PatientExecutor, Taken};
use crate::stall::{BoxError, PromptWrites};

/// How often HTTP/2 clients are asked whether they are still there.
const PING: Duration = Duration::from_secs(20);
/// Bytes that an HTTP/2 client may send ahead: for one request, and for all of a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// How long a client may keep a connection waiting.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// For a request's head, the TLS handshake, the answer to a ping; twice as long for the next call.
    pub head: Duration,
    /// To take a byte, or the next piece of an answer.
    pub stall: Duration,
    /// The largest head in bytes, at least 8192.
    pub max_head_bytes: usize,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// How the connection is encrypted, if it is.
    pub tls: Option<TlsDetails>,
}

/// A client's connection.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub peer: SocketAddr,
    /// TLS, if it is to be spoken.
    pub tls: Option<TlsAcceptor>,
    /// How long the client may keep it waiting.
    pub limits: ClientLimits,
    /// Finish the calls under way, then close.
    pub shutdown: Shutdown,
    /// Close now.
    pub cut: Shutdown,
}

impl Connection {
    /// Serves it until either side closes it.
    pub async fn serve<F, A, B>(self, stream: TcpStream, answer: F)
    where
        F: Fn(Peer, Request<Inbound>) -> A,
        A: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let stream = PromptWrites::new(stream, self.limits.stall);
        let Some(tls) = self.tls.clone() else { return self.converse(stream, None, answer).await };
        let handshake = tokio::time::timeout(self.limits.head, tls.accept(stream));
        let accepted = tokio::select! {
            accepted = handshake => accepted,
            () = self.shutdown.begun() => return,
            () = self.cut.begun() => return,
        };
        match accepted {
            Ok(Ok(stream)) => {
                let details = TlsDetails::of(stream.get_ref().1);
                self.converse(stream, details, answer).await;
            }
            Ok(Err(error)) => debug!(%error, peer = %self.peer, "TLS handshake failed"),
            Err(_) => debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn converse<S, F, A, B>(self, stream: S, tls: Option<TlsDetails>, answer: F)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Fn(Peer, Request<Inbound>) -> A,
        A: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let Self { peer: address, limits, shutdown, cut, .. } = self;
        let peer = Peer { address, tls };
        let activity = Arc::new(Activity::new());
        let service = service_fn(|request: Request<Incoming>| {
            let call = activity.begin();
            let (request, rest) = inbound::watched(request);
            let answered = answer(peer.clone(), request);
            async move {
                let mut answer = answered.await;
                rest.settle(&mut answer).await;
                Ok::<_, std::convert::Infallible>(answer.map(|body| Taken::new(body, call)))
            }
        });
        let builder = http_settings(&limits);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = shutdown.begun() => None,
            () = activity.idle(limits.head * 2) => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = activity.idle(limits.stall) => None,
                () = cut.begun() => None,
            };
        }
        if let Some(Err(error)) = ended {
            debug!(%error, peer = %address, "connection ended");
        }
    }
}

fn http_settings(limits: &ClientLimits) -> auto::Builder<PatientExecutor> {
    let mut builder = auto::Builder::new(PatientExecutor::new(limits.stall));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.max_head_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(limits.head)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}
