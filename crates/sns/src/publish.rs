//! From a message to its deliveries.

use opentrail_model::Timestamp;
use uuid::Uuid;

use crate::access::{Service, service_may_publish};
use crate::arn::TopicArn;
use crate::endpoint::Endpoint;
use crate::error::SnsError;
use crate::filter::FilterPolicy;
use crate::message::{Kind, Message, NewMessage, Text};
use crate::outbox::{NewDelivery, Parcel};
use crate::sns::{Inner, Sns};
use crate::subscription::{Settings, Subscription};
use crate::topic::Topic;

/// Why a service's message was not published.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no such topic, or the text is no topic's ARN.
    #[error("topic {topic} does not exist")]
    NoTopic {
        /// Its ARN.
        topic: String,
    },
    /// The topic's policy does not let the service publish.
    #[error("the policy of {topic} does not allow sns:Publish to {service}")]
    NotAllowed {
        /// The topic's ARN.
        topic: String,
        /// The service's principal.
        service: String,
    },
    /// SNS refuses such a message.
    #[error("{0}")]
    Invalid(String),
    /// The storage failed; trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

/// A message's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub Uuid);

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

impl Sns {
    /// Whether `service` may publish to the topic now: the topic is there and its policy allows it. Nothing is published.
    ///
    /// # Errors
    /// As [`PublishError`] says.
    pub async fn may_publish_as_service(&self, service: &Service<'_>, topic_arn: &str) -> Result<(), PublishError> {
        self.topic_for(service, topic_arn).await.map(drop)
    }

    /// Publishes for a service of this server. When this returns, the message and its deliveries survive a crash.
    ///
    /// # Errors
    /// As [`PublishError`] says; nothing is published then.
    ///
    /// # Cancellation
    /// The message may be published. Repeating it under the same [`NewMessage::deduplication`] is safe.
    pub async fn publish_as_service(
        &self,
        service: &Service<'_>,
        topic_arn: &str,
        message: NewMessage,
    ) -> Result<MessageId, PublishError> {
        let topic = self.topic_for(service, topic_arn).await?;
        message.check().map_err(|error| PublishError::Invalid(error.to_string()))?;
        let text = Text::Same(message.message.clone());
        let ids = self.0.publish(&topic, vec![(message, text, None)]).await.map_err(unavailable)?;
        Ok(MessageId(ids[0]))
    }

    async fn topic_for(&self, service: &Service<'_>, topic_arn: &str) -> Result<Topic, PublishError> {
        let missing = || PublishError::NoTopic { topic: topic_arn.to_owned() };
        let arn: TopicArn = topic_arn.parse().map_err(|_| missing())?;
        let topic = self.0.repository.topic(&arn).await.map_err(unavailable)?.ok_or_else(missing)?.value;
        if service_may_publish(&topic, service, self.0.now()) {
            return Ok(topic);
        }
        Err(PublishError::NotAllowed { topic: topic_arn.to_owned(), service: service.name.to_owned() })
    }
}

fn unavailable(error: SnsError) -> PublishError {
    PublishError::Unavailable(error.to_string())
}

impl Inner {
    /// Stores checked messages with a delivery for each subscription that receives them; their ids in order.
    pub(crate) async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<(NewMessage, Text, Option<String>)>,
    ) -> Result<Vec<Uuid>, SnsError> {
        let now = self.now();
        let receivers: Vec<Receiver> = self
            .repository
            .of_topic(&topic.arn)
            .await?
            .into_iter()
            .filter(|found| found.value.is_confirmed())
            .map(|found| Receiver::new(found.value))
            .collect();
        let mut parcels = Vec::with_capacity(messages.len());
        for (new, text, group) in messages {
            let message = Message {
                id: self.random.uuid(),
                topic: topic.arn.clone(),
                published: now,
                kind: Kind::Notification,
                subject: new.subject,
                text,
                attributes: new.attributes,
                group,
            };
            let deliveries = receivers.iter().filter(|one| one.receives(&message)).map(Receiver::delivery).collect();
            parcels.push(Parcel { message, deduplication: new.deduplication, deliveries });
        }
        metrics::counter!("opentrail_sns_published_messages_total").increment(parcels.len() as u64);
        let added = self.outbox.add(&parcels, now).await?;
        metrics::counter!("opentrail_sns_topic_messages_total", "topic" => topic.arn.to_string())
            .increment(added.len() as u64);
        Ok(added.into_iter().map(|one| one.id).collect())
    }

    /// Stores a confirmation for the subscription's endpoint.
    pub(crate) async fn post_confirmation(
        &self,
        subscription: &Subscription,
        kind: Kind,
        now: Timestamp,
    ) -> Result<(), SnsError> {
        let message = Message {
            id: self.random.uuid(),
            topic: subscription.arn.topic.clone(),
            published: now,
            kind,
            subject: None,
            text: Text::Same(String::new()),
            attributes: Default::default(),
            group: None,
        };
        let delivery = NewDelivery {
            subscription: subscription.arn.to_string(),
            // Strangers' endpoints wait by themselves: they hold up no messages to the same place.
            lane: format!("{UNCONFIRMED}{}", subscription.endpoint),
            dead_letters: None,
        };
        self.outbox.add(&[Parcel { message, deduplication: None, deliveries: vec![delivery] }], now).await?;
        Ok(())
    }
}

/// How the lanes of confirmations begin.
pub(crate) const UNCONFIRMED: &str = "unconfirmed/";

/// A confirmed subscription, its policy parsed once for all messages of a batch.
struct Receiver {
    subscription: Subscription,
    filter: Option<FilterPolicy>,
    /// The stored policy cannot be read: it receives nothing.
    unreadable: bool,
}

impl Receiver {
    fn new(subscription: Subscription) -> Self {
        let Settings { filter, scope, .. } = &subscription.settings;
        let parsed = filter.as_deref().map(|text| FilterPolicy::parse(text, *scope)).transpose();
        let unreadable = parsed.is_err();
        if let Err(error) = &parsed {
            tracing::error!(subscription = %subscription.arn, %error, "a stored filter policy cannot be read");
        }
        Self { subscription, filter: parsed.ok().flatten(), unreadable }
    }

    fn receives(&self, message: &Message) -> bool {
        !self.unreadable && self.filter.as_ref().is_none_or(|filter| filter.matches(message))
    }

    fn delivery(&self) -> NewDelivery {
        NewDelivery {
            subscription: self.subscription.arn.to_string(),
            lane: lane_of(&self.subscription.endpoint),
            dead_letters: dead_letters(&self.subscription.settings).map(|queue| format!("sqs:{queue}")),
        }
    }
}

/// The lane of an endpoint's messages.
pub(crate) fn lane_of(endpoint: &Endpoint) -> String {
    endpoint.to_string()
}

/// The ARN of the dead-letter queue that a `RedrivePolicy` names.
pub(crate) fn dead_letters(settings: &Settings) -> Option<String> {
    let policy: serde_json::Value = serde_json::from_str(settings.redrive.as_deref()?).ok()?;
    policy["deadLetterTargetArn"].as_str().map(str::to_owned)
}
