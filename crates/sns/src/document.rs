//! The JSON documents that endpoints receive, and the text that a signature is over. (Developer Guide, "Parsing Amazon
//! SNS message formats", "Verifying the signatures of Amazon SNS messages".)

use opentrail_model::Timestamp;
use serde_json::{Value, json};

use crate::arn::SubscriptionArn;
use crate::endpoint::Protocol;
use crate::links::Links;
use crate::message::{Kind, Message};
use crate::signing::{SigningError, SigningKey};
use crate::topic::SignatureVersion;

/// Makes the document of `message` for the endpoint of `subscription`.
pub(crate) fn document(
    message: &Message,
    protocol: Protocol,
    subscription: &SubscriptionArn,
    links: &Links,
    key: &SigningKey,
    version: SignatureVersion,
) -> Result<String, SigningError> {
    let topic = message.topic.to_string();
    let (id, time) = (message.id.to_string(), stamp(message.published));
    let text = text_of(message, protocol);
    let token = match &message.kind {
        Kind::Notification => None,
        Kind::SubscriptionConfirmation { token } | Kind::UnsubscribeConfirmation { token } => Some(token),
    };
    let subscribe = token.map(|token| links.confirm(&message.topic, token));

    let mut members: Vec<(&str, &str)> = vec![("Type", message.kind.as_str()), ("MessageId", &id)];
    members.extend(token.map(|token| ("Token", token.as_str())));
    members.push(("TopicArn", &topic));
    members.extend(message.subject.as_deref().map(|subject| ("Subject", subject)));
    members.push(("Message", &text));
    members.extend(subscribe.as_deref().map(|url| ("SubscribeURL", url)));
    members.push(("Timestamp", &time));

    let signature = key.sign(signed_text(&members).as_bytes())?;
    let certificate = links.certificate(&key.id);
    let unsubscribe = links.unsubscribe(subscription);
    members.push(("SignatureVersion", version.as_str()));
    members.push(("Signature", &signature));
    members.push(("SigningCertURL", &certificate));
    if message.kind == Kind::Notification {
        members.push(("UnsubscribeURL", &unsubscribe));
    }
    let mut lines: Vec<String> = members.iter().map(|(name, value)| line(name, &json!(value))).collect();
    if message.kind == Kind::Notification && !message.attributes.is_empty() {
        lines.push(line("MessageAttributes", &attributes(message)));
    }
    Ok(format!("{{\n{}\n}}", lines.join(",\n")))
}

/// What the message says to the endpoint.
pub(crate) fn text_of(message: &Message, protocol: Protocol) -> String {
    let topic = &message.topic;
    match &message.kind {
        Kind::Notification => message.text.to(protocol).to_owned(),
        Kind::SubscriptionConfirmation { .. } => format!(
            "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL \
             included in this message."
        ),
        Kind::UnsubscribeConfirmation { .. } => format!(
            "You have chosen to deactivate the subscription of the topic {topic}.\nTo cancel this operation and \
             restore the subscription, visit the SubscribeURL included in this message."
        ),
    }
}

/// `2012-05-02T00:54:06.655Z`.
pub(crate) fn stamp(time: Timestamp) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// Each signed member's name and value, by name, each followed by a line end.
fn signed_text(members: &[(&str, &str)]) -> String {
    let mut sorted: Vec<_> = members.to_vec();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    sorted.iter().map(|(name, value)| format!("{name}\n{value}\n")).collect()
}

fn line(name: &str, value: &Value) -> String {
    format!("  \"{name}\" : {value}")
}

fn attributes(message: &Message) -> Value {
    let one = |(name, one): (&String, &crate::message::MessageAttribute)| {
        (name.clone(), json!({ "Type": one.data_type, "Value": one.value }))
    };
    Value::Object(message.attributes.iter().map(one).collect())
}
