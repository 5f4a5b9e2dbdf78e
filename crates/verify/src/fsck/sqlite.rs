//! One of the server's SQLite files, opened without changing it.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};
use tempfile::TempDir;

use super::FsckError;
use super::report::Notes;
use super::wal;

/// A file that could be opened.
pub(super) struct File {
    pub(super) connection: SqliteConnection,
    _copy: Option<TempDir>,
}

/// Opens the file `name` of the data directory and has SQLite check it, its log too; what is wrong is noted. `None` when it
/// cannot be read at all.
///
/// # Errors
/// When a temporary copy cannot be made.
pub(super) async fn open(root: &Path, name: &str, notes: &mut Notes) -> Result<Option<File>, FsckError> {
    let (path, log_name) = (root.join(name), format!("{name}-wal"));
    let log = root.join(&log_name);
    let has_log = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    // SQLite writes beside a file with a log even when it only reads, so such a pair is read from a copy.
    let (options, copy) = if has_log {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| FsckError::Io { path, source }
        };
        let copy = tempfile::tempdir().map_err(io(&std::env::temp_dir()))?;
        let place = copy.path().join(name);
        std::fs::copy(&path, &place).map_err(io(&path))?;
        std::fs::copy(&log, copy.path().join(&log_name)).map_err(io(&log))?;
        wal::check(&log_name, &log, &path, notes).map_err(io(&log))?;
        (SqliteConnectOptions::new().filename(place), Some(copy))
    } else {
        (SqliteConnectOptions::new().filename(&path).read_only(true).immutable(true), None)
    };
    match checked(options, name, notes).await {
        Ok(connection) => Ok(Some(File { connection, _copy: copy })),
        Err(error) => {
            unreadable(name, &error, notes);
            Ok(None)
        }
    }
}

/// Notes that the file cannot be read.
pub(super) fn unreadable(name: &str, error: &sqlx::Error, notes: &mut Notes) {
    notes.damage(name, format_args!("the file cannot be read: {error}"));
}

async fn checked(
    options: SqliteConnectOptions,
    name: &str,
    notes: &mut Notes,
) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = SqliteConnection::connect_with(&options).await?;
    for row in sqlx::query("PRAGMA integrity_check").fetch_all(&mut connection).await? {
        let verdict: String = row.try_get(0)?;
        if verdict != "ok" {
            notes.damage(name, verdict);
        }
    }
    Ok(connection)
}
