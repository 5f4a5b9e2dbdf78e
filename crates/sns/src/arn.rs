use std::fmt;
use std::str::FromStr;

use opentrail_model::{AccountId, Arn, Region};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `arn:<partition>:sns:<region>:<account>:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicArn {
    /// The account that owns the topic.
    pub account: AccountId,
    /// Its Region.
    pub region: Region,
    /// 1 to 256 ASCII letters, digits, `-` and `_`.
    pub name: String,
}

/// The ARN of a subscription: its topic's, a colon and a UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SubscriptionArn {
    pub(crate) topic: TopicArn,
    pub(crate) id: Uuid,
}

/// The ARN of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueArn {
    pub(crate) region: String,
    pub(crate) account: AccountId,
    pub(crate) name: String,
}

/// The text is no ARN of that kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not the ARN of a {kind}")]
pub struct ParseSnsArnError {
    input: String,
    kind: &'static str,
}

/// Whether `name` can be a topic's. (API Reference, CreateTopic, `Name`; FIFO topics, which end with `.fifo`, are not
/// built.)
pub(crate) fn is_topic_name(name: &str) -> bool {
    (1..=256).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl TopicArn {
    /// The topic's document in the catalog. A name holds no `/`.
    pub(crate) fn document(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.name)
    }
}

impl SubscriptionArn {
    /// The subscription's document in the catalog: those of a topic lie together.
    pub(crate) fn document(&self) -> String {
        format!("{}/{}", self.topic.document(), self.id)
    }
}

impl FromStr for TopicArn {
    type Err = ParseSnsArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseSnsArnError { input: text.chars().take(300).collect(), kind: "topic" };
        let arn: Arn = text.parse().map_err(|_| wrong())?;
        let region: Region = arn.region().parse().map_err(|_| wrong())?;
        let fits = arn.service() == "sns" && arn.partition() == region.partition() && is_topic_name(arn.resource());
        if !fits {
            return Err(wrong());
        }
        Ok(Self { account: arn.account().parse().map_err(|_| wrong())?, region, name: arn.resource().to_owned() })
    }
}

impl FromStr for SubscriptionArn {
    type Err = ParseSnsArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseSnsArnError { input: text.chars().take(300).collect(), kind: "subscription" };
        let (topic, id) = text.rsplit_once(':').ok_or_else(wrong)?;
        let uuid: Uuid = id.parse().map_err(|_| wrong())?;
        if uuid.hyphenated().to_string() != id {
            return Err(wrong());
        }
        Ok(Self { topic: topic.parse().map_err(|_| wrong())?, id: uuid })
    }
}

impl FromStr for QueueArn {
    type Err = ParseSnsArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseSnsArnError { input: text.chars().take(300).collect(), kind: "queue" };
        let arn: Arn = text.parse().map_err(|_| wrong())?;
        let region: Region = arn.region().parse().map_err(|_| wrong())?;
        let name = arn.resource();
        let fits = (1..=80).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if arn.service() != "sqs" || !fits {
            return Err(wrong());
        }
        Ok(Self {
            region: region.as_str().to_owned(),
            account: arn.account().parse().map_err(|_| wrong())?,
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:sns:{}:{}:{}", self.region.partition(), self.region, self.account, self.name)
    }
}

impl fmt::Display for SubscriptionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.topic, self.id.hyphenated())
    }
}

impl TryFrom<String> for TopicArn {
    type Error = ParseSnsArnError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for SubscriptionArn {
    type Error = ParseSnsArnError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TopicArn> for String {
    fn from(arn: TopicArn) -> Self {
        arn.to_string()
    }
}

impl From<SubscriptionArn> for String {
    fn from(arn: SubscriptionArn) -> Self {
        arn.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_have_one_spelling() {
        let topic = "arn:aws:sns:us-east-1:111122223333:alarms";
        assert_eq!(topic.parse::<TopicArn>().unwrap().to_string(), topic);
        let subscription = format!("{topic}:1234abcd-12ab-34cd-56ef-1234567890ab");
        assert_eq!(subscription.parse::<SubscriptionArn>().unwrap().to_string(), subscription);
        for wrong in [
            "",
            "alarms",
            &subscription,
            "arn:aws:sns:us-east-1:111122223333:a.fifo",
            "arn:aws:sns:us-east-1:111122223333:a/b",
            "arn:aws:sqs:us-east-1:111122223333:alarms",
            "arn:aws:sns:us-east-1:1:alarms",
        ] {
            assert!(wrong.parse::<TopicArn>().is_err(), "{wrong}");
        }
        assert!(topic.parse::<SubscriptionArn>().is_err());
    }
}
