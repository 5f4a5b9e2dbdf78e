//! What is known of each store's table in the catalog. Only the store's projection writes its document.

use opentrail_catalog::{Change, Expect};
use opentrail_model::Position;
use opentrail_stores::{EventDataStore, Kind, StoreKey};
use serde::{Deserialize, Serialize};

/// One [`TableState`] per store, by the store's key.
pub(crate) const TABLES: &str = "store-tables";
/// The supervisor's [`Position`], by [`SUPERVISOR_KEY`].
pub(crate) const SUPERVISOR: &str = "store-supervisor";
/// See [`SUPERVISOR`].
pub(crate) const SUPERVISOR_KEY: &str = "position";

/// A store's table: where it begins, and by which settings it goes on.
///
/// The settings hold for everything after the position that the table's last commit has: a change is written here only
/// once the table reflects all that came before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableState {
    /// The position before the store's creation: nothing up to it is the store's.
    pub(crate) begin: Position,
    /// What the store collects. Documents from before this was kept are of stores whose settings say it.
    #[serde(default)]
    pub(crate) kind: Option<Kind>,
    /// The settings; none until the projection has come to the creation.
    pub(crate) settings: Option<EventDataStore>,
    /// The store is gone, and so is what is left of the table, as soon as somebody comes to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dropped: bool,
}

impl TableState {
    /// What the store collects: it never changes.
    pub(crate) fn kind(&self) -> Kind {
        self.settings.as_ref().map(EventDataStore::kind).or(self.kind).unwrap_or(Kind::CloudTrail)
    }

    pub(crate) fn put(&self, key: &StoreKey) -> Change {
        Change::put(TABLES, key.to_string(), Expect::Anything, self)
    }
}
