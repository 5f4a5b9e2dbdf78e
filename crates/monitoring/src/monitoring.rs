use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentrail_identity::Directory;
use opentrail_runtime::{Clock, Random, Shutdown};
use tracing::{info, warn};

use crate::alarm::{AlarmActions, Alarms, Dispatcher};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};

/// Old points and history are seen to this often.
const HOUSEKEEPING: Duration = Duration::from_secs(10 * 60);

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// As many metrics may an account have, in all Regions together, each unit of one counted. By default 100,000; what it
    /// costs is about 200 bytes each on disk beside their points.
    pub max_metrics_per_account: u64,
    /// As many alarms may an account have in a Region. By default 5,000, as AWS's quota was for long.
    /// (User Guide, "Common features of CloudWatch alarms".)
    pub max_alarms: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_metrics_per_account: 100_000, max_alarms: 5000 }
    }
}

/// Why there is no CloudWatch.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct MonitoringError(#[from] StoreError);

/// CloudWatch: one per server.
#[derive(Debug)]
pub struct Monitoring {
    pub(crate) metrics: Metrics,
    pub(crate) alarms: Arc<Alarms>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
}

/// What goes on without being asked: evaluation of alarms, their actions, and retention. [`Self::run`] is to be started once.
#[derive(Debug)]
pub struct Background {
    store: Arc<Store>,
    alarms: Arc<Alarms>,
    dispatcher: Dispatcher,
    clock: Arc<dyn Clock>,
}

impl Monitoring {
    /// Opens the file, e.g. `metrics.sqlite` in the data directory, and creates it when it is absent.
    ///
    /// # Errors
    /// When the file cannot be opened, is another version's, or is damaged.
    pub async fn open(
        file: &Path,
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        actions: Arc<dyn AlarmActions>,
        settings: Settings,
    ) -> Result<(Self, Background), MonitoringError> {
        let store = Arc::new(Store::open(file, settings.max_metrics_per_account).await?);
        let alarms = Arc::new(Alarms::open(store.clone(), clock.clone(), random).await?);
        let metrics = Metrics { store: store.clone(), alarms: alarms.clone(), clock: clock.clone() };
        let dispatcher = Dispatcher { alarms: alarms.clone(), actions };
        let background = Background { store, alarms: alarms.clone(), dispatcher, clock: clock.clone() };
        Ok((Self { metrics, alarms, directory, clock, settings }, background))
    }

    /// Where services of this process put their data.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Closes the file. Call after [`Background::run`] has ended.
    pub async fn close(&self) {
        self.metrics.store.close().await;
    }
}

impl Background {
    /// Runs until the shutdown begins. What is under way then is gone on with by the next start.
    ///
    /// # Errors
    /// None: what fails is tried again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), MonitoringError> {
        tokio::join!(
            self.alarms.evaluate_until(&shutdown),
            self.dispatcher.run_until(&shutdown),
            self.keep_house(&shutdown),
        );
        Ok(())
    }

    async fn keep_house(&self, shutdown: &Shutdown) {
        while !shutdown.has_begun() {
            self.keep_house_once().await;
            tokio::select! {
                () = shutdown.begun() => return,
                () = self.clock.sleep(HOUSEKEEPING) => {}
            }
        }
    }

    /// Sees to what is older than it is kept.
    pub(crate) async fn keep_house_once(&self) {
        let now = self.clock.now();
        match self.store.roll_up(now).await {
            Ok(0) => {}
            Ok(points) => info!(points, "points of metrics were rolled up"),
            Err(error) => warn!(error = %error, "points of metrics were not rolled up"),
        }
        if let Err(error) = self.store.forget_history(now).await {
            warn!(error = %error, "old history of alarms was not removed");
        }
    }
}
