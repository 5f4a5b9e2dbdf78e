//! A record as the rules see it: JSON, without what no rule asks for.

use std::collections::HashSet;
use std::fmt;

use rsigma_parser::fieldpath::unescape_brackets;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::mend::mend;

/// Objects and lists within one another that rules see; what is deeper is null to them. A record that is deeper is still
/// looked at, so that nobody hides from the rules by nesting.
const MOST_DEPTH: usize = 48;

/// A record that cannot be read as JSON.
#[derive(Debug, thiserror::Error)]
#[error("the record cannot be read: {0}")]
pub struct Unreadable(#[from] serde_json::Error);

/// The members of a record that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// Rules look for words anywhere.
    All,
    /// Those that rules name, and those that a finding tells.
    These(HashSet<String>),
}

impl Default for Members {
    fn default() -> Self {
        let told = ["eventTime", "eventID", "eventId", "eventName", "eventSource", "awsRegion", "recipientAccountId"];
        Self::These(told.into_iter().map(str::to_owned).collect())
    }
}

impl Members {
    /// Adds the member in which the field at `path` lies.
    pub(crate) fn add(&mut self, path: &str) {
        if let Self::These(names) = self {
            let end = path.find(['.', '[']).unwrap_or(path.len());
            // With brackets that are escaped the whole path may be one name.
            let name = if path.contains('\\') { return *self = Self::All } else { unescape_brackets(&path[..end]) };
            names.insert(name.into_owned());
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            // `a.b` may also be the name of a member.
            Self::These(names) => names.contains(name) || name.contains(['.', '[']),
        }
    }

    /// Reads a record. Of members with one name the last one counts, as in the columns of a batch.
    pub(crate) fn read(&self, record: &[u8]) -> Result<Value, Unreadable> {
        self.parse(record).or_else(|_| self.parse(&mend(record))).map_err(Unreadable)
    }

    fn parse(&self, record: &[u8]) -> Result<Value, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(record);
        let value = Top(self).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }
}

struct Top<'m>(&'m Members);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            if self.0.has(&name) {
                let value = members.next_value_seed(Node { depth: 1 })?;
                map.insert(name.into_owned(), value);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(map))
    }
}

#[derive(Clone, Copy)]
struct Node {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > MOST_DEPTH {
            deserializer.deserialize_ignored_any(IgnoredAny)?;
            return Ok(Value::Null);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = Self { depth: self.depth + 1 };
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = Self { depth: self.depth + 1 };
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_asked_for_is_read() {
        let mut members = Members::default();
        members.add("requestParameters.userName");
        let record = br#"{"eventName":"A","responseElements":{"x":1},"requestParameters":{"userName":"b"},"a.b":2}"#;
        let read = members.read(record).unwrap();
        assert_eq!(read, json!({"eventName": "A", "requestParameters": {"userName": "b"}, "a.b": 2}));
    }

    #[test]
    fn a_record_deeper_than_any_parser_goes_is_still_looked_at() {
        let deep = format!(r#"{{"a":{}1{},"eventName":"A"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let read = Members::All.read(deep.as_bytes()).unwrap();
        assert_eq!(read["eventName"], "A");
    }

    #[test]
    fn the_last_of_two_members_counts() {
        assert_eq!(Members::All.read(br#"{"a":1,"a":{"b":[2]}}"#).unwrap(), json!({"a": {"b": [2]}}));
    }

    #[test]
    fn what_is_no_object_is_unreadable() {
        for record in [&b"[]"[..], b"{", b"", b"{} x", b"\xff"] {
            assert!(Members::All.read(record).is_err());
        }
    }
}
