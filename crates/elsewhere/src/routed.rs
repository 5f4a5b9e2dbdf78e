use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_model::Position;
use opentrail_trails::{LogBatch, LogGroup, LogGroupError, LogGroups, Memory, TopicError, Topics, TrailKey, topic_arn};

/// ARNs, as a text in which `*` stands for any characters, e.g. `arn:aws:sns:us-east-1:111122223333:*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArnPattern(String);

/// The text begins as no ARN does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseArnPatternError;

impl FromStr for ArnPattern {
    type Err = ParseArnPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins = text == "*" || text.starts_with("arn:");
        if begins { Ok(Self(text.to_owned())) } else { Err(ParseArnPatternError) }
    }
}

impl ArnPattern {
    /// Every ARN.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether the ARN is one of those.
    pub fn matches(&self, arn: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == arn };
        let Some(mut left) = arn.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            // The first place leaves the most for what follows.
            let Some(at) = left.find(part) else { return false };
            left = &left[at + part.len()..];
        }
        left.ends_with(last)
    }
}

/// Log groups, or topics, some of which are elsewhere.
pub struct Routed<T: ?Sized> {
    /// This server's.
    pub here: Arc<T>,
    /// Those that `arns` names.
    pub elsewhere: Arc<T>,
    /// Which are elsewhere.
    pub arns: Vec<ArnPattern>,
}

impl<T: ?Sized> Routed<T> {
    fn of(&self, arn: &str) -> &T {
        if self.arns.iter().any(|pattern| pattern.matches(arn)) { &self.elsewhere } else { &self.here }
    }
}

impl<T: ?Sized> fmt::Debug for Routed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed").field("arns", &self.arns).finish_non_exhaustive()
    }
}

#[async_trait]
impl LogGroups for Routed<dyn LogGroups> {
    async fn check(&self, trail: &TrailKey, group: &LogGroup) -> Result<(), LogGroupError> {
        self.of(&group.arn).check(trail, group).await
    }

    async fn memory(&self, trail: &TrailKey, group: &LogGroup) -> Result<Memory, LogGroupError> {
        self.of(&group.arn).memory(trail, group).await
    }

    async fn missing(
        &self,
        trail: &TrailKey,
        group: &LogGroup,
        batches: Vec<LogBatch>,
    ) -> Result<Vec<LogBatch>, LogGroupError> {
        self.of(&group.arn).missing(trail, group, batches).await
    }

    async fn append(
        &self,
        trail: &TrailKey,
        group: &LogGroup,
        batches: Vec<LogBatch>,
        through: Position,
    ) -> Result<(), LogGroupError> {
        self.of(&group.arn).append(trail, group, batches, through).await
    }
}

#[async_trait]
impl Topics for Routed<dyn Topics> {
    async fn check(&self, trail: &TrailKey, topic: &str) -> Result<String, TopicError> {
        self.of(&topic_arn(trail, topic)?).check(trail, topic).await
    }

    async fn publish(
        &self,
        trail: &TrailKey,
        topic_arn: &str,
        message: &str,
        deduplication: &str,
    ) -> Result<(), TopicError> {
        self.of(topic_arn).publish(trail, topic_arn, message, deduplication).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_arns() {
        let fits = |pattern: &str, arn: &str| pattern.parse::<ArnPattern>().unwrap().matches(arn);
        let arn = "arn:aws:sns:us-east-1:111122223333:alerts";
        for pattern in ["*", arn, "arn:*", "arn:aws:sns:us-east-1:111122223333:*", "arn:aws:*:*:alerts", "arn:*alerts*"]
        {
            assert!(fits(pattern, arn), "{pattern}");
        }
        for pattern in
            ["arn:aws:sns:eu-*", "arn:aws:sns:us-east-1:111122223333:alert", "arn:*:alerts:*s", "arn:*alerts?"]
        {
            assert!(!fits(pattern, arn), "{pattern}");
        }
        assert!(!fits("arn:a*ab*ab", "arn:aab"), "parts do not overlap");
        assert!("alerts".parse::<ArnPattern>().is_err());
        assert!(ArnPattern::any().matches(arn));
    }
}
