//! A trail's events in its log group, as they come.
//!
//! A task per trail that has a log group follows the journal, takes what the trail's settings select, and appends it to
//! the group. Its document in the catalog says how far it has come and under which settings. A group that refuses or hangs
//! holds up its own trail's events only.
//!
//! No event is put twice. An embedded log group keeps the position beside the events. For a group elsewhere the document
//! says, before anything is sent, what is about to be ([`Doubt`]); *after a crash*, or a failure, which both leave open
//! what was done, the group is asked which of those events it has, and gets the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentrail_catalog::{CatalogError, CatalogExt, Change, Expect};
use opentrail_event::{Control, Event, EventBatch};
use opentrail_journal::ReadError;
use opentrail_model::{AccountId, Position, Timestamp};
use opentrail_projection::Progress;
use opentrail_runtime::{CrashPoint, OnError, Shutdown};
use opentrail_trails::{
    LogBatch, LogGroup, LogGroupError, LogGroupStatus, LogGroups, Memory, Status, Trail, TrailChange, TrailKey,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::back_off::BackOff;
use crate::selection::Selection;
use crate::state::LOG_GROUPS;
use crate::supervisor::{Context, trail_key};

/// How often a place is saved when nothing is appended.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Events that are larger are left out. (User Guide, "CloudWatch log group and log stream naming".)
const LARGEST: usize = 256 << 10;
/// A group takes no older events, and none from further ahead. (CloudWatch Logs API Reference, PutLogEvents.)
const OLDEST: Duration = Duration::from_secs(14 * 24 * 3600);
const FURTHEST: Duration = Duration::from_secs(2 * 3600);
/// How long after an attempt a group elsewhere is asked what came of it: events can be read a while after they were put.
pub(crate) const SETTLES: Duration = Duration::from_secs(5);

/// How far a trail's log group has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FeedState {
    /// Everything up to here is in the group, or does not belong there.
    cursor: Position,
    /// The settings in effect after the cursor; `None` before the trail is made and after it is deleted.
    trail: Option<Trail>,
    /// What may be in the group though it is after the cursor.
    #[serde(default)]
    doubt: Option<Doubt>,
}

/// An append, begun and perhaps done, to a group that keeps no position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Doubt {
    /// The group's ARN.
    group: String,
    /// No event after this position was sent there.
    through: Position,
    /// The time of writing of what was sent.
    at: Timestamp,
}

impl FeedState {
    fn store(&self, key: &TrailKey, expect: Expect) -> Change {
        Change::put(LOG_GROUPS, key.to_string(), expect, self)
    }

    fn group(&self) -> Option<&LogGroup> {
        self.trail.as_ref().filter(|trail| trail.logging)?.log_group.as_ref()
    }
}

/// The trails that have a task.
#[derive(Debug)]
pub(crate) struct LogFeeds {
    groups: Arc<dyn LogGroups>,
    running: Mutex<BTreeSet<TrailKey>>,
}

impl LogFeeds {
    pub(crate) fn new(groups: Arc<dyn LogGroups>) -> Self {
        Self { groups, running: Mutex::default() }
    }
}

/// Goes on with every trail that has a log group. `seen`: how far the supervisor has come, which begins the others.
pub(crate) async fn resume(context: &Arc<Context>, seen: Position) -> Result<(), CatalogError> {
    for document in context.catalog.all::<FeedState>(LOG_GROUPS, "").await? {
        let Some(key) = trail_key(&document.key) else {
            tracing::error!(key = document.key, "a log group's position names no trail and is left alone");
            continue;
        };
        let state = document.value;
        let has_group = state.trail.as_ref().is_some_and(|trail| trail.log_group.is_some());
        if !has_group && state.cursor >= seen {
            // Whatever gives the trail a group again is after what the supervisor has seen.
            let gone = Change::delete(LOG_GROUPS, document.key, Expect::Revision(document.revision));
            context.catalog.commit(vec![gone]).await?;
        } else {
            spawn(context, key, state);
        }
    }
    Ok(())
}

/// Sees to it, durably, that a trail which has a log group from `position` on has a task that reads that very entry.
pub(crate) async fn begin(context: &Arc<Context>, key: &TrailKey, position: Position) -> Result<(), CatalogError> {
    if context.log_feeds.running.lock().contains(key) {
        return Ok(());
    }
    let state = FeedState { cursor: Position(position.0.saturating_sub(1)), trail: None, doubt: None };
    match context.catalog.commit(vec![state.store(key, Expect::Absent)]).await {
        // The commit went through when it was last tried, only its answer was lost.
        Ok(()) | Err(CatalogError::Conflict { .. }) => {}
        Err(error) => return Err(error),
    }
    spawn(context, key.clone(), state);
    Ok(())
}

fn spawn(context: &Arc<Context>, key: TrailKey, state: FeedState) {
    context.log_feeds.running.lock().insert(key.clone());
    let progress = context.feed.follow(format!("log-group/{key}"), state.cursor);
    let shutdown = context.tasks.shutdown().clone();
    let now = context.clock.now();
    let feed = LogFeed {
        read: state.cursor,
        memory: None,
        settled: now + SETTLES,
        selection: state.trail.as_ref().filter(|trail| trail.logging).map(Selection::of),
        saved: now,
        key,
        context: Arc::clone(context),
        progress,
        state,
        back_off: BackOff::default(),
    };
    context.tasks.spawn("delivery-log-group", OnError::ShutDown, async move {
        feed.run(shutdown).await;
        Ok::<(), ReadError>(())
    });
}

/// A trail's task.
struct LogFeed {
    key: TrailKey,
    context: Arc<Context>,
    progress: Progress,
    /// As far as [`Self::read`], of which the catalog may know less.
    state: FeedState,
    read: Position,
    selection: Option<Selection>,
    saved: Timestamp,
    /// What the group of this ARN is known to remember, since the start or the last failure.
    memory: Option<(String, Memory)>,
    /// From when on a group elsewhere shows what was put before this feed began, or before the last failure.
    settled: Timestamp,
    back_off: BackOff,
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Group(#[from] LogGroupError),
}

impl LogFeed {
    async fn run(mut self, shutdown: Shutdown) {
        loop {
            let outcome = tokio::select! {
                biased;
                () = shutdown.begun() => break,
                outcome = self.round() => outcome,
            };
            if let Err(error) = outcome {
                self.failed(error).await;
                let pause = self.back_off.pause(self.context.clock.now());
                tokio::select! {
                    () = self.context.clock.sleep(pause) => {}
                    () = shutdown.begun() => break,
                }
            }
        }
        if let Err(error) = self.save().await {
            tracing::warn!(trail.name = %self.key, %error, "a log group's position was not saved");
        }
    }

    /// Reads on, appends, obeys. May be dropped: what was not appended is read again.
    async fn round(&mut self) -> Result<(), FeedError> {
        let batch = match self.progress.next(self.read).await {
            Err(ReadError::Trimmed { after, trimmed }) => {
                tracing::error!(trail.name = %self.key, %after, %trimmed, "the journal no longer has events of a log group");
                self.read = trimmed;
                return Ok(());
            }
            batch => batch?,
        };
        let changes: Vec<(&Control, TrailChange)> = batch
            .controls
            .iter()
            .filter(|control| control.position > self.read && control.account == self.key.account)
            .filter_map(|control| Some((control, TrailChange::from_bytes(&control.body)?)))
            .filter(|(_, change)| *change.key() == self.key)
            .collect();
        for (control, change) in changes {
            self.append(&batch, Position(control.position.0.saturating_sub(1))).await?;
            self.obey(change);
            self.read = control.position;
            self.save().await?;
        }
        self.append(&batch, batch.through).await?;
        if self.context.clock.now().since(self.saved) >= SAVE_EVERY {
            self.save().await?;
        }
        Ok(())
    }

    /// The server repeats each trail's settings when it starts; those have no greater version.
    fn obey(&mut self, change: TrailChange) {
        let known = self.state.trail.as_ref().map(|trail| trail.version);
        match change {
            TrailChange::PutTrail(trail) if known.is_some_and(|known| known >= trail.version) => {}
            TrailChange::PutTrail(trail) => self.state.trail = Some(*trail),
            TrailChange::DeleteTrail(_) => self.state.trail = None,
        }
        let logging = self.state.trail.as_ref().filter(|trail| trail.logging);
        self.selection = logging.map(Selection::of);
    }

    /// Appends what the trail takes of the batch through `through`.
    async fn append(&mut self, batch: &EventBatch, through: Position) -> Result<(), FeedError> {
        if let Some(group) = self.state.group().cloned() {
            match self.memory(&group).await? {
                Memory::Position(known) => {
                    let after = known.map_or(self.read, |known| known.max(self.read));
                    let batches = self.taken(batch, after, through, self.context.clock.now());
                    self.put(&group, batches, through).await?;
                }
                Memory::Events => self.append_elsewhere(&group, batch, through).await?,
            }
        }
        self.read = self.read.max(through);
        Ok(())
    }

    /// What the group remembers; it is asked once, and again after a failure.
    async fn memory(&mut self, group: &LogGroup) -> Result<Memory, LogGroupError> {
        match &self.memory {
            Some((arn, memory)) if *arn == group.arn => Ok(*memory),
            _ => {
                let memory = self.context.log_feeds.groups.memory(&self.key, group).await?;
                self.memory = Some((group.arn.clone(), memory));
                Ok(memory)
            }
        }
    }

    /// Appends to a group that keeps no position.
    async fn append_elsewhere(
        &mut self,
        group: &LogGroup,
        batch: &EventBatch,
        through: Position,
    ) -> Result<(), FeedError> {
        let doubt = self.state.doubt.clone().filter(|doubt| doubt.group == group.arn && doubt.through > self.read);
        if let Some(doubt) = doubt {
            let doubtful = through.min(doubt.through);
            let batches = self.taken(batch, self.read, doubtful, doubt.at);
            if !batches.is_empty() {
                self.context.clock.sleep(self.settled.since(self.context.clock.now())).await;
                let missing = self.context.log_feeds.groups.missing(&self.key, group, batches).await?;
                self.put(group, missing, doubtful).await?;
            }
            self.read = doubtful;
        }
        let now = self.context.clock.now();
        let batches = self.taken(batch, self.read, through, now);
        if !batches.is_empty() {
            // A crash before this is durable has sent nothing; after it, what is sent is known to be in doubt.
            self.save_with(Some(Doubt { group: group.arn.clone(), through, at: now })).await?;
            self.put(group, batches, through).await?;
        }
        Ok(())
    }

    /// What the trail takes of the batch after `after`, through `through`, for each stream.
    fn taken(&self, batch: &EventBatch, after: Position, through: Position, at: Timestamp) -> Vec<LogBatch> {
        let (Some(selection), Some(trail)) = (&self.selection, &self.state.trail) else { return Vec::new() };
        let mut streams: BTreeMap<AccountId, Vec<(Timestamp, Bytes)>> = BTreeMap::new();
        for row in selection.rows(batch, batch.rows(after, through)) {
            let event = batch.event(row);
            if belongs(event) {
                let record = Bytes::copy_from_slice(event.raw());
                streams.entry(event.account()).or_default().push((time_of(event, at), record));
            }
        }
        let batch = |(account, events)| LogBatch { stream: stream_name(trail, account), events, at };
        streams.into_iter().map(batch).collect()
    }

    async fn put(&mut self, group: &LogGroup, batches: Vec<LogBatch>, through: Position) -> Result<(), FeedError> {
        if !batches.is_empty() {
            let limit = self.context.settings.put_timeout;
            let groups = &self.context.log_feeds.groups;
            tokio::select! {
                biased;
                done = groups.append(&self.key, group, batches, through) => done?,
                () = self.context.clock.sleep(limit) => {
                    let reason = format!("no answer within {} s", limit.as_secs_f32());
                    return Err(LogGroupError::Unavailable { reason }.into());
                }
            }
            CrashPoint::DeliveryLogged.reach();
            self.back_off = BackOff::default();
            self.note(None).await?;
        }
        Ok(())
    }

    /// Writes the status: an error at once, a success not oftener than the place is saved.
    async fn note(&mut self, error: Option<&LogGroupError>) -> Result<(), CatalogError> {
        let (account, region, now) = (self.key.account, &self.key.home_region, self.context.clock.now());
        let status = LogGroupStatus::load(&self.context.catalog, &self.key, account, region).await?;
        let fresh =
            status.latest_error.is_none() && status.latest.is_some_and(|at| now.since(at) < Duration::from_secs(1));
        if error.is_none() && fresh {
            return Ok(());
        }
        let latest = if error.is_none() { Some(now) } else { status.latest };
        let status = LogGroupStatus { latest, latest_error: error.map(ToString::to_string) };
        self.context.catalog.commit(vec![status.store(&self.key, account, region)]).await
    }

    async fn failed(&mut self, error: FeedError) {
        let now = self.context.clock.now();
        if self.back_off.is_clear() {
            tracing::warn!(trail.name = %self.key, %error, "a trail's events cannot be put into its log group");
        }
        self.back_off.failed(true, now, self.context.settings.longest_pause, &*self.context.random);
        (self.memory, self.settled) = (None, now + SETTLES);
        let FeedError::Group(error) = error else { return };
        crate::metrics::not_logged(self.key.arn().as_str());
        if let Err(error) = self.note(Some(&error)).await {
            tracing::warn!(trail.name = %self.key, %error, "a trail's status was not saved");
        }
        self.go_elsewhere();
    }

    /// A group that fails is waited for, unless the trail has another by now, or none: then what is left goes there, or
    /// nowhere. A choice, as with buckets.
    fn go_elsewhere(&mut self) {
        let Some(post) = self.context.registry.post(&self.key) else {
            // The trail is deleted, and its files are delivered: its group is tried for half an hour more.
            if self.back_off.may_move() {
                (self.state.trail, self.selection) = (None, None);
            }
            return;
        };
        let seen = post.seen.borrow();
        let Some((position, latest)) = &seen.latest else { return };
        if let Some(trail) = &mut self.state.trail
            && *position > self.read
            && trail.log_group != latest.log_group
        {
            tracing::warn!(trail.name = %self.key, "events that a log group did not take go where the trail writes now");
            trail.log_group.clone_from(&latest.log_group);
        }
    }

    async fn save(&mut self) -> Result<(), CatalogError> {
        let doubt = self.state.doubt.clone().filter(|doubt| doubt.through > self.read);
        self.save_with(doubt).await
    }

    /// Saves the place, and what is in doubt after it.
    async fn save_with(&mut self, doubt: Option<Doubt>) -> Result<(), CatalogError> {
        self.saved = self.context.clock.now();
        let state = FeedState { cursor: self.read, doubt, ..self.state.clone() };
        self.context.catalog.commit(vec![state.store(&self.key, Expect::Anything)]).await?;
        self.state = state;
        self.progress.advance(self.read);
        Ok(())
    }
}

/// Management, data and Insights events go to log groups, if they are not too large. (User Guide, "Monitoring CloudTrail
/// log files with Amazon CloudWatch Logs"; of network activity events it does not speak.)
fn belongs(event: Event<'_>) -> bool {
    matches!(event.category(), "Management" | "Data" | "Insight") && event.raw().len() <= LARGEST
}

/// The event's own time where a log group takes it, else now.
fn time_of(event: Event<'_>, now: Timestamp) -> Timestamp {
    event.time().filter(|at| now.since(*at) < OLDEST && at.since(now) < FURTHEST).unwrap_or(now)
}

/// `account_CloudTrail_region`, with the organization before it. (User Guide, "CloudWatch log group and log stream
/// naming".)
fn stream_name(trail: &Trail, account: AccountId) -> String {
    let own = format!("{account}_CloudTrail_{}", trail.key.home_region);
    match &trail.organization {
        Some(organization) => format!("{}_{own}", organization.id),
        None => own,
    }
}
