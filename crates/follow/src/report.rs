use opentrail_model::{AccountId, Timestamp};
use serde::{Serialize, Serializer};

use crate::{Counts, Phase};

/// What can be told of a source.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// Its bucket.
    pub bucket: String,
    /// The trail's prefix.
    pub prefix: String,
    /// Whether a queue tells of new files.
    pub is_notified: bool,
    /// How it is doing.
    pub state: Phase,
    /// Since when it is doing so.
    #[serde(serialize_with = "iso")]
    pub since: Timestamp,
    /// What is wrong, if something is.
    pub error: Option<String>,
    /// When it was looked at last.
    #[serde(serialize_with = "iso_if_any")]
    pub looked: Option<Timestamp>,
    /// Folders that are followed.
    pub folders: usize,
    /// Accounts of this server that the bucket has events of, and the source does not name.
    pub unnamed_accounts: Vec<AccountId>,
    /// The latest minute in the name of a file that was taken.
    #[serde(serialize_with = "iso_if_any")]
    pub newest: Option<Timestamp>,
    /// How long ago that was.
    pub lag_seconds: Option<u64>,
    /// What was taken in all.
    #[serde(flatten)]
    pub counts: Counts,
    /// Files that cannot be read.
    pub failures: Vec<FailureReport>,
}

/// A file that cannot be read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FailureReport {
    /// Its key.
    pub key: String,
    /// What kind of failure it is.
    pub kind: &'static str,
    /// Whether it was tried often enough to be looked at by somebody.
    pub set_aside: bool,
    /// What is wrong.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried first.
    #[serde(serialize_with = "iso")]
    pub first: Timestamp,
    /// When it was tried last.
    #[serde(serialize_with = "iso")]
    pub last: Timestamp,
    /// When it will be tried again.
    #[serde(serialize_with = "iso")]
    pub next: Timestamp,
}

fn iso<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn iso_if_any<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Timestamp::to_iso).serialize(serializer)
}
