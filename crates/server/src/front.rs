//! The one port: every service of OpenTrail, told apart by the signature's credential scope.
//!
//! A request passes, in this order: health and metrics (the only unsigned answers), dispatch by scope,
//! authentication, the service, recording. An answer of the API leaves only once its event is durable.

mod answer;
mod authenticate;
mod follow;
mod gather;
mod insights;
mod json_api;
mod listener;
mod own_call;
mod records;
mod s3;
mod sigma;
mod tail;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use opentrail_api::Services;
use opentrail_follow::Follow;
use opentrail_gateway::Inbound;
use opentrail_ingest::Ingest;
use opentrail_kms::Kms;
use opentrail_projection::Feed;
use opentrail_recorder::TlsDetails;
use opentrail_runtime::TaskGroup;
use opentrail_wire::sigv4;
use tokio::sync::Semaphore;

pub(crate) use answer::Body;
pub(crate) use listener::Listener;
pub(crate) use s3::EmbeddedS3;
pub(crate) use tail::MOST_WATCHERS;

use crate::serve::Watch;
use crate::wiring::Recording;

/// What answers on the port. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Front(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) services: Services,
    pub(crate) kms: Kms,
    /// Topics, alarms, log groups, rules.
    pub(crate) watch: Watch,
    /// The endpoint of the KMS that is used instead, if one is.
    pub(crate) kms_elsewhere: Option<String>,
    pub(crate) s3: EmbeddedS3,
    pub(crate) ingest: Ingest,
    pub(crate) recording: Recording,
    pub(crate) follow: Follow,
    /// The journal, for those who watch events come.
    pub(crate) feed: Arc<Feed>,
    /// How many they may be at once.
    pub(crate) watchers: Arc<Semaphore>,
    /// What judges their conditions.
    pub(crate) sql: Arc<opentrail_sql::Engine>,
    /// Calls under way, which go on when their client is gone.
    pub(crate) calls: TaskGroup,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) ready: AtomicBool,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    pub(crate) tls: Option<TlsDetails>,
}

impl Front {
    /// A front of these parts, not yet ready.
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// `/health/ready` answers yes from now on, or no.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, peer: Peer, request: Request<Inbound>) -> Response<Body> {
        let parts = &self.0;
        if request.method() == Method::GET
            && let Some(answer) = parts.unsigned(request.uri().path())
        {
            return answer;
        }
        // Links in messages of topics are followed by whoever gets them.
        if request.method() == Method::GET
            && !request.headers().contains_key(http::header::AUTHORIZATION)
            && let Some(path) = request.uri().path_and_query()
            && let Some(answer) = parts.link(path.as_str()).await
        {
            return answer::whole(answer);
        }
        let (head, body) = request.into_parts();
        let service = sigv4::credential(&head).map(|credential| credential.service);
        if head.uri.path() == follow::PATH {
            return follow::answer(parts, peer, head).await;
        }
        if let Some(id) = insights::id_of(head.uri.path()).map(str::to_owned) {
            return insights::answer(parts, &id, peer, head).await;
        }
        if let Some(operation) = opentrail_sigma::Operation::at(head.uri.path()) {
            return sigma::answer(parts, operation, peer, head, body).await;
        }
        let path = head.uri.path();
        let (path_is_records, path_is_tail) = (path == records::PATH, path == tail::PATH);
        match service.as_deref() {
            _ if path_is_records => records::answer(parts, peer, head, body).await,
            _ if path_is_tail => tail::answer(parts, peer, head, body).await,
            Some("s3") => s3::answer(parts, peer, head, body).await,
            Some(_) => json_api::answer(parts, peer, head, body).await,
            None if json_api::looks_like_one(&head) => json_api::answer(parts, peer, head, body).await,
            None => s3::answer(parts, peer, head, body).await,
        }
    }
}

impl Parts {
    /// The answer to a link in a message, when it is one.
    async fn link(&self, path_and_query: &str) -> Option<Response<Bytes>> {
        let request_id = self.services.random.uuid().to_string();
        self.watch.sns.unsigned(path_and_query, &request_id).await
    }

    fn unsigned(&self, path: &str) -> Option<Response<Body>> {
        let text = |status, text: String| {
            let mut response = Response::new(answer::full(Bytes::from(text)));
            *response.status_mut() = status;
            response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
            response
        };
        Some(match path {
            "/health/live" => text(StatusCode::OK, "live\n".into()),
            "/health/ready" if self.ready.load(Ordering::Acquire) => text(StatusCode::OK, "ready\n".into()),
            "/health/ready" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n".into()),
            "/metrics" => text(StatusCode::OK, self.metrics.render()),
            _ => return None,
        })
    }
}
