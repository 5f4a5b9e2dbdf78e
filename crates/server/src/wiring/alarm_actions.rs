//! What alarms do: they tell topics, and rules hear of their states.

use std::sync::Arc;

use async_trait::async_trait;
use opentrail_events::{Events, ServiceEvent};
use opentrail_model::AccountId;
use opentrail_monitoring::{ActionError, AlarmActions, AlarmNotification};
use opentrail_sns::{NewMessage, PublishError, Service, Sns};
use serde_json::Value;

/// The topics and rules of this server, for alarms.
#[derive(Debug)]
pub(crate) struct AlarmNews {
    pub(crate) sns: Sns,
    pub(crate) events: Arc<Events>,
}

#[async_trait]
impl AlarmActions for AlarmNews {
    async fn perform(
        &self,
        account: AccountId,
        action_arn: &str,
        notification: &AlarmNotification,
    ) -> Result<(), ActionError> {
        let service =
            Service { name: "cloudwatch.amazonaws.com", source_arn: &notification.alarm_arn, source_account: account };
        let message = NewMessage {
            subject: Some(notification.subject.clone()),
            message: notification.message.clone(),
            deduplication: Some(notification.deduplication_key.clone()),
            ..NewMessage::default()
        };
        let published = self.sns.publish_as_service(&service, action_arn, message).await;
        published.map(drop).map_err(|error| match error {
            PublishError::Unavailable(reason) => ActionError::Retryable(reason),
            other => ActionError::Permanent(other.to_string()),
        })
    }

    async fn state_changed(&self, account: AccountId, event: &Value) -> Result<(), ActionError> {
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        let unreadable = |what: &str| ActionError::Permanent(format!("the event has no {what}"));
        let event = ServiceEvent {
            id: text("id"),
            source: text("source"),
            detail_type: text("detail-type"),
            account,
            region: text("region").parse().map_err(|_| unreadable("Region"))?,
            time: text("time").parse().map_err(|_| unreadable("time"))?,
            resources: event["resources"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            detail: event["detail"].clone(),
        };
        self.events.put_as_service(&[event]).await.map_err(|error| ActionError::Retryable(error.to_string()))
    }
}
