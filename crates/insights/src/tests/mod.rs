//! Insights over a journal: records, restarts, clocks.

mod support;

use std::time::Duration;

use opentrail_model::Timestamp;
use serde_json::Value;

use crate::method::Sensitivity;
use crate::{Category, InsightFilter, MetricQuery, Period, Zeros, chart};
use support::{ACCOUNT, START, Server, World};

/// Two days of two calls a minute, then half an hour of sixty.
fn burst() -> World {
    let mut world = World::default();
    world.calls("RunInstances", None, 0..2 * 1440, 2);
    world.calls("RunInstances", None, 2 * 1440..2 * 1440 + 30, 300);
    world.calls("RunInstances", None, 2 * 1440 + 30..2 * 1440 + 60, 2);
    world
}

#[tokio::test]
async fn a_burst_is_told_with_its_start_and_its_end() {
    let server = Server::new().await;
    server.run(&burst()).await;
    let records = server.records();
    assert_eq!(records.len(), 2, "{records:#?}");
    let (start, end) = (&records[0], &records[1]);
    assert_eq!(start["sharedEventID"], end["sharedEventID"]);
    assert_ne!(start["eventID"], end["eventID"]);
    assert_eq!(start["eventType"], "AwsCloudTrailInsight");
    assert_eq!(start["eventCategory"], "Insight");
    assert_eq!(start["recipientAccountId"], ACCOUNT);
    assert_eq!(start["awsRegion"], "eu-central-1");
    assert_eq!(start["eventTime"], (START + Duration::from_secs(2 * 86_400)).to_iso());
    assert_eq!(end["eventTime"], (START + Duration::from_secs(2 * 86_400 + 1800)).to_iso());
    let details = &start["insightDetails"];
    assert_eq!(details["state"], "Start");
    assert_eq!(details["eventSource"], "ec2.amazonaws.com");
    assert_eq!(details["eventName"], "RunInstances");
    assert_eq!(details["insightType"], "ApiCallRateInsight");
    let statistics = &details["insightContext"]["statistics"];
    assert!((statistics["baseline"]["average"].as_f64().unwrap() - 2.0).abs() < 0.1, "{statistics}");
    assert_eq!(statistics["insight"]["average"], 300.0);
    assert_eq!(statistics["insightDuration"], 1);
    assert_eq!(end["insightDetails"]["insightContext"]["statistics"]["insightDuration"], 30);
    let attributions = details["insightContext"]["attributions"].as_array().unwrap();
    let names: Vec<&Value> = attributions.iter().map(|a| &a["attribute"]).collect();
    assert_eq!(names, ["userIdentityArn", "userAgent", "errorCode"]);
    assert_eq!(attributions[0]["insight"][0]["value"], "arn:aws:sts::111122223333:assumed-role/R1");
    assert_eq!(attributions[2]["insight"][0]["value"], "null");
}

#[tokio::test]
async fn reads_count_for_errors_only_and_errors_are_told_without_their_code_as_an_attribute() {
    let server = Server::new().await;
    let mut world = World::default();
    world.reads("GetObjectAcl", Some("AccessDenied"), 0..2 * 1440, 1);
    world.reads("GetObjectAcl", Some("AccessDenied"), 2 * 1440..2 * 1440 + 20, 300);
    world.reads("GetObjectAcl", None, 2 * 1440 + 20..2 * 1440 + 40, 500);
    server.run(&world).await;
    let records = server.records();
    assert_eq!(records.len(), 2, "{records:#?}");
    let details = &records[0]["insightDetails"];
    assert_eq!(
        (&details["insightType"], &details["errorCode"]),
        (&"ApiErrorRateInsight".into(), &"AccessDenied".into())
    );
    assert_eq!(details["insightContext"]["attributions"].as_array().unwrap().len(), 2);
    assert_eq!(details["insightContext"]["attributions"][0]["baseline"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn killed_at_any_time_it_tells_the_same_once() {
    let world = burst();
    let whole = Server::new().await;
    whole.run(&world).await;
    let expected = whole.records();
    for killed_after in [1, 700, 2 * 1440, 2 * 1440 + 1, 2 * 1440 + 2, 2 * 1440 + 17, 2 * 1440 + 36, 2 * 1440 + 50] {
        let server = Server::new().await;
        server.run_killed(&world, killed_after).await;
        server.run(&world).await;
        assert_eq!(server.records(), expected, "killed after {killed_after} minutes");
    }
}

#[tokio::test]
async fn state_after_a_restart_is_the_state_before_it() {
    let world = burst();
    let server = Server::new().await;
    server.run(&world).await;
    let before = server.state().await;
    let after = server.reloaded_state().await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_clock_that_jumps_tells_nothing_by_itself() {
    let server = Server::new().await;
    let mut world = World::default();
    world.calls("RunInstances", None, 0..2 * 1440, 20);
    // A year ahead for ten minutes, then back.
    world.calls("RunInstances", None, 527_040..527_050, 20);
    world.calls("RunInstances", None, 2 * 1440 + 10..3 * 1440, 20);
    // Down for half a day, up again.
    world.calls("RunInstances", None, 3 * 1440 + 720..3 * 1440 + 800, 20);
    server.run(&world).await;
    assert_eq!(server.records(), Vec::<Value>::new());
}

#[tokio::test]
async fn after_a_clock_went_back_a_burst_is_told_at_its_time() {
    let server = Server::new().await;
    let mut world = World::default();
    world.calls("RunInstances", None, 0..2 * 1440, 2);
    world.calls("RunInstances", None, 527_040..527_050, 2);
    world.calls("RunInstances", None, 2 * 1440 + 10..2 * 1440 + 200, 2);
    world.calls("RunInstances", None, 2 * 1440 + 200..2 * 1440 + 210, 400);
    world.calls("RunInstances", None, 2 * 1440 + 210..2 * 1440 + 230, 2);
    server.run(&world).await;
    let records = server.records();
    assert_eq!(records.len(), 2, "{records:#?}");
    assert_eq!(records[0]["eventTime"], (START + Duration::from_secs((2 * 1440 + 200) * 60)).to_iso());
}

#[tokio::test]
async fn what_is_not_switched_on_is_not_told() {
    let server = Server::new().await;
    server.switches.clear(ACCOUNT.parse().unwrap(), Category::Management, crate::InsightType::ApiCallRate);
    server.run(&burst()).await;
    assert!(server.records().is_empty());
}

#[tokio::test]
async fn counts_and_records_are_answered() {
    let server = Server::new().await;
    server.run(&burst()).await;
    let now = START + Duration::from_secs((2 * 1440 + 60) * 60);
    let query = |period, start: u64, zeros| MetricQuery {
        account: ACCOUNT.parse().unwrap(),
        region: "eu-central-1".to_owned(),
        event_source: "ec2.amazonaws.com".to_owned(),
        event_name: "RunInstances".to_owned(),
        category: Category::Management,
        error_code: None,
        start: START + Duration::from_secs(start * 60),
        end: now,
        period,
        zeros,
        limit: 100_000,
    };
    let minutes = server.insights.metric(&query(Period::Minute, 0, Zeros::LeftOut), now).await.unwrap();
    assert_eq!(minutes.points.len(), 2 * 1440 + 60);
    let total: f64 = minutes.points.iter().map(|(_, calls)| calls).sum();
    assert_eq!(total, f64::from(2 * (2 * 1440 + 30) + 300 * 30));
    for (period, seconds) in [(Period::FiveMinutes, 300), (Period::Hour, 3600)] {
        let points = server.insights.metric(&query(period, 0, Zeros::Filled), now).await.unwrap().points;
        assert_eq!(points.iter().map(|(_, calls)| calls).sum::<f64>(), total);
        assert!(points.windows(2).all(|pair| pair[1].0.since(pair[0].0).as_secs() == seconds));
    }
    let page = server
        .insights
        .metric(&MetricQuery { limit: 10, ..query(Period::Minute, 5, Zeros::LeftOut) }, now)
        .await
        .unwrap();
    assert_eq!((page.points.len(), page.next), (10, Some(START + Duration::from_secs(15 * 60))));

    let filter = InsightFilter {
        account: ACCOUNT.parse().unwrap(),
        region: "eu-central-1".to_owned(),
        category: Category::Management,
        source: None,
        event_id: None,
        event_name: Some("RunInstances".to_owned()),
        event_source: None,
        start: Timestamp::EPOCH,
        end: now,
        after: None,
        limit: 1,
    };
    let newest = server.insights.list(&filter).await.unwrap();
    assert_eq!(newest.insights.len(), 1);
    let rest = server.insights.list(&InsightFilter { after: newest.next, ..filter }).await.unwrap();
    assert_eq!((rest.insights.len(), rest.next), (1, None));
    assert!(rest.insights[0].time < newest.insights[0].time);

    let id = newest.insights[0].event_id;
    let explanation = server.insights.explain(ACCOUNT.parse().unwrap(), id, now).await.unwrap().unwrap();
    assert!(explanation.series.len() >= 150, "{}", explanation.series.len());
    let chart = chart(&explanation, 80);
    assert!(chart.contains("RunInstances") && chart.contains("assumed-role/R1") && chart.contains('█'), "{chart}");
}

#[tokio::test]
async fn a_key_that_bursts_for_the_first_time_has_its_place_among_too_many() {
    let calls = |minute: u64, name: &'static str| (START + Duration::from_secs(minute * 60), support::call(name, None));
    let mut replay = crate::Replay::new(Sensitivity::Medium, 50);
    let names: Vec<&'static str> = (0..200).map(|n| &*Box::leak(format!("Operation{n}").into_boxed_str())).collect();
    let mut records = Vec::new();
    for minute in 0..10 * 1440 {
        for n in 0..20 {
            let (received, call) = calls(minute, names[((minute * 20 + n) % 200) as usize]);
            records.extend(replay.call(received, &call));
        }
        if (9 * 1440..9 * 1440 + 10).contains(&minute) {
            for _ in 0..500 {
                let (received, call) = calls(minute, "DeleteTrail");
                records.extend(replay.call(received, &call));
            }
        }
    }
    assert!(replay.keys() <= 50);
    let told: Vec<&str> = records.iter().map(|record| &*record.finding.key.event_name).collect();
    assert_eq!(told, ["DeleteTrail", "DeleteTrail"]);
}
