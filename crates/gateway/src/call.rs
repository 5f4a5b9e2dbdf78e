//! One call under way, and its records: one, and another one where it came to a VPC endpoint.

use std::convert::Infallible;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use opentrail_model::Timestamp;
use opentrail_recorder::tap::{Ending, Seen, Watch};
use opentrail_recorder::{
    Break, Caller, Captured, Crossing, Exchange, Recorded, credential, record, record_broken, record_crossing,
    record_deletions,
};
use opentrail_runtime::OnError;
use tokio::sync::OwnedSemaphorePermit;

use crate::connection::Peer;
use crate::gateway::Shared;
use crate::vpc_endpoint::VpcEndpoint;

/// A call under way. When it is dropped before [`Call::ended`], whatever the reason, the client has gone away, and that
/// is recorded.
pub(crate) struct Call {
    /// `None` once it is recorded.
    open: Option<Open>,
    peer: Peer,
    shared: Arc<Shared>,
}

struct Open {
    peer: Peer,
    started: Timestamp,
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    request: Watch,
    response: Option<(StatusCode, HeaderMap)>,
    /// Whether the policy of the VPC endpoint denied it.
    denied: bool,
    /// Given back once the record is handed over.
    permit: OwnedSemaphorePermit,
}

impl Call {
    /// A call whose head has arrived.
    pub(crate) fn begin(
        shared: Arc<Shared>,
        peer: Peer,
        started: Timestamp,
        head: &Parts,
        request: Watch,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        metrics::gauge!("opentrail_gateway_calls_open").increment(1.0);
        let open = Open {
            peer: peer.clone(),
            started,
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            headers: head.headers.clone(),
            request,
            response: None,
            denied: false,
            permit,
        };
        Self { open: Some(open), peer, shared }
    }

    /// Who calls.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// How the request's body stands.
    pub(crate) fn request_seen(&self) -> Option<Seen> {
        self.open.as_ref().map(|open| open.request.seen())
    }

    /// The policy of the VPC endpoint does not let it pass.
    pub(crate) fn denied(&mut self) {
        if let Some(open) = &mut self.open {
            open.denied = true;
        }
    }

    /// There is a response; its body follows.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        if let Some(open) = &mut self.open {
            open.response = Some((status, headers.clone()));
        }
    }

    /// The response has ended.
    pub(crate) fn ended(mut self, response: Seen) {
        let broken = match response.ending {
            Some(Ending::Complete) => None,
            Some(Ending::Failed) => Some(Break::Upstream),
            Some(Ending::Dropped) | None => Some(Break::Client),
        };
        self.hand_over(response, broken);
    }

    fn hand_over(&mut self, response: Seen, broken: Option<Break>) {
        let Some(open) = self.open.take() else { return };
        metrics::gauge!("opentrail_gateway_calls_open").decrement(1.0);
        let shared = Arc::clone(&self.shared);
        let received = shared.clock.now();
        // Made in a task of its own: the client need not wait for it, and a drop cannot.
        self.shared.records.spawn("hand over a record", OnError::Log, async move {
            let denied = open.denied;
            let (exchange, permit) = open.into_exchange(&shared, response);
            count(&exchange, received, broken);
            for recorded in records(&shared, &exchange, broken, denied) {
                shared.sink.record(recorded, received).await;
            }
            drop(permit);
            Ok::<_, Infallible>(())
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let nothing = Seen { bytes: 0, captured: Captured::None, ending: None };
        self.hand_over(nothing, Some(Break::Client));
    }
}

impl Open {
    fn into_exchange(self, shared: &Shared, response: Seen) -> (Exchange, OwnedSemaphorePermit) {
        let request = self.request.seen();
        let caller = match credential(&self.headers, &self.uri) {
            Some(found) => shared.callers.caller(&found.access_key_id, found.session_token.as_deref()),
            None => Caller::Anonymous,
        };
        let (status, response_headers) = self.response.unzip();
        let exchange = Exchange {
            endpoint: shared.endpoint.clone(),
            started: self.started,
            peer: self.peer.address.ip(),
            tls: self.peer.tls,
            method: self.method,
            uri: self.uri,
            version: self.version,
            request_headers: self.headers,
            request_body: request.captured,
            status,
            response_headers: response_headers.unwrap_or_default(),
            response_body: response.captured,
            bytes_in: request.bytes,
            bytes_out: response.bytes,
            caller,
            event_id: shared.random.uuid(),
        };
        (exchange, self.permit)
    }
}

/// What is recorded of a call.
fn records(shared: &Shared, exchange: &Exchange, broken: Option<Break>, denied: bool) -> Vec<Recorded> {
    if let Some(VpcEndpoint { id, owner, .. }) = &shared.config.vpc_endpoint {
        let (event_id, shared_id) = (shared.random.uuid(), shared.random.uuid());
        let crossing = Crossing { endpoint_id: id, owner: *owner, denied, broken, event_id, shared_id };
        let mut records = record_crossing(exchange, &crossing);
        records.extend(record_deletions(exchange, broken, Some(&crossing), || shared.random.uuid()));
        return records;
    }
    let recorded = match broken {
        None => record(exchange),
        Some(by) => record_broken(exchange, by),
    };
    recorded.into_iter().chain(record_deletions(exchange, broken, None, || shared.random.uuid())).collect()
}

fn count(exchange: &Exchange, ended: Timestamp, broken: Option<Break>) {
    let status = exchange.status.map_or("none", |status| match status.as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    });
    let broken = match broken {
        None => "no",
        Some(Break::Client) => "client",
        Some(Break::Upstream) => "upstream",
    };
    metrics::counter!("opentrail_gateway_calls_total", "status" => status, "broken" => broken).increment(1);
    metrics::counter!("opentrail_gateway_body_bytes_total", "direction" => "in").increment(exchange.bytes_in);
    metrics::counter!("opentrail_gateway_body_bytes_total", "direction" => "out").increment(exchange.bytes_out);
    metrics::histogram!("opentrail_gateway_call_seconds").record(ended.since(exchange.started).as_secs_f64());
}
