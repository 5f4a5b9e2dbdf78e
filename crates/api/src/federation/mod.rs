//! Federation: the table of an event data store, for other engines to read.

mod disable_federation;
mod enable_federation;

use std::fmt;

use opentrail_stores::{EventDataStore, StoreKey};

pub(crate) use disable_federation::disable_federation;
pub(crate) use enable_federation::enable_federation;

/// Where federated tables are read from.
pub trait FederatedTables: fmt::Debug + Send + Sync + 'static {
    /// Whether the store's table can be shown; the text is for the client.
    ///
    /// # Errors
    /// When something else has its place.
    fn check(&self, store: &StoreKey) -> Result<(), FederationConflict>;

    /// Shows the store's table.
    fn show(&self, store: &EventDataStore);

    /// Shows it no more.
    fn hide(&self, store: &StoreKey);
}

/// Why a table cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("There is a bucket of the name {bucket}, below which the table would be read; delete it first.")]
pub struct FederationConflict {
    /// Its name.
    pub bucket: String,
}
