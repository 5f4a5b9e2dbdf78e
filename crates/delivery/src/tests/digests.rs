use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::world::{HOME, World, listed, trail};

async fn until_digests(world: &World, trail: &opentrail_trails::Trail, region: &str, count: usize) -> Vec<Value> {
    world
        .until(&format!("{count} digests are there"), async || {
            world.checked_digests(trail, region).await.len() >= count
        })
        .await;
    world.checked_digests(trail, region).await
}

#[tokio::test]
async fn sixty_intervals_with_restarts_and_an_outage_make_one_gapless_chain() {
    let world = World::new();
    world.make_bucket("logs");
    let trail = trail("main", "logs");
    let interval = world.settings.digest_interval;
    let mut life = world.live().await;
    world.put_trail_and_wait(&trail).await;
    let mut sent = Vec::new();
    let mut made = 0;
    for round in 0..40_usize {
        let id = format!("e{round:03}");
        let region = if round % 3 == 0 { "eu-west-1" } else { HOME };
        world.record(region, &[&id]).await;
        world.until_delivered(&[&id]).await;
        sent.push(id);
        world.clock.advance(interval - world.settings.max_age);
        made += 1;
        if round % 7 == 3 {
            life.kill();
            life = world.live().await;
        }
        if round == 20 {
            life.stop().await;
            world.clock.advance(interval * 20);
            made += 20;
            life = world.live().await;
        }
        until_digests(&world, &trail, HOME, made).await;
    }
    assert_eq!(world.delivered().await, sent);
    // The other Region's windows end a minute later, so that its last file needs one more.
    world.clock.advance(interval);
    let home = until_digests(&world, &trail, HOME, 61).await;
    assert_eq!(home.len(), 61);
    let starting = |digests: &[Value]| digests.iter().filter(|d| d["previousDigestSignature"].is_null()).count();
    assert_eq!(starting(&home), 1, "one chain, never broken");
    let europe = until_digests(&world, &trail, "eu-west-1", 60).await;
    assert_eq!(starting(&europe), 1);
    assert!(home.iter().any(|digest| digest["logFiles"] == serde_json::json!([])));
    let mut all = listed(&home);
    all.extend(listed(&europe));
    let unique: BTreeSet<_> = all.iter().collect();
    assert_eq!(unique.len(), all.len(), "no file is in two digests");
    assert_eq!(all.len(), world.log_files().await.len(), "and every file is in one");
}

#[tokio::test]
async fn keys_rotate_within_a_chain_even_when_its_digests_come_late() {
    let mut world = World::new();
    world.settings.digest_interval = Duration::from_secs(86_400);
    world.make_bucket("logs");
    let trail = trail("main", "logs");
    let life = world.live().await;
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    life.stop().await;
    world.clock.advance(Duration::from_secs(60 * 86_400));
    let _life = world.live().await;
    let digests = until_digests(&world, &trail, HOME, 60).await;
    let keys: BTreeSet<_> = digests.iter().map(|d| d["digestPublicKeyFingerprint"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 3, "60 days touch three periods of 28 days");
}

#[tokio::test]
async fn stopping_makes_a_last_digest_and_starting_a_new_chain() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let mut trail = trail("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    trail.version = 2;
    trail.logging = false;
    world.put_trail(&trail).await;
    let digests = until_digests(&world, &trail, HOME, 1).await;
    assert_eq!(listed(&digests).len(), 1, "the last file is in the last digest");
    world.clock.advance(world.settings.digest_interval * 3);
    trail.version = 3;
    trail.logging = true;
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["b"]).await;
    world.until_delivered(&["b"]).await;
    world.clock.advance(world.settings.digest_interval);
    let digests = until_digests(&world, &trail, HOME, 2).await;
    assert_eq!(digests.len(), 2, "none while logging was stopped");
    assert_eq!(digests[1]["previousDigestSignature"], Value::Null);
    assert_eq!(digests[1]["logFiles"].as_array().unwrap().len(), 1);
    // Start and stop within one second: no two digests share a key.
    for version in 4..9 {
        trail.version = version;
        trail.logging = version % 2 == 1;
        world.put_trail_and_wait(&trail).await;
    }
    world.clock.advance(Duration::from_secs(5));
    // The stops that met a last digest still on its way share it.
    until_digests(&world, &trail, HOME, 4).await;
}

#[tokio::test]
async fn files_delivered_without_validation_are_in_no_digest() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let mut trail = trail("main", "logs");
    trail.log_file_validation = false;
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    trail.version = 2;
    trail.log_file_validation = true;
    world.put_trail(&trail).await;
    world.record(HOME, &["b"]).await;
    world.until_delivered(&["b"]).await;
    trail.version = 3;
    trail.log_file_validation = false;
    world.put_trail(&trail).await;
    let digests = until_digests(&world, &trail, HOME, 1).await;
    assert_eq!(listed(&digests).len(), 1);
    world.record(HOME, &["c"]).await;
    world.until_delivered(&["c"]).await;
    assert_eq!(world.delivered().await, ["a", "b", "c"]);
    assert_eq!(world.checked_digests(&trail, HOME).await.len(), 1);
}

#[tokio::test]
async fn after_a_change_of_bucket_the_chain_links_to_the_old_one() {
    let world = World::new();
    world.make_bucket("old");
    world.make_bucket("new");
    let _life = world.live().await;
    let mut trail = trail("main", "old");
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    world.clock.advance(world.settings.digest_interval);
    until_digests(&world, &trail, HOME, 1).await;
    trail.version = 2;
    trail.bucket = "new".into();
    world.put_trail(&trail).await;
    world.record(HOME, &["b"]).await;
    world.until_delivered(&["b"]).await;
    world.clock.advance(world.settings.digest_interval);
    let digests = until_digests(&world, &trail, HOME, 2).await;
    assert_eq!(digests[1]["digestS3Bucket"], "new");
    assert_eq!(digests[1]["previousDigestS3Bucket"], "old");
}
