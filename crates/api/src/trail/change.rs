use opentrail_trails::{Trail, TrailChange};

use crate::context::{Context, JournalChange, Outcome, RecordOrder};
use crate::turn::Turn;

/// What an operation that can change a trail or an event data store answers, and the change itself, if there was one.
#[derive(Debug)]
pub(crate) struct Changed<T> {
    pub(crate) output: T,
    pub(crate) change: Option<Change>,
}

/// A change that the catalog has and the journal is to get.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) change: JournalChange,
    pub(crate) order: RecordOrder,
    pub(crate) turn: Turn,
}

impl<T> Changed<T> {
    pub(crate) fn new(output: T, change: Change) -> Self {
        Self { output, change: Some(change) }
    }

    /// All is already as asked for.
    pub(crate) fn nothing(output: T) -> Self {
        Self { output, change: None }
    }
}

impl Context<'_> {
    /// Stores a new trail.
    pub(crate) async fn create(&self, trail: Trail) -> Outcome<Change> {
        let turn = self.services.turns.take(trail.key.account).await;
        self.services.trails.create(&trail).await?;
        Ok(Change { change: TrailChange::PutTrail(trail.into()).into(), order: RecordOrder::ChangeFirst, turn })
    }

    /// Stores the next version of a trail that was read at `revision`.
    pub(crate) async fn replace(&self, mut trail: Trail, revision: u64, order: RecordOrder) -> Outcome<Change> {
        let turn = self.services.turns.take(trail.key.account).await;
        trail.version += 1;
        self.services.trails.replace(&trail, revision).await?;
        Ok(Change { change: TrailChange::PutTrail(trail.into()).into(), order, turn })
    }

    /// Removes a trail that was read at `revision`.
    pub(crate) async fn delete(&self, trail: Trail, revision: u64) -> Outcome<Change> {
        let turn = self.services.turns.take(trail.key.account).await;
        self.services.trails.delete(&trail.key, revision).await?;
        Ok(Change { change: TrailChange::DeleteTrail(trail.key).into(), order: RecordOrder::RecordFirst, turn })
    }
}
