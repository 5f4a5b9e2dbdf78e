//! Records to fold in, and a history to fold them into.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_history::{Category, History, HistoryOptions, HistoryProjection, LookupEvent, LookupQuery};
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};
use opentrail_runtime::ManualClock;

/// 2026-11-21T12:00:00Z, when these tests take place.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);
pub const ACCOUNT: &str = "111122223333";

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW))
}

/// Flushes only when told to.
pub fn options() -> HistoryOptions {
    HistoryOptions { flush_age: Duration::from_secs(1_000_000_000), ..HistoryOptions::default() }
}

pub async fn open(dir: &Path, clock: &Arc<ManualClock>) -> (HistoryProjection, History) {
    let clock: Arc<ManualClock> = Arc::clone(clock);
    History::open(dir, options(), clock).await.unwrap()
}

pub fn entry(position: u64, account: &str, body: &str) -> Entry {
    Entry {
        position: Position(position),
        source: Source::Records,
        account: account.parse().unwrap(),
        received: NOW,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// A management event of `user`, `age` before [`NOW`].
pub fn event(position: u64, age: Duration, user: &str) -> Entry {
    let body = format!(
        r#"{{"eventID":"id-{position}","eventName":"Call","eventTime":"{}","awsRegion":"us-east-1","eventSource":"iam.amazonaws.com","readOnly":true,"userIdentity":{{"type":"IAMUser","userName":"{user}"}}}}"#,
        NOW - age
    );
    entry(position, ACCOUNT, &body)
}

pub fn batch(entries: &[Entry]) -> Arc<EventBatch> {
    let after = entries.first().map_or(Position::START, |first| Position(first.position.0 - 1));
    Arc::new(EventBatch::decode(after, entries))
}

pub fn query() -> LookupQuery {
    LookupQuery {
        account: ACCOUNT.parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        category: Category::Management,
        attribute: None,
        start: None,
        end: None,
        max_results: 50,
        before: None,
    }
}

/// All pages of a query.
pub async fn walk(history: &History, mut query: LookupQuery) -> Vec<LookupEvent> {
    let mut all = Vec::new();
    loop {
        let page = history.lookup(&query).await.unwrap();
        assert!(page.events.len() <= query.max_results);
        all.extend(page.events);
        match page.next {
            Some(next) => query.before = Some(next),
            None => return all,
        }
    }
}

/// The ids found by a query, over all pages.
pub async fn ids(history: &History, query: LookupQuery) -> Vec<String> {
    walk(history, query).await.into_iter().map(|event| event.event_id.unwrap()).collect()
}

/// `id-<n>` for each number.
pub fn names(positions: impl IntoIterator<Item = u64>) -> Vec<String> {
    positions.into_iter().map(|position| format!("id-{position}")).collect()
}
