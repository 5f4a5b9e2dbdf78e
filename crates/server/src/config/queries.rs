use std::num::NonZero;
use std::time::Duration;

use super::reader::Reader;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `[queries]`: over event data stores.
#[derive(Clone, Debug)]
pub(crate) struct QueriesSection {
    /// `queries.running`: how many run at a time, of all accounts together (twice as many for those that have none running). Default 4.
    pub(crate) running: u64,
    /// `queries.threads`: the threads of each. Default: one per processor.
    pub(crate) threads: u64,
    /// `queries.memory_bytes`: the memory of all of them together. Default 1 GiB.
    pub(crate) memory_bytes: u64,
    /// `queries.spill_bytes`: the room on disk for what does not fit into that. Default 16 GiB.
    pub(crate) spill_bytes: u64,
    /// `queries.time_limit`: how long one may run. Default 1 h, as AWS's.
    pub(crate) time_limit: Duration,
    /// `queries.history`: how long a query and its rows are kept. Default 7 days, as AWS's.
    pub(crate) history: Duration,
    /// `queries.max_result_bytes`: the most that the rows of one query may take on disk, compressed. Default 4 GiB.
    pub(crate) max_result_bytes: u64,
    /// `queries.delivery_patience`: how long a bucket that fails is tried. Default 15 min.
    pub(crate) delivery_patience: Duration,
}

impl QueriesSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("queries");
        let running = section.number("running", 4, 1);
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let threads = section.number("threads", processors, 1);
        let memory_bytes = section.size("memory_bytes", 1 << 30, 16 << 20, 1 << 40);
        let spill_bytes = section.size("spill_bytes", 16 << 30, 0, 1 << 50);
        let time_limit = section.duration("time_limit", Duration::from_secs(3600), Duration::from_millis(100));
        let history = section.duration("history", 7 * DAY, Duration::from_secs(1));
        let max_result_bytes = section.size("max_result_bytes", 4 << 30, 1_000, 1 << 40);
        let delivery_patience =
            section.duration("delivery_patience", Duration::from_secs(15 * 60), Duration::from_millis(100));
        section.finish();
        Self { running, threads, memory_bytes, spill_bytes, time_limit, history, max_result_bytes, delivery_patience }
    }
}
