//! S3: the operation is told from method, path, query and headers, and most of what a record shows is in them too.

mod address;
mod asked;
mod deletion;
mod failure;
mod operation;
mod parameters;
mod resources;

use http::request::Parts;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::capture::{Capture, CaptureMode, MAX_CAPTURE};
use crate::crossing::Crossing;
use crate::draft::{Draft, Recorded, header};
use crate::exchange::{Break, Endpoint, Exchange};
use crate::generated::s3_operations::Level;
use crate::service::Call;
use crate::{classify, draft};

use address::{AccessPointKind, Address};
use operation::{Matched, matched};

pub(crate) use asked::{asked, is_asked_in_body};

const SOURCE: &str = "s3.amazonaws.com";

/// Data events among the calls that have no key in their path. (S3 User Guide, "Amazon S3 CloudTrail events",
/// object-level actions: HeadBucket is listed there, not among the bucket-level ones.) `ListObjects` stands for
/// `ListObjectsV2` too.
const DATA: &[&str] = &["DeleteObjects", "HeadBucket", "ListObjectVersions", "ListObjects", "PostObject"];

/// What the record says of a call.
pub(crate) fn draft(exchange: &Exchange, call: &Call<'_>) -> Draft {
    let address = Address::of(exchange.uri.path(), draft::host(exchange).as_deref(), &exchange.endpoint);
    let matched = matched(&exchange.method, &exchange.uri, &exchange.request_headers, address.level());
    let reads = classify::reads(SOURCE, &matched.event_name);
    let management = !is_data(&matched);
    let failure = failure::of(exchange, &matched);
    let response_elements =
        if reads || failure.is_some() { Value::Null } else { parameters::response_elements(exchange, &matched) };
    Draft {
        event_source: SOURCE.to_owned(),
        region: call.region.clone(),
        request_parameters: parameters::of(exchange, &address, &matched),
        response_elements,
        additional: additional(exchange, call, reads),
        request_id: request_id(exchange),
        resources: resources::of(exchange, &call.region, &address, management),
        api_version: None,
        bracket_user_agent: true,
        event_name: matched.event_name,
        failure,
        reads,
        management,
    }
}

/// The records of the objects that a DeleteObjects call deletes; none of another call.
pub(crate) fn record_deletions(
    exchange: &Exchange,
    call: &Call<'_>,
    broken: Option<Break>,
    crossing: Option<&Crossing<'_>>,
    event_id: &mut dyn FnMut() -> Uuid,
) -> Vec<Recorded> {
    let address = Address::of(exchange.uri.path(), draft::host(exchange).as_deref(), &exchange.endpoint);
    let matched = matched(&exchange.method, &exchange.uri, &exchange.request_headers, address.level());
    match matched.event_name.as_str() {
        "DeleteObjects" => deletion::records(exchange, call, &address, (broken, crossing), event_id),
        _ => Vec::new(),
    }
}

/// Documents of configuration calls, of which objects to delete, and errors; never an object. An answer that may report its error under status 200
/// is kept whole.
pub(crate) fn wanted_capture(parts: &Parts, endpoint: &Endpoint) -> Capture {
    let matched = asked_of(parts, endpoint);
    if matched.event_name == "DeleteObjects" {
        let whole = CaptureMode::UpTo(deletion::MAX_DOCUMENT);
        return Capture { request: whole, response: whole };
    }
    let request = if parameters::shows_body(&matched) { CaptureMode::UpTo(MAX_CAPTURE) } else { CaptureMode::None };
    let response = match failure::may_come_with_success(&matched.event_name) {
        true => CaptureMode::UpTo(MAX_CAPTURE),
        false => CaptureMode::ErrorsUpTo(MAX_CAPTURE),
    };
    Capture { request, response }
}

/// Which operation a request asks for.
fn asked_of(head: &Parts, endpoint: &Endpoint) -> Matched {
    let host = header(&head.headers, "host").or_else(|| head.uri.authority().map(|a| a.as_str().into()));
    let address = Address::of(head.uri.path(), host.as_deref(), endpoint);
    matched(&head.method, &head.uri, &head.headers, address.level())
}

/// S3's id of the call.
fn request_id(exchange: &Exchange) -> Option<String> {
    header(&exchange.response_headers, "x-amz-request-id")
        .or_else(|| header(&exchange.response_headers, "x-amzn-requestid"))
        .map(|id| id.into_owned())
}

fn is_data(matched: &Matched) -> bool {
    matched.level == Level::Object || DATA.contains(&matched.event_name.as_str())
}

fn additional(exchange: &Exchange, call: &Call<'_>, reads: bool) -> Map<String, Value> {
    let mut additional = Map::new();
    if let Some(credential) = &call.credential {
        additional.insert("SignatureVersion".into(), credential.version.into());
    }
    if let Some(tls) = &exchange.tls {
        additional.insert("CipherSuite".into(), tls.cipher_suite.as_str().into());
    }
    additional.insert("bytesTransferredIn".into(), exchange.bytes_in.into());
    if let Some(credential) = &call.credential {
        let method = if credential.presigned { "QueryString" } else { "AuthHeader" };
        additional.insert("AuthenticationMethod".into(), method.into());
    }
    if let Some(id) = header(&exchange.response_headers, "x-amz-id-2") {
        additional.insert("x-amz-id-2".into(), id.into());
    }
    additional.insert("bytesTransferredOut".into(), exchange.bytes_out.into());
    if let Some(applied) = applied_encryption(exchange).filter(|_| !reads) {
        additional.insert("SSEApplied".into(), applied.into());
    }
    additional
}

/// How a written object was encrypted: asked for, or by the bucket's default.
fn applied_encryption(exchange: &Exchange) -> Option<&'static str> {
    if exchange.response_headers.contains_key("x-amz-server-side-encryption-customer-algorithm") {
        return Some("SSE_C");
    }
    let applied = exchange.response_headers.get("x-amz-server-side-encryption")?;
    let asked = exchange.request_headers.contains_key("x-amz-server-side-encryption");
    Some(match (applied.as_bytes(), asked) {
        (b"AES256", true) => "SSE_S3",
        (b"AES256", false) => "Default_SSE_S3",
        (b"aws:kms", true) => "SSE_KMS",
        (b"aws:kms", false) => "Default_SSE_KMS",
        (b"aws:kms:dsse", true) => "DSSE_KMS",
        (b"aws:kms:dsse", false) => "Default_DSSE_KMS",
        _ => return None,
    })
}

/// Whether the call goes to a Multi-Region Access Point.
pub(crate) fn is_multi_region(exchange: &Exchange) -> bool {
    let address = Address::of(exchange.uri.path(), draft::host(exchange).as_deref(), &exchange.endpoint);
    address.access_point.is_some_and(|point| point.kind == AccessPointKind::MultiRegion)
}
