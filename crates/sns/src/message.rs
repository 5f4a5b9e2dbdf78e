//! Messages: what may be published, and what is kept of it until every endpoint has it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::arn::TopicArn;
use crate::endpoint::Protocol;
use crate::error::SnsError;

/// The most bytes of a message with its attributes, and of the messages of a batch together. (API Reference, Publish,
/// `Message`: 262,144 bytes.)
pub(crate) const MOST_BYTES: usize = 262_144;

/// The most characters of a subject. (API Reference, Publish, `Subject`.)
const MOST_SUBJECT: usize = 100;

/// A message to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// `Subject`: up to 100 characters, no control characters.
    pub subject: Option<String>,
    /// `Message`: not empty; at most 262,144 bytes together with the attributes.
    pub message: String,
    /// By name.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// Publishing again to the same topic under the same key, within a day and while the message is not delivered,
    /// publishes nothing and answers the first message's id.
    pub deduplication: Option<String>,
}

/// A message attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAttribute {
    /// `String`, `String.Array`, `Number` or `Binary`; `String`, `Number` and `Binary` with a suffix of the caller's too.
    pub data_type: String,
    /// Text; bytes in base64.
    pub value: String,
}

/// A message on its way, as the outbox keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: Uuid,
    pub(crate) topic: TopicArn,
    pub(crate) published: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) subject: Option<String>,
    pub(crate) text: Text,
    pub(crate) attributes: BTreeMap<String, MessageAttribute>,
    /// `MessageGroupId`, for queues.
    pub(crate) group: Option<String>,
}

/// What a message is for. (Developer Guide, "Parsing Amazon SNS message formats".)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Notification,
    SubscriptionConfirmation { token: String },
    UnsubscribeConfirmation { token: String },
}

/// The text of a message: one for all, or one for each protocol (`MessageStructure` `json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Text {
    Same(String),
    ByProtocol { default: String, others: BTreeMap<String, String> },
}

impl Kind {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation { .. } => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation { .. } => "UnsubscribeConfirmation",
        }
    }
}

impl Text {
    /// Reads `Message` as `MessageStructure` says.
    pub(crate) fn parse(message: &str, structure: Option<&str>) -> Result<Self, SnsError> {
        let wrong = |why: &str| Err(SnsError::InvalidParameter(format!("Message Structure - {why}")));
        match structure {
            None | Some("") => Ok(Self::Same(message.to_owned())),
            Some("json") => {
                let Ok(Value::Object(members)) = serde_json::from_str(message) else {
                    return wrong("JSON message body failed to parse");
                };
                let mut others = BTreeMap::new();
                let mut default = None;
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("default", Value::String(text)) => default = Some(text),
                        (_, Value::String(text)) if Protocol::ALL.iter().any(|one| one.as_str() == name) => {
                            others.insert(name, text);
                        }
                        _ => {}
                    }
                }
                match default {
                    Some(default) => Ok(Self::ByProtocol { default, others }),
                    None => wrong("No default entry in JSON message body"),
                }
            }
            Some(_) => Err(SnsError::InvalidParameter("MessageStructure".to_owned())),
        }
    }

    /// The text for an endpoint.
    pub(crate) fn to(&self, protocol: Protocol) -> &str {
        match self {
            Self::Same(text) => text,
            Self::ByProtocol { default, others } => others.get(protocol.as_str()).unwrap_or(default),
        }
    }

    /// The text that filter policies on the body look at.
    pub(crate) fn plain(&self) -> &str {
        match self {
            Self::Same(text) => text,
            Self::ByProtocol { default, .. } => default,
        }
    }
}

impl NewMessage {
    /// How many bytes count against the limit: the message, and each attribute's name, type and value.
    pub(crate) fn bytes(&self) -> usize {
        let attribute = |(name, one): (&String, &MessageAttribute)| {
            let value = if is_type(&one.data_type, "Binary") { one.value.len() / 4 * 3 } else { one.value.len() };
            name.len() + one.data_type.len() + value
        };
        self.message.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// Checks what SNS checks.
    pub(crate) fn check(&self) -> Result<(), SnsError> {
        if self.message.is_empty() {
            return Err(SnsError::InvalidParameter("Empty message".to_owned()));
        }
        for (name, attribute) in &self.attributes {
            attribute.check(name)?;
        }
        if self.bytes() > MOST_BYTES {
            return Err(SnsError::InvalidParameter("Message too long".to_owned()));
        }
        match &self.subject {
            Some(subject)
                if subject.is_empty()
                    || subject.chars().count() > MOST_SUBJECT
                    || subject.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) =>
            {
                Err(SnsError::InvalidParameter("Subject".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl MessageAttribute {
    /// Text.
    pub fn text(value: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), value: value.into() }
    }

    /// Checks name, type and value. (Developer Guide, "Amazon SNS message attributes".)
    fn check(&self, name: &str) -> Result<(), SnsError> {
        let wrong = |why: String| Err(SnsError::ParameterValueInvalid(why));
        let lower = name.to_ascii_lowercase();
        let spelled = (1..=256).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..");
        if !spelled || lower.starts_with("aws.") || lower.starts_with("amazon.") {
            return wrong(format!(
                "The message attribute name {name:?} is not valid: use up to 256 letters, digits, '_', '-' and single \
                 '.' between them, not beginning with AWS. or Amazon."
            ));
        }
        let data_type = &self.data_type;
        let known = ["String", "Number", "Binary"].into_iter().any(|base| is_type(data_type, base));
        if !known || data_type.len() > 256 {
            return wrong(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                 prefixes is Binary, Number, and String."
            ));
        }
        if self.value.is_empty() {
            return wrong(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message attribute \
                 type '{data_type}'."
            ));
        }
        if is_type(data_type, "Number") && !self.value.trim().parse::<f64>().is_ok_and(f64::is_finite) {
            return wrong(format!("Could not cast message attribute '{name}' value to number."));
        }
        if is_type(data_type, "Binary") && STANDARD.decode(&self.value).is_err() {
            return wrong(format!("The message attribute '{name}' must hold base64."));
        }
        if data_type == "String.Array" && !matches!(serde_json::from_str(&self.value), Ok(Value::Array(_))) {
            return wrong(format!("The message attribute '{name}' of type String.Array must hold a JSON array."));
        }
        Ok(())
    }
}

/// Whether `data_type` is `base`, or `base` with a suffix of the caller's.
pub(crate) fn is_type(data_type: &str, base: &str) -> bool {
    data_type.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: NewMessage) -> String {
        message.check().unwrap_err().to_string()
    }

    #[test]
    fn what_sns_refuses_is_refused() {
        let message = NewMessage { message: "m".to_owned(), ..NewMessage::default() };
        message.check().unwrap();
        assert_eq!(refused(NewMessage::default()), "Invalid parameter: Empty message");
        let long = NewMessage { message: "x".repeat(MOST_BYTES + 1), ..NewMessage::default() };
        assert_eq!(refused(long), "Invalid parameter: Message too long");
        for subject in ["", "a\nBcc: x", "a\r", "a\u{2028}b", &"x".repeat(101)] {
            let message = NewMessage { subject: Some(subject.to_owned()), ..message.clone() };
            assert_eq!(refused(message), "Invalid parameter: Subject", "{subject:?}");
        }
        let subject = Some("ü".repeat(100));
        NewMessage { subject, ..message }.check().unwrap();
    }

    #[test]
    fn attributes_have_a_name_a_type_and_a_value_of_it() {
        let check = |name: &str, data_type: &str, value: &str| {
            MessageAttribute { data_type: data_type.to_owned(), value: value.to_owned() }.check(name)
        };
        for (data_type, value) in
            [("String", "a"), ("String.Array", "[1]"), ("Number", "-1.5e3"), ("Number.int", "7"), ("Binary", "AAE=")]
        {
            check("a.b-c_d", data_type, value).unwrap();
        }
        for (name, data_type, value) in [
            ("a", "String", ""),
            ("a", "Strings", "x"),
            ("a", "Number", "x"),
            ("a", "Number", "NaN"),
            ("a", "Binary", "?"),
            ("a", "String.Array", "x"),
            ("AWS.a", "String", "x"),
            (".a", "String", "x"),
            ("a..b", "String", "x"),
            ("", "String", "x"),
            ("a b", "String", "x"),
        ] {
            assert!(check(name, data_type, value).is_err(), "{name} {data_type} {value}");
        }
    }

    #[test]
    fn a_structured_message_has_a_text_for_each_protocol() {
        let text = Text::parse(r#"{"default":"d","sqs":"q","http":1,"other":"o"}"#, Some("json")).unwrap();
        assert_eq!((text.to(Protocol::Sqs), text.to(Protocol::Http), text.plain()), ("q", "d", "d"));
        let wrong = |message, structure| Text::parse(message, Some(structure)).unwrap_err().to_string();
        assert_eq!(wrong("{}", "json"), "Invalid parameter: Message Structure - No default entry in JSON message body");
        assert_eq!(wrong("x", "json"), "Invalid parameter: Message Structure - JSON message body failed to parse");
        assert_eq!(wrong("x", "xml"), "Invalid parameter: MessageStructure");
        // As deep as it likes: read, and refused.
        assert!(Text::parse(&"[".repeat(200_000), Some("json")).is_err());
    }
}
