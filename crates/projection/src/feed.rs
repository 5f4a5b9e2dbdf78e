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
/// Decoded batches kept while a registered projection still reads in the oldest of them, in bytes: trails that cut their
/// files at different moments go on sharing under load. One that falls behind this far decodes for itself.
const MOST_CACHE_BYTES: usize = 128 << 20;

/// Reads the journal for all projections: decoded once, shared.
#[derive(Debug)]
pub struct Feed {
    journal: Arc<dyn Journal>,
    cache: Mutex<Cache>,
    /// Held while reading and decoding, so that two projections at the same place do so once.
    decoding: AsyncMutex<()>,
    places: Mutex<BTreeMap<String, Place>>,
}

/// Where a registered projection is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Durably passed.
    passed: Position,
    /// What it asked for last came after this.
    reading: Option<Position>,
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

    fn push(&mut self, batch: Arc<EventBatch>, is_read: impl Fn(&EventBatch) -> bool) {
        let size_bytes = batch.size_bytes();
        self.size_bytes += size_bytes;
        self.batches.push_back((size_bytes, batch));
        while self.batches.len() > 1 && self.size_bytes > CACHE_BYTES {
            let wanted = self.batches.front().is_some_and(|(_, oldest)| is_read(oldest));
            if wanted && self.size_bytes <= MOST_CACHE_BYTES {
                break;
            }
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
        Arc::new(Self { journal, cache: Mutex::default(), decoding: AsyncMutex::default(), places: Mutex::default() })
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
        if let Some(batch) = self.cached(after) {
            return Ok(Some(batch));
        }
        let _decoding = self.decoding.lock().await;
        if let Some(batch) = self.cached(after) {
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
        let reading: Vec<Position> = self.places.lock().values().filter_map(|place| place.reading).collect();
        let is_read = |batch: &EventBatch| reading.iter().any(|after| batch.after <= *after && *after < batch.through);
        self.cache.lock().push(Arc::clone(&batch), is_read);
        Ok(Some(batch))
    }

    fn cached(&self, after: Position) -> Option<Arc<EventBatch>> {
        self.cache.lock().next(after)
    }

    /// Registers a projection by its unique name, at `position`.
    pub fn follow(self: &Arc<Self>, name: impl Into<String>, position: Position) -> Progress {
        let name = name.into();
        self.places.lock().insert(name.clone(), Place { passed: position, reading: None });
        Progress { feed: Arc::clone(self), name }
    }

    /// The position that every registered projection has durably passed; the tail when there is none.
    pub fn passed(&self) -> Position {
        self.places.lock().values().map(|place| place.passed).min().unwrap_or(self.journal.tail())
    }

    /// Through which position a registered projection has taken everything in, durably or not; `None` for one that has not
    /// begun.
    pub fn reached(&self, name: &str) -> Option<Position> {
        self.places.lock().get(name)?.reading
    }

    /// Each registered projection and its durable position.
    pub fn positions(&self) -> Vec<(String, Position)> {
        self.places.lock().iter().map(|(name, place)| (name.clone(), place.passed)).collect()
    }
}

impl Progress {
    /// Like [`Feed::next`], and the feed keeps what this projection is about to read, within bounds.
    ///
    /// # Cancellation
    /// May be dropped at any time.
    pub async fn next(&self, after: Position) -> Result<Arc<EventBatch>, ReadError> {
        self.reads(after);
        self.feed.next(after).await
    }

    /// Like [`Feed::try_next`], and as [`Self::next`].
    pub async fn try_next(&self, after: Position) -> Result<Option<Arc<EventBatch>>, ReadError> {
        self.reads(after);
        self.feed.try_next(after).await
    }

    fn reads(&self, after: Position) {
        if let Some(place) = self.feed.places.lock().get_mut(&self.name) {
            place.reading = Some(after);
        }
        let behind = self.feed.journal.tail().0.saturating_sub(after.0);
        metrics::gauge!("opentrail_projection_behind_entries", "projection" => self.name.clone()).set(behind as f64);
    }

    /// The projection's output reflects everything up to and including `position`.
    pub fn advance(&self, position: Position) {
        if let Some(place) = self.feed.places.lock().get_mut(&self.name) {
            place.passed = position;
        }
        metrics::gauge!("opentrail_projection_position", "projection" => self.name.clone()).set(position.0 as f64);
        let lag = self.feed.journal.tail().0.saturating_sub(position.0);
        metrics::gauge!("opentrail_projection_lag_entries", "projection" => self.name.clone()).set(lag as f64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.feed.places.lock().remove(&self.name);
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

    /// Reads `n` more batches of one large record each, at the tail.
    async fn read_large(feed: &Feed, n: u64) {
        for _ in 0..n {
            let after = feed.journal().tail();
            let body = Bytes::from(format!(r#"{{"eventName":"E{after}","x":"{}"}}"#, "y".repeat(200_000)));
            let entry = NewEntry {
                source: Source::Records,
                account: "100000000001".parse().unwrap(),
                received: Timestamp::EPOCH,
                body,
            };
            feed.journal().append(vec![entry]).await.unwrap();
            feed.next(after).await.unwrap();
        }
    }

    fn held(feed: &Feed) -> usize {
        let cache = feed.cache.lock();
        let held = cache.batches.iter().map(|(_, batch)| batch.size_bytes()).sum::<usize>();
        assert_eq!(cache.size_bytes, held);
        held
    }

    #[tokio::test]
    async fn kept_batches_stay_within_their_bytes() {
        let feed = Feed::new(journal_of(1).await);
        read_large(&feed, 500).await;
        let held = held(&feed);
        assert!(held <= CACHE_BYTES && held > CACHE_BYTES / 2, "{held} bytes");
    }

    #[tokio::test]
    async fn a_projection_that_lags_within_bounds_shares_what_others_decoded() {
        let feed = Feed::new(journal_of(1).await);
        let slow = feed.follow("slow", Position::START);
        assert!(slow.try_next(Position(1)).await.unwrap().is_none());
        read_large(&feed, 300).await;
        let tail = feed.next(Position(1)).await.unwrap();
        assert!(Arc::ptr_eq(&tail, &slow.next(Position(1)).await.unwrap()), "it was decoded again");
        assert!(held(&feed) > CACHE_BYTES);
        assert!(slow.try_next(Position(301)).await.unwrap().is_none());
        read_large(&feed, 1).await;
        assert!(held(&feed) <= CACHE_BYTES, "nobody needs it any more");
    }

    #[tokio::test]
    async fn a_projection_that_has_stopped_reading_does_not_hold_memory() {
        let feed = Feed::new(journal_of(1).await);
        let stuck = feed.follow("stuck", Position::START);
        assert!(stuck.try_next(Position(1)).await.unwrap().is_none());
        read_large(&feed, 1000).await;
        assert!(held(&feed) <= CACHE_BYTES);
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
