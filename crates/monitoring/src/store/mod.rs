//! `metrics.sqlite`: points of metrics, alarms, their history, and what is on its way to their actions.
//!
//! One file, so that a source's position lies in the transaction of its data, and an alarm's transition in that of the
//! actions that it causes. WAL with `synchronous=FULL`: a commit is on stable storage when it returns. Writers wait for one
//! another at [`Store::writing`]; readers wait for nobody.

mod points;
mod retention;
mod series;
mod tier;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};
use tokio::sync::{Mutex, MutexGuard};

pub use points::Stored;
pub(crate) use points::{Scope, Span};
pub(crate) use series::{Listed, Listing};
pub(crate) use tier::{Tier, visible_from};

use self::series::Series;

/// The form of the file that this code reads and writes.
const VERSION: i64 = 1;

/// Each table, in order; all of them may be there already.
const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS series (
         id INTEGER PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, namespace TEXT NOT NULL,
         name TEXT NOT NULL, dimensions TEXT NOT NULL, unit TEXT NOT NULL, last INTEGER NOT NULL,
         UNIQUE (account, region, namespace, name, dimensions, unit))",
    // Times are seconds since the epoch. Each value lies in exactly one point, of the finest tier that still keeps it.
    "CREATE TABLE IF NOT EXISTS point (
         series INTEGER NOT NULL, time INTEGER NOT NULL, tier INTEGER NOT NULL,
         count REAL NOT NULL, sum REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL, distribution BLOB,
         PRIMARY KEY (series, time, tier)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS point_age ON point (tier, time)",
    "CREATE TABLE IF NOT EXISTS source (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS alarm (
         account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, document BLOB NOT NULL,
         PRIMARY KEY (account, region, name)) WITHOUT ROWID",
    // Times are milliseconds since the epoch.
    "CREATE TABLE IF NOT EXISTS history (
         id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL, alarm TEXT NOT NULL,
         kind TEXT NOT NULL, time INTEGER NOT NULL, item TEXT NOT NULL, summary TEXT NOT NULL, data TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS history_alarm ON history (account, region, alarm, id)",
    "CREATE INDEX IF NOT EXISTS history_region ON history (account, region, id)",
    "CREATE INDEX IF NOT EXISTS history_time ON history (time)",
    "CREATE TABLE IF NOT EXISTS outbox (
         id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL, alarm TEXT NOT NULL,
         kind TEXT NOT NULL, lane TEXT NOT NULL, action TEXT, content BLOB NOT NULL, made INTEGER NOT NULL,
         attempts INTEGER NOT NULL, due INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS outbox_lane ON outbox (lane, id)",
];

/// Why the file did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It failed; trying again may help, e.g. when the disk is full no more.
    #[error("the metrics file is unavailable: {reason}")]
    Unavailable {
        /// SQLite's word.
        reason: String,
    },
    /// What it holds is not what was written.
    #[error("the metrics file is damaged: {what}")]
    Damaged {
        /// Which part.
        what: String,
    },
    /// Another version of the server made it.
    #[error("the metrics file has format {found}, this version of OpenTrail reads {VERSION}")]
    Format {
        /// Its format.
        found: i64,
    },
    /// An account has as many metrics as it may.
    #[error("account {account} has {limit} metrics, which is the limit; use fewer values of dimensions")]
    TooManyMetrics {
        /// Which.
        account: String,
        /// How many.
        limit: u64,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    writer: Mutex<()>,
    series: parking_lot::Mutex<Series>,
    max_series: u64,
}

/// The right to write, and a transaction. Dropped without [`Writing::commit`], nothing has happened, and what the transaction
/// taught about series is forgotten with it.
pub(crate) struct Writing<'a> {
    store: &'a Store,
    /// There until the commit. Dropped before the right to write.
    transaction: Option<Transaction<'a, Sqlite>>,
    is_durable: bool,
    _writer: MutexGuard<'a, ()>,
}

impl<'a> Writing<'a> {
    /// What to execute statements with.
    pub(crate) fn transaction(&mut self) -> &mut Transaction<'a, Sqlite> {
        self.transaction.as_mut().expect("only the commit, which consumes this, takes it")
    }

    /// Makes it durable.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        if let Some(transaction) = self.transaction.take() {
            transaction.commit().await?;
            self.is_durable = true;
        }
        Ok(())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.is_durable {
            self.store.series.lock().forget();
        }
    }
}

impl Store {
    /// Opens the file, creating it when absent.
    pub(crate) async fn open(path: &Path, max_series: u64) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&pool).await?;
        if found != 0 && found != VERSION {
            return Err(StoreError::Format { found });
        }
        for statement in SCHEMA.iter().copied() {
            sqlx::query(statement).execute(&pool).await?;
        }
        sqlx::query("PRAGMA user_version = 1").execute(&pool).await?;
        Ok(Self { pool, writer: Mutex::new(()), series: parking_lot::Mutex::default(), max_series })
    }

    /// As many metrics may an account have, each unit counted.
    pub(crate) fn max_series(&self) -> u64 {
        self.max_series
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for the right to write and begins a transaction.
    ///
    /// # Cancellation
    /// A dropped [`Writing`] rolls back.
    pub(crate) async fn writing(&self) -> Result<Writing<'_>, StoreError> {
        let writer = self.writer.lock().await;
        let transaction = Some(self.pool.begin().await?);
        Ok(Writing { store: self, transaction, is_durable: false, _writer: writer })
    }

    /// Checkpoints the write-ahead log and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
