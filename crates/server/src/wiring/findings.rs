//! What becomes of the findings of Sigma rules: an event on the account's default bus, and a metric.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_events::{Events, ServiceEvent};
use opentrail_model::Region;
use opentrail_monitoring::{Datum, MetricName, Metrics, Resolution, Summary, Unit};
use opentrail_runtime::CrashPoint;
use opentrail_sigma::{EVENT_DETAIL_TYPE, EVENT_SOURCE, FindingSink, METRIC_NAMESPACE, NotTaken, StoredFinding};

/// The source by which metrics know how far findings were counted.
const SOURCE: &str = "sigma-findings";

/// Buses and metrics of this server, for findings.
pub(crate) struct FindingNews {
    pub(crate) events: Arc<Events>,
    pub(crate) metrics: Metrics,
}

#[async_trait]
impl FindingSink for FindingNews {
    async fn found(&self, findings: &[StoredFinding]) -> Result<(), NotTaken> {
        let Some(last) = findings.last() else { return Ok(()) };
        let events: Vec<ServiceEvent> = findings.iter().map(event).collect();
        self.events.put_as_service(&events).await.map_err(not_taken)?;
        CrashPoint::ServerFindingTold.reach();
        // Offered again, perhaps together with later ones, they are not counted again.
        let counted = self.metrics.position(SOURCE).await.map_err(not_taken)?.unwrap_or_default();
        let data = findings.iter().filter(|finding| finding.number > counted).flat_map(data).collect();
        self.metrics.fold(SOURCE, last.number, data).await.map_err(not_taken)?;
        Ok(())
    }
}

fn region(of: &StoredFinding) -> Region {
    let text = of.finding.region.as_deref().unwrap_or_default();
    text.parse().unwrap_or_else(|_| Region::us_east_1())
}

fn event(of: &StoredFinding) -> ServiceEvent {
    ServiceEvent {
        id: of.finding.id.clone(),
        source: EVENT_SOURCE.to_owned(),
        detail_type: EVENT_DETAIL_TYPE.to_owned(),
        account: of.finding.account,
        region: region(of),
        time: of.finding.time,
        resources: Vec::new(),
        detail: of.finding.detail(),
    }
}

/// By rule and by level.
fn data(of: &StoredFinding) -> [Datum; 2] {
    let rule = &of.finding.rule;
    [("Rule", rule.id.clone()), ("Level", rule.level.to_string())].map(|(dimension, value)| Datum {
        account: of.finding.account,
        region: region(of),
        metric: MetricName::new(METRIC_NAMESPACE, "Findings", [(dimension.to_owned(), value)]),
        time: of.finding.time,
        unit: Unit::COUNT,
        resolution: Resolution::High,
        values: Summary::of(1.0),
    })
}

fn not_taken(error: impl fmt::Display) -> NotTaken {
    NotTaken { reason: error.to_string() }
}

impl fmt::Debug for FindingNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FindingNews").finish_non_exhaustive()
    }
}
