//! Insights over a journal: records, restarts, clocks.

mod support;

use std::time::Duration;

use opentrail_model::{Source, Timestamp};
use serde_json::Value;

use crate::method::Sensitivity;
use crate::{Category, InsightFilter, MetricQuery, Period, Zeros, chart};
use support::{ACCOUNT, Append, START, Server, World};

/// Two days of two calls a minute, then half an hour of sixty.
fn burst() -> World {
    let mut world = World::default();
    world.calls("RunInstances", None, 0..2 * 1440, 2);
    world.calls("RunInstances", None, 2 * 1440..2 * 1440 + 30, 300);
    world.calls("RunInstances", None, 2 * 1440 + 30..2 * 1440 + 60, 2);
    world
}

/// A day of two calls a minute, then a quarter of an hour of three hundred, then a quarter as before.
const BURST: std::ops::Range<u64> = 1440..1455;

fn short_burst() -> World {
    let mut world = World::default();
    add_short_burst(&mut world);
    world
}

fn add_short_burst(world: &mut World) {
    world.calls("RunInstances", None, 0..BURST.start, 2);
    world.calls("RunInstances", None, BURST, 300);
    world.calls("RunInstances", None, BURST.end..BURST.end + 15, 2);
}

async fn records_of(world: &World) -> Vec<Value> {
    let server = Server::new().await;
    server.run(world).await;
    server.records()
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
    assert!((statistics["expected"]["average"].as_f64().unwrap() - 2.0).abs() < 0.2, "{statistics}");
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
async fn an_append_that_fails_is_repeated_and_tells_the_same_once() {
    let world = short_burst();
    let expected = records_of(&world).await;
    assert_eq!(expected.len(), 2);
    for outcome in [Append::Lost, Append::KeptAndFailed] {
        let server = Server::new().await;
        server.next_append(outcome);
        assert!(server.try_run(&world).await.is_err(), "{outcome:?}");
        // The start is behind it; the same for the end.
        server.next_append(Append::Kept);
        server.run_killed(&world, BURST.end).await;
        server.next_append(outcome);
        assert!(server.try_run(&world).await.is_err(), "{outcome:?}");
        server.run(&world).await;
        assert_eq!(server.records(), expected, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_write_that_fails_leaves_the_minute_as_if_it_had_not_been() {
    let world = short_burst();
    let expected = records_of(&world).await;
    let whole = Server::new().await;
    whole.run(&world).await;
    for table in ["account", "key", "key_state", "minutes", "redo", "insight", "meta"] {
        let server = Server::new().await;
        // Accounts and keys are written in the first minute only; for the others it is the first minute of the burst.
        if !matches!(table, "account" | "key") {
            server.run_killed(&world, BURST.start).await;
        }
        let trigger =
            format!("CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END");
        server.execute(trigger).await;
        assert!(server.try_run(&world).await.is_err(), "{table}");
        server.execute("DROP TRIGGER broken".to_owned()).await;
        server.run(&world).await;
        assert_eq!(server.records(), expected, "{table}");
        assert_eq!(server.state().await, whole.state().await, "{table}");
        assert_eq!(server.reloaded_state().await, whole.state().await, "{table}");
    }
}

#[tokio::test]
async fn the_same_journal_in_other_batches_tells_the_same() {
    let expected = records_of(&short_burst()).await;
    assert_eq!(expected.len(), 2);
    for batch in [1, 50, 10_000] {
        assert_eq!(records_of(&World { batch, ..short_burst() }).await, expected, "{batch} minutes");
    }
}

#[tokio::test]
async fn a_followed_bucket_counts_from_now_on_and_its_backlog_does_not() {
    // A day of calls, as files bring them: some minutes late.
    let mut world = World { late: 9, ..World::default() };
    add_short_burst(&mut world);
    let records = records_of(&world).await;
    assert_eq!(records.len(), 2, "{records:#?}");

    // Last week's files at once tell nothing, and what follows is measured as if they had not come.
    let mut flooded = World { late: 9, ..World::default() };
    flooded.calls("RunInstances", None, 0..700, 2);
    flooded.late = 7 * 1440;
    flooded.calls("RunInstances", None, 700..710, 300);
    flooded.late = 9;
    flooded.calls("RunInstances", None, 700..BURST.start, 2);
    flooded.calls("RunInstances", None, BURST, 300);
    flooded.calls("RunInstances", None, BURST.end..BURST.end + 15, 2);
    assert_eq!(records_of(&flooded).await, records);
}

#[tokio::test]
async fn imports_and_channels_count_nothing_and_calls_of_the_server_itself_do() {
    for (source, told) in
        [(Source::Api, 2), (Source::Gateway, 2), (Source::Records, 2), (Source::Import, 0), (Source::Channel, 0)]
    {
        let mut world = World { source, ..World::default() };
        add_short_burst(&mut world);
        assert_eq!(records_of(&world).await.len(), told, "{source:?}");
    }
}

#[tokio::test]
async fn calls_that_come_out_of_order_count_once_when_they_come() {
    let mut shuffled = World::default();
    shuffled.calls("RunInstances", None, 0..BURST.start, 2);
    // The burst's calls were made up to ten minutes before they came, the later ones earlier.
    for minute in BURST {
        shuffled.late = (minute * 7) % 11;
        shuffled.calls("RunInstances", None, minute..minute + 1, 300);
    }
    shuffled.late = 0;
    shuffled.calls("RunInstances", None, BURST.end..BURST.end + 15, 2);
    assert_eq!(records_of(&shuffled).await, records_of(&short_burst()).await);
}

#[tokio::test]
async fn a_clock_that_goes_back_a_little_in_a_burst_loses_and_doubles_nothing() {
    let mut world = World::default();
    world.calls("RunInstances", None, 0..BURST.start, 2);
    world.calls("RunInstances", None, BURST.start..BURST.start + 10, 300);
    // Ten minutes back and on again: those minutes are waited for, their calls belong to the open one.
    world.batch = 1;
    let mut after = World::default();
    after.calls("RunInstances", None, BURST.start..BURST.end, 300);
    after.calls("RunInstances", None, BURST.end..BURST.end + 15, 2);
    world.append(after);
    let records = records_of(&world).await;
    assert_eq!(records.len(), 2, "{records:#?}");
    let [start, end] = &records[..] else { panic!("a start and an end") };
    assert_eq!(start["sharedEventID"], end["sharedEventID"]);
    assert_eq!(start["eventTime"], (START + Duration::from_secs(BURST.start * 60)).to_iso());
    assert_eq!(end["eventTime"], (START + Duration::from_secs(BURST.end * 60)).to_iso());
    let statistics = &end["insightDetails"]["insightContext"]["statistics"];
    let calls = statistics["insight"]["average"].as_f64().unwrap() * statistics["insightDuration"].as_f64().unwrap();
    assert_eq!(calls.round(), 300.0 * 25.0, "every call counts once");
}

#[tokio::test]
async fn a_clock_that_jumps_within_a_burst_ends_it_or_goes_on_but_pairs_what_it_tells() {
    for jump in [10, 3 * 60, 2 * 1440] {
        let mut world = short_burst();
        let mut after = World::default();
        let from = BURST.end + 15 + jump;
        after.calls("RunInstances", None, from..from + 10, 300);
        after.calls("RunInstances", None, from + 10..from + 30, 2);
        world.append(after);
        let records = records_of(&world).await;
        let states: Vec<&Value> = records.iter().map(|record| &record["insightDetails"]["state"]).collect();
        assert!(!states.is_empty() && states.chunks(2).all(|pair| pair == ["Start", "End"]), "{jump}: {states:?}");
        assert!(records.chunks(2).all(|pair| pair[0]["sharedEventID"] == pair[1]["sharedEventID"]), "{jump}");
    }
}

#[tokio::test]
async fn a_storm_of_a_new_error_is_told_in_the_accounts_first_day() {
    let mut world = World::default();
    world.calls("RunInstances", None, 0..180, 2);
    world.reads("GetObjectAcl", Some("AccessDenied"), 120..125, 2000);
    world.calls("RunInstances", None, 180..200, 2);
    let records = records_of(&world).await;
    assert_eq!(records.len(), 2, "{records:#?}");
    assert_eq!(records[0]["insightDetails"]["errorCode"], "AccessDenied");
    for record in &records {
        let context = &record["insightDetails"]["insightContext"];
        assert_eq!(context["statistics"]["insight"]["average"], 2000.0);
        assert_eq!(context["attributions"][0]["attribute"], "userIdentityArn");
        assert_eq!(context["attributions"][0]["insight"][0]["average"], 2000.0);
        assert_eq!(context["attributions"][0]["baseline"], Value::Array(Vec::new()));
    }
}

#[tokio::test]
async fn after_a_restart_no_minute_is_silent_whose_calls_are_not_read_yet() {
    let (world, server) = (short_burst(), Server::new().await);
    server.run_killed(&world, BURST.start - 30).await;
    server.run_after_a_look_at_the_clock(&world).await;
    assert_eq!(server.records(), records_of(&world).await);
}

#[tokio::test]
async fn in_an_event_data_store_a_record_is_flat() {
    let server = Server::new().await;
    let mut world = World::default();
    world.reads("GetObjectAcl", Some("AccessDenied"), 0..BURST.start, 2);
    world.reads("GetObjectAcl", Some("AccessDenied"), BURST, 300);
    world.reads("GetObjectAcl", Some("AccessDenied"), BURST.end..BURST.end + 15, 2);
    server.run(&world).await;
    let (nested, flat) =
        (&server.records()[1], &server.flat("arn:aws:cloudtrail:eu-central-1:111122223333:eventdatastore/e")[1]);
    for name in ["eventVersion", "eventCategory", "eventType", "eventTime", "awsRegion", "recipientAccountId"] {
        assert_eq!(flat[name], nested[name], "{name}");
    }
    for name in ["eventID", "sharedEventID"] {
        assert!(flat[name].is_string() && flat[name] != nested[name], "another record");
    }
    let details = &nested["insightDetails"];
    for (name, of) in [
        ("insightState", &details["state"]),
        ("insightEventSource", &details["eventSource"]),
        ("insightEventName", &details["eventName"]),
        ("insightErrorCode", &details["errorCode"]),
        ("insightType", &details["insightType"]),
    ] {
        assert!(!of.is_null());
        assert_eq!(&flat[name], of, "{name}");
    }
    assert_eq!(flat["insightSource"], "arn:aws:cloudtrail:eu-central-1:111122223333:eventdatastore/e");
    let (context, statistics) = (&flat["insightContext"], &details["insightContext"]["statistics"]);
    assert_eq!(context["baselineAverage"], statistics["baseline"]["average"]);
    assert_eq!(context["insightAverage"], statistics["insight"]["average"]);
    assert_eq!(context["baselineDuration"], statistics["baselineDuration"]);
    assert_eq!(context["insightDuration"], statistics["insightDuration"]);
    assert_eq!(context["attributions"], details["insightContext"]["attributions"]);
    assert!(flat.get("insightDetails").is_none());
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
