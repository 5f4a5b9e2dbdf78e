//! The file `logs.sqlite`: groups, streams, metric filters, policies, and the chunks that hold log events.
//!
//! WAL with `synchronous=FULL`: a commit is on stable storage when it returns. Readers see what is committed; there is one
//! writer at a time, who holds the [`Store::write`] gate.

mod chunks;
mod filters;
mod groups;
mod policies;
mod streams;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::LogsError;

pub(crate) use chunks::{ChunkRow, Direction, Loaded, Scope, Stored, Window, insert_chunk, stored};
pub(crate) use filters::{FilterRow, FilterVersion, MetricFilter, MetricTransformation};
pub(crate) use groups::{GroupRow, delete_group};
pub(crate) use policies::PolicyRow;
pub(crate) use streams::{StreamRow, create_stream, delete_stream, note_events, stream_in};

/// Larger than SQLite's own, since most rows are chunks of some tens of kilobytes.
const PAGE_BYTES: u32 = 16 << 10;
const READERS: u32 = 4;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
    created INTEGER NOT NULL, retention_days INTEGER, protected INTEGER NOT NULL, stored_bytes INTEGER NOT NULL,
    tags TEXT NOT NULL, UNIQUE (account, region, name)
);
CREATE TABLE IF NOT EXISTS log_stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
    first_event INTEGER, last_event INTEGER, last_ingestion INTEGER, UNIQUE (group_id, name)
);
CREATE INDEX IF NOT EXISTS log_stream_by_event ON log_stream (group_id, last_event, id);
CREATE TABLE IF NOT EXISTS chunk (
    sequence INTEGER PRIMARY KEY, first_sequence INTEGER NOT NULL, group_id INTEGER NOT NULL,
    stream_id INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
    ingested INTEGER NOT NULL, raw INTEGER NOT NULL, checksum INTEGER NOT NULL, runs BLOB NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS chunk_of_group_by_first ON chunk (group_id, first, sequence, last, stream_id);
CREATE INDEX IF NOT EXISTS chunk_of_group_by_last ON chunk (group_id, last, sequence, first, stream_id);
CREATE INDEX IF NOT EXISTS chunk_of_stream_by_first ON chunk (stream_id, first, sequence, last);
CREATE INDEX IF NOT EXISTS chunk_of_stream_by_last ON chunk (stream_id, last, sequence, first);
CREATE INDEX IF NOT EXISTS chunk_of_stream ON chunk (stream_id, sequence, raw, count);
CREATE TABLE IF NOT EXISTS dropped (stream_id INTEGER PRIMARY KEY, group_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS metric_filter (
    id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    after INTEGER NOT NULL, through INTEGER
);
CREATE INDEX IF NOT EXISTS metric_filter_of_group ON metric_filter (group_id, name);
CREATE TABLE IF NOT EXISTS policy (
    account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, updated INTEGER NOT NULL,
    revision INTEGER NOT NULL, PRIMARY KEY (account, region, name)
) WITHOUT ROWID;
";

/// The file.
#[derive(Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    gate: Mutex<()>,
}

/// The right to write, and the transaction in which it is done. Dropped without a commit, nothing is written.
pub(crate) struct Writing<'a> {
    pub(crate) transaction: Transaction<'a, Sqlite>,
    _gate: MutexGuard<'a, ()>,
}

impl Writing<'_> {
    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), LogsError> {
        Ok(self.transaction.commit().await?)
    }
}

impl Store {
    /// Opens the file, creating it when absent.
    pub(crate) async fn open(path: &Path) -> Result<Self, LogsError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        // Setting these writes to the file each time, which readers that the pool opens later must not do.
        let making = options.clone().page_size(PAGE_BYTES).auto_vacuum(SqliteAutoVacuum::Incremental);
        let mut first = SqliteConnection::connect_with(&making).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut first).await?;
        first.close().await?;
        let pool = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        Ok(Self { pool, gate: Mutex::new(()) })
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for the right to write.
    pub(crate) async fn write(&self) -> Result<Writing<'_>, LogsError> {
        let gate = self.gate.lock().await;
        // What a transaction reads first is what it writes on: nobody may write in between.
        Ok(Writing { transaction: self.pool.begin_with("BEGIN IMMEDIATE").await?, _gate: gate })
    }

    /// Gives some free pages, 16 MiB at most, back to the file system.
    pub(crate) async fn give_back(&self) -> Result<(), LogsError> {
        let _gate = self.gate.lock().await;
        sqlx::raw_sql("PRAGMA incremental_vacuum(1024)").execute(&self.pool).await?;
        Ok(())
    }

    /// The sequence number of the last commit of events.
    pub(crate) async fn last_sequence(&self) -> Result<u64, LogsError> {
        let value: Option<i64> =
            sqlx::query_scalar("SELECT value FROM meta WHERE name = 'sequence'").fetch_optional(&self.pool).await?;
        Ok(value.map_or(0, to_u64))
    }

    /// How far `source` has come.
    pub(crate) async fn position(&self, source: &str) -> Result<Option<u64>, LogsError> {
        let value: Option<i64> = sqlx::query_scalar("SELECT position FROM source WHERE name = ?")
            .bind(source)
            .fetch_optional(&self.pool)
            .await?;
        Ok(value.map(to_u64))
    }
}

/// Sets the sequence number of the last commit of events.
pub(crate) async fn set_sequence(writing: &mut Writing<'_>, sequence: u64) -> Result<(), LogsError> {
    sqlx::query("INSERT INTO meta (name, value) VALUES ('sequence', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1")
        .bind(to_i64(sequence))
        .execute(&mut *writing.transaction)
        .await?;
    Ok(())
}

/// Moves `source` to `position`; `false` when it is there already or beyond.
pub(crate) async fn advance(writing: &mut Writing<'_>, source: &str, position: u64) -> Result<bool, LogsError> {
    let done = sqlx::query(
        "INSERT INTO source (name, position) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET position = ?2 WHERE position < ?2",
    )
    .bind(source)
    .bind(to_i64(position))
    .execute(&mut *writing.transaction)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// SQLite's integers are signed; ours stay far below where that matters.
pub(crate) fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(crate) fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}
