//! Documents in CBOR as JSON, the way awsJson writes the same ones: blobs as base64, times as seconds, numbers that
//! JSON has no form for as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ciborium::Value as Cbor;
use serde_json::{Number, Value};

/// Lists and maps in one another, at most.
const MAX_DEPTH: usize = 64;

/// The document; `None` for what is no CBOR, has anything behind it, or is too deep.
pub(crate) fn parse(document: &[u8]) -> Option<Value> {
    let mut rest = document;
    let value: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH).ok()?;
    rest.is_empty().then(|| json(value))
}

fn json(value: Cbor) -> Value {
    match value {
        Cbor::Bool(value) => Value::Bool(value),
        Cbor::Text(text) => Value::String(text),
        Cbor::Bytes(bytes) => Value::String(BASE64.encode(bytes)),
        Cbor::Integer(number) => {
            let number = i128::from(number);
            let small = u64::try_from(number).map(Number::from).or_else(|_| i64::try_from(number).map(Number::from));
            small.map_or_else(|_| Value::String(number.to_string()), Value::Number)
        }
        Cbor::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::from(number as i64),
        Cbor::Float(number) => {
            Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
        }
        // The only tag of the protocol is that of times.
        Cbor::Tag(_, value) => json(*value),
        Cbor::Array(items) => items.into_iter().map(json).collect(),
        Cbor::Map(members) => members
            .into_iter()
            .map(|(name, value)| {
                let name = match name {
                    Cbor::Text(name) => name,
                    other => json(other).to_string(),
                };
                (name, json(value))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_reads_as_its_json_twin() {
        // {"A": 1, "B": h'6869', "C": 1(1767323045.5), "D": [_ true, null], "E": -3, "F": 2.0, "G": NaN}
        let document = b"\xa7aA\x01aB\x42hiaC\xc1\xfb\x41\xda\x55\xc9\xe9\x60\x00\x00aD\x9f\xf5\xf6\xffaE\x22\
            aF\xf9\x40\x00aG\xf9\x7e\x00";
        let mut read = parse(document).unwrap();
        let time = read["C"].take();
        assert!(time.as_f64().is_some_and(|time| time > 1.7e9), "{time}");
        let expected = json!({ "A": 1, "B": "aGk=", "C": null, "D": [true, null], "E": -3, "F": 2, "G": "NaN" });
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_document_is_none() {
        let deep = [&[0x81; 1000][..], &[0x01]].concat();
        for document in [&b""[..], b"\xa1", b"\x01\x01", b"\xff", &deep] {
            assert_eq!(parse(document), None, "{document:?}");
        }
        // A length that nothing follows makes no room for it.
        assert_eq!(parse(b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
