use opentrail_catalog::CatalogError;

use crate::{ImportKey, ImportStatus};

/// Why something was not done with an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is none of that key.
    #[error("There is no import with the ID {}.", key.id)]
    NotFound {
        /// The import's key.
        key: ImportKey,
    },
    /// The account has one under way.
    #[error("The account has an import under way, {}. Wait until it has ended, or stop it.", key.id)]
    Ongoing {
        /// The key of that one.
        key: ImportKey,
    },
    /// It cannot be started again.
    #[error("The import {} is {}. Only imports that failed or were stopped can be started again.", key.id, status.as_str())]
    NotToRetry {
        /// The import's key.
        key: ImportKey,
        /// Its state.
        status: ImportStatus,
    },
    /// It is not under way.
    #[error("The import {} is {}: it cannot be stopped.", key.id, status.as_str())]
    NotOngoing {
        /// The import's key.
        key: ImportKey,
        /// Its state.
        status: ImportStatus,
    },
    /// The server stops.
    #[error("The server is stopping. Try again later.")]
    Stopping,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}
