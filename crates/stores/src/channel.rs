use std::fmt;

use opentrail_model::{AccountId, Arn, Region, Timestamp};
use opentrail_trails::Tag;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{StoreKey, key};

/// What `Source` can be: an application of one's own, or one of CloudTrail's partners. (User Guide, "Create an integration
/// with an event source outside of AWS".)
pub const SOURCES: &[&str] = &[
    "CloudStorageSecurityConsole",
    "Clumio",
    "CrowdStrike",
    "Custom",
    "CyberArk",
    "GitHub",
    "IBMMulticloud",
    "KongGatewayEnterprise",
    "LaunchDarkly",
    "MontyCloud",
    "NetskopeCloudExchange",
    "OktaSystemLogEvents",
    "OneLogin",
    "Shoreline",
    "Snyk",
    "WizAuditLogs",
];

/// What names a channel: its owner, its Region, its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelKey {
    /// The account that owns it.
    pub account: AccountId,
    /// Where it was created and can be used.
    pub home_region: Region,
    /// The last part of its ARN.
    pub id: Uuid,
}

impl ChannelKey {
    /// The channel's ARN.
    pub fn arn(&self) -> Arn {
        key::arn("channel", self.account, &self.home_region, self.id)
    }

    /// Reads the ARN of a channel of `partition`.
    pub fn from_arn(text: &str, partition: &str) -> Option<Self> {
        let (account, home_region, id) = key::from_arn("channel", text, partition)?;
        Some(Self { account, home_region, id })
    }
}

impl fmt::Display for ChannelKey {
    /// `account/region/id`: the key of the channel's documents in the catalog.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.home_region, self.id)
    }
}

/// A way for events of applications into event data stores.
///
/// Whatever a store takes from it follows from [`crate::EventDataStore::channels`], which change in the same transaction
/// as [`Channel::destinations`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// What names it.
    pub key: ChannelKey,
    /// `Name`, unique in account and Region.
    pub name: String,
    /// `Source`, one of [`SOURCES`]; never changes.
    pub source: String,
    /// The event data stores that its events go to, in the order given.
    pub destinations: Vec<StoreKey>,
    /// In the order in which they were added.
    pub tags: Vec<Tag>,
    /// When it was created.
    pub created: Timestamp,
}

/// What last came of events put to a channel. Written after the answer is certain, so that a crash can leave it behind
/// the events, never before them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingestion {
    /// `LatestIngestionSuccessTime`.
    pub success: Option<Timestamp>,
    /// `LatestIngestionSuccessEventID`.
    pub success_event: Option<String>,
    /// `LatestIngestionErrorCode`.
    pub error: Option<String>,
    /// `LatestIngestionAttemptTime`.
    pub attempt: Option<Timestamp>,
    /// `LatestIngestionAttemptEventID`.
    pub attempt_event: Option<String>,
}
