//! What a function may make of a batch. Values grow out of short text, and nobody's account has them before they are there.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ColumnarValue;

/// Bytes of one value, as they are about to be made: twice the largest event. A choice.
pub(crate) const VALUE_BYTES: usize = 2 << 20;

/// Bytes of all values that one call makes at once. A choice.
pub(crate) const CALL_BYTES: usize = 128 << 20;

/// The values that a call has made so far.
#[derive(Debug, Default)]
pub(crate) struct Tally(usize);

impl Tally {
    /// One more value, of so many bytes.
    ///
    /// # Errors
    ///
    /// When that is more than a call may make: the query has exhausted its resources.
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
        self.0 = self.0.saturating_add(bytes);
        if self.0 > CALL_BYTES { Err(exhausted()) } else { Ok(()) }
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
