//! Rows of chunks.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, Writing, to_i64, to_u64};
use crate::chunk::{Events, Run, checksum, decode_runs, encode_runs};
use crate::error::LogsError;

/// What is known of a chunk without its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkRow {
    pub(crate) sequence: u64,
    pub(crate) stream: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// A chunk with its events, checked.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) events: Events,
    pub(crate) runs: Vec<Run>,
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    Group(i64),
    Stream(i64),
}

/// In which order events are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    OldestFirst,
    NewestFirst,
}

/// Which chunks: those that overlap the times from `from` through `through`, in milliseconds, both inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: i64,
    pub(crate) through: i64,
}

const GROUP_OLDEST: &str = "SELECT sequence, stream_id, first, last FROM chunk INDEXED BY chunk_of_group_by_first
    WHERE group_id = ?1 AND first <= ?3 AND last >= ?2 AND (first, sequence) > (?4, ?5)
    ORDER BY first, sequence LIMIT ?6";
const GROUP_NEWEST: &str = "SELECT sequence, stream_id, first, last FROM chunk INDEXED BY chunk_of_group_by_last
    WHERE group_id = ?1 AND first <= ?3 AND last >= ?2 AND (last, sequence) < (?4, ?5)
    ORDER BY last DESC, sequence DESC LIMIT ?6";
const STREAM_OLDEST: &str = "SELECT sequence, stream_id, first, last FROM chunk INDEXED BY chunk_of_stream_by_first
    WHERE stream_id = ?1 AND first <= ?3 AND last >= ?2 AND (first, sequence) > (?4, ?5)
    ORDER BY first, sequence LIMIT ?6";
const STREAM_NEWEST: &str = "SELECT sequence, stream_id, first, last FROM chunk INDEXED BY chunk_of_stream_by_last
    WHERE stream_id = ?1 AND first <= ?3 AND last >= ?2 AND (last, sequence) < (?4, ?5)
    ORDER BY last DESC, sequence DESC LIMIT ?6";

impl Store {
    /// Chunks that overlap the window, by their first time, or by their last backwards; those behind `after`, which is
    /// that time and the sequence number of the last one seen.
    pub(crate) async fn chunks(
        &self,
        scope: Scope,
        window: Window,
        direction: Direction,
        after: Option<(i64, u64)>,
        limit: i64,
    ) -> Result<Vec<ChunkRow>, LogsError> {
        let (statement, id, start) = match (scope, direction) {
            (Scope::Group(id), Direction::OldestFirst) => (GROUP_OLDEST, id, (i64::MIN, 0)),
            (Scope::Group(id), Direction::NewestFirst) => (GROUP_NEWEST, id, (i64::MAX, i64::MAX)),
            (Scope::Stream(id), Direction::OldestFirst) => (STREAM_OLDEST, id, (i64::MIN, 0)),
            (Scope::Stream(id), Direction::NewestFirst) => (STREAM_NEWEST, id, (i64::MAX, i64::MAX)),
        };
        let (time, sequence) = after.map_or(start, |(time, sequence)| (time, to_i64(sequence)));
        let rows = sqlx::query(statement)
            .bind(id)
            .bind(window.from)
            .bind(window.through)
            .bind(time)
            .bind(sequence)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(chunk_row).collect()
    }

    /// A chunk as it is stored; `None` when it is gone meanwhile.
    pub(crate) async fn stored(&self, sequence: u64) -> Result<Option<Stored>, LogsError> {
        let row = sqlx::query("SELECT sequence, stream_id, raw, checksum, runs, body FROM chunk WHERE sequence = ?")
            .bind(to_i64(sequence))
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| stored(&row)).transpose()
    }

    /// The chunk of a stream in which the events of the commit `sequence` lie.
    pub(crate) async fn chunk_with(&self, stream: i64, sequence: u64) -> Result<Option<u64>, LogsError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT sequence FROM chunk WHERE stream_id = ?1 AND sequence >= ?2 AND first_sequence <= ?2
             ORDER BY sequence LIMIT 1",
        )
        .bind(stream)
        .bind(to_i64(sequence))
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(to_u64))
    }
}

/// Writes a chunk. Its number is that of its last run.
pub(crate) async fn insert_chunk(
    writing: &mut Writing<'_>,
    (group, stream): (i64, i64),
    (first, last): (i64, i64),
    runs: &[Run],
    body: Vec<u8>,
    raw: usize,
) -> Result<(), LogsError> {
    let encoded = encode_runs(runs);
    let (oldest, newest) = match (runs.first(), runs.last()) {
        (Some(oldest), Some(newest)) => (oldest, newest),
        _ => return Ok(()),
    };
    let checksum = checksum(&body, &encoded, raw);
    sqlx::query(
        "INSERT INTO chunk (sequence, first_sequence, group_id, stream_id, first, last, count, ingested, raw, checksum,
         runs, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(to_i64(newest.sequence))
    .bind(to_i64(oldest.sequence))
    .bind(group)
    .bind(stream)
    .bind(first)
    .bind(last)
    .bind(to_i64(runs.iter().map(|run| run.count as u64).sum()))
    .bind(newest.ingested)
    .bind(to_i64(raw as u64))
    .bind(i64::from(checksum))
    .bind(encoded)
    .bind(body)
    .execute(&mut *writing.transaction)
    .await?;
    Ok(())
}

fn chunk_row(row: &SqliteRow) -> Result<ChunkRow, LogsError> {
    Ok(ChunkRow {
        sequence: to_u64(row.try_get("sequence")?),
        stream: row.try_get("stream_id")?,
        first: row.try_get("first")?,
        last: row.try_get("last")?,
    })
}

/// A chunk as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) stream: i64,
    raw: usize,
    checksum: i64,
    runs: Vec<u8>,
    body: Vec<u8>,
}

impl Stored {
    /// Its events; `None` when it is damaged, which is logged and counted.
    pub(crate) fn open(&self) -> Option<Loaded> {
        let loaded = self.read();
        if loaded.is_none() {
            metrics::counter!("opentrail_logs_damaged_chunks_total").increment(1);
            tracing::error!(sequence = self.sequence, "a chunk of log events is damaged and skipped");
        }
        loaded
    }

    fn read(&self) -> Option<Loaded> {
        if self.checksum != i64::from(checksum(&self.body, &self.runs, self.raw)) {
            return None;
        }
        let (events, runs) = (Events::decode(&self.body, self.raw)?, decode_runs(&self.runs)?);
        let counted = runs.iter().try_fold(0usize, |sum, run| sum.checked_add(run.count))?;
        (counted == events.len()).then_some(Loaded { events, runs })
    }
}

/// A row with `sequence`, `stream_id`, `raw`, `checksum`, `runs` and `body`.
pub(crate) fn stored(row: &SqliteRow) -> Result<Stored, LogsError> {
    Ok(Stored {
        sequence: to_u64(row.try_get("sequence")?),
        stream: row.try_get("stream_id")?,
        raw: usize::try_from(row.try_get::<i64, _>("raw")?).unwrap_or(usize::MAX),
        checksum: row.try_get("checksum")?,
        runs: row.try_get("runs")?,
        body: row.try_get("body")?,
    })
}
