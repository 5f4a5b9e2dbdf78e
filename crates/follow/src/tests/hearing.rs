use super::world::{ELSEWHERE, Fault, HOUR, OURS, UNNAMED, World, key, time};
use crate::Phase;

const MINUTE: &str = "2026-03-10T11:59:00Z";

/// Files of several chunks, told of by messages that overlap; a message that is none.
async fn world() -> World {
    let mut world = World::new();
    world.source.start = crate::Start::At(time("2026-03-10T00:00:00Z"));
    let keys = ["a", "b", "c"].map(|unique| key(ELSEWHERE, "us-east-1", MINUTE, unique));
    for (key, records) in keys.iter().zip([1, 5, 2]) {
        world.put_log(key, records, ELSEWHERE).await;
    }
    world.tell("1", &[&keys[0], &keys[1]]);
    world.tell("2", &[&keys[1]]);
    world.tell("3", &[&keys[2]]);
    world.say("unknown", "hello");
    world
}

/// Each step in turn goes wrong in each way: in the end every record is there once, and the messages are gone. Nothing
/// is ever listed.
#[tokio::test]
async fn no_step_that_fails_or_ends_the_process_loses_or_doubles_what_messages_name() {
    let steps = {
        let world = world().await;
        world.faults.plan(u64::MAX, Fault::Lost);
        world.open().await.unwrap().listen().await.unwrap();
        world.faults.clear()
    };
    assert!(steps > 8, "{steps}");
    for step in 1..=steps {
        for fault in [Fault::Lost, Fault::KeptButFailed, Fault::DiesBefore, Fault::DiesAfter] {
            let case = format!("step {step} of {steps}, {fault:?}");
            let world = world().await;
            world.faults.plan(step, fault);
            for life in 1.. {
                assert!(life < 5, "{case}: it goes on and on");
                let lived = async {
                    let Ok(life) = world.open().await else { return false };
                    for _ in 0..3 {
                        // A file that failed is tried again.
                        world.clock.advance(HOUR);
                        let _ = life.listen().await;
                    }
                    true
                };
                tokio::select! {
                    biased;
                    () = world.faults.died.notified() => {}
                    lived = lived => if lived { break },
                }
            }
            assert_eq!(world.raw().await, world.put, "{case}");
            let left: Vec<String> = world.inbox.messages.lock().keys().cloned().collect();
            assert_eq!(left, ["unknown"], "{case}");
            let counts = world.report(&world.open().await.unwrap()).await.counts;
            assert_eq!((counts.files, counts.records, counts.duplicates), (3, 8, 0), "{case}");
            assert_eq!(*world.bucket.listings.lock(), 0, "{case}");
        }
    }
}

#[tokio::test]
async fn messages_of_other_things_are_done_with_and_hostile_ones_stop_no_other() {
    let mut world = World::new();
    world.source.accounts = [OURS, ELSEWHERE].map(|account| account.parse().unwrap()).into();
    let good = key(ELSEWHERE, "us-east-1", MINUTE, "good");
    world.put_log(&good, 1, ELSEWHERE).await;
    let other_bucket = serde_json::json!({"s3Bucket": "other", "s3ObjectKey": [good]}).to_string();
    world.say("other-bucket", &other_bucket);
    world.tell("digest", &[&good.replace("CloudTrail/", "CloudTrail-Digest/")]);
    world.tell("elsewhere", &["../../etc/passwd", "AWSLogs", "", "//", "AWSLogs/x.json.gz"]);
    world.tell("unwanted", &[&key("123412341234", "us-east-1", MINUTE, "a"), &key(UNNAMED, "us-east-1", MINUTE, "a")]);
    world.say("deep", &"[".repeat(1_000_000));
    world.say("text", "DROP TABLE");
    world.say("validation", "CloudTrail validation message.");
    let wrapped = serde_json::json!({"s3Bucket": "logs", "s3ObjectKey": [good]}).to_string();
    world.say("z-good", &serde_json::json!({"Type": "Notification", "Message": wrapped}).to_string());
    let life = world.open().await.unwrap();
    life.listen().await.unwrap();
    assert_eq!(world.raw().await, world.put);
    let left: Vec<String> = world.inbox.messages.lock().keys().cloned().collect();
    assert_eq!(left, ["deep", "text"], "what is not understood is the queue's to give up");
    assert_eq!(world.bucket.gets.lock().iter().filter(|key| **key != good).count(), 0);
}

#[tokio::test]
async fn a_message_that_comes_days_later_takes_nothing_twice_and_one_of_a_new_file_with_an_old_name_is_heeded() {
    let mut world = World::new();
    let first = key(ELSEWHERE, "us-east-1", MINUTE, "a");
    world.put_log(&first, 1, ELSEWHERE).await;
    world.tell("1", &[&first]);
    let life = world.open().await.unwrap();
    life.listen().await.unwrap();
    for _ in 0..72 {
        world.clock.advance(HOUR);
        life.look().await.unwrap();
    }
    assert_eq!(world.documents(crate::documents::FILES).await, 0, "it is forgotten");
    world.tell("1 again", &[&first]);
    life.listen().await.unwrap();
    assert_eq!(world.raw().await, world.put);
    // So late that no look finds it.
    world.put_log(&key(ELSEWHERE, "us-east-1", "2026-03-10T10:00:00Z", "late"), 1, ELSEWHERE).await;
    world.tell("late", &[&key(ELSEWHERE, "us-east-1", "2026-03-10T10:00:00Z", "late")]);
    for _ in 0..2 {
        life.listen().await.unwrap();
        life.look().await.unwrap();
        world.tell("late again", &[&key(ELSEWHERE, "us-east-1", "2026-03-10T10:00:00Z", "late")]);
    }
    assert_eq!(world.raw().await, world.put);
    assert!(time("2026-03-10T10:00:00Z") < time(MINUTE));
}

#[tokio::test]
async fn what_messages_miss_is_found_by_a_look_and_a_file_that_fails_keeps_no_message() {
    let mut world = World::new();
    let (told, missed) = (key(ELSEWHERE, "us-east-1", MINUTE, "told"), key(ELSEWHERE, "us-east-1", MINUTE, "missed"));
    world.put_log(&told, 1, ELSEWHERE).await;
    world.tell("1", &[&told]);
    world.bucket.forbidden.lock().insert(told.clone());
    world.tell("2", &[&key(ELSEWHERE, "us-east-1", MINUTE, "gone")]);
    let life = world.open().await.unwrap();
    life.listen().await.unwrap();
    let kinds: Vec<_> = world.report(&life).await.failures.iter().map(|failure| failure.kind).collect();
    assert_eq!((kinds.as_slice(), world.inbox.messages.lock().len()), (&["NoSuchKey", "AccessDenied"][..], 0));
    world.bucket.forbidden.lock().clear();
    world.put_log(&missed, 1, ELSEWHERE).await;
    life.look().await.unwrap();
    world.clock.advance(HOUR);
    life.listen().await.unwrap();
    assert_eq!(world.raw().await, world.put);
}

#[tokio::test]
async fn messages_stay_while_the_bucket_is_refused() {
    let mut world = World::new();
    let file = key(ELSEWHERE, "us-east-1", MINUTE, "a");
    world.put_log(&file, 1, ELSEWHERE).await;
    world.tell("1", &[&file]);
    *world.refusal.lock() = Some(crate::OpenError::Loop { trail: "arn".into() });
    let life = world.open().await.unwrap();
    assert!(life.listen().await.is_err());
    assert_eq!((world.report(&life).await.state, world.inbox.messages.lock().len()), (Phase::Refused, 1));
    *world.refusal.lock() = None;
    life.listen().await.unwrap();
    assert_eq!((world.raw().await, world.inbox.messages.lock().len()), (world.put.clone(), 0));
}
