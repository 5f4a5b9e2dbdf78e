//! Reading events in the order of their times: a page at a time, in bounded memory.
//!
//! Chunks overlap in time as they like, so a page is a heap of the best events found so far: chunks are opened one after the
//! other, by their first time (or their last, backwards), until the next one begins behind the worst of a full page.
//! Events of one time are in the order in which they came.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use opentrail_filters::FilterPattern;

use crate::error::LogsError;
use crate::service::{Shared, aside};
use crate::store::{ChunkRow, Direction, Loaded, Scope, Window};

/// How many rows of chunks are asked for at once.
const ROWS: i64 = 128;

/// An event's place in the order of events: its time, the commit that it came with, its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// In milliseconds.
    pub(crate) time: i64,
    pub(crate) sequence: u64,
    pub(crate) index: u64,
}

impl Key {
    /// Before every event.
    pub(crate) const FIRST: Self = Self { time: i64::MIN, sequence: 0, index: 0 };

    /// Reads `time.sequence.index`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (time, sequence, index) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { time: time.parse().ok()?, sequence: sequence.parse().ok()?, index: index.parse().ok()? })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.time, self.sequence, self.index)
    }
}

/// An event that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: Key,
    /// Its stream's id.
    pub(crate) stream: i64,
    /// In milliseconds.
    pub(crate) ingested: i64,
    pub(crate) message: String,
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) scope: Scope,
    /// Of a group, only these streams.
    pub(crate) streams: Option<Arc<HashSet<i64>>>,
    pub(crate) window: Window,
    pub(crate) direction: Direction,
    /// Only events behind this one, in the direction of reading.
    pub(crate) after: Option<Key>,
    pub(crate) pattern: Option<Arc<FilterPattern>>,
    /// The most events of a page.
    pub(crate) limit: usize,
    /// A page has no further event once its messages have this many bytes.
    pub(crate) most_bytes: usize,
    /// After opening this many bytes of messages the page ends, if it got anywhere.
    pub(crate) budget: usize,
}

/// A page of events, in the order of reading.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) events: Vec<Found>,
    /// From where to read on; `None` when there is no more now.
    pub(crate) next: Option<Key>,
}

impl Request {
    fn is_behind(&self, key: Key) -> bool {
        match (self.after, self.direction) {
            (None, _) => true,
            (Some(after), Direction::OldestFirst) => key > after,
            (Some(after), Direction::NewestFirst) => key < after,
        }
    }

    /// The window without what lies before the event after which reading goes on.
    fn narrowed(&self) -> Window {
        let Window { from, through } = self.window;
        match (self.after, self.direction) {
            (None, _) => self.window,
            (Some(after), Direction::OldestFirst) => Window { from: from.max(after.time), through },
            (Some(after), Direction::NewestFirst) => Window { from, through: through.min(after.time) },
        }
    }

    fn wants(&self, row: &ChunkRow) -> bool {
        self.streams.as_ref().is_none_or(|streams| streams.contains(&row.stream))
    }

    /// The wanted events of a chunk.
    fn take(&self, loaded: &Loaded, stream: i64) -> Vec<Found> {
        let Window { from, through } = self.narrowed();
        let mut found = Vec::new();
        let mut at = 0;
        for run in &loaded.runs {
            for index in 0..run.count {
                let Some((time, message)) = loaded.events.at(at) else { continue };
                at += 1;
                let key = Key { time, sequence: run.sequence, index: index as u64 };
                let wanted = (from..=through).contains(&time) && self.is_behind(key);
                if wanted && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(message)) {
                    found.push(Found { key, stream, ingested: run.ingested, message: message.to_owned() });
                }
            }
        }
        found
    }
}

/// The best events so far; the worst of them is on top.
struct Best {
    direction: Direction,
    heap: BinaryHeap<Ranked>,
    bytes: usize,
    limit: usize,
    most_bytes: usize,
    /// Whether events were left out since others are better.
    overflown: bool,
}

struct Ranked {
    rank: Rank,
    found: Found,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Up(Key),
    Down(Reverse<Key>),
}

impl Best {
    fn offer(&mut self, found: Found) {
        let rank = match self.direction {
            Direction::OldestFirst => Rank::Up(found.key),
            Direction::NewestFirst => Rank::Down(Reverse(found.key)),
        };
        self.bytes += found.message.len();
        self.heap.push(Ranked { rank, found });
        while self.heap.len() > self.limit
            || (self.heap.len() > 1
                && self.heap.peek().is_some_and(|worst| self.bytes - worst.found.message.len() >= self.most_bytes))
        {
            let Some(worst) = self.heap.pop() else { break };
            self.bytes -= worst.found.message.len();
            self.overflown = true;
        }
    }

    fn is_full(&self) -> bool {
        self.heap.len() >= self.limit || self.bytes >= self.most_bytes
    }

    /// Whether nothing of a chunk that begins at `edge` can be better than what is there.
    fn is_settled_before(&self, edge: i64) -> bool {
        self.is_full()
            && self.heap.peek().is_some_and(|worst| match self.direction {
                Direction::OldestFirst => worst.found.key.time < edge,
                Direction::NewestFirst => worst.found.key.time > edge,
            })
    }
}

impl Shared {
    /// Reads one page.
    ///
    /// # Cancellation
    /// Reads only.
    pub(crate) async fn read(&self, request: Arc<Request>) -> Result<Page, LogsError> {
        let direction = request.direction;
        let mut best = Best {
            direction,
            heap: BinaryHeap::new(),
            bytes: 0,
            limit: request.limit.max(1),
            most_bytes: request.most_bytes,
            overflown: false,
        };
        let (mut after, mut opened, mut cut) = (None, 0usize, None);
        let mut begun: Option<i64> = None;
        'pages: loop {
            let rows = self.store.chunks(request.scope, request.narrowed(), direction, after, ROWS).await?;
            let whole = rows.len() as i64 == ROWS;
            for row in rows {
                let edge = edge_of(&row, direction);
                after = Some((edge, row.sequence));
                if !request.wants(&row) {
                    continue;
                }
                if best.is_settled_before(edge) {
                    best.overflown = true;
                    break 'pages;
                }
                // Chunks that begin where the first one did are opened in any case, so that reading goes on.
                if opened >= request.budget && begun.is_some_and(|begun| begun != edge) && advances(&request, edge) {
                    cut = Some(edge);
                    break 'pages;
                }
                begun.get_or_insert(edge);
                let Some(stored) = self.store.stored(row.sequence).await? else { continue };
                let wish = Arc::clone(&request);
                let (found, bytes) = aside(move || {
                    let loaded = stored.open();
                    let bytes = loaded.as_ref().map_or(0, |loaded| loaded.events.text_bytes());
                    Ok((loaded.map(|loaded| wish.take(&loaded, stored.stream)).unwrap_or_default(), bytes))
                })
                .await?;
                opened += bytes;
                found.into_iter().for_each(|found| best.offer(found));
            }
            if !whole {
                break;
            }
        }
        Ok(page(best, cut))
    }
}

fn edge_of(row: &ChunkRow, direction: Direction) -> i64 {
    match direction {
        Direction::OldestFirst => row.first,
        Direction::NewestFirst => row.last,
    }
}

/// Whether a page that ends before `edge` leads anywhere.
fn advances(request: &Request, edge: i64) -> bool {
    match (request.after, request.direction) {
        (None, Direction::OldestFirst) => edge > request.window.from,
        (None, Direction::NewestFirst) => edge < request.window.through,
        (Some(after), Direction::OldestFirst) => edge > after.time.saturating_add(1),
        (Some(after), Direction::NewestFirst) => edge < after.time.saturating_sub(1),
    }
}

fn page(best: Best, cut: Option<i64>) -> Page {
    let Best { direction, heap, overflown, .. } = best;
    let mut events: Vec<Found> = heap.into_iter().map(|ranked| ranked.found).collect();
    events.sort_unstable_by_key(|found| found.key);
    if direction == Direction::NewestFirst {
        events.reverse();
    }
    let worst = events.last().map(|found| found.key);
    let Some(edge) = cut else { return Page { next: worst.filter(|_| overflown), events } };
    // What lies at the edge and behind is not complete: it comes with the next page.
    let (end, done): (Key, fn(i64, i64) -> bool) = match direction {
        Direction::OldestFirst => {
            (Key { time: edge.saturating_sub(1), sequence: u64::MAX, index: u64::MAX }, |t, e| t < e)
        }
        Direction::NewestFirst => (Key { time: edge.saturating_add(1), sequence: 0, index: 0 }, |t, e| t > e),
    };
    let complete = events.iter().all(|found| done(found.key.time, edge));
    events.retain(|found| done(found.key.time, edge));
    // A page that left out events ends with its last one, unless that lies behind the edge.
    let next = if overflown && complete { worst } else { Some(end) };
    Page { events, next }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}
