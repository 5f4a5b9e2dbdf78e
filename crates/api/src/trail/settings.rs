//! Rules over several settings of a trail, common to CreateTrail and UpdateTrail.

use opentrail_model::{AccountId, Arn};
use opentrail_trails::{Delivery, KeyError, LogGroup, TRAIL_FOLDER, Topic, Trail, TrailError, VALIDATION_MESSAGE};

use crate::access::Access;
use crate::context::{Context, Outcome};

/// `KmsKeyId`, in characters. (API Reference, CreateEventDataStore, whose member has the same forms.)
const MAX_KEY: usize = 350;

/// A setting, or a combination, that a trail cannot have here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// AWS's own text.
    #[error("Multi-Region trail must include global service events.")]
    MultiRegionWithoutGlobalEvents,
    /// AWS's own text.
    #[error("You must specify a role ARN as well as a log group.")]
    LogGroupWithoutRole,
    #[error("You must specify a log group as well as a role ARN.")]
    RoleWithoutLogGroup,
    #[error("{group:?} is no ARN of a log group in the trail's account and home Region that ends with :*")]
    LogGroupArn { group: String },
    #[error("{role:?} is no ARN of a role of account {account}")]
    RoleArn { role: String, account: AccountId },
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

impl Context<'_> {
    /// The topic that `SnsTopicName` names, checked for the trail and told that it is its topic now, as CloudTrail does;
    /// none for an empty text.
    pub(crate) async fn check_topic(&self, trail: &Trail, text: &str) -> Outcome<Option<Topic>> {
        if text.is_empty() {
            return Ok(None);
        }
        let topics = &self.services.topics;
        let arn = topics.check(&trail.key, text).await?;
        topics.publish(&trail.key, &arn, VALIDATION_MESSAGE, &self.services.random.uuid().to_string()).await?;
        Ok(Some(Topic { name: text.to_owned(), arn }))
    }

    /// The log group and the role that a request gives, checked for the trail; none for empty texts.
    pub(crate) async fn check_log_group(&self, trail: &Trail, group: &str, role: &str) -> Outcome<Option<LogGroup>> {
        let Some(group) = log_group(trail, group, role)? else { return Ok(None) };
        self.authorize(Access::to_pass(&group.role))?;
        self.services.log_groups.check(&trail.key, &group).await?;
        Ok(Some(group))
    }
}

/// What the two texts say, which go together.
fn log_group(trail: &Trail, group: &str, role: &str) -> Result<Option<LogGroup>, SettingsError> {
    match (group.is_empty(), role.is_empty()) {
        (true, true) => return Ok(None),
        (false, true) => return Err(SettingsError::LogGroupWithoutRole),
        (true, false) => return Err(SettingsError::RoleWithoutLogGroup),
        (false, false) => {}
    }
    let (region, account) = (&trail.key.home_region, trail.key.account);
    let named = group.parse::<Arn>().is_ok_and(|arn| {
        let name = arn.resource().strip_prefix("log-group:").and_then(|rest| rest.strip_suffix(":*"));
        let here = arn.region() == region.as_str() && arn.account() == account.to_string();
        arn.service() == "logs" && here && name.is_some_and(|name| !name.is_empty() && !name.contains(':'))
    });
    if !named {
        return Err(SettingsError::LogGroupArn { group: group.to_owned() });
    }
    let is_role = role.parse::<Arn>().is_ok_and(|arn| {
        arn.service() == "iam" && arn.account() == account.to_string() && arn.resource().starts_with("role/")
    });
    if !is_role {
        return Err(SettingsError::RoleArn { role: role.to_owned(), account });
    }
    Ok(Some(LogGroup { arn: group.to_owned(), role: role.to_owned() }))
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
