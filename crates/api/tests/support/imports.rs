use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use opentrail_imports::{Chunk, DestinationError, Destinations, Origin, OriginError, Origins};
use opentrail_stores::StoreKey;
use uuid::Uuid;

/// Neither a bucket to import from nor a table to import into.
#[derive(Debug)]
pub(crate) struct Nowhere;

#[async_trait]
impl Origins for Nowhere {
    async fn open(&self, origin: &Origin, _: &StoreKey) -> Result<Arc<dyn ObjectStore>, OriginError> {
        Err(OriginError::NoSuchBucket { bucket: origin.bucket.clone() })
    }
}

#[async_trait]
impl Destinations for Nowhere {
    async fn landed(&self, _: &StoreKey, _: Uuid) -> Result<u64, DestinationError> {
        Err(DestinationError::Missing)
    }

    async fn add(&self, _: &StoreKey, _: Chunk) -> Result<(), DestinationError> {
        Err(DestinationError::Missing)
    }
}
