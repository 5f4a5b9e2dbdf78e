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
    Category, InsightRecord, InsightSink, InsightType, Insights, InsightsProjection, Switch, SwitchTable, Switches,
};

pub(super) const ACCOUNT: &str = "111122223333";
/// A Monday's first moment.
pub(super) const START: Timestamp = Timestamp::from_secs(1_767_571_200);
/// Calls are appended in batches of so many minutes.
const BATCH: u64 = 7;

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
#[derive(Default)]
pub(super) struct World(Vec<(u64, Bytes)>);

impl World {
    pub(super) fn calls(&mut self, name: &str, error: Option<&str>, minutes: Range<u64>, each: u32) {
        self.add(name, error, minutes, each, false);
    }

    pub(super) fn reads(&mut self, name: &str, error: Option<&str>, minutes: Range<u64>, each: u32) {
        self.add(name, error, minutes, each, true);
    }

    /// Calls come after those that are there, unless their minutes are among them.
    fn add(&mut self, name: &str, error: Option<&str>, minutes: Range<u64>, each: u32, read_only: bool) {
        let error = error.map_or(String::new(), |code| format!(r#","errorCode":"{code}""#));
        let body = Bytes::from(format!(
            r#"{{"eventSource":"ec2.amazonaws.com","eventName":"{name}","awsRegion":"eu-central-1","readOnly":{read_only},
            "userAgent":"aws-cli/2","userIdentity":{{"type":"AssumedRole",
            "arn":"arn:aws:sts::111122223333:assumed-role/R1/session"}}{error}}}"#
        ));
        for minute in minutes {
            let at = self.0.iter().rposition(|(other, _)| *other == minute).map_or(self.0.len(), |at| at + 1);
            self.0.splice(at..at, std::iter::repeat_n((minute, body.clone()), each as usize));
        }
    }

    fn batches(&self, after: Position) -> Vec<Arc<EventBatch>> {
        let entries: Vec<(u64, Entry)> = self
            .0
            .iter()
            .enumerate()
            .map(|(at, (minute, body))| {
                let entry = Entry {
                    position: Position(at as u64 + 1),
                    source: Source::Records,
                    account: ACCOUNT.parse().unwrap(),
                    received: START + Duration::from_secs(minute * 60 + 1),
                    body: body.clone(),
                };
                (*minute, entry)
            })
            .filter(|(_, entry)| entry.position > after)
            .collect();
        let mut before = after;
        let batches = entries.chunk_by(|a, b| a.0 / BATCH == b.0 / BATCH).map(|chunk| {
            let entries: Vec<Entry> = chunk.iter().map(|(_, entry)| entry.clone()).collect();
            let batch = EventBatch::decode_without_resources(before, &entries);
            before = batch.through;
            Arc::new(batch)
        });
        batches.collect()
    }
}

/// Keeps each record once, by its `eventID`, as the journal does.
#[derive(Debug, Default)]
struct Sink(Mutex<Vec<InsightRecord>>);

#[async_trait]
impl InsightSink for Sink {
    async fn append(&self, _: Position, records: Vec<InsightRecord>) -> Result<(), ProjectionError> {
        let mut kept = self.0.lock();
        for record in records {
            match kept.iter().find(|other| other.event_id == record.event_id) {
                Some(other) => assert_eq!(other, &record, "a repeat differs"),
                None => kept.push(record),
            }
        }
        Ok(())
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
        let mut projection = self.projection();
        let mut durable = projection.resume().await.unwrap();
        for batch in world.batches(durable) {
            durable = projection.apply(&batch).await.unwrap();
            assert!(durable <= batch.through);
        }
        let last = world.0.last().map_or(0, |(minute, _)| *minute);
        let idle = START + Duration::from_secs((last + 1) * 60 + 10);
        projection.idle(idle).await.unwrap();
    }

    /// Stops after so many minutes without a word, in the middle of a batch.
    pub(super) async fn run_killed(&self, world: &World, minutes: u64) {
        let part = World(world.0.iter().take_while(|(minute, _)| *minute < minutes).cloned().collect());
        let mut projection = self.projection();
        let durable = projection.resume().await.unwrap();
        for batch in part.batches(durable) {
            projection.apply(&batch).await.unwrap();
        }
    }

    fn projection(&self) -> InsightsProjection {
        InsightsProjection::new(Arc::clone(&self.insights), Arc::clone(&self.sink) as Arc<dyn InsightSink>)
    }

    pub(super) fn records(&self) -> Vec<Value> {
        self.sink.0.lock().iter().map(|record| serde_json::from_str(&record.json).unwrap()).collect()
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
