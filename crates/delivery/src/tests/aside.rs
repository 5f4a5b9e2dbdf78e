//! What is beside the log files: the topic that is told of them, the log group that has the events as they come.

use std::time::Duration;

use opentrail_catalog::Catalog;
use opentrail_trails::{LogGroup, LogGroupStatus, NotificationStatus, OrganizationScope, Status, Topic, Trail};

use super::world::{ELSEWHERE, Fault, HOME, OWNER, World, trail};

pub(super) const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:files";
pub(super) const GROUP: &str = "arn:aws:logs:us-east-1:111122223333:log-group:trail:*";
const PAUSE: Duration = Duration::from_secs(400);

/// A trail that has a topic and a log group, too.
pub(super) fn watched(name: &str, bucket: &str) -> Trail {
    watched_by(GROUP, name, bucket)
}

/// A trail that has a topic and this log group, too.
pub(super) fn watched_by(arn: &str, name: &str, bucket: &str) -> Trail {
    Trail {
        topic: Some(Topic { name: "files".to_owned(), arn: TOPIC.to_owned() }),
        log_group: Some(group(arn)),
        ..trail(name, bucket)
    }
}

fn group(arn: &str) -> LogGroup {
    LogGroup { arn: arn.to_owned(), role: "arn:aws:iam::111122223333:role/logs".to_owned() }
}

async fn notified(world: &World, trail: &Trail) -> NotificationStatus {
    let catalog = std::sync::Arc::clone(&world.catalog) as std::sync::Arc<dyn Catalog>;
    NotificationStatus::load(&catalog, &trail.key, OWNER.parse().unwrap(), &HOME.parse().unwrap()).await.unwrap()
}

async fn logged(world: &World, trail: &Trail) -> LogGroupStatus {
    let catalog = std::sync::Arc::clone(&world.catalog) as std::sync::Arc<dyn Catalog>;
    LogGroupStatus::load(&catalog, &trail.key, OWNER.parse().unwrap(), &HOME.parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_topic_is_told_of_each_file() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let trail = watched("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    world.record("eu-west-1", &["b"]).await;
    world.until_delivered(&["a", "b"]).await;
    world.until("both files are told of", async || world.told().len() == 2).await;
    let mut told: Vec<String> = world.told().into_iter().map(|(_, message, _)| message).collect();
    told.sort();
    let files = world.log_files().await.into_iter();
    let wanted: Vec<String> =
        files.map(|(bucket, key, _)| format!(r#"{{"s3Bucket":"{bucket}","s3ObjectKey":["{key}"]}}"#)).collect();
    assert_eq!(told, wanted);
    world.until("the status says so", async || notified(&world, &trail).await.latest.is_some()).await;
}

#[tokio::test]
async fn a_topic_that_refuses_is_told_later_and_holds_up_no_file() {
    let world = World::new();
    world.make_bucket("logs");
    world.break_bucket(TOPIC, Fault::Denied);
    let _life = world.live().await;
    let trail = watched("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    world.record(HOME, &["b"]).await;
    world.until_delivered(&["b"]).await;
    world.until("the error shows", async || notified(&world, &trail).await.latest_error.is_some()).await;
    let status = notified(&world, &trail).await;
    assert_eq!((status.latest_error.as_deref(), status.latest), (Some("AuthorizationError"), None));
    world.mend_bucket(TOPIC);
    world
        .until("both files are told of", async || {
            world.clock.advance(PAUSE);
            world.told().len() == 2
        })
        .await;
    world.until("the error is gone", async || notified(&world, &trail).await.latest_error.is_none()).await;
}

#[tokio::test]
async fn the_log_group_has_events_before_any_file_has() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    world.put_trail(&watched("main", "logs")).await;
    world.record(HOME, &["a"]).await;
    world.record("eu-west-1", &["b"]).await;
    world.import(HOME, "imported").await;
    world.until("the events are there", async || world.logged().len() == 2).await;
    let stream = format!("{OWNER}_CloudTrail_{HOME}");
    let event = |id: &str| (GROUP.to_owned(), stream.clone(), id.to_owned());
    assert_eq!(world.logged(), [event("a"), event("b")]);
    assert_eq!(world.log_files().await.len(), 0);
}

#[tokio::test]
async fn a_log_group_that_hangs_holds_up_no_file_and_gets_everything_later() {
    let world = World::new();
    world.make_bucket("logs");
    world.break_bucket(GROUP, Fault::Hangs);
    let _life = world.live().await;
    let trail = watched("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    world
        .until("the error shows", async || {
            world.clock.advance(world.settings.put_timeout);
            logged(&world, &trail).await.latest_error.is_some()
        })
        .await;
    world.record(HOME, &["b"]).await;
    world.mend_bucket(GROUP);
    world
        .until("both are there", async || {
            world.clock.advance(PAUSE);
            world.logged().len() == 2
        })
        .await;
    world.until("the error is gone", async || logged(&world, &trail).await.latest_error.is_none()).await;
}

#[tokio::test]
async fn a_trail_without_its_failing_group_goes_on() {
    let world = World::new();
    world.make_bucket("logs");
    world.break_bucket(GROUP, Fault::Denied);
    let _life = world.live().await;
    let mut trail = watched("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until("the error shows", async || logged(&world, &trail).await.latest_error.is_some()).await;
    (trail.version, trail.log_group) = (2, Some(group("arn:aws:logs:us-east-1:111122223333:log-group:other:*")));
    world.put_trail(&trail).await;
    world.record(HOME, &["b"]).await;
    world
        .until("both are in the other group", async || {
            world.clock.advance(PAUSE);
            world.logged().len() == 2
        })
        .await;
    assert!(world.logged().iter().all(|(group, ..)| group.ends_with(":other:*")));
}

#[tokio::test]
async fn a_group_gets_what_comes_after_it_was_given_over_a_restart() {
    let world = World::new();
    world.make_bucket("logs");
    let life = world.live().await;
    let mut trail = Trail { log_group: None, topic: None, ..watched("main", "logs") };
    world.put_trail(&trail).await;
    world.record(HOME, &["before"]).await;
    (trail.version, trail.log_group) = (2, Some(group(GROUP)));
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until("the first is there", async || world.logged().len() == 1).await;
    life.stop().await;
    world.record(HOME, &["b"]).await;
    let _life = world.live().await;
    world.until("the second is there", async || world.logged().len() == 2).await;
    let ids: Vec<String> = world.logged().into_iter().map(|(.., id)| id).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn streams_of_an_organization_name_it_and_the_account() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let mut trail = watched("main", "logs");
    let members = ["111122223333", "444455556666"].map(|account| account.parse().unwrap());
    trail.organization = Some(OrganizationScope { id: "o-abcdefghij".parse().unwrap(), members: members.into() });
    world.put_trail(&trail).await;
    world.record_for("444455556666", HOME, &["a"]).await;
    world.until("it is there", async || world.logged().len() == 1).await;
    assert_eq!(world.logged()[0].1, "o-abcdefghij_444455556666_CloudTrail_us-east-1");
}

#[tokio::test]
async fn a_group_elsewhere_that_took_what_it_would_not_answer_has_it_once() {
    let world = World::new();
    world.make_bucket("logs");
    let trail = watched_by(ELSEWHERE, "main", "logs");
    let life = world.live().await;
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until("the first is there", async || world.logged().len() == 1).await;
    world.break_bucket(ELSEWHERE, Fault::Hangs);
    world.record(HOME, &["b", "c"]).await;
    world
        .until("the error shows", async || {
            world.clock.advance(world.settings.put_timeout);
            logged(&world, &trail).await.latest_error.is_some()
        })
        .await;
    // What was sent did arrive, in part, and the server ends.
    world.arrive(ELSEWHERE, "b");
    life.kill();
    world.mend_bucket(ELSEWHERE);
    let _life = world.live().await;
    world.record(HOME, &["d"]).await;
    world
        .until("all are there", async || {
            world.clock.advance(PAUSE);
            world.logged().len() >= 4
        })
        .await;
    let ids: Vec<String> = world.logged().into_iter().map(|(.., id)| id).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
}
