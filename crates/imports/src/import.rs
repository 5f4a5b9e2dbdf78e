use std::fmt;

use opentrail_catalog::{Change, Expect};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_stores::StoreKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Cursor, EntryError, Scope};

/// One [`Import`] per import, by its key.
pub(crate) const IMPORTS: &str = "imports";
/// One [`Failure`] per entry that ever failed, by the import's key and the entry's location.
pub(crate) const FAILURES: &str = "import-failures";

/// What names an import: who started it, where, and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImportKey {
    /// The account that started it, which owns the event data store.
    pub account: AccountId,
    /// The Region that was called.
    pub region: Region,
    /// `ImportId`.
    pub id: Uuid,
}

impl fmt::Display for ImportKey {
    /// `account/region/id`: the key of the import's document in the catalog.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.id)
    }
}

/// Where the log files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `S3LocationUri`, as it was given.
    pub uri: String,
    /// The bucket in it.
    pub bucket: String,
    /// The folder in it: empty, or with a slash at its end.
    pub folder: String,
    /// `S3BucketRegion`.
    pub region: Region,
    /// `S3BucketAccessRoleArn`.
    pub role: String,
}

/// An import as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// What names it.
    pub key: ImportKey,
    /// Where the events go.
    pub destination: StoreKey,
    /// Where they come from.
    pub origin: Origin,
    /// `StartEventTime`.
    pub start: Option<Timestamp>,
    /// `EndEventTime`.
    pub end: Option<Timestamp>,
    /// When it was started first.
    pub created: Timestamp,
    /// When this document last changed.
    pub updated: Timestamp,
    /// Its state.
    pub status: ImportStatus,
    /// What below the folder is read, once that is known.
    pub(crate) scope: Option<Scope>,
    /// What is done, and durable in the store's table.
    pub(crate) progress: Progress,
    /// The chunk that may be in the store's table already.
    pub(crate) intent: Option<Intent>,
    /// What failed is to be tried again before it goes on.
    pub(crate) again: bool,
    /// How many starts of the server found it under way since its progress last changed.
    pub(crate) interruptions: u32,
}

/// `ImportStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImportStatus {
    /// The bucket is looked at.
    Initializing,
    /// Files are read.
    InProgress,
    /// It came to its end, and some entries failed; or it could not go on.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// It came to its end, and no entry is failed.
    Completed,
}

impl ImportStatus {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::InProgress => "IN_PROGRESS",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
            Self::Completed => "COMPLETED",
        }
    }

    /// Whether it is one of those that an import is in while it is under way.
    pub fn is_ongoing(self) -> bool {
        matches!(self, Self::Initializing | Self::InProgress)
    }
}

/// `ImportStatistics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// `PrefixesFound`: folders with log files, those of a day in a Region as a rule.
    pub prefixes_found: u64,
    /// `PrefixesCompleted`: those of them all of whose files were looked at.
    pub prefixes_completed: u64,
    /// `FilesCompleted`.
    pub files_completed: u64,
    /// `EventsCompleted`: what is in the store now.
    pub events_completed: u64,
    /// `FailedEntries`: those that are `FAILED` now.
    pub failed_entries: u64,
}

/// How far an import is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The last chunk in the store's table.
    pub(crate) chunk: u64,
    /// While what failed before is tried again: the last location of it that was.
    pub(crate) retried: Option<String>,
    /// What is in folders up to here was looked at.
    pub(crate) cursor: Option<Cursor>,
    /// All folders were.
    pub(crate) walked: bool,
    /// Folders behind which the cursor is.
    pub(crate) passed: u64,
    pub(crate) statistics: Statistics,
}

/// What a chunk does, once it is in the store's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// With the chunk's number.
    pub(crate) progress: Progress,
    pub(crate) failures: Vec<Failure>,
}

/// A file or a folder that failed, now or before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `Location`: its key, or the import's URI for one that could not go on.
    pub location: String,
    /// What it is.
    pub(crate) subject: Subject,
    /// `Status`.
    pub status: FailureStatus,
    /// Why it failed the last time.
    pub error: EntryError,
    /// `LastUpdatedTime`.
    pub updated: Timestamp,
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Subject {
    File,
    /// Listing this folder, behind the key if there is one.
    Folder {
        after: Option<String>,
    },
    /// The import, which goes on where it was.
    Import,
}

/// `ImportFailureStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureStatus {
    /// It failed.
    Failed,
    /// It is being tried again.
    Retry,
    /// It succeeded when tried again.
    Succeeded,
}

impl FailureStatus {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::Retry => "RETRY",
            Self::Succeeded => "SUCCEEDED",
        }
    }
}

impl Failure {
    pub(crate) fn of(location: &str, subject: Subject, error: EntryError, updated: Timestamp) -> Self {
        Self { location: location.to_owned(), subject, status: FailureStatus::Failed, error, updated }
    }

    pub(crate) fn put(&self, key: &ImportKey) -> Change {
        Change::put(FAILURES, failure_key(key, &self.location), Expect::Anything, self)
    }
}

pub(crate) fn failure_key(key: &ImportKey, location: &str) -> String {
    format!("{key}/{location}")
}

impl Import {
    pub(crate) fn put(&self, expect: Expect) -> Change {
        Change::put(IMPORTS, self.key.to_string(), expect, self)
    }

    /// How far it is, as of its last chunk. More folders may be found by now.
    pub fn statistics(&self) -> Statistics {
        self.progress.statistics
    }

    /// The import, once the chunk of its intent is in the store's table, and what becomes of its failures.
    pub(crate) fn settled(&self, intent: Intent) -> (Self, Vec<Failure>) {
        let Intent { progress, failures } = intent;
        (Self { progress, intent: None, interruptions: 0, ..self.clone() }, failures)
    }
}
