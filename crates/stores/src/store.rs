use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use opentrail_model::{AccountId, AdvancedEventSelector, Arn, InsightSelector, Region, Selectors, Timestamp};
use opentrail_trails::{OrganizationScope, Tag};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ChannelKey, EventConfiguration, Kind, key};

/// How long a deleted store can be restored, unless a test has less time. (API Reference, DeleteEventDataStore.)
pub const PENDING_DELETION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What names an event data store: its owner, its home Region, its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoreKey {
    /// The account that owns it.
    pub account: AccountId,
    /// Where it was created and can be used.
    pub home_region: Region,
    /// The last part of its ARN.
    pub id: Uuid,
}

impl StoreKey {
    /// The store's ARN.
    pub fn arn(&self) -> Arn {
        key::arn("eventdatastore", self.account, &self.home_region, self.id)
    }

    /// Reads the ARN of a store of `partition`.
    pub fn from_arn(text: &str, partition: &str) -> Option<Self> {
        let (account, home_region, id) = key::from_arn("eventdatastore", text, partition)?;
        Some(Self { account, home_region, id })
    }

    /// Reads the form of [`fmt::Display`].
    pub fn from_text(text: &str) -> Option<Self> {
        let (account, home_region, id) = key::from_text(text)?;
        Some(Self { account, home_region, id })
    }
}

impl fmt::Display for StoreKey {
    /// `account/region/id`: the key of the store's documents in the catalog.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.home_region, self.id)
    }
}

/// `BillingMode`: here it only bounds the retention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BillingMode {
    /// Up to ten years.
    #[default]
    ExtendableRetentionPricing,
    /// Up to seven years.
    FixedRetentionPricing,
}

impl BillingMode {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExtendableRetentionPricing => "EXTENDABLE_RETENTION_PRICING",
            Self::FixedRetentionPricing => "FIXED_RETENTION_PRICING",
        }
    }

    /// `RetentionPeriod` when none is given, in days. (User Guide, "Event data store pricing options".)
    pub fn default_retention_days(self) -> u32 {
        match self {
            Self::ExtendableRetentionPricing => 366,
            Self::FixedRetentionPricing => 2557,
        }
    }

    /// The longest `RetentionPeriod`, in days.
    pub fn max_retention_days(self) -> u32 {
        match self {
            Self::ExtendableRetentionPricing => 3653,
            Self::FixedRetentionPricing => 2557,
        }
    }
}

/// `Status`, of those that last. Starting and stopping take effect at a position of the journal, before the call is
/// answered, so that nobody sees a store on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It takes events.
    Enabled,
    /// It takes none until ingestion is started.
    StoppedIngestion,
    /// It is deleted, and can be restored for [`PENDING_DELETION`].
    PendingDeletion,
}

impl Status {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::StoppedIngestion => "STOPPED_INGESTION",
            Self::PendingDeletion => "PENDING_DELETION",
        }
    }
}

/// What PutInsightSelectors switched on for a store's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreInsights {
    /// The store of Insights events, of the same account and Region, that takes what is found.
    pub destination: StoreKey,
    /// Each type once, at least one; of management events.
    pub selectors: Vec<InsightSelector>,
}

/// An event data store's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDataStore {
    /// What names it.
    pub key: StoreKey,
    /// Grows with every change, from 1; of two versions the one with the greater number is the newer.
    pub version: u64,
    /// `Name`, unique in account and Region.
    pub name: String,
    /// Never empty, and of one [`Kind`].
    pub advanced_event_selectors: Vec<AdvancedEventSelector>,
    /// `MultiRegionEnabled`: whether it takes events of every Region.
    pub multi_region: bool,
    /// `RetentionPeriod`, in days, judged by each event's `eventTime`.
    pub retention_days: u32,
    /// `TerminationProtectionEnabled`.
    pub termination_protection: bool,
    /// `BillingMode`.
    pub billing_mode: BillingMode,
    /// Whether it takes events, as long as it is not deleted.
    pub ingesting: bool,
    /// Until when it can be restored, if it is deleted. From then on nobody sees it.
    pub gone_at: Option<Timestamp>,
    /// What PutEventConfiguration set.
    #[serde(default)]
    pub event_configuration: EventConfiguration,
    /// Whose events it takes, if it is one of an organization: those of its owner, the management account, and of all the
    /// members that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationScope>,
    /// Whether it ever was, so that it may hold events of other accounts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_once: bool,
    /// The channels that have it for a destination. A store of activity audit logs takes their events and no others.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub channels: BTreeSet<ChannelKey>,
    /// What PutInsightSelectors switched on; `None` when Insights is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insights: Option<StoreInsights>,
    /// The stores that have it for the destination of their Insights. A store of Insights events takes those, and records of Insights
    /// made elsewhere.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub insight_sources: BTreeSet<StoreKey>,
    /// `FederationRoleArn` while it is federated: others may read its table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federation_role: Option<String>,
    /// `KmsKeyId`: the ARN of the key that seals what it holds. Once set it never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// In the order in which they were added.
    pub tags: Vec<Tag>,
    /// When it was created.
    pub created: Timestamp,
    /// When its settings last changed.
    pub updated: Timestamp,
}

impl EventDataStore {
    /// A store as it is when CreateEventDataStore says no more than its name, created at `now`: multi-Region, protected,
    /// ingesting, with one-year extendable retention pricing. (API Reference, CreateEventDataStore.)
    pub fn new(
        key: StoreKey,
        name: impl Into<String>,
        advanced_event_selectors: Vec<AdvancedEventSelector>,
        now: Timestamp,
    ) -> Self {
        let billing_mode = BillingMode::default();
        Self {
            key,
            version: 1,
            name: name.into(),
            advanced_event_selectors,
            multi_region: true,
            retention_days: billing_mode.default_retention_days(),
            termination_protection: true,
            billing_mode,
            ingesting: true,
            gone_at: None,
            event_configuration: EventConfiguration::default(),
            organization: None,
            shared_once: false,
            channels: BTreeSet::new(),
            insights: None,
            insight_sources: BTreeSet::new(),
            federation_role: None,
            kms_key: None,
            tags: Vec::new(),
            created: now,
            updated: now,
        }
    }

    /// The store's ARN.
    pub fn arn(&self) -> Arn {
        self.key.arn()
    }

    /// Whether it takes events of `account`.
    pub fn is_of(&self, account: AccountId) -> bool {
        match &self.organization {
            Some(scope) => scope.members.contains(&account),
            None => self.key.account == account,
        }
    }

    /// Makes it one of an organization, or of its account alone.
    pub fn set_organization(&mut self, scope: Option<OrganizationScope>) {
        self.shared_once |= scope.is_some();
        self.organization = scope;
    }

    /// What it collects.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.advanced_event_selectors)
    }

    /// Its selectors as those that trails share.
    pub fn selectors(&self) -> Selectors {
        Selectors::Advanced { advanced: self.advanced_event_selectors.clone() }
    }

    /// Its state.
    pub fn status(&self) -> Status {
        match (self.gone_at, self.ingesting) {
            (Some(_), _) => Status::PendingDeletion,
            (None, true) => Status::Enabled,
            (None, false) => Status::StoppedIngestion,
        }
    }

    /// Whether it is past restoring at `now`.
    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.gone_at.is_some_and(|gone| gone <= now)
    }

    /// How long its events are kept.
    pub fn retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.retention_days) * 24 * 60 * 60)
    }

    /// Whether it takes events recorded in `region`.
    pub fn covers(&self, region: &Region) -> bool {
        self.multi_region || self.key.home_region == *region
    }
}
