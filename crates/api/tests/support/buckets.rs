use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use opentrail_trails::{BucketError, Buckets, Delivery};
use parking_lot::Mutex;

/// Buckets that are whatever the test says.
#[derive(Debug, Default)]
pub(crate) struct TestBuckets {
    state: Mutex<HashMap<String, Result<(), BucketError>>>,
    checked: Mutex<Vec<String>>,
}

impl TestBuckets {
    /// One bucket that CloudTrail may use.
    pub(crate) fn with(bucket: &str) -> Self {
        let buckets = Self::default();
        buckets.set(bucket, Ok(()));
        buckets
    }

    /// What a check of `bucket` finds from now on.
    pub(crate) fn set(&self, bucket: &str, state: Result<(), BucketError>) {
        self.state.lock().insert(bucket.to_owned(), state);
    }

    /// What was checked since this was last asked: bucket, prefix, trail.
    pub(crate) fn checked(&self) -> Vec<String> {
        std::mem::take(&mut self.checked.lock())
    }
}

#[async_trait]
impl Buckets for TestBuckets {
    async fn check(&self, delivery: Delivery<'_>) -> Result<(), BucketError> {
        let Delivery { bucket, prefix, trail, account } = delivery;
        self.checked.lock().push(format!("{bucket} {} {trail} {account}", prefix.unwrap_or("-")));
        let missing = || Err(BucketError::NoSuchBucket { bucket: bucket.to_owned() });
        self.state.lock().get(bucket).cloned().unwrap_or_else(missing)
    }

    async fn open(&self, delivery: Delivery<'_>) -> Result<Arc<dyn ObjectStore>, BucketError> {
        self.check(delivery).await?;
        Ok(Arc::new(object_store::memory::InMemory::new()))
    }
}
