//! Following what is committed, in order: from memory when it is recent, else from the file.
//!
//! The newest chunks stay in memory, up to [`MOST_BYTES`] of messages, for whoever follows; a follower is a sequence number
//! and holds nothing. One that is slow reads the file; one that may not ([`Follower::recent`]) is told that it is behind.

use std::collections::VecDeque;
use std::sync::Arc;

use sqlx::Row;
use tokio::sync::watch;

use crate::chunk::Events;
use crate::error::LogsError;
use crate::place::GroupPlace;
use crate::service::Shared;
use crate::store::{stored, to_i64, to_u64};

/// How many bytes of messages stay in memory.
pub(crate) const MOST_BYTES: usize = 32 << 20;
/// How many chunks are handed on at once, at most.
const MOST_CHUNKS: usize = 64;

/// Events of one stream that were committed together.
#[derive(Debug)]
pub struct Chunk {
    /// Grows strictly from commit to commit over the whole file.
    pub sequence: u64,
    pub(crate) group_id: i64,
    pub(crate) stream_id: i64,
    /// The group.
    pub group: GroupPlace,
    /// The name of the stream.
    pub stream: Arc<str>,
    /// When they were committed, in milliseconds.
    pub ingested: i64,
    /// What they are.
    pub events: Arc<Events>,
}

/// The newest chunks.
#[derive(Debug)]
pub(crate) struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
    /// Everything after this is here.
    after: u64,
}

impl Ring {
    pub(crate) fn new(after: u64) -> Self {
        Self { chunks: VecDeque::new(), bytes: 0, after }
    }

    pub(crate) fn push(&mut self, chunk: Arc<Chunk>) {
        self.bytes += chunk.events.counted_bytes();
        self.chunks.push_back(chunk);
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.events.counted_bytes();
            self.after = oldest.sequence;
        }
    }

    /// The chunks after `after`; the sequence number from which they are all here, if they are not.
    fn after(&self, after: u64) -> Result<Vec<Arc<Chunk>>, u64> {
        if after < self.after {
            return Err(self.after);
        }
        let begin = self.chunks.partition_point(|chunk| chunk.sequence <= after);
        Ok(self.chunks.range(begin..).take(MOST_CHUNKS).cloned().collect())
    }
}

/// What a follower asked for is in memory no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind;

/// Reads what is committed after a sequence number.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    after: u64,
    last: watch::Receiver<u64>,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, after: u64) -> Self {
        let last = shared.last.subscribe();
        Self { shared, after, last }
    }

    /// Everything up to this sequence number was handed on.
    pub fn position(&self) -> u64 {
        self.after
    }

    /// The next chunks, in order, at least one; waits until there is one.
    ///
    /// # Errors
    /// When the file cannot be read; what was not handed on comes with the next call.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Vec<Arc<Chunk>>, LogsError> {
        loop {
            let chunks = self.next_of_now().await?;
            if !chunks.is_empty() {
                return Ok(chunks);
            }
            let after = self.after;
            // The sender lives in `shared`, so waiting cannot fail.
            let _ = self.last.wait_for(|last| *last > after).await;
        }
    }

    /// The next chunks, without waiting: none when everything that is there was handed on.
    ///
    /// # Errors
    /// As [`Self::next`].
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub(crate) async fn next_of_now(&mut self) -> Result<Vec<Arc<Chunk>>, LogsError> {
        loop {
            let recent = self.shared.ring.lock().after(self.after);
            let chunks = match recent {
                Ok(chunks) => chunks,
                Err(through) => {
                    let chunks = self.stored(through).await?;
                    if chunks.is_empty() {
                        continue;
                    }
                    chunks
                }
            };
            if let Some(last) = chunks.last() {
                self.after = last.sequence;
            }
            return Ok(chunks);
        }
    }

    /// What has come since the last call, without waiting and without reading the file.
    ///
    /// # Errors
    /// [`Behind`] when some of it is in memory no more.
    pub fn recent(&mut self) -> Result<Vec<Arc<Chunk>>, Behind> {
        let chunks = self.shared.ring.lock().after(self.after).map_err(|_| Behind)?;
        if let Some(last) = chunks.last() {
            self.after = last.sequence;
        }
        Ok(chunks)
    }

    /// The next chunks of the file, at most through `through`. Empty when there is none, and then the position is there.
    async fn stored(&mut self, through: u64) -> Result<Vec<Arc<Chunk>>, LogsError> {
        // Few at a time: they are whole chunks.
        const PAGE: usize = 16;
        let rows = sqlx::query(
            "SELECT c.sequence, c.stream_id, c.group_id, c.ingested, c.raw, c.checksum, c.runs, c.body,
                    s.name AS stream, g.name AS group_name, g.account, g.region
             FROM chunk c JOIN log_stream s ON s.id = c.stream_id JOIN log_group g ON g.id = c.group_id
             WHERE c.sequence > ? AND c.sequence <= ? ORDER BY c.sequence LIMIT ?",
        )
        .bind(to_i64(self.after))
        .bind(to_i64(through))
        .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
        .fetch_all(self.shared.store.pool())
        .await?;
        let mut chunks = Vec::with_capacity(rows.len());
        for row in &rows {
            let (account, region): (&str, &str) = (row.try_get("account")?, row.try_get("region")?);
            let (Ok(account), Ok(region)) = (account.parse(), region.parse()) else { continue };
            let Some(loaded) = stored(row)?.open() else { continue };
            chunks.push(Arc::new(Chunk {
                sequence: to_u64(row.try_get("sequence")?),
                group_id: row.try_get("group_id")?,
                stream_id: row.try_get("stream_id")?,
                group: GroupPlace { account, region, name: row.try_get("group_name")? },
                stream: row.try_get::<&str, _>("stream")?.into(),
                ingested: row.try_get("ingested")?,
                events: Arc::new(loaded.events),
            }));
        }
        if chunks.is_empty() {
            self.after = match rows.last() {
                Some(last) if rows.len() == PAGE => to_u64(last.try_get("sequence")?),
                _ => through,
            };
        }
        Ok(chunks)
    }
}
