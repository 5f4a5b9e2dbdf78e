//! What a call asks for in IAM's words, before it is carried out.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use http::request::Parts;
use opentrail_model::Timestamp;
use uuid::Uuid;

use crate::draft::Draft;
use crate::exchange::{Caller, Captured, Endpoint, Exchange};
use crate::service::{self, Protocol};
use crate::{dynamodb, json, query, s3};

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// E.g. `s3:GetObject`; not always the operation's name.
    pub action: String,
    /// An ARN, or `*` where the request names none.
    pub resource: String,
}

impl Ask {
    pub(crate) fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into() }
    }
}

/// Whether what a call asks for is in its body: the protocols with documents, and lists of objects to delete.
pub fn is_asked_in_body(head: &Parts, endpoint: &Endpoint) -> bool {
    let call = service::identify(&head.method, &head.uri, &head.headers, endpoint);
    match call.protocol {
        Protocol::S3 => s3::is_asked_in_body(head, endpoint),
        Protocol::Json { .. } | Protocol::Cbor { .. } | Protocol::Query => true,
        Protocol::Rest => false,
    }
}

/// Everything that a call asks for, all of which it needs; `None` when it cannot be told, e.g. since the body is not
/// known or is no document. A call that is no API call (a CORS pre-flight) asks for nothing.
///
/// Operations of services with paths are named as their records are, which is not always what IAM names them.
pub fn asked(head: &Parts, body: Captured, endpoint: &Endpoint) -> Option<Vec<Ask>> {
    if is_asked_in_body(head, endpoint) && body.bytes().is_none() {
        return None;
    }
    let exchange = unanswered(head, body, endpoint);
    let Some(draft) = crate::draft_of(&exchange) else { return Some(Vec::new()) };
    let call = service::identify(&head.method, &head.uri, &head.headers, endpoint);
    if !is_unmistakable(call.protocol, head, &exchange.request_body) {
        return None;
    }
    match (call.protocol, draft.event_source.as_str()) {
        (Protocol::S3, _) => s3::asked(&exchange, &call),
        (Protocol::Json { .. }, "dynamodb.amazonaws.com") => {
            let request = serde_json::from_slice(exchange.request_body.bytes()?).ok()?;
            dynamodb::asked(&draft, &request)
        }
        _ => Some(on_each(&draft, &action(&draft))),
    }
}

/// Whether everybody who reads the request understands it alike: it says once what it wants. Otherwise it could ask here
/// for one thing and there for another.
fn is_unmistakable(protocol: Protocol<'_>, head: &Parts, body: &Captured) -> bool {
    let Some(body) = body.bytes() else { return true };
    match protocol {
        Protocol::Json { .. } => head.headers.get_all("x-amz-target").iter().count() == 1 && json::is_document(body),
        Protocol::Query => {
            let form = String::from_utf8_lossy(body);
            let parameters = query::pairs(head.uri.query().unwrap_or_default()).chain(query::pairs(&form));
            let mut names = HashSet::new();
            parameters.into_iter().all(|pair| names.insert(pair.name))
        }
        Protocol::S3 | Protocol::Cbor { .. } | Protocol::Rest => true,
    }
}

/// `action` on each resource of the record, or on none in particular.
pub(crate) fn on_each(draft: &Draft, action: &str) -> Vec<Ask> {
    let named = draft.resources.iter().filter_map(|resource| resource["ARN"].as_str());
    let asks: Vec<Ask> = named.map(|arn| Ask::new(action, arn)).collect();
    if asks.is_empty() { vec![Ask::new(action, "*")] } else { asks }
}

/// The IAM action of an operation: its name behind the service's prefix, with the exceptions among the services whose
/// records name resources. (Service Authorization Reference.)
fn action(draft: &Draft) -> String {
    let prefix = match draft.event_source.as_str() {
        "monitoring.amazonaws.com" => "cloudwatch",
        source => source.strip_suffix(".amazonaws.com").unwrap_or(source),
    };
    let name = match (prefix, draft.event_name.as_str()) {
        ("lambda", "Invoke" | "InvokeAsync" | "InvokeWithResponseStream") => "InvokeFunction",
        ("sns", "PublishBatch") => "Publish",
        ("sqs", name) => name.strip_suffix("Batch").unwrap_or(name),
        (_, name) => name,
    };
    format!("{prefix}:{name}")
}

/// A call that has no answer yet.
fn unanswered(head: &Parts, body: Captured, endpoint: &Endpoint) -> Exchange {
    Exchange {
        endpoint: endpoint.clone(),
        started: Timestamp::EPOCH,
        peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        tls: None,
        method: head.method.clone(),
        uri: head.uri.clone(),
        version: head.version,
        request_headers: head.headers.clone(),
        request_body: body,
        status: None,
        response_headers: HeaderMap::new(),
        response_body: Captured::None,
        bytes_in: 0,
        bytes_out: 0,
        caller: Caller::Anonymous,
        event_id: Uuid::nil(),
    }
}
