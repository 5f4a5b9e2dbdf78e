//! What the rules of one correlation found for one group, and when it is enough.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::spec::{CorrelationSpec, Kind, Order};

/// How much later than the newest of its group an event may come and still count, in milliseconds: CloudTrail itself
/// delivers within about that time. A choice of ours.
pub(crate) const TOLERANCE: i64 = 15 * 60 * 1000;
/// Events of a group; of more the oldest are given up.
pub(crate) const MOST_GROUP_ENTRIES: usize = 4096;
/// Events that a finding lists, the newest.
const MOST_LISTED: usize = 100;

/// An event that one of the rules found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Of the event, in milliseconds.
    #[serde(rename = "t")]
    pub(crate) time: i64,
    /// The event's id.
    #[serde(rename = "e")]
    pub(crate) event: String,
    /// Which of the correlation's rules.
    #[serde(rename = "r")]
    pub(crate) rule: u8,
    /// What stands for the value that is counted.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<u64>,
}

/// A time that meets the condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The time of its last event, in milliseconds.
    pub(crate) end: i64,
    /// Its last event.
    pub(crate) last: String,
    /// The events in it, or the values, or the rules.
    pub(crate) count: u64,
    /// The ids of its events, the newest ones in order.
    pub(crate) events: Vec<String>,
}

/// In the order of time, events of one time by id. Each event counts once for a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    entries: VecDeque<Entry>,
    /// Time of the newest event that was ever in it.
    newest: Option<i64>,
    /// The end of the last window that was a finding: the next one begins after it, so that a flood is a finding per
    /// timespan rather than one per event.
    fired: Option<i64>,
}

impl Group {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn newest(&self) -> i64 {
        self.newest.unwrap_or(i64::MIN)
    }

    /// Whether nothing of it counts with an event of the time `now`, or with one that comes late then.
    pub(super) fn is_over(&self, now: i64, span: i64) -> bool {
        self.newest() < now.saturating_sub(span).saturating_sub(TOLERANCE)
    }

    /// Takes the event in, unless it comes too late or is known. Says so, and which window meets the condition now.
    pub(super) fn observe(&mut self, spec: &CorrelationSpec, entry: Entry) -> (bool, Option<Window>) {
        if entry.time < self.newest().saturating_sub(TOLERANCE) {
            metrics::counter!("opentrail_sigma_late_events_total").increment(1);
            return (false, None);
        }
        let Err(at) = self.entries.binary_search(&entry) else { return (false, None) };
        self.newest = Some(self.newest().max(entry.time));
        self.entries.insert(at, entry);
        let at = at - self.forget(spec.span).min(at);
        (true, self.find(spec, at))
    }

    /// Drops what no window can hold any more; answers how many.
    fn forget(&mut self, span: i64) -> usize {
        let oldest = self.newest().saturating_sub(TOLERANCE).saturating_sub(span);
        let over = self.entries.partition_point(|entry| entry.time <= oldest);
        let gone = over.max(self.entries.len().saturating_sub(MOST_GROUP_ENTRIES));
        self.entries.drain(..gone);
        gone
    }

    /// The first window with the entry at `at` in it that meets the condition.
    fn find(&mut self, spec: &CorrelationSpec, at: usize) -> Option<Window> {
        let time = self.entries.get(at)?.time;
        if self.fired.is_some_and(|fired| self.newest().saturating_sub(spec.span) < fired) {
            return None;
        }
        let entries = self.entries.make_contiguous();
        let mut tally = Tally::default();
        let mut start = entries.partition_point(|entry| entry.time <= time.saturating_sub(spec.span));
        let mut next = start;
        // Every window ends with an event, and holds all events of its last moment.
        while next < entries.len() {
            let end = entries[next].time;
            while next < entries.len() && entries[next].time == end {
                tally.add(spec, &entries[next]);
                next += 1;
            }
            if end >= time.saturating_add(spec.span) {
                return None;
            }
            while entries[start].time <= end.saturating_sub(spec.span) {
                tally.remove(spec, &entries[start]);
                start += 1;
            }
            let is_next = self.fired.is_none_or(|fired| end.saturating_sub(spec.span) >= fired);
            if end < time || !is_next {
                continue;
            }
            if let Some(count) = tally.met(spec, &entries[start..next]) {
                self.fired = Some(end);
                let listed = entries[start..next].iter().rev().take(MOST_LISTED).rev();
                let events = listed.map(|entry| entry.event.clone()).collect();
                return Some(Window { end, last: entries[next - 1].event.clone(), count, events });
            }
        }
        None
    }
}

/// What is in a window while it moves.
#[derive(Default)]
struct Tally {
    events: u64,
    /// How often each value that is counted is there, or each rule.
    values: HashMap<u64, u64>,
}

impl Tally {
    fn add(&mut self, spec: &CorrelationSpec, entry: &Entry) {
        self.events += 1;
        if let Some(value) = counted(spec, entry) {
            *self.values.entry(value).or_default() += 1;
        }
    }

    fn remove(&mut self, spec: &CorrelationSpec, entry: &Entry) {
        self.events -= 1;
        if let Some(value) = counted(spec, entry)
            && let Some(count) = self.values.get_mut(&value)
        {
            *count -= 1;
            if *count == 0 {
                self.values.remove(&value);
            }
        }
    }

    /// What was counted, when it is enough.
    fn met(&self, spec: &CorrelationSpec, window: &[Entry]) -> Option<u64> {
        let reached = |count: u64, at_least: u64| (count >= at_least).then_some(count);
        let different = self.values.len() as u64;
        match &spec.kind {
            Kind::EventCount { at_least } => reached(self.events, *at_least),
            Kind::ValueCount { at_least, .. } => reached(different, *at_least),
            Kind::Temporal { order, wanted } => {
                let rules = self.values.keys().fold(0_u64, |rules, rule| rules | 1 << rule);
                let met = spec.is_met_by(wanted, rules) && (*order == Order::Any || in_order(spec.rules.len(), window));
                met.then_some(different)
            }
        }
    }
}

fn counted(spec: &CorrelationSpec, entry: &Entry) -> Option<u64> {
    match spec.kind {
        Kind::EventCount { .. } => None,
        Kind::ValueCount { .. } => entry.value,
        Kind::Temporal { .. } => Some(u64::from(entry.rule)),
    }
}

/// Whether each rule found something no earlier than the one before it. CloudTrail's times are whole seconds: events of
/// one second may have come in any order.
fn in_order(rules: usize, window: &[Entry]) -> bool {
    let mut wanted = 0;
    for moment in window.chunk_by(|a, b| a.time == b.time) {
        let found = moment.iter().fold(0_u64, |found, entry| found | 1 << entry.rule);
        while wanted < rules && found & (1 << wanted) != 0 {
            wanted += 1;
        }
    }
    wanted == rules
}
