use opentrail_trails::{Trail, TrailChange, TrailError};

use super::organization::scope_of;
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
    pub(crate) async fn create(&self, mut trail: Trail) -> Outcome<Change> {
        let turn = self.services.turns.take(trail.key.account).await;
        self.bring_up_to_date(&mut trail)?;
        let shadows = if trail.key.account == self.account() { self.shadows().await? } else { Vec::new() };
        self.services.trails.create(&trail, &shadows).await?;
        Ok(Change { change: TrailChange::PutTrail(trail.into()).into(), order: RecordOrder::ChangeFirst, turn })
    }

    /// Stores the next version of a trail that was read at `revision`.
    pub(crate) async fn replace(&self, mut trail: Trail, revision: u64, order: RecordOrder) -> Outcome<Change> {
        let turn = self.services.turns.take(trail.key.account).await;
        trail.version += 1;
        self.bring_up_to_date(&mut trail)?;
        self.services.trails.replace(&trail, revision).await?;
        Ok(Change { change: TrailChange::PutTrail(trail.into()).into(), order, turn })
    }

    /// Gives an organization trail the members of this moment. Changes of the organization take the same turn, so that
    /// none comes between this and the commit.
    fn bring_up_to_date(&self, trail: &mut Trail) -> Outcome<()> {
        let Some(scope) = &mut trail.organization else { return Ok(()) };
        let found = self.services.organizations.of(trail.key.account);
        let organization = found.filter(|found| found.management == trail.key.account).ok_or(TrailError::Changed)?;
        *scope = scope_of(&organization);
        Ok(())
    }

    /// Removes a trail that was read at `revision`.
    pub(crate) async fn delete(&self, trail: Trail, revision: u64) -> Outcome<Change> {
        let turn = self.services.turns.take(trail.key.account).await;
        self.services.trails.delete(&trail.key, revision).await?;
        Ok(Change { change: TrailChange::DeleteTrail(trail.key).into(), order: RecordOrder::RecordFirst, turn })
    }
}
