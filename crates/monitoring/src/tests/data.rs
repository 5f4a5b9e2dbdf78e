use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NOW, World, account};
use crate::store::{Scope, Span};
use crate::{Datum, MetricName, Resolution, Settings, Statistic, StoreError, Stored, Summary};

#[tokio::test]
async fn what_is_put_is_got_by_each_operation() {
    let world = World::new().await;
    let datum = |value| {
        json!({ "MetricName": "latency", "Value": value, "Unit": "Milliseconds",
        "Dimensions": [{ "Name": "Host", "Value": "a" }] })
    };
    let input = json!({ "Namespace": "App", "MetricData": [datum(1.0), datum(3.0), {
        "MetricName": "latency", "Values": [5.0, 7.0], "Counts": [2.0, 1.0], "Unit": "Milliseconds",
        "Dimensions": [{ "Name": "Host", "Value": "a" }] }] });
    world.call("PutMetricData", input).await;
    let start = NOW.as_secs() - 60;
    let ask = json!({ "Namespace": "App", "MetricName": "latency", "StartTime": start, "EndTime": start + 120,
        "Period": 60, "Dimensions": [{ "Name": "Host", "Value": "a" }],
        "Statistics": ["SampleCount", "Sum", "Average", "Minimum", "Maximum"] });
    let found = world.call("GetMetricStatistics", ask.clone()).await;
    assert_eq!(
        found["Datapoints"],
        json!([{ "Timestamp": NOW.as_secs(), "SampleCount": 5.0, "Average": 4.2, "Sum": 21.0, "Minimum": 1.0,
            "Maximum": 7.0, "Unit": "Milliseconds" }])
    );
    let mut extended = ask;
    extended.as_object_mut().unwrap().remove("Statistics");
    extended["ExtendedStatistics"] = json!(["p50", "p99.9"]);
    let found = world.call("GetMetricStatistics", extended).await;
    assert_eq!(found["Datapoints"][0]["ExtendedStatistics"], json!({ "p50": 5.0, "p99.9": 7.0 }));

    let metric =
        json!({ "Namespace": "App", "MetricName": "latency", "Dimensions": [{ "Name": "Host", "Value": "a" }] });
    let stat = |stat: &str| json!({ "Metric": metric, "Period": 60, "Stat": stat });
    let queries = json!([
        { "Id": "rate", "Expression": "total / number", "Label": "mean" },
        { "Id": "total", "MetricStat": stat("Sum"), "ReturnData": false },
        { "Id": "number", "MetricStat": stat("SampleCount") },
    ]);
    let input = json!({ "MetricDataQueries": queries, "StartTime": start, "EndTime": start + 120 });
    let found = world.call("GetMetricData", input).await;
    let results = found["MetricDataResults"].as_array().unwrap();
    let told = |i: usize| (results[i]["Label"].as_str().unwrap(), results[i]["Values"].clone());
    assert_eq!(results.len(), 2);
    assert_eq!((told(0), told(1)), (("mean", json!([4.2])), ("latency", json!([5.0]))));

    let found = world.call("ListMetrics", json!({ "Namespace": "App" })).await;
    assert_eq!(found["Metrics"], json!([metric]));
    let elsewhere = json!({ "Dimensions": [{ "Name": "Host", "Value": "b" }] });
    assert_eq!(world.call("ListMetrics", elsewhere).await["Metrics"], json!([]));
}

#[tokio::test]
async fn bad_data_are_refused_by_name() {
    let world = World::new().await;
    let now = NOW.as_secs();
    for (datum, error, told) in [
        (json!({ "MetricName": "m" }), "MissingRequiredParameterException", "at least one"),
        (json!({ "MetricName": "m", "Value": 1, "Values": [1] }), "InvalidParameterCombinationException", "mutually"),
        (
            json!({ "MetricName": "m", "Values": [1], "Counts": [1, 2] }),
            "InvalidParameterCombinationException",
            "same size",
        ),
        (json!({ "MetricName": "m", "Values": [1], "Counts": [0] }), "InvalidParameterValueException", "above 0"),
        (json!({ "MetricName": "m", "Value": 1e200 }), "InvalidParameterValueException", "2^360"),
        (json!({ "MetricName": "m", "Value": 1, "StorageResolution": 5 }), "InvalidParameterValueException", "1 or 60"),
        (json!({ "MetricName": "m", "Value": 1, "Timestamp": now + 7201 }), "InvalidParameterValueException", "future"),
        (
            json!({ "MetricName": "m", "Value": 1, "Timestamp": now - 14 * 86_400 - 1 }),
            "InvalidParameterValueException",
            "two weeks",
        ),
        (
            json!({ "MetricName": "m", "Value": 1, "Dimensions": [{ "Name": "a", "Value": "1" }, { "Name": "a", "Value": "2" }] }),
            "InvalidParameterValueException",
            "repeats",
        ),
        (json!({ "MetricName": "", "Value": 1 }), "ValidationException", "length greater than or equal to 1"),
        (json!({ "MetricName": "m", "Value": "x" }), "SerializationException", "Double"),
    ] {
        let input = json!({ "Namespace": "App", "MetricData": [datum] });
        let (name, message) = world.refused("PutMetricData", input).await;
        assert_eq!(name, error, "{message}");
        assert!(message.to_lowercase().contains(&told.to_lowercase()), "{message}");
    }
    let (name, _) = world.refused("PutMetricData", json!({ "Namespace": "AWS/EC2", "MetricData": [] })).await;
    assert_eq!(name, "InvalidParameterValueException");
    let many: Vec<Value> = (0..1001).map(|_| json!({ "MetricName": "m", "Value": 1 })).collect();
    let (name, _) = world.refused("PutMetricData", json!({ "Namespace": "App", "MetricData": many })).await;
    assert_eq!(name, "InvalidParameterValueException");
}

#[tokio::test]
async fn a_caller_may_what_policies_allow() {
    let world = World::new().await;
    let put = |namespace: &str| json!({ "Namespace": namespace, "MetricData": [{ "MetricName": "m", "Value": 1 }] });
    assert_eq!(world.call_as("AKIAALICE", "PutMetricData", put("Hers")).await.0, 200);
    let (status, body) = world.call_as("AKIAALICE", "PutMetricData", put("Others")).await;
    assert_eq!((status, body["__type"].as_str()), (403, Some("AccessDeniedException")));
    let (status, body) = world.call_as("AKIAALICE", "DeleteAlarms", json!({ "AlarmNames": ["a"] })).await;
    assert_eq!(status, 403);
    assert!(body["message"].as_str().unwrap().contains("arn:aws:cloudwatch:eu-west-1:111122223333:alarm:a"), "{body}");
}

#[tokio::test]
async fn answers_come_in_pages() {
    let world = World::new().await;
    for i in 0..10_u64 {
        world.put("m", NOW - Duration::from_secs(60 * i), i as f64).await;
    }
    let stat = json!({ "Metric": { "Namespace": "App", "MetricName": "m" }, "Period": 60, "Stat": "Sum" });
    let query = |id: &str| json!({ "Id": id, "MetricStat": stat });
    let mut input = json!({ "MetricDataQueries": [query("a"), query("b")], "StartTime": NOW.as_secs() - 3600,
        "EndTime": NOW.as_secs() + 60, "MaxDatapoints": 7 });
    let mut values: Vec<Vec<f64>> = vec![Vec::new(), Vec::new()];
    let mut pages = 0;
    loop {
        let page = world.call("GetMetricData", input.clone()).await;
        pages += 1;
        for (i, result) in page["MetricDataResults"].as_array().unwrap().iter().enumerate() {
            values[i].extend(result["Values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()));
        }
        match page["NextToken"].as_str() {
            Some(token) => input["NextToken"] = token.into(),
            None => break,
        }
    }
    let expected: Vec<f64> = (0..10).map(f64::from).collect();
    assert_eq!((pages, &values[0], &values[1]), (3, &expected, &expected));
    input["MaxDatapoints"] = 8.into();
    assert_eq!(world.refused("GetMetricData", input).await.0, "InvalidNextToken");
}

#[tokio::test]
async fn metrics_are_listed_in_pages_and_only_while_active() {
    let world = World::new().await;
    let data: Vec<Datum> = (0..620).map(|i| world.datum(&format!("m{i:03}"), NOW, 1.0)).collect();
    world.monitoring.metrics().put(&data).await.unwrap();
    let first = world.call("ListMetrics", json!({})).await;
    let second = world.call("ListMetrics", json!({ "NextToken": first["NextToken"] })).await;
    assert_eq!(first["Metrics"].as_array().unwrap().len(), 500);
    assert_eq!(second["Metrics"][119]["MetricName"], "m619");
    assert!(second["NextToken"].is_null());
    world.clock.advance(Duration::from_secs(4 * 3600));
    assert_eq!(world.call("ListMetrics", json!({ "RecentlyActive": "PT3H" })).await["Metrics"], json!([]));
    world.clock.advance(Duration::from_secs(14 * 86_400));
    assert_eq!(world.call("ListMetrics", json!({})).await["Metrics"], json!([]));
}

#[tokio::test]
async fn a_position_is_folded_once() {
    let world = World::new().await;
    let metrics = world.monitoring.metrics();
    let data = || vec![world.datum("m", NOW, 1.0)];
    assert_eq!(metrics.position("filters").await.unwrap(), None);
    let stored = Stored { kept: 1, expired: 0, refused: 0 };
    assert_eq!(super::sends(metrics.fold("filters", 10, data())).await.unwrap(), Some(stored));
    assert_eq!(metrics.fold("filters", 10, data()).await.unwrap(), None);
    assert_eq!(metrics.fold("filters", 9, data()).await.unwrap(), None);
    assert_eq!(metrics.fold("others", 9, data()).await.unwrap(), Some(stored));
    assert_eq!(metrics.fold("filters", 11, Vec::new()).await.unwrap(), Some(Stored::default()));
    assert_eq!(metrics.position("filters").await.unwrap(), Some(11));
    assert_eq!(sum(&world, "m").await, 2.0);
}

#[tokio::test]
async fn an_account_has_so_many_metrics_and_no_more() {
    let settings = Settings { max_metrics_per_account: 2, ..Settings::default() };
    let world = World::with(super::Performed::default(), settings).await;
    world.put("a", NOW, 1.0).await;
    let both = [world.datum("b", NOW, 1.0), world.datum("c", NOW, 1.0)];
    let refused = world.monitoring.metrics().put(&both).await;
    assert!(matches!(refused, Err(StoreError::TooManyMetrics { limit: 2, .. })), "{refused:?}");
    let input = json!({ "Namespace": "App", "MetricData": [
        { "MetricName": "b", "Value": 1, "Unit": "Count" }, { "MetricName": "c", "Value": 1 }] });
    assert_eq!(world.refused("PutMetricData", input).await.0, "LimitExceededFault");
    // None of the refused was kept, so that there is room for one.
    world.put("c", NOW, 1.0).await;
    let folded = world.monitoring.metrics().fold("s", 1, both.to_vec()).await.unwrap().unwrap();
    assert_eq!(folded, Stored { kept: 1, expired: 0, refused: 1 });
}

async fn sum(world: &World, name: &str) -> f64 {
    let span = Span { start: NOW.as_secs() - 3600, end: NOW.as_secs() + 3600, period: 3600 };
    let scope = Scope { account: account(), region: super::region() };
    let metric = MetricName::new("App", name, []);
    let read = world.monitoring.metrics().store.read(&scope, &metric, None, span, NOW).await.unwrap();
    read.values().map(|values| values.sum).sum()
}

#[tokio::test]
async fn old_points_become_coarser_and_lose_nothing_else() {
    let world = World::new().await;
    let metrics = world.monitoring.metrics();
    let high = |secs: u64, value: f64| Datum {
        resolution: Resolution::High,
        ..world.datum("m", NOW + Duration::from_secs(secs), value)
    };
    let data: Vec<Datum> = (0..600).map(|secs| high(secs, secs as f64)).collect();
    metrics.put(&data).await.unwrap();
    let scope = Scope { account: account(), region: super::region() };
    let metric = MetricName::new("App", "m", []);
    let start = NOW.as_secs();
    for (days, periods, counts) in [
        (0, 1, Some(600)),
        (1, 1, None),
        (1, 60, Some(10)),
        (16, 60, None),
        (16, 300, Some(2)),
        (64, 300, None),
        (64, 3600, Some(1)),
        (456, 3600, None),
    ] {
        let now = NOW + Duration::from_secs(days * 86_400 + 600);
        world.clock.set(now);
        // Time passes only with data.
        metrics.put(&[world.datum("other", now, 1.0)]).await.unwrap();
        world.background.keep_house_once().await;
        let span = Span { start, end: start + 600, period: periods };
        let read = metrics.store.read(&scope, &metric, None, span, now).await.unwrap();
        assert_eq!(read.len(), counts.unwrap_or(0), "{periods} s after {days} days");
        let total: f64 = read.values().map(|values| values.sum).sum();
        let p50 = |values: &Summary| "p50".parse::<Statistic>().unwrap().of(values).unwrap();
        if counts.is_some() {
            assert_eq!(total, (0..600).map(f64::from).sum::<f64>());
            let middle = read.values().map(p50).sum::<f64>() / read.len() as f64;
            assert!((middle - 299.0).abs() < 6.0, "{periods}: {middle}");
        }
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM point").fetch_one(metrics.store.pool()).await.unwrap();
    let points_of_other = 5;
    assert!(left <= points_of_other, "{left}");
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_takes_nothing_away() {
    let world = World::new().await;
    world.put("m", NOW, 5.0).await;
    world.clock.advance(Duration::from_secs(1000 * 86_400));
    world.background.keep_house_once().await;
    world.clock.set(NOW);
    world.background.keep_house_once().await;
    assert_eq!(sum(&world, "m").await, 5.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However data come, in whatever order and transactions, what is read is what a naive evaluator makes of them.
    #[test]
    fn reading_agrees_with_a_naive_evaluator(
        batches in prop::collection::vec(prop::collection::vec((0..900_u64, 0..50_i32, any::<bool>()), 1..20), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let metrics = world.monitoring.metrics();
            let mut all: Vec<(i64, f64)> = Vec::new();
            for batch in &batches {
                let data: Vec<Datum> = batch.iter().map(|(secs, value, is_high)| {
                    let time = NOW - Duration::from_secs(900) + Duration::from_secs(*secs);
                    all.push((time.as_secs().div_euclid(60) * 60, f64::from(*value)));
                    let resolution = if *is_high { Resolution::High } else { Resolution::Standard };
                    Datum { resolution, ..world.datum("m", time, f64::from(*value)) }
                }).collect();
                metrics.put(&data).await.unwrap();
            }
            let scope = Scope { account: account(), region: super::region() };
            let metric = MetricName::new("App", "m", []);
            let span = Span { start: NOW.as_secs() - 900, end: NOW.as_secs(), period: 60 };
            let read = metrics.store.read(&scope, &metric, None, span, NOW).await.unwrap();
            for period in span.periods() {
                let mut values: Vec<f64> =
                    all.iter().filter(|(time, _)| *time == period).map(|(_, value)| *value).collect();
                values.sort_by(f64::total_cmp);
                match read.get(&period) {
                    None => assert!(values.is_empty()),
                    Some(summary) => {
                        assert_eq!(Statistic::SampleCount.of(summary), Some(values.len() as f64));
                        assert_eq!(Statistic::Sum.of(summary), Some(values.iter().sum()));
                        assert_eq!(Statistic::Maximum.of(summary), values.last().copied());
                        let rank = (values.len() as f64 * 0.9).ceil() as usize;
                        assert_eq!(Statistic::Percentile(90.0).of(summary), Some(values[rank - 1]));
                    }
                }
            }
        });
    }
}
