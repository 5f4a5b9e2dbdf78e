//! How subscriptions come and go.

use std::collections::HashMap;

use opentrail_catalog::{Expect, Versioned};
use opentrail_model::{AccountId, Timestamp};

use crate::arn::{SubscriptionArn, TopicArn};
use crate::endpoint::Endpoint;
use crate::error::SnsError;
use crate::message::Kind;
use crate::repository::{delete_subscription, delete_topic, put_new_subscription, put_subscription, put_topic};
use crate::sns::Inner;
use crate::subscription::{MOST_CONFIRMATIONS, Settings, State, Subscription, Token};
use crate::topic::Topic;

/// Subscriptions of one topic; AWS has 12,500,000. A choice of ours: each message is matched against all of them.
const MOST_PER_TOPIC: usize = 10_000;
/// Subscriptions of an account that wait to be confirmed. (Developer Guide, "Amazon SNS endpoints and quotas".)
const MOST_PENDING_PER_ACCOUNT: usize = 5000;
/// Subscriptions that wait to be confirmed at one host, domain or queue, whoever subscribed: it gets no more unasked
/// messages than that. A choice of ours.
const MOST_PENDING_PER_SITE: usize = 100;
/// Filter policies of one topic. (Developer Guide, "Filter policy constraints".)
const MOST_FILTERS_PER_TOPIC: usize = 200;
/// Filter policies of one account.
const MOST_FILTERS_PER_ACCOUNT: usize = 10_000;

/// Whether a change came with a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Somebody who may signed it.
    Signed,
    /// It came by a link.
    Link,
}

impl Inner {
    /// The topic's subscription of `endpoint` for `owner`, made when there is none. An endpoint of the owner's account is
    /// confirmed by that; others are asked.
    pub(crate) async fn subscribe(
        &self,
        topic: &Topic,
        owner: AccountId,
        endpoint: Endpoint,
        settings: Settings,
    ) -> Result<Subscription, SnsError> {
        let _changing = self.changing.lock().await;
        let now = self.now();
        // Deleted meanwhile, perhaps: no subscription outlives its topic.
        if self.repository.topic(&topic.arn).await?.is_none() {
            return Err(SnsError::no_topic());
        }
        let all = self.repository.of_topic(&topic.arn).await?;
        let live: Vec<_> = all.into_iter().filter(|found| found.value.is_shown(now)).collect();
        if let Some(found) = live.iter().find(|found| found.value.endpoint == endpoint && found.value.owner == owner) {
            return self.subscribe_again(found, settings, now).await;
        }
        if live.len() >= MOST_PER_TOPIC {
            let message = format!("a topic has at most {MOST_PER_TOPIC} subscriptions");
            return Err(SnsError::SubscriptionLimitExceeded(message));
        }
        if settings.filter.is_some() {
            self.require_room_for_filter(&live, owner).await?;
        }
        let id = self.random.uuid();
        let arn = SubscriptionArn { topic: topic.arn.clone(), id };
        if endpoint.account() == Some(owner) {
            let state = State::Confirmed { authenticated: true, authenticate_on_unsubscribe: false, token: None };
            let subscription = Subscription { arn, owner, endpoint, created: now, state, settings };
            self.repository.commit(put_new_subscription(&subscription).into()).await?;
            return Ok(subscription);
        }
        self.require_room_for_pending(owner, &endpoint, now).await?;
        let (token, mark) = Token::new(id, &*self.random, now);
        let state = State::Pending { token: mark, sent: 1 };
        let subscription = Subscription { arn, owner, endpoint, created: now, state, settings };
        self.repository.commit(put_new_subscription(&subscription).into()).await?;
        // A crash here leaves a subscription that nobody can confirm; the caller was told nothing and tries again.
        let kind = Kind::SubscriptionConfirmation { token: token.as_str().to_owned() };
        self.post_confirmation(&subscription, kind, now).await?;
        Ok(subscription)
    }

    /// The subscription is there: it is answered again, and its endpoint asked again if it has not agreed.
    async fn subscribe_again(
        &self,
        found: &Versioned<Subscription>,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Subscription, SnsError> {
        let mut subscription = found.value.clone();
        if settings != Settings::default() && settings != subscription.settings {
            let why = "Subscription already exists with different attributes";
            return Err(SnsError::parameter("Attributes", why));
        }
        let State::Pending { sent, .. } = subscription.state else { return Ok(subscription) };
        if sent >= MOST_CONFIRMATIONS {
            return Ok(subscription);
        }
        let (token, mark) = Token::new(subscription.arn.id, &*self.random, now);
        subscription.state = State::Pending { token: mark, sent: sent + 1 };
        self.repository.commit(vec![put_subscription(&subscription, Expect::Revision(found.revision))]).await?;
        let kind = Kind::SubscriptionConfirmation { token: token.as_str().to_owned() };
        self.post_confirmation(&subscription, kind, now).await?;
        Ok(subscription)
    }

    async fn require_room_for_pending(
        &self,
        owner: AccountId,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<(), SnsError> {
        let all = self.repository.all().await?;
        let pending: Vec<_> =
            all.iter().map(|found| &found.value).filter(|one| one.is_pending() && !one.is_gone(now)).collect();
        if pending.iter().filter(|one| one.owner == owner).count() >= MOST_PENDING_PER_ACCOUNT {
            let message =
                format!("an account has at most {MOST_PENDING_PER_ACCOUNT} subscriptions that wait to be confirmed");
            return Err(SnsError::SubscriptionLimitExceeded(message));
        }
        let site = endpoint.site();
        if pending.iter().filter(|one| one.endpoint.site() == site).count() >= MOST_PENDING_PER_SITE {
            let message = format!("{MOST_PENDING_PER_SITE} subscriptions wait to be confirmed at {site}");
            return Err(SnsError::SubscriptionLimitExceeded(message));
        }
        Ok(())
    }

    async fn require_room_for_filter(
        &self,
        of_topic: &[Versioned<Subscription>],
        owner: AccountId,
    ) -> Result<(), SnsError> {
        let has = |found: &&Versioned<Subscription>| found.value.settings.filter.is_some();
        if of_topic.iter().filter(has).count() >= MOST_FILTERS_PER_TOPIC {
            let message = format!("a topic has at most {MOST_FILTERS_PER_TOPIC} filter policies");
            return Err(SnsError::FilterPolicyLimitExceeded(message));
        }
        let all = self.repository.all().await?;
        if all.iter().filter(has).filter(|found| found.value.owner == owner).count() >= MOST_FILTERS_PER_ACCOUNT {
            let message = format!("an account has at most {MOST_FILTERS_PER_ACCOUNT} filter policies");
            return Err(SnsError::FilterPolicyLimitExceeded(message));
        }
        Ok(())
    }

    /// Stores other settings of a subscription.
    pub(crate) async fn change_settings(
        &self,
        arn: &SubscriptionArn,
        change: impl FnOnce(&mut Settings, &Subscription) -> Result<(), SnsError>,
    ) -> Result<(), SnsError> {
        let _changing = self.changing.lock().await;
        let now = self.now();
        let found = self.repository.subscription(arn, now).await?.ok_or_else(SnsError::no_subscription)?;
        let mut subscription = found.value.clone();
        let mut settings = subscription.settings.clone();
        change(&mut settings, &subscription)?;
        if settings.filter.is_some() && subscription.settings.filter.is_none() {
            let live = self.repository.of_topic(&arn.topic).await?;
            self.require_room_for_filter(&live, subscription.owner).await?;
        }
        subscription.settings = settings;
        self.repository.commit(vec![put_subscription(&subscription, Expect::Revision(found.revision))]).await
    }

    /// Confirms the subscription that `token` is of.
    pub(crate) async fn confirm(
        &self,
        topic: &TopicArn,
        token: &str,
        proof: Proof,
        authenticate_on_unsubscribe: bool,
    ) -> Result<SubscriptionArn, SnsError> {
        let invalid = || SnsError::parameter("Token", "it is invalid, or is past its time");
        let _changing = self.changing.lock().await;
        let now = self.now();
        let (token, id) = Token::parse(token).ok_or_else(|| SnsError::InvalidParameter("Token".to_owned()))?;
        let arn = SubscriptionArn { topic: topic.clone(), id };
        let found = self.repository.subscription(&arn, now).await?.ok_or_else(invalid)?;
        let mut subscription = found.value;
        let mark = match &subscription.state {
            State::Pending { token: mark, .. } | State::Cancelled { token: mark } if mark.is_of(&token, now) => mark,
            // The link was followed before.
            State::Confirmed { token: Some(mark), .. } if mark.is_of(&token, now) => return Ok(arn),
            _ => return Err(invalid()),
        };
        let authenticated = proof == Proof::Signed;
        let authenticate_on_unsubscribe = authenticate_on_unsubscribe && authenticated;
        let token = Some(mark.clone());
        subscription.state = State::Confirmed { authenticated, authenticate_on_unsubscribe, token };
        self.repository.commit(vec![put_subscription(&subscription, Expect::Revision(found.revision))]).await?;
        Ok(arn)
    }

    /// Ends a subscription. By a link, which anybody may have followed, it is ended so that its endpoint can take that
    /// back.
    pub(crate) async fn unsubscribe(&self, arn: &SubscriptionArn, proof: Proof) -> Result<(), SnsError> {
        let _changing = self.changing.lock().await;
        let now = self.now();
        let topic = self.repository.topic(&arn.topic).await?;
        let found = self.repository.subscription(arn, now).await?.ok_or_else(SnsError::no_subscription)?;
        let expect = Expect::Revision(found.revision);
        let mut subscription = found.value;
        let counted = topic.map(|topic| {
            let value = Topic { deleted: topic.value.deleted.saturating_add(1), ..topic.value };
            put_topic(&value, Expect::Revision(topic.revision))
        });
        if proof == Proof::Signed {
            let changes = counted.into_iter().chain(delete_subscription(&subscription, expect)).collect();
            return self.repository.commit(changes).await;
        }
        match subscription.state {
            State::Confirmed { authenticate_on_unsubscribe: false, .. } => {}
            State::Cancelled { .. } => return Ok(()),
            State::Confirmed { .. } => {
                let message = "The subscription can be ended by a signed request only";
                return Err(SnsError::AuthorizationError(message.to_owned()));
            }
            State::Pending { .. } => {
                return Err(SnsError::parameter("SubscriptionArn", "the subscription waits to be confirmed"));
            }
        }
        let (token, mark) = Token::new(arn.id, &*self.random, now);
        subscription.state = State::Cancelled { token: mark };
        let changes = counted.into_iter().chain([put_subscription(&subscription, expect)]).collect();
        self.repository.commit(changes).await?;
        let kind = Kind::UnsubscribeConfirmation { token: token.as_str().to_owned() };
        self.post_confirmation(&subscription, kind, now).await
    }

    /// Deletes a topic and all its subscriptions; what is on its way to them is given up.
    pub(crate) async fn delete_topic(&self, arn: &TopicArn) -> Result<(), SnsError> {
        let _changing = self.changing.lock().await;
        let mut changes = vec![delete_topic(arn, Expect::Anything)];
        for found in self.repository.of_topic(arn).await? {
            changes.extend(delete_subscription(&found.value, Expect::Anything));
        }
        self.repository.commit(changes).await
    }

    /// How many subscriptions of the topic wait to be confirmed, and how many receive.
    pub(crate) async fn count(&self, topic: &TopicArn) -> Result<HashMap<&'static str, usize>, SnsError> {
        let now = self.now();
        let mut counts = HashMap::from([("pending", 0), ("confirmed", 0)]);
        for found in self.repository.of_topic(topic).await? {
            let state = match found.value.state {
                State::Confirmed { .. } => "confirmed",
                State::Pending { .. } if !found.value.is_gone(now) => "pending",
                _ => continue,
            };
            *counts.entry(state).or_default() += 1;
        }
        Ok(counts)
    }
}
