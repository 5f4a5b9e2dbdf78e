//! Rules over several settings of a trail, common to CreateTrail and UpdateTrail.

use opentrail_model::Arn;
use opentrail_trails::{Delivery, KeyError, TRAIL_FOLDER, Trail, TrailError};

use crate::context::{Context, Outcome};

/// `KmsKeyId`, in characters. (API Reference, CreateEventDataStore, whose member has the same forms.)
const MAX_KEY: usize = 350;

/// A setting, or a combination, that a trail cannot have here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// AWS's own text.
    #[error("Multi-Region trail must include global service events.")]
    MultiRegionWithoutGlobalEvents,
    #[error("SNS topic name {topic:?} is longer than 256 characters.")]
    TopicName { topic: String },
    /// AWS's own text.
    #[error("You must specify a role ARN as well as a log group.")]
    LogGroupWithoutRole,
    #[error("You must specify a log group as well as a role ARN.")]
    RoleWithoutLogGroup,
    #[error("{member} cannot be set: {what} is not available yet. Leave the member out, or empty.")]
    NotBuilt { member: &'static str, what: &'static str },
}

/// The settings whose destinations are not built yet, as a request gives them. Terraform sends empty texts to say that
/// there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Destinations<'a> {
    pub(crate) sns_topic_name: Option<&'a str>,
    pub(crate) log_group_arn: Option<&'a str>,
    pub(crate) log_role_arn: Option<&'a str>,
}

impl Destinations<'_> {
    /// Refuses what is set, rather than accepting it in silence.
    pub(crate) fn refuse(&self) -> Result<(), SettingsError> {
        fn is_set(value: Option<&str>) -> bool {
            value.is_some_and(|text| !text.is_empty())
        }
        let not_built = |member, what| Err(SettingsError::NotBuilt { member, what });
        if let Some(topic) = self.sns_topic_name
            && topic.chars().count() > 256
        {
            return Err(SettingsError::TopicName { topic: topic.to_owned() });
        }
        if is_set(self.sns_topic_name) {
            return not_built("SnsTopicName", "notification of deliveries through Amazon SNS");
        }
        match (is_set(self.log_group_arn), is_set(self.log_role_arn)) {
            (true, false) => Err(SettingsError::LogGroupWithoutRole),
            (false, true) => Err(SettingsError::RoleWithoutLogGroup),
            (true, true) => not_built("CloudWatchLogsLogGroupArn", "delivery to CloudWatch Logs"),
            (false, false) => Ok(()),
        }
    }
}

/// Checks that the settings fit together.
pub(crate) fn validate(trail: &Trail) -> Result<(), SettingsError> {
    if trail.multi_region && !trail.include_global_service_events {
        return Err(SettingsError::MultiRegionWithoutGlobalEvents);
    }
    Ok(())
}

impl Context<'_> {
    /// Checks that a new trail's name is free and that there is room for one more; storing it checks again.
    pub(crate) async fn require_free(&self, trail: &Trail) -> Outcome<()> {
        if self.services.trails.find(&trail.key).await?.is_some() {
            return Err(TrailError::AlreadyExists { key: trail.key.clone() }.into());
        }
        let shadows = if trail.key.account == self.account() { self.shadows().await? } else { Vec::new() };
        Ok(self.services.trails.require_room(trail, &shadows).await?)
    }

    /// Checks that the trail's bucket is there and lets CloudTrail in. An organization trail's policy must allow what
    /// the owner's own trail would put as well. (User Guide, "Amazon S3 bucket policy for CloudTrail", "Organization
    /// trails".)
    pub(crate) async fn check_bucket(&self, trail: &Trail) -> Outcome<()> {
        let arn = trail.arn();
        let delivery = delivery(trail, &arn);
        if delivery.organization.is_some() {
            self.services.buckets.check(Delivery { organization: None, ..delivery }).await?;
        }
        Ok(self.services.buckets.check(delivery).await?)
    }

    /// The ARN of the key that `KmsKeyId` names, checked for the trail; none for an empty text.
    pub(crate) async fn check_key(&self, trail: &Trail, text: &str) -> Outcome<Option<String>> {
        if text.is_empty() {
            return Ok(None);
        }
        let usual = |b: u8| b.is_ascii_alphanumeric() || b"._/-:".contains(&b);
        if text.len() > MAX_KEY || !text.bytes().all(usual) {
            let reason = format!(
                "use a key id, a key ARN, alias/ and a name, or an alias ARN: at most {MAX_KEY} letters, digits and ._/-:"
            );
            return Err(KeyError::Invalid { key: text.to_owned(), reason }.into());
        }
        Ok(Some(self.services.buckets.check_key(delivery(trail, &trail.arn()), text).await?))
    }
}

fn delivery<'a>(trail: &'a Trail, arn: &'a Arn) -> Delivery<'a> {
    Delivery {
        bucket: &trail.bucket,
        prefix: trail.prefix.as_deref(),
        trail: arn,
        kms_key: trail.kms_key.as_deref(),
        account: trail.key.account,
        recipient: trail.key.account,
        organization: trail.organization.as_ref().map(|organization| &organization.id),
        folder: TRAIL_FOLDER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_texts_clear_and_are_taken() {
        let empty = Destinations { sns_topic_name: Some(""), log_group_arn: Some(""), log_role_arn: Some("") };
        assert_eq!(empty.refuse(), Ok(()));
        assert_eq!(Destinations::default().refuse(), Ok(()));
    }

    #[test]
    fn a_log_group_and_its_role_go_together() {
        let group = Destinations { log_group_arn: Some("arn"), log_role_arn: Some(""), ..Destinations::default() };
        assert_eq!(group.refuse(), Err(SettingsError::LogGroupWithoutRole));
        let role = Destinations { log_role_arn: Some("arn"), ..Destinations::default() };
        assert_eq!(role.refuse(), Err(SettingsError::RoleWithoutLogGroup));
        let both = Destinations { log_group_arn: Some("arn"), ..role };
        assert!(matches!(both.refuse(), Err(SettingsError::NotBuilt { member: "CloudWatchLogsLogGroupArn", .. })));
    }
}
