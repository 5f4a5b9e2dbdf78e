//! The promises of [`Journal`](crate::Journal) as tests, one each, to be run against every backend with
//! [`journal_contract!`](crate::journal_contract).

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use opentrail_model::{Position, Source, Timestamp};

use crate::{AppendError, Journal, NewEntry, ReadError};

/// Tests for a backend, in a module called `$name`: `$make` is an expression for a new, empty journal (or a pair of
/// it and what must live as long), whose segments hold at most a few kilobytes where the backend has such units.
#[macro_export]
macro_rules! journal_contract {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            $crate::journal_contract!(@tests $make,
                positions_are_consecutive_and_bodies_untouched
                reading_goes_on_where_it_stopped
                a_read_ends_with_a_batch
                nothing_is_read_past_the_tail
                waiting_ends_when_something_is_durable
                concurrent_appends_keep_their_batches_together
                trimmed_entries_are_refused_and_the_rest_stays
                a_closed_journal_refuses_appends_and_still_reads
            );
        }
    };
    (@tests $make:expr, $($test:ident)*) => {$(
        #[tokio::test]
        async fn $test() {
            let (journal, _alive) = $make;
            $crate::contract::$test(&journal).await;
        }
    )*};
}

/// A batch of `count` entries with bodies of about `size` bytes, different for each `seed`.
pub fn batch(seed: u64, count: usize, size: usize) -> Vec<NewEntry> {
    (0..count)
        .map(|index| NewEntry {
            source: [Source::Api, Source::Gateway, Source::Records, Source::Import, Source::Control][index % 5],
            account: format!("{:012}", seed % 1_000_000).parse().expect("twelve digits"),
            received: Timestamp::from_millis((seed * 1000 + index as u64).cast_signed()),
            body: Bytes::from(format!("{{\"seed\":{seed},\"index\":{index},\"pad\":\"{}\"}}", "é".repeat(size / 2))),
        })
        .collect()
}

/// Every entry after `after`, without its position.
///
/// # Panics
/// When reading fails or positions are not consecutive.
pub async fn read_all(journal: &dyn Journal, mut after: Position) -> Vec<NewEntry> {
    let mut all = Vec::new();
    loop {
        let entries = journal.read(after, 10_000).await.expect("entries are kept and intact");
        if entries.is_empty() {
            assert_eq!(after, journal.tail(), "a read before the tail gives something");
            return all;
        }
        for entry in entries {
            assert_eq!(entry.position, after.next(), "positions are consecutive");
            after = entry.position;
            all.push(NewEntry {
                source: entry.source,
                account: entry.account,
                received: entry.received,
                body: entry.body,
            });
        }
    }
}

/// Promises 2 and 4.
pub async fn positions_are_consecutive_and_bodies_untouched(journal: &dyn Journal) {
    assert_eq!((journal.tail(), journal.trimmed()), (Position::START, Position::START));
    let mut expected = Vec::new();
    for seed in 0..40 {
        let new = batch(seed, 1 + seed as usize % 7, 300);
        let appended = journal.append(new.clone()).await.expect("an open journal appends");
        assert_eq!(appended.first, Position(expected.len() as u64 + 1));
        expected.extend(new);
        assert_eq!(appended.last, Position(expected.len() as u64));
        assert_eq!(journal.tail(), appended.last);
    }
    assert_eq!(read_all(journal, Position::START).await, expected);
}

/// From every position, the rest is read.
pub async fn reading_goes_on_where_it_stopped(journal: &dyn Journal) {
    let mut expected = Vec::new();
    for seed in 0..12 {
        expected.extend(batch(seed, 3, 400));
        journal.append(batch(seed, 3, 400)).await.expect("an open journal appends");
    }
    for after in 0..=expected.len() {
        assert_eq!(read_all(journal, Position(after as u64)).await, expected[after..]);
    }
}

/// Promise 3, and the bound on what one read gives.
pub async fn a_read_ends_with_a_batch(journal: &dyn Journal) {
    for seed in 0..3 {
        journal.append(batch(seed, 4, 100)).await.expect("an open journal appends");
    }
    for max_bytes in [0, 1, 300] {
        let entries = journal.read(Position::START, max_bytes).await.expect("entries are kept");
        assert_eq!(entries.len(), 4, "with {max_bytes} bytes");
    }
    let entries = journal.read(Position(2), 1).await.expect("entries are kept");
    assert_eq!(entries.len(), 2, "the rest of the batch");
}

/// The tail and past it are empty.
pub async fn nothing_is_read_past_the_tail(journal: &dyn Journal) {
    journal.append(batch(1, 2, 10)).await.expect("an open journal appends");
    assert_eq!(journal.read(Position(2), 1000).await.expect("the tail is readable"), []);
    assert_eq!(journal.read(Position(99), 1000).await.expect("past the tail is readable"), []);
}

/// `wait_past` neither returns early nor sleeps on.
pub async fn waiting_ends_when_something_is_durable(journal: &dyn Journal) {
    let mut wait = std::pin::pin!(journal.wait_past(Position(1)));
    assert!(is_pending(wait.as_mut()).await);
    journal.append(batch(1, 1, 10)).await.expect("an open journal appends");
    assert!(is_pending(wait.as_mut()).await, "position 1 is not past position 1");
    journal.append(batch(2, 1, 10)).await.expect("an open journal appends");
    wait.await;
    journal.wait_past(Position::START).await;
}

/// Batches of many callers are not mixed with one another.
pub async fn concurrent_appends_keep_their_batches_together(journal: &dyn Journal) {
    let appends = (0..64).map(|seed| async move {
        let new = batch(seed, 1 + seed as usize % 5, 200);
        (journal.append(new.clone()).await.expect("an open journal appends"), new)
    });
    let mut appended = futures_join(appends).await;
    appended.sort_by_key(|(appended, _)| appended.first);
    let mut next = Position(1);
    for (appended, _) in &appended {
        assert_eq!(appended.first, next);
        next = appended.last.next();
    }
    let expected: Vec<NewEntry> = appended.into_iter().flat_map(|(_, new)| new).collect();
    assert_eq!(read_all(journal, Position::START).await, expected);
}

/// `trim` may keep more than asked, never less; what is gone is refused.
pub async fn trimmed_entries_are_refused_and_the_rest_stays(journal: &dyn Journal) {
    let mut expected = Vec::new();
    for seed in 0..60 {
        expected.extend(batch(seed, 2, 500));
        journal.append(batch(seed, 2, 500)).await.expect("an open journal appends");
    }
    journal.trim(Position(80)).await.expect("trimming works");
    let trimmed = journal.trimmed();
    assert!(trimmed <= Position(80), "{trimmed} was to be kept");
    assert!(trimmed > Position::START, "a journal of sixty batches in small units can let go of some");
    assert_eq!(read_all(journal, trimmed).await, expected[usize::try_from(trimmed.0).expect("small")..]);
    match journal.read(Position(trimmed.0 - 1), 1000).await {
        Err(ReadError::Trimmed { trimmed: told, .. }) => assert_eq!(told, trimmed),
        other => panic!("expected a refusal, found {other:?}"),
    }
    journal.trim(Position(1)).await.expect("trimming less again changes nothing");
    assert_eq!(journal.trimmed(), trimmed);
    assert_eq!(journal.append(batch(99, 1, 10)).await.expect("an open journal appends").first, Position(121));
}

/// The end of an orderly stop.
pub async fn a_closed_journal_refuses_appends_and_still_reads(journal: &dyn Journal) {
    journal.append(batch(1, 2, 10)).await.expect("an open journal appends");
    journal.close().await;
    journal.close().await;
    assert!(matches!(journal.append(batch(2, 1, 10)).await, Err(AppendError::Closed)));
    assert_eq!(read_all(journal, Position::START).await, batch(1, 2, 10));
}

/// Polls the future once.
async fn is_pending(mut future: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// Polls all futures at once and gives what they gave.
async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(done) => *output = Some(done),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().map(|(_, output)| output.expect("all futures are done")).collect()
}
