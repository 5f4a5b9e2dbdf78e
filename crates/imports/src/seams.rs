//! What an import works with, at the height that it needs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use opentrail_model::{AccountId, Timestamp};
use opentrail_stores::StoreKey;
use uuid::Uuid;

use crate::Origin;

/// The buckets that can be imported from.
#[async_trait]
pub trait Origins: fmt::Debug + Send + Sync + 'static {
    /// The bucket as the role in `origin` may read it: CloudTrail may assume the role for the event data store, and the role
    /// may list the bucket and read its ACL. What may not be read by the role fails with
    /// [`object_store::Error::PermissionDenied`], object by object. Keys are relative to the bucket.
    async fn open(&self, origin: &Origin, destination: &StoreKey) -> Result<Arc<dyn ObjectStore>, OriginError>;
}

/// Why a bucket cannot be imported from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// There is none of that name.
    #[error("The S3 bucket {bucket} does not exist.")]
    NoSuchBucket {
        /// The bucket.
        bucket: String,
    },
    /// It is in another Region.
    #[error("The S3 bucket {bucket} is in the Region {found}, not in {given}.")]
    Region {
        /// The bucket.
        bucket: String,
        /// `S3BucketRegion`.
        given: String,
        /// Where it is.
        found: String,
    },
    /// There is no such role, or CloudTrail may not assume it.
    #[error("CloudTrail cannot assume the role {role} for the event data store.")]
    Role {
        /// Its ARN.
        role: String,
    },
    /// The role may not do what an import does first.
    #[error("The role {role} is not allowed to perform {action} on the S3 bucket {bucket}.")]
    AccessDenied {
        /// Its ARN.
        role: String,
        /// The action.
        action: &'static str,
        /// The bucket.
        bucket: String,
    },
    /// The bucket cannot be asked.
    #[error("The S3 bucket {bucket} is unavailable: {reason}.")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// What failed.
        reason: String,
    },
}

/// The event data stores that can be imported into.
///
/// # Promises
/// 1. `add` is `Ok` only once the whole chunk survives a crash. Readers see it whole or not at all.
/// 2. After an error, and after a crash, `landed` tells whether the chunk is there.
#[async_trait]
pub trait Destinations: fmt::Debug + Send + Sync + 'static {
    /// The last chunk of the import that the store has; 0 when it has none.
    async fn landed(&self, store: &StoreKey, import: Uuid) -> Result<u64, DestinationError>;

    /// Adds a chunk, which must be the one after the last.
    async fn add(&self, store: &StoreKey, chunk: Chunk) -> Result<(), DestinationError>;
}

/// Events that go into a store together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// `ImportId`.
    pub import: Uuid,
    /// Which of the import's it is, from 1.
    pub number: u64,
    /// When the events were taken.
    pub received: Timestamp,
    /// The events, in the order of the files.
    pub events: Vec<Event>,
}

/// An event for a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose it is.
    pub account: AccountId,
    /// Its JSON, byte for byte.
    pub raw: Bytes,
}

/// Why a chunk was not added, or not for certain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// The store has no table: it is gone, or so new that it has none yet.
    #[error("the event data store has no table")]
    Missing,
    /// It may help to try again.
    #[error("the event data store's table failed: {reason}")]
    Failed {
        /// What failed.
        reason: String,
    },
}
