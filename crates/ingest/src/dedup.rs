use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use opentrail_journal::{Journal, ReadError};
use opentrail_model::{AccountId, Position, Source};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::record;

/// Knows the newest records, so that one that is sent again is not kept twice. Cheap to clone; clones share what they
/// know.
///
/// A record is known by its account, its `eventID` and its bytes, as two 64-bit hashes with keys of this process: the
/// same `eventID` with other bytes is another record, and nobody can make two records that are taken for one: the hash
/// is SipHash, whose values cannot be foretold without the keys. Quicker hashes whose collisions are known whatever the
/// key are no choice here. A record costs at most 27 bytes of memory.
#[derive(Clone)]
pub struct DedupWindow {
    capacity: usize,
    keys: Arc<(RandomState, RandomState)>,
    known: Arc<Mutex<Known>>,
    /// Woken when reservations are settled.
    settled: Arc<Notify>,
}

/// A record's hashes: of its account and `eventID`, of its bytes.
pub(crate) type Fingerprint = (u64, u64);

#[derive(Default)]
struct Known {
    /// The newest fingerprints; once full, the oldest is overwritten.
    ring: Vec<Fingerprint>,
    oldest: usize,
    /// Indexes into `ring`.
    table: HashTable<u32>,
    /// Fingerprints whose records are being appended, and by which request.
    reserved: HashTable<(Fingerprint, u64)>,
    requests: u64,
}

/// What a reservation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// New: it is reserved for the request now, which must settle it.
    New,
    /// It was kept before, or it is in this request already.
    Duplicate,
    /// Another request is about to append it; wait until that is settled.
    Elsewhere,
}

impl DedupWindow {
    /// The window's size if nothing else is configured.
    pub const DEFAULT_CAPACITY: usize = 1_000_000;

    /// An empty window over the newest `capacity` records, at most 2^31.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.clamp(1, 1 << 31),
            keys: Arc::default(),
            known: Arc::default(),
            settled: Arc::default(),
        }
    }

    /// A window that knows the newest records of the journal: to be made at every start.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn load(capacity: usize, journal: &dyn Journal) -> Result<Self, ReadError> {
        let window = Self::new(capacity);
        let tail = journal.tail();
        let mut after = Position(tail.0.saturating_sub(window.capacity as u64)).max(journal.trimmed());
        while after < tail {
            let entries = match journal.read(after, 1 << 20).await {
                // Trimmed meanwhile.
                Err(ReadError::Trimmed { trimmed, .. }) => {
                    after = trimmed;
                    continue;
                }
                other => other?,
            };
            let Some(last) = entries.last() else { break };
            after = last.position;
            for entry in entries.iter().filter(|entry| entry.source != Source::Control) {
                if let Ok(record::Envelope { event_id: Some(event_id), .. }) = record::envelope(&entry.body) {
                    let fingerprint = window.fingerprint(entry.account, &event_id, &entry.body);
                    window.known.lock().remember(fingerprint, window.capacity);
                }
            }
        }
        Ok(window)
    }

    pub(crate) fn fingerprint(&self, account: AccountId, event_id: &str, bytes: &[u8]) -> Fingerprint {
        (self.keys.0.hash_one((account.as_u64(), event_id)), self.keys.1.hash_one(bytes))
    }

    /// A number for a request's reservations.
    pub(crate) fn request(&self) -> u64 {
        let mut known = self.known.lock();
        known.requests += 1;
        known.requests
    }

    pub(crate) fn reserve(&self, fingerprint: Fingerprint, request: u64) -> Reserved {
        let mut known = self.known.lock();
        if known.contains(fingerprint) {
            return Reserved::Duplicate;
        }
        match known.owner(fingerprint) {
            Some(owner) if owner == request => Reserved::Duplicate,
            Some(_) => Reserved::Elsewhere,
            None => {
                known.reserved.insert_unique(fingerprint.1, (fingerprint, request), |(other, _)| other.1);
                Reserved::New
            }
        }
    }

    /// Returns once `fingerprint` is no longer reserved. The caller must hold no reservation itself, or two requests
    /// could wait for one another.
    pub(crate) async fn wait(&self, fingerprint: Fingerprint) {
        loop {
            let settled = self.settled.notified();
            let mut settled = std::pin::pin!(settled);
            settled.as_mut().enable();
            if self.known.lock().owner(fingerprint).is_none() {
                return;
            }
            settled.await;
        }
    }

    /// The reserved records are in the journal.
    pub(crate) fn keep(&self, fingerprints: &[Fingerprint]) {
        let mut known = self.known.lock();
        for fingerprint in fingerprints {
            known.free(*fingerprint);
            known.remember(*fingerprint, self.capacity);
        }
        drop(known);
        self.settled.notify_waiters();
    }

    /// The reserved records were not appended.
    pub(crate) fn release(&self, fingerprints: &[Fingerprint]) {
        let mut known = self.known.lock();
        for fingerprint in fingerprints {
            known.free(*fingerprint);
        }
        drop(known);
        self.settled.notify_waiters();
    }
}

impl Known {
    fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.table.find(fingerprint.1, |at| self.ring[*at as usize] == fingerprint).is_some()
    }

    /// The request that has a fingerprint reserved.
    fn owner(&self, fingerprint: Fingerprint) -> Option<u64> {
        self.reserved.find(fingerprint.1, |(other, _)| *other == fingerprint).map(|(_, request)| *request)
    }

    fn free(&mut self, fingerprint: Fingerprint) {
        if let Ok(reserved) = self.reserved.find_entry(fingerprint.1, |(other, _)| *other == fingerprint) {
            reserved.remove();
        }
    }

    fn remember(&mut self, fingerprint: Fingerprint, capacity: usize) {
        if self.contains(fingerprint) {
            return;
        }
        let ring = &mut self.ring;
        let at = if ring.len() < capacity {
            ring.push(fingerprint);
            ring.len() - 1
        } else {
            let at = self.oldest;
            self.oldest = (at + 1) % capacity;
            if let Ok(old) = self.table.find_entry(ring[at].1, |other| *other as usize == at) {
                old.remove();
            }
            ring[at] = fingerprint;
            at
        };
        let at = u32::try_from(at).expect("the window has at most 2^31 places");
        self.table.insert_unique(fingerprint.1, at, |at| ring[*at as usize].1);
    }
}

impl fmt::Debug for DedupWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.lock();
        let (kept, reserved) = (known.ring.len(), known.reserved.len());
        f.debug_struct("DedupWindow").field("kept", &kept).field("reserved", &reserved).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_records_are_known_and_older_ones_forgotten() {
        let window = DedupWindow::new(100);
        let of = |id: u64| window.fingerprint("111122223333".parse().unwrap(), &id.to_string(), b"{}");
        for id in 0..1000 {
            window.keep(&[of(id)]);
        }
        let request = window.request();
        for id in 0..1000 {
            let expected = if id < 900 { Reserved::New } else { Reserved::Duplicate };
            assert_eq!(window.reserve(of(id), request), expected, "{id}");
        }
        assert_eq!(window.known.lock().table.len(), 100);
    }

    #[test]
    fn a_released_record_is_new_again() {
        let window = DedupWindow::new(10);
        let record = window.fingerprint("111122223333".parse().unwrap(), "a", b"{}");
        let (one, two) = (window.request(), window.request());
        assert_eq!(window.reserve(record, one), Reserved::New);
        assert_eq!(window.reserve(record, one), Reserved::Duplicate);
        assert_eq!(window.reserve(record, two), Reserved::Elsewhere);
        window.release(&[record]);
        assert_eq!(window.reserve(record, two), Reserved::New);
    }
}
