use opentrail_model::Timestamp;
use opentrail_stores::{ResourcePolicies, StoreChange, StoreError, Stores};

use crate::context::JournalChange;
use crate::turn::{Turn, Turns};

/// An event data store that time has taken out of the catalog.
#[derive(Debug)]
pub struct RetiredStore {
    /// What the journal is to get.
    pub change: JournalChange,
    /// Drop it once the journal has the change.
    pub turn: Turn,
}

/// Removes one of the stores that can no longer be restored at `now` from the catalog, if there is one.
///
/// Its table goes once the journal has the change. A crash before that leaves a table without a store, for which the next
/// start appends the change.
///
/// # Errors
/// When the catalog fails, or the store changed meanwhile: ask again.
pub async fn retire_store(stores: &Stores, turns: &Turns, now: Timestamp) -> Result<Option<RetiredStore>, StoreError> {
    let Some(gone) = stores.all().await?.into_iter().find(|store| store.value.is_gone(now)) else { return Ok(None) };
    let key = gone.value.key;
    let turn = turns.take(key.account).await;
    stores.delete(&key, gone.revision, vec![ResourcePolicies::forget(&key.arn())]).await?;
    Ok(Some(RetiredStore { change: StoreChange::DeleteEventDataStore(key).into(), turn }))
}
