use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_model::{Arn, Region};
use opentrail_outbound::OutboundError;
use opentrail_outbound::aws::{AwsCalls, AwsEndpoint, AwsError};
use opentrail_runtime::Clock;
use opentrail_trails::{TopicError, Topics, TrailKey, topic_arn};
use serde::de::IgnoredAny;

use crate::{ElsewhereOptions, calls};

const VERSION: &str = "2010-03-31";

/// Topics of an SNS elsewhere, called with the configured key.
///
/// SNS tells no message from its repetition: one whose answer was lost is published again.
pub struct TopicsElsewhere {
    at: AwsEndpoint,
    calls: AwsCalls,
}

impl TopicsElsewhere {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(options: &ElsewhereOptions, clock: &Arc<dyn Clock>) -> Result<Self, OutboundError> {
        Ok(Self { at: options.at.clone(), calls: calls(options, clock)? })
    }

    /// Publishes a message.
    ///
    /// # Errors
    /// As [`TopicError`] says; the message may have been published when it is [`TopicError::Unavailable`].
    pub async fn send(&self, topic_arn: &str, subject: Option<&str>, message: &str) -> Result<(), TopicError> {
        let mut parameters = vec![("TopicArn", topic_arn), ("Message", message)];
        parameters.extend(subject.map(|subject| ("Subject", subject)));
        self.call(topic_arn, "Publish", &parameters).await.map_err(refused)
    }

    async fn call(&self, topic_arn: &str, operation: &str, parameters: &[(&str, &str)]) -> Result<(), AwsError> {
        let region: Option<Region> = topic_arn.parse().ok().and_then(|arn: Arn| arn.region().parse().ok());
        let at = AwsEndpoint { region: region.unwrap_or_else(|| self.at.region.clone()), ..self.at.clone() };
        self.calls.query::<IgnoredAny>(&at, "sns", VERSION, operation, parameters).await.map(drop)
    }
}

#[async_trait]
impl Topics for TopicsElsewhere {
    /// That a key may not look at the topic's attributes does not say that it may not publish: the validation message that
    /// follows tells.
    async fn check(&self, trail: &TrailKey, topic: &str) -> Result<String, TopicError> {
        let arn = topic_arn(trail, topic)?;
        match self.call(&arn, "GetTopicAttributes", &[("TopicArn", &arn)]).await {
            Ok(()) => Ok(arn),
            Err(error) if error.name() == "AuthorizationError" => Ok(arn),
            Err(error) => Err(refused(error)),
        }
    }

    async fn publish(&self, _: &TrailKey, topic_arn: &str, message: &str, _: &str) -> Result<(), TopicError> {
        self.send(topic_arn, None, message).await
    }
}

/// What SNS refuses it says by a code, e.g. `AuthorizationError`. (SNS API Reference, Publish, "Errors".)
fn refused(error: AwsError) -> TopicError {
    match error {
        AwsError::Refused { ref name, .. } if !name.is_empty() && !error.is_retryable() => {
            TopicError::Refused { code: name.clone() }
        }
        error => TopicError::Unavailable { reason: error.to_string() },
    }
}

impl fmt::Debug for TopicsElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicsElsewhere").field("at", &self.at).finish_non_exhaustive()
    }
}
