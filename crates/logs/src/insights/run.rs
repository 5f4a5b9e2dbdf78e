//! A query from its start to its end.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use opentrail_model::Timestamp;

use super::pipeline::{Pipeline, TooLarge};
use super::row::{Event, Pointer, leaves};
use super::{LONGEST, Progress, Question, Started, Status};
use crate::error::{LogsError, invalid};
use crate::read::{Found, Key, Request};
use crate::service::{Logs, Shared, aside};
use crate::store::{Direction, GroupRow, Scope, Window};

/// A page of events that a query reads.
const PAGE_EVENTS: usize = 10_000;
const PAGE_BYTES: usize = 8 << 20;
/// How many leaves of an event's JSON GetLogRecord and GetLogGroupFields look at.
const MOST_LEAVES: usize = 1000;
/// How many events GetLogGroupFields looks at.
const SAMPLE: usize = 1000;

/// Why a query ended before its end.
enum Cut {
    Stopped,
    TimedOut,
    TooLarge,
    Failed(LogsError),
}

impl From<LogsError> for Cut {
    fn from(error: LogsError) -> Self {
        Self::Failed(error)
    }
}

impl Logs {
    pub(super) async fn run_query(&self, started: &Started, question: Question) {
        let shared = &self.shared;
        let permit = tokio::select! {
            permit = shared.queries.running.acquire() => permit,
            () = shared.closing.begun() => return,
        };
        if permit.is_err() || started.is_stopped() {
            return;
        }
        started.progress.lock().status = Status::Running;
        let ends = shared.clock.now() + LONGEST;
        let several = question.groups.len() > 1;
        let query = if several && question.query.keeps_order() { question.query.sorted() } else { question.query };
        let mut pipeline = Pipeline::new(query, question.limit);
        let mut cut = None;
        for group in &question.groups {
            let window = Window { from: question.from, through: question.through };
            match shared.feed(pipeline, group, window, (started, ends)).await {
                Ok(fed) => pipeline = fed,
                Err(reason) => {
                    pipeline = Pipeline::new(super::Query { commands: Vec::new() }, 0);
                    cut = Some(reason);
                    break;
                }
            }
        }
        let status = match cut {
            None => match pipeline.finish() {
                Ok(results) => {
                    started.progress.lock().results = Arc::new(results);
                    Status::Complete
                }
                Err(TooLarge) => failed(&started.id, "it needs more memory than it may have"),
            },
            Some(Cut::Stopped) => Status::Cancelled,
            Some(Cut::TimedOut) => Status::Timeout,
            Some(Cut::TooLarge) => failed(&started.id, "it needs more memory than it may have"),
            Some(Cut::Failed(error)) => failed(&started.id, &error.to_string()),
        };
        let mut progress = started.progress.lock();
        if progress.status == Status::Running {
            progress.status = status;
            progress.ended = Some(shared.clock.now());
        }
    }
}

fn failed(id: &str, why: &str) -> Status {
    tracing::warn!(query = id, why, "a query of log events failed");
    Status::Failed
}

impl Shared {
    /// Feeds the events of a group, the newest first, until there are no more or none is needed.
    async fn feed(
        &self,
        mut pipeline: Pipeline,
        group: &GroupRow,
        window: Window,
        (started, ends): (&Started, Timestamp),
    ) -> Result<Pipeline, Cut> {
        let expired = group.expired_before(self.clock.now().as_millis());
        let mut after: Option<Key> = None;
        let log: Arc<str> = format!("{}:{}", group.place.account, group.place.name).into();
        let mut names = HashMap::new();
        loop {
            if started.is_stopped() || self.closing.has_begun() {
                return Err(Cut::Stopped);
            }
            if self.clock.now() >= ends {
                return Err(Cut::TimedOut);
            }
            let request = Request {
                scope: Scope::Group(group.id),
                streams: None,
                window: Window { from: window.from.max(expired), through: window.through },
                direction: Direction::NewestFirst,
                after,
                pattern: None,
                limit: PAGE_EVENTS,
                most_bytes: PAGE_BYTES,
                budget: 8 * PAGE_BYTES,
            };
            let page = self.read(Arc::new(request)).await?;
            self.name_streams(group.id, &page.events, &mut names).await?;
            let (log, names, id) = (Arc::clone(&log), names.clone(), group.id);
            let (done, scanned, bytes);
            (pipeline, done, scanned, bytes) = aside(move || {
                let (mut scanned, mut bytes, mut fits) = (0u64, 0u64, Ok(()));
                for found in page.events {
                    let Some(stream) = names.get(&found.stream).cloned().flatten() else { continue };
                    scanned += 1;
                    bytes += found.message.len() as u64;
                    fits = pipeline.push(event(found, id, stream, Arc::clone(&log)));
                    if fits.is_err() || pipeline.is_done() {
                        break;
                    }
                }
                let done = fits.map(|()| pipeline.is_done());
                Ok((pipeline, done, scanned, bytes))
            })
            .await?;
            note(started, &pipeline, scanned, bytes);
            let done = done.map_err(|TooLarge| Cut::TooLarge)?;
            after = page.next;
            if done || after.is_none() {
                return Ok(pipeline);
            }
        }
    }

    async fn name_streams(
        &self,
        group: i64,
        events: &[Found],
        names: &mut HashMap<i64, Option<Arc<str>>>,
    ) -> Result<(), LogsError> {
        for id in events.iter().map(|found| found.stream).collect::<HashSet<_>>() {
            if let Entry::Vacant(unknown) = names.entry(id) {
                let stream = self.store.stream_of_id(group, id).await?;
                unknown.insert(stream.map(|stream| stream.name.into()));
            }
        }
        Ok(())
    }

    /// The fields of the event to which `@ptr` points.
    pub(crate) async fn record(&self, pointer: Pointer, group: &GroupRow) -> Result<Vec<(String, String)>, LogsError> {
        let gone = || LogsError::NotFound("The log event is not there any more.".to_owned());
        let stream = self.store.stream_of_id(group.id, pointer.stream).await?.ok_or_else(gone)?;
        let sequence = self.store.chunk_with(pointer.stream, pointer.sequence).await?.ok_or_else(gone)?;
        let stored = self.store.stored(sequence).await?.ok_or_else(gone)?;
        let expired = group.expired_before(self.clock.now().as_millis());
        let log: Arc<str> = format!("{}:{}", group.place.account, group.place.name).into();
        aside(move || {
            let loaded = stored.open().ok_or_else(gone)?;
            let mut before = 0;
            let mut runs = loaded.runs.iter();
            let run = runs.find(|run| {
                before += run.count;
                run.sequence == pointer.sequence
            });
            let run = run.ok_or_else(gone)?;
            let index = usize::try_from(pointer.index).ok().filter(|index| *index < run.count).ok_or_else(gone)?;
            let (time, message) = loaded.events.at(before - run.count + index).ok_or_else(gone)?;
            if time < expired {
                return Err(gone());
            }
            let fixed = [
                ("@timestamp", time.to_string()),
                ("@ingestionTime", run.ingested.to_string()),
                ("@message", message.to_owned()),
                ("@logStream", stream.name.clone()),
                ("@log", log.to_string()),
                ("@ptr", pointer.to_string()),
            ];
            let json = serde_json::from_str(message).ok().filter(serde_json::Value::is_object);
            let mut fields = json.map_or_else(Vec::new, |json| leaves(&json, MOST_LEAVES));
            fields.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
            Ok(fields)
        })
        .await
    }

    /// Names of the fields of a group's newest events in the window, and in how many of a hundred they are.
    pub(crate) async fn fields(&self, group: &GroupRow, window: Window) -> Result<Vec<(String, i32)>, LogsError> {
        let request = Request {
            scope: Scope::Group(group.id),
            streams: None,
            window,
            direction: Direction::NewestFirst,
            after: None,
            pattern: None,
            limit: SAMPLE,
            most_bytes: PAGE_BYTES,
            budget: PAGE_BYTES,
        };
        let events = self.read(Arc::new(request)).await?.events;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        aside(move || {
            let mut counts: HashMap<String, usize> = HashMap::new();
            for found in &events {
                let json = serde_json::from_str(&found.message).ok().filter(serde_json::Value::is_object);
                for (name, _) in json.map_or_else(Vec::new, |json| leaves(&json, MOST_LEAVES)) {
                    if counts.len() < MOST_LEAVES || counts.contains_key(&name) {
                        *counts.entry(name).or_default() += 1;
                    }
                }
            }
            for name in ["@timestamp", "@ingestionTime", "@message", "@logStream", "@log", "@ptr"] {
                counts.insert(name.to_owned(), events.len());
            }
            let percent = |count: usize| i32::try_from(count * 100 / events.len()).unwrap_or(100);
            let mut fields: Vec<_> = counts.into_iter().map(|(name, count)| (name, percent(count))).collect();
            fields.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            Ok(fields)
        })
        .await
    }
}

fn event(found: Found, group: i64, stream: Arc<str>, log: Arc<str>) -> Event {
    let pointer = Pointer { group, stream: found.stream, sequence: found.key.sequence, index: found.key.index };
    Event::new((found.key.time, found.ingested), found.message, (stream, log), pointer)
}

/// Shows how far a query is, with the results that stand already.
fn note(started: &Started, pipeline: &Pipeline, scanned: u64, bytes: u64) {
    let mut progress = started.progress.lock();
    let Progress { results, .. } = &mut *progress;
    if results.len() != pipeline.so_far().len() {
        *results = Arc::new(pipeline.so_far().to_vec());
    }
    progress.matched = pipeline.matched;
    progress.scanned += scanned;
    progress.bytes += bytes;
}

/// Reads `@ptr`.
pub(crate) fn pointer(text: &str) -> Result<Pointer, LogsError> {
    text.parse().map_err(|()| invalid("The logRecordPointer is not one that a query returned as @ptr."))
}
