//! Carrying one call to the upstream and its answer back.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentrail_recorder::tap::{self, Ending, Tapped};
use opentrail_recorder::wanted_capture;
use tracing::{debug, warn};

use crate::answer::{Framing, Refusal};
use crate::call::Call;
use crate::config::GatewayConfig;
use crate::connection::Peer;
use crate::gateway::Shared;
use crate::headers;
use crate::stall::{Prompt, Stalled};

/// A request's body on its way.
type RequestBody = Tapped<Prompt<Incoming>>;
/// A response's body on its way: the upstream's, or one of ours.
pub(crate) type ResponseBody = Tapped<Either<Prompt<Incoming>, Full<Bytes>>>;

/// The endpoint behind the gateway, with its connections.
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    client: Client<HttpsConnector<HttpConnector>, RequestBody>,
}

/// The upstream of a configuration.
///
/// # Errors
/// When its URL is not what [`GatewayConfig::upstream`] says.
pub(crate) fn upstream(config: &GatewayConfig) -> io::Result<Upstream> {
    let wrong =
        |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("upstream {}: {what}", config.upstream));
    let parts = config.upstream.clone().into_parts();
    let scheme = parts.scheme.filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
    let scheme = scheme.ok_or_else(|| wrong("must begin with http:// or https://"))?;
    let authority = parts.authority.ok_or_else(|| wrong("must name a host"))?;
    if parts.path_and_query.is_some_and(|path| path.as_str() != "/") {
        return Err(wrong("must have no path, since paths are signed"));
    }

    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(config.connect_timeout));
    let mut tls = (*config.upstream_tls).clone();
    tls.alpn_protocols.clear();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    let client = Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(config.keep_alive)
        .set_host(false)
        .build(connector);
    Ok(Upstream { scheme, authority, client })
}

/// Carries a call over and its answer back. Its record is made once the answer has been sent, or as soon as this future
/// or the answer's body is dropped.
pub(crate) async fn carry(shared: Arc<Shared>, peer: Peer, request: Request<Incoming>) -> Response<ResponseBody> {
    // Never closed: it lives as long as the gateway, which never closes it.
    let permit = Arc::clone(&shared.calls).acquire_owned().await.expect("the semaphore of calls is never closed");
    let started = shared.clock.now();
    let (mut head, body) = request.into_parts();
    let capture = wanted_capture(&head, &shared.endpoint);
    let framing = Framing::of(&head);
    let client_timeout = shared.config.client_timeout;
    let (body, watch) = tap::watched(Prompt::new(body, client_timeout), capture.request.for_request());
    let mut call = Call::begin(Arc::clone(&shared), peer, started, &head, watch, permit);

    headers::for_upstream(&mut head);
    let response = match shared.upstream.target(&head.uri) {
        Some(target) => {
            head.uri = target;
            head.version = Version::HTTP_11;
            head.extensions.clear();
            send(&shared, Request::from_parts(head, body), &call).await
        }
        None => Err(Refusal::Broken),
    };
    let (head, body) = match response {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            headers::for_client(&mut head.headers);
            // The client's connection speaks its own version.
            head.version = Version::default();
            head.extensions.clear();
            (head, Either::Left(Prompt::new(body, shared.config.upstream_timeout)))
        }
        Err(refusal) => {
            metrics::counter!("opentrail_gateway_refusals_total", "reason" => format!("{refusal:?}")).increment(1);
            let (head, body) = refusal.answer(framing, &shared.random.uuid().to_string()).into_parts();
            (head, Either::Right(Full::new(body)))
        }
    };
    call.answered(head.status, &head.headers);
    let limit = capture.response.for_status(head.status);
    Response::from_parts(head, tap::tapped(body, limit, move |seen| call.ended(seen)))
}

/// Sends a request and waits for the head of its answer.
async fn send(shared: &Shared, request: Request<RequestBody>, call: &Call) -> Result<Response<Incoming>, Refusal> {
    let sent = tokio::time::timeout(shared.config.upstream_timeout, shared.upstream.client.request(request)).await;
    match sent {
        Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(Refusal::Broken),
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) if error.is_connect() => {
            warn!(error = %chain(&error), upstream = %shared.config.upstream, "cannot reach the upstream");
            Err(Refusal::Unreachable)
        }
        Ok(Err(error)) => {
            let client_failed = call.request_seen().is_some_and(|seen| seen.ending == Some(Ending::Failed));
            debug!(error = %chain(&error), upstream = %shared.config.upstream, client_failed, "a call broke off");
            Err(if client_failed || is_stalled(&error) { Refusal::SlowClient } else { Refusal::Broken })
        }
        Err(_) => Err(Refusal::Silent),
    }
}

impl Upstream {
    /// The request's target as the client sent it, at the upstream.
    fn target(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path).build().ok()
    }
}

fn is_stalled(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<Stalled>())
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<_> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    texts.join(": ")
}
