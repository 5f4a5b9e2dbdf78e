//! The client side of `opentrail import`: walks a tree of log files and hands each one to a [`Sink`].
//!
//! A tree is anything that `object_store` reaches: [`directory`] for one on disk, a bucket otherwise. Files are read in
//! parallel and streamed, so that memory does not grow with their size or number. Files that the sink has already are
//! passed over, which is what makes an import that was stopped go on where it was.

mod progress;
mod summary;
#[cfg(test)]
mod tests;
mod walk;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

pub use progress::Progress;
pub use summary::{FailedFile, RefusedRecord, Summary};
pub use walk::{Import, ImportError};

use crate::{Encoding, Report};

/// Where an import puts its files, e.g. a server's `POST /v1/records`.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Whether this very file was put to its end before.
    async fn is_done(&self, name: &str, etag: &str) -> Result<bool, SinkError>;

    /// Puts the records of a file. Putting it again after a failure must be safe.
    async fn put_file(&self, name: &str, etag: &str, body: FileBody) -> Result<Report, SinkError>;
}

/// What is in a file.
pub struct FileBody {
    /// How it is compressed.
    pub encoding: Encoding,
    /// Its stored size.
    pub size_bytes: u64,
    /// Its bytes as stored.
    pub stream: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

impl std::fmt::Debug for FileBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { encoding, size_bytes, stream: _ } = self;
        f.debug_struct("FileBody").field("encoding", encoding).field("size_bytes", size_bytes).finish_non_exhaustive()
    }
}

/// Why a file was not taken to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    /// Something is wrong with this file: the others go on.
    #[error("{reason}")]
    File {
        /// What is wrong.
        reason: String,
    },
    /// No file can be put, e.g. since credentials are refused: the import ends.
    #[error("{reason}")]
    Stop {
        /// What to change.
        reason: String,
    },
}

/// The tree below a directory.
///
/// # Errors
/// When it does not exist.
pub fn directory(path: &Path) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    Ok(Arc::new(LocalFileSystem::new_with_prefix(path)?))
}
