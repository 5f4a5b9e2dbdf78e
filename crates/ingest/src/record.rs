//! What bytes must be to be a record, and whose record they are.

use std::borrow::Cow;
use std::fmt;

use opentrail_model::{AccountId, MAX_RECORD_BYTES, RecordError};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// Levels of objects and arrays inside one another that a record may have.
pub const MAX_DEPTH: usize = 64;

/// Checks that bytes are one record: strict JSON (RFC 8259) in UTF-8, an object, of at most [`MAX_RECORD_BYTES`] and
/// [`MAX_DEPTH`] levels. Its memory and stack do not grow with the depth.
///
/// # Errors
/// What to change, by the first reason found.
pub fn check(bytes: &[u8]) -> Result<(), RecordError> {
    envelope(bytes).map(drop)
}

/// What has to be known of a record to put it where it belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `eventID`, if it is a text. Not always a UUID.
    pub event_id: Option<Cow<'a, str>>,
    /// `eventTime`, if it is a text.
    pub event_time: Option<Cow<'a, str>>,
    /// `recipientAccountId`, else `userIdentity.accountId`, where they are account ids.
    pub account: Option<AccountId>,
}

/// Checks a record as [`check`] does and tells what is on it. Of a repeated key the last one counts.
///
/// # Errors
/// What to change, by the first reason found.
pub fn envelope(bytes: &[u8]) -> Result<Envelope<'_>, RecordError> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(RecordError::TooLarge { size_bytes: bytes.len() });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| RecordError::Json { reason: "no UTF-8".into(), offset: error.valid_up_to() })?;
    let is_object = text.trim_ascii_start().starts_with('{');
    let mut parser = serde_json::Deserializer::from_str(text);
    let mut found = Fields::default();
    let parsed = if is_object {
        (&mut parser).deserialize_map(Top(&mut found))
    } else {
        (&mut parser).deserialize_ignored_any(IgnoredAny).map(drop)
    };
    parsed.and_then(|()| parser.end()).map_err(|error| json_error(text, &error))?;
    if !is_object {
        return Err(RecordError::NotAnObject);
    }
    if depth(bytes) > MAX_DEPTH {
        return Err(RecordError::TooDeep { limit: MAX_DEPTH });
    }
    let Fields { event_id, event_time, recipient, identity } = found;
    Ok(Envelope { event_id, event_time, account: recipient.or(identity) })
}

/// The parser's word without its line and column, and the byte at which it stopped.
fn json_error(text: &str, error: &serde_json::Error) -> RecordError {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let reason = error.to_string();
    let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
    RecordError::Json { reason, offset: (line_start + error.column().saturating_sub(1)).min(text.len()) }
}

/// How deep valid JSON nests.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0_usize, 0, 0);
    while at < json.len() {
        match json[at] {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                at += 1;
                while let Some(found) = memchr::memchr2(b'"', b'\\', &json[at.min(json.len())..]) {
                    at += found;
                    if json[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
            }
            _ => {}
        }
        at += 1;
    }
    deepest
}

#[derive(Default)]
struct Fields<'a> {
    event_id: Option<Cow<'a, str>>,
    event_time: Option<Cow<'a, str>>,
    recipient: Option<AccountId>,
    identity: Option<AccountId>,
}

/// Visits the record's own members.
struct Top<'f, 'a>(&'f mut Fields<'a>);

impl<'a> Visitor<'a> for Top<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key_seed(Text)? {
            match key.as_deref() {
                Some("eventID") => self.0.event_id = map.next_value_seed(Text)?,
                Some("eventTime") => self.0.event_time = map.next_value_seed(Text)?,
                Some("recipientAccountId") => self.0.recipient = account(map.next_value_seed(Text)?),
                Some("userIdentity") => self.0.identity = map.next_value_seed(Identity)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

fn account(text: Option<Cow<'_, str>>) -> Option<AccountId> {
    text?.parse().ok()
}

/// Any value; a text is given, all else is `None`.
struct Text;

impl<'a> DeserializeSeed<'a> for Text {
    type Value = Option<Cow<'a, str>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Text {
    type Value = Option<Cow<'a, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: de::SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// The value of `userIdentity`: its `accountId`, whatever else it is.
struct Identity;

impl<'a> DeserializeSeed<'a> for Identity {
    type Value = Option<AccountId>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Identity {
    type Value = Option<AccountId>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: de::SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key_seed(Text)? {
            match key.as_deref() {
                Some("accountId") => found = account(map.next_value_seed(Text)?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_strict_json_object() {
        for good in ["{}", " {\"a\":1}\n", "{\"a\":1,\"a\":[null,true,-1.5e3,\"\\u00e9\"]}"] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in
            ["", "{", "{}{}", "{\"a\":01}", "{'a':1}", "{\"a\":1,}", "{\"a\":\"\t\"}", "{\"a\":NaN}", "{\"a\"}", "nul"]
        {
            assert!(matches!(check(bad.as_bytes()), Err(RecordError::Json { .. })), "{bad}");
        }
        assert!(matches!(check(b"{\"a\":\"\xff\"}"), Err(RecordError::Json { offset: 6, .. })));
        for other in ["[]", "1", "\"{}\"", "null"] {
            assert_eq!(check(other.as_bytes()), Err(RecordError::NotAnObject), "{other}");
        }
    }

    #[test]
    fn an_error_names_the_byte() {
        for (bad, at) in [("{\"a\":x}", 5), ("{\n\"a\":\nx}", 7)] {
            match check(bad.as_bytes()) {
                Err(RecordError::Json { offset, .. }) => assert_eq!(offset, at, "{bad:?}"),
                other => panic!("{bad:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn sixty_four_levels_are_taken_and_any_more_are_refused_without_growing_the_stack() {
        let nested = |levels: usize| format!("{}{}", "{\"a\":".repeat(levels - 1) + "{", "}".repeat(levels));
        assert_eq!(check(nested(64).as_bytes()), Ok(()));
        assert_eq!(check(nested(65).as_bytes()), Err(RecordError::TooDeep { limit: 64 }));
        let deep = format!("{{\"userIdentity\":{}{}}}", "[".repeat(400_000), "]".repeat(400_000));
        assert_eq!(check(deep.as_bytes()), Err(RecordError::TooDeep { limit: 64 }));
        assert_eq!(check(b"{\"a\":\"[[[\\\"[[[\\\\\"}"), Ok(()));
    }

    #[test]
    fn the_largest_record_is_taken_and_one_byte_more_is_not() {
        let sized = |size: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(size - 8));
        assert_eq!(check(sized(MAX_RECORD_BYTES).as_bytes()), Ok(()));
        let size_bytes = MAX_RECORD_BYTES + 1;
        assert_eq!(check(sized(size_bytes).as_bytes()), Err(RecordError::TooLarge { size_bytes }));
    }

    #[test]
    fn the_account_is_the_recipient_before_the_caller_and_odd_types_are_passed_over() {
        let account = |json: &str| envelope(json.as_bytes()).unwrap().account.map(|account| account.to_string());
        let both = r#"{"userIdentity":{"accountId":"111111111111"},"recipientAccountId":"222222222222"}"#;
        assert_eq!(account(both).as_deref(), Some("222222222222"));
        let odd = r#"{"userIdentity":{"accountId":"111111111111","x":[1]},"recipientAccountId":5}"#;
        assert_eq!(account(odd).as_deref(), Some("111111111111"));
        for none in [r#"{"userIdentity":"root"}"#, r#"{"userIdentity":[{}]}"#, r#"{"recipientAccountId":"anonymous"}"#]
        {
            assert_eq!(account(none), None, "{none}");
        }
        let id = envelope(br#"{"eventID":{"a":1},"eventID":"\u0041"}"#).unwrap().event_id;
        assert_eq!(id.as_deref(), Some("A"));
    }
}
