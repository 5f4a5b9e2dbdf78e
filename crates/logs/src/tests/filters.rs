use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_runtime::{OnError, Shutdown, TaskGroup};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{NOW, World};
use crate::{MetricDatum, MetricFilters, MetricSink, SinkError};

const MINUTE: i64 = 60_000;

/// Keeps what was folded, as the real one does: data and position together, each position once.
#[derive(Debug)]
struct Sink {
    state: Mutex<(u64, Vec<MetricDatum>)>,
    position: watch::Sender<u64>,
    fails: Mutex<u32>,
}

impl Sink {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), position: watch::Sender::new(0), fails: Mutex::default() })
    }

    /// Waits until the position is reached.
    async fn reaches(&self, position: u64) {
        let _ = self.position.subscribe().wait_for(|reached| *reached >= position).await;
    }

    /// Sum and count by metric, dimensions and second.
    fn sums(&self) -> BTreeMap<(String, String, i64), (f64, u64)> {
        let mut sums = BTreeMap::new();
        for datum in &self.state.lock().1 {
            let dimensions = format!("{:?}", datum.dimensions);
            let sum: &mut (f64, u64) =
                sums.entry((datum.name.clone(), dimensions, datum.at.as_millis() - NOW)).or_default();
            sum.0 += datum.sum;
            sum.1 += datum.count;
        }
        sums
    }
}

#[async_trait]
impl MetricSink for Sink {
    async fn position(&self, _: &str) -> Result<u64, SinkError> {
        Ok(self.state.lock().0)
    }

    async fn fold(&self, _: &str, position: u64, data: Vec<MetricDatum>) -> Result<(), SinkError> {
        let mut fails = self.fails.lock();
        if *fails > 0 {
            *fails -= 1;
            return Err(SinkError("full".to_owned()));
        }
        let mut state = self.state.lock();
        if position > state.0 {
            state.0 = position;
            state.1.extend(data);
        }
        self.position.send_replace(state.0);
        Ok(())
    }
}

/// The evaluator at work, until it is stopped.
struct Running(TaskGroup);

impl Running {
    fn new(world: &World, sink: &Arc<Sink>) -> Self {
        let tasks = TaskGroup::new(Shutdown::new());
        let filters = MetricFilters::new(world.logs.clone());
        tasks.spawn("filters", OnError::Log, filters.run(sink.clone(), tasks.shutdown().clone()));
        Self(tasks)
    }

    async fn stop(self) {
        self.0.shutdown().begin();
        self.0.join(std::time::Duration::from_secs(60)).await;
    }
}

fn filter(name: &str, pattern: &str, transformation: Value) -> Value {
    let mut all = json!({ "metricName": name, "metricNamespace": "N", "metricValue": "1" });
    all.as_object_mut().unwrap().extend(transformation.as_object().unwrap().clone());
    json!({ "logGroupName": "g", "filterName": name, "filterPattern": pattern, "metricTransformations": [all] })
}

fn key(name: &str, dimensions: &str, second: i64) -> (String, String, i64) {
    (name.to_owned(), dimensions.to_owned(), second)
}

#[tokio::test]
async fn what_matches_is_summed_by_second_and_dimensions_from_the_filters_put_on() {
    let world = World::with_stream("g").await;
    let sink = Sink::new();
    world.put("g", NOW, &[r#"{"n":"x"}"#]).await;
    world.call("PutMetricFilter", filter("count", "{ $.n = x }", json!({}))).await;
    let by = json!({ "metricValue": "$.size", "dimensions": { "Who": "$.who" } });
    world.call("PutMetricFilter", filter("size", "{ $.size = * }", by)).await;
    let running = Running::new(&world, &sink);
    let (a, b) = (r#"{"n":"x","size":2,"who":"a"}"#, r#"{"n":"y","size":"3.5","who":"b"}"#);
    world.put("g", NOW, &[a, b, a, r#"{"size":"many","who":"a"}"#, r#"{"size":7}"#]).await;
    world.put("g", NOW + 1000, &[a]).await;
    sink.reaches(6).await;
    let (a, b) = (r#"[("Who", "a")]"#, r#"[("Who", "b")]"#);
    let expected = [
        (key("count", "[]", 0), (2.0, 2)),
        (key("count", "[]", 1000), (1.0, 1)),
        (key("size", a, 0), (4.0, 2)),
        (key("size", a, 1000), (2.0, 1)),
        (key("size", b, 0), (3.5, 1)),
    ];
    assert_eq!(sink.sums(), BTreeMap::from(expected));
    running.stop().await;
}

#[tokio::test]
async fn each_event_counts_once_over_restarts_and_a_sink_that_fails() {
    let mut world = World::with_stream("g").await;
    let sink = Sink::new();
    world.call("PutMetricFilter", filter("count", "", json!({}))).await;
    for round in 0..4u64 {
        *sink.fails.lock() = 1;
        let running = Running::new(&world, &sink);
        world.put("g", NOW, &["a", "b"]).await;
        while *sink.position.borrow() < 2 * (round + 1) {
            // What failed is tried again a second later.
            world.clock.advance(std::time::Duration::from_millis(50));
            tokio::task::yield_now().await;
        }
        running.stop().await;
        world.logs.maintain().await.unwrap();
        world = world.reopened().await;
    }
    assert_eq!(sink.sums(), BTreeMap::from([(key("count", "[]", 0), (8.0, 8))]));
}

#[tokio::test]
async fn a_filter_that_is_deleted_while_events_wait_counts_them_still() {
    let world = World::with_stream("g").await;
    let sink = Sink::new();
    world.call("PutMetricFilter", filter("f", "a", json!({}))).await;
    world.put("g", NOW, &["a"]).await;
    world.call("PutMetricFilter", filter("f", "b", json!({}))).await;
    world.put("g", NOW, &["a b", "a"]).await;
    world.call("DeleteMetricFilter", json!({ "logGroupName": "g", "filterName": "f" })).await;
    world.put("g", NOW, &["a b"]).await;
    let running = Running::new(&world, &sink);
    sink.reaches(2).await;
    assert_eq!(sink.sums(), BTreeMap::from([(key("f", "[]", 0), (2.0, 2))]));
    running.stop().await;
}

#[tokio::test]
async fn a_default_is_reported_once_for_each_minute_without_a_match() {
    let mut world = World::with_stream("g").await;
    let sink = Sink::new();
    world.call("PutMetricFilter", filter("f", "ERROR", json!({ "defaultValue": 0.0 }))).await;
    let running = Running::new(&world, &sink);
    world.put("g", NOW, &["fine"]).await;
    // The evaluator is killed within the minute and finds out again that events came.
    sink.reaches(2).await;
    running.stop().await;
    world = world.reopened().await;
    let running = Running::new(&world, &sink);
    world.clock.advance(std::time::Duration::from_secs(62));
    sink.reaches(3).await;
    assert_eq!(sink.sums(), BTreeMap::from([(key("f", "[]", 0), (0.0, 1))]));
    running.stop().await;
    world = world.reopened().await;
    let running = Running::new(&world, &sink);
    world.put("g", NOW + MINUTE, &["fine", "ERROR"]).await;
    world.clock.advance(std::time::Duration::from_secs(62));
    world.put("g", NOW + 2 * MINUTE, &["ERROR"]).await;
    sink.reaches(6).await;
    let expected =
        [(key("f", "[]", 0), (0.0, 1)), (key("f", "[]", MINUTE), (1.0, 1)), (key("f", "[]", 2 * MINUTE), (1.0, 1))];
    assert_eq!(sink.sums(), BTreeMap::from(expected));
    running.stop().await;
}

#[tokio::test]
async fn filters_are_listed_tested_and_bounded() {
    let world = World::with_stream("g").await;
    for n in 0..1000 {
        world.call("PutMetricFilter", filter(&format!("f{n:03}"), "x", json!({}))).await;
    }
    let full = world.refused("PutMetricFilter", filter("more", "x", json!({}))).await;
    assert_eq!(full, "LimitExceededException");
    world.call("PutMetricFilter", filter("f000", "y", json!({ "unit": "Count" }))).await;
    let page = world.call("DescribeMetricFilters", json!({ "logGroupName": "g", "limit": 1 })).await;
    let first = &page["metricFilters"][0];
    assert_eq!((&first["filterPattern"], &first["metricTransformations"][0]["unit"]), (&json!("y"), &json!("Count")));
    let next = json!({ "logGroupName": "g", "limit": 50, "nextToken": page["nextToken"] });
    let page = world.call("DescribeMetricFilters", next).await;
    assert_eq!(page["metricFilters"][0]["filterName"], "f001");
    let by_metric = json!({ "metricName": "f042", "metricNamespace": "N" });
    let found = world.call("DescribeMetricFilters", by_metric).await;
    assert_eq!(found["metricFilters"].as_array().unwrap().len(), 1);
    let groups = world.call("DescribeLogGroups", json!({})).await;
    assert_eq!(groups["logGroups"][0]["metricFilterCount"], 1000);
    let test = json!({ "filterPattern": "{ $.a = 1 }", "logEventMessages": ["{\"a\":2}", "{\"a\":1}"] });
    let matches = world.call("TestMetricFilter", test).await;
    let expected = json!([{ "eventNumber": 2, "eventMessage": "{\"a\":1}", "extractedValues": { "$.a": "1" } }]);
    assert_eq!(matches["matches"], expected);
    let gone = json!({ "logGroupName": "g", "filterName": "none" });
    assert_eq!(world.refused("DeleteMetricFilter", gone).await, "ResourceNotFoundException");
}
