use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use opentrail_event::EventBatch;
use opentrail_model::Timestamp;
use opentrail_sql::{Condition, Engine, Query, StoreTable};
use opentrail_tables::Snapshot;
use opentrail_wire::Exception;

use crate::front::Parts;

/// A condition in CloudTrail Lake's SQL that is asked of events as they come, with the columns of an event data store.
#[derive(Clone, Debug)]
pub(super) struct EventCondition {
    engine: Arc<Engine>,
    condition: Condition,
}

impl EventCondition {
    /// # Errors
    /// When the text is no condition upon an event data store's columns.
    pub(super) fn of(text: &str, parts: &Parts) -> Result<Self, Exception> {
        let condition = Condition::parse(text).map_err(refused)?;
        let this = Self { engine: Arc::clone(&parts.sql), condition };
        let nothing = EventBatch::decode(parts.feed.journal().tail(), &[]);
        this.plan(&nothing, &[], parts.services.clock.now())?;
        Ok(this)
    }

    /// The records of those rows that meet the condition, in the order of their times.
    ///
    /// # Errors
    /// When the condition cannot be judged: it divides by zero, or takes more than a statement may.
    pub(super) async fn meeting(
        &self,
        batch: Arc<EventBatch>,
        rows: Vec<usize>,
        parts: &Parts,
    ) -> Result<Vec<String>, Exception> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (this, now) = (self.clone(), parts.services.clock.now());
        let planned = tokio::task::spawn_blocking(move || this.plan(&batch, &rows, now)).await;
        let mut rows = planned.map_err(|_| Exception::internal_failure())??.run();
        let mut records = Vec::new();
        while let Some(some) = rows.next().await.map_err(refused)? {
            records.extend(some.into_iter().filter_map(|row| row.into_iter().next().flatten()));
        }
        Ok(records)
    }

    fn plan(&self, batch: &EventBatch, rows: &[usize], now: Timestamp) -> Result<Query, Exception> {
        let events = Snapshot::of_events(batch, rows).map_err(|error| {
            Exception::validation(format!("The condition cannot be asked of these events: {error}."))
        })?;
        let tables = BTreeMap::from([(Condition::TABLE, Arc::new(StoreTable::new(events)) as _)]);
        self.engine.plan(self.condition.statement(), tables, now).map_err(refused)
    }
}

/// What is wrong with the condition, as the client wrote it or as it turned out to be.
fn refused(error: impl Display) -> Exception {
    Exception::validation(format!("Where: {error}"))
}
