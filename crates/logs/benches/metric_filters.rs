//! How fast metric filters are evaluated: 500 filters of five groups' kinds over chunks of 800 events of a trail, from append
//! to fold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentrail_identity::{AccountSpec, Directory};
use opentrail_logs::{GroupPlace, LogEvent, Logs, MetricDatum, MetricFilters, MetricSink, ServiceBatch, SinkError};
use opentrail_runtime::{OnError, Shutdown, SystemClock, SystemRandom, TaskGroup};
use tokio::sync::watch;

const EVENTS: usize = 800;
/// What a group has at most.
const FILTERS: usize = 100;
const GROUPS: usize = 5;

#[derive(Debug)]
struct Sink(watch::Sender<u64>);

#[async_trait]
impl MetricSink for Sink {
    async fn position(&self, _: &str) -> Result<u64, SinkError> {
        Ok(*self.0.borrow())
    }

    async fn fold(&self, _: &str, position: u64, _: Vec<MetricDatum>) -> Result<(), SinkError> {
        self.0.send_replace(position);
        Ok(())
    }
}

fn record(number: usize) -> String {
    let mut text = format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","userName":"u{}","accountId":"111122223333"}},"eventTime":"2026-01-02T03:04:05Z","eventSource":"s{}.amazonaws.com","eventName":"Operation{}","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.{}","requestParameters":{{"text":""#,
        number % 50,
        number % 20,
        number % 200,
        number % 256,
    );
    while text.len() < 1_230 {
        text.push_str(&format!("{:x} ", number * text.len()));
    }
    text.push_str("\"}}");
    text
}

fn evaluate(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let files = tempfile::tempdir().expect("a directory");
    let account = "111122223333".parse().expect("an account");
    let places: Vec<GroupPlace> = (0..GROUPS)
        .map(|n| GroupPlace { account, region: "eu-west-1".parse().expect("a Region"), name: format!("bench{n}") })
        .collect();
    let sink = Arc::new(Sink(watch::Sender::new(0)));
    let tasks = TaskGroup::new(Shutdown::new());
    let logs = runtime.block_on(async {
        let directory = Arc::new(Directory::new(vec![AccountSpec::new(account)]).expect("a directory"));
        let path = files.path().join("logs.sqlite");
        let (logs, writer) =
            Logs::open(&path, directory, Arc::new(SystemClock), Arc::new(SystemRandom)).await.expect("a file");
        tasks.spawn("writer", OnError::Log, writer.run(tasks.shutdown().clone()));
        for place in &places {
            logs.create_group(place).await.expect("a group");
            for n in 0..FILTERS {
                let pattern =
                    format!("{{ ($.eventSource = s{}.amazonaws.com) && ($.eventName = Operation{n}) }}", n % 20);
                logs.put_filter(place, &format!("f{n}"), &pattern, "N", &format!("M{n}")).await.expect("a filter");
            }
        }
        tasks.spawn(
            "filters",
            OnError::Log,
            MetricFilters::new(logs.clone()).run(sink.clone(), tasks.shutdown().clone()),
        );
        logs
    });
    let events: Vec<LogEvent> = (0..EVENTS)
        .map(|number| LogEvent { timestamp: 1_767_322_800_000 + number as i64, message: record(number) })
        .collect();
    let position = AtomicU64::new(0);
    let mut group = c.benchmark_group("metric filters");
    group.throughput(Throughput::Elements((EVENTS * GROUPS) as u64));
    group.bench_function("from append to fold, 5 groups of 100 filters", |bench| {
        bench.to_async(&runtime).iter(|| {
            let (logs, places, events, sink) = (logs.clone(), places.clone(), events.clone(), sink.clone());
            let next = position.fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                let batch = |group: &GroupPlace| ServiceBatch {
                    group: group.clone(),
                    stream: "trail".to_owned(),
                    events: events.clone(),
                };
                logs.append("bench", next, places.iter().map(batch).collect()).await.expect("appended");
                let through = 2 * logs.last_sequence();
                let _ = sink.0.subscribe().wait_for(|folded| *folded >= through).await;
            }
        });
    });
    group.finish();
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
