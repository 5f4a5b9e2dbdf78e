use std::collections::BTreeMap;
use std::sync::Arc;

use opentrail_model::{AccountId, Position, Timestamp};

use crate::history::{Shared, blocking};
use crate::row::{Group, Row, day_of};
use crate::segment::{Hit, Scan, Segment};
use crate::{Cursor, History, HistoryError, LookupEvent, LookupPage, LookupQuery};

/// An event found, in memory or in the segment of that number.
enum Found {
    Recent(Arc<Row>),
    Stored(usize, Hit),
}

impl Found {
    fn cursor(&self) -> Cursor {
        match self {
            Self::Recent(row) => row.cursor(),
            Self::Stored(_, hit) => hit.cursor,
        }
    }
}

impl History {
    /// The newest events that the query wants.
    ///
    /// # Errors
    /// When a file of the table cannot be read.
    ///
    /// # Cancellation
    /// May be dropped; reads that have begun finish on their own.
    pub async fn lookup(&self, query: &LookupQuery) -> Result<LookupPage, HistoryError> {
        let (shared, query) = (Arc::clone(&self.shared), query.clone());
        blocking(move || lookup(&shared, &query)).await
    }
}

/// From the oldest to the newest place that the query allows, the end exclusive.
fn bounds(query: &LookupQuery, oldest: Timestamp) -> (Cursor, Cursor) {
    let first = |event_time| Cursor { event_time, position: Position::START };
    let start = first(query.start.map_or(oldest, |start| start.max(oldest)));
    let after = |end: Timestamp| first(Timestamp::from_millis(end.as_millis().saturating_add(1)));
    let end = query.end.map_or(first(Timestamp::from_millis(i64::MAX)), after);
    (start, query.before.map_or(end, |before| before.min(end)))
}

fn lookup(shared: &Shared, query: &LookupQuery) -> Result<LookupPage, HistoryError> {
    let (start, end) = bounds(query, shared.oldest());
    if start >= end || query.max_results == 0 {
        return Ok(LookupPage::default());
    }
    // One more than the page tells whether there is a next one.
    let limit = query.max_results + 1;
    let group = Group { account: query.account, region: query.region.as_str(), category: query.category };
    let attribute = query.attribute.as_ref();
    let mut found: Vec<Found> = Vec::new();
    let days: Vec<(String, Vec<Arc<Segment>>)> = {
        let view = shared.view.read();
        let recent = view.recent.newest_first(group, start, end);
        let wanted = recent.filter(|row| attribute.is_none_or(|attribute| row.has(attribute)));
        found.extend(wanted.take(limit).map(|row| Found::Recent(Arc::clone(row))));
        let newest_day =
            if end.event_time.as_millis() == i64::MAX { "9999-99-99".into() } else { day_of(end.event_time) };
        let days = view.days.range(day_of(start.event_time)..=newest_day);
        days.rev().map(|(day, segments)| (day.clone(), segments.clone())).collect()
    };
    let recent_days: Vec<String> = found.iter().map(|found| day_of(found.cursor().event_time)).collect();
    let mut segments = Vec::new();
    for (day, of_day) in days {
        // What files of newer days and memory gave is newer than anything of this day or an older one.
        let stored = found.len() - recent_days.len();
        if stored + recent_days.iter().filter(|recent| **recent > day).count() >= limit {
            break;
        }
        for segment in of_day {
            let scan = Scan { group, attribute, start, end, limit };
            let hits = segment.scan(&shared.dir, &shared.footers, &scan)?;
            found.extend(hits.into_iter().map(|hit| Found::Stored(segments.len(), hit)));
            segments.push(segment);
        }
    }
    found.sort_unstable_by_key(|found| std::cmp::Reverse(found.cursor()));
    let more = found.len() >= limit;
    found.truncate(query.max_results);
    let next = found.last().filter(|_| more).map(Found::cursor);
    Ok(LookupPage { events: fetch(shared, query.account, &segments, found)?, next })
}

/// The events found, whole, each file read once.
fn fetch(
    shared: &Shared,
    account: AccountId,
    segments: &[Arc<Segment>],
    found: Vec<Found>,
) -> Result<Vec<LookupEvent>, HistoryError> {
    let mut wanted: BTreeMap<usize, Vec<Hit>> = BTreeMap::new();
    for found in &found {
        if let Found::Stored(segment, hit) = found {
            wanted.entry(*segment).or_default().push(*hit);
        }
    }
    let mut events: BTreeMap<Cursor, LookupEvent> = BTreeMap::new();
    for (segment, mut hits) in wanted {
        hits.sort_unstable_by_key(|hit| hit.row);
        events.extend(segments[segment].fetch(&shared.dir, &shared.footers, account, &hits)?);
    }
    for found in found {
        if let Found::Recent(row) = found {
            events.insert(row.cursor(), row.to_event());
        }
    }
    Ok(events.into_values().rev().collect())
}
