//! Insights as a projection of the journal.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_event::{Control, Event, EventBatch};
use opentrail_model::{AccountId, Position, Source, Timestamp};
use opentrail_projection::{Projection, ProjectionError};
use parking_lot::Mutex;

use crate::fold::{Call, Fold, Step};
use crate::insights::Insights;
use crate::key::{Category, InsightType, Key};
use crate::method::Minute;
use crate::record::{InsightRecord, InsightSource, Told};
use crate::store::Minutes;
use crate::switches::{Switch, Switches};

/// How long after a minute's end its last events may still be on their way into the journal.
const GRACE: Duration = Duration::from_secs(5);

/// Records that tell a call made longer ago are a backlog: a bucket that is followed from last week on, a shipper that was down.
/// CloudTrail delivers within five minutes on average (User Guide, "How CloudTrail works"); the bound is a choice of ours.
const LATE: Duration = Duration::from_secs(15 * 60);

/// Takes the records of Insights: the journal, in a server.
#[async_trait]
pub trait InsightSink: std::fmt::Debug + Send + Sync + 'static {
    /// Appends the records, durably. A record whose `event_id` was appended before is the same and is to be left out: after a crash what
    /// was appended last comes again. It lies behind `since`, the position that the file reflects.
    ///
    /// # Errors
    /// [`ProjectionError`]: whether the records were appended is unknown, and they will come again.
    async fn append(&self, since: Position, records: Vec<InsightRecord>) -> Result<(), ProjectionError>;

    /// The position of the last event that there is. Time goes on without events only once all up to there are folded in: while there is a
    /// backlog, a minute that looks silent is one whose events are on their way.
    fn tail(&self) -> Position;
}

/// Folds the journal into Insights.
#[derive(Debug)]
pub struct InsightsProjection {
    insights: Arc<Insights>,
    sink: Arc<dyn InsightSink>,
    /// Where a file that is new begins.
    beginning: Position,
    /// The last event, or control, that was folded in.
    applied: Position,
    /// What the file reflects.
    durable: Position,
    /// Whether the file has the switches as they are.
    switches_stored: bool,
}

impl InsightsProjection {
    /// Folds into `insights` and appends records to `sink`. A file that is new begins with the journal.
    pub fn new(insights: Arc<Insights>, sink: Arc<dyn InsightSink>) -> Self {
        Self {
            insights,
            sink,
            beginning: Position::START,
            applied: Position::START,
            durable: Position::START,
            switches_stored: false,
        }
    }

    /// The same, where a file that is new begins after `position`: what was before is trimmed away, or Insights was not there yet.
    pub fn beginning_after(self, position: Position) -> Self {
        Self { beginning: position, ..self }
    }

    /// Closes minutes until `minute` may open.
    async fn advance(&mut self, minute: Minute) -> Result<(), ProjectionError> {
        while self.insights.fold.lock().must_close(minute) {
            self.close().await?;
        }
        self.insights.fold.lock().open(minute);
        Ok(())
    }

    /// Closes the open minute: first its records go to the journal, then all of it to the file. A crash in between has the minute
    /// closed again, with the same records.
    async fn close(&mut self) -> Result<(), ProjectionError> {
        let (insights, position) = (Arc::clone(&self.insights), self.applied);
        let store_switches = !self.switches_stored;
        let closing = move || close(&insights.fold, &*insights.switches, position, store_switches);
        let closed = tokio::task::spawn_blocking(closing).await.map_err(ProjectionError::retry)?;
        let Some((minute, records)) = closed else { return Ok(()) };
        if !records.is_empty() {
            metrics::counter!("opentrail_insights_records_total").increment(records.len() as u64);
            let records = records.iter().map(|(_, _, record)| record.clone()).collect();
            self.sink.append(self.durable, records).await?;
        }
        self.insights.store.commit(minute, &records).await.map_err(ProjectionError::retry)?;
        (self.durable, self.switches_stored) = (position, true);
        Ok(())
    }

    fn change(&mut self, control: &Control) {
        self.insights.switches.change(control);
        self.switches_stored = false;
    }
}

/// Closes the open minute in memory: what is to be written, and the records with their keys' numbers and deviations.
fn close(
    fold: &Mutex<Fold>,
    switches: &dyn Switches,
    position: Position,
    store_switches: bool,
) -> Option<(Minutes, Vec<Told>)> {
    let mut fold = fold.lock();
    let find = |key: &Key| switches.find(key.account, &key.region, key.category, key.insight_type());
    let step = fold.close(|key| find(key).map(|switch| switch.sensitivity))?;
    let minutes = Minutes::of(&fold, &step, position).with_switches(store_switches.then(|| switches.state()));
    metrics::gauge!("opentrail_insights_keys").set(fold.len() as f64);
    Some((minutes, records(&fold, &step, find)))
}

fn records(fold: &Fold, step: &Step, find: impl Fn(&Key) -> Option<Switch>) -> Vec<Told> {
    let mut records = Vec::new();
    for (slot, finding) in &step.findings {
        let Some(tracked) = fold.keys.get(*slot) else { continue };
        let deviation = tracked.series.deviation();
        let Switch { trails, data_trails, stores, .. } = find(&finding.key).unwrap_or_default();
        let sources = trails.then_some(None).into_iter();
        let sources = sources.chain(data_trails.into_iter().map(|arn| Some(InsightSource::Trail(arn))));
        let sources = sources.chain(stores.into_iter().map(|arn| Some(InsightSource::Store(arn))));
        records.extend(sources.map(|source| (tracked.id, deviation, InsightRecord::new(finding.clone(), source))));
    }
    records
}

#[async_trait]
impl Projection for InsightsProjection {
    fn name(&self) -> String {
        "insights".to_owned()
    }

    async fn resume(&mut self) -> Result<Position, ProjectionError> {
        let fold = self.insights.store.load(self.insights.most_keys).await.map_err(|error| match error {
            crate::StoreError::Unavailable(_) => ProjectionError::retry(error),
            crate::StoreError::Malformed { .. } => ProjectionError::fatal(error),
        })?;
        let position = self.insights.store.position().await.map_err(ProjectionError::retry)?.unwrap_or(self.beginning);
        let switches = self.insights.store.switches().await.map_err(ProjectionError::retry)?;
        self.insights.switches.restore(&switches).map_err(ProjectionError::fatal)?;
        self.switches_stored = true;
        *self.insights.fold.lock() = fold;
        (self.applied, self.durable) = (position, position);
        Ok(position)
    }

    async fn apply(&mut self, batch: &Arc<EventBatch>) -> Result<Position, ProjectionError> {
        let mut controls = batch.controls.iter().peekable();
        let mut row = 0;
        while row < batch.len() {
            let minute = self.insights.fold.lock().place(Minute::of(batch.event(row).received()));
            self.advance(minute).await?;
            // All of the batch that belongs to the open minute, under one lock.
            let insights = Arc::clone(&self.insights);
            let mut fold = insights.fold.lock();
            let open = fold.open.unwrap_or(minute);
            while row < batch.len() {
                let event = batch.event(row);
                if fold.place(Minute::of(event.received())) > open {
                    break;
                }
                while let Some(control) = controls.next_if(|control| control.position < event.position()) {
                    self.change(control);
                }
                count(&mut fold, &event, &*insights.switches);
                self.applied = event.position();
                row += 1;
            }
        }
        for control in controls {
            self.change(control);
        }
        self.applied = batch.through;
        Ok(self.durable)
    }

    async fn idle(&mut self, now: Timestamp) -> Result<Position, ProjectionError> {
        let minute = Minute::of(now - GRACE);
        let at = { self.insights.fold.lock().offset };
        let minute = Minute(minute.0.saturating_add(at));
        while self.applied >= self.sink.tail() && self.insights.fold.lock().must_close(minute) {
            self.close().await?;
        }
        Ok(self.durable)
    }

    /// The open minute stays open: its events come again at the next start, and not before.
    async fn finish(&mut self) -> Result<Position, ProjectionError> {
        Ok(self.applied)
    }
}

/// Whether the event came in when the call was made, or soon after. What the server records itself does; what comes as records, from a
/// followed bucket too, when it is not [`LATE`]; imports and events of channels do not. Both times are the journal's, so that a replay
/// answers the same.
fn is_now(event: &Event<'_>) -> bool {
    match event.source() {
        Source::Api | Source::Gateway => true,
        Source::Records => event.time().is_none_or(|time| event.received().since(time) <= LATE),
        Source::Import | Source::Control | Source::Channel | Source::Insights | Source::StoreInsights => false,
    }
}

/// Counts an event that is a call made now. A record of Insights is none.
fn count(fold: &mut Fold, event: &Event<'_>, switches: &dyn Switches) {
    if !is_now(event) {
        return;
    }
    let category = match event.category() {
        "Management" => Category::Management,
        "Data" => Category::Data,
        _ => return,
    };
    fold.note_event();
    let (Some(region), Some(event_source), Some(event_name)) = (event.region(), event.event_source(), event.name())
    else {
        return;
    };
    let account: AccountId = event.account();
    let call = Call {
        account,
        region,
        event_source,
        event_name,
        category,
        writes: event.read_only() == Some(false),
        error_code: event.error_code(),
        user_arn: event.user_arn(),
        user_agent: event.user_agent(),
    };
    fold.count(&call, |insight_type: InsightType| switches.is_on(account, region, category, insight_type));
}
