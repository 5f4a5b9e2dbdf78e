use opentrail_stores::{EventDataStore, StoreChange, StoreError};
use opentrail_wire::Exception;

use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::{Change, scope_of};
use crate::turn::Turn;

impl Context<'_> {
    /// Stores a new event data store.
    pub(crate) async fn create_store(&self, mut store: EventDataStore) -> Outcome<Change> {
        let turn = self.services.turns.take(store.key.account).await;
        self.bring_members(&mut store)?;
        self.services.stores.create(&store).await?;
        let change = StoreChange::PutEventDataStore(store.into()).into();
        Ok(Change { change, order: RecordOrder::ChangeFirst, turn })
    }

    /// Stores the next version of a store that was read at `revision`.
    pub(crate) async fn replace_store(
        &self,
        store: EventDataStore,
        revision: u64,
        order: RecordOrder,
    ) -> Outcome<Change> {
        let turn = self.services.turns.take(store.key.account).await;
        self.replace_in_turn(store, revision, order, turn).await
    }

    /// The same with a store that no import is under way into. Imports are started in the account's turn, too.
    pub(crate) async fn replace_idle_store(
        &self,
        store: EventDataStore,
        revision: u64,
        order: RecordOrder,
    ) -> Outcome<Change> {
        let turn = self.services.turns.take(store.key.account).await;
        if let Some(import) = self.services.imports.ongoing(&store.key) {
            let message = format!("The import {} into {} is under way.", import.id, store.arn());
            return Err(Exception::event_data_store_has_ongoing_import(message).into());
        }
        self.replace_in_turn(store, revision, order, turn).await
    }

    async fn replace_in_turn(
        &self,
        mut store: EventDataStore,
        revision: u64,
        order: RecordOrder,
        turn: Turn,
    ) -> Outcome<Change> {
        store.version += 1;
        self.bring_members(&mut store)?;
        self.services.stores.replace(&store, revision).await?;
        Ok(Change { change: StoreChange::PutEventDataStore(store.into()).into(), order, turn })
    }

    /// Gives an organization's store the members of this moment. Changes of the organization take the same turn, so that
    /// none comes between this and the commit.
    fn bring_members(&self, store: &mut EventDataStore) -> Outcome<()> {
        if store.organization.is_some() {
            let found = self.services.organizations.of(store.key.account);
            let organization =
                found.filter(|found| found.management == store.key.account).ok_or(StoreError::Changed)?;
            store.set_organization(Some(scope_of(&organization)));
        }
        Ok(())
    }
}
