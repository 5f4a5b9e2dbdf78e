//! SNS for the other parts of the server: trails that tell of log files, alarms that tell of their states.

use async_trait::async_trait;
use opentrail_sns::{NewMessage, PublishError, Service, Sns};
use opentrail_trails::{TopicError, Topics, TrailKey, topic_arn};

/// As whom trails publish.
const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// The topics of this server, for trails.
#[derive(Debug)]
pub(crate) struct TrailTopics(pub(crate) Sns);

#[async_trait]
impl Topics for TrailTopics {
    async fn check(&self, trail: &TrailKey, topic: &str) -> Result<String, TopicError> {
        let topic = topic_arn(trail, topic)?;
        let arn = trail.arn();
        let service = Service { name: CLOUDTRAIL, source_arn: arn.as_str(), source_account: trail.account };
        self.0.may_publish_as_service(&service, &topic).await.map_err(refused)?;
        Ok(topic)
    }

    async fn publish(
        &self,
        trail: &TrailKey,
        topic_arn: &str,
        message: &str,
        deduplication: &str,
    ) -> Result<(), TopicError> {
        let arn = trail.arn();
        let service = Service { name: CLOUDTRAIL, source_arn: arn.as_str(), source_account: trail.account };
        let message = NewMessage {
            message: message.to_owned(),
            deduplication: Some(deduplication.to_owned()),
            ..NewMessage::default()
        };
        self.0.publish_as_service(&service, topic_arn, message).await.map(drop).map_err(refused)
    }
}

/// The codes that SNS answers. (API Reference, Publish, "Errors".)
fn refused(error: PublishError) -> TopicError {
    let code = match error {
        PublishError::NoTopic { .. } => "NotFound",
        PublishError::NotAllowed { .. } => "AuthorizationError",
        PublishError::Invalid(_) => "InvalidParameter",
        PublishError::Unavailable(reason) => return TopicError::Unavailable { reason },
    };
    TopicError::Refused { code: code.to_owned() }
}
