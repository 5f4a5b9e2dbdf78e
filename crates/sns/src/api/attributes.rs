//! Attributes of topics.

use std::collections::BTreeMap;

use opentrail_catalog::Expect;
use opentrail_wire::sns::{GetTopicAttributesInput, GetTopicAttributesOutput, SetTopicAttributesInput};

use super::Cx;
use crate::delivery_policy::{DeliveryPolicy, Effective};
use crate::error::SnsError;
use crate::permissions;
use crate::repository::put_topic;
use crate::topic::{SignatureVersion, Topic};

/// The most characters of a display name. (Developer Guide, "Creating an Amazon SNS topic".)
const MOST_DISPLAY_NAME: usize = 100;

pub(super) async fn get(cx: &Cx<'_>, input: GetTopicAttributesInput) -> Result<GetTopicAttributesOutput, SnsError> {
    let topic = cx.topic(&input.topic_arn, "SNS:GetTopicAttributes").await?;
    let counts = cx.sns.count(&topic.arn).await?;
    let mut attributes = BTreeMap::new();
    let mut put = |name: &str, value: String| _ = attributes.insert(name.to_owned(), value);
    put("TopicArn", topic.arn.to_string());
    put("Owner", topic.arn.account.to_string());
    put("Policy", permissions::text_of(&topic));
    put("DisplayName", topic.display_name.clone());
    put("SubscriptionsPending", counts["pending"].to_string());
    put("SubscriptionsConfirmed", counts["confirmed"].to_string());
    put("SubscriptionsDeleted", topic.deleted.to_string());
    put("EffectiveDeliveryPolicy", Effective::topic_json(topic.delivery_policy.as_deref()));
    if let Some(policy) = &topic.delivery_policy {
        put("DeliveryPolicy", policy.clone());
    }
    // "If the API response does not include the SignatureVersion attribute, it means … 1."
    if topic.signature_version == SignatureVersion::V2 {
        put("SignatureVersion", topic.signature_version.as_str().to_owned());
    }
    if let Some(tracing) = &topic.tracing {
        put("TracingConfig", tracing.clone());
    }
    Ok(GetTopicAttributesOutput { attributes: Some(attributes) })
}

pub(super) async fn set(cx: &Cx<'_>, input: SetTopicAttributesInput) -> Result<(), SnsError> {
    let SetTopicAttributesInput { topic_arn, attribute_name, attribute_value } = input;
    cx.topic(&topic_arn, "SNS:SetTopicAttributes").await?;
    // Read again under the right to change: what others set meanwhile stays.
    let _changing = cx.sns.changing.lock().await;
    let arn = cx.topic_arn(&topic_arn)?;
    let found = cx.sns.repository.topic(&arn).await?.ok_or_else(SnsError::no_topic)?;
    let mut topic = found.value;
    apply(&mut topic, &attribute_name, attribute_value.as_deref().unwrap_or_default())?;
    cx.sns.repository.commit(vec![put_topic(&topic, Expect::Revision(found.revision))]).await
}

/// Sets one attribute of a topic; an empty value takes it back.
pub(super) fn apply(topic: &mut Topic, name: &str, value: &str) -> Result<(), SnsError> {
    let given = Some(value.to_owned()).filter(|value| !value.is_empty());
    match name {
        "Policy" => {
            if let Some(policy) = &given {
                permissions::check(policy)?;
            }
            topic.policy = given;
        }
        "DisplayName" => {
            if value.chars().count() > MOST_DISPLAY_NAME || value.chars().any(char::is_control) {
                let why = format!("it has at most {MOST_DISPLAY_NAME} characters, none of them a control character");
                return Err(SnsError::parameter("DisplayName", why));
            }
            value.clone_into(&mut topic.display_name);
        }
        "DeliveryPolicy" => {
            if let Some(policy) = &given {
                DeliveryPolicy::of_topic(policy)?;
            }
            topic.delivery_policy = given;
        }
        "SignatureVersion" => {
            topic.signature_version = match value {
                "1" => SignatureVersion::V1,
                "2" => SignatureVersion::V2,
                _ => return Err(SnsError::parameter("SignatureVersion", "it must be 1 or 2")),
            };
        }
        "TracingConfig" => match value {
            "PassThrough" => topic.tracing = given,
            _ => return Err(SnsError::parameter("TracingConfig", "only PassThrough is available here")),
        },
        // What a topic has that is not of another kind.
        "FifoTopic" | "ContentBasedDeduplication" if value == "false" => {}
        "KmsMasterKeyId" if given.is_none() => {}
        _ if is_known(name) => return Err(SnsError::parameter(name, "this attribute is not available here")),
        _ => return Err(SnsError::InvalidParameter("AttributeName".to_owned())),
    }
    Ok(())
}

/// Attributes of SNS that are not built. (API Reference, SetTopicAttributes.)
fn is_known(name: &str) -> bool {
    let other = [
        "ArchivePolicy",
        "ContentBasedDeduplication",
        "DataProtectionPolicy",
        "FifoThroughputScope",
        "FifoTopic",
        "KmsMasterKeyId",
    ];
    let feedback = ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"];
    other.contains(&name) || feedback.iter().any(|end| name.ends_with(end))
}
