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
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

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
    /// Threads of all queries together, and the partitions of one.
    pub threads: usize,
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
    workers: Arc<Workers>,
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
        config.options_mut().execution.parquet.pushdown_filters = true;
        Ok(Self { runtime, unspilled, config, workers: Arc::new(Workers::new(options.threads)?) })
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

    pub(crate) fn workers(&self) -> &Arc<Workers> {
        &self.workers
    }
}

/// Threads for the work of queries alone. Their priority is low and they are no workers of the server's runtime:
/// however much queries compute, records are taken and calls answered.
#[derive(Debug)]
pub(crate) struct Workers(Option<Runtime>);

/// Stack of a worker: expressions are evaluated as deep as they are nested.
const STACK_BYTES: usize = 32 << 20;

/// Below everything else of the process.
const NICENESS: i32 = 10;

impl Workers {
    fn new(threads: usize) -> Result<Self, DataFusionError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(threads.max(1) * 4)
            .thread_name("sql-query")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(|| {
                // On Linux this is the calling thread's. Without it queries still run, only less politely.
                if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                    tracing::debug!(%error, "a query thread keeps its priority");
                }
            })
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let runtime = self.0.as_ref().expect("the runtime is taken on drop only");
        runtime.spawn(work).abort_handle()
    }
}

impl Drop for Workers {
    /// A runtime must not be waited for in async code; its tasks end at their next batch.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
