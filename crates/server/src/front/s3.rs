use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context as _;
use http::request::Parts as Head;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use opentrail_gateway::Inbound;
use opentrail_identity::Principal;
use opentrail_model::{Region, Source, Timestamp};
use opentrail_objects::{Access, ConditionKeys, RequestId, S3Service, Store};
use opentrail_recorder::tap::{self, Ending, Seen, Watch};
use opentrail_recorder::{Break, Caller, Endpoint, Exchange, wanted_capture};
use opentrail_runtime::OnError;

use super::{Body, Parts, Peer};

/// Error codes of requests whose signature did not hold: nobody is known to have called, so nothing is recorded.
const UNAUTHENTICATED: &[&str] = &[
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "RequestTimeTooSkewed",
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
    "ExpiredToken",
    "InvalidToken",
    "XAmzContentSHA256Mismatch",
];

/// The embedded store behind the port.
#[derive(Debug)]
pub(crate) struct EmbeddedS3 {
    service: S3Service,
    domains: Vec<String>,
}

impl EmbeddedS3 {
    /// # Errors
    /// When a domain is not a host name.
    pub(crate) fn new(store: Store, access: Arc<dyn Access>, domains: Vec<String>) -> anyhow::Result<Self> {
        let service = opentrail_objects::service(store, access, &domains).context("server.s3_domains")?;
        Ok(Self { service, domains })
    }
}

/// Lets the store answer (it authenticates and authorizes by itself) and records the call once its answer has ended.
pub(super) async fn answer(parts: &Arc<Parts>, peer: Peer, head: Head, body: Inbound) -> Response<Body> {
    let services = &parts.services;
    let credential = opentrail_recorder::credential(&head.headers, &head.uri);
    let principal = credential.as_ref().and_then(|named| {
        let token = named.session_token.as_deref();
        let found = services.directory.find_key(&named.access_key_id, token, services.clock.now());
        Some(found.ok()?.principal)
    });
    let request_id = services.random.text(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 16);
    let Some(principal) = principal else {
        let response = parts.s3.service.call(request(head, body, &peer, request_id)).await;
        return response.map(|body| body.map_err(Into::into).boxed_unsync());
    };
    let region = credential.and_then(|named| named.region?.parse().ok()).unwrap_or_else(Region::us_east_1);
    let endpoint = Endpoint {
        account: principal.account,
        region,
        service: Some("s3".to_owned()),
        s3_hosts: parts.s3.domains.clone(),
    };
    let capture = wanted_capture(&head, &endpoint);
    let (body, watch) = tap::watched(body, capture.request.for_request());
    let observed = Observed {
        parts: Arc::clone(parts),
        endpoint,
        principal,
        started: services.clock.now(),
        peer: peer.clone(),
        head: head.clone(),
        watch,
        status: StatusCode::OK,
        headers: HeaderMap::new(),
    };
    let response = parts.s3.service.call(request(head, body, &peer, request_id)).await;
    let (response_head, body) = response.into_parts();
    let limit = capture.response.for_status(response_head.status);
    let observed = Observed { status: response_head.status, headers: response_head.headers.clone(), ..observed };
    let body = tap::tapped(body, limit, move |seen| observed.record(seen));
    Response::from_parts(response_head, body.map_err(Into::into).boxed_unsync())
}

fn request<B>(head: Head, body: B, peer: &Peer, request_id: String) -> Request<B> {
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(RequestId(request_id));
    request.extensions_mut().insert(ConditionKeys(BTreeMap::from([
        ("aws:SourceIp".to_owned(), peer.ip.to_string()),
        ("aws:SecureTransport".to_owned(), peer.tls.is_some().to_string()),
    ])));
    request
}

/// What is known of a call when its answer begins.
struct Observed {
    parts: Arc<Parts>,
    endpoint: Endpoint,
    principal: Principal,
    started: Timestamp,
    peer: Peer,
    head: Head,
    watch: Watch,
    status: StatusCode,
    headers: HeaderMap,
}

impl Observed {
    /// Makes the record and hands it over. Called when the answer's body has ended, where nothing can be awaited.
    fn record(self, answer: Seen) {
        let unauthenticated = answer.captured.bytes().is_some_and(is_unauthenticated);
        if unauthenticated {
            metrics::counter!("opentrail_server_unauthenticated_calls_total", "error" => "s3").increment(1);
            return;
        }
        let request = self.watch.seen();
        let parts = self.parts;
        parts.services.directory.note_use(&self.principal, "s3", self.endpoint.region.as_str(), self.started);
        let Peer { ip, tls } = self.peer;
        let exchange = Exchange {
            endpoint: self.endpoint,
            started: self.started,
            peer: ip,
            tls,
            method: self.head.method,
            uri: self.head.uri,
            version: self.head.version,
            request_headers: self.head.headers,
            request_body: request.captured,
            status: Some(self.status),
            response_headers: self.headers,
            response_body: answer.captured,
            bytes_in: request.bytes,
            bytes_out: answer.bytes,
            caller: Caller::Identity(self.principal.user_identity()),
            event_id: parts.services.random.uuid(),
        };
        let broken = match answer.ending {
            Some(Ending::Dropped) => Some(Break::Client),
            Some(Ending::Failed) => Some(Break::Upstream),
            Some(Ending::Complete) | None => None,
        };
        let recorded = match broken {
            Some(by) => opentrail_recorder::record_broken(&exchange, by),
            None => opentrail_recorder::record(&exchange),
        };
        let each = opentrail_recorder::record_deletions(&exchange, broken, None, || parts.services.random.uuid());
        let (recording, started) = (parts.recording.clone(), self.started);
        parts.calls.spawn("record an S3 call", OnError::Log, async move {
            for recorded in recorded.into_iter().chain(each) {
                recording.enqueue(Source::Api, recorded, started).await;
            }
            Ok::<_, Infallible>(())
        });
    }
}

fn is_unauthenticated(error: &[u8]) -> bool {
    let error = String::from_utf8_lossy(error);
    let code = error.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    code.is_some_and(|code| UNAUTHENTICATED.contains(&code))
}
