use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use opentrail_event::EventBatch;
use opentrail_journal::{Journal, ReadError};
use opentrail_model::Position;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

/// Bytes of records in one batch, before the batch that fills it is complete.
const BATCH_BYTES: usize = 4 << 20;
/// Decoded batches kept for projections that follow close behind, in bytes.
const CACHE_BYTES: usize = 32 << 20;

/// Reads the journal for all projections: decoded once, shared.
#[derive(Debug)]
pub struct Feed {
    journal: Arc<dyn Journal>,
    cache: AsyncMutex<Cache>,
    progress: Mutex<BTreeMap<String, Position>>,
}

/// The batches decoded last, in the order of their decoding.
#[derive(Debug, Default)]
struct Cache {
    batches: VecDeque<(usize, Arc<EventBatch>)>,
    size_bytes: usize,
}

impl Cache {
    /// What follows `after`, from a batch that covers it. The newest are looked at first: most readers are there.
    fn next(&self, after: Position) -> Option<Arc<EventBatch>> {
        let covers = |batch: &EventBatch| batch.after <= after && after < batch.through;
        let (_, batch) = self.batches.iter().rev().find(|(_, batch)| covers(batch))?;
        Some(if batch.after == after { Arc::clone(batch) } else { Arc::new(batch.since(after)) })
    }

    fn push(&mut self, batch: Arc<EventBatch>) {
        let size_bytes = batch.size_bytes();
        self.size_bytes += size_bytes;
        self.batches.push_back((size_bytes, batch));
        while self.batches.len() > 1 && self.size_bytes > CACHE_BYTES {
            self.size_bytes -= self.batches.pop_front().map_or(0, |(size_bytes, _)| size_bytes);
        }
    }
}

/// A projection's place in the feed: the journal keeps what it has not passed.
#[derive(Debug)]
pub struct Progress {
    feed: Arc<Feed>,
    name: String,
}

impl Feed {
    /// A feed of `journal`.
    pub fn new(journal: Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Self { journal, cache: AsyncMutex::default(), progress: Mutex::default() })
    }

    /// The journal that feeds.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The next batch after `after`, decoded; waits at the tail.
    ///
    /// # Cancellation
    /// May be dropped at any time.
    pub async fn next(&self, after: Position) -> Result<Arc<EventBatch>, ReadError> {
        loop {
            if let Some(batch) = self.try_next(after).await? {
                return Ok(batch);
            }
            self.journal.wait_past(after).await;
        }
    }

    /// The next batch after `after`, or `None` at the tail.
    pub async fn try_next(&self, after: Position) -> Result<Option<Arc<EventBatch>>, ReadError> {
        if after >= self.journal.tail() {
            return Ok(None);
        }
        // Held while reading, so that two projections at the same place read and decode once.
        let mut cache = self.cache.lock().await;
        if let Some(batch) = cache.next(after) {
            return Ok(Some(batch));
        }
        let entries = self.journal.read(after, BATCH_BYTES).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        let batch = tokio::task::spawn_blocking(move || EventBatch::decode(after, &entries))
            .await
            .map_err(|error| ReadError::Io { reason: error.to_string() })?;
        let batch = Arc::new(batch);
        cache.push(Arc::clone(&batch));
        Ok(Some(batch))
    }

    /// Registers a projection by its unique name, at `position`.
    pub fn follow(self: &Arc<Self>, name: impl Into<String>, position: Position) -> Progress {
        let name = name.into();
        self.progress.lock().insert(name.clone(), position);
        Progress { feed: Arc::clone(self), name }
    }

    /// The position that every registered projection has durably passed; the tail when there is none.
    pub fn passed(&self) -> Position {
        self.progress.lock().values().min().copied().unwrap_or(self.journal.tail())
    }

    /// Each registered projection and its durable position.
    pub fn positions(&self) -> Vec<(String, Position)> {
        self.progress.lock().iter().map(|(name, position)| (name.clone(), *position)).collect()
    }
}

impl Progress {
    /// The projection's output reflects everything up to and including `position`.
    pub fn advance(&self, position: Position) {
        self.feed.progress.lock().insert(self.name.clone(), position);
        metrics::gauge!("opentrail_projection_position", "projection" => self.name.clone()).set(position.0 as f64);
        let lag = self.feed.journal.tail().0.saturating_sub(position.0);
        metrics::gauge!("opentrail_projection_lag_entries", "projection" => self.name.clone()).set(lag as f64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.feed.progress.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use opentrail_journal::{MemoryJournal, NewEntry};
    use opentrail_model::{Source, Timestamp};

    async fn journal_of(n: usize) -> Arc<MemoryJournal> {
        let journal = Arc::new(MemoryJournal::default());
        for i in 0..n {
            let entry = NewEntry {
                source: Source::Records,
                account: "100000000001".parse().unwrap(),
                received: Timestamp::EPOCH,
                body: Bytes::from(format!(r#"{{"eventName":"E{i}"}}"#)),
            };
            journal.append(vec![entry]).await.unwrap();
        }
        journal
    }

    #[tokio::test]
    async fn two_readers_share_one_decoded_batch() {
        let feed = Feed::new(journal_of(3).await);
        let (a, b) = (feed.next(Position::START).await.unwrap(), feed.next(Position::START).await.unwrap());
        assert!(Arc::ptr_eq(&a, &b));
        assert_eq!(a.through, Position(3));
    }

    #[tokio::test]
    async fn a_reader_in_the_middle_of_a_batch_gets_its_rest() {
        let feed = Feed::new(journal_of(3).await);
        feed.next(Position::START).await.unwrap();
        let rest = feed.next(Position(1)).await.unwrap();
        let names: Vec<_> = rest.events().map(|event| event.name().unwrap().to_owned()).collect();
        assert_eq!(names, ["E1", "E2"]);
    }

    #[tokio::test]
    async fn kept_batches_stay_within_their_bytes() {
        let feed = Feed::new(journal_of(1).await);
        for i in 1..5_000 {
            let body = Bytes::from(format!(r#"{{"eventName":"E{i}","x":"{}"}}"#, "y".repeat(20_000)));
            let entry = NewEntry {
                source: Source::Records,
                account: "100000000001".parse().unwrap(),
                received: Timestamp::EPOCH,
                body,
            };
            feed.journal().append(vec![entry]).await.unwrap();
            feed.next(Position(i)).await.unwrap();
        }
        let cache = feed.cache.lock().await;
        let held = cache.batches.iter().map(|(_, batch)| batch.size_bytes()).sum::<usize>();
        assert_eq!(cache.size_bytes, held);
        assert!(held <= CACHE_BYTES && held > CACHE_BYTES / 2, "{held} bytes");
    }

    #[tokio::test]
    async fn the_slowest_projection_holds_back_trimming() {
        let feed = Feed::new(journal_of(3).await);
        assert_eq!(feed.passed(), Position(3));
        let slow = feed.follow("slow", Position(1));
        let _fast = feed.follow("fast", Position(3));
        assert_eq!(feed.passed(), Position(1));
        slow.advance(Position(2));
        assert_eq!(feed.passed(), Position(2));
        drop(slow);
        assert_eq!(feed.passed(), Position(3));
    }
}
