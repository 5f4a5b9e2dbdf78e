use opentrail_catalog::CatalogError;

use crate::{QueryKey, QueryStatus, ResultsError};

/// Why something was not done with a query.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// There is none of that key, or no more.
    #[error("There is no query with the ID {}.", key.id)]
    NotFound {
        /// The query's key.
        key: QueryKey,
    },
    /// The account has as many under way as it may.
    #[error(
        "The account has {limit} queries queued or running in this Region; wait until one has ended, or cancel one."
    )]
    TooMany {
        /// How many it may have.
        limit: usize,
    },
    /// It has ended, and can no longer be cancelled.
    #[error("The query {} is {}: it cannot be cancelled.", key.id, status.as_str())]
    Inactive {
        /// The query's key.
        key: QueryKey,
        /// How it ended.
        status: QueryStatus,
    },
    /// Its rows cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}
