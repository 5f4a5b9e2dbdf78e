//! Attributes of subscriptions.

use std::collections::BTreeMap;

use opentrail_wire::sns::{
    GetSubscriptionAttributesInput, GetSubscriptionAttributesOutput, SetSubscriptionAttributesInput,
};
use serde_json::Value;

use super::Cx;
use crate::arn::QueueArn;
use crate::delivery_policy::{DeliveryPolicy, Effective};
use crate::endpoint::{Endpoint, Protocol};
use crate::error::SnsError;
use crate::filter::FilterPolicy;
use crate::subscription::{FilterScope, Settings, State};

pub(super) async fn get(
    cx: &Cx<'_>,
    input: GetSubscriptionAttributesInput,
) -> Result<GetSubscriptionAttributesOutput, SnsError> {
    let subscription = cx.subscription(&input.subscription_arn, "SNS:GetSubscriptionAttributes").await?;
    let topic = cx.sns.repository.topic(&subscription.arn.topic).await?;
    let settings = &subscription.settings;
    let authenticated = matches!(subscription.state, State::Confirmed { authenticated: true, .. });
    let mut attributes = BTreeMap::new();
    let mut put = |name: &str, value: String| _ = attributes.insert(name.to_owned(), value);
    put("SubscriptionArn", subscription.arn.to_string());
    put("TopicArn", subscription.arn.topic.to_string());
    put("Owner", subscription.owner.to_string());
    put("Protocol", subscription.endpoint.protocol.as_str().to_owned());
    put("Endpoint", subscription.endpoint.shown());
    put("ConfirmationWasAuthenticated", authenticated.to_string());
    put("PendingConfirmation", subscription.is_pending().to_string());
    put("RawMessageDelivery", settings.raw.to_string());
    if let Some(filter) = &settings.filter {
        put("FilterPolicy", filter.clone());
        put("FilterPolicyScope", settings.scope.as_str().to_owned());
    }
    if let Some(redrive) = &settings.redrive {
        put("RedrivePolicy", redrive.clone());
    }
    if let Some(policy) = &settings.delivery_policy {
        put("DeliveryPolicy", policy.clone());
    }
    if matches!(subscription.endpoint.protocol, Protocol::Http | Protocol::Https) {
        let of_topic = topic.and_then(|topic| topic.value.delivery_policy);
        let effective =
            Effective::new(subscription.endpoint.protocol, of_topic.as_deref(), settings.delivery_policy.as_deref());
        put("EffectiveDeliveryPolicy", effective.subscription_json());
    }
    Ok(GetSubscriptionAttributesOutput { attributes: Some(attributes) })
}

pub(super) async fn set(cx: &Cx<'_>, input: SetSubscriptionAttributesInput) -> Result<(), SnsError> {
    let SetSubscriptionAttributesInput { subscription_arn, attribute_name, attribute_value } = input;
    let subscription = cx.subscription(&subscription_arn, "SNS:SetSubscriptionAttributes").await?;
    let value = attribute_value.unwrap_or_default();
    let change = |settings: &mut Settings, found: &crate::subscription::Subscription| {
        apply(cx, settings, &found.endpoint, &attribute_name, &value)?;
        check_filter(settings)
    };
    cx.sns.change_settings(&subscription.arn, change).await
}

/// The settings that Subscribe's `Attributes` say.
pub(super) fn from_request(
    cx: &Cx<'_>,
    endpoint: &Endpoint,
    attributes: BTreeMap<String, String>,
) -> Result<Settings, SnsError> {
    let mut settings = Settings::default();
    for (name, value) in &attributes {
        apply(cx, &mut settings, endpoint, name, value)?;
    }
    check_filter(&settings)?;
    Ok(settings)
}

/// Sets one attribute; an empty value takes it back.
fn apply(cx: &Cx<'_>, settings: &mut Settings, endpoint: &Endpoint, name: &str, value: &str) -> Result<(), SnsError> {
    let given = Some(value.to_owned()).filter(|value| !value.is_empty());
    match name {
        "RawMessageDelivery" => {
            settings.raw = match value.to_ascii_lowercase().as_str() {
                "true" => true,
                "false" | "" => false,
                _ => return Err(SnsError::parameter("RawMessageDelivery", "it must be true or false")),
            };
            if settings.raw && matches!(endpoint.protocol, Protocol::Email | Protocol::EmailJson) {
                let why = format!("raw delivery is not for {}", endpoint.protocol.as_str());
                return Err(SnsError::parameter("RawMessageDelivery", why));
            }
        }
        // Checked when its scope is known.
        "FilterPolicy" => settings.filter = given,
        "FilterPolicyScope" => {
            settings.scope = match value {
                "MessageAttributes" => FilterScope::MessageAttributes,
                "MessageBody" => FilterScope::MessageBody,
                _ => {
                    return Err(SnsError::parameter(
                        "FilterPolicyScope",
                        "it must be MessageAttributes or MessageBody",
                    ));
                }
            };
        }
        "RedrivePolicy" => {
            if let Some(policy) = &given {
                check_redrive(cx, policy)?;
            }
            settings.redrive = given;
        }
        "DeliveryPolicy" => {
            if !matches!(endpoint.protocol, Protocol::Http | Protocol::Https) {
                return Err(SnsError::parameter("DeliveryPolicy", "it is for http and https endpoints only"));
            }
            if let Some(policy) = &given {
                DeliveryPolicy::of_subscription(policy)?;
            }
            settings.delivery_policy = given;
        }
        "ReplayPolicy" | "SubscriptionRoleArn" => {
            return Err(SnsError::parameter(name, "this attribute is not available here"));
        }
        _ => return Err(SnsError::InvalidParameter("AttributeName".to_owned())),
    }
    Ok(())
}

fn check_filter(settings: &Settings) -> Result<(), SnsError> {
    settings.filter.as_deref().map_or(Ok(()), |text| FilterPolicy::parse(text, settings.scope).map(drop))
}

/// A dead-letter queue is of the Region and, since nobody else could say yes, of the account of who names it.
fn check_redrive(cx: &Cx<'_>, policy: &str) -> Result<(), SnsError> {
    let wrong = |why: &str| Err(SnsError::parameter("RedrivePolicy", why));
    let Ok(Value::Object(members)) = serde_json::from_str(policy) else { return wrong("failed to parse JSON") };
    let target = members.get("deadLetterTargetArn").and_then(Value::as_str).unwrap_or_default();
    let Ok(queue) = target.parse::<QueueArn>() else {
        return wrong("deadLetterTargetArn must be the ARN of a standard queue");
    };
    if members.len() != 1 {
        return wrong("it has the member deadLetterTargetArn alone");
    }
    if queue.account != cx.account() || queue.region != cx.call.region.as_str() {
        return wrong("the dead-letter queue must be in the subscription's account and Region");
    }
    if cx.sns.queues.is_none() {
        return wrong("no SQS endpoint is configured on this server");
    }
    Ok(())
}
