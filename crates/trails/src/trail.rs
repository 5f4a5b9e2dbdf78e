use std::collections::BTreeSet;
use std::fmt;

use opentrail_model::{AccountId, Arn, InsightSelector, OrganizationId, Region, Selectors, Timestamp, TrailName};
use serde::{Deserialize, Serialize};

/// What names a trail: its owner, its home Region, its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrailKey {
    /// The account that owns it.
    pub account: AccountId,
    /// Where it was created and can be changed.
    pub home_region: Region,
    /// Its name, unique in account and home Region.
    pub name: TrailName,
}

impl TrailKey {
    /// The trail's ARN.
    pub fn arn(&self) -> Arn {
        self.name.arn(&self.home_region, self.account)
    }
}

impl fmt::Display for TrailKey {
    /// `account/region/name`: the key of the trail's documents in the catalog.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.home_region, self.name)
    }
}

/// A tag of a trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// 1–128 characters, unique within the trail.
    pub key: String,
    /// At most 256 characters; may be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Whose accounts an organization trail logs, from one version of the trail to the next: so that who is a member has a
/// place in the journal, as every setting has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationScope {
    /// The organization, which is in the keys of what is delivered.
    pub id: OrganizationId,
    /// The accounts, the management account among them. It is alone while the organization gives CloudTrail no trusted
    /// access.
    pub members: BTreeSet<AccountId>,
}

/// What a trail's data events are summed up by. (API Reference, AggregationConfiguration, `Templates`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AggregationTemplate {
    /// By `eventName`.
    ApiActivity,
    /// By the ARN of the resource.
    ResourceAccess,
    /// By who called.
    UserActions,
}

impl AggregationTemplate {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiActivity => "API_ACTIVITY",
            Self::ResourceAccess => "RESOURCE_ACCESS",
            Self::UserActions => "USER_ACTIONS",
        }
    }

    /// The template of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::ApiActivity, Self::ResourceAccess, Self::UserActions].into_iter().find(|known| known.as_str() == name)
    }
}

/// The SNS topic that is told of each log file that a trail delivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// `SnsTopicName` as it was given: a name, or an ARN. Terraform expects to read what it wrote.
    pub name: String,
    /// `SnsTopicARN`.
    pub arn: String,
}

/// The log group of CloudWatch Logs that a trail's events go to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogGroup {
    /// `CloudWatchLogsLogGroupArn`; ends with `:*`.
    pub arn: String,
    /// `CloudWatchLogsRoleArn`: the role that CloudTrail takes to write there.
    pub role: String,
}

/// A trail's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// What names it.
    pub key: TrailKey,
    /// Grows with every change; of two versions the one with the greater number is the newer. A trail that is created
    /// anew under an old name begins above the old one's.
    pub version: u64,
    /// `S3BucketName`: where log files go.
    pub bucket: String,
    /// `S3KeyPrefix`, without a trailing slash; `None` when empty.
    pub prefix: Option<String>,
    /// `KmsKeyId`: the ARN of the key that seals what is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// `IsOrganizationTrail`: present when the owner, a management account, logs its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationScope>,
    /// `IncludeGlobalServiceEvents`.
    pub include_global_service_events: bool,
    /// `IsMultiRegionTrail`.
    pub multi_region: bool,
    /// `LogFileValidationEnabled`: whether digests are made.
    pub log_file_validation: bool,
    /// `RecursiveLogging`; true unless turned off.
    pub recursive_logging: bool,
    /// `IsLogging`.
    pub logging: bool,
    /// When StartLogging was last called.
    pub started: Option<Timestamp>,
    /// When StopLogging was last called.
    pub stopped: Option<Timestamp>,
    /// Never empty; a new trail has the default selector.
    pub selectors: Selectors,
    /// What its data events are summed up by, each template once; empty when they are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregation: Vec<AggregationTemplate>,
    /// What PutInsightSelectors switched on, each type once; empty when Insights is off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub insights: Vec<InsightSelector>,
    /// `SnsTopicName`: the topic that is told of each log file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    /// `CloudWatchLogsLogGroupArn`: the log group that has the trail's events, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group: Option<LogGroup>,
    /// In the order in which they were added.
    pub tags: Vec<Tag>,
    /// When the trail was created.
    pub created: Timestamp,
}

impl Trail {
    /// The trail's ARN.
    pub fn arn(&self) -> Arn {
        self.key.arn()
    }

    /// `HasCustomEventSelectors`: whether the selectors differ from the default; advanced ones always do. A choice: the
    /// flag falls back to false when the default is put again (Terraform does so when selector blocks are removed).
    pub fn has_custom_selectors(&self) -> bool {
        self.selectors != Selectors::default()
    }

    /// The accounts whose events the trail logs: its owner, or the organization's.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        let members = self.organization.as_ref().map(|organization| organization.members.iter().copied());
        let owner = self.organization.is_none().then_some(self.key.account);
        members.into_iter().flatten().chain(owner)
    }

    /// Whether the trail logs what is recorded for `account`.
    pub fn logs(&self, account: AccountId) -> bool {
        match &self.organization {
            None => account == self.key.account,
            Some(organization) => organization.members.contains(&account),
        }
    }

    /// Whether `account` sees the trail as a shadow: it is logged by it and does not own it.
    pub fn is_shadow_in(&self, account: AccountId) -> bool {
        account != self.key.account && self.logs(account)
    }

    /// Whether the trail is seen in `region`: at home, and everywhere when it is multi-Region.
    pub fn is_visible_in(&self, region: &Region) -> bool {
        self.multi_region || self.key.home_region == *region
    }
}
