//! The method over any calls, without a journal or a file.

use opentrail_model::Timestamp;

use crate::fold::{Call, Fold};
use crate::key::Key;
use crate::method::{Minute, Sensitivity};
use crate::record::{Finding, InsightRecord};

/// A fold that runs by itself, with all switched on at one sensitivity.
#[derive(Debug)]
pub struct Replay {
    fold: Fold,
    sensitivity: Sensitivity,
}

impl Replay {
    /// Nothing known yet; at most `most_keys` keys are watched.
    pub fn new(sensitivity: Sensitivity, most_keys: usize) -> Self {
        Self { fold: Fold::new(most_keys), sensitivity }
    }

    /// Folds in a call received at `received`: what the minutes that ended before it came to.
    pub fn call(&mut self, received: Timestamp, call: &Call<'_>) -> Vec<InsightRecord> {
        let minute = self.fold.place(Minute::of(received));
        let told = self.close_before(minute);
        self.fold.open(minute);
        self.fold.note_event();
        self.fold.count(call, |_| true);
        told
    }

    /// Closes the minutes that ended by `now`.
    pub fn advance(&mut self, now: Timestamp) -> Vec<InsightRecord> {
        let minute = Minute(Minute::of(now).0.saturating_add(self.fold.offset));
        self.close_before(minute)
    }

    /// How many keys are watched.
    pub fn keys(&self) -> usize {
        self.fold.len()
    }

    fn close_before(&mut self, minute: Minute) -> Vec<InsightRecord> {
        let mut told: Vec<Finding> = Vec::new();
        let sensitivity = self.sensitivity;
        while self.fold.must_close(minute) {
            let step = self.fold.close(|_: &Key| Some(sensitivity));
            told.extend(step.into_iter().flat_map(|step| step.findings).map(|(_, finding)| finding));
        }
        told.into_iter().map(|finding| InsightRecord::new(finding, None)).collect()
    }
}

/// The records that calls lead to, in the order of their times; an hour of silence is assumed after the last.
pub fn replay<'a>(
    calls: impl IntoIterator<Item = (Timestamp, Call<'a>)>,
    sensitivity: Sensitivity,
    most_keys: usize,
) -> Vec<InsightRecord> {
    let mut replay = Replay::new(sensitivity, most_keys);
    let mut records = Vec::new();
    let mut last = Timestamp::EPOCH;
    for (received, call) in calls {
        records.extend(replay.call(received, &call));
        last = last.max(received);
    }
    records.extend(replay.advance(last + std::time::Duration::from_secs(3_660)));
    records
}
