//! From the journal into the buffers.

use std::sync::Arc;

use opentrail_event::{Event, EventBatch};
use opentrail_journal::ReadError;
use opentrail_model::{Position, Timestamp};
use opentrail_trails::TrailChange;

use super::{NextChange, Session, WorkerError};
use crate::layout::{FileKind, Group};
use crate::log_file::Buffer;
use crate::selection::Selection;

/// What all buffers of a trail may hold together, in bytes: then all are closed.
const BUFFERED_BYTES: usize = 64 << 20;

impl Session<'_> {
    /// Reading stops while files are on their way (the journal keeps the rest), before a change of the trail, and until
    /// windows of aggregated events are again what they were before a restart.
    pub(super) fn can_read(&self) -> bool {
        self.state.cut.is_none() && self.change.is_none() && !self.refold
    }

    /// The next batch if there is one.
    pub(super) async fn read_now(&mut self) -> Result<Option<Arc<EventBatch>>, WorkerError> {
        match self.worker.progress.try_next(self.read).await {
            Ok(None) => Ok(None),
            Ok(Some(batch)) => Ok(Some(batch)),
            Err(error) => self.readable(Err(error)),
        }
    }

    /// Goes on after entries that are gone; that can only be after a catalog was restored from an old copy.
    pub(super) fn readable(
        &mut self,
        batch: Result<Arc<EventBatch>, ReadError>,
    ) -> Result<Option<Arc<EventBatch>>, WorkerError> {
        match batch {
            Err(ReadError::Trimmed { after, trimmed }) => {
                tracing::error!(
                    trail.name = %self.worker.key, %after, %trimmed,
                    "the journal no longer has what this trail has not delivered; going on after it"
                );
                self.read = self.read.max(trimmed);
                Ok(None)
            }
            batch => Ok(Some(batch?)),
        }
    }

    /// Takes what the trail selects out of `batch`, up to the first change of the trail or full file.
    pub(super) fn fold(&mut self, batch: &EventBatch) {
        let change = self.first_change(batch);
        let through = change.as_ref().map_or(batch.through, |next| Position(next.position.0.saturating_sub(1)));
        let stopped = self.selection.take().and_then(|selection| {
            let stopped = self.take_events(&selection, batch, through);
            self.selection = Some(selection);
            stopped
        });
        if let Some(row) = batch.rows(self.read, stopped.unwrap_or(through)).next_back() {
            self.read_received = self.read_received.max(batch.event(row).received());
        }
        match stopped {
            Some(position) => self.read = position,
            None => {
                self.read = self.read.max(through);
                self.change = change;
            }
        }
    }

    /// Returns the position at which a file got full.
    fn take_events(&mut self, selection: &Selection, batch: &EventBatch, through: Position) -> Option<Position> {
        let now = self.worker.context.clock.now();
        for row in selection.rows(batch, batch.rows(self.read, through)) {
            let event = batch.event(row);
            self.sum_up(selection, event);
            let full = match self.buffer_for(selection, event, now) {
                Some(index) => self.is_full(index) || self.holds_too_much(),
                None => false,
            };
            if full || self.sums_too_much() {
                return Some(event.position());
            }
        }
        None
    }

    /// Puts the event into its buffer and returns which; `None` when it was delivered before.
    fn buffer_for(&mut self, selection: &Selection, event: Event<'_>, now: Timestamp) -> Option<usize> {
        let (region, kind) = (event.region().unwrap_or_default(), FileKind::of(event.category()));
        if let Some(index) = self.buffers.find(event.account(), region, kind) {
            self.buffers.push(index, event);
            return Some(index);
        }
        let group = group_of(selection, event);
        if event.position() <= self.state.delivered_through(&group) {
            return None;
        }
        // The record's Region may be none, so that its file is another than its text says.
        if let Some(index) = self.buffers.find(group.account, group.region.as_str(), kind) {
            self.buffers.push(index, event);
            return Some(index);
        }
        Some(self.buffers.open(group, event, now))
    }

    /// The first entry of the batch that changes this trail.
    fn first_change(&self, batch: &EventBatch) -> Option<NextChange> {
        let key = &self.worker.key;
        batch.controls.iter().filter(|control| control.position > self.read && control.account == key.account).find_map(
            |control| {
                let change = TrailChange::from_bytes(&control.body)?;
                (change.key() == key && self.changes_something(&change)).then_some(NextChange {
                    position: control.position,
                    received: control.received,
                    change,
                })
            },
        )
    }

    /// The server repeats each trail's settings when it starts; those have no greater version.
    fn changes_something(&self, change: &TrailChange) -> bool {
        let current = self.state.trail.as_ref().filter(|_| self.state.deleted.is_none());
        match change {
            TrailChange::PutTrail(trail) => current.is_none_or(|current| trail.version > current.version),
            TrailChange::DeleteTrail(_) => current.is_some(),
        }
    }

    /// Whether the file has reached its size.
    fn is_full(&mut self, index: usize) -> bool {
        let buffer = &self.buffers[index];
        let max = self.worker.context.settings.max_bytes;
        if buffer.is_full() {
            return true;
        }
        if buffer.size_bytes() < max {
            return false;
        }
        // How well this trail's records compress is measured once here and then on every file.
        let ratio = *self.ratio.get_or_insert_with(|| buffer.sample_ratio());
        buffer.size_bytes() as f64 * ratio >= max as f64
    }

    pub(super) fn holds_too_much(&self) -> bool {
        self.buffers.size_bytes() >= BUFFERED_BYTES
    }

    pub(super) fn is_due(&self, buffer: &Buffer, now: Timestamp) -> bool {
        let max = self.worker.context.settings.max_bytes as f64;
        buffer.is_full()
            || self.ratio.is_some_and(|ratio| buffer.size_bytes() as f64 * ratio >= max)
            || self.age_limit(buffer, now) <= now
    }

    /// When the file is old enough: its age counts from when its oldest record was received. While there is more to
    /// read, old records (after a long stop) wait to be joined by the rest for as long as a file may be open.
    pub(super) fn age_limit(&self, buffer: &Buffer, now: Timestamp) -> Timestamp {
        let max_age = self.worker.context.settings.max_age;
        let limit = buffer.oldest_received + max_age;
        let behind = limit <= now && self.read < self.worker.context.feed.journal().tail();
        if behind { buffer.opened + max_age } else { limit }
    }
}

/// The file that the event belongs into.
pub(super) fn group_of(selection: &Selection, event: Event<'_>) -> Group {
    Group { account: event.account(), region: selection.region_of(event), kind: FileKind::of(event.category()) }
}
