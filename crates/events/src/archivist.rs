//! The archivist: sends the events of archives again, and lets go of those that have been kept long enough.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentrail_catalog::{Expect, Versioned};
use opentrail_model::Timestamp;
use opentrail_patterns::Scratch;
use opentrail_runtime::Shutdown;
use tracing::warn;

use crate::archive::{Archive, Replay, ReplayState};
use crate::error::EventsError;
use crate::outbox::{Chunk, Matched, Reached, event_time};
use crate::service::Events;

/// How often what is too old is looked for.
const TIDY_EVERY: Duration = Duration::from_secs(3600);
/// How long it waits when something fails, or when targets have not yet taken what it sent.
const PAUSE: Duration = Duration::from_secs(1);
/// Invocations that may wait before a replay goes on: targets take what is new beside it.
const MOST_WAITING: u64 = 10_000;
/// How long a replay is told of. (User Guide, "Replaying archived events": 90 days.)
const TOLD_OF: Duration = Duration::from_secs(90 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

/// Replays and tidies. A replay goes chunk by chunk, in the order in which the events were archived: a choice of ours, where
/// EventBridge goes by the minutes of their times. What a chunk's events become and how far the replay is are one
/// transaction, so that a crash repeats nothing.
#[derive(Debug)]
pub struct Archivist {
    events: Arc<Events>,
    tidied: Option<Timestamp>,
}

impl Archivist {
    /// The archivist of `events`; there must be no other.
    pub fn new(events: Arc<Events>) -> Self {
        Self { events, tidied: None }
    }

    /// Works until the shutdown begins.
    ///
    /// # Cancellation
    /// It may be dropped: a step is done, or comes again.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), std::convert::Infallible> {
        while !shutdown.has_begun() {
            let rest = match self.step().await {
                Ok(Step::Done) => TIDY_EVERY,
                Ok(Step::More) => continue,
                Ok(Step::Waits) => PAUSE,
                Err(error) => {
                    warn!(%error, "archives and replays wait");
                    PAUSE
                }
            };
            tokio::select! {
                () = shutdown.begun() => {}
                () = self.events.replays.notified() => {}
                () = self.events.clock.sleep(rest) => {}
            }
        }
        Ok(())
    }

    /// One chunk of each replay that is under way, and the tidying when it is due.
    pub(crate) async fn step(&mut self) -> Result<Step, EventsError> {
        let now = self.events.now();
        if self.tidied.is_none_or(|tidied| now.since(tidied) >= TIDY_EVERY) {
            self.tidy(now).await?;
            self.tidied = Some(now);
        }
        let mut open = self.events.documents.versions::<Replay>("").await?;
        open.retain(|replay| replay.value.state.is_open());
        let mut all = Step::Done;
        for replay in open {
            all = all.max(self.replay(replay).await?);
        }
        Ok(all)
    }

    async fn replay(
        &self,
        Versioned { value: mut replay, revision, .. }: Versioned<Replay>,
    ) -> Result<Step, EventsError> {
        let next = match replay.state {
            ReplayState::Starting => Some(ReplayState::Running),
            ReplayState::Cancelling => Some(ReplayState::Cancelled),
            _ if self.events.outbox.pending() > MOST_WAITING => return Ok(Step::Waits),
            _ => self.go_on(&replay).await?,
        };
        let Some(next) = next else { return Ok(Step::More) };
        replay.state = next;
        replay.ended = (!replay.state.is_open()).then(|| self.events.now());
        match self.events.documents.put(&replay, Expect::Revision(revision)).await {
            // It was cancelled meanwhile.
            Ok(()) | Err(EventsError::Changed) => Ok(Step::More),
            Err(error) => Err(error),
        }
    }

    /// Sends the next chunk's events. Gives the state that follows, when there is no more.
    async fn go_on(&self, replay: &Replay) -> Result<Option<ReplayState>, EventsError> {
        let (name, shelf) = &replay.archive;
        let found = self.events.documents.named::<Archive>(replay.bus.account, &replay.bus.region, name).await;
        match found {
            Ok(archive) if archive.value.shelf() == *shelf => {}
            Ok(_) | Err(EventsError::NotFound(_)) => {
                return Ok(Some(ReplayState::Failed(format!("Archive {name} does not exist."))));
            }
            Err(error) => return Err(error),
        }
        let (outbox, course) = (&self.events.outbox, replay.course());
        let (after, reached) = outbox.progress(&course).await?.unwrap_or_default();
        let Some(chunk) = outbox.next_chunk(shelf, (after, replay.last_chunk), replay.times).await? else {
            return Ok(Some(ReplayState::Completed));
        };
        let id = chunk.id;
        let (matched, latest) = match self.events_of(chunk, replay).await {
            Ok(found) => found,
            // What cannot be read now cannot be read later.
            Err(EventsError::Outbox(error @ crate::OutboxError::Malformed { .. })) => {
                return Ok(Some(ReplayState::Failed(error.to_string())));
            }
            Err(error) => return Err(error),
        };
        let progress = Reached::Replay { course: &course, chunk: id, reached: reached.max(latest) };
        outbox.append(&matched, progress, self.events.now()).await?;
        Ok(None)
    }

    /// What the rules make of a chunk's events, and the latest time of these.
    async fn events_of(&self, chunk: Chunk, replay: &Replay) -> Result<(Vec<Matched>, Option<Timestamp>), EventsError> {
        let page = self.events.book.page(&replay.bus);
        let ((from, to), name, rules) = (replay.times, replay.name.clone(), replay.rules.clone());
        let matching = move || {
            let (mut matched, mut latest, mut scratch) = (Vec::new(), None, Scratch::default());
            for event in chunk.events()? {
                let time = event_time(&event);
                if time < from || time >= to {
                    continue;
                }
                latest = latest.max(Some(time));
                if let Some(page) = &page {
                    matched.extend(page.take_again(&replayed(&event, &name), &rules, &mut scratch));
                }
            }
            Ok((matched, latest))
        };
        let done = tokio::task::spawn_blocking(matching).await;
        done.map_err(|error| crate::OutboxError::Unavailable { reason: error.to_string() })?
    }

    /// Lets go of what was kept long enough, of what deleted archives kept, and of replays of long ago.
    async fn tidy(&self, now: Timestamp) -> Result<(), EventsError> {
        let archives = self.events.documents.all::<Archive>("").await?;
        let known: BTreeSet<String> = archives.iter().map(Archive::shelf).collect();
        let bound = |archive: &Archive| (archive.retention_days > 0).then(|| now - DAY * archive.retention_days);
        let old = archives.iter().filter_map(|archive| Some((archive.shelf(), bound(archive)?)));
        let shelves = self.events.outbox.shelves().await?;
        let forgotten = shelves.into_iter().filter(|shelf| !known.contains(shelf));
        let forgotten = forgotten.map(|shelf| (shelf, Timestamp::from_millis(i64::MAX)));
        for (shelf, before) in old.chain(forgotten) {
            while self.events.outbox.let_go(&shelf, before).await? {}
        }
        for Versioned { value, revision, .. } in self.events.documents.versions::<Replay>("").await? {
            if value.ended.is_some_and(|ended| now.since(ended) > TOLD_OF) {
                self.events.documents.delete::<Replay>(&value.document(), revision).await?;
                self.events.outbox.forget_progress(&value.course()).await?;
            }
        }
        Ok(())
    }
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Nothing is under way.
    Done,
    /// What is under way waits.
    Waits,
    /// There is more to do at once.
    More,
}

/// What events that are sent again begin with.
const REPLAYED: &[u8] = b"{\"replay-name\":";

/// Whether an event is sent again: archives do not keep it. (User Guide, "Archiving events": their rule takes what has no
/// `replay-name`.)
pub(crate) fn is_replayed(event: &[u8]) -> bool {
    event.starts_with(REPLAYED)
}

/// The event with the replay's name. Every event of ours is an object with members.
fn replayed(event: &Bytes, name: &str) -> Bytes {
    let rest = event.strip_prefix(b"{").unwrap_or(event);
    [REPLAYED, b"\"", name.as_bytes(), b"\",", rest].concat().into()
}
