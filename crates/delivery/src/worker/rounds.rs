//! Aggregated events: windows filled while events are read, and written in rounds.
//!
//! A round's files go the way of all log files: cut, put, done. What differs is how they are made again after a crash: by
//! folding the journal from where the oldest window that is not written begins. Until the third step says so,
//! [`WorkerState::aggregated`] is that of the round before, and the journal is kept from there.
//!
//! [`WorkerState::aggregated`]: crate::state::WorkerState::aggregated

use opentrail_event::Event;
use opentrail_journal::ReadError;
use opentrail_model::{Position, Timestamp};
use opentrail_trails::Trail;

use super::{Session, WorkerError};
use crate::aggregation::{Aggregator, Round, Summary};
use crate::layout::{FileKind, Group, Root, log_file, suffix};
use crate::log_file::{Effort, Sealed};
use crate::selection::Selection;
use crate::state::{Cut, FileIntent, WorkerState};

impl Session<'_> {
    /// Begins to sum up, or ceases, as the trail has it. Windows are empty.
    pub(super) fn begin_windows(&mut self) {
        let pace = self.worker.context.settings.pace();
        let trail = self.state.trail.as_ref().filter(|_| self.state.is_logging() && self.state.aggregated.is_some());
        self.windows = trail.and_then(|trail| Aggregator::of(trail, pace));
    }

    /// What is known to be written once everything up to here was read: the windows that are open say from where on the
    /// journal is needed.
    pub(super) fn aggregated_now(&self) -> Option<Round> {
        let written = self.state.aggregated?;
        // Before they are filled again they say nothing.
        let windows = self.windows.as_ref().filter(|_| !self.refold);
        Some(Round {
            from: windows.map_or(written.from, |windows| windows.from(self.read).max(written.from)),
            ..written
        })
    }

    /// The same behind the change at `position`, made at `time`, that makes `state`: every window is written.
    pub(super) fn aggregated_after(&self, state: &WorkerState, position: Position, time: Timestamp) -> Option<Round> {
        let sums = state.is_logging() && state.trail.as_ref().is_some_and(|trail| !trail.aggregation.is_empty());
        let first = || Round::first(position, time, self.worker.context.settings.pace());
        let after = |written| Round { through: position, from: position, ..written };
        sums.then(|| self.state.aggregated.map_or_else(first, after))
    }

    /// Counts a data event that the trail takes.
    pub(super) fn sum_up(&mut self, selection: &Selection, event: Event<'_>) {
        if let (Some(windows), Some(written)) = (&mut self.windows, self.state.aggregated)
            && event.category() == "Data"
        {
            windows.fold(written, group_of(selection, event), event);
        }
    }

    pub(super) fn sums_too_much(&self) -> bool {
        self.windows.as_ref().is_some_and(Aggregator::is_full)
    }

    /// Whether some windows are not written.
    pub(super) fn has_windows(&self) -> bool {
        self.windows.as_ref().is_some_and(|windows| !windows.is_empty())
    }

    /// When the next round is, by the time that reading has come to.
    pub(super) fn round_due(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.windows.as_ref()?.due(self.state.aggregated?)?;
        // Behind, the clock says nothing of what is still to be read.
        (self.time_read(now) >= due || now < due).then_some(due)
    }

    fn time_read(&self, now: Timestamp) -> Timestamp {
        let behind = self.read < self.worker.context.feed.journal().tail();
        if behind { self.read_received.min(now) } else { now }
    }

    /// Step 1 for the windows that are over, or for all of them.
    pub(super) async fn write_windows(&mut self, all: bool) -> Result<(), WorkerError> {
        let (Some(trail), Some(written)) = (self.state.trail.clone(), self.state.aggregated) else { return Ok(()) };
        let now = self.worker.context.clock.now();
        let (read, time) = (self.read, self.time_read(now));
        let Some(windows) = self.windows.as_mut() else { return Ok(()) };
        let round = if all { windows.last_round(written, read) } else { windows.round(written, time, read) };
        let summaries = windows.take(&trail, written, round);
        let (files, sealed) = self.seal_summaries(&trail, summaries, now).await?;
        let mut state = self.state.clone();
        if files.is_empty() {
            // Events without a value to count by.
            state.aggregated = Some(round);
            return self.commit(state, Vec::new()).await;
        }
        state.cut = Some(Cut { files, cursor: self.resume_cursor(), round: Some(round) });
        self.intend(state, sealed).await
    }

    /// The files of the round that is on its way, after a restart.
    pub(super) async fn sum_up_again(
        &mut self,
        trail: &Trail,
        round: Round,
    ) -> Result<(Vec<FileIntent>, Vec<Sealed>), WorkerError> {
        let (Some(written), Some(selection)) = (self.state.aggregated, self.selection.clone()) else {
            return Ok(Default::default());
        };
        let pace = self.worker.context.settings.pace();
        let Some(mut windows) = Aggregator::of(trail, pace) else { return Ok(Default::default()) };
        self.fold_again(&selection, &mut windows, written, round.through).await?;
        let summaries = windows.take(trail, written, round);
        self.seal_summaries(trail, summaries, self.worker.context.clock.now()).await
    }

    /// Fills the windows after a restart with what was read before it and is not written.
    pub(super) async fn refill_windows(&mut self) -> Result<(), WorkerError> {
        if let (Some(mut windows), Some(written), Some(selection)) =
            (self.windows.take(), self.state.aggregated, self.selection.clone())
        {
            self.fold_again(&selection, &mut windows, written, self.read).await?;
            self.windows = Some(windows);
        }
        self.refold = false;
        Ok(())
    }

    async fn fold_again(
        &self,
        selection: &Selection,
        windows: &mut Aggregator,
        written: Round,
        through: Position,
    ) -> Result<(), WorkerError> {
        let mut read = written.from;
        while read < through {
            let batch = match self.worker.context.feed.next(read).await {
                Err(ReadError::Trimmed { after, trimmed }) => {
                    tracing::error!(
                        trail.name = %self.worker.key, %after, %trimmed,
                        "the journal no longer has events that are to be summed up"
                    );
                    read = trimmed;
                    continue;
                }
                batch => batch?,
            };
            for row in selection.rows(&batch, batch.rows(read, through)) {
                let event = batch.event(row);
                if event.category() == "Data" {
                    windows.fold(written, group_of(selection, event), event);
                }
            }
            read = batch.through;
        }
        Ok(())
    }

    async fn seal_summaries(
        &self,
        trail: &Trail,
        summaries: Vec<Summary>,
        now: Timestamp,
    ) -> Result<(Vec<FileIntent>, Vec<Sealed>), WorkerError> {
        let (mut files, mut all) = (Vec::new(), Vec::new());
        for Summary { body, group, first, last, count, oldest_event, newest_event, oldest_received, newest_received } in
            summaries
        {
            let sealed = tokio::task::spawn_blocking(move || Sealed::of(&body, Effort::Usual)).await?;
            let suffix = suffix(&trail.arn(), trail.created, &group, first, last);
            files.push(FileIntent {
                bucket: trail.bucket.clone(),
                prefix: trail.prefix.clone(),
                organization: trail.organization.as_ref().map(|organization| organization.id.clone()),
                kms_key: trail.kms_key.clone(),
                key: log_file(Root::of_trail(trail), &group, now, &suffix),
                group,
                first,
                last,
                sha256: sealed.sha256.clone(),
                count,
                oldest_event,
                newest_event,
                oldest_received,
                newest_received,
            });
            all.push(sealed);
        }
        Ok((files, all))
    }
}

/// Whose aggregated events the event counts in.
fn group_of(selection: &Selection, event: Event<'_>) -> Group {
    Group { account: event.account(), region: selection.region_of(event), kind: FileKind::Aggregated }
}
