use std::collections::BTreeSet;

use opentrail_catalog::{Catalog, CatalogExt};
use opentrail_model::AccountId;
use opentrail_trails::{OrganizationScope, Trail};
use serde_json::Value;

use super::world::{Fault, HOME, OWNER, World, listed, trail};
use crate::chain::Chain;
use crate::state::{CHAINS, WORKERS, WorkerState};

const MEMBER: &str = "444455556666";
const NEWCOMER: &str = "777788889999";
const ID: &str = "o-exampleorgid";

/// The trail as the next version has it, for an organization of these members beside the owner.
fn of_members(trail: &Trail, members: &[&str]) -> Trail {
    let members = members.iter().chain([&OWNER]).map(|account| account.parse().unwrap()).collect();
    let organization = Some(OrganizationScope { id: ID.parse().unwrap(), members });
    Trail { organization, version: trail.version + 1, ..trail.clone() }
}

/// Where the log files of the account lie, and how many there are.
async fn files_of(world: &World, account: &str) -> Vec<String> {
    let files = world.log_files().await.into_iter().map(|(_, key, _)| key);
    files.filter(|key| key.contains(&format!("/{account}_CloudTrail_"))).collect()
}

async fn until_digests(world: &World, trail: &Trail, account: &str, count: usize) -> Vec<Value> {
    world
        .until(&format!("{count} digests of {account} are there"), async || {
            world.checked_digests_of(trail, account, HOME).await.len() >= count
        })
        .await;
    world.checked_digests_of(trail, account, HOME).await
}

#[tokio::test]
async fn every_account_has_files_and_a_chain_of_its_own_below_the_organization() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let trail = of_members(&trail("main", "logs"), &[MEMBER]);
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["own"]).await;
    world.record_for(MEMBER, HOME, &["member"]).await;
    world.record_for(MEMBER, "eu-west-1", &["abroad"]).await;
    world.record_for(NEWCOMER, HOME, &["stranger"]).await;
    world.until_delivered(&["own", "member", "abroad"]).await;
    world.clock.advance(world.settings.digest_interval);
    for (account, files) in [(OWNER, 1), (MEMBER, 2), (NEWCOMER, 0)] {
        let found = files_of(&world, account).await;
        assert_eq!(found.len(), files, "{account}");
        let place = format!("AWSLogs/{ID}/{account}/CloudTrail/");
        assert!(found.iter().all(|key| key.starts_with(&place)), "{found:?}");
        if files > 0 {
            let digests = until_digests(&world, &trail, account, 1).await;
            assert_eq!(digests[0]["awsAccountId"], account);
            let key = digests[0]["digestS3Object"].as_str().unwrap();
            assert!(key.starts_with(&format!("AWSLogs/{ID}/{account}/CloudTrail-Digest/us-east-1/")), "{key}");
            assert_eq!(listed(&digests).len(), 1, "the file of this Region");
        }
    }
    world
        .until("the other Region's status", async || {
            world.status_of(&trail, MEMBER, "eu-west-1").await.latest_digest_delivery.is_some()
        })
        .await;
    assert_eq!(world.status(&trail, "eu-west-1").await.latest_delivery, None, "the owner did nothing there");
}

#[tokio::test]
async fn who_joins_is_logged_from_then_on_and_who_leaves_gets_a_last_digest() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let mut trail = of_members(&trail("main", "logs"), &[]);
    world.put_trail(&trail).await;
    world.record_for(MEMBER, HOME, &["early"]).await;
    trail = of_members(&trail, &[MEMBER]);
    world.put_trail(&trail).await;
    world.record_for(MEMBER, HOME, &["while"]).await;
    world.until_delivered(&["while"]).await;
    world.clock.advance(world.settings.digest_interval);
    until_digests(&world, &trail, MEMBER, 1).await;

    world.record_for(MEMBER, HOME, &["last"]).await;
    trail = of_members(&trail, &[NEWCOMER]);
    world.put_trail_and_wait(&trail).await;
    world.record_for(MEMBER, HOME, &["late"]).await;
    world.record_for(NEWCOMER, HOME, &["new"]).await;
    world.until_delivered(&["last", "new"]).await;
    let digests = until_digests(&world, &trail, MEMBER, 2).await;
    assert!(!digests[1]["previousDigestSignature"].is_null(), "the last digest links to the chain");
    assert_eq!(listed(&digests), files_of(&world, MEMBER).await);
    world.clock.advance(world.settings.digest_interval * 3);
    until_digests(&world, &trail, NEWCOMER, 3).await;
    assert_eq!(world.checked_digests_of(&trail, MEMBER, HOME).await.len(), 2, "no digest after the last");
    assert_eq!(world.delivered().await, ["last", "new", "while"]);

    // Back again: a chain of its own, with nothing before it.
    trail = of_members(&trail, &[MEMBER]);
    world.put_trail(&trail).await;
    world.record_for(MEMBER, HOME, &["back"]).await;
    world.until_delivered(&["back"]).await;
    world.clock.advance(world.settings.digest_interval);
    let digests = until_digests(&world, &trail, MEMBER, 3).await;
    assert_eq!(digests[2]["previousDigestSignature"], Value::Null);
}

#[tokio::test]
async fn without_its_organization_the_trail_goes_on_for_its_owner_and_the_chain_with_it() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let mut trail = of_members(&trail("main", "logs"), &[MEMBER]);
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["a"]).await;
    world.record_for(MEMBER, HOME, &["b"]).await;
    world.until_delivered(&["a", "b"]).await;
    trail = Trail { organization: None, version: trail.version + 1, ..trail };
    world.put_trail_and_wait(&trail).await;
    world.record_for(MEMBER, HOME, &["no"]).await;
    world.record(HOME, &["c"]).await;
    world.until_delivered(&["c"]).await;
    world.clock.advance(world.settings.digest_interval);
    let left = until_digests(&world, &trail, MEMBER, 1).await;
    let place = |digest: &Value| digest["digestS3Object"].as_str().unwrap().to_owned();
    assert!(
        place(&left[0]).starts_with(&format!("AWSLogs/{ID}/{MEMBER}/CloudTrail-Digest/")),
        "the last, where it was"
    );
    let own = until_digests(&world, &trail, OWNER, 1).await;
    assert!(place(&own[0]).starts_with(&format!("AWSLogs/{OWNER}/CloudTrail-Digest/")));
    let files = listed(&own);
    assert_eq!(files.len(), 2);
    assert!(
        files[0].starts_with(&format!("AWSLogs/{OWNER}/")) && files[1].starts_with(&format!("AWSLogs/{ID}/{OWNER}/"))
    );
    assert_eq!(world.delivered().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_thousand_accounts_are_delivered_in_cuts_that_stay_small() {
    let mut world = World::new();
    world.make_bucket("logs");
    world.settings.digest_interval = std::time::Duration::from_secs(86_400);
    let _life = world.live().await;
    let accounts: Vec<String> = (1..=1000).map(|n| AccountId::from_u64(n).unwrap().to_string()).collect();
    let trail = of_members(&trail("main", "logs"), &accounts.iter().map(String::as_str).collect::<Vec<_>>());
    world.put_trail_and_wait(&trail).await;
    for account in &accounts {
        world.record_for(account, HOME, &[account]).await;
    }
    world.clock.advance(world.settings.max_age);
    let largest = std::cell::Cell::new(0);
    world
        .until("all are delivered", async || {
            let document = world.catalog.get(WORKERS, &trail.key.to_string()).await.unwrap().unwrap();
            largest.set(largest.get().max(document.value.len()));
            let state: WorkerState = serde_json::from_slice(&document.value).unwrap();
            assert!(state.cut.is_none_or(|cut| cut.files.len() <= 256));
            world.objects_in("logs").await == 1000
        })
        .await;
    let chains = world.catalog.list(CHAINS, "", "", 2000).await.unwrap();
    assert_eq!(chains.len(), 1001, "a chain each, and the owner's, from the start");
    assert_eq!(world.delivered().await, accounts);
    assert!(largest.get() < 400_000, "the worker's document had {} bytes", largest.get());
}

#[tokio::test]
async fn what_the_bucket_refuses_one_account_shows_there_and_others_have_theirs() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let trail = of_members(&trail("main", "logs"), &[MEMBER]);
    world.put_trail_and_wait(&trail).await;
    world.break_bucket("logs", Fault::DeniedFor(MEMBER.parse().unwrap()));
    world.record_for(MEMBER, HOME, &["refused"]).await;
    world.record(HOME, &["own"]).await;
    world.until_delivered(&["own"]).await;
    world
        .until("the refusal shows", async || {
            world.status_of(&trail, MEMBER, HOME).await.latest_delivery_error.as_deref() == Some("AccessDenied")
        })
        .await;
    assert_eq!(world.status(&trail, HOME).await.latest_delivery_error, None);
    world.mend_bucket("logs");
    world.clock.advance(std::time::Duration::from_secs(400));
    world.until_delivered(&["refused"]).await;
    assert_eq!(world.delivered().await, ["own", "refused"]);
}

#[tokio::test]
async fn chains_that_an_earlier_release_stored_go_on_as_documents_of_their_own() {
    let world = World::new();
    world.make_bucket("logs");
    let trail = trail("main", "logs");
    let life = world.live().await;
    world.put_trail_and_wait(&trail).await;
    world.record(HOME, &["a"]).await;
    world.until_delivered(&["a"]).await;
    world.clock.advance(world.settings.digest_interval);
    until_digests(&world, &trail, OWNER, 1).await;
    world
        .until("the digest is noted", async || world.status(&trail, HOME).await.latest_digest_delivery.is_some())
        .await;
    life.kill();

    // As the release before stored it.
    let key = trail.key.to_string();
    let catalog = std::sync::Arc::clone(&world.catalog) as std::sync::Arc<dyn Catalog>;
    let mut state = catalog.find::<WorkerState>(WORKERS, &key).await.unwrap().unwrap();
    let chains = catalog.all::<Chain>(CHAINS, "").await.unwrap();
    let mut changes = Vec::new();
    for document in chains {
        let name = document.key.strip_prefix(&format!("{key}/")).unwrap().to_owned();
        state.value.chains.insert(name, document.value);
        changes.push(opentrail_catalog::Change::delete(CHAINS, document.key, opentrail_catalog::Expect::Anything));
    }
    changes.push(state.value.store(&trail.key, state.revision));
    catalog.commit(changes).await.unwrap();

    let _life = world.live().await;
    world.clock.advance(world.settings.digest_interval);
    let digests = until_digests(&world, &trail, OWNER, 2).await;
    assert!(!digests[1]["previousDigestSignature"].is_null());
    world
        .until("the chains have moved", async || {
            let state = catalog.find::<WorkerState>(WORKERS, &key).await.unwrap().unwrap().value;
            let moved: BTreeSet<_> =
                catalog.all::<Chain>(CHAINS, "").await.unwrap().into_iter().map(|chain| chain.key).collect();
            state.chains.is_empty() && moved == BTreeSet::from([format!("{key}/{OWNER}/{HOME}")])
        })
        .await;
}
