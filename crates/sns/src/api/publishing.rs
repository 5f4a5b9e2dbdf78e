//! Messages to topics.

use std::collections::{BTreeMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_wire::sigv4::QueryError;
use opentrail_wire::sns::{
    BatchResultErrorEntry, MessageAttributeValue, PublishBatchInput, PublishBatchOutput, PublishBatchRequestEntry,
    PublishBatchResultEntry, PublishInput, PublishOutput,
};

use super::Cx;
use crate::error::SnsError;
use crate::message::{MOST_BYTES, MessageAttribute, NewMessage, Text, is_type};

/// Messages of a batch. (API Reference, PublishBatch.)
const MOST_IN_BATCH: usize = 10;

type Ready = (NewMessage, Text, Option<String>);

pub(super) async fn publish(cx: &Cx<'_>, input: PublishInput) -> Result<PublishOutput, SnsError> {
    if input.phone_number.is_some() {
        return Err(SnsError::parameter("PhoneNumber", "text messages are not available here; publish to a topic"));
    }
    let topic = match (&input.topic_arn, &input.target_arn) {
        (Some(arn), None) | (None, Some(arn)) => arn,
        _ => return Err(SnsError::parameter("TopicArn or TargetArn", "exactly one of them must be given")),
    };
    if topic.contains(":endpoint/") || topic.contains(":app/") {
        return Err(SnsError::parameter("TargetArn", "mobile applications are not available here; publish to a topic"));
    }
    let topic = cx.topic(topic, "SNS:Publish").await?;
    let entry = PublishBatchRequestEntry {
        id: String::new(),
        message: input.message,
        subject: input.subject,
        message_structure: input.message_structure,
        message_attributes: input.message_attributes,
        message_deduplication_id: input.message_deduplication_id,
        message_group_id: input.message_group_id,
    };
    let ids = cx.sns.publish(&topic, vec![ready(entry)?]).await?;
    Ok(PublishOutput { message_id: ids.first().map(ToString::to_string), sequence_number: None })
}

pub(super) async fn publish_batch(cx: &Cx<'_>, input: PublishBatchInput) -> Result<PublishBatchOutput, SnsError> {
    let topic = cx.topic(&input.topic_arn, "SNS:Publish").await?;
    let entries = input.publish_batch_request_entries;
    check_batch(&entries)?;
    let (mut messages, mut ids, mut failed, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for entry in entries {
        let id = entry.id.clone();
        match ready(entry) {
            Ok(message) => {
                bytes += message.0.bytes();
                messages.push(message);
                ids.push(id);
            }
            Err(error) => failed.push(failure(id, error)),
        }
    }
    if bytes > MOST_BYTES {
        return Err(SnsError::BatchRequestTooLong);
    }
    let published = if messages.is_empty() { Vec::new() } else { cx.sns.publish(&topic, messages).await? };
    let successful = ids.into_iter().zip(published).map(|(id, message)| PublishBatchResultEntry {
        id: Some(id),
        message_id: Some(message.to_string()),
        sequence_number: None,
    });
    Ok(PublishBatchOutput { successful: Some(successful.collect()), failed: Some(failed) })
}

fn check_batch(entries: &[PublishBatchRequestEntry]) -> Result<(), SnsError> {
    if entries.is_empty() {
        return Err(SnsError::EmptyBatchRequest);
    }
    if entries.len() > MOST_IN_BATCH {
        return Err(SnsError::TooManyEntriesInBatchRequest(entries.len()));
    }
    let mut ids = HashSet::new();
    for PublishBatchRequestEntry { id, .. } in entries {
        let spelled = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !(1..=80).contains(&id.len()) || !id.bytes().all(spelled) {
            return Err(SnsError::InvalidBatchEntryId(id.chars().take(100).collect()));
        }
        if !ids.insert(id) {
            return Err(SnsError::BatchEntryIdsNotDistinct(id.clone()));
        }
    }
    Ok(())
}

fn failure(id: String, error: SnsError) -> BatchResultErrorEntry {
    let error = QueryError::from(error);
    BatchResultErrorEntry {
        id,
        code: error.code.to_owned(),
        message: Some(error.message),
        sender_fault: !error.status.is_server_error(),
    }
}

/// A checked message.
fn ready(entry: PublishBatchRequestEntry) -> Result<Ready, SnsError> {
    if entry.message_deduplication_id.is_some() {
        let why = "The request includes MessageDeduplicationId parameter that is not valid for this topic type";
        return Err(SnsError::parameter("MessageDeduplicationId", why));
    }
    let group = entry.message_group_id;
    if group
        .as_ref()
        .is_some_and(|group| !(1..=128).contains(&group.len()) || !group.bytes().all(|b| b.is_ascii_graphic()))
    {
        let why = "it has up to 128 letters, digits and punctuation marks";
        return Err(SnsError::parameter("MessageGroupId", why));
    }
    let mut attributes = BTreeMap::new();
    for (name, value) in entry.message_attributes.unwrap_or_default() {
        let attribute = attribute(&name, value)?;
        attributes.insert(name, attribute);
    }
    let message = NewMessage { subject: entry.subject, message: entry.message, attributes, deduplication: None };
    message.check()?;
    let text = Text::parse(&message.message, entry.message_structure.as_deref())?;
    Ok((message, text, group))
}

fn attribute(name: &str, given: MessageAttributeValue) -> Result<MessageAttribute, SnsError> {
    let MessageAttributeValue { data_type, string_value, binary_value } = given;
    let value = match (is_type(&data_type, "Binary"), string_value, binary_value) {
        (true, None, Some(bytes)) => STANDARD.encode(bytes.0),
        (false, Some(text), None) => text,
        (_, None, None) => String::new(),
        _ => {
            let message = format!("The message attribute '{name}' must have a value of its type {data_type} alone.");
            return Err(SnsError::ParameterValueInvalid(message));
        }
    };
    Ok(MessageAttribute { data_type, value })
}
