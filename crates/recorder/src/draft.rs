//! What a call was, and its record written down in CloudTrail's key order.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use opentrail_model::{AccountId, Region};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::crossing::Crossing;
use crate::exchange::{Break, Exchange};
use crate::limits;

/// A record on its way to the journal.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The account that receives it.
    pub account: AccountId,
    /// The record: one JSON object, compact, keys in CloudTrail's order.
    pub body: Bytes,
    /// Whether it is a management event; else a data event or a network activity event.
    pub management: bool,
    /// Its `eventName`.
    pub operation: String,
    /// Its `eventSource`.
    pub event_source: String,
}

/// An error as a record shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: Option<String>,
}

/// What a protocol says about a call.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) event_source: String,
    pub(crate) event_name: String,
    pub(crate) region: Region,
    pub(crate) failure: Option<Failure>,
    pub(crate) request_parameters: Value,
    pub(crate) response_elements: Value,
    /// Nothing is written when it is empty.
    pub(crate) additional: Map<String, Value>,
    pub(crate) request_id: Option<String>,
    pub(crate) reads: bool,
    /// Nothing is written when it is empty.
    pub(crate) resources: Vec<Value>,
    pub(crate) api_version: Option<Cow<'static, str>>,
    pub(crate) management: bool,
    /// S3 writes it in square brackets.
    pub(crate) bracket_user_agent: bool,
}

/// A header as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// The host that the client asked for: `Host`, or `:authority` in HTTP/2.
pub(crate) fn host(exchange: &Exchange) -> Option<Cow<'_, str>> {
    header(&exchange.request_headers, "host")
        .or_else(|| exchange.uri.authority().map(|authority| Cow::from(authority.as_str())))
}

/// `{}` as `null`, which is how records show a call without parameters.
pub(crate) fn object_or_null(members: Map<String, Value>) -> Value {
    if members.is_empty() { Value::Null } else { Value::Object(members) }
}

/// Writes the record, of a call that broke off or crossed a VPC endpoint where it did.
pub(crate) fn write(
    exchange: &Exchange,
    draft: Draft,
    broken: Option<Break>,
    crossing: Option<&Crossing<'_>>,
) -> Recorded {
    write_as(exchange, draft, broken, crossing, ("AwsApiCall", exchange.event_id))
}

/// The same with an `eventType` and an `eventID` of its own.
pub(crate) fn write_as(
    exchange: &Exchange,
    mut draft: Draft,
    broken: Option<Break>,
    crossing: Option<&Crossing<'_>>,
    (event_type, event_id): (&str, Uuid),
) -> Recorded {
    if let Some(by) = broken {
        note_break(exchange, &mut draft, by);
    }
    let mut record = Map::with_capacity(24);
    let mut put = |key: &str, value: Value| {
        record.insert(key.to_owned(), value);
    };
    put("eventVersion", "1.11".into());
    put("userIdentity", exchange.caller.user_identity(&draft.event_source));
    put("eventTime", exchange.started.floor_secs().to_iso().into());
    put("eventSource", draft.event_source.as_str().into());
    put("eventName", draft.event_name.as_str().into());
    put("awsRegion", draft.region.as_str().into());
    put("sourceIPAddress", exchange.peer.to_canonical().to_string().into());
    if let Some(agent) = header(&exchange.request_headers, "user-agent") {
        let agent = limits::shortened(&agent);
        put("userAgent", if draft.bracket_user_agent { format!("[{agent}]").into() } else { agent.into() });
    }
    if let Some(failure) = &draft.failure {
        put("errorCode", limits::shortened(&failure.code).into());
        if let Some(message) = &failure.message {
            put("errorMessage", limits::shortened(message).into());
        }
    }
    put("requestParameters", limits::parameters(draft.request_parameters));
    put("responseElements", limits::parameters(draft.response_elements));
    if !draft.additional.is_empty() {
        put("additionalEventData", limits::additional(Value::Object(draft.additional)));
    }
    if let Some(id) = &draft.request_id {
        put("requestID", limits::shortened(id).into());
    }
    put("eventID", event_id.to_string().into());
    put("readOnly", draft.reads.into());
    if !draft.resources.is_empty() {
        put("resources", draft.resources.into());
    }
    put("eventType", event_type.into());
    if let Some(version) = draft.api_version {
        put("apiVersion", version.into());
    }
    put("managementEvent", draft.management.into());
    put("recipientAccountId", exchange.endpoint.account.to_string().into());
    if let Some(crossing) = crossing {
        crossing.note_in(exchange.endpoint.account, &mut put);
    }
    put("eventCategory", if draft.management { "Management" } else { "Data" }.into());
    if let Some(tls) = &exchange.tls {
        let mut details = json!({ "tlsVersion": tls.version, "cipherSuite": tls.cipher_suite });
        if let Some(host) = host(exchange) {
            details["clientProvidedHostHeader"] = limits::shortened(&host).into();
        }
        if let Some(group) = &tls.key_exchange {
            details["keyExchange"] = group.as_str().into();
        }
        put("tlsDetails", details);
    }
    Recorded {
        account: exchange.endpoint.account,
        body: limits::event(record),
        management: draft.management,
        operation: draft.event_name,
        event_source: draft.event_source,
    }
}

fn note_break(exchange: &Exchange, draft: &mut Draft, by: Break) {
    let failure =
        |code: &str, message: &str| Some(Failure { code: code.to_owned(), message: Some(message.to_owned()) });
    let who = match by {
        Break::Client => "client",
        Break::Upstream => "upstream",
    };
    draft.additional.insert("interruptedBy".to_owned(), who.into());
    match by {
        Break::Client if exchange.status.is_none() => {
            draft.failure = failure("ClientDisconnected", "The client closed the connection before the response.");
        }
        Break::Upstream if draft.failure.is_none() => {
            draft.failure = failure("ServiceUnavailable", "The upstream closed the connection during the call.");
        }
        Break::Client | Break::Upstream => {}
    }
}
