use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use opentrail_recorder::TlsDetails;
use opentrail_runtime::Shutdown;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::forward;
use crate::gateway::Shared;
use crate::stall::PromptWrites;

/// How often HTTP/2 clients are asked whether they are still there.
const PING: Duration = Duration::from_secs(20);
/// Bytes that an HTTP/2 client may send ahead: for one request, and for all of a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsDetails>,
}

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) shared: Arc<Shared>,
    /// Finish the call under way, then close.
    pub(crate) shutdown: Shutdown,
    /// Close now.
    pub(crate) cut: Shutdown,
}

impl Connection {
    /// Serves it until either side closes it.
    pub(crate) async fn serve(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let (shutdown, cut) = (self.shutdown.clone(), self.cut.clone());
        let stream = PromptWrites::new(stream, self.shared.config.client_timeout);
        let Some(tls) = self.tls.clone() else { return self.converse(stream, None).await };
        let handshake = tokio::time::timeout(self.shared.config.head_timeout, tls.accept(stream));
        let accepted = tokio::select! {
            accepted = handshake => accepted,
            () = shutdown.begun() => return,
            () = cut.begun() => return,
        };
        match accepted {
            Ok(Ok(stream)) => {
                let details = TlsDetails::of(stream.get_ref().1);
                self.converse(stream, details).await;
            }
            Ok(Err(error)) => debug!(%error, peer = %self.peer, "TLS handshake failed"),
            Err(_) => debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn converse<S>(self, stream: S, tls: Option<TlsDetails>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer: address, shared, shutdown, cut, .. } = self;
        let peer = Peer { address, tls };
        let builder = http_settings(&shared);
        let service = service_fn(move |request: Request<Incoming>| {
            let (shared, peer) = (Arc::clone(&shared), peer.clone());
            async move { Ok::<_, Infallible>(forward::carry(shared, peer, request).await) }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = shutdown.begun() => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = cut.begun() => None,
            };
        }
        if let Some(Err(error)) = ended {
            debug!(%error, peer = %address, "connection ended");
        }
    }
}

fn http_settings(shared: &Shared) -> auto::Builder<TokioExecutor> {
    let config = &shared.config;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_buf_size(config.max_head_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(config.head_timeout)
        .max_header_list_size(u32::try_from(config.max_head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}
