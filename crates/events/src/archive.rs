//! Archives and replays as documents.

use opentrail_model::{AccountId, Position, Region, Timestamp};
use serde::{Deserialize, Serialize};

use crate::place::{BusPlace, arn, prefix};

/// An archive: what is on a bus is kept, to be sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The bus whose events it keeps.
    pub bus: BusPlace,
    /// Its name, unique in the account and Region.
    pub name: String,
    /// What its makers say of it.
    pub description: Option<String>,
    /// Which events it keeps: the pattern as it was given. `None`: all.
    pub event_pattern: Option<String>,
    /// For how many days it keeps each; 0: for ever.
    pub retention_days: u32,
    /// The journal's tail when it was made: it keeps records after that only.
    pub since: Position,
    /// When it was made.
    pub created: Timestamp,
}

impl Archive {
    /// The ARN of the archive of that name.
    pub(crate) fn arn_of(account: AccountId, region: &Region, name: &str) -> String {
        arn(account, region, &format!("archive/{name}"))
    }

    pub(crate) fn arn(&self) -> String {
        Self::arn_of(self.bus.account, &self.bus.region, &self.name)
    }

    /// The key of its document.
    pub(crate) fn document(&self) -> String {
        format!("{}{}", prefix(self.bus.account, &self.bus.region), self.name)
    }

    /// By which its events are kept: one of the same name that is made later is another.
    pub(crate) fn shelf(&self) -> String {
        format!("{}@{}", self.document(), self.created.as_millis())
    }
}

/// A replay: events of an archive are sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The bus whose rules get them.
    pub bus: BusPlace,
    /// Its name, unique in the account and Region.
    pub name: String,
    /// What its makers say of it.
    pub description: Option<String>,
    /// The archive's name, and by which its events are kept.
    pub archive: (String, String),
    /// The first time of events that are sent, and the first of those that are not any more.
    pub times: (Timestamp, Timestamp),
    /// The rules that get them, by their ARNs; all if there is none.
    pub rules: Vec<String>,
    /// The last of the archive's chunks when it was started: what is archived later is not sent.
    pub last_chunk: i64,
    /// How it goes.
    pub state: ReplayState,
    /// When it was started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// How a replay goes. (API Reference, DescribeReplay, `State`.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplayState {
    /// It will be under way.
    Starting,
    /// It is under way.
    Running,
    /// It will end before its time.
    Cancelling,
    /// All is sent.
    Completed,
    /// It has ended before its time.
    Cancelled,
    /// It could not go on: why.
    Failed(String),
}

impl ReplayState {
    /// The name on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Cancelling => "CANCELLING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed(_) => "FAILED",
        }
    }

    /// Whether there is something to do yet.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Cancelling)
    }
}

impl Replay {
    pub(crate) fn arn_of(account: AccountId, region: &Region, name: &str) -> String {
        arn(account, region, &format!("replay/{name}"))
    }

    pub(crate) fn arn(&self) -> String {
        Self::arn_of(self.bus.account, &self.bus.region, &self.name)
    }

    /// The key of its document.
    pub(crate) fn document(&self) -> String {
        format!("{}{}", prefix(self.bus.account, &self.bus.region), self.name)
    }

    /// By which its progress is kept, as [`Archive::shelf`].
    pub(crate) fn course(&self) -> String {
        format!("{}@{}", self.document(), self.started.as_millis())
    }
}
