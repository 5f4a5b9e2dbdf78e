//! Subscriptions as such.

use opentrail_wire::sns::{
    ConfirmSubscriptionInput, ConfirmSubscriptionOutput, ListSubscriptionsByTopicInput, ListSubscriptionsByTopicOutput,
    ListSubscriptionsInput, ListSubscriptionsOutput, SubscribeInput, SubscribeOutput, Subscription as Entry,
    UnsubscribeInput,
};

use super::paging::{self, PAGE_AND_ONE};
use super::{Cx, settings, topics};
use crate::changes::Proof;
use crate::endpoint::{Endpoint, Protocol};
use crate::error::SnsError;
use crate::subscription::Subscription;

pub(super) async fn subscribe(cx: &Cx<'_>, input: SubscribeInput) -> Result<SubscribeOutput, SnsError> {
    let SubscribeInput { topic_arn, protocol, endpoint, attributes, return_subscription_arn } = input;
    let address = endpoint.unwrap_or_default();
    let conditions = topics::with_endpoint(cx.conditions(), &protocol, &address);
    let topic = cx.topic_under(&topic_arn, "SNS:Subscribe", conditions).await?;
    let endpoint = Endpoint::parse(Protocol::parse(&protocol)?, &address)?;
    cx.sns.require_reachable(&endpoint)?;
    let wanted = settings::from_request(cx, &endpoint, attributes.unwrap_or_default())?;
    let subscription = cx.sns.subscribe(&topic, cx.account(), endpoint, wanted).await?;
    let shown = if subscription.is_confirmed() || return_subscription_arn == Some(true) {
        subscription.arn.to_string()
    } else {
        "pending confirmation".to_owned()
    };
    Ok(SubscribeOutput { subscription_arn: Some(shown) })
}

/// Whoever has the token may: the endpoint's owner, of whatever account.
pub(super) async fn confirm(
    cx: &Cx<'_>,
    input: ConfirmSubscriptionInput,
) -> Result<ConfirmSubscriptionOutput, SnsError> {
    let topic = cx.topic_arn(&input.topic_arn)?;
    cx.authorize_plainly("SNS:ConfirmSubscription")?;
    let authenticate = match input.authenticate_on_unsubscribe.as_deref() {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(_) => return Err(SnsError::parameter("AuthenticateOnUnsubscribe", "it must be true or false")),
    };
    let arn = cx.sns.confirm(&topic, &input.token, Proof::Signed, authenticate).await?;
    Ok(ConfirmSubscriptionOutput { subscription_arn: Some(arn.to_string()) })
}

pub(super) async fn unsubscribe(cx: &Cx<'_>, input: UnsubscribeInput) -> Result<(), SnsError> {
    let subscription = cx.subscription(&input.subscription_arn, "SNS:Unsubscribe").await?;
    // Only signed requests come here; they are of the account that has the subscription or its topic.
    match cx.sns.unsubscribe(&subscription.arn, Proof::Signed).await {
        // Somebody else was quicker.
        Err(SnsError::NotFound(_)) => Ok(()),
        done => done,
    }
}

pub(super) async fn list(cx: &Cx<'_>, input: ListSubscriptionsInput) -> Result<ListSubscriptionsOutput, SnsError> {
    cx.authorize_plainly("SNS:ListSubscriptions")?;
    let after = paging::after(input.next_token.as_deref())?;
    let now = cx.sns.now();
    let held = cx.sns.repository.page_of_owner(cx.account(), &cx.call.region, &after, PAGE_AND_ONE).await?;
    let (arns, next_token) = paging::page(held);
    let mut entries = Vec::new();
    for arn in arns {
        let found = cx.sns.repository.subscription(&arn, now).await?;
        entries.extend(found.filter(|found| found.value.is_shown(now)).map(|found| entry(&found.value)));
    }
    Ok(ListSubscriptionsOutput { subscriptions: Some(entries), next_token })
}

pub(super) async fn list_by_topic(
    cx: &Cx<'_>,
    input: ListSubscriptionsByTopicInput,
) -> Result<ListSubscriptionsByTopicOutput, SnsError> {
    let topic = cx.topic(&input.topic_arn, "SNS:ListSubscriptionsByTopic").await?;
    let after = paging::after(input.next_token.as_deref())?;
    let now = cx.sns.now();
    let found = cx.sns.repository.page_of_topic(&topic.arn, &after, PAGE_AND_ONE).await?;
    let (page, next_token) = paging::page(found);
    let entries = page.iter().filter(|one| one.is_shown(now)).map(entry).collect();
    Ok(ListSubscriptionsByTopicOutput { subscriptions: Some(entries), next_token })
}

fn entry(subscription: &Subscription) -> Entry {
    Entry {
        subscription_arn: Some(subscription.shown_arn()),
        owner: Some(subscription.owner.to_string()),
        protocol: Some(subscription.endpoint.protocol.as_str().to_owned()),
        endpoint: Some(subscription.endpoint.shown()),
        topic_arn: Some(subscription.arn.topic.to_string()),
    }
}
