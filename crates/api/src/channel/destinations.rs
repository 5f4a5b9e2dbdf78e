use opentrail_catalog::Versioned;
use opentrail_stores::{Channel, ChannelKey, EventDataStore, Kind, StoreChange, StoreError};
use opentrail_wire::cloudtrail::Destination;

use crate::context::{Context, JournalChange, Outcome, RecordOrder};
use crate::organizations::change::Committed;
use crate::store::{parse_store, require_active};
use crate::turn::Turn;

/// A setting that a channel cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChannelSettingsError {
    #[error("{source_name} is no known source; for an application of your own it is Custom.")]
    Source { source_name: String },
    #[error("A destination is of the type EVENT_DATA_STORE: channels to services are made by the services.")]
    Service,
    #[error("The event data store {arn} is a destination twice.")]
    Repeated { arn: String },
    #[error("Give a Name or Destinations to change.")]
    Nothing,
    #[error("The event data store {arn} does not collect ActivityAuditLog events.")]
    Category { arn: String },
}

impl Context<'_> {
    /// The event data stores of `destinations`: the account's own in the channel's Region, for activity audit logs.
    pub(super) async fn destinations(&self, destinations: &[Destination]) -> Outcome<Vec<Versioned<EventDataStore>>> {
        let mut stores: Vec<Versioned<EventDataStore>> = Vec::with_capacity(destinations.len());
        for Destination { r#type, location } in destinations {
            if r#type != "EVENT_DATA_STORE" {
                return Err(ChannelSettingsError::Service.into());
            }
            let key = parse_store(self, location)?;
            let near = key.account == self.account() && key.home_region == *self.region();
            let found = if near { self.services.stores.find(&key, self.now()).await? } else { None };
            let store = require_active(found.ok_or_else(|| StoreError::NotFound { arn: key.arn() })?)?;
            let arn = || key.arn().to_string();
            if store.value.kind() != Kind::ActivityAuditLog {
                return Err(ChannelSettingsError::Category { arn: arn() }.into());
            }
            if stores.iter().any(|other| other.value.key == key) {
                return Err(ChannelSettingsError::Repeated { arn: arn() }.into());
            }
            stores.push(store);
        }
        Ok(stores)
    }

    /// The stores of a channel as they are without it.
    pub(super) async fn without(&self, channel: &Channel) -> Outcome<Vec<Versioned<EventDataStore>>> {
        let mut stores = Vec::with_capacity(channel.destinations.len());
        for key in &channel.destinations {
            if let Some(mut store) = self.services.stores.find(key, self.now()).await? {
                store.value.channels.remove(&channel.key);
                store.value.version += 1;
                stores.push(store);
            }
        }
        Ok(stores)
    }
}

/// Lets the stores take what comes by the channel.
pub(super) fn connect(stores: &mut [Versioned<EventDataStore>], channel: &ChannelKey) {
    for store in stores {
        store.value.channels.insert(channel.clone());
        store.value.version += 1;
    }
}

/// What the journal is to have of a change of a channel: its stores, which the catalog has already.
pub(super) fn committed(stores: Vec<Versioned<EventDataStore>>, order: RecordOrder, turn: Turn) -> Committed {
    let change = |store: Versioned<EventDataStore>| StoreChange::PutEventDataStore(store.value.into()).into();
    Committed { changes: stores.into_iter().map(change).collect::<Vec<JournalChange>>(), order, turn: Some(turn) }
}

/// Destinations as they are answered: by their ARNs, however they were given.
pub(super) fn to_wire(channel: &Channel) -> Vec<Destination> {
    let destination = |store: &opentrail_stores::StoreKey| Destination {
        r#type: "EVENT_DATA_STORE".into(),
        location: store.arn().to_string(),
    };
    channel.destinations.iter().map(destination).collect()
}
