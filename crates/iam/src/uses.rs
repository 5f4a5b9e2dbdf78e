//! When keys were last used: kept in memory, stored once in a while, so that a call costs no write.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_identity::KeyUse;
use opentrail_runtime::{Clock, Shutdown};
use tracing::warn;

use crate::Iam;

const USES: &str = "iam-key-uses";

/// How often they are stored. A crash forgets what is younger.
const EVERY: Duration = Duration::from_secs(60);

pub(crate) async fn load(catalog: &dyn Catalog) -> Result<HashMap<String, KeyUse>, CatalogError> {
    Ok(catalog.all::<KeyUse>(USES, "").await?.into_iter().map(|document| (document.key, document.value)).collect())
}

impl Iam {
    /// Stores the last uses of keys now and then, and once more at the end.
    ///
    /// # Errors
    /// None: what cannot be stored now is stored the next time.
    pub async fn run(self: Arc<Self>, clock: Arc<dyn Clock>, shutdown: Shutdown) -> Result<(), CatalogError> {
        loop {
            let stopping = tokio::select! {
                () = shutdown.begun() => true,
                () = clock.sleep(EVERY) => false,
            };
            if let Err(error) = self.store_uses().await {
                warn!(%error, "when access keys were last used could not be stored");
            }
            if stopping {
                return Ok(());
            }
        }
    }

    /// Stores the last uses that have changed since, and forgets those of keys that are gone.
    ///
    /// # Errors
    /// When the catalog does not take them.
    pub async fn store_uses(&self) -> Result<(), CatalogError> {
        let mut stored = self.stored_uses.lock().await;
        let identities = self.directory.identities();
        let mut uses = self.directory.key_uses();
        uses.retain(|key, _| identities.key(key).is_some());
        let changed = uses.iter().filter(|(key, used)| stored.get(*key) != Some(used));
        let put = changed.map(|(key, used)| Change::put(USES, key.as_str(), Expect::Anything, used));
        let gone = stored.keys().filter(|key| !uses.contains_key(*key));
        let delete = gone.map(|key| Change::delete(USES, key.as_str(), Expect::Anything));
        let changes: Vec<Change> = put.chain(delete).collect();
        if !changes.is_empty() {
            self.catalog.commit(changes).await?;
        }
        *stored = uses;
        Ok(())
    }
}
