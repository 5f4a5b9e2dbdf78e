//! How many events a second are appended: batches of 800 events of 1.25 KB, as a trail delivers them, made durable one
//! after the other.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use opentrail_identity::{AccountSpec, Directory};
use opentrail_logs::{GroupPlace, LogEvent, Logs, ServiceBatch};
use opentrail_runtime::{OnError, Shutdown, SystemClock, SystemRandom, TaskGroup};

const EVENTS: usize = 800;

fn record(number: usize) -> String {
    let digits =
        |n: usize| format!("{:08x}-{:04x}-4a5b-8c6d-{:012x}", n.wrapping_mul(2_654_435_761), n % 65_536, n * 7_919);
    let mut text = format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROA{:08X}:session-{}","arn":"arn:aws:sts::111122223333:assumed-role/deploy/session-{}","accountId":"111122223333"}},"eventTime":"2026-01-02T03:04:{:02}Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances{}","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.{}","userAgent":"aws-cli/2.15.0","requestID":"{}","eventID":"{}","readOnly":true,"requestParameters":{{"filterSet":{{"items":["#,
        number.wrapping_mul(40_503),
        number % 50,
        number % 50,
        number % 60,
        number % 40,
        number % 256,
        digits(number),
        digits(number + 1),
    );
    while text.len() < 1_200 {
        text.push_str(&format!(r#"{{"name":"tag:id","value":"i-{}"}},"#, digits(text.len() * number)));
    }
    text.truncate(1_240);
    text.push_str("\"]}}}");
    text
}

fn append(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let files = tempfile::tempdir().expect("a directory");
    let account = "111122223333".parse().expect("an account");
    let place = GroupPlace { account, region: "eu-west-1".parse().expect("a Region"), name: "bench".to_owned() };
    let logs = runtime.block_on(async {
        let directory = Arc::new(Directory::new(vec![AccountSpec::new(account)]).expect("a directory"));
        let path = files.path().join("logs.sqlite");
        let (logs, writer) =
            Logs::open(&path, directory, Arc::new(SystemClock), Arc::new(SystemRandom)).await.expect("a file");
        let tasks = TaskGroup::new(Shutdown::new());
        tasks.spawn("writer", OnError::Log, writer.run(tasks.shutdown().clone()));
        logs.create_group(&place).await.expect("a group");
        logs
    });
    let events: Vec<LogEvent> = (0..EVENTS)
        .map(|number| LogEvent { timestamp: 1_767_322_800_000 + number as i64, message: record(number) })
        .collect();
    let position = AtomicU64::new(0);
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function(BenchmarkId::new("durable batches", EVENTS), |bench| {
        bench.to_async(&runtime).iter(|| {
            let (logs, place, events) = (logs.clone(), place.clone(), events.clone());
            let next = position.fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                let batch = ServiceBatch { group: place, stream: "trail".to_owned(), events };
                black_box(logs.append("bench", next, vec![batch]).await.expect("appended"));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
