use std::fmt;
use std::time::Duration;

use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_stores::StoreKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Scanned;

/// What names a query: whose stores it reads, where, and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueryKey {
    /// The account that owns the event data stores, whoever started the query.
    pub account: AccountId,
    /// The Region that was called.
    pub region: Region,
    /// `QueryId`.
    pub id: Uuid,
}

impl fmt::Display for QueryKey {
    /// `account/region/id`: the key of the query's document in the catalog.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.id)
    }
}

/// A query as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// What names it.
    pub key: QueryKey,
    /// `QueryString`, as it was given.
    pub statement: String,
    /// The event data stores that it names, in the order of their ids; never empty.
    pub stores: Vec<StoreKey>,
    /// When it was started: what it takes for the current time.
    pub created: Timestamp,
    /// How it ended; `None` while it is queued or running, which of the two being known in memory only.
    pub ended: Option<Ended>,
    /// How many starts of the server found it not ended.
    pub interruptions: u32,
    /// Where its results go, if that was asked for.
    pub delivery: Option<Delivery>,
    /// What it was started by, when that was not its statement.
    #[serde(default)]
    pub alias: Option<Alias>,
}

/// What names the statement of a query that was started by that name: a widget of a dashboard, or a generated query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// `QueryAlias`.
    pub name: String,
    /// `RefreshId`: the refresh of the dashboard that started it.
    pub refresh: Option<String>,
    /// `Prompt`: the question that a generated query answers.
    #[serde(default)]
    pub prompt: Option<String>,
}

/// How a query ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Never `Queued` or `Running`.
    pub status: QueryStatus,
    /// When: for a finished query, `queryCompleteTime`.
    pub at: Timestamp,
    /// How long it ran.
    pub ran: Duration,
    /// What it read.
    pub scanned: Scanned,
    /// The rows of its result: all of a finished query, those until then of one that timed out.
    pub rows: u64,
    /// `ErrorMessage`.
    pub message: Option<String>,
}

/// `QueryStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum QueryStatus {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It ran to its end.
    Finished,
    /// It did not.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// It took too long.
    TimedOut,
}

impl QueryStatus {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
        }
    }

    /// Whether it is one of those that a query ends with.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Where a query's results go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// `DeliveryS3Uri`, as it was given.
    pub uri: String,
    /// The bucket in it.
    pub bucket: String,
    /// What it says after the bucket, without slashes at its ends.
    pub prefix: Option<String>,
    /// How far it is.
    pub status: DeliveryStatus,
}

/// `DeliveryStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// The query has not ended, or its results are on the way.
    Pending,
    /// Results and sign file are in the bucket.
    Success,
    /// The results cannot be delivered.
    Failed,
    /// The results are in the bucket, and the sign file cannot be delivered.
    FailedSigningFile,
    /// The bucket is gone.
    ResourceNotFound,
    /// The bucket does not take the results.
    AccessDenied,
    /// The bucket took the results, and does not take the sign file.
    AccessDeniedSigningFile,
    /// The query was cancelled.
    Cancelled,
}

impl DeliveryStatus {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::FailedSigningFile => "FAILED_SIGNING_FILE",
            Self::ResourceNotFound => "RESOURCE_NOT_FOUND",
            Self::AccessDenied => "ACCESS_DENIED",
            Self::AccessDeniedSigningFile => "ACCESS_DENIED_SIGNING_FILE",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl Query {
    /// The query with this end. Only a finished one's results are delivered. (User Guide, "Get and save query results":
    /// partial results are not.)
    pub(crate) fn end(mut self, ended: Ended) -> Self {
        if let Some(delivery) = &mut self.delivery {
            delivery.status = match ended.status {
                QueryStatus::Queued | QueryStatus::Running | QueryStatus::Finished => delivery.status,
                QueryStatus::Cancelled => DeliveryStatus::Cancelled,
                QueryStatus::Failed | QueryStatus::TimedOut => DeliveryStatus::Failed,
            };
        }
        self.ended = Some(ended);
        self
    }

    /// Whether its results are still to be delivered.
    pub(crate) fn is_to_be_delivered(&self) -> bool {
        let finished = self.ended.as_ref().is_some_and(|ended| ended.status == QueryStatus::Finished);
        finished && self.delivery.as_ref().is_some_and(|delivery| delivery.status == DeliveryStatus::Pending)
    }
}
