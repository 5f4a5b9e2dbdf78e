use opentrail_stores::{EventDataStore, StoreChange};

use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::Change;

impl Context<'_> {
    /// Stores a new event data store.
    pub(crate) async fn create_store(&self, store: EventDataStore) -> Outcome<Change> {
        let turn = self.services.turns.take(store.key.account).await;
        self.services.stores.create(&store).await?;
        let change = StoreChange::PutEventDataStore(store.into()).into();
        Ok(Change { change, order: RecordOrder::ChangeFirst, turn })
    }

    /// Stores the next version of a store that was read at `revision`.
    pub(crate) async fn replace_store(
        &self,
        mut store: EventDataStore,
        revision: u64,
        order: RecordOrder,
    ) -> Outcome<Change> {
        let turn = self.services.turns.take(store.key.account).await;
        store.version += 1;
        self.services.stores.replace(&store, revision).await?;
        Ok(Change { change: StoreChange::PutEventDataStore(store.into()).into(), order, turn })
    }
}
