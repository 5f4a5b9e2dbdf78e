//! Aggregated events: a trail's data events summed up over windows of five minutes.
//!
//! An [`Aggregator`] holds the windows that are not written yet. A [`Round`] says which events are: of every window that
//! began before its `horizon`, those up to `through` in the journal. What was written is thereby known from three
//! numbers, and the rest can be folded from the journal again, to the same records: nothing else is stored
//! (ADR 0017). [`record`] spells the records.
//!
//! User Guide, "Aggregated events". A window is that of `eventTime`, but never a later one than that of the event's arrival.

mod record;
mod tally;

use std::collections::BTreeMap;
use std::time::Duration;

use opentrail_event::Event;
use opentrail_model::{Position, Timestamp};
use opentrail_trails::{AggregationTemplate, Trail};
use serde::{Deserialize, Serialize};

use crate::layout::Group;
use record::Spelling;
use tally::{Seen, Tallies};

/// What the windows of a trail may hold together, in bytes of values and counters: then all are written at once, and what
/// is still to come of them follows in records of its own.
const HELD_BYTES: usize = 16 << 20;

/// What an open window costs beside its tallies.
const WINDOW_BYTES: usize = 256;

/// Which events have been written: those up to `through` of windows that began before `horizon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// The beginning of a window.
    pub(crate) horizon: Timestamp,
    pub(crate) through: Position,
    /// Everything up to here is written, or nobody's: what is not is found behind.
    pub(crate) from: Position,
}

/// How windows lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long a window is.
    pub(crate) window: Duration,
    /// How long after its end events of it are waited for.
    pub(crate) grace: Duration,
}

/// The windows that are not written.
#[derive(Debug)]
pub(crate) struct Aggregator {
    templates: Vec<AggregationTemplate>,
    pace: Pace,
    windows: BTreeMap<(Group, Timestamp), Window>,
    held_bytes: usize,
}

/// One window of one account and Region.
#[derive(Debug)]
struct Window {
    first: Position,
    last: Position,
    oldest_event: Option<Timestamp>,
    newest_event: Option<Timestamp>,
    oldest_received: Timestamp,
    newest_received: Timestamp,
    tallies: Tallies,
}

/// The file of a group in a round.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) group: Group,
    pub(crate) first: Position,
    pub(crate) last: Position,
    pub(crate) count: u64,
    pub(crate) oldest_event: Option<Timestamp>,
    pub(crate) newest_event: Option<Timestamp>,
    pub(crate) oldest_received: Timestamp,
    pub(crate) newest_received: Timestamp,
    /// The whole file, uncompressed.
    pub(crate) body: Vec<u8>,
}

impl Round {
    /// Before the first event, at `time`: windows that began before its own are over, and what comes of them is late.
    pub(crate) fn first(position: Position, time: Timestamp, pace: Pace) -> Self {
        Self { horizon: time.floor(pace.window), through: position, from: position }
    }

    /// Whether an event at `position`, of the window that began at `start`, has been written.
    fn has(self, position: Position, start: Timestamp) -> bool {
        position <= self.from || (position <= self.through && start < self.horizon)
    }
}

impl Pace {
    /// The beginning of the window that an event counts in.
    fn start_of(self, event: Event<'_>) -> Timestamp {
        let received = event.received();
        event.time().map_or(received, |time| time.min(received)).floor(self.window)
    }
}

impl Aggregator {
    /// No windows; `None` for a trail that sums nothing up.
    pub(crate) fn of(trail: &Trail, pace: Pace) -> Option<Self> {
        let templates = trail.aggregation.clone();
        (!templates.is_empty()).then(|| Self { templates, pace, windows: BTreeMap::new(), held_bytes: 0 })
    }

    /// Counts a data event, unless it is `written`.
    pub(crate) fn fold(&mut self, written: Round, group: Group, event: Event<'_>) {
        let start = self.pace.start_of(event);
        let position = event.position();
        if written.has(position, start) {
            return;
        }
        let seen = Seen::of(event);
        let held = &mut self.held_bytes;
        let window = self.windows.entry((group, start)).or_insert_with(|| {
            *held += WINDOW_BYTES;
            Window::open(event)
        });
        window.note(event);
        for template in &self.templates {
            self.held_bytes += window.tallies.count(*template, &seen);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Whether it can hold no more.
    pub(crate) fn is_full(&self) -> bool {
        self.held_bytes >= HELD_BYTES
    }

    /// When the next window is to be written. What is late waits as long as if it had happened when it came.
    pub(crate) fn due(&self, written: Round) -> Option<Timestamp> {
        let Pace { window, grace } = self.pace;
        let end = |((_, start), open): (&(Group, Timestamp), &Window)| {
            let start = if *start < written.horizon { open.oldest_received.floor(window) } else { *start };
            start + window + grace
        };
        self.windows.iter().map(end).min()
    }

    /// The round that writes every window that is over at `now`.
    pub(crate) fn round(&self, written: Round, now: Timestamp, through: Position) -> Round {
        self.round_before(written.horizon.max((now - self.pace.grace).floor(self.pace.window)), through)
    }

    /// The round that writes every window, over or not.
    pub(crate) fn last_round(&self, written: Round, through: Position) -> Round {
        let newest = self.windows.keys().map(|(_, start)| *start + self.pace.window).max();
        self.round_before(newest.map_or(written.horizon, |end| end.max(written.horizon)), through)
    }

    fn round_before(&self, horizon: Timestamp, through: Position) -> Round {
        let left = self.windows.iter().filter(|((_, start), _)| *start >= horizon).map(|(_, window)| window);
        Round { horizon, through, from: before(left, through) }
    }

    /// The position behind which everything lies that is not written; nothing behind `read` was folded.
    pub(crate) fn from(&self, read: Position) -> Position {
        before(self.windows.values(), read)
    }

    /// Takes out what `round` writes after `written`, as files.
    pub(crate) fn take(&mut self, trail: &Trail, written: Round, round: Round) -> Vec<Summary> {
        let left = |(_, start): &(Group, Timestamp)| *start >= round.horizon;
        let (kept, closed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.windows).into_iter().partition(|(key, _)| left(key));
        self.held_bytes = kept.values().map(|window| WINDOW_BYTES + window.tallies.held_bytes()).sum();
        self.windows = kept;
        let mut files: Vec<Summary> = Vec::new();
        for ((group, start), window) in closed {
            let late = start < written.horizon;
            let spelling =
                Spelling { trail, group: &group, start, window: self.pace.window, late, of: window.positions() };
            let records = spelling.records(&window.tallies);
            if records.is_empty() {
                continue;
            }
            match files.last_mut().filter(|file| file.group == group) {
                Some(file) => file.add(&window, records),
                None => files.push(Summary::of(group, &window, records)),
            }
        }
        files.iter_mut().for_each(|file| file.body.extend_from_slice(b"]}"));
        files
    }
}

impl Window {
    fn open(event: Event<'_>) -> Self {
        Self {
            first: event.position(),
            last: event.position(),
            oldest_event: None,
            newest_event: None,
            oldest_received: event.received(),
            newest_received: event.received(),
            tallies: Tallies::default(),
        }
    }

    fn note(&mut self, event: Event<'_>) {
        self.last = event.position();
        self.oldest_event = older(self.oldest_event, event.time());
        self.newest_event = self.newest_event.max(event.time());
        self.oldest_received = self.oldest_received.min(event.received());
        self.newest_received = self.newest_received.max(event.received());
    }

    fn positions(&self) -> (Position, Position) {
        (self.first, self.last)
    }
}

impl Summary {
    fn of(group: Group, window: &Window, records: Vec<Vec<u8>>) -> Self {
        let Window { first, last, oldest_event, newest_event, oldest_received, newest_received, .. } = *window;
        let body = br#"{"Records":["#.to_vec();
        let mut file =
            Self { group, first, last, count: 0, oldest_event, newest_event, oldest_received, newest_received, body };
        file.add(window, records);
        file
    }

    fn add(&mut self, window: &Window, records: Vec<Vec<u8>>) {
        self.first = self.first.min(window.first);
        self.last = self.last.max(window.last);
        self.oldest_event = older(self.oldest_event, window.oldest_event);
        self.newest_event = self.newest_event.max(window.newest_event);
        self.oldest_received = self.oldest_received.min(window.oldest_received);
        self.newest_received = self.newest_received.max(window.newest_received);
        for record in records {
            if self.count > 0 {
                self.body.push(b',');
            }
            self.body.extend_from_slice(&record);
            self.count += 1;
        }
    }
}

/// The position before the first event of `windows`; `read` when there is none.
fn before<'w>(windows: impl Iterator<Item = &'w Window>, read: Position) -> Position {
    windows.map(|window| Position(window.first.0.saturating_sub(1))).min().unwrap_or(read)
}

/// The older of two times, where there are any.
fn older(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
