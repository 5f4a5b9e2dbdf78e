use std::path::Path;

use opentrail_catalog::CatalogError;
use opentrail_journal::ReadError;
use opentrail_lake::LakeError;
use opentrail_model::Position;
use opentrail_stores::StoreKeyError;

/// Why a store's table could not be opened, written or kept up. All may pass but damage, which needs a human; meanwhile
/// the journal keeps what the table has not.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The table or one of its files failed.
    #[error("the table failed: {0}")]
    Lake(#[from] LakeError),
    /// A file of the table cannot be read.
    #[error("file {file} cannot be read: {source}")]
    Unreadable {
        /// Its path below the table's directory.
        file: String,
        /// What the reader says.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A file of the table has not the form that this server writes.
    #[error("file {file} is damaged: {reason}")]
    Damaged {
        /// Its path below the table's directory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// A table reflects more than the journal ever had: they are not of one data directory.
    #[error("the table of event data store {store} reflects position {position}, but the journal ends at {tail}")]
    JournalBehind {
        /// The store's id.
        store: String,
        /// The table's position.
        position: Position,
        /// The journal's last.
        tail: Position,
    },
    /// The store's table is being opened: in a moment it is there, or the log says why not.
    #[error("the table of event data store {store} is not open yet")]
    Opening {
        /// The store's id.
        store: String,
    },
    /// The store has no table, or no more.
    #[error("there is no table of event data store {store}")]
    Missing {
        /// The store's id.
        store: String,
    },
    /// The store has a KMS key, which cannot be used now. What is in the journal waits there.
    #[error(transparent)]
    Key(#[from] StoreKeyError),
    /// A task was stopped because the server is.
    #[error("the event data stores are stopping")]
    Stopping,
}

impl TableError {
    /// The file, by its path below the table's directory `dir`, whose bytes are not what was written: trying again does
    /// not help.
    pub(crate) fn damaged_file(&self, dir: &Path) -> Option<String> {
        match self {
            Self::Damaged { file, .. } | Self::Unreadable { file, .. } => Some(file.clone()),
            Self::Lake(LakeError::Damaged { path, .. }) => {
                Some(path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned())
            }
            _ => None,
        }
    }
}

/// Runs `work`, which blocks, where that holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TableError> + Send + 'static,
) -> Result<T, TableError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(TableError::Stopping),
        },
    }
}
