use std::sync::Arc;

use opentrail_model::Timestamp;

use super::undeliverable;
use crate::arn::SubscriptionArn;
use crate::delivery_policy::{Effective, RetryPolicy};
use crate::document::{document, text_of};
use crate::endpoint::{Endpoint, Protocol};
use crate::error::SnsError;
use crate::message::{Kind, Message};
use crate::outbox::{Delivery, Lane, Settlement};
use crate::outcome::Outcome;
use crate::publish::dead_letters;
use crate::queues::Letter;
use crate::sns::Inner;
use crate::subscription::{State, Subscription, Token};
use crate::topic::Topic;
use crate::{queues, webhook};

const TOPIC_DELIVERED: &str = "opentrail_sns_topic_delivered_total";
/// Webhooks count each attempt that fails, others the messages that are given up. (SNS Developer Guide, "Monitoring Amazon SNS
/// topics using CloudWatch", NumberOfNotificationsFailed.)
const TOPIC_FAILED: &str = "opentrail_sns_topic_failed_total";

/// A delivery to be attempted now.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) delivery: Delivery,
    subscription: Arc<Subscription>,
    topic: Arc<Topic>,
    pub(super) policy: Effective,
    /// The queue to which it goes instead: it is a dead letter.
    dead_to: Option<String>,
}

/// What to do with a delivery that is due.
#[derive(Debug)]
pub(super) enum Plan {
    Send(Box<Errand>),
    /// Nobody waits for it any more.
    Over,
}

impl Inner {
    /// Looks at a delivery with the subscription and the topic as they are now.
    pub(super) async fn plan(&self, delivery: Delivery, lane: &Lane) -> Result<Plan, SnsError> {
        let Ok(arn) = delivery.subscription.parse::<SubscriptionArn>() else { return Ok(Plan::Over) };
        let now = self.now();
        let topic = self.repository.topic(&arn.topic).await?;
        let subscription = self.repository.subscription(&arn, now).await?;
        let (Some(topic), Some(subscription)) = (topic, subscription) else { return Ok(Plan::Over) };
        let (topic, subscription) = (topic.value, subscription.value);
        let dead_to = delivery.failure.is_some().then(|| lane.name.strip_prefix("sqs:").unwrap_or_default().to_owned());
        if dead_to.is_none() && !is_wanted(&subscription, &delivery, now) {
            return Ok(Plan::Over);
        }
        let protocol = subscription.endpoint.protocol;
        let mut policy = Effective::new(
            protocol,
            topic.delivery_policy.as_deref(),
            subscription.settings.delivery_policy.as_deref(),
        );
        if dead_to.is_some() {
            policy = Effective { retry: RetryPolicy::of(Protocol::Sqs), most_per_second: None, content_type: None };
        }
        let errand = Errand { delivery, subscription: subscription.into(), topic: topic.into(), policy, dead_to };
        Ok(Plan::Send(Box::new(errand)))
    }

    /// Attempts it.
    ///
    /// # Errors
    /// When this server cannot make what is to be sent.
    pub(super) async fn send(&self, errand: &Errand) -> Result<Outcome, SnsError> {
        let body = self.body(errand).await?;
        let Errand { delivery, subscription, topic, policy, dead_to } = errand;
        let message = &delivery.message;
        let outcome = if let Some(queue) = dead_to {
            let failure = delivery.failure.as_deref().unwrap_or_default();
            self.send_to_queue(queue, errand.letter(body).dead(message, failure)).await
        } else {
            match subscription.endpoint.protocol {
                Protocol::Http | Protocol::Https => {
                    webhook::post(&self.outbound, subscription, message, policy.content_type.as_deref(), body).await
                }
                Protocol::Sqs => self.send_to_queue(&subscription.endpoint.address, errand.letter(body)).await,
                Protocol::Email | Protocol::EmailJson => match &self.mail {
                    Some(mail) => mail.send(subscription, topic, message, &self.links, body).await,
                    None => Outcome::Failed("no mail server is configured".to_owned()),
                },
            }
        };
        let result = match &outcome {
            Outcome::Delivered => "delivered",
            Outcome::Failed(_) => "failed",
            Outcome::Refused(_) => "refused",
        };
        let protocol = subscription.endpoint.protocol;
        metrics::counter!("opentrail_sns_attempts_total", "protocol" => protocol.as_str(), "result" => result)
            .increment(1);
        if dead_to.is_none() && message.kind == Kind::Notification {
            match &outcome {
                Outcome::Delivered => count(TOPIC_DELIVERED, message),
                Outcome::Failed(_) | Outcome::Refused(_) if is_webhook(subscription) => count(TOPIC_FAILED, message),
                Outcome::Failed(_) | Outcome::Refused(_) => {}
            }
        }
        Ok(outcome)
    }

    async fn send_to_queue(&self, queue: &str, letter: queues::Letter) -> Outcome {
        match &self.queues {
            Some(queues) => queues.send(queue, letter).await,
            None => Outcome::Failed("no SQS endpoint is configured".to_owned()),
        }
    }

    /// The text that the endpoint gets: the message itself, or its signed document.
    async fn body(&self, errand: &Errand) -> Result<String, SnsError> {
        let Errand { delivery, subscription, topic, .. } = errand;
        let Endpoint { protocol, .. } = subscription.endpoint;
        if errand.is_raw() || protocol == Protocol::Email {
            return Ok(text_of(&delivery.message, protocol));
        }
        let key = self.signing.current(topic.signature_version).await;
        let key = key.map_err(|error| SnsError::Signing(error.to_string()))?;
        let (message, links) = (delivery.message.clone(), self.links.clone());
        let (arn, version) = (subscription.arn.clone(), topic.signature_version);
        // A signature takes milliseconds of a processor.
        let made = tokio::task::spawn_blocking(move || document(&message, protocol, &arn, &links, &key, version)).await;
        match made {
            Ok(Ok(document)) => Ok(document),
            Ok(Err(error)) => Err(SnsError::Signing(error.to_string())),
            Err(error) => Err(SnsError::Signing(error.to_string())),
        }
    }
}

impl Errand {
    fn is_raw(&self) -> bool {
        self.subscription.settings.raw && self.delivery.message.kind == Kind::Notification
    }

    fn letter(&self, body: String) -> Letter {
        let message = &self.delivery.message;
        if self.is_raw() {
            Letter::raw(message, body)
        } else {
            Letter { body, group: message.group.clone(), ..Letter::default() }
        }
    }

    /// What an attempt makes of the delivery.
    pub(super) fn settle(&self, outcome: Outcome, now: Timestamp) -> Settlement {
        match outcome {
            Outcome::Delivered => Settlement::Done,
            Outcome::Refused(reason) => self.give_up(reason),
            Outcome::Failed(reason) => {
                let attempts = self.delivery.attempts + 1;
                match self.policy.retry.delay_after(attempts) {
                    Some(delay) if !self.has_expired(now) => Settlement::Again { attempts, due: now + delay },
                    _ => self.give_up(reason),
                }
            }
        }
    }

    /// Whether it has waited for longer than all its retries would have lasted.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        now.since(self.delivery.created) > self.policy.retry.patience()
    }

    /// What it is when its endpoint will not have it.
    pub(super) fn give_up(&self, reason: String) -> Settlement {
        let message = &self.delivery.message;
        let dead_letters = match (&self.dead_to, &message.kind) {
            (None, Kind::Notification) => {
                if !is_webhook(&self.subscription) {
                    count(TOPIC_FAILED, message);
                }
                dead_letters(&self.subscription.settings)
            }
            _ => None,
        };
        undeliverable(dead_letters, reason, &message.topic.to_string())
    }
}

fn is_webhook(subscription: &Subscription) -> bool {
    matches!(subscription.endpoint.protocol, Protocol::Http | Protocol::Https)
}

fn count(name: &'static str, message: &Message) {
    metrics::counter!(name, "topic" => message.topic.to_string()).increment(1);
}

/// Whether the subscription still waits for such a message.
fn is_wanted(subscription: &Subscription, delivery: &Delivery, now: Timestamp) -> bool {
    let token_is = |text: &str, mark: &crate::subscription::TokenMark| {
        Token::parse(text).is_some_and(|(token, _)| mark.is_of(&token, now))
    };
    match (&delivery.message.kind, &subscription.state) {
        (Kind::Notification, State::Confirmed { .. }) => true,
        (Kind::SubscriptionConfirmation { token }, State::Pending { token: mark, .. })
        | (Kind::UnsubscribeConfirmation { token }, State::Cancelled { token: mark }) => token_is(token, mark),
        _ => false,
    }
}
