use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use opentrail_model::AccountId;

use crate::Source;

/// What surrounds the followers: buckets, and the accounts of the server.
#[async_trait]
pub trait Surroundings: fmt::Debug + Send + Sync + 'static {
    /// The source's bucket. Asked before each look at it, so that what is changed meanwhile counts.
    async fn open(&self, source: &Source) -> Result<Arc<dyn ObjectStore>, OpenError>;

    /// Whether this server has the account.
    fn is_here(&self, account: AccountId) -> bool;
}

/// Why a bucket is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A trail of this server delivers there: its events would come in again and again.
    #[error("the trail {trail} of this server delivers to this bucket and prefix: its events would come in for ever")]
    Loop {
        /// The trail's ARN.
        trail: String,
    },
    /// There is no such bucket here, and none is configured elsewhere.
    #[error("there is no bucket {bucket}: neither in the embedded store nor in a [[destination]]")]
    NoSuchBucket {
        /// The bucket.
        bucket: String,
    },
    /// It may help to try again.
    #[error("{reason}")]
    Unavailable {
        /// What failed.
        reason: String,
    },
}

/// A queue that tells of new objects, as SQS does.
///
/// # Promises
/// A message comes at least once, and again and again until it is deleted.
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync + 'static {
    /// Some messages, which nobody else gets for a while; waits for a while when there are none.
    async fn receive(&self) -> Result<Vec<Message>, QueueError>;

    /// Deletes messages by their receipts, at most as many as `receive` gives at once.
    async fn delete(&self, receipts: &[String]) -> Result<(), QueueError>;

    /// Has a message come again soon, but not at once.
    async fn put_back(&self, receipt: &str) -> Result<(), QueueError>;
}

/// A message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub body: String,
    /// What it is deleted by.
    pub receipt: String,
}

/// Why a queue did not do as asked; it may help to try again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue failed: {reason}")]
pub struct QueueError {
    /// What failed.
    pub reason: String,
}
