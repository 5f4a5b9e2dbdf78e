//! What archives keep: chunks of events, compressed with zstd, in the file of the outbox.
//!
//! A chunk is what one append brought an archive, so that events are archived in the transaction in which their rules
//! take them. In it each event stands behind its length, four bytes with the lowest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use opentrail_model::Timestamp;
use serde::Deserialize;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

use super::{Matched, OutboxError};

/// A chunk has no more than this before it is compressed, but for one event that is larger.
const MAX_CHUNK: usize = 1 << 20;
/// Chunks that are removed in one transaction.
const REMOVED_AT_ONCE: u32 = 500;

/// A chunk to be written.
#[derive(Debug)]
pub(super) struct NewChunk {
    archive: Arc<str>,
    times: (Timestamp, Timestamp),
    events: u32,
    bytes: usize,
    packed: Vec<u8>,
}

/// A chunk of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) id: i64,
    packed: Vec<u8>,
}

/// How much an archive keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) events: i64,
    /// Before compression.
    pub(crate) bytes: i64,
}

/// Packs what archives keep of events. `None`: nothing.
pub(super) async fn pack(matched: &[&Matched]) -> Result<Vec<NewChunk>, OutboxError> {
    let mut by_archive: BTreeMap<Arc<str>, Vec<Bytes>> = BTreeMap::new();
    for matched in matched {
        for archive in &matched.archives {
            by_archive.entry(Arc::clone(archive)).or_default().push(matched.body.clone());
        }
    }
    if by_archive.is_empty() {
        return Ok(Vec::new());
    }
    let packing = move || {
        let chunks = by_archive.into_iter().flat_map(|(archive, events)| {
            parts(&events).into_iter().map(|part| chunk(Arc::clone(&archive), part)).collect::<Vec<_>>()
        });
        chunks.collect::<Result<Vec<_>, OutboxError>>()
    };
    tokio::task::spawn_blocking(packing).await.map_err(|error| unavailable(&error))?
}

fn unavailable(error: &dyn std::fmt::Display) -> OutboxError {
    OutboxError::Unavailable { reason: error.to_string() }
}

/// Runs of events that fit into a chunk.
fn parts(events: &[Bytes]) -> Vec<&[Bytes]> {
    let (mut parts, mut start, mut size) = (Vec::new(), 0, 0);
    for (at, event) in events.iter().enumerate() {
        if at > start && size + event.len() > MAX_CHUNK {
            parts.push(&events[start..at]);
            (start, size) = (at, 0);
        }
        size += event.len();
    }
    parts.push(&events[start..]);
    parts
}

fn chunk(archive: Arc<str>, events: &[Bytes]) -> Result<NewChunk, OutboxError> {
    let bytes = events.iter().map(Bytes::len).sum::<usize>();
    let mut plain = Vec::with_capacity(bytes + 4 * events.len());
    let (mut first, mut last) = (Timestamp::from_millis(i64::MAX), Timestamp::from_millis(i64::MIN));
    for event in events {
        let length = u32::try_from(event.len()).map_err(|error| unavailable(&error))?;
        plain.extend(length.to_le_bytes());
        plain.extend_from_slice(event);
        let time = event_time(event);
        (first, last) = (first.min(time), last.max(time));
    }
    let packed = zstd::bulk::compress(&plain, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(|error| unavailable(&error))?;
    Ok(NewChunk { archive, times: (first, last), events: events.len() as u32, bytes, packed })
}

/// When an event happened, as it says; the epoch if it does not.
pub(crate) fn event_time(event: &[u8]) -> Timestamp {
    #[derive(Deserialize)]
    struct Timed {
        time: String,
    }
    let timed = serde_json::from_slice::<Timed>(event).ok();
    timed.and_then(|timed| timed.time.parse().ok()).unwrap_or(Timestamp::EPOCH)
}

impl Chunk {
    /// Its events, as they came.
    pub(crate) fn events(&self) -> Result<Vec<Bytes>, OutboxError> {
        let malformed = |reason: &str| OutboxError::Malformed { reason: format!("chunk {}: {reason}", self.id) };
        let plain = zstd::stream::decode_all(&self.packed[..]).map_err(|error| malformed(&error.to_string()))?;
        let mut plain = Bytes::from(plain);
        let mut events = Vec::new();
        while !plain.is_empty() {
            let (length, _) = plain.split_first_chunk::<4>().ok_or_else(|| malformed("it ends within a length"))?;
            let length = u32::from_le_bytes(*length) as usize;
            if plain.len() < 4 + length {
                return Err(malformed("it ends within an event"));
            }
            let _ = plain.split_to(4);
            events.push(plain.split_to(length));
        }
        Ok(events)
    }
}

pub(super) async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    chunks: &[NewChunk],
    now: Timestamp,
) -> Result<(), OutboxError> {
    for chunk in chunks {
        sqlx::query(
            "INSERT INTO archived (archive, received, first, last, events, bytes, chunk) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&*chunk.archive)
        .bind(now.as_millis())
        .bind(chunk.times.0.as_millis())
        .bind(chunk.times.1.as_millis())
        .bind(chunk.events)
        .bind(i64::try_from(chunk.bytes).unwrap_or(i64::MAX))
        .bind(&chunk.packed)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// The first chunk after `after` and up to `until` that has events of these times, the second not included.
pub(super) async fn next(
    pool: &SqlitePool,
    archive: &str,
    (after, until): (i64, i64),
    (from, to): (Timestamp, Timestamp),
) -> Result<Option<Chunk>, OutboxError> {
    let found = sqlx::query(
        "SELECT id, chunk FROM archived WHERE archive = ?1 AND id > ?2 AND id <= ?3 AND last >= ?4 AND first < ?5
         ORDER BY id LIMIT 1",
    )
    .bind(archive)
    .bind(after)
    .bind(until)
    .bind(from.as_millis())
    .bind(to.as_millis())
    .fetch_optional(pool)
    .await?;
    let chunk = |row: SqliteRow| Ok(Chunk { id: row.try_get("id")?, packed: row.try_get("chunk")? });
    found.map(chunk).transpose()
}

pub(super) async fn last_chunk(pool: &SqlitePool, archive: &str) -> Result<i64, OutboxError> {
    let last: Option<i64> =
        sqlx::query_scalar("SELECT MAX(id) FROM archived WHERE archive = ?").bind(archive).fetch_one(pool).await?;
    Ok(last.unwrap_or_default())
}

pub(super) async fn kept(pool: &SqlitePool, archive: &str) -> Result<Kept, OutboxError> {
    let row = sqlx::query(
        "SELECT COALESCE(SUM(events), 0) AS events, COALESCE(SUM(bytes), 0) AS bytes FROM archived WHERE archive = ?",
    )
    .bind(archive)
    .fetch_one(pool)
    .await?;
    Ok(Kept { events: row.try_get("events")?, bytes: row.try_get("bytes")? })
}

pub(super) async fn shelves(pool: &SqlitePool) -> Result<Vec<String>, OutboxError> {
    Ok(sqlx::query_scalar("SELECT DISTINCT archive FROM archived").fetch_all(pool).await?)
}

/// Removes some chunks that came before `before`; says whether there may be more.
pub(super) async fn remove(
    transaction: &mut Transaction<'_, Sqlite>,
    archive: &str,
    before: Timestamp,
) -> Result<bool, OutboxError> {
    let removed = sqlx::query(
        "DELETE FROM archived WHERE id IN (SELECT id FROM archived WHERE archive = ?1 AND received < ?2 ORDER BY id LIMIT ?3)",
    )
    .bind(archive)
    .bind(before.as_millis())
    .bind(REMOVED_AT_ONCE)
    .execute(&mut **transaction)
    .await?
    .rows_affected();
    Ok(removed == u64::from(REMOVED_AT_ONCE))
}

/// Up to which chunk a replay has come, and to which time.
pub(super) async fn progress(pool: &SqlitePool, replay: &str) -> Result<Option<(i64, Option<Timestamp>)>, OutboxError> {
    let found = sqlx::query("SELECT chunk, reached FROM replay WHERE replay = ?").bind(replay).fetch_optional(pool);
    let Some(row) = found.await? else { return Ok(None) };
    let reached: Option<i64> = row.try_get("reached")?;
    Ok(Some((row.try_get("chunk")?, reached.map(Timestamp::from_millis))))
}

pub(super) async fn save_progress(
    transaction: &mut Transaction<'_, Sqlite>,
    replay: &str,
    chunk: i64,
    reached: Option<Timestamp>,
) -> Result<(), OutboxError> {
    sqlx::query("INSERT OR REPLACE INTO replay (replay, chunk, reached) VALUES (?, ?, ?)")
        .bind(replay)
        .bind(chunk)
        .bind(reached.map(Timestamp::as_millis))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

pub(super) async fn forget_progress(
    transaction: &mut Transaction<'_, Sqlite>,
    replay: &str,
) -> Result<(), OutboxError> {
    sqlx::query("DELETE FROM replay WHERE replay = ?").bind(replay).execute(&mut **transaction).await?;
    Ok(())
}
