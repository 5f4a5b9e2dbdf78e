//! What the process has allocated.

/// Bytes in use now, by the allocator's account of all threads; 0 where it keeps none.
pub(crate) fn in_use() -> usize {
    // Its figures are those of the last epoch.
    _ = tikv_jemalloc_ctl::epoch::advance();
    tikv_jemalloc_ctl::stats::allocated::read().unwrap_or_default()
}
