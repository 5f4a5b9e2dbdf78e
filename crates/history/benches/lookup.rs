//! How long lookups take, and how many bytes an event takes on disk: `cargo bench -p opentrail-history`.
//!
//! `OPENTRAIL_BENCH_EVENTS` (default 1,000,000) events of about 1.27 KB are spread over 89 days and merged as a server
//! merges them. Prints p50 and p99 per attribute for values that many events have, that a few dozen events far apart
//! have, that one has, that none has: first the lookup with cold caches of ours (the system's page cache is warm).
//! The records are like those of `bench/`. `OPENTRAIL_BENCH_DIR` keeps the table there, for the next run to open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_history::{Category, History, HistoryOptions, HistoryProjection, LookupAttribute, LookupQuery};
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};
use opentrail_projection::Projection;
use opentrail_runtime::ManualClock;

const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);
const SPAN_MILLIS: u64 = 89 * 24 * 60 * 60 * 1000;
const BATCH: u64 = 1_000;
/// One record in so many is by somebody who is seen only once.
const RARE: u64 = 1000;
/// So many events, spread over the whole history, are by each of a few users who are seen now and then.
const SCATTERED: u64 = 60;
/// Service, operation, the parameter that names the resource, the resource's type, whether it only reads.
const OPERATIONS: [(&str, &str, &str, &str, bool); 12] = [
    ("sts", "AssumeRole", "roleArn", "AWS::IAM::Role", true),
    ("sts", "GetCallerIdentity", "", "", true),
    ("s3", "GetBucketAcl", "bucketName", "AWS::S3::Bucket", true),
    ("s3", "ListBuckets", "", "", true),
    ("kms", "Decrypt", "keyId", "AWS::KMS::Key", true),
    ("ec2", "DescribeInstances", "", "", true),
    ("ec2", "RunInstances", "instanceId", "AWS::EC2::Instance", false),
    ("iam", "CreateUser", "userName", "AWS::IAM::User", false),
    ("iam", "AttachRolePolicy", "roleName", "AWS::IAM::Role", false),
    ("lambda", "UpdateFunctionCode20150331v2", "functionName", "AWS::Lambda::Function", false),
    ("dynamodb", "UpdateTable", "tableName", "AWS::DynamoDB::Table", false),
    ("cloudtrail", "LookupEvents", "", "", true),
];
const AGENTS: [&str; 4] = [
    "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0",
    "Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux#5.10.240",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.1 terraform-provider-aws/6.11.0",
    "ec2.amazonaws.com",
];

/// SplitMix64's end: a number out of two.
fn chance(number: u64, of: u64) -> u64 {
    let state = (number ^ of << 40).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let state = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ state >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ state >> 31
}

fn uuid(a: u64, b: u64) -> String {
    let (b, node) = (0x8000 | b >> 48 & 0x3FFF, b & 0xFFFF_FFFF_FFFF);
    format!("{:08x}-{:04x}-4{:03x}-{b:04x}-{node:012x}", a >> 32, a >> 16 & 0xFFFF, a & 0xFFF)
}

fn event_id(i: u64) -> String {
    uuid(chance(i, 1), chance(i, 2))
}

fn operation(i: u64) -> (&'static str, &'static str, &'static str, &'static str, bool) {
    OPERATIONS[(chance(i, 3) % OPERATIONS.len() as u64) as usize]
}

fn user(i: u64, events: u64) -> String {
    let stretch = (events / SCATTERED).max(1);
    if i.is_multiple_of(RARE) {
        format!("visitor-{i}")
    } else if i % stretch < 20 {
        format!("seldom-{:02}", i % stretch)
    } else {
        format!("session-{:03}", chance(i, 4) % 60)
    }
}

fn access_key(i: u64) -> String {
    if i.is_multiple_of(RARE) { format!("ASIARARE{i:012}") } else { format!("ASIAEXAMPLE{:09}", chance(i, 5) % 400) }
}

fn resource(i: u64) -> String {
    format!("thing-{:05}", chance(i, 6) % 5000)
}

fn record(i: u64, events: u64) -> String {
    let (service, name, parameter, kind, read_only) = operation(i);
    let (user, key, id, resource) = (user(i, events), access_key(i), event_id(i), resource(i));
    let time = NOW - Duration::from_millis(SPAN_MILLIS - i * SPAN_MILLIS / events);
    let created = time - Duration::from_millis(chance(i, 7) % 3_600_000);
    let agent = AGENTS[(chance(i, 8) % 4) as usize];
    let role = ["deployer", "batch", "web", "etl", "auditor", "operator"][(chance(i, 9) % 6) as usize];
    let principal = format!("AROA{:017X}", chance(i, 10) % 48 * 0x9E37_79B9);
    let (ip, port) = (chance(i, 11), chance(i, 12) % 50_000);
    let request = if parameter.is_empty() {
        format!(r#""requestParameters":{{"maxResults":{}}},"#, 50 + port % 50)
    } else {
        format!(
            r#""requestParameters":{{"{parameter}":"{resource}"}},"resources":[{{"accountId":"111122223333","type":"{kind}","ARN":"arn:aws:{service}:us-east-1:111122223333:{resource}"}}],"#
        )
    };
    let response = match read_only {
        true => "null".to_owned(),
        false => format!(r#"{{"requestId":"{:016x}","version":{port}}}"#, chance(i, 13)),
    };
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"{principal}:{user}","arn":"arn:aws:sts::111122223333:assumed-role/{role}/{user}","accountId":"111122223333","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{principal}","arn":"arn:aws:iam::111122223333:role/{role}","accountId":"111122223333","userName":"{role}"}},"attributes":{{"creationDate":"{}","mfaAuthenticated":"false"}}}}}},"eventTime":"{}","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"us-east-1","sourceIPAddress":"198.51.{}.{}","userAgent":"{agent}",{request}"responseElements":{response},"requestID":"{}","eventID":"{id}","readOnly":{read_only},"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.us-east-1.amazonaws.com"}}}}"#,
        created.to_iso(),
        time.to_iso(),
        ip % 16,
        ip / 16 % 250,
        uuid(chance(i, 14), chance(i, 15)),
    )
}

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let events = number("OPENTRAIL_BENCH_EVENTS").unwrap_or(1_000_000);
    let lookups = number("OPENTRAIL_BENCH_LOOKUPS").unwrap_or(200) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(run(events, lookups));
}

async fn run(events: u64, lookups: usize) {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = std::env::var_os("OPENTRAIL_BENCH_DIR").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let (mut projection, history) = open(&dir).await;
    if projection.resume().await.expect("a position") == Position::START {
        fill(&mut projection, &history, events).await;
    }
    let (files, stored) = stored(&dir);
    println!("{:.1} bytes per event in {files} files; memory {}", stored as f64 / events as f64, memory());
    drop((projection, history));
    // As after a start, so that the first lookups are cold.
    let (_projection, history) = open(&dir).await;
    search(&history, events, lookups).await;
    println!("memory {}", memory());
}

async fn open(dir: &Path) -> (HistoryProjection, History) {
    let clock = Arc::new(ManualClock::new(NOW));
    let options = HistoryOptions { flush_age: Duration::from_secs(u32::MAX.into()), ..HistoryOptions::default() };
    History::open(dir, options, clock).await.expect("a history opens")
}

async fn fill(projection: &mut HistoryProjection, history: &History, events: u64) {
    let (mut folding, mut merging, mut raw_bytes) = (Duration::ZERO, Duration::ZERO, 0);
    for first in (1..=events).step_by(BATCH as usize) {
        let last = events.min(first + BATCH - 1);
        let entries: Vec<Entry> = (first..=last)
            .map(|i| Entry {
                position: Position(i),
                source: Source::Records,
                account: "111122223333".parse().expect("an account id"),
                received: NOW,
                body: Bytes::from(record(i, events)),
            })
            .collect();
        raw_bytes += entries.iter().map(|entry| entry.body.len()).sum::<usize>();
        let begun = Instant::now();
        let batch = Arc::new(EventBatch::decode(Position(first - 1), &entries));
        projection.apply(&batch).await.expect("applied");
        folding += begun.elapsed();
        if last == events || last.is_multiple_of(500_000) {
            let begun = Instant::now();
            if last == events {
                projection.finish().await.expect("flushed");
            }
            folding += begun.elapsed();
            let begun = Instant::now();
            history.maintain().await.expect("merged");
            merging += begun.elapsed();
        }
    }
    println!(
        "{events} events of {} bytes, folded in at {:.0}/s, merged in {merging:.1?}",
        raw_bytes as u64 / events,
        events as f64 / folding.as_secs_f64()
    );
}

async fn search(history: &History, events: u64, lookups: usize) {
    use LookupAttribute::{
        AccessKeyId, EventId, EventName, EventSource, ReadOnly, ResourceName, ResourceType, Username,
    };
    let spread = |n: u64| n.wrapping_mul(7_777_777_777) % events;
    let rare = |n: u64| (spread(n) / RARE).max(1) * RARE;
    let with_resource = |n: u64| (spread(n)..).find(|i| operation(*i).2 == "bucketName").unwrap_or(0);
    let kind = |n: u64| ["AWS::S3::Bucket", "AWS::EC2::Instance", "AWS::IAM::User"][n as usize % 3];
    type Pick<'a> = Box<dyn Fn(u64) -> Option<LookupAttribute> + 'a>;
    let kinds: Vec<(&str, Pick<'_>)> = vec![
        ("no attribute", Box::new(|_| None)),
        ("EventId, one", Box::new(|n| Some(EventId(event_id(1 + spread(n)))))),
        ("EventId, none", Box::new(|n| Some(EventId(event_id(events + 1 + n))))),
        ("Username, many", Box::new(|n| Some(Username(format!("session-{:03}", n % 60))))),
        ("Username, some", Box::new(|n| Some(Username(format!("seldom-{:02}", 1 + n % 19))))),
        ("Username, one", Box::new(|n| Some(Username(user(rare(n), events))))),
        ("Username, none", Box::new(|n| Some(Username(format!("nobody-{n}"))))),
        ("EventName, many", Box::new(|n| Some(EventName(operation(n).1.into())))),
        ("EventName, none", Box::new(|n| Some(EventName(format!("Nothing{n}"))))),
        ("EventSource, many", Box::new(|n| Some(EventSource(format!("{}.amazonaws.com", operation(n).0))))),
        ("ReadOnly, many", Box::new(|n| Some(ReadOnly(n.is_multiple_of(2))))),
        ("AccessKeyId, many", Box::new(|n| Some(AccessKeyId(access_key(spread(n) | 1))))),
        ("AccessKeyId, one", Box::new(|n| Some(AccessKeyId(access_key(rare(n)))))),
        ("ResourceType, many", Box::new(|n| Some(ResourceType(kind(n).into())))),
        ("ResourceName, many", Box::new(|n| Some(ResourceName(resource(with_resource(n)))))),
        ("ResourceName, none", Box::new(|n| Some(ResourceName(format!("nothing-{n}"))))),
    ];
    for (name, attribute) in kinds {
        let (mut times, mut found, cpu) = (Vec::with_capacity(lookups), 0, cpu_nanos());
        for n in 0..lookups {
            let query = LookupQuery {
                account: "111122223333".parse().expect("an account id"),
                region: "us-east-1".parse().expect("a Region"),
                category: Category::Management,
                attribute: attribute(n as u64),
                start: None,
                end: None,
                max_results: 50,
                before: None,
            };
            let begun = Instant::now();
            found += history.lookup(&query).await.expect("looked up").events.len();
            times.push(begun.elapsed());
        }
        let (first, cpu) = (times[0], (cpu_nanos() - cpu) as f64 / 1e6 / lookups as f64);
        times.sort_unstable();
        let (p50, p99) = (times[lookups / 2], times[lookups * 99 / 100]);
        let found = found as f64 / lookups as f64;
        println!(
            "{name:<18} p50 {p50:>9.2?}  p99 {p99:>9.2?}  first {first:>9.2?}  cpu {cpu:>6.2} ms  {found:>5.1} found"
        );
    }
}

/// Parquet files that the table's log names, and their bytes.
fn stored(dir: &Path) -> (usize, u64) {
    let mut files = std::collections::BTreeMap::new();
    let mut commits: Vec<PathBuf> = std::fs::read_dir(dir.join("_delta_log"))
        .expect("a log")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    commits.sort();
    for commit in commits {
        for action in std::fs::read_to_string(commit).expect("a commit").lines() {
            let action: serde_json::Value = serde_json::from_str(action).expect("an action");
            if let Some(path) = action["add"]["path"].as_str() {
                files.insert(path.to_owned(), action["add"]["size"].as_u64().expect("a size"));
            } else if let Some(path) = action["remove"]["path"].as_str() {
                files.remove(path);
            }
        }
    }
    (files.len(), files.values().sum())
}

/// What this process's threads have run, which other processes hardly change.
fn cpu_nanos() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    stats.filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

/// What the process holds, and the most it held.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}
