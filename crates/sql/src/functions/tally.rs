//! What a function may make of a batch. Values grow out of short text, and nobody's account has them before they are there.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ColumnarValue;

/// Bytes of one value, as they are about to be made: twice the largest event. A choice.
pub(crate) const VALUE_BYTES: usize = 2 << 20;

/// Bytes of all values that one call makes at once. A choice.
pub(crate) const CALL_BYTES: usize = 128 << 20;

/// So much more of a call's values is asked of the [`Room`] at a time. A choice.
const STEP_BYTES: usize = 1 << 20;

/// The memory that the process may have in use while values grow.
#[derive(Debug)]
pub(crate) struct Room {
    limit: usize,
    in_use: fn() -> usize,
    /// Of calls that are running, whether they have made it already or not.
    asked: AtomicUsize,
}

thread_local! {
    /// That of the statement which this thread works for.
    static ROOM: RefCell<Option<Arc<Room>>> = const { RefCell::new(None) };
}

impl Room {
    pub(crate) fn new(limit: usize, in_use: fn() -> usize) -> Self {
        Self { limit, in_use, asked: AtomicUsize::new(0) }
    }

    /// What this thread computes is bounded by the room from here on.
    pub(crate) fn enter(self: &Arc<Self>) {
        ROOM.set(Some(Arc::clone(self)));
    }

    /// Whether so many bytes more are too many for the room of this thread. Few are never.
    ///
    /// # Errors
    ///
    /// When they are: the query has exhausted its resources.
    pub(crate) fn check(bytes: usize) -> Result<()> {
        let mut tally = Tally::default();
        tally.ask(bytes)
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let asked = self.asked.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if asked.saturating_add((self.in_use)()) > self.limit {
            self.give_back(bytes);
            return Err(exhausted());
        }
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.asked.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The values that a call has made so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    made: usize,
    /// What the thread's [`Room`] has been asked for.
    asked: usize,
}

impl Tally {
    /// One more value, of so many bytes.
    ///
    /// # Errors
    ///
    /// When that is more than a call may make, or than there is room for: the query has exhausted its resources.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<()> {
        if bytes > VALUE_BYTES {
            return Err(exhausted());
        }
        self.add_all(bytes)
    }

    /// More values, of so many bytes together.
    ///
    /// # Errors
    ///
    /// See [`Self::add`].
    pub(crate) fn add_all(&mut self, bytes: usize) -> Result<()> {
        self.made = self.made.saturating_add(bytes);
        if self.made > CALL_BYTES {
            return Err(exhausted());
        }
        self.ask(self.made - self.asked)
    }

    fn ask(&mut self, more: usize) -> Result<()> {
        if more >= STEP_BYTES {
            ROOM.with_borrow(|room| room.as_ref().map_or(Ok(()), |room| room.take(more)))?;
            self.asked += more;
        }
        Ok(())
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if self.asked > 0 {
            ROOM.with_borrow(|room| room.iter().for_each(|room| room.give_back(self.asked)));
        }
    }
}

pub(crate) fn exhausted() -> DataFusionError {
    DataFusionError::ResourcesExhausted("a function makes more of a batch than it may".to_owned())
}

pub(crate) fn is_exhausted(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// What the array's values take, without what else its buffers hold.
pub(crate) fn bytes_of(array: &dyn Array) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

/// What comes of an array each of whose rows is repeated so often, or somewhat more.
pub(crate) fn spread_bytes(array: &dyn Array, counts: &[usize]) -> usize {
    let most = counts.iter().copied().max().unwrap_or_default();
    let at_most = bytes_of(array).saturating_mul(most);
    if at_most <= VALUE_BYTES || counts.len() < 2 {
        return at_most;
    }
    let half = counts.len() / 2;
    let (first, last) = (array.slice(0, half), array.slice(half, counts.len() - half));
    spread_bytes(&*first, &counts[..half]).saturating_add(spread_bytes(&*last, &counts[half..]))
}

/// The value as an array of so many rows.
///
/// # Errors
///
/// When a constant is too large to stand in each of them.
pub(crate) fn into_rows(value: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
    if let ColumnarValue::Scalar(constant) = value {
        Tally::default().add_all(constant.size().saturating_mul(rows))?;
    }
    value.to_array(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: usize = 64 << 20;

    #[test]
    fn calls_share_the_room_and_give_it_back() {
        let room = Arc::new(Room::new(2 * HALF, || 0));
        room.enter();
        let (mut first, mut second) = (Tally::default(), Tally::default());
        first.add_all(HALF).unwrap();
        second.add_all(HALF).unwrap();
        assert!(is_exhausted(&second.add_all(STEP_BYTES).unwrap_err()));
        // Little is not asked for.
        Tally::default().add(STEP_BYTES - 1).unwrap();
        drop(first);
        second.add_all(HALF - STEP_BYTES).unwrap();
        drop(second);
        assert_eq!(room.asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn values_do_not_grow_while_the_process_has_too_much() {
        Arc::new(Room::new(2 * HALF, || 2 * HALF)).enter();
        let mut tally = Tally::default();
        tally.add_all(STEP_BYTES - 1).unwrap();
        assert!(is_exhausted(&tally.add(1).unwrap_err()));
    }
}
