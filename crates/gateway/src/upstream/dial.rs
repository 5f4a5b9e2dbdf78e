//! Connecting to the upstream, within a time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tower::Service;

use crate::config::GatewayConfig;
use crate::stall::BoxError;

/// A connection to the upstream.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection that was made to learn the upstream's protocol and turned out to speak HTTP/1.1.
pub(super) type Stash = Arc<Mutex<Option<Stream>>>;

/// Makes connections.
#[derive(Clone)]
pub(super) struct Dial {
    connector: HttpsConnector<HttpConnector>,
    limit: Duration,
    /// Used up before any connection is made.
    stash: Option<Stash>,
}

impl Dial {
    /// Connections that speak HTTP/1.1.
    pub(super) fn http1(config: &GatewayConfig, stash: Stash) -> Self {
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls(config)).https_or_http().enable_http1();
        Self { connector: builder.wrap_connector(tcp(config)), limit: config.connect_timeout, stash: Some(stash) }
    }

    /// TLS connections that speak what the upstream prefers.
    pub(super) fn negotiated(config: &GatewayConfig) -> Self {
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls(config)).https_only().enable_all_versions();
        Self { connector: builder.wrap_connector(tcp(config)), limit: config.connect_timeout, stash: None }
    }
}

fn tls(config: &GatewayConfig) -> rustls::ClientConfig {
    let mut tls = (*config.upstream_tls).clone();
    // The connector offers its own.
    tls.alpn_protocols.clear();
    tls
}

fn tcp(config: &GatewayConfig) -> HttpConnector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(config.connect_timeout));
    http
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let stashed = self.stash.as_ref().and_then(|stash| stash.lock().take());
        if let Some(stream) = stashed {
            return Box::pin(async { Ok(stream) });
        }
        // The handshake counts too: an upstream that accepts and says nothing is as good as none.
        let dialled = tokio::time::timeout(self.limit, self.connector.call(target));
        Box::pin(async move { dialled.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) })
    }
}
