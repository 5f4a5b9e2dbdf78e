//! What metric filters count, as metrics.

use async_trait::async_trait;
use opentrail_logs::{MetricDatum, MetricSink, SinkError};
use opentrail_monitoring::{Datum, MetricName, Metrics, Resolution, Summary, Unit};

/// The metrics of this server, for metric filters.
///
/// Their data are kept to the second, where CloudWatch keeps those of filters to the minute: a choice, so that an alarm can
/// have a period of ten seconds.
#[derive(Debug)]
pub(crate) struct FilterMetrics(pub(crate) Metrics);

#[async_trait]
impl MetricSink for FilterMetrics {
    async fn position(&self, source: &str) -> Result<u64, SinkError> {
        Ok(self.0.position(source).await.map_err(failed)?.unwrap_or_default())
    }

    async fn fold(&self, source: &str, position: u64, data: Vec<MetricDatum>) -> Result<(), SinkError> {
        let data = data.into_iter().map(datum).collect();
        self.0.fold(source, position, data).await.map(drop).map_err(failed)
    }
}

fn datum(of: MetricDatum) -> Datum {
    Datum {
        account: of.account,
        region: of.region,
        metric: MetricName::new(of.namespace, of.name, of.dimensions),
        time: of.at,
        unit: of.unit.as_deref().and_then(Unit::from_name).unwrap_or(Unit::NONE),
        resolution: Resolution::High,
        values: Summary::of_totals(of.count as f64, of.sum, of.min, of.max),
    }
}

fn failed(error: impl std::fmt::Display) -> SinkError {
    SinkError(error.to_string())
}
