use std::fmt;

use opentrail_model::{AccountId, Arn, Region, Timestamp};
use opentrail_stores::Tag;
use serde::{Deserialize, Serialize};

use crate::managed::{self, ManagedDashboard};
use crate::{Schedule, Widget};

/// The dashboard that CloudTrail makes for an account once somebody enables it.
pub const HIGHLIGHTS: &str = "AWSCloudTrail-Highlights";
/// What names of dashboards begin with that users cannot make.
const RESERVED: &str = "AWSCloudTrail-";

/// What names a dashboard: its owner, its Region, its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DashboardKey {
    /// The account that owns it.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// `Name`.
    pub name: String,
}

/// Who decides what a dashboard shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DashboardKind {
    /// Its owner.
    Custom,
    /// CloudTrail, for everybody alike.
    Managed(&'static ManagedDashboard),
    /// CloudTrail, from all event data stores of the account.
    Highlights,
}

impl DashboardKind {
    /// `Type`. That of Highlights is not documented; its name is one of CloudTrail's, so it is taken for managed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Custom => "CUSTOM",
            Self::Managed(_) | Self::Highlights => "MANAGED",
        }
    }
}

impl DashboardKey {
    /// What kind of dashboard has that name.
    pub fn kind(&self) -> DashboardKind {
        match managed::find(&self.name) {
            Some(managed) => DashboardKind::Managed(managed),
            None if self.name == HIGHLIGHTS => DashboardKind::Highlights,
            None => DashboardKind::Custom,
        }
    }

    /// Whether only CloudTrail can make a dashboard of that name.
    pub(crate) fn is_reserved(&self) -> bool {
        self.name.starts_with(RESERVED) && self.name != HIGHLIGHTS
    }

    /// The dashboard's ARN.
    pub fn arn(&self) -> Arn {
        let Self { account, region, name } = self;
        let text = format!("arn:{}:cloudtrail:{region}:{account}:dashboard/{name}", region.partition());
        text.parse().expect("a partition, a Region and an account make an ARN")
    }

    /// Reads the ARN of a dashboard of `partition`.
    pub fn from_arn(text: &str, partition: &str) -> Option<Self> {
        let arn: Arn = text.parse().ok()?;
        let name = arn.resource().strip_prefix("dashboard/")?.to_owned();
        let key = Self { account: arn.account().parse().ok()?, region: arn.region().parse().ok()?, name };
        let fits = arn.service() == "cloudtrail" && arn.partition() == partition && is_name(&key.name);
        fits.then_some(key)
    }
}

impl fmt::Display for DashboardKey {
    /// `account/region/name`: the key of the dashboard's documents in the catalog.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.name)
    }
}

/// Whether a dashboard can have that name. (API Reference, CreateDashboard, `Name`.)
pub(crate) fn is_name(text: &str) -> bool {
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (3..=128).contains(&text.len()) && text.bytes().all(is_of_names)
}

/// A dashboard as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    /// What names it.
    pub key: DashboardKey,
    /// What it shows, in order; empty for Highlights, whose widgets follow from the account's stores.
    pub widgets: Vec<Widget>,
    /// When it is refreshed by itself.
    pub schedule: Option<Schedule>,
    /// Whether it cannot be deleted.
    pub termination_protection: bool,
    /// In the order in which they were added.
    pub tags: Vec<Tag>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated, if it ever was.
    pub updated: Option<Timestamp>,
}

/// `Status`. Creating, updating and deleting are one transaction each, so that nobody sees a dashboard in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DashboardStatus {
    /// It is as it was created.
    Created,
    /// It was changed.
    Updated,
}

impl DashboardStatus {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
        }
    }
}

impl Dashboard {
    /// Its status.
    pub fn status(&self) -> DashboardStatus {
        if self.updated.is_some() { DashboardStatus::Updated } else { DashboardStatus::Created }
    }
}
