//! The outbox: what is to be delivered, durable before anybody is told of it.
//!
//! One SQLite file. What a batch of the journal makes of invocations is committed together with the batch's position
//! ([`Outbox::append`]), so that a record's invocations are stored exactly once, whenever the process dies. What became
//! of tries is committed together too ([`Outbox::settle`]); a crash before it repeats the tries, so that a target is
//! invoked at least once.
//!
//! It is bounded, and each target has its share ([`room`]): what finds no room is given up as what was tried for too long
//! is, to its dead-letter queue if it has one, in the same transaction. Nobody waits for a target that takes nothing.

mod archived;
mod room;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentrail_model::{Position, Timestamp};
use opentrail_runtime::CrashPoint;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, Transaction};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tracing::warn;

pub(crate) use self::archived::{Chunk, Kept, event_time};
use self::room::{Draft, Placed, Room, TurnedAway};
use crate::counts::{Counts, Metric};
use crate::rule::Target;

/// What is to be delivered. See the module.
#[derive(Debug)]
pub struct Outbox {
    pool: SqlitePool,
    /// What is in the file. SQLite has one writer, who holds this.
    room: AsyncMutex<Room>,
    /// Invocations in the file.
    pending: AtomicU64,
    counts: Arc<Counts>,
    /// Queues that got something since somebody asked.
    fresh: Mutex<BTreeSet<String>>,
    wake: Notify,
}

/// Why the outbox did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file failed; trying again may help.
    #[error("the outbox is unavailable: {reason}")]
    Unavailable {
        /// The store's word.
        reason: String,
    },
    /// Something in the file does not have the form it should.
    #[error("the outbox holds what cannot be read: {reason}")]
    Malformed {
        /// The parser's word.
        reason: String,
    },
}

impl From<sqlx::Error> for OutboxError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

/// An event that rules took, and who is to get it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matched {
    /// The event with its envelope, in JSON.
    pub(crate) body: Bytes,
    pub(crate) invocations: Vec<NewInvocation>,
    /// The archives that keep it.
    pub(crate) archives: Vec<Arc<str>>,
}

/// What is stored together with events: that they are stored, and what comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reached<'a> {
    /// Nothing: whoever brought them is told, and forgets them.
    Nothing,
    /// How far a projection has come.
    Journal(&'a str, Position),
    /// When scheduled rules were due.
    Schedules(&'a [Turn]),
    /// How far a replay has come.
    Replay {
        /// By which its progress is kept.
        course: &'a str,
        /// Up to which chunk.
        chunk: i64,
        /// The latest time of its events so far.
        reached: Option<Timestamp>,
    },
}

/// That a scheduled rule was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The rule's ARN.
    pub(crate) rule: String,
    /// Since when its schedule holds. One that holds since another time has had no turn.
    pub(crate) since: Timestamp,
    /// When it was due.
    pub(crate) due: Timestamp,
}

/// One target of one rule for one event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewInvocation {
    /// The rule's ARN.
    pub(crate) rule: Arc<str>,
    pub(crate) target: Arc<Target>,
    /// Over how many buses the event has come.
    pub(crate) hops: u32,
}

/// An invocation that is due.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Invocation {
    pub(crate) id: i64,
    pub(crate) event: i64,
    pub(crate) body: Bytes,
    /// The rule's ARN.
    pub(crate) rule: String,
    pub(crate) target: Target,
    pub(crate) hops: u32,
    pub(crate) created: Timestamp,
    /// Tries so far.
    pub(crate) attempts: u32,
    /// Present when this is a dead letter on its way to its queue.
    pub(crate) letter: Option<Letter>,
}

/// What is told of an event that was not delivered. (EventBridge User Guide, "Using dead-letter queues".)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) rule_arn: String,
    pub(crate) target_arn: String,
    pub(crate) error_code: String,
    pub(crate) error_message: String,
    /// `MaximumRetryAttempts` or `MaximumEventAgeInSeconds`; `None` when a retry could not help.
    pub(crate) exhausted: Option<String>,
    pub(crate) retry_attempts: u32,
}

/// The invocations of a queue that are due, oldest first, and when the next is.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) invocations: Vec<Invocation>,
    /// When something is due, if nothing is now.
    pub(crate) next: Option<Timestamp>,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Settlement {
    /// It is delivered, or given up without a word.
    Done,
    /// It is on another bus now, whose rules took it so.
    Forwarded(Matched),
    /// It is tried again.
    Again { due: Timestamp },
    /// It is given up, and the dead-letter queue gets it.
    Dead { queue: Box<Target>, letter: Letter },
}

/// A due time further ahead than this is a clock that was set back: no back-off is as long.
const FURTHEST: Duration = Duration::from_secs(2 * 3600);

impl Outbox {
    /// Opens the file, creating it when absent. It takes `most_pending` invocations, and from there on those for targets
    /// that have less than their share of it.
    ///
    /// # Errors
    /// [`OutboxError::Unavailable`] when the file cannot be opened or is no outbox.
    pub async fn open(path: &Path, most_pending: u64) -> Result<Self, OutboxError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        for statement in schema::TABLES {
            sqlx::query(statement).execute(&pool).await?;
        }
        sqlx::query(schema::EVENT_INDEX).execute(&pool).await?;
        let queues =
            sqlx::query("SELECT queue, COUNT(*) AS held FROM invocation GROUP BY queue").fetch_all(&pool).await?;
        let held = |row: &SqliteRow| {
            let held = u64::try_from(row.try_get::<i64, _>("held")?).unwrap_or_default();
            Ok::<_, sqlx::Error>((row.try_get("queue")?, held))
        };
        let room = Room::new(most_pending, queues.iter().map(held).collect::<Result<HashMap<String, u64>, _>>()?);
        let outbox = Self {
            pool,
            pending: AtomicU64::new(room.total()),
            fresh: Mutex::new(room.queues().cloned().collect()),
            room: AsyncMutex::new(room),
            counts: Arc::default(),
            wake: Notify::new(),
        };
        outbox.wake.notify_one();
        Ok(outbox)
    }

    /// Checkpoints the write-ahead log and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// What rules and targets did since the start.
    pub(crate) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// How many invocations wait.
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// The position through which `projection` has stored everything; `None` before its first.
    pub(crate) async fn position(&self, projection: &str) -> Result<Option<Position>, OutboxError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT position FROM position WHERE projection = ?")
            .bind(projection)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.and_then(|position| u64::try_from(position).ok()).map(Position))
    }

    /// The last turn of each scheduled rule that had one.
    pub(crate) async fn turns(&self) -> Result<Vec<Turn>, OutboxError> {
        rows::turns(&self.pool).await
    }

    /// Stores events for their targets, and what was reached with them: all of it or nothing.
    pub(crate) async fn append(
        &self,
        matched: &[Matched],
        reached: Reached<'_>,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let chunks = archived::pack(&matched.iter().collect::<Vec<_>>()).await?;
        let mut room = self.room.lock().await;
        let mut draft = room.draft();
        let mut told = BTreeSet::new();
        let mut transaction = self.pool.begin().await?;
        for matched in matched {
            place(&mut transaction, &mut draft, matched, now, &mut told).await?;
        }
        archived::insert(&mut transaction, &chunks, now).await?;
        match reached {
            Reached::Nothing => {}
            Reached::Journal(projection, position) => {
                rows::save_position(&mut transaction, projection, position).await?;
            }
            Reached::Schedules(turns) => rows::save_turns(&mut transaction, turns).await?,
            Reached::Replay { course, chunk, reached } => {
                archived::save_progress(&mut transaction, course, chunk, reached).await?;
            }
        }
        CrashPoint::EventsCommit.reach();
        transaction.commit().await?;
        CrashPoint::EventsCommitted.reach();
        let done = draft.into_parts();
        self.committed(&mut room, done, told);
        Ok(())
    }

    /// How much an archive keeps.
    pub(crate) async fn kept(&self, archive: &str) -> Result<Kept, OutboxError> {
        archived::kept(&self.pool, archive).await
    }

    /// The last chunk of an archive; 0 before its first.
    pub(crate) async fn last_chunk(&self, archive: &str) -> Result<i64, OutboxError> {
        archived::last_chunk(&self.pool, archive).await
    }

    /// The first chunk of an archive after one and up to another that has events of these times, the second not included.
    pub(crate) async fn next_chunk(
        &self,
        archive: &str,
        chunks: (i64, i64),
        times: (Timestamp, Timestamp),
    ) -> Result<Option<Chunk>, OutboxError> {
        archived::next(&self.pool, archive, chunks, times).await
    }

    /// Up to which chunk a replay has come, and to which time.
    pub(crate) async fn progress(&self, course: &str) -> Result<Option<(i64, Option<Timestamp>)>, OutboxError> {
        archived::progress(&self.pool, course).await
    }

    /// The archives for which something is kept.
    pub(crate) async fn shelves(&self) -> Result<Vec<String>, OutboxError> {
        archived::shelves(&self.pool).await
    }

    /// Lets go of some of what an archive got before `before`; says whether there may be more.
    pub(crate) async fn let_go(&self, archive: &str, before: Timestamp) -> Result<bool, OutboxError> {
        let _writing = self.room.lock().await;
        let mut transaction = self.pool.begin().await?;
        let has_more = archived::remove(&mut transaction, archive, before).await?;
        transaction.commit().await?;
        Ok(has_more)
    }

    /// Forgets how far a replay has come.
    pub(crate) async fn forget_progress(&self, course: &str) -> Result<(), OutboxError> {
        let _writing = self.room.lock().await;
        let mut transaction = self.pool.begin().await?;
        archived::forget_progress(&mut transaction, course).await?;
        Ok(transaction.commit().await?)
    }

    /// What of `queue` is due at `now`: up to `limit` invocations.
    pub(crate) async fn due(&self, queue: &str, now: Timestamp, limit: u32) -> Result<Due, OutboxError> {
        let far = now + FURTHEST;
        let invocations = rows::due(&self.pool, queue, (now, far), limit).await?;
        let next = if invocations.is_empty() { rows::next(&self.pool, queue).await? } else { None };
        Ok(Due { invocations, next })
    }

    /// Stores what became of tries: all of it or nothing.
    pub(crate) async fn settle(&self, settled: &[(Invocation, Settlement)], now: Timestamp) -> Result<(), OutboxError> {
        let forwarded = settled.iter().filter_map(|(_, settlement)| match settlement {
            Settlement::Forwarded(matched) => Some(matched),
            _ => None,
        });
        let chunks = archived::pack(&forwarded.collect::<Vec<_>>()).await?;
        let mut room = self.room.lock().await;
        let mut draft = room.draft();
        let mut told = BTreeSet::new();
        let mut transaction = self.pool.begin().await?;
        archived::insert(&mut transaction, &chunks, now).await?;
        for (invocation, settlement) in settled {
            let queue = invocation.target.arn.as_str();
            match settlement {
                Settlement::Done => {
                    rows::remove(&mut transaction, invocation).await?;
                    draft.left(queue);
                }
                Settlement::Forwarded(matched) => {
                    place(&mut transaction, &mut draft, matched, now, &mut told).await?;
                    rows::remove(&mut transaction, invocation).await?;
                    draft.left(queue);
                }
                Settlement::Again { due } => rows::put_off(&mut transaction, invocation.id, *due).await?,
                Settlement::Dead { queue: to, letter } => {
                    rows::make_letter(&mut transaction, invocation.id, to, letter, now).await?;
                    draft.moved(queue, to.arn.as_str());
                    told.insert(to.arn.as_str().to_owned());
                }
            }
        }
        transaction.commit().await?;
        CrashPoint::EventsSettled.reach();
        let done = draft.into_parts();
        self.committed(&mut room, done, told);
        Ok(())
    }

    /// What follows a commit.
    fn committed(
        &self,
        room: &mut Room,
        (changed, turned_away): (HashMap<String, u64>, Vec<TurnedAway>),
        told: BTreeSet<String>,
    ) {
        room.apply(changed);
        self.pending.store(room.total(), Ordering::Relaxed);
        metrics::gauge!("opentrail_events_pending_invocations").set(room.total() as f64);
        self.count_turned_away(&turned_away);
        let mut fresh = self.fresh.lock();
        fresh.extend(told);
        if !fresh.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Nothing is turned away without a word: each counts for its rule, and each target is logged.
    fn count_turned_away(&self, turned_away: &[TurnedAway]) {
        let mut by_target: HashMap<(&str, &str), (u64, u64)> = HashMap::new();
        for away in turned_away {
            self.counts.add(&away.rule, Metric::FailedInvocations, 1);
            let (letters, dropped) = by_target.entry((&away.rule, &away.target)).or_default();
            *if away.is_letter { letters } else { dropped } += 1;
        }
        for ((rule, target), (letters, dropped)) in by_target {
            metrics::counter!("opentrail_events_dead_letters_total").increment(letters);
            metrics::counter!("opentrail_events_dropped_total").increment(dropped);
            warn!(
                rule,
                target,
                letters,
                dropped,
                "events were given up: too many wait for the target; letters went to its dead-letter queue"
            );
        }
    }

    /// The queues that got something since the last call; at first those that hold something. Waits for one.
    ///
    /// # Cancellation
    /// May be dropped at any time.
    pub(crate) async fn fresh(&self) -> BTreeSet<String> {
        loop {
            let fresh = std::mem::take(&mut *self.fresh.lock());
            if !fresh.is_empty() {
                return fresh;
            }
            self.wake.notified().await;
        }
    }
}

/// Writes an event for those of its targets that have room, and says whose queues got something.
async fn place(
    transaction: &mut Transaction<'_, Sqlite>,
    draft: &mut Draft<'_>,
    matched: &Matched,
    now: Timestamp,
    told: &mut BTreeSet<String>,
) -> Result<(), OutboxError> {
    let placed: Vec<Placed<'_>> = matched.invocations.iter().filter_map(|new| draft.place(new)).collect();
    told.extend(placed.iter().map(|placed| placed.target().arn.as_str().to_owned()));
    rows::insert(transaction, &matched.body, &placed, now).await
}
