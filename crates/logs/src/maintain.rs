//! Keeping the file small: what retention or a deletion leaves behind goes, and small chunks become large ones.
//!
//! All of it happens in small steps, each a transaction of its own, so that nobody waits long for the right to write.
//! Nothing that is still to be followed is merged: followers find chunks by their sequence numbers, and a merged chunk has
//! only the last of them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use opentrail_runtime::{CrashPoint, Shutdown};
use sqlx::Row;

use crate::chunk::{Events, MOST_BYTES, MOST_EVENTS, Run};
use crate::error::LogsError;
use crate::service::{Logs, Shared, aside};
use crate::store::{Stored, Writing, insert_chunk, to_i64, to_u64};

/// How long maintenance rests between two passes.
const REST: Duration = Duration::from_secs(10);
/// How many chunks a step deletes.
const STEP: i64 = 64;
/// How many chunks of about one size become one.
const FAN_IN: usize = 8;

/// What a pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Chunks whose events are past their group's retention.
    pub expired: u64,
    /// Chunks of deleted groups and streams.
    pub dropped: u64,
    /// Chunks that became part of a larger one.
    pub merged: u64,
}

/// A chunk of a stream, as merging sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    sequence: u64,
    raw: usize,
    count: usize,
}

impl Logs {
    /// Maintains the file until the shutdown begins. What fails is logged and tried again with the next pass.
    ///
    /// # Errors
    /// None.
    pub async fn run_maintenance(self, shutdown: Shutdown) -> Result<(), Infallible> {
        loop {
            tokio::select! {
                () = shutdown.begun() => return Ok(()),
                () = self.shared.clock.sleep(REST) => {}
            }
            tokio::select! {
                () = shutdown.begun() => return Ok(()),
                done = self.maintain() => match done {
                    Ok(done) if done != Maintained::default() => tracing::debug!(?done, "log events were maintained"),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "log events could not be maintained"),
                }
            }
        }
    }

    /// One pass.
    ///
    /// # Errors
    /// When the file fails. What was done until then is done.
    ///
    /// # Cancellation
    /// At any time; the step at hand is undone.
    pub async fn maintain(&self) -> Result<Maintained, LogsError> {
        let shared = &self.shared;
        let done = Maintained {
            expired: shared.drop_expired().await?,
            dropped: shared.drop_deleted().await?,
            merged: shared.merge().await?,
        };
        let last = *shared.last.borrow();
        shared.store.forget_filters(shared.passed_by_all().min(last)).await?;
        self.expire_queries();
        if done != Maintained::default() {
            shared.store.give_back().await?;
        }
        Ok(done)
    }
}

impl Shared {
    async fn drop_expired(&self) -> Result<u64, LogsError> {
        let now = self.clock.now().as_millis();
        let (mut after, mut dropped) = (0, 0);
        loop {
            let groups = self.store.groups_with_retention(after, 100).await?;
            let Some(last) = groups.last() else { return Ok(dropped) };
            after = last.id;
            for group in &groups {
                let before = group.expired_before(now);
                loop {
                    let step = self
                        .delete_chunks(
                            "SELECT sequence, raw FROM chunk WHERE group_id = ?1 AND last < ?2 ORDER BY last LIMIT ?3",
                            (group.id, before),
                            Some(group.id),
                        )
                        .await?;
                    dropped += step;
                    if step == 0 {
                        break;
                    }
                }
            }
        }
    }

    async fn drop_deleted(&self) -> Result<u64, LogsError> {
        let mut dropped = 0;
        loop {
            let stream: Option<(i64, i64)> = sqlx::query_as("SELECT stream_id, group_id FROM dropped LIMIT 1")
                .fetch_optional(self.store.pool())
                .await?;
            let Some((stream, group)) = stream else { return Ok(dropped) };
            let step = self
                .delete_chunks(
                    "SELECT sequence, raw FROM chunk WHERE stream_id = ?1 AND ?2 = 0 ORDER BY sequence LIMIT ?3",
                    (stream, 0),
                    Some(group),
                )
                .await?;
            dropped += step;
            if step == 0 {
                let mut writing = self.store.write().await?;
                sqlx::query("DELETE FROM dropped WHERE stream_id = ?")
                    .bind(stream)
                    .execute(&mut *writing.transaction)
                    .await?;
                writing.commit().await?;
            }
        }
    }

    /// Deletes some of the chunks that `select` finds with two values; how many.
    async fn delete_chunks(
        &self,
        select: &'static str,
        (first, second): (i64, i64),
        group: Option<i64>,
    ) -> Result<u64, LogsError> {
        let mut writing = self.store.write().await?;
        let rows = sqlx::query(select).bind(first).bind(second).bind(STEP).fetch_all(&mut *writing.transaction).await?;
        let mut bytes = 0;
        for row in &rows {
            bytes += row.try_get::<i64, _>("raw")?;
            delete_chunk(&mut writing, to_u64(row.try_get("sequence")?)).await?;
        }
        if let Some(group) = group {
            count_bytes(&mut writing, group, -bytes).await?;
        }
        writing.commit().await?;
        Ok(rows.len() as u64)
    }

    async fn merge(&self) -> Result<u64, LogsError> {
        let mut merged = 0;
        let known = self.fragmented.lock().replace(BTreeSet::new());
        let streams = match known {
            Some(streams) => streams,
            None => sqlx::query_scalar("SELECT stream_id FROM chunk GROUP BY stream_id HAVING count(*) >= ?")
                .bind(to_i64(FAN_IN as u64))
                .fetch_all(self.store.pool())
                .await?
                .into_iter()
                .collect(),
        };
        for stream in streams {
            merged += self.merge_stream(stream).await?;
        }
        Ok(merged)
    }

    /// Merges what can be merged of a stream.
    async fn merge_stream(&self, stream: i64) -> Result<u64, LogsError> {
        let through = self.passed_by_all();
        let rows = sqlx::query(
            "SELECT sequence, raw, count FROM chunk WHERE stream_id = ? AND sequence <= ? ORDER BY sequence",
        )
        .bind(stream)
        .bind(to_i64(through))
        .fetch_all(self.store.pool())
        .await?;
        let size = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
        let mut pieces = Vec::with_capacity(rows.len());
        for row in rows {
            let (raw, count) = (size(row.try_get("raw")?), size(row.try_get("count")?));
            pieces.push(Piece { sequence: to_u64(row.try_get("sequence")?), raw, count });
        }
        let mut merged = 0;
        for group in groups_to_merge(&pieces) {
            if self.merge_chunks(stream, &group).await? {
                merged += group.len() as u64;
            }
        }
        if through < *self.last.borrow() {
            // More may be merged once followers have passed.
            if let Some(fragmented) = self.fragmented.lock().as_mut() {
                fragmented.insert(stream);
            }
        }
        Ok(merged)
    }

    /// Puts one chunk in the place of several; `false` when one of them is damaged or gone.
    async fn merge_chunks(&self, stream: i64, sequences: &[u64]) -> Result<bool, LogsError> {
        let mut stored = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            match self.store.stored(*sequence).await? {
                Some(chunk) => stored.push(chunk),
                None => return Ok(false),
            }
        }
        let Some(Joined { events, runs, packed, raw }) = aside(move || joined(&stored)).await? else {
            return Ok(false);
        };
        let mut writing = self.store.write().await?;
        let group: Option<i64> = sqlx::query_scalar("SELECT group_id FROM log_stream WHERE id = ?")
            .bind(stream)
            .fetch_optional(&mut *writing.transaction)
            .await?;
        let Some(group) = group else { return Ok(false) };
        let mut before = 0;
        for sequence in sequences {
            let deleted = delete_chunk(&mut writing, *sequence).await?;
            match deleted {
                Some(raw) => before += raw,
                None => return Ok(false),
            }
        }
        insert_chunk(&mut writing, (group, stream), events.span(), &runs, packed, raw).await?;
        count_bytes(&mut writing, group, to_i64(raw as u64) - before).await?;
        CrashPoint::LogsMerge.reach();
        writing.commit().await?;
        Ok(true)
    }
}

/// Several chunks as one.
struct Joined {
    events: Events,
    runs: Vec<Run>,
    packed: Vec<u8>,
    raw: usize,
}

/// Puts chunks together; `None` when one is damaged.
fn joined(chunks: &[Stored]) -> Result<Option<Joined>, LogsError> {
    let (mut events, mut runs) = (Events::default(), Vec::new());
    for chunk in chunks {
        let Some(loaded) = chunk.open() else { return Ok(None) };
        loaded.events.iter().for_each(|(time, message)| events.push(time, message));
        runs.extend(loaded.runs);
    }
    let (packed, raw) = events.encode()?;
    Ok(Some(Joined { events, runs, packed, raw }))
}

async fn delete_chunk(writing: &mut Writing<'_>, sequence: u64) -> Result<Option<i64>, LogsError> {
    Ok(sqlx::query_scalar("DELETE FROM chunk WHERE sequence = ? RETURNING raw")
        .bind(to_i64(sequence))
        .fetch_optional(&mut *writing.transaction)
        .await?)
}

async fn count_bytes(writing: &mut Writing<'_>, group: i64, change: i64) -> Result<(), LogsError> {
    sqlx::query("UPDATE log_group SET stored_bytes = max(stored_bytes + ?, 0) WHERE id = ?")
        .bind(change)
        .bind(group)
        .execute(&mut *writing.transaction)
        .await?;
    Ok(())
}

/// Which chunks of a stream become one: at least [`FAN_IN`] neighbours of about one size, or smaller. Each event is
/// so written again a few times at most, however small the chunks are that it comes in.
fn groups_to_merge(pieces: &[Piece]) -> Vec<Vec<u64>> {
    let mut largest = 256;
    while largest < MOST_BYTES {
        let (mut groups, mut group, mut raw, mut count) = (Vec::new(), Vec::new(), 0, 0);
        for piece in pieces {
            let small = piece.raw <= largest;
            if !small || raw + piece.raw > MOST_BYTES || count + piece.count > MOST_EVENTS {
                groups.push(std::mem::take(&mut group));
                (raw, count) = (0, 0);
            }
            if small {
                group.push(piece.sequence);
                (raw, count) = (raw + piece.raw, count + piece.count);
            }
        }
        groups.push(group);
        groups.retain(|group| group.len() >= FAN_IN);
        if !groups.is_empty() {
            return groups;
        }
        largest *= FAN_IN;
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(sizes: &[usize]) -> Vec<Piece> {
        (1..).zip(sizes).map(|(sequence, raw)| Piece { sequence, raw: *raw, count: 1 }).collect()
    }

    #[test]
    fn neighbours_of_one_size_are_merged_and_others_are_left() {
        assert!(groups_to_merge(&pieces(&[100; 7])).is_empty());
        assert_eq!(groups_to_merge(&pieces(&[100; 8])), [[1, 2, 3, 4, 5, 6, 7, 8]]);
        let mut sizes = vec![900_000];
        sizes.extend([100; 8]);
        assert_eq!(groups_to_merge(&pieces(&sizes)), [[2, 3, 4, 5, 6, 7, 8, 9]]);
        assert!(groups_to_merge(&pieces(&[MOST_BYTES; 20])).is_empty());
    }

    #[test]
    fn merged_chunks_are_bounded() {
        let groups = groups_to_merge(&pieces(&[100_000; 40]));
        assert!(groups.iter().all(|group| group.len() * 100_000 <= MOST_BYTES && group.len() >= FAN_IN));
        assert_eq!(groups.len(), 4);
    }
}
