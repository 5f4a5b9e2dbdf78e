use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::message::{Kind, Text};

const LANE: &str = "http:http://example.com/";

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn parcel(number: u128, lane: &str, deduplication: Option<&str>) -> Parcel {
    Parcel {
        message: Message {
            id: Uuid::from_u128(number),
            topic: "arn:aws:sns:us-east-1:111122223333:a".parse().unwrap(),
            published: at(0),
            kind: Kind::Notification,
            subject: None,
            text: Text::Same(number.to_string()),
            attributes: BTreeMap::new(),
            group: None,
        },
        deduplication: deduplication.map(str::to_owned),
        deliveries: vec![NewDelivery {
            subscription: format!("arn:aws:sns:us-east-1:111122223333:a:{}", Uuid::from_u128(9)),
            lane: lane.to_owned(),
            dead_letters: None,
        }],
    }
}

async fn names(outbox: &Outbox, health: Health, now: i64) -> Vec<String> {
    outbox.due(health, at(now), 10).await.unwrap().into_iter().map(|lane| lane.name).collect()
}

async fn messages(outbox: &Outbox) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM message").fetch_one(&outbox.pool).await.unwrap()
}

#[tokio::test]
async fn what_was_added_is_there_after_a_crash_until_it_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sns.sqlite");
    let outbox = Outbox::open(&path).await.unwrap();
    outbox.add(&[parcel(1, LANE, None), parcel(2, LANE, None)], at(10)).await.unwrap();
    // No close: as after a kill.
    drop(outbox);
    let outbox = Outbox::open(&path).await.unwrap();
    let taken = outbox.take(LANE, at(10), 10).await.unwrap();
    assert_eq!(taken.iter().map(|one| one.message.id.as_u128()).collect::<Vec<_>>(), [1, 2]);
    let again = Settlement::Again { attempts: 1, due: at(30) };
    let settled = [(taken[0].id, Settlement::Done), (taken[1].id, again)];
    outbox.settle(LANE, &settled, Heard::Failure, at(11), Duration::ZERO).await.unwrap();
    assert_eq!((outbox.waiting().await.unwrap(), messages(&outbox).await), (1, 1));
    drop(outbox);
    let outbox = Outbox::open(&path).await.unwrap();
    assert!(outbox.take(LANE, at(29), 10).await.unwrap().is_empty());
    assert_eq!(outbox.next_due(at(11)).await.unwrap(), Some(at(30)));
    assert_eq!(names(&outbox, Health::Suspect, 30).await, [LANE]);
    let taken = outbox.take(LANE, at(30), 10).await.unwrap();
    assert_eq!((taken.len(), taken[0].attempts), (1, 1));
    outbox.settle(LANE, &[(taken[0].id, Settlement::Done)], Heard::Answer, at(30), Duration::ZERO).await.unwrap();
    assert_eq!((outbox.waiting().await.unwrap(), messages(&outbox).await), (0, 0));
    assert_eq!(outbox.next_due(at(0)).await.unwrap(), None);
}

#[tokio::test]
async fn lanes_are_served_in_turn() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&directory.path().join("sns.sqlite")).await.unwrap();
    outbox.add(&[parcel(1, "a", None), parcel(2, "a", None)], at(1)).await.unwrap();
    outbox.add(&[parcel(3, "b", None)], at(2)).await.unwrap();
    assert_eq!(names(&outbox, Health::Suspect, 5).await, ["a", "b"], "nothing is known of them yet");
    for lane in ["a", "b"] {
        outbox.settle(lane, &[], Heard::Answer, at(2), Duration::ZERO).await.unwrap();
    }
    assert_eq!(names(&outbox, Health::Good, 5).await, ["a", "b"]);
    let taken = outbox.take("a", at(5), 1).await.unwrap();
    outbox.settle("a", &[(taken[0].id, Settlement::Done)], Heard::Answer, at(5), Duration::ZERO).await.unwrap();
    assert_eq!(names(&outbox, Health::Good, 5).await, ["b", "a"], "its backlog does not bring it to the front again");
    // A paused lane is not woken by what is new.
    let taken = outbox.take("a", at(5), 1).await.unwrap();
    let again = Settlement::Again { attempts: 1, due: at(5) };
    outbox.settle("a", &[(taken[0].id, again)], Heard::Failure, at(5), Duration::from_secs(20)).await.unwrap();
    outbox.add(&[parcel(4, "a", None)], at(6)).await.unwrap();
    assert_eq!(names(&outbox, Health::Suspect, 24).await, [""; 0]);
    assert_eq!(names(&outbox, Health::Suspect, 25).await, ["a"]);
}

#[tokio::test]
async fn a_key_is_published_once_and_forgotten_after_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&directory.path().join("sns.sqlite")).await.unwrap();
    let first = outbox.add(&[parcel(1, LANE, Some("k"))], at(0)).await.unwrap();
    let again = outbox.add(&[parcel(2, LANE, Some("k"))], at(1)).await.unwrap();
    assert_eq!(first, again);
    let taken = outbox.take(LANE, at(1), 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    outbox.settle(LANE, &[(taken[0].id, Settlement::Done)], Heard::Answer, at(1), Duration::ZERO).await.unwrap();
    outbox.sweep(at(86_000)).await.unwrap();
    assert_eq!(outbox.add(&[parcel(3, LANE, Some("k"))], at(2)).await.unwrap(), first, "delivered, and still known");
    outbox.sweep(at(86_402)).await.unwrap();
    assert_eq!(outbox.add(&[parcel(4, LANE, Some("k"))], at(3)).await.unwrap()[0].id.as_u128(), 4);
}

#[tokio::test]
async fn a_dead_letter_waits_in_another_lane() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&directory.path().join("sns.sqlite")).await.unwrap();
    outbox.add(&[parcel(1, LANE, None)], at(0)).await.unwrap();
    let taken = outbox.take(LANE, at(0), 1).await.unwrap();
    let letter = Settlement::DeadLetter { lane: "sqs:q".to_owned(), failure: "no".to_owned() };
    outbox.settle(LANE, &[(taken[0].id, letter)], Heard::Failure, at(1), Duration::ZERO).await.unwrap();
    assert!(outbox.take(LANE, at(9), 1).await.unwrap().is_empty());
    let taken = outbox.take("sqs:q", at(9), 1).await.unwrap();
    assert_eq!((taken[0].failure.as_deref(), taken[0].attempts, taken[0].created), (Some("no"), 0, at(1)));
    assert_eq!(outbox.waiting().await.unwrap(), 1);
}

#[tokio::test]
async fn a_full_lane_takes_no_more_and_others_do() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&directory.path().join("sns.sqlite")).await.unwrap();
    outbox.add(&[parcel(1, LANE, None)], at(0)).await.unwrap();
    sqlx::query("UPDATE lane SET waiting = ?").bind(MOST_WAITING).execute(&outbox.pool).await.unwrap();
    let mut full = parcel(2, LANE, None);
    outbox.add(&[full.clone()], at(0)).await.unwrap();
    assert_eq!(messages(&outbox).await, 1);
    full.deliveries[0].dead_letters = Some("sqs:q".to_owned());
    outbox.add(&[full, parcel(3, "other", None)], at(0)).await.unwrap();
    assert_eq!(messages(&outbox).await, 3);
    assert!(outbox.take("sqs:q", at(0), 1).await.unwrap()[0].failure.is_some());
}

#[tokio::test]
async fn a_file_of_a_later_release_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sns.sqlite");
    let outbox = Outbox::open(&path).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 2").execute(&outbox.pool).await.unwrap();
    outbox.close().await;
    assert!(matches!(Outbox::open(&path).await, Err(OutboxError::Version(2))));
}
