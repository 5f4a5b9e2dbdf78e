use std::time::Duration;

use opentrail_queries::{QueryError, QueryKey, QueryStatus};
use opentrail_runtime::Clock;

use super::world::{World, key, store};
use crate::{
    Dashboard, DashboardError, DashboardKey, Found, HIGHLIGHTS, LastRefresh, MAX_DASHBOARDS, Schedule, Values,
};

const HOUR: Duration = Duration::from_secs(3600);

async fn refresh(world: &World, key: &DashboardKey) -> Result<u64, DashboardError> {
    let dashboards = world.dashboards();
    let found = dashboards.find(key).await?.ok_or_else(|| DashboardError::NotFound { arn: key.arn() })?;
    let questions = dashboards.questions(key, &found, &Values::last_day(world.clock.now())).await?;
    dashboards.require_stores_to_allow(key, &questions).await?;
    dashboards.start(key, questions).await
}

async fn last(world: &World, key: &DashboardKey) -> Option<LastRefresh> {
    world.dashboards().last_refresh(key).await.unwrap()
}

/// Waits until no query of the last refresh is under way.
async fn settled(world: &World, key: &DashboardKey) {
    for id in last(world, key).await.unwrap().queries {
        world.until_ended(&QueryKey { account: key.account, region: key.region.clone(), id }).await;
    }
}

#[tokio::test]
async fn a_refresh_runs_each_widget_under_its_alias() {
    let world = World::new().await;
    let key = world.make("mine", &["SELECT a", "SELECT b"], None).await;
    let first = refresh(&world, &key).await.unwrap();
    let found = world.dashboards().find(&key).await.unwrap().unwrap();
    let widgets = world.dashboards().widgets(&found).await.unwrap();
    for widget in &widgets {
        let named = |refresh: &str| world.queries().latest_of(key.account, &key.region, &widget.alias, Some(refresh));
        let query = named(&first.to_string()).unwrap();
        assert_eq!(world.until_ended(&query).await, QueryStatus::Finished);
        assert_eq!(world.queries().find(&query).await.unwrap().query.statement, widget.statement);
        assert_eq!(named("1234567890"), None);
    }
    let second = refresh(&world, &key).await.unwrap();
    assert!(second > first, "two refreshes in one millisecond have ids of their own");
    let alias = &widgets[0].alias;
    settled(&world, &key).await;
    world.clock.advance(Duration::from_secs(1));
    let third = refresh(&world, &key).await.unwrap();
    let of_third = world.queries().latest_of(key.account, &key.region, alias, Some(&third.to_string()));
    assert_eq!(world.queries().latest_of(key.account, &key.region, alias, None), of_third);
    let is = last(&world, &key).await.unwrap();
    assert_eq!((is.id, is.queries.len(), is.scheduled, is.failure), (third, 2, false, None));
}

#[tokio::test]
async fn one_refresh_runs_at_a_time_and_all_of_its_queries_or_none() {
    let world = World::new().await;
    let hanging = world.make("hanging", &["hang"; 7], None).await;
    refresh(&world, &hanging).await.unwrap();
    let again = refresh(&world, &hanging).await;
    assert!(matches!(again, Err(DashboardError::Refreshing { .. })), "{again:?}");
    let four = world.make("four", &["SELECT a"; 4], None).await;
    let full = refresh(&world, &four).await;
    assert!(matches!(full, Err(DashboardError::Query(QueryError::TooMany { limit: 10 }))), "{full:?}");
    assert_eq!(last(&world, &four).await, None);
    assert_eq!(world.queries().list(four.account, &four.region, store().key.id).len(), 7);
    let three = world.make("three", &["SELECT a"; 3], None).await;
    refresh(&world, &three).await.unwrap();
}

#[tokio::test]
async fn stores_must_be_there_and_let_cloudtrail_in() {
    let world = World::new().await;
    let key = world.make("mine", &["SELECT a"], None).await;
    let arn = store().key.arn();
    let policy = world.policies.find(&arn).await.unwrap().unwrap();
    world.policies.delete(&arn, policy.revision).await.unwrap();
    let denied = refresh(&world, &key).await.unwrap_err();
    assert!(
        matches!(&denied, DashboardError::Denied { action: "cloudtrail:StartQuery", resource, .. } if *resource == arn)
    );
    let other = policy.value.text.replace("111122223333", "444455556666");
    world.policies.put(&arn, other, None).await.unwrap();
    assert!(matches!(refresh(&world, &key).await, Err(DashboardError::Denied { .. })));
    world.allow(&arn, "cloudtrail:StartQuery").await;
    refresh(&world, &key).await.unwrap();

    let found = world.stores.find(&store().key, world.clock.now()).await.unwrap().unwrap();
    let mut leaving = found.value.clone();
    leaving.gone_at = Some(world.clock.now() + HOUR);
    world.stores.replace(&leaving, found.revision).await.unwrap();
    assert!(matches!(refresh(&world, &key).await, Err(DashboardError::InactiveStore { .. })));
    world.clock.advance(HOUR);
    assert!(matches!(refresh(&world, &key).await, Err(DashboardError::Store(_))));
}

#[tokio::test]
async fn a_schedule_refreshes_at_its_times_also_after_a_restart() {
    let mut world = World::new().await;
    let key = world.make("mine", &["SELECT a"], Some(1)).await;
    world.allow(&key.arn(), "cloudtrail:StartDashboardRefresh").await;
    world.obey_schedules();
    world.clock.advance(Duration::from_secs(55 * 60));
    assert_eq!(world.dashboards().refresh_due().await.unwrap(), "2026-01-02T04:00:00Z".parse().unwrap());
    assert_eq!(last(&world, &key).await, None, "it is 03:59:05");
    world.clock.advance(Duration::from_secs(55));
    let first = world.until(|| last(&world, &key)).await;
    assert_eq!((first.scheduled, first.done), (true, Some("2026-01-02T04:00:00Z".parse().unwrap())));
    assert_eq!((first.queries.len(), &first.failure), (1, &None));
    settled(&world, &key).await;

    // Three are missed, and made up for by one.
    world.restart().await;
    world.clock.advance(3 * HOUR + Duration::from_secs(600));
    world.obey_schedules();
    let newer = |id: u64| {
        let (world, key) = (&world, &key);
        move || async move { last(world, key).await.filter(|last| last.id > id) }
    };
    let second = world.until(newer(first.id)).await;
    assert_eq!(second.done, Some("2026-01-02T07:00:00Z".parse().unwrap()));
    settled(&world, &key).await;
    world.dashboards().refresh_due().await.unwrap();
    assert_eq!(last(&world, &key).await, Some(second.clone()));

    let manual = refresh(&world, &key).await.unwrap();
    assert_eq!(last(&world, &key).await.unwrap().done, second.done, "a refresh by hand leaves the schedule alone");
    settled(&world, &key).await;
    world.clock.advance(HOUR);
    let third = world.until(newer(manual)).await;
    assert_eq!(third.done, Some("2026-01-02T08:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_scheduled_refresh_that_cannot_start_says_why() {
    let world = World::new().await;
    let key = world.make("mine", &["SELECT a"], Some(1)).await;
    world.clock.advance(HOUR);
    world.dashboards().refresh_due().await.unwrap();
    let failed = last(&world, &key).await.unwrap();
    assert!(failed.failure.as_ref().unwrap().contains("cloudtrail:StartDashboardRefresh"), "{failed:?}");
    assert!(failed.queries.is_empty());
    world.allow(&key.arn(), "cloudtrail:StartDashboardRefresh").await;
    world.dashboards().refresh_due().await.unwrap();
    assert_eq!(last(&world, &key).await.unwrap(), failed, "it is not tried again before its next time");
    world.clock.advance(HOUR);
    world.dashboards().refresh_due().await.unwrap();
    assert_eq!(last(&world, &key).await.unwrap().failure, None);
}

#[tokio::test]
async fn a_scheduled_refresh_waits_while_others_run() {
    let world = World::new().await;
    let hanging = world.make("hanging", &["hang"; 10], None).await;
    refresh(&world, &hanging).await.unwrap();
    let key = world.make("mine", &["SELECT a"], Some(1)).await;
    world.allow(&key.arn(), "cloudtrail:StartDashboardRefresh").await;
    world.clock.advance(HOUR);
    let next = world.dashboards().refresh_due().await.unwrap();
    assert_eq!(next, world.clock.now() + Duration::from_secs(5));
    assert_eq!(last(&world, &key).await, None);
    let running = last(&world, &hanging).await.unwrap().queries[0];
    let running = QueryKey { account: key.account, region: key.region.clone(), id: running };
    world.queries().cancel(&running).await.unwrap();
    world.dashboards().refresh_due().await.unwrap();
    assert!(last(&world, &key).await.is_some());
}

#[tokio::test]
async fn a_widget_that_fails_is_the_reason_of_a_scheduled_refresh() {
    let world = World::new().await;
    let key = world.make("mine", &["SELECT a", "fail"], Some(1)).await;
    world.allow(&key.arn(), "cloudtrail:StartDashboardRefresh").await;
    world.clock.advance(HOUR);
    world.dashboards().refresh_due().await.unwrap();
    let failed = world.until(|| async { last(&world, &key).await?.failure }).await;
    assert_eq!(failed, "1 of 2 widgets were not refreshed: it does not work");
}

#[tokio::test]
async fn a_schedule_that_is_turned_off_or_gone_refreshes_nothing() {
    let world = World::new().await;
    let key = world.make("mine", &["SELECT a"], Some(1)).await;
    world.allow(&key.arn(), "cloudtrail:StartDashboardRefresh").await;
    let found = world.dashboards().find_stored(&key).await.unwrap().unwrap();
    let off = Schedule { enabled: false, ..found.value.schedule.unwrap() };
    let dashboard = Dashboard { schedule: Some(off), ..found.value };
    world.dashboards().replace(&dashboard, found.revision).await.unwrap();
    world.clock.advance(HOUR);
    world.dashboards().refresh_due().await.unwrap();
    assert_eq!(last(&world, &key).await, None);
    let stale = world.dashboards().replace(&dashboard, found.revision).await;
    assert!(matches!(stale, Err(DashboardError::Changed)));
}

#[tokio::test]
async fn a_deleted_dashboard_leaves_neither_policy_nor_refresh_to_the_next_of_its_name() {
    let world = World::new().await;
    let key = world.make("mine", &["SELECT a"], None).await;
    world.allow(&key.arn(), "cloudtrail:StartDashboardRefresh").await;
    refresh(&world, &key).await.unwrap();
    let found = world.dashboards().find_stored(&key).await.unwrap().unwrap();
    let kept = Dashboard { termination_protection: true, ..found.value.clone() };
    world.dashboards().replace(&kept, found.revision).await.unwrap();
    assert!(matches!(world.dashboards().delete(&key).await, Err(DashboardError::Protected { .. })));
    world.dashboards().replace(&found.value, found.revision + 1).await.unwrap();
    world.dashboards().delete(&key).await.unwrap();
    assert!(matches!(world.dashboards().delete(&key).await, Err(DashboardError::NotFound { .. })));
    let started = world.dashboards().start(&key, Vec::new()).await;
    assert!(matches!(started, Err(DashboardError::NotFound { .. })));
    world.make("mine", &["SELECT a"], None).await;
    assert_eq!(last(&world, &key).await, None);
    assert_eq!(world.policies.find(&key.arn()).await.unwrap(), None);
}

#[tokio::test]
async fn names_are_taken_once_and_a_hundred_are_enough() {
    let world = World::new().await;
    for number in 0..MAX_DASHBOARDS {
        world.make(&format!("mine-{number}"), &[], None).await;
    }
    world.make(HIGHLIGHTS, &[], Some(6)).await;
    let found = world.dashboards().find_stored(&key("mine-0")).await.unwrap().unwrap().value;
    let taken = world.dashboards().create(&found).await;
    assert!(matches!(taken, Err(DashboardError::AlreadyExists { .. })), "{taken:?}");
    let full = world.dashboards().create(&Dashboard { key: key("another"), ..found.clone() }).await;
    assert!(matches!(full, Err(DashboardError::TooMany { .. })), "{full:?}");
    for name in ["AWSCloudTrail-Overview", "AWSCloudTrail-Mine"] {
        let reserved = world.dashboards().create(&Dashboard { key: key(name), ..found.clone() }).await;
        assert!(matches!(reserved, Err(DashboardError::Reserved { .. })), "{reserved:?}");
    }
}

#[tokio::test]
async fn highlights_ask_every_store_that_there_is() {
    let world = World::new().await;
    let key = world.make(HIGHLIGHTS, &[], Some(6)).await;
    world.allow(&key.arn(), "cloudtrail:StartDashboardRefresh").await;
    let mut second = store();
    second.key.id = uuid::Uuid::from_u128(8);
    second.name = "second".to_owned();
    world.stores.create(&second).await.unwrap();
    let found = world.dashboards().find(&key).await.unwrap().unwrap();
    let widgets = world.dashboards().widgets(&found).await.unwrap();
    assert!(widgets[0].statement.contains(&format!("FROM {} UNION SELECT", store().key.id)), "{widgets:?}");
    assert!(widgets[0].statement.contains(&second.key.id.to_string()));
    let denied = refresh(&world, &key).await;
    assert!(matches!(denied, Err(DashboardError::Denied { .. })), "the second store has no policy: {denied:?}");
    world.allow(&second.key.arn(), "cloudtrail:StartQuery").await;
    world.clock.advance(6 * HOUR);
    world.dashboards().refresh_due().await.unwrap();
    assert_eq!(last(&world, &key).await.unwrap().queries.len(), widgets.len());
    assert!(matches!(found, Found::Stored(_)));
}
