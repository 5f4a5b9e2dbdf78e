//! The outbox: messages and their deliveries in an SQLite file of their own, from Publish until every endpoint has
//! answered or its policy gives up.
//!
//! Deliveries wait in *lanes*, one for each endpoint. A lane knows when its next delivery is due, how often its endpoint
//! has failed in a row, and how many wait. What is taken stays in the file until it is settled: a crash in between means
//! that it is taken again.
//!
//! WAL with `synchronous=FULL`: a commit is on stable storage when it returns.

mod adding;
mod settling;

use std::path::Path;
use std::time::Duration;

use opentrail_model::Timestamp;
use sqlx::Row;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use tokio::sync::{Mutex, Notify};

pub(crate) use self::adding::{NewDelivery, Parcel};
pub(crate) use self::settling::{Heard, Settlement};
use crate::message::Message;

/// The version of the tables, in SQLite's `user_version`.
const VERSION: i64 = 1;

/// How many deliveries wait for one endpoint at most: past that, what comes is undeliverable at once. A choice of ours,
/// so that an endpoint that never answers does not fill the disk.
pub(crate) const MOST_WAITING: i64 = 100_000;

/// How long a deduplication key is known.
const KEYS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// When nothing of a lane is due.
const NEVER: i64 = i64::MAX;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS message (
        id TEXT PRIMARY KEY, published INTEGER NOT NULL, topic TEXT NOT NULL, deduplication TEXT, body BLOB NOT NULL
    );
    CREATE UNIQUE INDEX IF NOT EXISTS message_deduplication ON message (topic, deduplication)
        WHERE deduplication IS NOT NULL;
    CREATE TABLE IF NOT EXISTS delivery (
        id INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT NOT NULL, subscription TEXT NOT NULL, lane TEXT NOT NULL,
        failure TEXT, attempts INTEGER NOT NULL, due INTEGER NOT NULL, created INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS delivery_due ON delivery (lane, due, id);
    CREATE INDEX IF NOT EXISTS delivery_message ON delivery (message);
    CREATE TABLE IF NOT EXISTS lane (
        name TEXT PRIMARY KEY, due INTEGER NOT NULL, failures INTEGER NOT NULL, suspect INTEGER NOT NULL,
        waiting INTEGER NOT NULL, paused_until INTEGER NOT NULL, touched INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS lane_due ON lane (suspect, due);
";

/// Why the outbox did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file failed, e.g. since the disk is full; trying again may help.
    #[error("the outbox is unavailable: {0}")]
    Unavailable(String),
    /// A later release has written the file.
    #[error("the outbox has version {0}, which this release does not know")]
    Version(i64),
    /// A stored message has not the form it should.
    #[error("message {id} cannot be read: {reason}")]
    Malformed {
        /// Its id.
        id: String,
        /// The parser's word.
        reason: String,
    },
}

/// The outbox.
#[derive(Debug)]
pub struct Outbox {
    pool: SqlitePool,
    /// SQLite has one writer; waiting here is fairer and cheaper than its busy handler.
    writer: Mutex<()>,
    /// Told after each commit that may have made something due.
    pub(crate) news: Notify,
}

/// A lane with something due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) name: String,
    /// How often its endpoint failed in a row.
    pub(crate) failures: u32,
}

/// Whether a lane's endpoint answered last time; one that was never asked is suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    Suspect,
}

/// A delivery that is due.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) id: i64,
    /// The subscription's ARN.
    pub(crate) subscription: String,
    pub(crate) message: Message,
    /// Why the endpoint did not get it: it is on its way to the dead-letter queue.
    pub(crate) failure: Option<String>,
    /// Attempts so far.
    pub(crate) attempts: u32,
    /// When it began to wait for this endpoint.
    pub(crate) created: Timestamp,
}

impl Outbox {
    /// Opens the file, creating it when absent.
    ///
    /// # Errors
    /// [`OutboxError`] when the file cannot be opened or is no outbox of this release.
    pub async fn open(path: &Path) -> Result<Self, OutboxError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&pool).await?;
        if version > VERSION {
            return Err(OutboxError::Version(version));
        }
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        sqlx::raw_sql("PRAGMA user_version = 1").execute(&pool).await?;
        Ok(Self { pool, writer: Mutex::new(()), news: Notify::new() })
    }

    /// Checkpoints the write-ahead log and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Lanes with something due at `now`, those that wait longest first.
    pub(crate) async fn due(&self, health: Health, now: Timestamp, limit: usize) -> Result<Vec<Lane>, OutboxError> {
        let rows = sqlx::query("SELECT name, failures FROM lane WHERE suspect = ? AND due <= ? ORDER BY due LIMIT ?")
            .bind(i64::from(health == Health::Suspect))
            .bind(now.as_millis())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(Lane { name: row.try_get("name")?, failures: count(row, "failures")? })).collect()
    }

    /// When the next lane is due after `now`.
    pub(crate) async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, OutboxError> {
        let mut next = None;
        for suspect in [0_i64, 1] {
            let due: Option<i64> = sqlx::query_scalar("SELECT MIN(due) FROM lane WHERE suspect = ? AND due > ?")
                .bind(suspect)
                .bind(now.as_millis())
                .fetch_one(&self.pool)
                .await?;
            next = [next, due.filter(|due| *due < NEVER)].into_iter().flatten().min();
        }
        Ok(next.map(Timestamp::from_millis))
    }

    /// Up to `limit` deliveries of the lane that are due at `now`, those that wait longest first.
    pub(crate) async fn take(&self, lane: &str, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, OutboxError> {
        let rows = sqlx::query(
            "SELECT d.id, d.message, d.subscription, d.failure, d.attempts, d.created, m.body
             FROM delivery d JOIN message m ON m.id = d.message
             WHERE d.lane = ? AND d.due <= ? ORDER BY d.due, d.id LIMIT ?",
        )
        .bind(lane)
        .bind(now.as_millis())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// How many deliveries wait.
    pub(crate) async fn waiting(&self) -> Result<u64, OutboxError> {
        let waiting: i64 =
            sqlx::query_scalar("SELECT COALESCE(SUM(waiting), 0) FROM lane").fetch_one(&self.pool).await?;
        Ok(u64::try_from(waiting).unwrap_or_default())
    }

    /// Forgets delivered messages whose deduplication key is past its time, and lanes that have been empty as long.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<(), OutboxError> {
        let before = (now - KEYS_KEPT).as_millis();
        let _writing = self.writer.lock().await;
        sqlx::query(
            "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE deduplication IS NOT NULL AND published < ?
                 AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.message = message.id) LIMIT 10000)",
        )
        .bind(before)
        .execute(&self.pool)
        .await?;
        sqlx::query("DELETE FROM lane WHERE waiting = 0 AND touched < ?").bind(before).execute(&self.pool).await?;
        Ok(())
    }
}

fn delivery(row: &SqliteRow) -> Result<Delivery, OutboxError> {
    let body: Vec<u8> = row.try_get("body")?;
    let message = serde_json::from_slice(&body).map_err(|error| OutboxError::Malformed {
        id: row.try_get("message").unwrap_or_default(),
        reason: error.to_string(),
    })?;
    Ok(Delivery {
        id: row.try_get("id")?,
        subscription: row.try_get("subscription")?,
        message,
        failure: row.try_get("failure")?,
        attempts: count(row, "attempts")?,
        created: Timestamp::from_millis(row.try_get("created")?),
    })
}

fn count(row: &SqliteRow, column: &str) -> Result<u32, OutboxError> {
    Ok(u32::try_from(row.try_get::<i64, _>(column)?).unwrap_or(u32::MAX))
}

impl From<sqlx::Error> for OutboxError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests;
