//! A mishap at each single step of delivery, before and after each commit and each put: the server ends and another
//! goes on from what is durable, or the step fails and is tried again.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{HOME, Life, Mishap, World, listed, trail};

/// Runs the script with a first life to which `mishap` happens at step `steps`. Returns whether it came to that.
async fn survive(world: &World, steps: i64, mishap: Mishap) -> bool {
    world.make_bucket("logs");
    world.make_bucket("more");
    let mut life = world.try_to_live(steps, mishap).await.unwrap();
    let fuse = std::sync::Arc::clone(&life.fuse);
    // What fails is tried again after a while, so that time has to pass there; a crash needs none.
    let mut crashed = false;
    let mut wanted: Vec<String> = Vec::new();
    let mut trail = trail("main", "logs");

    world.put_trail(&trail).await;
    world.record(HOME, &["a1", "a2"]).await;
    world.record("eu-west-1", &["a3"]).await;
    settle(world, &mut life, &mut crashed, &mut wanted, &["a1", "a2", "a3"]).await;

    // Two Regions whose files are cut at different times.
    world.record("eu-west-1", &["b1"]).await;
    world.clock.advance(world.settings.max_age / 2);
    world.record(HOME, &["b2"]).await;
    world.clock.advance(world.settings.max_age / 2);
    settle(world, &mut life, &mut crashed, &mut wanted, &["b1", "b2"]).await;
    world.clock.advance(world.settings.digest_interval);

    world.record(HOME, &["c1"]).await;
    trail.version = 2;
    trail.bucket = "more".into();
    world.put_trail(&trail).await;
    world.record(HOME, &["c2"]).await;
    settle(world, &mut life, &mut crashed, &mut wanted, &["c1", "c2"]).await;

    world.record(HOME, &["d1"]).await;
    world.delete_trail(&trail).await;
    world.record(HOME, &["never"]).await;
    settle(world, &mut life, &mut crashed, &mut wanted, &["d1"]).await;
    until(world, &mut life, &mut crashed, "the trail is gone", async || world.catalog_is_empty().await).await;

    assert_eq!(world.delivered().await, wanted, "{mishap:?} at step {steps}");
    let mut in_digests = Vec::new();
    for region in [HOME, "eu-west-1"] {
        in_digests.extend(listed(&world.checked_digests(&trail, region).await));
    }
    let unique: BTreeSet<_> = in_digests.iter().collect();
    assert_eq!(
        (unique.len(), in_digests.len()),
        (in_digests.len(), world.log_files().await.len()),
        "{mishap:?} at step {steps}"
    );
    *fuse.blown.borrow()
}

async fn settle(world: &World, life: &mut Life, crashed: &mut bool, wanted: &mut Vec<String>, ids: &[&str]) {
    wanted.extend(ids.iter().map(|id| (*id).to_owned()));
    world.clock.advance(world.settings.max_age);
    until(world, life, crashed, "all is delivered", async || {
        let delivered = world.delivered().await;
        wanted.iter().all(|id| delivered.contains(id))
    })
    .await;
}

/// Waits until `holds`; a life that ends meanwhile is followed by an unlimited one.
pub(super) async fn until(
    world: &World,
    life: &mut Life,
    crashed: &mut bool,
    what: &str,
    mut holds: impl AsyncFnMut() -> bool,
) {
    if life.fuse.mishap() == Mishap::Failure {
        let time = async {
            loop {
                tokio::task::yield_now().await;
                world.clock.advance(Duration::from_millis(10));
            }
        };
        tokio::select! {
            () = world.until(what, holds) => {}
            () = time => {}
        }
        return;
    }
    if !*crashed {
        let mut blown = life.fuse.blown.subscribe();
        let died = tokio::select! {
            () = world.until(what, &mut holds) => false,
            _ = blown.wait_for(|blown| *blown) => true,
        };
        if !died {
            return;
        }
        *crashed = true;
        *life = world.live().await;
    }
    world.until(what, holds).await;
}

/// Lets the mishap happen at each step in turn. Returns how many there are.
async fn survive_each_step(mishap: Mishap) -> i64 {
    let first = World::new();
    survive(&first, i64::MAX, mishap).await;
    let mut steps = 0;
    while survive(&World::with_keys_of(&first).await, steps, mishap).await {
        steps += 1;
    }
    steps
}

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing_and_doubles_nothing() {
    let steps = survive_each_step(Mishap::Crash).await;
    assert!(steps > 40, "the script has more steps than {steps}");
}

#[tokio::test]
async fn a_commit_or_put_that_fails_whether_kept_or_not_loses_nothing_and_doubles_nothing() {
    let steps = survive_each_step(Mishap::Failure).await;
    assert!(steps > 40, "the script has more steps than {steps}");
}
