//! How long lookups take, and how many bytes an event takes on disk: `cargo bench -p opentrail-history`.
//!
//! `OPENTRAIL_BENCH_EVENTS` (default 200,000) events of about 1.25 KB are spread over 90 days. Prints p50 and p99 per
//! attribute, common values and rare ones, first with cold caches of ours (the system's page cache is warm).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_history::{Category, History, HistoryOptions, LookupAttribute, LookupQuery};
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};
use opentrail_projection::Projection;
use opentrail_runtime::{ManualClock, Random, SeededRandom};

const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);
const SPAN_MILLIS: u64 = 89 * 24 * 60 * 60 * 1000;
const BATCH: u64 = 2_000;
const LOOKUPS: usize = 200;
const SERVICES: [(&str, &str, &str); 6] = [
    ("iam.amazonaws.com", "GetUser", "userName"),
    ("s3.amazonaws.com", "GetBucketAcl", "bucketName"),
    ("kms.amazonaws.com", "DescribeKey", "keyId"),
    ("ec2.amazonaws.com", "StopInstances", "instanceId"),
    ("lambda.amazonaws.com", "UpdateFunctionCode", "functionName"),
    ("sts.amazonaws.com", "AssumeRole", "roleArn"),
];

fn record(i: u64, events: u64, random: &SeededRandom) -> String {
    let (source, name, parameter) = SERVICES[(i % 6) as usize];
    // One user in a thousand events is rare: seen once in the whole history.
    let user = if i.is_multiple_of(1000) { format!("rare-{i}") } else { format!("worker-{}", i % 40) };
    let key = random.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16);
    let key = if i.is_multiple_of(1000) { key } else { format!("EXAMPLEKEY{:06}", i % 200) };
    let time = NOW - Duration::from_millis(SPAN_MILLIS - i * SPAN_MILLIS / events);
    let pad = "Mozilla/5.0 (X11; Linux x86_64) aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8 lang/python#3.13";
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLE:{user}","arn":"arn:aws:sts::111122223333:assumed-role/Batch/{user}","accountId":"111122223333","accessKeyId":"ASIA{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/Batch","accountId":"111122223333","userName":"Batch"}},"attributes":{{"creationDate":"{time}","mfaAuthenticated":"false"}}}}}},"eventTime":"{time}","eventSource":"{source}","eventName":"{name}","awsRegion":"us-east-1","sourceIPAddress":"198.51.{}.{}","userAgent":"[{pad}]","requestParameters":{{"{parameter}":"thing-{}"}},"responseElements":null,"requestID":"{}","eventID":"{}","readOnly":{},"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{source}"}}}}"#,
        i % 7,
        i % 250,
        i % 500,
        random.uuid(),
        random.uuid(),
        !i.is_multiple_of(3),
    )
}

fn main() {
    let events = std::env::var("OPENTRAIL_BENCH_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(run(events));
}

async fn run(events: u64) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let clock = Arc::new(ManualClock::new(NOW));
    let options = HistoryOptions { flush_age: Duration::from_secs(u32::MAX.into()), ..HistoryOptions::default() };
    let (mut projection, history) = History::open(dir.path(), options, clock).await.expect("a history opens");
    let random = SeededRandom::new(7);
    let mut raw_bytes = 0;
    let (mut folding, mut ids) = (Duration::ZERO, Vec::new());
    for first in (1..=events).step_by(BATCH as usize) {
        let entries: Vec<Entry> = (first..=events.min(first + BATCH - 1))
            .map(|i| Entry {
                position: Position(i),
                source: Source::Records,
                account: "111122223333".parse().expect("an account id"),
                received: NOW,
                body: Bytes::from(record(i, events, &random)),
            })
            .collect();
        raw_bytes += entries.iter().map(|entry| entry.body.len()).sum::<usize>();
        let begun = Instant::now();
        let batch = Arc::new(EventBatch::decode(Position(first - 1), &entries));
        projection.apply(&batch).await.expect("applied");
        folding += begun.elapsed();
        ids.push(batch.event(0).id().expect("an id").to_owned());
    }
    let begun = Instant::now();
    projection.finish().await.expect("flushed");
    folding += begun.elapsed();
    let (files, stored) = stored(dir.path());
    println!(
        "{events} events of {} bytes, folded in at {:.0}/s",
        raw_bytes as u64 / events,
        events as f64 / folding.as_secs_f64()
    );
    println!("{:.1} bytes per event in {files} files", stored as f64 / events as f64);

    let rare = |i: usize| format!("rare-{}", 1000 * (1 + (i as u64 * 7) % (events / 1000).max(1)));
    type Pick<'a> = Box<dyn Fn(usize) -> Option<LookupAttribute> + 'a>;
    let kinds: Vec<(&str, Pick<'_>)> = vec![
        ("no attribute", Box::new(|_| None)),
        ("EventId", Box::new(|i| Some(LookupAttribute::EventId(ids[i * 31 % ids.len()].clone())))),
        ("EventId, absent", Box::new(|i| Some(LookupAttribute::EventId(format!("absent-{i}"))))),
        ("Username, common", Box::new(|i| Some(LookupAttribute::Username(format!("worker-{}", i % 40))))),
        ("Username, once", Box::new(|i| Some(LookupAttribute::Username(rare(i))))),
        ("EventName", Box::new(|i| Some(LookupAttribute::EventName(SERVICES[i % 6].1.into())))),
        ("EventSource", Box::new(|i| Some(LookupAttribute::EventSource(SERVICES[i % 6].0.into())))),
        ("ReadOnly", Box::new(|i| Some(LookupAttribute::ReadOnly(i % 2 == 0)))),
        ("AccessKeyId", Box::new(|i| Some(LookupAttribute::AccessKeyId(format!("ASIAEXAMPLEKEY{:06}", i % 200))))),
        ("ResourceType", Box::new(|_| Some(LookupAttribute::ResourceType("AWS::KMS::Key".into())))),
        ("ResourceName", Box::new(|i| Some(LookupAttribute::ResourceName(format!("thing-{}", i % 500))))),
    ];
    for (name, attribute) in kinds {
        let mut times = Vec::with_capacity(LOOKUPS);
        let mut found = 0;
        for i in 0..LOOKUPS {
            let query = LookupQuery {
                account: "111122223333".parse().expect("an account id"),
                region: "us-east-1".parse().expect("a Region"),
                category: Category::Management,
                attribute: attribute(i),
                start: None,
                end: None,
                max_results: 50,
                before: None,
            };
            let begun = Instant::now();
            found += history.lookup(&query).await.expect("looked up").events.len();
            times.push(begun.elapsed());
        }
        let first = times[0];
        times.sort_unstable();
        let (p50, p99) = (times[LOOKUPS / 2], times[LOOKUPS * 99 / 100]);
        println!("{name:<18} p50 {p50:>9.2?}  p99 {p99:>9.2?}  first {first:>9.2?}  {:>4} found", found / LOOKUPS);
    }
}

/// Parquet files below `dir` and their bytes.
fn stored(dir: &std::path::Path) -> (usize, u64) {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.fold((0, 0), |(files, bytes), path| {
        if path.is_dir() && !path.ends_with("_delta_log") {
            let (more, size) = stored(&path);
            (files + more, bytes + size)
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            (files + 1, bytes + path.metadata().expect("metadata").len())
        } else {
            (files, bytes)
        }
    })
}
