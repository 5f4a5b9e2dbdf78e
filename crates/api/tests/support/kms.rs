use std::collections::HashMap;

use async_trait::async_trait;
use opentrail_keys::Material;
use opentrail_stores::{SealedDataKey, StoreKey, StoreKeyError, StoreKms};
use parking_lot::Mutex;

/// Keys that are whatever the test says.
#[derive(Debug, Default)]
pub(crate) struct TestKms {
    /// By `KmsKeyId`: the key's ARN, or why it cannot be used. Others are not there.
    keys: Mutex<HashMap<String, Result<String, StoreKeyError>>>,
}

impl TestKms {
    /// What a check of the key that `text` names finds from now on.
    pub(crate) fn set(&self, text: &str, state: Result<&str, StoreKeyError>) {
        self.keys.lock().insert(text.to_owned(), state.map(str::to_owned));
    }
}

#[async_trait]
impl StoreKms for TestKms {
    async fn check(&self, store: &StoreKey, text: &str) -> Result<String, StoreKeyError> {
        let missing = || Err(StoreKeyError::NotFound { key: text.to_owned(), region: store.home_region.to_string() });
        self.keys.lock().get(text).cloned().unwrap_or_else(missing)
    }

    async fn make(&self, _: &StoreKey, _: &str) -> Result<(Material, SealedDataKey), StoreKeyError> {
        unreachable!("operations make no data keys")
    }

    async fn open(&self, _: &StoreKey, _: &SealedDataKey) -> Result<Material, StoreKeyError> {
        unreachable!("operations open no data keys")
    }
}
