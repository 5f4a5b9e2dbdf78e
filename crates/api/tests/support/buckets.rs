use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use opentrail_trails::{BucketError, Buckets, Delivery, KeyError};
use parking_lot::Mutex;

/// Buckets that are whatever the test says.
#[derive(Debug, Default)]
pub(crate) struct TestBuckets {
    state: Mutex<HashMap<String, Result<(), BucketError>>>,
    checked: Mutex<Vec<String>>,
    /// By `KmsKeyId`: the key's ARN, or why it cannot be used. Others are not there.
    keys: Mutex<HashMap<String, Result<String, KeyError>>>,
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

    /// What a check of the key that `text` names finds from now on.
    pub(crate) fn set_key(&self, text: &str, state: Result<&str, KeyError>) {
        self.keys.lock().insert(text.to_owned(), state.map(str::to_owned));
    }

    /// What was checked since this was last asked: bucket, prefix, trail.
    pub(crate) fn checked(&self) -> Vec<String> {
        std::mem::take(&mut self.checked.lock())
    }
}

#[async_trait]
impl Buckets for TestBuckets {
    async fn check(&self, delivery: Delivery<'_>) -> Result<(), BucketError> {
        let Delivery { bucket, prefix, trail, account, .. } = delivery;
        self.checked.lock().push(format!("{bucket} {} {trail} {account}", prefix.unwrap_or("-")));
        let missing = || Err(BucketError::NoSuchBucket { bucket: bucket.to_owned() });
        self.state.lock().get(bucket).cloned().unwrap_or_else(missing)
    }

    async fn open(&self, delivery: Delivery<'_>) -> Result<Arc<dyn ObjectStore>, BucketError> {
        self.check(delivery).await?;
        Ok(Arc::new(object_store::memory::InMemory::new()))
    }

    async fn check_key(&self, delivery: Delivery<'_>, key: &str) -> Result<String, KeyError> {
        self.checked.lock().push(format!("key {key} for {}", delivery.bucket));
        let missing = || {
            let (bucket, region) = (delivery.bucket.to_owned(), "us-east-1".to_owned());
            Err(KeyError::NotFound { key: key.to_owned(), bucket, region })
        };
        self.keys.lock().get(key).cloned().unwrap_or_else(missing)
    }
}
