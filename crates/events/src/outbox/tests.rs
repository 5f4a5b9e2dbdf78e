use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentrail_model::{Position, Timestamp};

use super::{Letter, Matched, NewInvocation, Outbox, Reached, Settlement};
use crate::rule::{Input, RetryPolicy, Target};

const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);

fn target(name: &str) -> Target {
    Target {
        id: name.to_owned(),
        arn: format!("arn:aws:sns:eu-west-1:111122223333:{name}").parse().unwrap(),
        role_arn: None,
        input: Input::Event,
        message_group_id: None,
        http: None,
        dead_letter: None,
        retry: RetryPolicy::DEFAULT,
    }
}

fn matched(body: &str, names: &[&str]) -> Matched {
    let invocation = |name: &&str| NewInvocation {
        rule: "arn:aws:events:eu-west-1:111122223333:rule/r".into(),
        target: Arc::new(target(name)),
        hops: 0,
    };
    Matched {
        body: Bytes::from(body.to_owned()),
        invocations: names.iter().map(invocation).collect(),
        archives: Vec::new(),
    }
}

async fn open(dir: &tempfile::TempDir) -> Outbox {
    Outbox::open(&dir.path().join("events.sqlite"), 10).await.unwrap()
}

fn queue(name: &str) -> String {
    target(name).arn.as_str().to_owned()
}

async fn bodies(outbox: &Outbox, name: &str, now: Timestamp) -> Vec<String> {
    let due = outbox.due(&queue(name), now, 100).await.unwrap();
    due.invocations.iter().map(|found| String::from_utf8(found.body.to_vec()).unwrap()).collect()
}

async fn events(outbox: &Outbox) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM event").fetch_one(&outbox.pool).await.unwrap()
}

#[tokio::test]
async fn what_is_appended_is_there_after_each_step_and_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir).await;
    assert_eq!(outbox.position("p").await.unwrap(), None);
    outbox
        .append(&[matched("1", &["a", "b"]), matched("2", &["a"])], Reached::Journal("p", Position(7)), NOW)
        .await
        .unwrap();
    drop(outbox);

    let outbox = open(&dir).await;
    assert_eq!((outbox.position("p").await.unwrap(), outbox.pending()), (Some(Position(7)), 3));
    assert_eq!(outbox.fresh().await.into_iter().collect::<Vec<_>>(), [queue("a"), queue("b")]);
    assert_eq!(
        (bodies(&outbox, "a", NOW).await, bodies(&outbox, "b", NOW).await),
        (vec!["1".into(), "2".into()], vec!["1".into()])
    );

    let first = outbox.due(&queue("a"), NOW, 1).await.unwrap().invocations.remove(0);
    let later = NOW + Duration::from_secs(5);
    outbox.settle(&[(first, Settlement::Again { due: later })], NOW).await.unwrap();
    drop(outbox);

    let outbox = open(&dir).await;
    assert_eq!(bodies(&outbox, "a", NOW).await, ["2"]);
    let due = outbox.due(&queue("a"), later, 100).await.unwrap();
    assert_eq!(due.invocations.iter().map(|found| found.attempts).collect::<Vec<_>>(), [0, 1]);
    let settled: Vec<_> = due.invocations.into_iter().map(|found| (found, Settlement::Done)).collect();
    outbox.settle(&settled, NOW).await.unwrap();
    drop(outbox);

    let outbox = open(&dir).await;
    assert_eq!((outbox.pending(), events(&outbox).await), (1, 1), "the event stays for b alone");
    let last = outbox.due(&queue("b"), NOW, 1).await.unwrap().invocations.remove(0);
    outbox.settle(&[(last, Settlement::Done)], NOW).await.unwrap();
    assert_eq!((outbox.pending(), events(&outbox).await), (0, 0));
}

/// Events for `name`, numbered, whose dead letters go to `dead`.
fn many(name: &str, count: usize, dead: Option<&str>) -> Vec<Matched> {
    let one = |number: usize| {
        let mut one = matched(&number.to_string(), &[name]);
        let dead_letter = dead.map(|dead| target(dead).arn);
        one.invocations[0].target = Arc::new(Target { dead_letter, ..target(name) });
        one
    };
    (0..count).map(one).collect()
}

async fn held(outbox: &Outbox, name: &str) -> usize {
    outbox.due(&queue(name), NOW, 100).await.unwrap().invocations.len()
}

#[tokio::test]
async fn a_target_that_takes_nothing_leaves_room_for_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir).await;
    // Alone, it has all of it.
    outbox.append(&many("hangs", 12, None), Reached::Journal("p", Position(1)), NOW).await.unwrap();
    assert_eq!((held(&outbox, "hangs").await, outbox.pending()), (10, 10));
    assert_eq!(outbox.position("p").await.unwrap(), Some(Position(1)), "nobody waits for what found no room");
    let told = outbox.counts().take();
    assert_eq!(told.iter().map(|told| (told.metric, told.count)).collect::<Vec<_>>(), [("FailedInvocations", 2)]);

    // Others have their share, and it has no more until it has less than that.
    for _ in 0..2 {
        outbox.append(&many("works", 4, None), Reached::Nothing, NOW).await.unwrap();
        assert_eq!(held(&outbox, "works").await, 4);
        let done = outbox.due(&queue("works"), NOW, 100).await.unwrap().invocations;
        let done: Vec<_> = done.into_iter().map(|done| (done, Settlement::Done)).collect();
        outbox.append(&many("hangs", 1, None), Reached::Nothing, NOW).await.unwrap();
        outbox.settle(&done, NOW).await.unwrap();
    }
    assert_eq!(held(&outbox, "hangs").await, 10);
    outbox.append(&many("works", 8, None), Reached::Nothing, NOW).await.unwrap();
    assert_eq!(held(&outbox, "works").await, 5, "half of ten for each of two");
    drop(outbox);
    let outbox = open(&dir).await;
    assert_eq!(outbox.pending(), 15);
    outbox.append(&many("works", 1, None), Reached::Nothing, NOW).await.unwrap();
    assert_eq!(outbox.pending(), 15, "what is in the file is known after a restart");
}

#[tokio::test]
async fn what_finds_no_room_is_a_dead_letter_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir).await;
    outbox.append(&many("hangs", 10, Some("dead")), Reached::Nothing, NOW).await.unwrap();
    outbox.append(&[matched("late", &["a"])], Reached::Nothing, NOW).await.unwrap();
    let late = many("hangs", 1, Some("dead"));
    outbox.append(&late, Reached::Nothing, NOW).await.unwrap();
    let letters = outbox.due(&queue("dead"), NOW, 100).await.unwrap().invocations;
    let letter = letters[0].letter.as_ref().unwrap();
    assert_eq!((letters.len(), &*letter.error_code, &*letter.target_arn), (1, "THROTTLING", &*queue("hangs")));
    assert_eq!(letter.error_message, "10 invocations wait for the target already");
    assert_eq!((&letters[0].body[..], letters[0].target.arn.as_str()), (&b"0"[..], &*queue("dead")));
    // The queue of the letters has its share too, and no more.
    outbox.append(&many("hangs", 9, Some("dead")), Reached::Nothing, NOW).await.unwrap();
    assert_eq!((held(&outbox, "dead").await, held(&outbox, "hangs").await), (3, 10));
    // One event with two targets stays for the one that has room.
    outbox.append(&[matched("both", &["hangs", "a"])], Reached::Nothing, NOW).await.unwrap();
    assert_eq!(bodies(&outbox, "a", NOW).await, ["late", "both"]);
}

#[tokio::test]
async fn a_dead_letter_begins_anew_in_its_queue() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir).await;
    outbox.append(&[matched("1", &["a"])], Reached::Nothing, NOW).await.unwrap();
    let first = outbox.due(&queue("a"), NOW, 1).await.unwrap().invocations.remove(0);
    let letter = Letter {
        rule_arn: first.rule.clone(),
        target_arn: queue("a"),
        error_code: "NO_RESOURCE".to_owned(),
        error_message: "gone".to_owned(),
        exhausted: None,
        retry_attempts: 0,
    };
    let dead = Settlement::Dead { queue: Box::new(target("dead")), letter: letter.clone() };
    outbox.settle(&[(first, dead)], NOW).await.unwrap();
    drop(outbox);
    let outbox = open(&dir).await;
    assert!(outbox.due(&queue("a"), NOW, 1).await.unwrap().invocations.is_empty());
    let found = outbox.due(&queue("dead"), NOW, 1).await.unwrap().invocations.remove(0);
    assert_eq!((found.letter, found.attempts, &found.body[..]), (Some(letter), 0, &b"1"[..]));
}

#[tokio::test]
async fn forwarding_is_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir).await;
    outbox.append(&[matched("1", &["bus"])], Reached::Nothing, NOW).await.unwrap();
    let first = outbox.due(&queue("bus"), NOW, 1).await.unwrap().invocations.remove(0);
    outbox.settle(&[(first, Settlement::Forwarded(matched("1", &["a", "b"])))], NOW).await.unwrap();
    assert_eq!((outbox.pending(), events(&outbox).await), (2, 1));
    assert!(bodies(&outbox, "bus", NOW).await.is_empty());
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_strand_deliveries() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir).await;
    outbox.append(&[matched("1", &["a"])], Reached::Nothing, NOW).await.unwrap();
    assert_eq!(bodies(&outbox, "a", NOW - Duration::from_secs(86_400)).await, ["1"]);
    let due = outbox.due(&queue("a"), NOW - Duration::from_secs(60), 1).await.unwrap();
    assert_eq!((due.invocations.len(), due.next), (0, Some(NOW)));
}
