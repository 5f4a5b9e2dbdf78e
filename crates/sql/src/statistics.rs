//! What a query has read so far.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Filled by the scans of stores: an execution plan finds it in the extensions of its task's session configuration.
#[derive(Debug, Default)]
pub struct ScanStatistics {
    events: AtomicU64,
    bytes: AtomicU64,
    refusal: OnceLock<String>,
}

impl ScanStatistics {
    /// A store's KMS key could not be used, and the client is to read why: an error on its way through the engine
    /// becomes a text among others.
    pub(crate) fn refuse(&self, why: String) {
        // The first is what the query fails with.
        let _ = self.refusal.set(why);
    }

    pub(crate) fn refusal(&self) -> Option<&str> {
        self.refusal.get().map(String::as_str)
    }

    /// Counts what a scan has read from files or memory.
    pub fn add(&self, events: u64, bytes: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// `DescribeQuery`, `QueryStatistics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Events that scans of stores read.
    pub events_scanned: u64,
    /// Events that passed the conditions upon the stores.
    pub events_matched: u64,
    /// Bytes that scans of stores read, as stored.
    pub bytes_scanned: u64,
}
