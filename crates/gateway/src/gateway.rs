use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_model::Timestamp;
use opentrail_recorder::{Caller, Endpoint, Recorded};
use opentrail_runtime::{Clock, OnError, Random, Shutdown, TaskGroup};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use crate::config::GatewayConfig;
use crate::connection::{ClientLimits, Connection};
use crate::upstream::Upstream;
use crate::{forward, vpc_endpoint};

/// How long records may take to be handed over once every call has ended.
const HAND_OVER: Duration = Duration::from_secs(30);
/// How long to wait before accepting again when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where records go.
#[async_trait]
pub trait RecordSink: Send + Sync {
    /// Takes a record that was complete at `received`. Waits while it can take no more, and with it new calls.
    async fn record(&self, recorded: Recorded, received: Timestamp);
}

/// Who is behind an access key.
pub trait CallerLookup: Send + Sync {
    /// The identity that uses this key, which the upstream has checked or will refuse.
    fn caller(&self, access_key_id: &str, session_token: Option<&str>) -> Caller;
}

/// Why a gateway ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The listening socket is gone.
    #[error("the gateway on {address} can no longer accept connections")]
    Accept {
        /// Where it listened.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
}

/// A gateway that holds its port. [`Gateway::run`] starts serving.
pub struct Gateway {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
}

/// What every call of a gateway uses.
pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) endpoint: Endpoint,
    pub(crate) upstream: Upstream,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) sink: Arc<dyn RecordSink>,
    pub(crate) callers: Arc<dyn CallerLookup>,
    /// One permit per call, given back once its record is handed over.
    pub(crate) calls: Arc<Semaphore>,
    /// One permit per long document that is judged.
    pub(crate) long_documents: Arc<Semaphore>,
    /// Hands records over.
    pub(crate) records: TaskGroup,
}

impl Gateway {
    /// Takes the port.
    ///
    /// # Errors
    /// When the address is in use or not this machine's, or the upstream is no `http` or `https` URL without a path.
    pub async fn bind(
        config: GatewayConfig,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        sink: Arc<dyn RecordSink>,
        callers: Arc<dyn CallerLookup>,
    ) -> io::Result<Self> {
        let upstream = Upstream::new(&config)?;
        let socket = TcpListener::bind(config.listen).await?;
        let address = socket.local_addr()?;
        let endpoint = Endpoint {
            account: config.account,
            region: config.region.clone(),
            service: config.service.clone(),
            s3_hosts: config.s3_hosts.clone(),
        };
        let tls = config.tls.clone().map(TlsAcceptor::from);
        let calls = Arc::new(Semaphore::new(config.max_calls.clamp(1, Semaphore::MAX_PERMITS)));
        // Records outlive the shutdown: they are what it waits for.
        let records = TaskGroup::new(Shutdown::new());
        let long_documents = vpc_endpoint::long_documents();
        let shared = Arc::new(Shared {
            config,
            endpoint,
            upstream,
            clock,
            random,
            sink,
            callers,
            calls,
            long_documents,
            records,
        });
        Ok(Self { socket, address, tls, shared })
    }

    /// Where it listens, the port filled in.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown begins. Then calls under way may finish for [`GatewayConfig::drain`], the others are
    /// cut, and every record is handed over.
    ///
    /// # Errors
    /// When the socket fails for good.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), GatewayError> {
        let Self { socket, address, tls, shared } = self;
        info!(%address, upstream = %shared.config.upstream, "gateway listens");
        let GatewayConfig { head_timeout: head, client_timeout: stall, max_head_bytes, .. } = shared.config;
        let limits = ClientLimits { head, stall, max_head_bytes };
        let cut = Shutdown::new();
        let connections = TaskGroup::new(shutdown.clone());
        let outcome = loop {
            let accepted = tokio::select! {
                () = shutdown.begun() => break Ok(()),
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection =
                        Connection { peer, tls: tls.clone(), limits, shutdown: shutdown.clone(), cut: cut.clone() };
                    let shared = Arc::clone(&shared);
                    connections.spawn("gateway connection", OnError::Log, async move {
                        let answer = |peer, request| forward::carry(Arc::clone(&shared), peer, request);
                        connection.serve(stream, answer).await;
                        Ok::<_, Infallible>(())
                    });
                }
                Err(error) if is_passing(&error) => {
                    warn!(%error, "the gateway cannot accept a connection");
                    shared.clock.sleep(ACCEPT_PAUSE).await;
                }
                Err(cause) => break Err(GatewayError::Accept { address, cause }),
            }
        };
        drop(socket);
        connections.join(shared.config.drain).await;
        cut.begin();
        connections.join(Duration::from_secs(1)).await;
        shared.records.join(HAND_OVER).await;
        info!(%address, "gateway stopped");
        outcome
    }
}

/// Errors of one connection, and shortages that end.
fn is_passing(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected)
        && !matches!(error.raw_os_error(), Some(9 | 22 | 88))
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}
