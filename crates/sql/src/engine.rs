//! What all queries share.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;

use crate::crew::Crews;
use crate::functions::tally::Room;
use crate::statistics::ScanStatistics;

/// The bounds of all queries together.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Bytes of memory; what needs more goes to `spill_directory` or fails.
    pub memory_bytes: usize,
    /// Where queries put what does not fit into memory.
    pub spill_directory: PathBuf,
    /// Bytes in that directory.
    pub spill_bytes: u64,
    /// Threads, and partitions, of each query.
    pub threads: usize,
    /// Bytes that the process may have in use: where it has more, values that grow by megabytes fail their query.
    pub process_bytes: usize,
    /// How many it has in use.
    pub in_use: fn() -> usize,
}

/// The engine cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the query engine cannot start: {0}")]
pub struct EngineError(#[from] DataFusionError);

/// Whether a query may put rows on disk that do not fit into memory: they lie there as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spilling {
    Allowed,
    /// It reads what is sealed.
    Forbidden,
}

/// Plans and runs queries within the bounds of [`EngineOptions`].
#[derive(Debug)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    /// The same memory, and nothing on disk.
    unspilled: Arc<RuntimeEnv>,
    config: SessionConfig,
    crews: Arc<Crews>,
}

impl Engine {
    /// # Errors
    ///
    /// When the spill directory cannot be used, or no thread can be started.
    pub fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        let spill = DiskManagerMode::Directories(vec![options.spill_directory.clone()]);
        let disk = DiskManagerBuilder::default().with_mode(spill).with_max_temp_directory_size(options.spill_bytes);
        let memory: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(options.memory_bytes));
        let environment = |disk| {
            RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&memory)).with_disk_manager_builder(disk).build_arc()
        };
        let runtime = environment(disk)?;
        let unspilled = environment(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))?;
        let mut config = SessionConfig::new().with_target_partitions(options.threads).with_information_schema(false);
        // Rows keep the types that functions tell apart.
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        Ok(Self {
            runtime,
            unspilled,
            config,
            crews: Arc::new(
                Crews::new(options.threads, Room::new(options.process_bytes, options.in_use))
                    .map_err(DataFusionError::from)?,
            ),
        })
    }

    /// A session that knows no table, whose scans count in `statistics`.
    pub(crate) fn state(&self, statistics: Arc<ScanStatistics>, spilling: Spilling) -> SessionState {
        let runtime = match spilling {
            Spilling::Allowed => &self.runtime,
            Spilling::Forbidden => &self.unspilled,
        };
        SessionStateBuilder::new()
            .with_config(self.config.clone().with_extension(statistics))
            .with_runtime_env(Arc::clone(runtime))
            .with_default_features()
            .build()
    }

    pub(crate) fn crews(&self) -> &Arc<Crews> {
        &self.crews
    }
}
