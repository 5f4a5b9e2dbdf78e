//! What one DeleteObjects call deletes: its document, its answer, and an event for each object.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Map;
use uuid::Uuid;

use super::address::Address;
use super::{SOURCE, request_id, resources};
use crate::crossing::Crossing;
use crate::draft::{self, Draft, Failure, Recorded};
use crate::exchange::{Break, Exchange};
use crate::service::Call;

/// How much is kept of the document and of the answer. Both have at most 1,000 keys of 1 KB, escaped.
pub(super) const MAX_DOCUMENT: usize = 4 << 20;

/// An `Object` of the document, or an `Error` of the answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) version: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

/// The objects of the request's document; `None` for what is no such document.
pub(super) fn doomed(document: &[u8]) -> Option<Vec<Entry>> {
    entries(document, b"Object").filter(|objects| !objects.is_empty())
}

/// The records of the objects, with the caller's identity and the call's `requestID`. (S3 User Guide, "Amazon S3
/// CloudTrail events": a DeleteObjects call has a data event of its own and an `AwsServiceEvent` for each object. What
/// those contain is not established: a choice, so that whoever watches a prefix sees what is deleted there, and what
/// somebody failed to delete.)
///
/// Nothing was deleted by a call that failed as a whole; of one that broke off it is not known, and its records say so.
pub(super) fn records(
    exchange: &Exchange,
    call: &Call<'_>,
    bucket: &Address,
    (broken, crossing): (Option<Break>, Option<&Crossing<'_>>),
    event_id: &mut dyn FnMut() -> Uuid,
) -> Vec<Recorded> {
    if exchange.status.is_some_and(|status| !status.is_success()) || crossing.is_some_and(|crossing| crossing.denied) {
        return Vec::new();
    }
    let Some(doomed) = exchange.request_body.bytes().and_then(doomed) else { return Vec::new() };
    let mut failures = exchange.response_body.bytes().and_then(|answer| entries(answer, b"Error")).unwrap_or_default();
    let record = |object: Entry| {
        let failed = failures.iter().position(|failure| failure.key == object.key && failure.version == object.version);
        let failure = failed
            .map(|index| failures.swap_remove(index))
            .and_then(|failure| Some(Failure { code: failure.code?, message: failure.message }));
        let draft = draft_of(exchange, call, bucket, object, failure);
        draft::write_as(exchange, draft, broken, crossing, ("AwsServiceEvent", event_id()))
    };
    doomed.into_iter().map(record).collect()
}

fn draft_of(exchange: &Exchange, call: &Call<'_>, bucket: &Address, object: Entry, failure: Option<Failure>) -> Draft {
    let mut parameters = Map::new();
    if let Some(bucket) = &bucket.bucket {
        parameters.insert("bucketName".into(), bucket.as_str().into());
    }
    if let Some(host) = draft::host(exchange) {
        parameters.insert("Host".into(), host.into());
    }
    parameters.insert("key".into(), object.key.as_str().into());
    if let Some(version) = object.version {
        parameters.insert("versionId".into(), version.into());
    }
    let address = Address { key: Some(object.key), ..bucket.clone() };
    Draft {
        event_source: SOURCE.to_owned(),
        event_name: "DeleteObject".to_owned(),
        region: call.region.clone(),
        failure,
        request_parameters: parameters.into(),
        response_elements: serde_json::Value::Null,
        additional: Map::new(),
        request_id: request_id(exchange),
        reads: false,
        resources: resources::of(exchange, &call.region, &address, false),
        api_version: None,
        management: false,
        bracket_user_agent: true,
    }
}

/// The elements called `element` below the root, their texts character by character.
fn entries(document: &[u8], element: &[u8]) -> Option<Vec<Entry>> {
    let mut reader = Reader::from_reader(document);
    let (mut path, mut found) = (Vec::<Vec<u8>>::new(), Vec::new());
    let (mut key, mut entry) = (None::<String>, Entry::default());
    loop {
        let inside = path.len() == 3 && path[1] == element;
        let text = match inside.then(|| path[2].as_slice()) {
            Some(b"Key") => key.as_mut(),
            Some(b"VersionId") => entry.version.as_mut(),
            Some(b"Code") => entry.code.as_mut(),
            Some(b"Message") => entry.message.as_mut(),
            _ => None,
        };
        match reader.read_event().ok()? {
            Event::Start(start) => {
                path.push(start.name().local_name().as_ref().to_vec());
                if path.len() == 3 && path[1] == element {
                    let field = match path[2].as_slice() {
                        b"Key" => &mut key,
                        b"VersionId" => &mut entry.version,
                        b"Code" => &mut entry.code,
                        b"Message" => &mut entry.message,
                        _ => continue,
                    };
                    if field.replace(String::new()).is_some() {
                        return None;
                    }
                }
            }
            Event::Text(piece) => {
                if let Some(text) = text {
                    text.push_str(&piece.decode().ok()?);
                }
            }
            Event::CData(piece) => {
                if let Some(text) = text {
                    text.push_str(&piece.decode().ok()?);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(text) = text {
                    match reference.resolve_char_ref().ok()? {
                        Some(character) => text.push(character),
                        None => text.push_str(quick_xml::escape::resolve_predefined_entity(&reference.decode().ok()?)?),
                    }
                }
            }
            Event::End(_) => {
                if path.len() == 2 && path[1] == element {
                    found.push(Entry { key: key.take()?, ..std::mem::take(&mut entry) });
                }
                path.pop()?;
            }
            Event::Eof => break,
            _ => {}
        }
        if path.len() > 8 {
            return None;
        }
    }
    path.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_deleted_is_read_to_the_letter() {
        let document = b"<Delete xmlns=\"urn:x\"><Quiet>true</Quiet><Object><Key> a&amp;b </Key></Object>\
            <Object><VersionId>v</VersionId><Key>123</Key></Object></Delete>";
        let entry = |key: &str, version: Option<&str>| Entry {
            key: key.to_owned(),
            version: version.map(str::to_owned),
            ..Entry::default()
        };
        assert_eq!(doomed(document), Some(vec![entry(" a&b ", None), entry("123", Some("v"))]));
        for bad in [
            &b""[..],
            b"<Delete/>",
            b"<Delete><Object></Object></Delete>",
            b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
            b"<Delete><Object><Key>a</Key></Object>",
        ] {
            assert_eq!(doomed(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
