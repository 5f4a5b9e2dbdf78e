use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::{AccountId, Region};
use opentrail_monitoring::{Metrics, StoreError};
use opentrail_runtime::{Clock, Shutdown};

use crate::exposition::samples;
use crate::readings::Readings;

/// The source by which metrics know what was folded.
const SOURCE: &str = "telemetry";

/// Whose the server's metrics are, and how often they are put.
#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    /// The operator's account.
    pub account: AccountId,
    /// The Region in which it finds them.
    pub region: Region,
    /// How often.
    pub interval: Duration,
}

/// Puts what the server measures of itself into CloudWatch's metrics.
///
/// What data that makes, `Readings` says. *A crash* loses what was counted since the last interval.
pub struct Telemetry {
    metrics: Metrics,
    render: Box<dyn Fn() -> String + Send + Sync>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    readings: Readings,
}

impl Telemetry {
    /// Of what `render` says, in Prometheus's text format.
    pub fn new(
        metrics: Metrics,
        render: impl Fn() -> String + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
        options: TelemetryOptions,
    ) -> Self {
        let interval = options.interval;
        Self { metrics, render: Box::new(render), clock, interval, readings: Readings::new(options) }
    }

    /// Puts metrics at each interval, and once more when the server stops.
    ///
    /// # Errors
    /// None: what cannot be put is logged and put at the next interval.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), StoreError> {
        loop {
            let stops = tokio::select! {
                () = self.clock.sleep(self.interval) => false,
                () = shutdown.begun() => true,
            };
            if let Err(error) = self.put().await {
                tracing::warn!(%error, "the server's own metrics cannot be kept");
            }
            if stops {
                return Ok(());
            }
        }
    }

    async fn put(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (data, readings) = self.readings.next(&samples(&(self.render)()), now);
        let position = u64::try_from(now.as_millis()).unwrap_or_default();
        self.metrics.fold(SOURCE, position, data).await?;
        self.readings = readings;
        Ok(())
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("interval", &self.interval).finish_non_exhaustive()
    }
}
