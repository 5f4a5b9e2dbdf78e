//! Operations on topics as such.

use opentrail_catalog::Expect;
use opentrail_identity::Context;
use opentrail_wire::sns::{
    CreateTopicInput, CreateTopicOutput, DeleteTopicInput, ListTopicsInput, ListTopicsOutput, Topic as TopicEntry,
};

use super::attributes::apply;
use super::paging::{self, PAGE_AND_ONE};
use super::{Cx, tags};
use crate::arn::{TopicArn, is_topic_name};
use crate::error::SnsError;
use crate::repository::put_topic;
use crate::topic::{Tag, Topic};

/// Topics of an account in a Region; AWS has 100,000. A choice of ours.
const MOST_TOPICS: usize = 10_000;

pub(super) async fn create(cx: &Cx<'_>, input: CreateTopicInput) -> Result<CreateTopicOutput, SnsError> {
    let CreateTopicInput { name, attributes, tags: given, data_protection_policy } = input;
    let attributes = attributes.unwrap_or_default();
    let fifo = attributes.get("FifoTopic").is_some_and(|value| value == "true") || name.ends_with(".fifo");
    if fifo {
        return Err(SnsError::parameter("Topic Name", "FIFO topics are not available here; create a standard topic"));
    }
    if !is_topic_name(&name) {
        return Err(SnsError::InvalidParameter("Topic Name".to_owned()));
    }
    if data_protection_policy.is_some() {
        return Err(SnsError::parameter("DataProtectionPolicy", "data protection policies are not available here"));
    }
    let arn = TopicArn { account: cx.account(), region: cx.call.region.clone(), name };
    cx.touch(&arn);
    let tags = tags::from_wire(given.unwrap_or_default())?;
    let conditions = tags::in_request(cx.conditions(), &tags);
    cx.authorize("SNS:CreateTopic", &arn, None, conditions.clone())?;
    if !tags.is_empty() {
        cx.authorize("SNS:TagResource", &arn, None, conditions)?;
    }
    let mut wanted = Topic::new(arn.clone(), cx.sns.now());
    for (name, value) in &attributes {
        apply(&mut wanted, name, value)?;
    }
    wanted.tags = tags.clone();

    let _changing = cx.sns.changing.lock().await;
    if let Some(found) = cx.sns.repository.topic(&arn).await? {
        require_same(&found.value, &wanted, attributes.keys(), &tags)?;
        return Ok(CreateTopicOutput { topic_arn: Some(arn.to_string()) });
    }
    let all = cx.sns.repository.topics(cx.account(), &arn.region, "", MOST_TOPICS).await?;
    if all.len() >= MOST_TOPICS {
        let message = format!("an account has at most {MOST_TOPICS} topics in a Region");
        return Err(SnsError::TopicLimitExceeded(message));
    }
    cx.sns.repository.commit(vec![put_topic(&wanted, Expect::Absent)]).await?;
    Ok(CreateTopicOutput { topic_arn: Some(arn.to_string()) })
}

/// A topic that is there already is the answer, unless the request wants another. (API Reference, CreateTopic.)
fn require_same<'a>(
    found: &Topic,
    wanted: &Topic,
    names: impl Iterator<Item = &'a String>,
    tags: &[Tag],
) -> Result<(), SnsError> {
    for name in names {
        let same = match name.as_str() {
            "Policy" => found.policy == wanted.policy,
            "DisplayName" => found.display_name == wanted.display_name,
            "DeliveryPolicy" => found.delivery_policy == wanted.delivery_policy,
            "SignatureVersion" => found.signature_version == wanted.signature_version,
            "TracingConfig" => found.tracing == wanted.tracing,
            _ => true,
        };
        if !same {
            return Err(SnsError::parameter("Attributes", "Topic already exists with different attributes"));
        }
    }
    let sorted = |tags: &[Tag]| {
        let mut pairs: Vec<_> = tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        pairs.sort();
        pairs
    };
    if !tags.is_empty() && sorted(tags) != sorted(&found.tags) {
        return Err(SnsError::parameter("Tags", "Topic already exists with different tags"));
    }
    Ok(())
}

/// Deleting a topic that is not there is no error. (API Reference, DeleteTopic.)
pub(super) async fn delete(cx: &Cx<'_>, input: DeleteTopicInput) -> Result<(), SnsError> {
    let arn = cx.topic_arn(&input.topic_arn)?;
    let found = cx.sns.repository.topic(&arn).await?;
    cx.authorize("SNS:DeleteTopic", &arn, found.as_ref().map(|found| &found.value), cx.conditions())?;
    if found.is_some() { cx.sns.delete_topic(&arn).await } else { Ok(()) }
}

pub(super) async fn list(cx: &Cx<'_>, input: ListTopicsInput) -> Result<ListTopicsOutput, SnsError> {
    cx.authorize_plainly("SNS:ListTopics")?;
    let after = paging::after(input.next_token.as_deref())?;
    let found = cx.sns.repository.topics(cx.account(), &cx.call.region, &after, PAGE_AND_ONE).await?;
    let (topics, next_token) = paging::page(found.into_iter().map(|arn| (arn.name.clone(), arn)).collect());
    let entry = |arn: TopicArn| TopicEntry { topic_arn: Some(arn.to_string()) };
    Ok(ListTopicsOutput { topics: Some(topics.into_iter().map(entry).collect()), next_token })
}

/// The condition keys that a Subscribe has of its own. (Developer Guide, "Amazon SNS policy keys".)
pub(super) fn with_endpoint(conditions: Context, protocol: &str, endpoint: &str) -> Context {
    conditions.with("sns:Protocol", protocol).with("sns:Endpoint", endpoint)
}
