use bytes::Bytes;
use opentrail_model::AccountId;
use serde::{Deserialize, Serialize};

use crate::{EventDataStore, StoreKey};

/// A change of an event data store, as an entry of the journal ([`opentrail_model::Source::Control`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StoreChange {
    /// The store is as given from here on. One with a smaller or equal version than already seen changes nothing.
    PutEventDataStore(Box<EventDataStore>),
    /// The store is gone from here on, and never comes back: ids are not used twice.
    DeleteEventDataStore(StoreKey),
}

impl StoreChange {
    /// The entry's body.
    pub fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("an event data store serializes to JSON").into()
    }

    /// Reads an entry's body; `None` when it is a change of something else.
    pub fn from_bytes(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Which store changes.
    pub fn key(&self) -> &StoreKey {
        match self {
            Self::PutEventDataStore(store) => &store.key,
            Self::DeleteEventDataStore(key) => key,
        }
    }

    /// Whose configuration changes.
    pub fn account(&self) -> AccountId {
        self.key().account
    }
}
