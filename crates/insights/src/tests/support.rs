//! A journal's calls, and a server that folds them.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};
use opentrail_projection::{Projection, ProjectionError};
use parking_lot::Mutex;
use serde_json::Value;

use crate::fold::Call;
use crate::{
    Category, InsightRecord, InsightSink, InsightSource, InsightType, Insights, InsightsProjection, Switch,
    SwitchTable, Switches,
};

pub(super) const ACCOUNT: &str = "111122223333";
/// A Monday's first moment.
pub(super) const START: Timestamp = Timestamp::from_secs(1_767_571_200);

/// A call as `replay` takes it.
pub(super) fn call<'a>(name: &'a str, error_code: Option<&'a str>) -> Call<'a> {
    Call {
        account: ACCOUNT.parse().unwrap(),
        region: "eu-central-1",
        event_source: "ec2.amazonaws.com",
        event_name: name,
        category: Category::Management,
        writes: true,
        error_code,
        user_arn: Some("arn:aws:iam::111122223333:user/u"),
        user_agent: Some("aws-cli/2"),
    }
}

/// What the journal holds: minutes since [`START`] with bodies, in their order.
pub(super) struct World {
    pub(super) calls: Vec<(u64, Bytes, Source)>,
    /// What is added next came in so.
    pub(super) source: Source,
    /// What is added next was made so many minutes before it came in.
    pub(super) late: u64,
    /// Calls are appended in batches of so many minutes.
    pub(super) batch: u64,
}

impl Default for World {
    fn default() -> Self {
        Self { calls: Vec::new(), source: Source::Records, late: 0, batch: 7 }
    }
}

impl World {
    pub(super) fn calls(&mut self, name: &str, error: Option<&str>, minutes: Range<u64>, each: u32) {
        self.add(name, error, minutes, each, false);
    }

    pub(super) fn reads(&mut self, name: &str, error: Option<&str>, minutes: Range<u64>, each: u32) {
        self.add(name, error, minutes, each, true);
    }

    /// What came in after it, whatever the clock said.
    pub(super) fn append(&mut self, after: Self) {
        self.calls.extend(after.calls);
    }

    /// Calls come after those that are there, unless their minutes are among them.
    fn add(&mut self, name: &str, error: Option<&str>, minutes: Range<u64>, each: u32, read_only: bool) {
        let error = error.map_or(String::new(), |code| format!(r#","errorCode":"{code}""#));
        for minute in minutes {
            let made = (START + Duration::from_secs(minute * 60)) - Duration::from_secs(self.late * 60);
            let body = Bytes::from(format!(
                r#"{{"eventSource":"ec2.amazonaws.com","eventName":"{name}","awsRegion":"eu-central-1","readOnly":{read_only},
                "eventTime":"{}","userAgent":"aws-cli/2","userIdentity":{{"type":"AssumedRole",
                "arn":"arn:aws:sts::111122223333:assumed-role/R1/session"}}{error}}}"#,
                made.to_iso(),
            ));
            let at = self.calls.iter().rposition(|(other, ..)| *other == minute).map_or(self.calls.len(), |at| at + 1);
            self.calls.splice(at..at, std::iter::repeat_n((minute, body, self.source), each as usize));
        }
    }

    fn batches(&self, after: Position) -> Vec<Arc<EventBatch>> {
        let entries: Vec<(u64, Entry)> = self
            .calls
            .iter()
            .enumerate()
            .map(|(at, (minute, body, source))| {
                let entry = Entry {
                    position: Position(at as u64 + 1),
                    source: *source,
                    account: ACCOUNT.parse().unwrap(),
                    received: START + Duration::from_secs(minute * 60 + 1),
                    body: body.clone(),
                };
                (*minute, entry)
            })
            .filter(|(_, entry)| entry.position > after)
            .collect();
        let mut before = after;
        let batches = entries.chunk_by(|a, b| a.0 / self.batch == b.0 / self.batch).map(|chunk| {
            let entries: Vec<Entry> = chunk.iter().map(|(_, entry)| entry.clone()).collect();
            let batch = EventBatch::decode_without_resources(before, &entries);
            before = batch.through;
            Arc::new(batch)
        });
        batches.collect()
    }
}

/// What becomes of an append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Append {
    #[default]
    Kept,
    Lost,
    /// Kept, but the answer does not come.
    KeptAndFailed,
}

/// Keeps each record once, by its `eventID`, as the journal does.
#[derive(Debug, Default)]
struct Sink {
    records: Mutex<Vec<InsightRecord>>,
    /// What becomes of the next append.
    next: Mutex<Append>,
    tail: Mutex<Position>,
}

#[async_trait]
impl InsightSink for Sink {
    async fn append(&self, _: Position, records: Vec<InsightRecord>) -> Result<(), ProjectionError> {
        let outcome = std::mem::take(&mut *self.next.lock());
        let failed = || ProjectionError::retry(std::io::Error::other("the journal did not answer"));
        if outcome == Append::Lost {
            return Err(failed());
        }
        let mut kept = self.records.lock();
        for record in records {
            match kept.iter().find(|other| other.event_id == record.event_id) {
                Some(other) => assert_eq!(other, &record, "a repeat differs"),
                None => kept.push(record),
            }
        }
        if outcome == Append::KeptAndFailed { Err(failed()) } else { Ok(()) }
    }

    fn tail(&self) -> Position {
        *self.tail.lock()
    }
}

pub(super) struct Server {
    pub(super) insights: Arc<Insights>,
    pub(super) switches: Arc<SwitchTable>,
    sink: Arc<Sink>,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("insights.sqlite");
        let switches = Arc::new(SwitchTable::default());
        for kind in [InsightType::ApiCallRate, InsightType::ApiErrorRate] {
            switches.set(
                ACCOUNT.parse().unwrap(),
                Category::Management,
                kind,
                Switch { trails: true, ..Switch::default() },
            );
        }
        let insights = Insights::open(&path, Arc::clone(&switches) as Arc<dyn Switches>, 1000).await.unwrap();
        Self { insights, switches, sink: Arc::default(), path, _directory: directory }
    }

    /// Folds in all that the file does not reflect yet, and an hour of silence.
    pub(super) async fn run(&self, world: &World) {
        self.try_run(world).await.unwrap();
    }

    /// The same, up to the first error: what was in memory is gone then.
    pub(super) async fn try_run(&self, world: &World) -> Result<(), ProjectionError> {
        let mut projection = self.projection();
        let mut durable = projection.resume().await?;
        for batch in world.batches(durable) {
            durable = projection.apply(&batch).await?;
            assert!(durable <= batch.through);
        }
        let last = world.calls.last().map_or(0, |(minute, ..)| *minute);
        let idle = START + Duration::from_secs((last + 1) * 60 + 10);
        projection.idle(idle).await?;
        Ok(())
    }

    /// Stops after so many minutes without a word, in the middle of a batch.
    pub(super) async fn run_killed(&self, world: &World, minutes: u64) {
        let calls = world.calls.iter().take_while(|(minute, ..)| *minute < minutes).cloned().collect();
        let part = World { calls, ..*world };
        let mut projection = self.projection();
        let durable = projection.resume().await.unwrap();
        for batch in part.batches(durable) {
            projection.apply(&batch).await.unwrap();
        }
    }

    /// Looks at the clock, an hour after all of it, before a word of it was read; then folds it in.
    pub(super) async fn run_after_a_look_at_the_clock(&self, world: &World) {
        let mut projection = self.projection();
        let durable = projection.resume().await.unwrap();
        *self.sink.tail.lock() = Position(world.calls.len() as u64);
        let last = world.calls.last().map_or(0, |(minute, ..)| *minute);
        assert_eq!(projection.idle(START + Duration::from_secs((last + 61) * 60)).await.unwrap(), durable);
        self.run(world).await;
    }

    /// What becomes of the next append of records.
    pub(super) fn next_append(&self, outcome: Append) {
        *self.sink.next.lock() = outcome;
    }

    /// Runs a statement on the file.
    pub(super) async fn execute(&self, statement: String) {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&self.path);
        let mut file = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut file).await.unwrap();
    }

    fn projection(&self) -> InsightsProjection {
        InsightsProjection::new(Arc::clone(&self.insights), Arc::clone(&self.sink) as Arc<dyn InsightSink>)
    }

    pub(super) fn records(&self) -> Vec<Value> {
        self.sink.records.lock().iter().map(|record| serde_json::from_str(&record.json).unwrap()).collect()
    }

    pub(super) fn flat(&self, source: &str) -> Vec<Value> {
        let records = self.sink.records.lock();
        let of_store = |record: &InsightRecord| {
            let source = InsightSource::Store(source.to_owned());
            serde_json::from_str(&InsightRecord::new(record.finding.clone(), Some(source)).json).unwrap()
        };
        records.iter().map(of_store).collect()
    }

    /// The series of all keys, by their numbers.
    pub(super) async fn state(&self) -> Vec<(u64, crate::method::Series)> {
        let fold = self.insights.fold.lock();
        let mut series: Vec<_> = fold.keys.iter().map(|(_, tracked)| (tracked.id, tracked.series.clone())).collect();
        series.sort_by_key(|(id, _)| *id);
        series
    }

    /// The same, from the file.
    pub(super) async fn reloaded_state(&self) -> Vec<(u64, crate::method::Series)> {
        let again = Insights::open(&self.path, Arc::clone(&self.switches) as Arc<dyn Switches>, 1000).await.unwrap();
        let other = Self {
            insights: again,
            switches: Arc::clone(&self.switches),
            sink: Arc::clone(&self.sink),
            path: self.path.clone(),
            _directory: tempfile::tempdir().unwrap(),
        };
        other.projection().resume().await.unwrap();
        other.state().await
    }
}
