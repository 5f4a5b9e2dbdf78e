//! The outbox: what is to be delivered, durable before anybody is told of it.
//!
//! One SQLite file. What a batch of the journal makes of invocations is committed together with the batch's position
//! ([`Outbox::append`]), so that a record's invocations are stored exactly once, whenever the process dies. What became
//! of tries is committed together too ([`Outbox::settle`]); a crash before it repeats the tries, so that a target is
//! invoked at least once.
//!
//! It is bounded: [`OutboxError::Full`] tells the writer to come again, and the journal keeps what was not written.

mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentrail_model::{Position, Timestamp};
use opentrail_runtime::CrashPoint;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Notify;

use crate::rule::Target;

/// What is to be delivered. See the module.
#[derive(Debug)]
pub struct Outbox {
    pool: SqlitePool,
    /// SQLite has one writer.
    writer: tokio::sync::Mutex<()>,
    /// Invocations in the file.
    pending: AtomicU64,
    most_pending: u64,
    /// Queues that got something since somebody asked.
    fresh: Mutex<BTreeSet<String>>,
    wake: Notify,
}

/// Why the outbox did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutboxError {
    /// So much waits for delivery already that no more is taken.
    #[error("{pending} invocations wait for their targets, no more are taken until some are done")]
    Full {
        /// How many wait.
        pending: u64,
    },
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
    /// Opens the file, creating it when absent; it takes up to `most_pending` invocations.
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
        let pending: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM invocation").fetch_one(&pool).await?;
        let queues = sqlx::query("SELECT DISTINCT queue FROM invocation").fetch_all(&pool).await?;
        let fresh = queues.iter().map(|row| row.try_get("queue")).collect::<Result<BTreeSet<String>, _>>()?;
        let outbox = Self {
            pool,
            writer: tokio::sync::Mutex::default(),
            pending: AtomicU64::new(u64::try_from(pending).unwrap_or_default()),
            most_pending,
            fresh: Mutex::new(fresh),
            wake: Notify::new(),
        };
        outbox.wake.notify_one();
        Ok(outbox)
    }

    /// Checkpoints the write-ahead log and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
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

    /// Stores events for their targets, and with them how far a projection has come: all of it or nothing.
    ///
    /// # Errors
    /// [`OutboxError::Full`] when there is no room; nothing is stored then.
    pub(crate) async fn append(
        &self,
        matched: &[Matched],
        reached: Option<(&str, Position)>,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let more: u64 = matched.iter().map(|matched| matched.invocations.len() as u64).sum();
        let _writing = self.writer.lock().await;
        let pending = self.pending();
        // The first append to an empty outbox is always taken, however many it brings.
        if pending > 0 && more > 0 && pending + more > self.most_pending {
            return Err(OutboxError::Full { pending });
        }
        let mut transaction = self.pool.begin().await?;
        for matched in matched {
            rows::insert(&mut transaction, matched, now).await?;
        }
        if let Some((projection, position)) = reached {
            rows::save_position(&mut transaction, projection, position).await?;
        }
        CrashPoint::EventsCommit.reach();
        transaction.commit().await?;
        CrashPoint::EventsCommitted.reach();
        self.pending.fetch_add(more, Ordering::Relaxed);
        self.tell(matched.iter().flat_map(|matched| &matched.invocations).map(|new| new.target.arn.as_str()));
        Ok(())
    }

    /// What of `queue` is due at `now`: up to `limit` invocations.
    pub(crate) async fn due(&self, queue: &str, now: Timestamp, limit: u32) -> Result<Due, OutboxError> {
        let far = now + FURTHEST;
        let invocations = rows::due(&self.pool, queue, (now, far), limit).await?;
        let next = if invocations.is_empty() { rows::next(&self.pool, queue).await? } else { None };
        Ok(Due { invocations, next })
    }

    /// Stores what became of tries: all of it or nothing. Never [`OutboxError::Full`], since each makes room.
    pub(crate) async fn settle(&self, settled: &[(Invocation, Settlement)], now: Timestamp) -> Result<(), OutboxError> {
        let _writing = self.writer.lock().await;
        let mut transaction = self.pool.begin().await?;
        let (mut more, mut less) = (0, 0);
        let mut told: Vec<&str> = Vec::new();
        for (invocation, settlement) in settled {
            match settlement {
                Settlement::Done => {
                    rows::remove(&mut transaction, invocation).await?;
                    less += 1;
                }
                Settlement::Forwarded(matched) => {
                    rows::insert(&mut transaction, matched, now).await?;
                    rows::remove(&mut transaction, invocation).await?;
                    told.extend(matched.invocations.iter().map(|new| new.target.arn.as_str()));
                    more += matched.invocations.len() as u64;
                    less += 1;
                }
                Settlement::Again { due } => rows::put_off(&mut transaction, invocation.id, *due).await?,
                Settlement::Dead { queue, letter } => {
                    rows::make_letter(&mut transaction, invocation.id, queue, letter, now).await?;
                    told.push(queue.arn.as_str());
                }
            }
        }
        transaction.commit().await?;
        CrashPoint::EventsSettled.reach();
        self.pending.fetch_add(more, Ordering::Relaxed);
        self.pending.fetch_sub(less, Ordering::Relaxed);
        self.tell(told.into_iter());
        Ok(())
    }

    fn tell<'a>(&self, queues: impl Iterator<Item = &'a str>) {
        let mut fresh = self.fresh.lock();
        for queue in queues {
            if !fresh.contains(queue) {
                fresh.insert(queue.to_owned());
            }
        }
        if !fresh.is_empty() {
            self.wake.notify_one();
        }
        metrics::gauge!("opentrail_events_pending_invocations").set(self.pending() as f64);
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
