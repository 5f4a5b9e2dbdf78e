//! What rules have as targets here: topics, log groups.

use async_trait::async_trait;
use opentrail_events::{Delivery, DeliveryFailure, Destination};
use opentrail_logs::{GroupPlace, LogEvent, Logs, ServiceBatch};
use opentrail_model::{AccountId, Arn};
use opentrail_runtime::{Clock, Random};
use opentrail_sns::{NewMessage, PublishError, Service, Sns};
use std::fmt;
use std::sync::Arc;

/// As whom rules act.
const EVENTS: &str = "events.amazonaws.com";

/// The topics of this server, for rules.
#[derive(Debug)]
pub(crate) struct TopicTargets(pub(crate) Sns);

#[async_trait]
impl Destination for TopicTargets {
    fn check(&self, arn: &Arn, _: AccountId) -> Result<(), String> {
        let is_topic = !arn.resource().is_empty() && !arn.resource().contains(':');
        if is_topic { Ok(()) } else { Err(format!("{} is no ARN of a topic.", arn.as_str())) }
    }

    /// The topic's policy says whether the rule may. (EventBridge User Guide, "Using resource-based policies".)
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryFailure> {
        let service = Service { name: EVENTS, source_arn: delivery.rule_arn, source_account: delivery.account };
        let message =
            NewMessage { message: String::from_utf8_lossy(delivery.payload).into_owned(), ..NewMessage::default() };
        let published = self.0.publish_as_service(&service, delivery.target.arn.as_str(), message).await;
        published.map(drop).map_err(|error| {
            let told = error.to_string();
            match error {
                // Who mends the policy, or makes the topic anew, gets what waits.
                PublishError::NoTopic { .. } => DeliveryFailure::later("NO_RESOURCE", told),
                PublishError::NotAllowed { .. } => DeliveryFailure::later("NO_PERMISSIONS", told),
                PublishError::Invalid(_) => DeliveryFailure::never("INVALID_PARAMETER", told),
                PublishError::Unavailable(_) => DeliveryFailure::later("ERROR_FROM_TARGET", told),
            }
        })
    }
}

/// The log groups of this server, for rules.
pub(crate) struct LogGroupTargets {
    pub(crate) logs: Logs,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

#[async_trait]
impl Destination for LogGroupTargets {
    /// A group of the rule's own account. (EventBridge User Guide, "Amazon EventBridge targets": log groups of the same
    /// account and Region.)
    fn check(&self, arn: &Arn, account: AccountId) -> Result<(), String> {
        match GroupPlace::from_arn(arn.as_str()) {
            Ok(place) if place.account == account => Ok(()),
            Ok(_) => Err("A log group must be of the rule's account.".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryFailure> {
        let missing = || DeliveryFailure::later("NO_RESOURCE", format!("there is no {}", delivery.target.arn));
        let group = GroupPlace::from_arn(delivery.target.arn.as_str()).map_err(|_| missing())?;
        let failed = |error: &dyn fmt::Display| DeliveryFailure::later("ERROR_FROM_TARGET", error.to_string());
        if !self.logs.has_group(&group).await.map_err(|error| failed(&error))? {
            return Err(missing());
        }
        let event = LogEvent {
            timestamp: self.clock.now().as_millis(),
            message: String::from_utf8_lossy(delivery.payload).into_owned(),
        };
        let stream = self.random.uuid().to_string();
        let batch = ServiceBatch { group, stream, events: vec![event] };
        self.logs.deliver(vec![batch]).await.map(drop).map_err(|error| failed(&error))
    }
}

impl fmt::Debug for LogGroupTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogGroupTargets").finish_non_exhaustive()
    }
}
