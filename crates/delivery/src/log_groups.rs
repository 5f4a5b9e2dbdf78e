//! A trail's events in its log group, as they come.
//!
//! A task per trail that has a log group follows the journal, takes what the trail's settings select, and appends it to
//! the group. Its document in the catalog says how far it has come and under which settings; an embedded log group
//! keeps the position beside the events, so that *a crash* at any instruction repeats nothing; one elsewhere may get the
//! events of one append twice. A group that refuses or hangs holds up its own trail's events only.

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
    LogBatch, LogGroup, LogGroupError, LogGroupStatus, LogGroups, Status, Trail, TrailChange, TrailKey,
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

/// How far a trail's log group has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FeedState {
    /// Everything up to here is in the group, or does not belong there.
    cursor: Position,
    /// The settings in effect after the cursor; `None` before the trail is made and after it is deleted.
    trail: Option<Trail>,
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
    let state = FeedState { cursor: Position(position.0.saturating_sub(1)), trail: None };
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
    let feed = LogFeed {
        read: state.cursor,
        selection: state.trail.as_ref().filter(|trail| trail.logging).map(Selection::of),
        saved: context.clock.now(),
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
        let group = self.state.group().cloned();
        let (Some(group), Some(selection), Some(trail)) = (group, &self.selection, &self.state.trail) else {
            self.read = self.read.max(through);
            return Ok(());
        };
        let after =
            self.context.log_feeds.groups.resume(&self.key).await?.map_or(self.read, |done| done.max(self.read));
        let now = self.context.clock.now();
        let mut streams: BTreeMap<AccountId, Vec<(Timestamp, Bytes)>> = BTreeMap::new();
        for row in selection.rows(batch, batch.rows(after, through)) {
            let event = batch.event(row);
            if belongs(event) {
                streams
                    .entry(event.account())
                    .or_default()
                    .push((time_of(event, now), Bytes::copy_from_slice(event.raw())));
            }
        }
        if !streams.is_empty() {
            let stream = |account| stream_name(trail, account);
            let batches = streams.into_iter().map(|(account, events)| LogBatch { stream: stream(account), events });
            let batches = batches.collect();
            self.put(&group, batches, through).await?;
        }
        self.read = self.read.max(through);
        Ok(())
    }

    async fn put(&mut self, group: &LogGroup, batches: Vec<LogBatch>, through: Position) -> Result<(), FeedError> {
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
        self.saved = self.context.clock.now();
        self.state.cursor = self.read;
        self.context.catalog.commit(vec![self.state.store(&self.key, Expect::Anything)]).await?;
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
