//! CBOR (RFC 8949) as Smithy RPC v2 uses it, to and from the JSON form in which inputs are checked.
//! (Smithy, "Smithy RPC v2 CBOR protocol".)

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

use crate::shape::{InputError, Member, Shape};
use crate::timestamp;

/// Values may lie within one another this deep.
const DEPTH: usize = 32;

/// The tag of seconds since the epoch.
const EPOCH_TIME: u64 = 1;

/// Reads one CBOR item: times are numbers of seconds, bytes are base64 text, `undefined` is null. An empty body is an empty
/// structure.
///
/// # Errors
/// `Serialization` for what is no single item, lies deeper than 32 levels, or has no form in JSON: a number beyond 64
/// bits or that is not finite, keys that are no text.
pub fn decode(body: &[u8]) -> Result<Value, InputError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut rest = body;
    let item: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH)
        .map_err(|error| InputError::Serialization(format!("the request body is not valid CBOR: {error}")))?;
    if !rest.is_empty() {
        return Err(InputError::Serialization("the request body goes on after its CBOR value".to_owned()));
    }
    to_json(item)
}

fn to_json(item: Cbor) -> Result<Value, InputError> {
    let wrong = |what: &str| InputError::Serialization(format!("the request body holds {what}"));
    Ok(match item {
        Cbor::Integer(number) => {
            i64::try_from(number).map_err(|_| wrong("a whole number that does not fit into 64 bits"))?.into()
        }
        Cbor::Float(number) => Number::from_f64(number).ok_or_else(|| wrong("a number that is not finite"))?.into(),
        Cbor::Bytes(bytes) => BASE64_STANDARD.encode(bytes).into(),
        Cbor::Text(text) => text.into(),
        Cbor::Bool(truth) => truth.into(),
        Cbor::Null => Value::Null,
        Cbor::Tag(EPOCH_TIME, inner) => match *inner {
            number @ (Cbor::Integer(_) | Cbor::Float(_)) => to_json(number)?,
            _ => return Err(wrong("a time that is no number")),
        },
        Cbor::Array(items) => Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        Cbor::Map(entries) => {
            let mut object = Map::with_capacity(entries.len());
            for (key, value) in entries {
                let Cbor::Text(key) = key else { return Err(wrong("a key that is no text")) };
                if object.insert(key, to_json(value)?).is_some() {
                    return Err(wrong("a key twice"));
                }
            }
            Value::Object(object)
        }
        _ => return Err(wrong("a value of a kind that the protocol does not use")),
    })
}

/// Writes `value`, which is in the JSON form of an output of that shape.
pub fn encode(shape: &Shape, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(&typed(shape, value), &mut out).expect("writing to a Vec cannot fail");
    out
}

/// Writes `value`, all of it text, numbers and structures: an error.
pub fn encode_plain(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(&plain(value), &mut out).expect("writing to a Vec cannot fail");
    out
}

fn typed(shape: &Shape, value: &Value) -> Cbor {
    match (shape, value) {
        (Shape::Structure(members), Value::Object(object)) => {
            let member = |Member { name, shape, .. }: &Member| {
                object.get(*name).map(|value| (Cbor::Text((*name).to_owned()), typed(shape, value)))
            };
            Cbor::Map(members.iter().filter_map(member).collect())
        }
        (Shape::List(list), Value::Array(items)) => {
            Cbor::Array(items.iter().map(|item| typed(list.element, item)).collect())
        }
        (Shape::Map(map), Value::Object(object)) => {
            let entry = |(key, value): (&String, &Value)| (Cbor::Text(key.clone()), typed(map.value, value));
            Cbor::Map(object.iter().map(entry).collect())
        }
        (Shape::Real, Value::Number(number)) => Cbor::Float(number.as_f64().unwrap_or_default()),
        (Shape::Timestamp, value) => {
            let secs = timestamp::from_json(value).map(|time| time.as_secs_f64()).unwrap_or_default();
            Cbor::Tag(EPOCH_TIME, Box::new(Cbor::Float(secs)))
        }
        (Shape::Blob, Value::String(text)) => Cbor::Bytes(BASE64_STANDARD.decode(text).unwrap_or_default()),
        (_, value) => plain(value),
    }
}

fn plain(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(truth) => Cbor::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cbor::Integer(whole.into()),
            None => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Array(items) => Cbor::Array(items.iter().map(plain).collect()),
        Value::Object(object) => {
            Cbor::Map(object.iter().map(|(key, value)| (Cbor::Text(key.clone()), plain(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_tagged_and_numbers_keep_their_kind() {
        // {"T": 1(1700000000.5), "N": 5, "F": 2.0}
        let mut body = vec![0xA3, 0x61, b'T', 0xC1, 0xFB];
        body.extend(1_700_000_000.5_f64.to_be_bytes());
        body.extend([0x61, b'N', 0x05, 0x61, b'F', 0xF9, 0x40, 0x00]);
        assert_eq!(decode(&body).unwrap(), json!({ "T": 1_700_000_000.5, "N": 5, "F": 2.0 }));
        assert_eq!(decode(b"").unwrap(), json!({}));
    }

    #[test]
    fn outputs_are_typed_by_their_shape() {
        let output = crate::cloudwatch::Operation::GetMetricData.output_shape().unwrap();
        let result = json!({ "Id": "m", "Timestamps": [1_700_000_000], "Values": [3] });
        let bytes = encode(output, &json!({ "MetricDataResults": [result] }));
        let Cbor::Map(members) = ciborium::from_reader(&bytes[..]).unwrap() else { panic!("no map") };
        let Cbor::Array(results) = &members[0].1 else { panic!("no list") };
        let Cbor::Map(result) = &results[0] else { panic!("no structure") };
        let member = |name: &str| &result.iter().find(|(key, _)| key.as_text() == Some(name)).unwrap().1;
        let time = Cbor::Tag(1, Box::new(Cbor::Float(1_700_000_000.0)));
        assert_eq!(member("Timestamps"), &Cbor::Array(vec![time]));
        assert_eq!(member("Values"), &Cbor::Array(vec![Cbor::Float(3.0)]));
    }

    #[test]
    fn hostile_bodies_are_refused() {
        let deep = vec![0x81; 100_000];
        let trailing = [0xA0, 0xA0];
        let huge_list = [0x9B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let huge_text = [0x7B, 0x0F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let number_key = [0xA1, 0x01, 0x01];
        let not_finite = [0xF9, 0x7E, 0x00];
        for body in [&deep[..], &trailing, &huge_list, &huge_text, &number_key, &not_finite, &[0xFF]] {
            assert!(matches!(decode(body), Err(InputError::Serialization(_))), "{body:x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = decode(&body);
        }
    }
}
