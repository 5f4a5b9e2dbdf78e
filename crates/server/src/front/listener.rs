use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use opentrail_recorder::TlsDetails;
use opentrail_runtime::{OnError, Shutdown, TaskGroup};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::{Front, Peer};

/// How long a client may take to send a request's head, or the TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests may take to finish once the server stops.
const DRAIN: Duration = Duration::from_secs(15);

/// The port itself: accepts connections until the shutdown begins, then lets open requests finish.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Takes the port.
    ///
    /// # Errors
    /// When the address is in use or not this machine's.
    pub(crate) async fn bind(address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self { socket, tls: tls.map(TlsAcceptor::from) })
    }

    /// Where it listens, the port filled in.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until the shutdown begins; returns once every open request is answered or the drain time is over.
    pub(crate) async fn run(self, front: Front, shutdown: Shutdown) -> Result<(), Infallible> {
        let connections = TaskGroup::new(shutdown.clone());
        loop {
            let accepted = tokio::select! {
                () = shutdown.begun() => break,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to be closed.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            stream.set_nodelay(true).unwrap_or_else(|error| debug!(%error, "cannot set TCP_NODELAY"));
            let (front, tls, shutdown) = (front.clone(), self.tls.clone(), shutdown.clone());
            connections.spawn("connection", OnError::Log, async move {
                serve(stream, peer, tls, front, &shutdown).await;
                Ok::<_, Infallible>(())
            });
        }
        drop(self.socket);
        front.set_ready(false);
        connections.join(DRAIN).await;
        Ok(())
    }
}

async fn serve(stream: TcpStream, address: SocketAddr, tls: Option<TlsAcceptor>, front: Front, shutdown: &Shutdown) {
    let ip = address.ip().to_canonical();
    let Some(tls) = tls else {
        return converse(stream, Peer { ip, tls: None }, front, shutdown).await;
    };
    match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let details = TlsDetails::of(stream.get_ref().1);
            converse(stream, Peer { ip, tls: details }, front, shutdown).await;
        }
        Ok(Err(error)) => debug!(%error, peer = %address, "TLS handshake failed"),
        Err(_) => debug!(peer = %address, "TLS handshake took too long"),
    }
}

async fn converse<S>(stream: S, peer: Peer, front: Front, shutdown: &Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (front, peer) = (front.clone(), peer.clone());
        async move { Ok::<_, Infallible>(front.answer(peer, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.begun() => {
            // Finishes the request under way and takes no other.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended early");
    }
}
