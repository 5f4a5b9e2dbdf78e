//! A mishap at each single step of delivery, before and after each commit and each put: the server ends and another
//! goes on from what is durable, or the step fails and is tried again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::log_groups::SETTLES;
use opentrail_trails::{OrganizationScope, Trail};

use super::aside::{watched, watched_by};
use super::world::{ELSEWHERE, HOME, Life, Mishap, OWNER, World, listed, trail};

/// What a life does, at each step of which there is a mishap.
#[derive(Clone, Copy, Debug)]
enum Script {
    /// A trail of one account delivers, moves and is deleted.
    Account,
    /// The same, with a log group that keeps no position.
    Elsewhere,
    /// A trail of an organization that accounts join and leave.
    Organization,
}

impl Script {
    async fn survive(self, world: &World, steps: i64, mishap: Mishap) -> bool {
        match self {
            Self::Account => survive(world, watched("main", "logs"), steps, mishap).await,
            Self::Elsewhere => survive(world, watched_by(ELSEWHERE, "main", "logs"), steps, mishap).await,
            Self::Organization => survive_organization(world, steps, mishap).await,
        }
    }
}

/// Runs the script with a first life to which `mishap` happens at step `steps`. Returns whether it came to that.
async fn survive(world: &World, mut trail: Trail, steps: i64, mishap: Mishap) -> bool {
    world.make_bucket("logs");
    world.make_bucket("more");
    let mut life = world.try_to_live(steps, mishap).await.unwrap();
    let fuse = std::sync::Arc::clone(&life.fuse);
    // What fails is tried again after a while, so that time has to pass there; a crash needs none.
    let mut crashed = false;
    let mut wanted: Vec<String> = Vec::new();

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

    until(world, &mut life, &mut crashed, "topic and group have everything", async || {
        let told: BTreeSet<String> = world.told().into_iter().map(|(.., once)| once).collect();
        world.logged().len() >= wanted.len() && told.len() >= world.log_files().await.len()
    })
    .await;

    assert_eq!(world.delivered().await, wanted, "{mishap:?} at step {steps}");
    let mut logged: Vec<String> = world.logged().into_iter().map(|(.., id)| id).collect();
    logged.sort();
    assert_eq!(logged, wanted, "{mishap:?} at step {steps}");
    let told: BTreeSet<String> = world.told().into_iter().map(|(.., once)| once).collect();
    let files = world.log_files().await.into_iter().map(|(bucket, key, _)| format!("{bucket}/{key}"));
    assert_eq!(told, files.collect(), "{mishap:?} at step {steps}");
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

/// The same with an organization: an account joins, another leaves, the organization ends.
async fn survive_organization(world: &World, steps: i64, mishap: Mishap) -> bool {
    const MEMBERS: [&str; 2] = ["444455556666", "777788889999"];
    world.make_bucket("logs");
    let mut life = world.try_to_live(steps, mishap).await.unwrap();
    let fuse = std::sync::Arc::clone(&life.fuse);
    let mut crashed = false;
    let mut wanted: Vec<String> = Vec::new();
    let mut trail = trail("main", "logs");
    let of = |trail: &Trail, members: &[&str]| {
        let members = members.iter().chain([&OWNER]).map(|account| account.parse().unwrap()).collect();
        let organization = Some(OrganizationScope { id: "o-exampleorgid".parse().unwrap(), members });
        Trail { organization, version: trail.version + 1, ..trail.clone() }
    };

    trail = of(&trail, &MEMBERS[..1]);
    world.put_trail(&trail).await;
    world.record(HOME, &["a1"]).await;
    world.record_for(MEMBERS[0], HOME, &["a2"]).await;
    world.record_for(MEMBERS[1], HOME, &["early"]).await;
    trail = of(&trail, &MEMBERS);
    world.put_trail(&trail).await;
    world.record_for(MEMBERS[1], HOME, &["a3"]).await;
    settle(world, &mut life, &mut crashed, &mut wanted, &["a1", "a2", "a3"]).await;
    world.clock.advance(world.settings.digest_interval);

    world.record_for(MEMBERS[0], HOME, &["b1"]).await;
    trail = of(&trail, &MEMBERS[1..]);
    world.put_trail(&trail).await;
    world.record_for(MEMBERS[0], HOME, &["late"]).await;
    world.record_for(MEMBERS[1], HOME, &["b2"]).await;
    settle(world, &mut life, &mut crashed, &mut wanted, &["b1", "b2"]).await;

    trail = Trail { organization: None, version: trail.version + 1, ..trail };
    world.put_trail(&trail).await;
    world.record_for(MEMBERS[1], HOME, &["later"]).await;
    world.record(HOME, &["c1"]).await;
    settle(world, &mut life, &mut crashed, &mut wanted, &["c1"]).await;
    world.delete_trail(&trail).await;
    until(world, &mut life, &mut crashed, "the trail is gone", async || world.catalog_is_empty().await).await;

    assert_eq!(world.delivered().await, wanted, "{mishap:?} at step {steps}");
    let mut in_digests = Vec::new();
    for account in [OWNER, MEMBERS[0], MEMBERS[1]] {
        in_digests.extend(listed(&world.checked_digests_of(&trail, account, HOME).await));
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
        world.clock.advance(SETTLES);
    }
    world.until(what, holds).await;
}

/// Lets the mishap happen at each step in turn. Returns how many there are.
async fn survive_each_step(script: Script, mishap: Mishap) -> i64 {
    let first = World::new();
    script.survive(&first, i64::MAX, mishap).await;
    let mut steps = 0;
    while script.survive(&World::with_keys_of(&first).await, steps, mishap).await {
        steps += 1;
    }
    steps
}

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing_and_doubles_nothing() {
    let steps = survive_each_step(Script::Account, Mishap::Crash).await;
    assert!(steps > 40, "the script has more steps than {steps}");
}

#[tokio::test]
async fn a_crash_at_any_step_doubles_nothing_in_a_log_group_elsewhere() {
    let steps = survive_each_step(Script::Elsewhere, Mishap::Crash).await;
    assert!(steps > 50, "the script has more steps than {steps}");
}

#[tokio::test]
async fn a_failure_at_any_step_doubles_nothing_in_a_log_group_elsewhere() {
    let steps = survive_each_step(Script::Elsewhere, Mishap::Failure).await;
    assert!(steps > 50, "the script has more steps than {steps}");
}

#[tokio::test]
async fn a_commit_or_put_that_fails_whether_kept_or_not_loses_nothing_and_doubles_nothing() {
    let steps = survive_each_step(Script::Account, Mishap::Failure).await;
    assert!(steps > 40, "the script has more steps than {steps}");
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_an_organizations_trail_whole() {
    let steps = survive_each_step(Script::Organization, Mishap::Crash).await;
    assert!(steps > 40, "the script has more steps than {steps}");
}

#[tokio::test]
async fn a_failure_at_any_step_leaves_an_organizations_trail_whole() {
    let steps = survive_each_step(Script::Organization, Mishap::Failure).await;
    assert!(steps > 40, "the script has more steps than {steps}");
}
