//! How much of each field a record holds. From the user guide's page on record contents, as the sizes of fields since
//! `eventVersion` 1.05; the `omitted` member follows an earlier revision of that page.

use bytes::Bytes;
use serde_json::{Map, Value, json};

const MAX_TEXT: usize = 1024;
const MAX_PARAMETERS: usize = 100 * 1024;
const MAX_ADDITIONAL: usize = 28 * 1024;
const MAX_EVENT: usize = 256 * 1024;

/// The order in which fields are cut while an event is too large. (User Guide, "CloudTrail record contents": that of
/// event data stores; for trails, where none is documented, it is a choice. `resources` are last, as a choice, too: their
/// ARNs come from the request and have no limit of their own.)
const CUT_FIRST: &[&str] = &[
    "annotation",
    "requestID",
    "additionalEventData",
    "serviceEventDetails",
    "userAgent",
    "errorCode",
    "responseElements",
    "requestParameters",
    "errorMessage",
    "resources",
    "tlsDetails",
];

/// The text of `userAgent`, `errorCode`, `errorMessage`, `requestID`: at most 1 KB, cut at a character.
pub(crate) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// `requestParameters` and `responseElements`: at most 100 KB of JSON.
pub(crate) fn parameters(value: Value) -> Value {
    bounded(value, MAX_PARAMETERS)
}

/// `additionalEventData`: at most 28 KB of JSON.
pub(crate) fn additional(value: Value) -> Value {
    bounded(value, MAX_ADDITIONAL)
}

/// The record as bytes, at most 256 KB of them: fields are left out, one after another, until it fits.
pub(crate) fn event(mut record: Map<String, Value>) -> Bytes {
    let mut bytes = serialized(&record);
    for field in CUT_FIRST {
        if bytes.len() <= MAX_EVENT {
            break;
        }
        let Some(value) = record.get_mut(*field).filter(|value| !value.is_null()) else { continue };
        // These two are always there; an object shows that there was something.
        if matches!(*field, "requestParameters" | "responseElements") {
            *value = omitted();
        } else {
            record.shift_remove(*field);
        }
        bytes = serialized(&record);
    }
    bytes.into()
}

fn serialized(record: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(record).expect("a JSON value can be written as JSON")
}

/// What stands for a field that is too large or could not be kept.
pub(crate) fn omitted() -> Value {
    json!({ "omitted": true })
}

fn bounded(value: Value, limit: usize) -> Value {
    let mut counter = Counter { left: limit };
    if serde_json::to_writer(&mut counter, &value).is_ok() { value } else { omitted() }
}

/// Takes so many bytes and then fails.
struct Counter {
    left: usize,
}

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_above_its_limit_is_omitted_as_a_whole() {
        let fits = json!({ "a": "x".repeat(MAX_PARAMETERS - 8) });
        assert_eq!(parameters(fits.clone()), fits);
        assert_eq!(parameters(json!({ "a": "x".repeat(MAX_PARAMETERS - 7) })), json!({ "omitted": true }));
    }

    /// What a record is made of here: every field within its own limit, and `resources`, which have none.
    fn record(resources: usize) -> Map<String, Value> {
        let record = json!({
            "eventVersion": "1.11",
            "requestParameters": { "a": "x".repeat(90_000) },
            "responseElements": { "a": "x".repeat(90_000) },
            "additionalEventData": { "a": "x".repeat(20_000) },
            "requestID": "r",
            "eventID": "e",
            "resources": [{ "ARN": "x".repeat(resources) }],
            "eventType": "AwsApiCall",
        });
        let Value::Object(record) = record else { unreachable!() };
        record
    }

    #[test]
    fn an_event_loses_fields_in_order_until_it_fits() {
        let cut = |resources| -> Map<String, Value> {
            let bytes = event(record(resources));
            assert!(bytes.len() <= MAX_EVENT, "{} bytes", bytes.len());
            serde_json::from_slice(&bytes).unwrap()
        };
        assert_eq!(cut(1_000), record(1_000));
        let keys = |record: &Map<String, Value>| record.keys().cloned().collect::<Vec<_>>();
        let all = keys(&record(0));
        let without = |gone: &[&str]| -> Vec<String> {
            all.iter().filter(|key| !gone.contains(&key.as_str())).cloned().collect()
        };
        let a_little = cut(70_000);
        assert_eq!(keys(&a_little), without(&["requestID", "additionalEventData"]), "the rest in its order");
        assert_eq!(a_little["responseElements"], record(0)["responseElements"]);
        let more = cut(150_000);
        assert_eq!(
            (&more["responseElements"], &more["requestParameters"]),
            (&omitted(), &record(0)["requestParameters"])
        );
        let most = cut(300_000);
        assert_eq!(keys(&most), without(&["requestID", "additionalEventData", "resources"]));
        assert_eq!(most["requestParameters"], omitted());
    }

    #[test]
    fn text_is_cut_between_characters() {
        let text = format!("{}€", "x".repeat(1023));
        assert_eq!(shortened(&text).len(), 1023);
    }
}
