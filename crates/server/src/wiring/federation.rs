use std::path::PathBuf;

use opentrail_api::{FederatedTables, FederationConflict};
use opentrail_objects::{Mount, Store};
use opentrail_stores::{EventDataStore, StoreKey};
use tracing::error;

use super::store_kms::encryption_context;

/// Whoever may do this to a store may read its table. (User Guide, "Federate an event data store".)
const ACTION: &str = "cloudtrail:GetEventDataStoreData";

/// The tables of federated event data stores as buckets of the embedded object store, each by its store's id.
#[derive(Debug)]
pub(crate) struct TableBuckets {
    embedded: Store,
    /// Holds a directory per store, by its id.
    tables: PathBuf,
}

impl TableBuckets {
    /// Shows the tables of those of `stores` that are federated.
    pub(crate) fn new<'a>(embedded: Store, tables: PathBuf, stores: impl Iterator<Item = &'a EventDataStore>) -> Self {
        let buckets = Self { embedded, tables };
        stores.filter(|store| store.federation_role.is_some()).for_each(|store| buckets.show(store));
        buckets
    }
}

impl FederatedTables for TableBuckets {
    fn check(&self, store: &StoreKey) -> Result<(), FederationConflict> {
        let bucket = store.id.to_string();
        match self.embedded.bucket(&bucket) {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(FederationConflict { bucket }),
        }
    }

    fn show(&self, store: &EventDataStore) {
        let bucket = store.key.id.to_string();
        let mount = Mount {
            directory: self.tables.join(&bucket),
            owner: store.key.account,
            region: store.key.home_region.clone(),
            created: store.created,
            action: ACTION,
            resource: store.arn().to_string(),
            context: encryption_context(&store.key),
        };
        if let Err(error) = self.embedded.mount(&bucket, mount) {
            error!(store.id = %bucket, %error, "the table of a federated event data store cannot be shown");
        }
    }

    fn hide(&self, store: &StoreKey) {
        self.embedded.unmount(&store.id.to_string());
    }
}
