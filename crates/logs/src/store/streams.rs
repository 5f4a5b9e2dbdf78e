//! Rows of log streams.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, Writing};
use crate::error::LogsError;

/// A log stream. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct StreamRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) created: i64,
    pub(crate) first_event: Option<i64>,
    pub(crate) last_event: Option<i64>,
    pub(crate) last_ingestion: Option<i64>,
}

impl Store {
    pub(crate) async fn find_stream(&self, group: i64, name: &str) -> Result<Option<StreamRow>, LogsError> {
        let row = sqlx::query("SELECT * FROM log_stream WHERE group_id = ? AND name = ?")
            .bind(group)
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| stream(&row)).transpose()
    }

    pub(crate) async fn stream_of_id(&self, group: i64, id: i64) -> Result<Option<StreamRow>, LogsError> {
        let row = sqlx::query("SELECT * FROM log_stream WHERE group_id = ? AND id = ?")
            .bind(group)
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| stream(&row)).transpose()
    }

    /// Streams of a group by name: those that begin with `prefix` and come after `after`; before it when `descending`.
    pub(crate) async fn streams_by_name(
        &self,
        group: i64,
        prefix: &str,
        after: Option<&str>,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<StreamRow>, LogsError> {
        let statement = if descending {
            "SELECT * FROM log_stream WHERE group_id = ?1 AND name >= ?2 AND name < ?2 || char(1114111)
             AND (?3 IS NULL OR name < ?3) ORDER BY name DESC LIMIT ?4"
        } else {
            "SELECT * FROM log_stream WHERE group_id = ?1 AND name >= ?2 AND name < ?2 || char(1114111)
             AND (?3 IS NULL OR name > ?3) ORDER BY name LIMIT ?4"
        };
        let rows = sqlx::query(statement)
            .bind(group)
            .bind(prefix)
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(stream).collect()
    }

    /// Streams of a group by the time of their last event, those without one first, from `after` (time and id) on.
    pub(crate) async fn streams_by_event(
        &self,
        group: i64,
        after: Option<(i64, i64)>,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<StreamRow>, LogsError> {
        let statement = if descending {
            "SELECT * FROM log_stream WHERE group_id = ?1
             AND (?2 IS NULL OR (coalesce(last_event, -1), id) < (?2, ?3))
             ORDER BY coalesce(last_event, -1) DESC, id DESC LIMIT ?4"
        } else {
            "SELECT * FROM log_stream WHERE group_id = ?1
             AND (?2 IS NULL OR (coalesce(last_event, -1), id) > (?2, ?3))
             ORDER BY coalesce(last_event, -1), id LIMIT ?4"
        };
        let rows = sqlx::query(statement)
            .bind(group)
            .bind(after.map(|(time, _)| time))
            .bind(after.map(|(_, id)| id))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(stream).collect()
    }
}

/// The id of a stream within a transaction.
pub(crate) async fn stream_in(
    writing: &mut Writing<'_>,
    group: i64,
    name: &str,
) -> Result<Option<StreamRow>, LogsError> {
    let row = sqlx::query("SELECT * FROM log_stream WHERE group_id = ? AND name = ?")
        .bind(group)
        .bind(name)
        .fetch_optional(&mut *writing.transaction)
        .await?;
    row.map(|row| stream(&row)).transpose()
}

/// Makes a stream; `None` when its name is taken. The group must be there.
pub(crate) async fn create_stream(
    writing: &mut Writing<'_>,
    group: i64,
    name: &str,
    now: i64,
) -> Result<Option<i64>, LogsError> {
    let done = sqlx::query(
        "INSERT INTO log_stream (group_id, name, created)
         SELECT id, ?2, ?3 FROM log_group WHERE id = ?1 ON CONFLICT DO NOTHING",
    )
    .bind(group)
    .bind(name)
    .bind(now)
    .execute(&mut *writing.transaction)
    .await?;
    Ok((done.rows_affected() > 0).then(|| done.last_insert_rowid()))
}

/// Notes what came into a stream: the span of the events, when they came and how many bytes they have uncompressed.
pub(crate) async fn note_events(
    writing: &mut Writing<'_>,
    (group, stream): (i64, i64),
    (first, last): (i64, i64),
    ingested: i64,
    bytes: usize,
) -> Result<(), LogsError> {
    sqlx::query(
        "UPDATE log_stream SET first_event = min(coalesce(first_event, ?2), ?2),
         last_event = max(coalesce(last_event, ?3), ?3), last_ingestion = ?4 WHERE id = ?1",
    )
    .bind(stream)
    .bind(first)
    .bind(last)
    .bind(ingested)
    .execute(&mut *writing.transaction)
    .await?;
    sqlx::query("UPDATE log_group SET stored_bytes = stored_bytes + ? WHERE id = ?")
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
        .bind(group)
        .execute(&mut *writing.transaction)
        .await?;
    Ok(())
}

/// Deletes a stream; its chunks go later and are not seen from now on.
pub(crate) async fn delete_stream(writing: &mut Writing<'_>, group: i64, id: i64) -> Result<(), LogsError> {
    sqlx::query("INSERT INTO dropped (stream_id, group_id) VALUES (?, ?)")
        .bind(id)
        .bind(group)
        .execute(&mut *writing.transaction)
        .await?;
    sqlx::query("DELETE FROM log_stream WHERE id = ?").bind(id).execute(&mut *writing.transaction).await?;
    Ok(())
}

fn stream(row: &SqliteRow) -> Result<StreamRow, LogsError> {
    Ok(StreamRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        created: row.try_get("created")?,
        first_event: row.try_get("first_event")?,
        last_event: row.try_get("last_event")?,
        last_ingestion: row.try_get("last_ingestion")?,
    })
}
