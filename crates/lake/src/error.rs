use std::path::PathBuf;

/// Why a table could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The transaction log could not be read or written. A failed commit may still have landed: reload before
    /// deciding what to do again.
    #[error("the Delta table in {} failed: {source}", dir.display())]
    Table {
        /// The table's directory.
        dir: PathBuf,
        /// The Delta library's word.
        #[source]
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// A Parquet file could not be read or written.
    #[error("Parquet file {}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The Parquet library's word.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A file's bytes are not those that were written. Trying again does not help.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// The table is not what its owner would have made: it belongs to someone else or to another version.
    #[error("the table in {} has not the form expected: {reason}", dir.display())]
    Form {
        /// The table's directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl LakeError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
