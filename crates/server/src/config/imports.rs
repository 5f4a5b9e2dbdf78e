use std::time::Duration;

use super::reader::Reader;

/// `[imports]`: of log files into event data stores.
#[derive(Clone, Debug)]
pub(crate) struct ImportsSection {
    /// `imports.chunk_bytes`: how many bytes of events go to a store at once; memory for about five times as many is used.
    /// Default 64 MiB.
    pub(crate) chunk_bytes: u64,
    /// `imports.patience`: how long a bucket that fails is asked again. Default 5 min.
    pub(crate) patience: Duration,
}

impl ImportsSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("imports");
        let chunk_bytes = section.size("chunk_bytes", 64 << 20, 1_000, 1 << 30);
        let patience = section.duration("patience", Duration::from_secs(5 * 60), Duration::from_millis(100));
        section.finish();
        Self { chunk_bytes, patience }
    }
}
