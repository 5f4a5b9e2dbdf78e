use std::time::Duration;

use super::world::{Fault, HOME, Mishap, World, trail};

const PAUSE: Duration = Duration::from_secs(400);

#[tokio::test]
async fn a_missing_bucket_is_said_so_and_holds_up_nobody_else() {
    let world = World::new();
    world.make_bucket("good");
    world.make_bucket("bad");
    world.break_bucket("bad", Fault::Missing);
    let _life = world.live().await;
    let (good, bad) = (trail("healthy", "good"), trail("failing", "bad"));
    world.put_trail(&good).await;
    world.put_trail(&bad).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    world
        .until("the error shows", async || {
            world.status(&bad, HOME).await.latest_delivery_error.as_deref() == Some("NoSuchBucket")
        })
        .await;
    let status = world.status(&bad, HOME).await;
    assert_eq!((status.latest_delivery, status.latest_delivery_attempt.is_some()), (None, true));
    assert_eq!(world.status(&good, HOME).await.latest_delivery_error, None);
    world.record(HOME, &["b"]).await;
    world.until_delivered(&["b"]).await;

    world.mend_bucket("bad");
    world.clock.advance(PAUSE);
    world.until("both have both", async || world.delivered().await == ["a", "a", "b", "b"]).await;
    let status = world.status(&bad, HOME).await;
    assert_eq!(status.latest_delivery_error, None);
    assert_eq!(status.latest_delivery, status.latest_delivery_attempt);
}

#[tokio::test]
async fn a_bucket_that_hangs_times_out_without_an_error_code() {
    let world = World::new();
    world.make_bucket("logs");
    world.break_bucket("logs", Fault::Hangs);
    let _life = world.live().await;
    let trail = trail("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    world
        .until("an attempt has timed out", async || {
            world.clock.advance(world.settings.put_timeout);
            world.status(&trail, HOME).await.latest_delivery_attempt.is_some()
        })
        .await;
    let status = world.status(&trail, HOME).await;
    assert_eq!((status.latest_delivery, status.latest_delivery_error), (None, None));
    world.mend_bucket("logs");
    world.clock.advance(PAUSE);
    world.until_delivered(&["a"]).await;
}

#[tokio::test]
async fn a_put_that_is_kept_but_reported_failed_doubles_nothing() {
    let world = World::new();
    world.make_bucket("logs");
    world.break_bucket("logs", Fault::FailsAfterStoring);
    let _life = world.live().await;
    let trail = trail("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["a", "b"]).await;
    world.clock.advance(world.settings.max_age);
    world
        .until("the endpoint's code shows", async || {
            world.status(&trail, HOME).await.latest_delivery_error.as_deref() == Some("InternalError")
        })
        .await;
    world.mend_bucket("logs");
    world.clock.advance(PAUSE);
    world.until("it is delivered", async || world.status(&trail, HOME).await.latest_delivery.is_some()).await;
    assert_eq!(world.delivered().await, ["a", "b"]);
    assert_eq!(world.log_files().await.len(), 1);
}

#[tokio::test]
async fn what_a_failing_bucket_left_goes_to_the_trails_new_bucket() {
    let world = World::new();
    world.make_bucket("old");
    world.make_bucket("new");
    let _life = world.live().await;
    let mut trail = trail("main", "old");
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    world.break_bucket("old", Fault::Denied);
    world.record(HOME, &["b"]).await;
    world.clock.advance(world.settings.max_age);
    world
        .until("it fails", async || {
            world.status(&trail, HOME).await.latest_delivery_error.as_deref() == Some("AccessDenied")
        })
        .await;
    trail.version = 2;
    trail.bucket = "new".into();
    trail.prefix = Some("moved".into());
    world.put_trail(&trail).await;
    world.record(HOME, &["c"]).await;
    world.until_delivered(&["a", "b", "c"]).await;
    assert_eq!(world.delivered().await, ["a", "b", "c"]);
    let moved = world.log_files().await.into_iter().filter(|(_, key, _)| key.starts_with("moved/AWSLogs/"));
    assert_eq!(moved.count(), 2);
    world.clock.advance(world.settings.digest_interval);
    world.until("a digest is there", async || !world.checked_digests(&trail, HOME).await.is_empty()).await;
    let digests = world.checked_digests(&trail, HOME).await;
    assert_eq!(super::world::listed(&digests).len(), 3, "files of both buckets are listed");
}

#[tokio::test]
async fn records_are_given_up_after_thirty_days_and_no_sooner() {
    let world = World::new();
    world.make_bucket("logs");
    world.break_bucket("logs", Fault::Missing);
    let _life = world.live().await;
    let mut trail = trail("main", "logs");
    trail.log_file_validation = false;
    world.put_trail(&trail).await;
    world.record(HOME, &["old"]).await;
    let received = opentrail_runtime::Clock::now(&*world.clock);
    world.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    world
        .until("it fails", async || {
            world.status(&trail, HOME).await.latest_delivery_attempt
                == Some(received + Duration::from_secs(30 * 86_400 - 1))
        })
        .await;
    world.record(HOME, &["new"]).await;
    world.clock.advance(PAUSE);
    world
        .until("the old one is given up and the new one tried", async || {
            world.clock.advance(PAUSE);
            let documents = opentrail_catalog::Catalog::list(&*world.catalog, crate::state::WORKERS, "", "", 9).await;
            let text = String::from_utf8(documents.unwrap().remove(0).value).unwrap();
            text.contains("\"cut\":{") && text.contains("\"first\":3")
        })
        .await;
    world.mend_bucket("logs");
    world.clock.advance(PAUSE);
    world.until_delivered(&["new"]).await;
    assert_eq!(world.delivered().await, ["new"]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_bucket_that_hangs() {
    let world = World::new();
    world.make_bucket("logs");
    let life = world.live().await;
    let trail = trail("main", "logs");
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    world.break_bucket("logs", Fault::Hangs);
    world.record(HOME, &["b"]).await;
    life.begin_stop();
    let stopped = async {
        let mut stopping = std::pin::pin!(life.stop());
        loop {
            tokio::select! {
                () = &mut stopping => return,
                () = tokio::task::yield_now() => world.clock.advance(Duration::from_secs(1)),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), stopped).await.unwrap();
    assert_eq!(world.delivered().await, ["a"]);

    world.mend_bucket("logs");
    let _life = world.live().await;
    world.until_delivered(&["b"]).await;
    assert_eq!(world.delivered().await, ["a", "b"]);
}

#[tokio::test]
async fn digests_that_are_refused_hold_up_no_files_and_come_later() {
    let world = World::new();
    world.make_bucket("logs");
    world.break_bucket("logs", Fault::RefusesDigests);
    let _life = world.live().await;
    let trail = trail("main", "logs");
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    world.clock.advance(world.settings.digest_interval);
    world
        .until("the error shows", async || {
            world.status(&trail, HOME).await.latest_digest_delivery_error.as_deref() == Some("AccessDenied")
        })
        .await;
    world.record(HOME, &["b"]).await;
    world.until_delivered(&["b"]).await;
    world.clock.advance(world.settings.digest_interval);
    world.mend_bucket("logs");
    world
        .until("both digests are there", async || {
            world.clock.advance(Duration::from_secs(1));
            world.checked_digests(&trail, HOME).await.len() >= 2
        })
        .await;
    let digests = world.checked_digests(&trail, HOME).await;
    assert_eq!(digests[0]["logFiles"].as_array().unwrap().len(), 1);
    assert_eq!(super::world::listed(&digests).len(), 2);
    assert_eq!(world.status(&trail, HOME).await.latest_digest_delivery_error, None);
}

#[tokio::test]
async fn a_journal_that_is_older_than_the_catalog_is_refused() {
    let mut world = World::new();
    world.make_bucket("logs");
    let life = world.live().await;
    world.put_trail_and_wait(&trail("main", "logs")).await;
    life.stop().await;
    world.journal = std::sync::Arc::default();
    let error = world.try_to_live(i64::MAX, Mishap::Crash).await.unwrap_err().to_string();
    assert!(error.contains("restore the journal that belongs to this catalog"), "{error}");
}
