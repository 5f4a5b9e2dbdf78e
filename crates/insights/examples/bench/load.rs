//! Many keys at a high rate, through the projection and its file: memory, the time for records, the time for a minute's end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_insights::{
    Category, InsightRecord, InsightSink, InsightType, Insights, InsightsProjection, MOST_KEYS, Switch, SwitchTable,
};
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};
use opentrail_projection::{Projection, ProjectionError};

const ACCOUNT: &str = "111122223333";
const BATCH: u64 = 4000;

/// Counts records and forgets them.
#[derive(Debug)]
struct Sink;

#[async_trait]
impl InsightSink for Sink {
    async fn append(&self, _: Position, records: Vec<InsightRecord>) -> Result<(), ProjectionError> {
        println!("{} records of Insights", records.len());
        Ok(())
    }

    fn tail(&self) -> Position {
        Position::START
    }
}

/// `minutes` minutes of `rate` records a second, spread over `keys` keys so that each has calls in every minute.
pub(crate) async fn run(keys: u64, rate: u64, minutes: u64) -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let switches = Arc::new(SwitchTable::default());
    switches.set(
        ACCOUNT.parse()?,
        Category::Management,
        InsightType::ApiCallRate,
        Switch { trails: true, ..Switch::default() },
    );
    let insights = Insights::open(&directory.path().join("insights.sqlite"), switches, MOST_KEYS).await?;
    let mut projection = InsightsProjection::new(Arc::clone(&insights), Arc::new(Sink));
    let mut after = projection.resume().await?;
    let (mut applying, mut ends, mut n) = (Duration::ZERO, Vec::new(), 0);
    let before = memory();
    for minute in 0..minutes {
        let mut slowest = Duration::ZERO;
        for _ in 0..rate * 60 / BATCH {
            let entries: Vec<Entry> = (0..BATCH)
                .map(|_| {
                    n += 1;
                    entry(n, keys, minute)
                })
                .collect();
            let batch = Arc::new(EventBatch::decode_without_resources(after, &entries));
            drop(entries);
            after = Position(n);
            let began = Instant::now();
            projection.apply(&batch).await?;
            let took = began.elapsed();
            applying += took;
            slowest = slowest.max(took);
        }
        ends.push(slowest);
    }
    // The first minute ends without a close, the second with the first's keys, all of them new.
    let new = ends.drain(..ends.len().min(2)).max().unwrap_or_default();
    ends.sort();
    println!(
        "{keys} keys, {n} records in {minutes} minutes: {:.0} ns a record, {:.0} records/s; a minute's end {new:?} with all keys new, \
         then {:?} median, {:?} at most, {} longer than a second; memory {} MB (before {before} MB); file {:.0} MB",
        applying.as_nanos() as f64 / n as f64,
        n as f64 / applying.as_secs_f64(),
        ends[ends.len() / 2],
        ends[ends.len() - 1],
        ends.iter().filter(|end| end.as_secs() >= 1).count(),
        memory(),
        std::fs::metadata(directory.path().join("insights.sqlite"))?.len() as f64 / 1e6,
    );
    let began = Instant::now();
    projection.resume().await?;
    println!("a restart took {:?}", began.elapsed());
    Ok(())
}

fn entry(n: u64, keys: u64, minute: u64) -> Entry {
    let key = n % keys;
    let (region, source, name) = (key % 17, key / 17 % 100, key / 1700);
    let (user, agent) = (n * 7919 % 3, n * 104_729 % 2);
    let body = format!(
        r#"{{"eventSource":"service{source}.amazonaws.com","eventName":"Operation{name}","awsRegion":"region-{region}",
        "readOnly":false,"userAgent":"agent/{agent}","userIdentity":{{"type":"IAMUser",
        "arn":"arn:aws:iam::111122223333:user/user-{key}-{user}"}}}}"#
    );
    Entry {
        position: Position(n),
        source: Source::Records,
        account: ACCOUNT.parse().expect("twelve digits"),
        received: Timestamp::from_secs(1_767_571_200 + minute as i64 * 60),
        body: Bytes::from(body),
    }
}

/// The process's resident memory, in MB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}
