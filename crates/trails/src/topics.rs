use std::fmt;

use async_trait::async_trait;
use opentrail_model::Arn;

use crate::TrailKey;

/// The message by which CloudTrail tries a topic that a trail is given; consumers skip it. (Observed.)
pub const VALIDATION_MESSAGE: &str = "CloudTrail validation message.";

/// The topics of SNS that trails tell of their log files.
#[async_trait]
pub trait Topics: fmt::Debug + Send + Sync + 'static {
    /// The ARN of the topic that `topic` names for a trail: a name is one of the trail's account and home Region. The
    /// topic is there, and its policy lets CloudTrail publish for the trail. (User Guide, "Amazon SNS topic policy for
    /// CloudTrail".)
    async fn check(&self, trail: &TrailKey, topic: &str) -> Result<String, TopicError>;

    /// Publishes for the trail. A repeat with the same `deduplication` is one message, as far as the topic can tell.
    async fn publish(
        &self,
        trail: &TrailKey,
        topic_arn: &str,
        message: &str,
        deduplication: &str,
    ) -> Result<(), TopicError>;
}

/// Why a topic was not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Neither a topic's name nor its ARN.
    #[error("{topic:?} is neither the name of an SNS topic (1 to 256 letters, digits, - and _) nor its ARN")]
    Name {
        /// As it was given.
        topic: String,
    },
    /// There is none, or CloudTrail may not publish to it. CloudTrail's own words.
    #[error("SNS Topic does not exist or the topic policy is incorrect!")]
    Refused {
        /// SNS's name for it, which GetTrailStatus answers.
        code: String,
    },
    /// Nobody could be asked; trying again may help.
    #[error("SNS is unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl TopicError {
    /// The error code that GetTrailStatus answers.
    pub fn code(&self) -> &str {
        match self {
            Self::Name { .. } => "InvalidParameter",
            Self::Refused { code } => code,
            Self::Unavailable { .. } => "ServiceUnavailable",
        }
    }
}

/// The ARN that a topic's name, or ARN, stands for. (API Reference, CreateTrail, `SnsTopicName`; SNS's CreateTopic.)
///
/// # Errors
/// [`TopicError::Name`].
pub fn topic_arn(trail: &TrailKey, topic: &str) -> Result<String, TopicError> {
    let is_name = |name: &str| {
        (1..=256).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let wrong = || TopicError::Name { topic: topic.to_owned() };
    if is_name(topic) {
        let partition = trail.home_region.partition();
        return Ok(format!("arn:{partition}:sns:{}:{}:{topic}", trail.home_region, trail.account));
    }
    let arn: Arn = topic.parse().map_err(|_| wrong())?;
    if arn.service() != "sns" || !is_name(arn.resource()) {
        return Err(wrong());
    }
    Ok(topic.to_owned())
}
