use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentrail_gateway::{ClientLimits, Connection};
use opentrail_runtime::{OnError, Shutdown, TaskGroup};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tracing::warn;

use super::{Front, Peer};

/// How long a client may keep the port waiting.
const LIMITS: ClientLimits =
    ClientLimits { head: Duration::from_secs(30), stall: Duration::from_secs(60), max_head_bytes: 400 * 1024 };
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
        let cut = Shutdown::new();
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
            let (shutdown, cut) = (shutdown.clone(), cut.clone());
            let connection = Connection { peer, tls: self.tls.clone(), limits: LIMITS, shutdown, cut };
            let front = front.clone();
            connections.spawn("connection", OnError::Log, async move {
                let answer = |peer: opentrail_gateway::Peer, request| {
                    let front = front.clone();
                    let peer = Peer { ip: peer.address.ip().to_canonical(), tls: peer.tls };
                    async move { front.answer(peer, request).await }
                };
                connection.serve(stream, answer).await;
                Ok::<_, Infallible>(())
            });
        }
        drop(self.socket);
        front.set_ready(false);
        connections.join(DRAIN).await;
        cut.begin();
        connections.join(Duration::from_secs(1)).await;
        Ok(())
    }
}
