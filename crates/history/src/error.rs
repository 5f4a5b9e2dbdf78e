use opentrail_lake::LakeError;

/// Why the history could not be opened, written or searched. All may pass (a full disk, too many open files) but
/// [`HistoryError::Damaged`] and [`LakeError::Damaged`], which need a human.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The table or one of its files failed.
    #[error("the event history failed: {0}")]
    Lake(#[from] LakeError),
    /// A file of the table cannot be read.
    #[error("event history file {file} cannot be read: {source}")]
    Unreadable {
        /// Its path below the table's directory.
        file: String,
        /// What the reader says.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A file of the table has not the form that this server writes.
    #[error("event history file {file} is damaged: {reason}")]
    Damaged {
        /// Its path below the table's directory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A task was stopped because the server is.
    #[error("the event history is stopping")]
    Stopping,
}

impl HistoryError {
    /// Whether bytes on the disk are not what was written: trying again does not help.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Lake(LakeError::Damaged { .. }))
    }
}
