use std::sync::atomic::Ordering;
use std::time::Duration;

use super::world::{World, row};
use crate::{NewQuery, QueriesOptions, QueryError, QueryStatus, Scanned};

#[tokio::test]
async fn a_query_runs_and_its_rows_are_read_in_pages() {
    let world = World::new().await;
    let key = world.begin("rows 2500").await;
    let ended = world.until_status(&key, QueryStatus::Finished).await.ended.unwrap();
    assert_eq!((ended.rows, ended.message), (2500, None));
    assert_eq!(ended.scanned, Scanned { events_scanned: 25_000, events_matched: 2500, bytes: 250_000 });
    let page = world.queries().rows(key.id, 1990, 20, usize::MAX).await.unwrap();
    assert_eq!(page.rows, (1990..2010).map(row).collect::<Vec<_>>());
    assert_eq!((page.next, page.total), (Some(2010), 2500));
    let listed = world.queries().list(key.account, &key.region, uuid::Uuid::nil());
    assert_eq!((listed.len(), listed[0].id, listed[0].status), (1, key.id, QueryStatus::Finished));
    assert!(world.queries().list(key.account, &key.region, uuid::Uuid::max()).is_empty());
}

#[tokio::test]
async fn ten_of_an_account_and_region_may_be_under_way_and_so_many_run_at_a_time() {
    let world = World::new().await;
    let mut keys = Vec::new();
    for _ in 0..10 {
        keys.push(world.begin("rows 1 then hang").await);
    }
    let full = world.queries().start(world.new_query("rows 1")).await;
    assert!(matches!(full, Err(QueryError::TooMany { limit: 10 })), "{full:?}");
    let elsewhere = NewQuery { region: "eu-west-1".parse().unwrap(), ..world.new_query("rows 1 then hang") };
    world.queries().start(elsewhere).await.unwrap();
    let other = NewQuery { account: "444455556666".parse().unwrap(), ..world.new_query("rows 1 then hang") };
    let other = world.queries().start(other).await.unwrap();

    world.until_status(&keys[0], QueryStatus::Running).await;
    world.until_status(&keys[1], QueryStatus::Running).await;
    world.until_status(&other, QueryStatus::Running).await;
    assert_eq!(world.queries().find(&keys[9]).await.unwrap().status, QueryStatus::Queued);
    world.queries().cancel(&other).await.unwrap();
    world.queries().cancel(&keys[0]).await.unwrap();
    world.until_status(&keys[2], QueryStatus::Running).await;
    world.begin("rows 1").await;
    assert_eq!(world.engine.most_running.load(Ordering::SeqCst), 3, "two, and one of an account that had none");
}

#[tokio::test]
async fn a_cancelled_query_ends_and_leaves_no_rows() {
    let world = World::new().await;
    let running = world.begin("rows 3000 then hang").await;
    let view = world.until(&running, |view| view.scanned.events_matched == 3000).await;
    assert_eq!(view.status, QueryStatus::Running);
    world.begin("rows 1 then hang").await;
    let queued = world.begin("rows 1").await;
    for key in [&running, &queued] {
        world.queries().cancel(key).await.unwrap();
        world.until_status(key, QueryStatus::Cancelled).await;
        let again = world.queries().cancel(key).await;
        assert!(matches!(again, Err(QueryError::Inactive { status: QueryStatus::Cancelled, .. })), "{again:?}");
    }
    while world.kept().iter().any(|name| name.starts_with(&running.id.to_string())) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(!world.kept().iter().any(|name| name.starts_with(&queued.id.to_string())));
}

#[tokio::test]
async fn a_query_that_takes_too_long_keeps_the_rows_that_it_has() {
    let world = World::new().await;
    let key = world.begin_delivered("rows 1500 then hang").await;
    world.until(&key, |view| view.scanned.events_matched == 1500).await;
    world.clock.advance(Duration::from_secs(3599));
    assert_eq!(world.queries().find(&key).await.unwrap().status, QueryStatus::Running);
    world.clock.advance(Duration::from_secs(1));
    let query = world.until_status(&key, QueryStatus::TimedOut).await;
    assert_eq!(query.delivery.unwrap().status, crate::DeliveryStatus::Failed, "partial results are not delivered");
    let ended = query.ended.unwrap();
    assert_eq!((ended.rows, ended.ran), (1500, Duration::from_secs(3600)));
    assert!(ended.message.unwrap().contains("3600 seconds"));
    assert_eq!(world.queries().rows(key.id, 0, 2000, usize::MAX).await.unwrap().rows.len(), 1500);
    assert_eq!(world.bucket.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_query_that_fails_says_why_and_leaves_no_rows() {
    let world = World::with(QueriesOptions { max_result_bytes: 2000, ..QueriesOptions::default() }).await;
    for (statement, message) in [
        ("rows 1200 then fail", "division by zero"),
        ("rows many", "is no script"),
        ("rows 1200 then panic", "internal error"),
        ("rows 100000", "Query response is too large"),
    ] {
        let key = world.begin(statement).await;
        let ended = world.until_status(&key, QueryStatus::Failed).await.ended.unwrap();
        assert!(ended.message.as_ref().unwrap().contains(message), "{ended:?}");
        assert!(world.queries().rows(key.id, 0, 1, 1).await.is_err());
    }
    assert!(world.kept().is_empty(), "{:?}", world.kept());
    let key = world.begin("rows 1").await;
    world.until_status(&key, QueryStatus::Finished).await;
}

#[tokio::test]
async fn an_interrupted_query_runs_again_and_is_given_up_the_third_time() {
    let mut world = World::new().await;
    let hanging = world.begin("rows 5 then hang").await;
    let done = world.begin("rows 3").await;
    world.until_status(&done, QueryStatus::Finished).await;
    for _ in 0..2 {
        world.until(&hanging, |view| view.scanned.events_matched == 5).await;
        world.restart().await;
        assert_eq!(world.queries().find(&done).await.unwrap().status, QueryStatus::Finished);
        assert_eq!(world.queries().rows(done.id, 0, 9, 999).await.unwrap().rows.len(), 3);
    }
    let listed = world.queries().list(done.account, &done.region, uuid::Uuid::nil());
    assert_eq!(listed.len(), 2);
    world.until(&hanging, |view| view.scanned.events_matched == 5).await;
    world.restart().await;
    let ended = world.until_status(&hanging, QueryStatus::Failed).await.ended.unwrap();
    assert!(ended.message.as_ref().unwrap().contains("interrupted by 3 restarts"), "{ended:?}");
}

#[tokio::test]
async fn a_query_expires_with_its_rows() {
    let world = World::new().await;
    let key = world.begin("rows 3").await;
    world.until_status(&key, QueryStatus::Finished).await;
    let hanging = world.begin("rows 3 then hang").await;
    world.until_status(&hanging, QueryStatus::Running).await;
    world.clock.advance(Duration::from_secs(7 * 24 * 3600 - 1));
    world.queries().expire().await.unwrap();
    world.queries().find(&key).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.queries().expire().await.unwrap();
    let gone = world.queries().find(&key).await;
    assert!(matches!(gone, Err(QueryError::NotFound { .. })), "{gone:?}");
    assert!(!world.kept().contains(&key.id.to_string()));
    let cancelled = world.queries().cancel(&key).await;
    assert!(matches!(cancelled, Err(QueryError::NotFound { .. })));
}
