//! `findings.sqlite`: the rules of each account, what they found, and how far the journal was looked at, in one file so
//! that one transaction has all of it.
//!
//! A crash at any point leaves the state of some earlier position; from there the journal is looked at again, and gives
//! the same findings under the same ids.

mod findings;
mod progress;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;

pub use findings::{FindingPage, FindingQuery, StoredFinding};
pub(crate) use progress::Save;
pub use rules::StoredRule;
pub(crate) use rules::{NewRule, RuleChange};

/// What is in the file. A file that says otherwise was written by another version.
const FORMAT: i64 = 1;

const SCHEMA: &[&str] = &[
    // `format`, `position`: the journal is folded in up to there; `announced`: findings up to there were handed on.
    "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    // A rule applies to what comes after `since` up to `until`. Its last version has no `until`.
    "CREATE TABLE IF NOT EXISTS rule (
         account INTEGER NOT NULL, id TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER,
         number INTEGER NOT NULL, title TEXT NOT NULL, level INTEGER NOT NULL, kind TEXT NOT NULL, file TEXT NOT NULL,
         text TEXT NOT NULL, loaded INTEGER NOT NULL, loaded_by TEXT NOT NULL,
         PRIMARY KEY (account, id, since)
     ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS finding (
         number INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, id TEXT NOT NULL,
         rule TEXT NOT NULL, level INTEGER NOT NULL, time INTEGER NOT NULL, found INTEGER NOT NULL,
         tags TEXT NOT NULL, body TEXT NOT NULL, record BLOB NOT NULL
     )",
    "CREATE UNIQUE INDEX IF NOT EXISTS finding_id ON finding (account, id)",
    "CREATE INDEX IF NOT EXISTS finding_rule ON finding (account, rule, number)",
    "CREATE INDEX IF NOT EXISTS finding_found ON finding (found)",
    // What correlations have seen, by the version of their rule.
    "CREATE TABLE IF NOT EXISTS correlation (
         account INTEGER NOT NULL, rule TEXT NOT NULL, grp TEXT NOT NULL, seen TEXT NOT NULL,
         PRIMARY KEY (account, rule, grp)
     ) WITHOUT ROWID",
];

/// Why the file did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It failed; trying again may help.
    #[error("the findings are unavailable: {reason}")]
    Unavailable {
        /// SQLite's word.
        reason: String,
    },
    /// It holds what no version of ours wrote, or a newer one.
    #[error("the file of findings cannot be read: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
                Self::Malformed { reason: error.to_string() }
            }
            _ => Self::Unavailable { reason: error.to_string() },
        }
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    /// SQLite has one writer; waiting here is fairer and cheaper than its busy handler.
    writer: Mutex<()>,
}

impl Store {
    /// Opens the file, creating it when absent. WAL with `synchronous=FULL`: a commit is on stable storage when it returns.
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        for statement in SCHEMA {
            sqlx::query(*statement).execute(&pool).await?;
        }
        let store = Self { pool, writer: Mutex::new(()) };
        sqlx::query("INSERT OR IGNORE INTO state VALUES ('format', ?)").bind(FORMAT).execute(&store.pool).await?;
        match store.state("format").await? {
            Some(FORMAT) => Ok(store),
            found => Err(StoreError::Malformed { reason: format!("its format is {found:?}, not {FORMAT}") }),
        }
    }

    /// Checkpoints the write-ahead log and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    async fn state(&self, name: &str) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar("SELECT value FROM state WHERE name = ?").bind(name).fetch_optional(&self.pool).await?)
    }
}

async fn put_state(connection: &mut sqlx::SqliteConnection, name: &str, value: i64) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(())
}

/// A number as SQLite has it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
