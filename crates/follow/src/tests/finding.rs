use std::time::Duration;

use super::world::{ELSEWHERE, HOUR, Life, NAMED, OURS, UNNAMED, World, gzip, key};
use crate::documents::FILES;
use crate::{OpenError, Phase};

async fn look(life: &Life) {
    life.look().await.unwrap();
}

#[tokio::test]
async fn late_files_with_smaller_keys_are_found_and_nothing_is_taken_twice() {
    let mut world = World::new();
    world.source.sweep = HOUR;
    world.put_log(&key(ELSEWHERE, "us-east-1", "2026-03-10T12:00:00Z", "m"), 1, ELSEWHERE).await;
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    assert_eq!(world.raw().await, world.put);

    // Between sweeps: a smaller key of the same minute, one of half an hour ago.
    world.clock.advance(Duration::from_secs(60));
    world.put_log(&key(ELSEWHERE, "us-east-1", "2026-03-10T12:00:00Z", "a"), 2, ELSEWHERE).await;
    world.put_log(&key(ELSEWHERE, "us-east-1", "2026-03-10T11:30:00Z", "z"), 1, ELSEWHERE).await;
    look(&life).await;
    assert_eq!(world.raw().await, world.put);

    // At the next sweep: one of yesterday, a new Region, a new account.
    world.clock.advance(HOUR);
    world.put_log(&key(ELSEWHERE, "us-east-1", "2026-03-10T00:10:00Z", "z"), 1, ELSEWHERE).await;
    world.put_log(&key(ELSEWHERE, "eu-west-1", "2026-03-10T13:00:00Z", "z"), 1, ELSEWHERE).await;
    world.put_log(&key("123412341234", "us-east-1", "2026-03-10T13:00:00Z", "z"), 1, "123412341234").await;
    look(&life).await;
    assert_eq!(world.raw().await, world.put);

    // For days: what was taken is forgotten, and not taken again, nor is anything read again.
    let reads = world.bucket.gets.lock().len();
    for _ in 0..60 {
        world.clock.advance(HOUR);
        look(&life).await;
    }
    assert_eq!(world.documents(FILES).await, 0);
    assert_eq!((world.raw().await, world.bucket.gets.lock().len()), (world.put.clone(), reads));
    let later = world.open().await.unwrap();
    later.look().await.unwrap();
    assert_eq!((world.raw().await, world.bucket.gets.lock().len()), (world.put.clone(), reads));

    // Still, what comes now is found, whatever name of the last day it has.
    world.put_log(&key(ELSEWHERE, "us-east-1", "2026-03-12T02:00:00Z", "a"), 1, ELSEWHERE).await;
    later.look().await.unwrap();
    world.clock.advance(HOUR);
    later.look().await.unwrap();
    assert_eq!(world.raw().await, world.put);
}

#[tokio::test]
async fn a_look_between_sweeps_costs_one_request_a_folder() {
    let mut world = World::new();
    world.source.sweep = 6 * HOUR;
    world.source.look_back = 3 * HOUR;
    for region in ["eu-west-1", "us-east-1", "us-west-2"] {
        for unique in ["a", "b"] {
            world.put_log(&key(ELSEWHERE, region, "2026-03-10T11:59:00Z", unique), 1, ELSEWHERE).await;
        }
    }
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    for _ in 0..10 {
        world.clock.advance(Duration::from_secs(60));
        *world.bucket.listings.lock() = 0;
        look(&life).await;
        assert_eq!(*world.bucket.listings.lock(), 3);
    }
    assert_eq!(world.bucket.gets.lock().len(), 6);
}

#[tokio::test]
async fn only_accounts_of_the_server_that_are_named_get_events_of_their_own() {
    let mut world = World::new();
    world.source.accounts = [NAMED, ELSEWHERE].map(|account| account.parse().unwrap()).into();
    let minute = "2026-03-10T11:59:00Z";
    world.put_log(&key(ELSEWHERE, "us-east-1", minute, "a"), 1, ELSEWHERE).await;
    world.put_log(&key(ELSEWHERE, "us-east-1", minute, "b"), 1, OURS).await;
    world.put_log(&key(NAMED, "us-east-1", minute, "a"), 1, NAMED).await;
    world.put_log(&key(NAMED, "us-east-1", minute, "b"), 1, "none").await;
    let good = world.put.clone();
    // Whoever can write to the bucket tries to write another account's events.
    world.put_log(&key(ELSEWHERE, "us-east-1", minute, "forged"), 2, UNNAMED).await;
    world.put_log(&key(UNNAMED, "us-east-1", minute, "a"), 1, UNNAMED).await;
    world.put_log(&key("123412341234", "us-east-1", minute, "a"), 1, "123412341234").await;
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    let taken = world.taken().await;
    assert_eq!(taken.iter().map(|(raw, _)| raw.clone()).collect::<Vec<_>>(), good);
    for (raw, account) in taken {
        let named = [ELSEWHERE, OURS, NAMED].into_iter().find(|named| raw.contains(&format!("\":\"{named}\"")));
        let expected = if named.is_none_or(|named| named == NAMED) { NAMED } else { OURS };
        assert_eq!(account, expected, "{raw}");
    }
    assert_eq!(world.report(&life).await.counts.refused, 2);

    // Of all accounts' folders, one of an account of the server that is not named is left alone, until it is.
    world.source.accounts.clear();
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    let report = world.report(&life).await;
    let unnamed: Vec<_> = report.unnamed_accounts.iter().map(ToString::to_string).collect();
    assert_eq!(unnamed, [NAMED, UNNAMED]);
    assert_eq!(world.taken().await.len(), 5, "the account that was not wanted before");
    world.source.accounts = [UNNAMED].map(|account| account.parse().unwrap()).into();
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    assert!(world.taken().await.iter().any(|(_, account)| account == UNNAMED));
}

#[tokio::test]
async fn every_kind_of_log_files_and_an_organization_s_folders_are_followed_and_digests_are_not() {
    let mut world = World::new();
    let minute = "2026-03-10T11:59:00Z";
    let plain = key(ELSEWHERE, "us-east-1", minute, "a");
    for kind in ["CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"] {
        world.put_log(&plain.replace("CloudTrail", kind), 1, ELSEWHERE).await;
    }
    world.put_log(&plain, 1, ELSEWHERE).await;
    let of_member = plain.replace("AWSLogs/", "AWSLogs/o-abcdefghij/");
    world.put_log(&of_member, 1, ELSEWHERE).await;
    let all = world.put.clone();
    world.put(&plain.replace("CloudTrail", "CloudTrail-Digest"), gzip("{}")).await;
    world.put(&plain.replace("CloudTrail", "Config"), gzip("{}")).await;
    world.put(&format!("AWSLogs/{ELSEWHERE}/CloudTrail/us-east-1/2026/03/10/note.txt"), "hello").await;
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    assert_eq!(world.raw().await, all);

    let mut only = World::new();
    only.source.organization = Some("o-abcdefghij".parse().unwrap());
    only.put_log(&plain, 1, ELSEWHERE).await;
    only.put.clear();
    only.put_log(&of_member, 1, ELSEWHERE).await;
    only.put_log(&of_member.replace("us-east-1", "eu-west-1"), 1, ELSEWHERE).await;
    let expected = only.put.clone();
    only.open().await.unwrap().look().await.unwrap();
    assert_eq!(only.raw().await, expected);

    let mut region = World::new();
    region.source.prefix = "a/b".into();
    region.source.regions = ["eu-west-1".parse().unwrap()].into();
    region.put_log(&format!("a/b/{plain}"), 1, ELSEWHERE).await;
    region.put_log(&plain.replace("us-east-1", "eu-west-1"), 1, ELSEWHERE).await;
    region.put.clear();
    region.put_log(&format!("a/b/{}", plain.replace("us-east-1", "eu-west-1")), 1, ELSEWHERE).await;
    region.open().await.unwrap().look().await.unwrap();
    assert_eq!(region.raw().await, region.put);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_set_aside_and_taken_when_it_is_mended() {
    let mut world = World::new();
    let minute = "2026-03-10T11:59:00Z";
    let bad = key(ELSEWHERE, "us-east-1", minute, "bad");
    let hidden = key(ELSEWHERE, "us-east-1", minute, "hidden");
    world.put(&bad, "no gzip").await;
    world.put_log(&hidden, 1, ELSEWHERE).await;
    let of_hidden = std::mem::take(&mut world.put);
    world.bucket.forbidden.lock().insert(hidden.clone());
    world.put_log(&key(ELSEWHERE, "us-east-1", minute, "good"), 1, ELSEWHERE).await;
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    assert_eq!(world.raw().await, world.put, "the others go on");
    for attempt in 1..10 {
        let failures = world.report(&life).await.failures;
        let kinds: Vec<_> = failures.iter().map(|failure| (failure.kind, failure.attempts)).collect();
        assert_eq!(kinds, [("InvalidFile", attempt.min(6)), ("AccessDenied", attempt.min(6))]);
        assert!(failures.iter().all(|failure| failure.set_aside == (attempt >= 6)), "{attempt}");
        world.clock.advance(Duration::from_secs(300));
        look(&life).await;
    }
    // A restart tries it at once, as does a slow clock.
    world.put_log(&bad, 2, ELSEWHERE).await;
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    assert_eq!((world.raw().await, world.report(&life).await.failures.len()), (world.put.clone(), 1));
    world.bucket.forbidden.lock().clear();
    world.clock.advance(7 * HOUR);
    look(&life).await;
    world.put.extend(of_hidden);
    world.put.sort();
    assert_eq!((world.raw().await, world.report(&life).await.failures.len()), (world.put.clone(), 0));
}

#[tokio::test]
async fn a_file_that_can_never_be_read_is_given_up_after_a_month() {
    let world = World::new();
    world.put(&key(ELSEWHERE, "us-east-1", "2026-03-10T11:59:00Z", "bad"), "no gzip").await;
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    for _ in 0..32 {
        world.clock.advance(24 * HOUR);
        look(&life).await;
    }
    assert!(world.report(&life).await.failures.is_empty());
    let reads = world.bucket.gets.lock().len();
    look(&life).await;
    assert_eq!(world.bucket.gets.lock().len(), reads, "it is not found anew");
}

#[tokio::test]
async fn a_folder_that_cannot_be_listed_stops_no_other_and_is_taken_from_where_it_was() {
    let mut world = World::new();
    let minute = "2026-03-10T11:59:00Z";
    world.put_log(&key(ELSEWHERE, "us-east-1", minute, "a"), 1, ELSEWHERE).await;
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    let folder = format!("AWSLogs/{ELSEWHERE}/CloudTrail/us-east-1");
    world.bucket.forbidden.lock().insert(folder);
    world.put_log(&key(ELSEWHERE, "us-east-1", minute, "b"), 1, ELSEWHERE).await;
    let hidden = world.put.split_off(1);
    world.put_log(&key(ELSEWHERE, "eu-west-1", minute, "a"), 1, ELSEWHERE).await;
    for _ in 0..72 {
        world.clock.advance(HOUR);
        assert!(life.look().await.is_err());
    }
    assert_eq!(world.raw().await, world.put);
    let report = world.report(&life).await;
    assert_eq!((report.state, report.error.is_some()), (Phase::Failing, true));
    world.bucket.forbidden.lock().clear();
    look(&life).await;
    world.put.extend(hidden);
    world.put.sort();
    assert_eq!((world.raw().await, world.report(&life).await.state), (world.put.clone(), Phase::Following));
}

#[tokio::test]
async fn a_record_in_two_files_comes_once_over_a_restart_too() {
    let mut world = World::new();
    world.remembers = true;
    let minute = "2026-03-10T11:59:00Z";
    let first = key(ELSEWHERE, "us-east-1", minute, "a");
    world.put_log(&first, 3, ELSEWHERE).await;
    let life = world.open().await.unwrap();
    life.look().await.unwrap();
    let again = gzip(&format!("{{\"Records\":[{}]}}", world.put.join(",")));
    world.put(&first.replace("_a.", "_b."), again.clone()).await;
    look(&life).await;
    let life = world.open().await.unwrap();
    world.put(&first.replace("_a.", "_c."), again).await;
    life.look().await.unwrap();
    assert_eq!(world.raw().await, world.put);
    let counts = world.report(&life).await.counts;
    assert_eq!((counts.files, counts.records, counts.duplicates), (3, 3, 6));
}

#[tokio::test]
async fn a_bucket_that_a_trail_of_this_server_fills_is_not_read() {
    let mut world = World::new();
    world.put_log(&key(ELSEWHERE, "us-east-1", "2026-03-10T11:59:00Z", "a"), 1, ELSEWHERE).await;
    let trail = format!("arn:aws:cloudtrail:us-east-1:{OURS}:trail/main");
    *world.refusal.lock() = Some(OpenError::Loop { trail });
    let life = world.open().await.unwrap();
    assert!(life.look().await.is_err());
    let report = world.report(&life).await;
    assert!(report.state == Phase::Refused && report.error.unwrap().contains("trail/main"));
    assert_eq!((world.taken().await.len(), *world.bucket.listings.lock()), (0, 0));
    // The trail is gone.
    *world.refusal.lock() = None;
    life.look().await.unwrap();
    assert_eq!((world.raw().await, world.report(&life).await.state), (world.put.clone(), Phase::Following));
}

#[tokio::test]
async fn a_name_belongs_to_one_bucket_and_prefix() {
    let mut world = World::new();
    world.open().await.unwrap().look().await.unwrap();
    world.source.prefix = "elsewhere".into();
    let life = world.open().await.unwrap();
    assert!(life.look().await.unwrap_err().to_string().contains("another name"));
    assert_eq!(world.report(&life).await.state, Phase::Refused);
}

#[tokio::test]
async fn what_was_never_followed_leaves_nothing_in_the_catalog() {
    let world = World::new();
    let (catalog, clock) = (world.catalog.clone() as _, world.clock.clone() as _);
    let (_, fold) = crate::Follow::open(catalog, clock, opentrail_model::Position(9), Vec::new()).await.unwrap();
    assert!(fold.is_none() && world.documents(crate::documents::FOLD).await == 0);
}
