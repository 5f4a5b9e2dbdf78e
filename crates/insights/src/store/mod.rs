//! What Insights knows, in a SQLite file of its own: `insights.sqlite`.
//!
//! Each closed minute is one transaction with the position that it reflects; WAL with `synchronous=FULL`, so that a commit is on
//! stable storage when it returns. A key's whole state is written once an hour, a sixtieth of the keys each minute; what came since is in the minutes'
//! counts (`redo`), from which a start brings each key up to date exactly.

mod commit;
mod insights;
mod load;
mod points;
mod schema;

use std::path::Path;
use std::time::Duration;

use opentrail_model::Position;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use crate::method::Malformed;

pub(crate) use commit::Minutes;
pub use insights::{InsightFilter, InsightPage, StoredInsight};
pub use points::{MetricQuery, MetricSeries, Period, Zeros};

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be read or written now; trying again may help.
    #[error("insights.sqlite is unavailable: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// What is stored is not as it should be. Without the file, Insights begins anew.
    #[error("insights.sqlite holds {what} that cannot be read: move the file away to begin anew")]
    Malformed {
        /// What cannot be read.
        what: &'static str,
    },
}

impl StoreError {
    fn malformed(what: &'static str) -> impl Fn(Malformed) -> Self {
        move |Malformed| Self::Malformed { what }
    }
}

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the file, creating it when absent.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be opened or is no SQLite file.
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        for statement in schema::SCHEMA.into_iter().chain([schema::INSIGHT_INDEX]) {
            sqlx::query(statement).execute(&pool).await?;
        }
        Ok(Self { pool })
    }

    /// Checkpoints the write-ahead log and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// The position that the file reflects; `None` when nothing is stored.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn position(&self) -> Result<Option<Position>, StoreError> {
        let position: Option<i64> = sqlx::query_scalar("SELECT position FROM meta").fetch_optional(&self.pool).await?;
        Ok(position.map(|position| Position(position.cast_unsigned())))
    }

    /// The switches as of [`Self::position`]; empty when nothing is stored.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn switches(&self) -> Result<Vec<u8>, StoreError> {
        Ok(sqlx::query_scalar("SELECT state FROM switches").fetch_optional(&self.pool).await?.unwrap_or_default())
    }
}
