//! What is saved survives, and what is repeated changes nothing: the file is opened anew at each step.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentrail_journal::{Journal, MemoryJournal, NewEntry};
use opentrail_model::{AccountId, Position, Source, Timestamp};
use opentrail_projection::{Feed, Projection};
use opentrail_runtime::ManualClock;
use parking_lot::Mutex;
use serde_json::json;

use super::FindingQuery;
use crate::announcer::{Announcer, FindingSink, NotTaken};
use crate::tests::rule;
use crate::{ChangeError, Level, Reason, Settings, Sigma, SigmaProjection, StoredFinding};

const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);

pub(crate) fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

/// A journal that outlives what reads it.
pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), journal: Arc::default(), clock: Arc::new(ManualClock::new(NOW)) }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("findings.sqlite")
    }

    pub(crate) async fn open(&self) -> Arc<Sigma> {
        self.open_with(Settings::default()).await
    }

    async fn open_with(&self, settings: Settings) -> Arc<Sigma> {
        let feed = Feed::new(self.journal.clone());
        Sigma::open(&self.path(), feed, self.clock.clone(), settings).await.unwrap()
    }

    /// Appends an event of this name and id.
    pub(crate) async fn append(&self, name: &str, id: &str, at: Timestamp) -> Position {
        let body = json!({
            "eventID": id, "eventName": name, "eventSource": "iam.amazonaws.com", "eventTime": at.to_iso(),
            "awsRegion": "eu-west-1", "userIdentity": { "userName": "a" }, "recipientAccountId": "111122223333",
        });
        let entry =
            NewEntry { source: Source::Records, account: account(), received: at, body: Bytes::from(body.to_string()) };
        self.journal.append(vec![entry]).await.unwrap();
        self.journal.tail()
    }
}

/// Runs the projection from what is stored to the journal's end. Without `finish` it ends as by `kill -9`.
pub(crate) async fn run(sigma: &Arc<Sigma>, world: &World) -> SigmaProjection {
    let mut projection = SigmaProjection::new(Arc::clone(sigma));
    let feed = Feed::new(world.journal.clone());
    let mut read = projection.resume().await.unwrap();
    while let Some(batch) = feed.try_next(read).await.unwrap() {
        projection.apply(&batch).await.unwrap();
        read = batch.through;
    }
    projection
}

pub(crate) async fn load(sigma: &Sigma, text: &str) {
    let loaded = sigma.load(account(), "arn:x", vec![("f.yml".to_owned(), text.to_owned())]).await.unwrap();
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
}

/// Event ids and rules of what was found, in order.
pub(crate) async fn found(sigma: &Sigma) -> Vec<String> {
    let query = FindingQuery { limit: 1_000, ..FindingQuery::default() };
    let mut found = sigma.findings(&query).await.unwrap().findings;
    found.reverse();
    found.into_iter().map(|found| format!("{}:{}", found.finding.rule.id, found.finding.event_id)).collect()
}

fn create(id: &str) -> String {
    rule(id, "s: {eventName: CreateUser}\ncondition: s")
}

const COUNT: &str = "title: c\nid: c\ncorrelation: {type: event_count, rules: [t], timespan: 1h, condition: {gte: 3}}\ngenerate: true\n";

#[tokio::test]
async fn a_rule_applies_from_the_position_at_which_it_was_loaded() {
    let world = World::new();
    let sigma = world.open().await;
    world.append("CreateUser", "before", NOW).await;
    load(&sigma, &create("t")).await;
    world.append("CreateUser", "after", NOW).await;
    world.append("DeleteUser", "other", NOW).await;
    run(&sigma, &world).await;
    assert_eq!(found(&sigma).await, ["t:after"]);
}

#[tokio::test]
async fn versions_and_removals_take_effect_at_their_positions_also_on_replay() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &create("t")).await;
    world.append("CreateUser", "1", NOW).await;
    load(&sigma, &rule("t", "s: {eventName: DeleteUser}\ncondition: s")).await;
    world.append("CreateUser", "2", NOW).await;
    world.append("DeleteUser", "3", NOW).await;
    let removed = sigma.remove(account(), "arn:x", vec!["t".to_owned(), "nosuch".to_owned()]).await.unwrap();
    assert_eq!((removed.removed, removed.not_found), (vec!["t".to_owned()], vec!["nosuch".to_owned()]));
    world.append("DeleteUser", "4", NOW).await;
    // Nothing was looked at yet; another process does.
    drop(sigma);
    let sigma = world.open().await;
    run(&sigma, &world).await.finish().await.unwrap();
    assert_eq!(found(&sigma).await, ["t:1", "t:3"]);
    assert!(sigma.store.rules().await.unwrap().is_empty(), "versions that apply to nothing any more are gone");
}

#[tokio::test]
async fn a_crash_after_any_event_finds_the_same_once() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &format!("{}---\n{COUNT}", create("t"))).await;
    let mut last = sigma;
    for n in 0..8 {
        let name = if n % 2 == 0 { "CreateUser" } else { "Other" };
        world.append(name, &format!("{n}"), NOW + Duration::from_secs(n)).await;
        // Killed without a last save, and opened again.
        run(&last, &world).await;
        drop(last);
        last = world.open().await;
    }
    run(&last, &world).await;
    assert_eq!(found(&last).await, ["t:0", "t:2", "t:4", "c:4", "t:6"]);
}

#[tokio::test]
async fn what_a_correlation_has_seen_survives() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &format!("{}---\n{}", create("t"), COUNT.replace("generate: true\n", ""))).await;
    for n in 0..2 {
        world.append("CreateUser", &format!("{n}"), NOW).await;
    }
    run(&sigma, &world).await.finish().await.unwrap();
    assert_eq!(sigma.store.groups().await.unwrap().len(), 1);
    drop(sigma);
    let sigma = world.open().await;
    world.append("CreateUser", "2", NOW).await;
    run(&sigma, &world).await;
    assert_eq!(found(&sigma).await, ["c:2"]);
}

#[tokio::test]
async fn an_event_that_comes_again_is_the_same_finding() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &create("t")).await;
    for _ in 0..3 {
        world.append("CreateUser", "1", NOW).await;
    }
    run(&sigma, &world).await;
    assert_eq!(found(&sigma).await, ["t:1"]);
}

#[tokio::test]
async fn where_nothing_is_found_the_position_is_saved_seldom() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &create("t")).await;
    world.append("Other", "1", NOW).await;
    let mut projection = run(&sigma, &world).await;
    assert_eq!(sigma.store.position().await.unwrap(), Some(Position(0)));
    world.clock.advance(Duration::from_secs(6));
    assert_eq!(projection.idle(NOW + Duration::from_secs(6)).await.unwrap(), Position(1));
    assert_eq!(sigma.store.position().await.unwrap(), Some(Position(1)));
}

#[tokio::test]
async fn more_findings_than_fit_at_once_are_all_saved() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &create("t")).await;
    for n in 0..2_500 {
        world.append("CreateUser", &format!("{n}"), NOW).await;
    }
    run(&sigma, &world).await;
    let query = FindingQuery { limit: 10_000, ..FindingQuery::default() };
    assert_eq!(sigma.findings(&query).await.unwrap().findings.len(), 2_500);
}

#[tokio::test]
async fn a_time_in_the_future_does_not_make_everything_else_late() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &format!("{}---\n{}", create("t"), COUNT.replace("generate: true\n", ""))).await;
    let body =
        json!({ "eventID": "x", "eventName": "CreateUser", "eventSource": "s", "eventTime": "2999-01-01T00:00:00Z" });
    let body = Bytes::from(body.to_string());
    let entry = NewEntry { source: Source::Records, account: account(), received: NOW, body };
    world.journal.append(vec![entry]).await.unwrap();
    world.append("CreateUser", "1", NOW).await;
    world.append("CreateUser", "2", NOW).await;
    run(&sigma, &world).await;
    assert_eq!(found(&sigma).await.len(), 1);
}

#[tokio::test]
async fn findings_are_filtered_and_paged() {
    let world = World::new();
    let sigma = world.open().await;
    let low = format!("{}level: low\ntags: [attack.t1136]\n", create("low"));
    let high = format!("{}level: high\n", rule("high", "s: {eventName: [CreateUser, DeleteUser]}\ncondition: s"));
    load(&sigma, &format!("{low}---\n{high}")).await;
    world.append("CreateUser", "1", NOW).await;
    world.append("DeleteUser", "2", NOW + Duration::from_secs(60)).await;
    run(&sigma, &world).await;
    let ask = async |query: FindingQuery| {
        let found = sigma.findings(&FindingQuery { limit: 10, ..query }).await.unwrap().findings;
        found
            .into_iter()
            .map(|found| format!("{}:{}", found.finding.rule.id, found.finding.event_id))
            .collect::<Vec<_>>()
    };
    let any = FindingQuery::default();
    assert_eq!(ask(any.clone()).await, ["high:2", "high:1", "low:1"]);
    assert_eq!(ask(FindingQuery { level: Some(Level::Medium), ..any.clone() }).await, ["high:2", "high:1"]);
    assert_eq!(ask(FindingQuery { rule: Some("low".to_owned()), ..any.clone() }).await, ["low:1"]);
    assert_eq!(ask(FindingQuery { tag: Some("attack.t1136".to_owned()), ..any.clone() }).await, ["low:1"]);
    assert_eq!(ask(FindingQuery { since: Some(NOW + Duration::from_secs(1)), ..any.clone() }).await, ["high:2"]);
    assert!(ask(FindingQuery { account: Some("444455556666".parse().unwrap()), ..any.clone() }).await.is_empty());
    let page = sigma.findings(&FindingQuery { limit: 2, ..any.clone() }).await.unwrap();
    assert_eq!(page.findings.len(), 2);
    let rest = sigma.findings(&FindingQuery { limit: 2, before: page.before, ..any }).await.unwrap();
    assert_eq!((rest.findings[0].finding.rule.id.as_str(), rest.before), ("low", None));
    let finding = &rest.findings[0].finding;
    assert_eq!(
        (finding.region.as_deref(), finding.rule.tags.as_slice()),
        (Some("eu-west-1"), &["attack.t1136".to_owned()][..])
    );
}

#[tokio::test]
async fn findings_are_given_up_by_age_and_by_number() {
    let world = World::new();
    let settings = Settings { retention: Duration::from_secs(100), most_findings: 2, ..Settings::default() };
    let sigma = world.open_with(settings).await;
    load(&sigma, &create("t")).await;
    for n in 0..4 {
        world.append("CreateUser", &format!("{n}"), NOW).await;
    }
    let mut projection = run(&sigma, &world).await;
    assert_eq!(found(&sigma).await, ["t:2", "t:3"]);
    projection.idle(NOW).await.unwrap();
    projection.idle(NOW + Duration::from_secs(700)).await.unwrap();
    assert!(found(&sigma).await.is_empty());
}

#[tokio::test]
async fn a_file_that_grows_too_large_gives_up_findings() {
    let world = World::new();
    let sigma = world.open_with(Settings { most_bytes: 0, ..Settings::default() }).await;
    load(&sigma, &create("t")).await;
    world.append("CreateUser", "1", NOW).await;
    run(&sigma, &world).await;
    assert!(found(&sigma).await.is_empty());
}

#[tokio::test]
async fn a_version_that_does_not_run_leaves_the_old_one() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &format!("{}---\n{COUNT}", create("t"))).await;
    let bad = rule("t", "s: {a|gt: x}\ncondition: s");
    let loaded = sigma.load(account(), "arn:x", vec![("g.yml".to_owned(), bad)]).await.unwrap();
    assert_eq!((loaded.loaded.len(), loaded.refused.len(), loaded.refused[0].file.as_str()), (0, 1, "g.yml"));
    let again = sigma.load(account(), "arn:x", vec![("f.yml".to_owned(), create("t"))]).await.unwrap();
    assert_eq!((again.loaded.len(), again.unchanged.len()), (0, 1));
    let needed = sigma.remove(account(), "arn:x", vec!["t".to_owned()]).await.unwrap_err();
    assert!(matches!(needed, ChangeError::StillNeeded { reason: Reason::Unresolved(_), .. }), "{needed}");
    sigma.remove(account(), "arn:x", vec!["t".to_owned(), "c".to_owned()]).await.unwrap();
    assert!(sigma.rules(account(), "", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_change_that_was_broken_off_after_its_commit_is_taken_from_the_file() {
    let world = World::new();
    let sigma = world.open().await;
    let mut projection = run(&sigma, &world).await;
    let put = [super::NewRule {
        id: "t".to_owned(),
        title: "t".to_owned(),
        level: Level::Low,
        kind: "detection",
        file: "f.yml".to_owned(),
        text: create("t"),
    }];
    let at = world.journal.tail();
    let change = super::RuleChange { account: account(), at, now: NOW, by: "x", put: &put, remove: &[] };
    // As a call that went away in between leaves it.
    sigma.stale.store(true, std::sync::atomic::Ordering::SeqCst);
    sigma.store.change_rules(change).await.unwrap();
    world.append("CreateUser", "1", NOW).await;
    let batch = Feed::new(world.journal.clone()).next(Position::START).await.unwrap();
    assert!(!projection.apply(&batch).await.unwrap_err().fatal);
    run(&sigma, &world).await;
    assert_eq!(found(&sigma).await, ["t:1"]);
}

#[tokio::test]
async fn a_file_of_another_format_is_refused() {
    let world = World::new();
    let sigma = world.open().await;
    sqlx::query("UPDATE state SET value = 99 WHERE name = 'format'").execute(&sigma.store.pool).await.unwrap();
    sigma.close().await;
    assert!(super::Store::open(Path::new(&world.path())).await.is_err());
}

/// Takes what it is told to.
#[derive(Debug, Default)]
struct Sink {
    taken: Mutex<Vec<String>>,
    failing: Mutex<bool>,
}

#[async_trait::async_trait]
impl FindingSink for Sink {
    async fn found(&self, findings: &[StoredFinding]) -> Result<(), NotTaken> {
        self.taken.lock().extend(findings.iter().map(|found| found.finding.event_id.clone()));
        if *self.failing.lock() { Err(NotTaken { reason: "no".to_owned() }) } else { Ok(()) }
    }
}

#[tokio::test]
async fn findings_are_handed_on_at_least_once() {
    let world = World::new();
    let sigma = world.open().await;
    load(&sigma, &create("t")).await;
    world.append("CreateUser", "1", NOW).await;
    run(&sigma, &world).await;
    let sink = Arc::new(Sink::default());
    *sink.failing.lock() = true;
    let announcer = Announcer::new(Arc::clone(&sigma), sink.clone());
    assert!(announcer.hand_on().await.is_err());
    *sink.failing.lock() = false;
    assert_eq!(announcer.hand_on().await.unwrap(), 1);
    drop((announcer, sigma));
    let sigma = world.open().await;
    world.append("CreateUser", "2", NOW).await;
    run(&sigma, &world).await;
    let announcer = Announcer::new(Arc::clone(&sigma), sink.clone());
    assert_eq!((announcer.hand_on().await.unwrap(), announcer.hand_on().await.unwrap()), (1, 0));
    assert_eq!(*sink.taken.lock(), ["1", "1", "2"]);
}
