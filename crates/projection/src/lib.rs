//! Projections fold the journal into one output each and know nothing of one another.
//!
//! [`Feed`] reads the journal, decodes each stretch once and hands every projection the same [`EventBatch`].
//! [`run`] drives one [`Projection`]. The resume position lives with the output, so that a projection may be
//! killed at any instruction: nothing is lost and nothing is folded in twice.

mod feed;
mod runner;

use async_trait::async_trait;
use opentrail_event::EventBatch;
use opentrail_model::Position;

pub use feed::{Feed, Progress};
pub use runner::run;

/// Folds the journal into one output.
#[async_trait]
pub trait Projection: Send + 'static {
    /// A short, unique, stable name: it labels metrics and holds back trimming.
    fn name(&self) -> String;

    /// The position that the durable output reflects, read back from that output.
    async fn resume(&mut self) -> Result<Position, ProjectionError>;

    /// Folds the batch in. Returns the position that the durable output reflects now, which may lag behind the batch
    /// when the projection buffers (what it buffered is offered again after a crash).
    async fn apply(&mut self, batch: &std::sync::Arc<EventBatch>) -> Result<Position, ProjectionError>;

    /// Called when there has been nothing to fold in for a while, and before the end: time to flush.
    async fn idle(&mut self, now: opentrail_model::Timestamp) -> Result<Position, ProjectionError>;

    /// Called once at shutdown: flush everything.
    async fn finish(&mut self) -> Result<Position, ProjectionError>;
}

/// Why a projection could not go on. The runner tries again with back-off unless `fatal`.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ProjectionError {
    /// What went wrong.
    pub reason: String,
    /// Trying again cannot help.
    pub fatal: bool,
}

impl ProjectionError {
    /// An error that may pass.
    pub fn retry(error: impl std::fmt::Display) -> Self {
        Self { reason: error.to_string(), fatal: false }
    }

    /// An error that needs a human.
    pub fn fatal(error: impl std::fmt::Display) -> Self {
        Self { reason: error.to_string(), fatal: true }
    }
}
