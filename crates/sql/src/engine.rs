//! What all queries share.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};

/// The bounds of all queries together.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Bytes of memory; what needs more goes to `spill_directory` or fails.
    pub memory_bytes: usize,
    /// Where queries put what does not fit into memory.
    pub spill_directory: PathBuf,
    /// Bytes in that directory.
    pub spill_bytes: u64,
    /// Threads of one query.
    pub threads: usize,
}

/// The engine cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the query engine cannot start: {0}")]
pub struct EngineError(#[from] DataFusionError);

/// Runs queries within the bounds of [`EngineOptions`].
#[derive(Debug)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    config: SessionConfig,
}

impl Engine {
    /// # Errors
    ///
    /// When the spill directory cannot be used.
    pub fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        let spill = DiskManagerMode::Directories(vec![options.spill_directory.clone()]);
        let disk = DiskManagerBuilder::default().with_mode(spill).with_max_temp_directory_size(options.spill_bytes);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()?;
        let config = SessionConfig::new().with_target_partitions(options.threads).with_information_schema(false);
        Ok(Self { runtime, config })
    }

    /// A session that knows no table.
    pub(crate) fn session(&self) -> SessionContext {
        SessionContext::new_with_config_rt(self.config.clone(), Arc::clone(&self.runtime))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(memory_bytes: usize) -> (Engine, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let spill_directory = directory.path().to_owned();
        (
            Engine::new(&EngineOptions { memory_bytes, spill_directory, spill_bytes: 1 << 20, threads: 2 }).unwrap(),
            directory,
        )
    }

    #[tokio::test]
    async fn a_query_beyond_the_bounds_fails_alone() {
        let (engine, _directory) = engine(1 << 20);
        let huge = "SELECT array_agg(value) FROM generate_series(1, 10000000)";
        let error = engine.session().sql(huge).await.unwrap().collect().await.unwrap_err();
        assert!(matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error}");
        let small = engine.session().sql("SELECT 1").await.unwrap().collect().await.unwrap();
        assert_eq!(small[0].num_rows(), 1);
    }
}
