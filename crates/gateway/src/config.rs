use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use opentrail_model::{AccountId, Region};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::vpc_endpoint::VpcEndpoint;

/// What a gateway is told. [`Default`] fills in what rarely differs.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Where clients connect; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The endpoint behind it: `http` or `https`, a host, no path.
    pub upstream: Uri,
    /// The account that its calls belong to.
    pub account: AccountId,
    /// The Region of calls whose signature names none.
    pub region: Region,
    /// The service of calls that nothing else tells; `s3` when absent.
    pub service: Option<String>,
    /// The VPC endpoint that it is, if it is one.
    pub vpc_endpoint: Option<VpcEndpoint>,
    /// TLS towards clients, if any.
    pub tls: Option<Arc<ServerConfig>>,
    /// TLS towards an `https` upstream. The default trusts nobody.
    pub upstream_tls: Arc<ClientConfig>,
    /// Domains under which buckets are host names.
    pub s3_hosts: Vec<String>,
    /// The longest that a client may take for a request's head, and for a TLS handshake. Default 30 s.
    pub head_timeout: Duration,
    /// The longest that a client may neither send a byte that is waited for nor take one. Default 60 s.
    pub client_timeout: Duration,
    /// The longest that connecting to the upstream may take. Default 5 s.
    pub connect_timeout: Duration,
    /// The longest that the upstream may be silent, before its response and within it. Default 15 minutes, since some
    /// calls (invocations of functions) last that long.
    pub upstream_timeout: Duration,
    /// How long an unused connection to the upstream is kept. Default 4 s, below the 5 s after which some servers
    /// close theirs, so that calls do not meet closed connections.
    pub keep_alive: Duration,
    /// The largest head of a request in bytes, at least 8192. Default 128 KiB.
    pub max_head_bytes: usize,
    /// Calls that may be under way, or wait to be recorded, at once; more wait. Default 4096.
    pub max_calls: usize,
    /// How long calls under way may take to finish once the gateway stops. Default 15 s.
    pub drain: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        // The provider is named, since the process may not have installed one.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let nobody = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the cipher suites of TLS 1.2 and 1.3")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            upstream: Uri::from_static("http://127.0.0.1:9000"),
            account: AccountId::from_u64(100_000_000_001).expect("a number of twelve digits"),
            region: Region::us_east_1(),
            service: None,
            vpc_endpoint: None,
            tls: None,
            upstream_tls: Arc::new(nobody),
            s3_hosts: Vec::new(),
            head_timeout: Duration::from_secs(30),
            client_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            upstream_timeout: Duration::from_secs(15 * 60),
            keep_alive: Duration::from_secs(4),
            max_head_bytes: 128 * 1024,
            max_calls: 4096,
            drain: Duration::from_secs(15),
        }
    }
}
