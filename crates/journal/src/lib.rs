//! The journal: the only way into OpenTrail. What it has acknowledged survives a crash; everything else in the
//! product is folded from it.
//!
//! [`Journal`] states the promises; [`MemoryJournal`] keeps them until the process ends (tests), [`SegmentsJournal`]
//! keeps them on disk. Next: `opentrail-event`, which decodes what is read here.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod memory;
mod segments;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_model::{AccountId, Position, Source, Timestamp};

pub use memory::MemoryJournal;
pub use segments::{OpenError, SegmentsJournal, SegmentsOptions};

/// What is appended: a record, or a change of configuration, before it has a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// How it came in.
    pub source: Source,
    /// The account it belongs to.
    pub account: AccountId,
    /// When the server received it.
    pub received: Timestamp,
    /// A record's JSON, untouched; for [`Source::Control`] the JSON of the change.
    pub body: Bytes,
}

/// An entry that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// How it came in.
    pub source: Source,
    /// The account it belongs to.
    pub account: AccountId,
    /// When the server received it.
    pub received: Timestamp,
    /// The JSON as it was appended.
    pub body: Bytes,
}

/// The positions that a batch was given, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Of the first entry.
    pub first: Position,
    /// Of the last entry.
    pub last: Position,
}

/// A durable, ordered log of entries.
///
/// # Promises
/// 1. `append` is `Ok` only once the whole batch survives a crash.
/// 2. A batch gets consecutive positions; positions only grow, over restarts too.
/// 3. Readers see a batch whole or not at all, and only when durable.
/// 4. Bodies come back byte for byte.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Makes the batch durable and returns its positions. An empty batch is a programming error.
    ///
    /// # Errors
    /// [`AppendError::Unavailable`] when nothing of the batch was kept; it may be tried again.
    ///
    /// # Cancellation
    /// Dropping the future leaves the outcome unknown.
    async fn append(&self, batch: Vec<NewEntry>) -> Result<Appended, AppendError>;

    /// Entries after `after`, in order: at least one batch's worth if there are any, and no further batch once
    /// `max_bytes` of bodies are reached. Empty at the tail.
    ///
    /// # Errors
    /// [`ReadError::Trimmed`] when entries after `after` were trimmed away; [`ReadError::Corrupt`] when stored
    /// bytes fail their checksum.
    async fn read(&self, after: Position, max_bytes: usize) -> Result<Vec<Entry>, ReadError>;

    /// The last durable position; [`Position::START`] for an empty journal.
    fn tail(&self) -> Position;

    /// Returns once the tail is past `position`.
    async fn wait_past(&self, position: Position);

    /// The position before the oldest entry still kept.
    fn trimmed(&self) -> Position;

    /// Allows entries up to and including `through` to be deleted. Backends delete in whole units and may keep more.
    async fn trim(&self, through: Position) -> Result<(), TrimError>;

    /// Flushes and closes; later appends fail with [`AppendError::Closed`].
    async fn close(&self);
}

/// Why a batch was not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was kept, e.g. because the disk is full: try again later.
    #[error("the journal cannot take records now: {reason}")]
    Unavailable {
        /// The system's word.
        reason: String,
    },
    /// The journal was closed: the server is stopping.
    #[error("the journal is closed")]
    Closed,
}

/// Why entries could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// Stored bytes are damaged.
    #[error("journal file {file} is damaged at offset {offset}: {reason}")]
    Corrupt {
        /// The file's path.
        file: String,
        /// The byte at which the damaged frame begins.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The entries asked for were deleted.
    #[error("entries after position {after} are gone: the journal begins after {trimmed}")]
    Trimmed {
        /// Asked for.
        after: Position,
        /// See [`Journal::trimmed`].
        trimmed: Position,
    },
    /// The system refused.
    #[error("the journal cannot be read: {reason}")]
    Io {
        /// The system's word.
        reason: String,
    },
}

/// Why entries could not be deleted.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the journal cannot be trimmed: {reason}")]
pub struct TrimError {
    /// The system's word.
    pub reason: String,
}
