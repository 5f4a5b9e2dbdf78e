use serde_json::{Map, Value};

use super::address::Address;
use super::operation::Matched;
use crate::draft::{self, object_or_null};
use crate::exchange::{Captured, Exchange};
use crate::redact::{self, Direction, HIDDEN};
use crate::{limits, query, xml};

/// Headers that shape an answer, as records spell them; the `x-amz-` ones come from the model.
const CONDITIONS: &[&str] = &["Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"];

/// Calls whose document is a list of objects or a query, and too long to be worth showing (records do not).
const HIDDEN_BODIES: &[&str] = &["CompleteMultipartUpload", "DeleteObjects", "SelectObjectContent"];

/// `requestParameters`: bucket, host, key, then query parameters and headers under their HTTP names, then the document
/// of a configuration call under its root element.
pub(super) fn of(exchange: &Exchange, address: &Address, matched: &Matched) -> Value {
    let mut parameters = Map::new();
    if let Some(bucket) = &address.bucket {
        parameters.insert("bucketName".into(), bucket.as_str().into());
    }
    if let Some(host) = draft::host(exchange) {
        parameters.insert("Host".into(), host.into());
    }
    if let Some(key) = &address.key {
        parameters.insert("key".into(), key.as_str().into());
    }
    for pair in query::pairs(exchange.uri.query().unwrap_or_default()) {
        if redact::parameter_is_signing(&pair.name) {
            continue;
        }
        let value = if redact::header_is_secret(&pair.name.to_ascii_lowercase()) { HIDDEN.into() } else { pair.value };
        parameters.entry(pair.name).or_insert(value.into());
    }
    headers(exchange, matched, &mut parameters);
    if shows_body(matched) {
        body(exchange, matched, &mut parameters);
    }
    object_or_null(parameters)
}

/// Whether the request's body is part of the parameters.
pub(super) fn shows_body(matched: &Matched) -> bool {
    let policy = matched.event_name == "PutBucketPolicy";
    let document = matched.operation.is_some_and(|operation| operation.body_root.is_some());
    (document || policy) && !HIDDEN_BODIES.contains(&matched.event_name.as_str())
}

/// `responseElements` of a write: the headers that the model knows and that are S3's own.
pub(super) fn response_elements(exchange: &Exchange, matched: &Matched) -> Value {
    let mut elements = Map::new();
    for (_, name) in matched.operation.map_or(&[][..], |operation| operation.output_header_members) {
        if name.starts_with("x-amz-")
            && !redact::header_is_secret(name)
            && let Some(value) = draft::header(&exchange.response_headers, name)
        {
            elements.insert((*name).to_owned(), value.into());
        }
    }
    object_or_null(elements)
}

/// User metadata (`x-amz-meta-`) is content and stays out.
fn headers(exchange: &Exchange, matched: &Matched, parameters: &mut Map<String, Value>) {
    let modelled = matched.operation.map_or(&[][..], |operation| operation.header_members);
    for (_, name) in modelled.iter().filter(|(_, name)| name.starts_with("x-amz-") && !name.ends_with('-')) {
        if let Some(value) = draft::header(&exchange.request_headers, name) {
            let value = if redact::header_is_secret(name) { HIDDEN.into() } else { value };
            parameters.entry(*name).or_insert(value.into());
        }
    }
    for name in CONDITIONS {
        if let Some(value) = draft::header(&exchange.request_headers, name) {
            parameters.entry(*name).or_insert(value.into());
        }
    }
}

fn body(exchange: &Exchange, matched: &Matched, parameters: &mut Map<String, Value>) {
    let bytes = match &exchange.request_body {
        Captured::Complete(bytes) if bytes.is_empty() => return,
        captured => captured.bytes(),
    };
    let Some(operation) = matched.operation else { return };
    let known_root = operation.body_root.unwrap_or("bucketPolicy");
    let (root, mut value) = match bytes {
        Some(bytes) if operation.body_root.is_none() => {
            ("bucketPolicy".to_owned(), serde_json::from_slice(bytes).unwrap_or_else(|_| limits::omitted()))
        }
        Some(bytes) => xml::parse(bytes).unwrap_or_else(|| (known_root.to_owned(), limits::omitted())),
        None => (known_root.to_owned(), limits::omitted()),
    };
    redact::document(&mut value, super::SOURCE, operation.name, &[], Direction::Request);
    parameters.insert(root, value);
}
