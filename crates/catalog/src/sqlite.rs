use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_runtime::CrashPoint;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;

use crate::{Catalog, CatalogError, Change, Expect, Versioned};

/// The embedded catalog: one SQLite file in the data directory.
///
/// WAL with `synchronous=FULL`: a commit is on stable storage when it returns.
#[derive(Debug)]
pub struct SqliteCatalog {
    pool: SqlitePool,
    /// SQLite has one writer; waiting here is fairer and cheaper than its busy handler.
    writer: Mutex<()>,
}

impl SqliteCatalog {
    /// Opens the file, creating it when absent.
    ///
    /// # Errors
    /// [`CatalogError::Unavailable`] when the file cannot be opened or is no catalog.
    pub async fn open(path: &Path) -> Result<Self, CatalogError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS document (
                 kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL,
                 PRIMARY KEY (kind, key)
             ) WITHOUT ROWID",
        )
        .execute(&pool)
        .await?;
        Ok(Self { pool, writer: Mutex::new(()) })
    }

    /// Checkpoints the write-ahead log and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn get(&self, kind: &'static str, key: &str) -> Result<Option<Versioned<Vec<u8>>>, CatalogError> {
        let row = sqlx::query("SELECT key, revision, body FROM document WHERE kind = ? AND key = ?")
            .bind(kind)
            .bind(key)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| versioned(&row)).transpose()
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Versioned<Vec<u8>>>, CatalogError> {
        // No character sorts after U+10FFFF, so the range holds every key with the prefix.
        let rows = sqlx::query(
            "SELECT key, revision, body FROM document
             WHERE kind = ?1 AND key >= ?2 AND key < ?2 || char(1114111) AND key > ?3 ORDER BY key LIMIT ?4",
        )
        .bind(kind)
        .bind(prefix)
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(versioned).collect()
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), CatalogError> {
        let _writing = self.writer.lock().await;
        let mut transaction = self.pool.begin().await?;
        for Change { kind, key, expect, .. } in &changes {
            let current: Option<i64> = sqlx::query_scalar("SELECT revision FROM document WHERE kind = ? AND key = ?")
                .bind(*kind)
                .bind(key)
                .fetch_optional(&mut *transaction)
                .await?;
            let holds = match expect {
                Expect::Anything => true,
                Expect::Absent => current.is_none(),
                Expect::Revision(revision) => current == i64::try_from(*revision).ok(),
            };
            if !holds {
                return Err(CatalogError::Conflict { kind: (*kind).to_owned(), key: key.clone() });
            }
        }
        for Change { kind, key, body, .. } in changes {
            let statement = match body {
                Some(body) => sqlx::query(
                    "INSERT INTO document (kind, key, revision, body) VALUES (?, ?, 1, ?)
                     ON CONFLICT (kind, key) DO UPDATE SET revision = revision + 1, body = excluded.body",
                )
                .bind(kind)
                .bind(key)
                .bind(body),
                None => sqlx::query("DELETE FROM document WHERE kind = ? AND key = ?").bind(kind).bind(key),
            };
            statement.execute(&mut *transaction).await?;
        }
        CrashPoint::CatalogCommit.reach();
        transaction.commit().await?;
        CrashPoint::CatalogCommitted.reach();
        Ok(())
    }
}

fn versioned(row: &sqlx::sqlite::SqliteRow) -> Result<Versioned<Vec<u8>>, CatalogError> {
    Ok(Versioned {
        key: row.try_get("key")?,
        revision: u64::try_from(row.try_get::<i64, _>("revision")?).unwrap_or_default(),
        value: row.try_get("body")?,
    })
}

impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}
