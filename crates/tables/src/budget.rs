use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory that the rows of all stores together may take before they are in their tables.
///
/// It bounds softly: a store takes a batch's rows first and is then told to flush. Once the whole is used up, whoever holds
/// more than half of its fair share flushes; somebody does, as otherwise the whole would not be used up.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: usize,
    used: AtomicUsize,
    holders: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes, used: AtomicUsize::new(0), holders: AtomicUsize::new(0) }
    }

    /// A store's part of it.
    pub(crate) fn share(self: &std::sync::Arc<Self>) -> Share {
        self.holders.fetch_add(1, Ordering::Relaxed);
        Share { budget: std::sync::Arc::clone(self), bytes: 0 }
    }
}

/// What one store holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: std::sync::Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// The store holds `bytes` now.
    pub(crate) fn set(&mut self, bytes: usize) {
        let budget = &self.budget;
        budget.used.fetch_add(bytes, Ordering::Relaxed);
        budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
        metrics::gauge!("opentrail_tables_recent_bytes").set(budget.used.load(Ordering::Relaxed) as f64);
    }

    /// Whether this store has to flush.
    pub(crate) fn is_too_large(&self) -> bool {
        let Budget { bytes, used, holders } = &*self.budget;
        let fair = bytes / holders.load(Ordering::Relaxed).max(1);
        self.bytes > 0 && used.load(Ordering::Relaxed) > *bytes && self.bytes >= fair / 2
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
        self.budget.holders.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn when_all_is_used_up_those_with_the_most_flush() {
        let budget = Arc::new(Budget::new(100));
        let (mut small, mut large) = (budget.share(), budget.share());
        small.set(20);
        large.set(80);
        assert!(!small.is_too_large() && !large.is_too_large());
        small.set(21);
        assert!(!small.is_too_large() && large.is_too_large());
        large.set(0);
        assert!(!large.is_too_large());
        small.set(101);
        assert!(small.is_too_large());
        drop(small);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
