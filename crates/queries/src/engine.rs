use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use opentrail_model::Timestamp;
use opentrail_stores::StoreKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A result's row: the values' text forms in the order of the columns, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// What runs statements.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The ids of the event data stores that a statement names. Nothing is known of them yet: only the form is checked.
    fn stores(&self, statement: &str) -> Result<BTreeSet<Uuid>, InvalidStatement>;

    /// Prepares a statement over `stores`, which are those that it names, as they are now. Columns, functions and types
    /// are checked. `now` is what the statement takes for the current time.
    async fn plan(&self, statement: &str, stores: &[StoreKey], now: Timestamp)
    -> Result<Box<dyn Execution>, PlanError>;

    /// Checks a statement as [`Self::plan`] does. It need not wait for what the stores are still to take in.
    async fn check(&self, statement: &str, stores: &[StoreKey], now: Timestamp) -> Result<(), PlanError> {
        self.plan(statement, stores, now).await.map(drop)
    }
}

/// A statement that is prepared, and runs while it is asked for rows. Dropping it ends it.
#[async_trait]
pub trait Execution: Send {
    /// The headings of the result.
    fn columns(&self) -> &[String];

    /// Some more rows; `None` after the last.
    ///
    /// # Cancellation
    /// Rows may be lost: drop the whole execution then.
    async fn next(&mut self) -> Result<Option<Vec<Row>>, ExecutionError>;

    /// The event data stores that it reads and that have a KMS key, with the key's ARN: rows of them are kept sealed.
    fn sealed_by(&self) -> Vec<(StoreKey, String)> {
        Vec::new()
    }

    /// What was read so far.
    fn scanned(&self) -> Scanned;
}

/// How much a query read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// `EventsScanned`.
    pub events_scanned: u64,
    /// `EventsMatched`.
    pub events_matched: u64,
    /// `BytesScanned`, as they are stored.
    pub bytes: u64,
}

/// A statement that cannot be run, whatever the stores hold. The text is for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidStatement(pub String);

/// Why a statement was not prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The statement is at fault.
    #[error(transparent)]
    Statement(#[from] InvalidStatement),
    /// A store has a KMS key that cannot be used now.
    #[error("{reason}")]
    Locked {
        /// What the client reads.
        reason: String,
    },
    /// A store cannot be read; trying again may help.
    #[error("the event data store cannot be read: {reason}")]
    Unavailable {
        /// What failed, for our log.
        reason: String,
    },
}

/// Why a statement did not run to its end. The text is for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExecutionError(pub String);
