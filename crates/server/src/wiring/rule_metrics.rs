//! What rules and their targets did, as the metrics of `AWS/Events`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_events::{RuleCount, RuleMetrics};
use opentrail_model::AccountId;
use opentrail_monitoring::{Datum, MetricName, Metrics, Resolution, Summary, Unit};
use opentrail_runtime::Clock;

const NAMESPACE: &str = "AWS/Events";

/// The metrics of this server, for rules: by the rule's name, and that of its bus unless that is the default one.
/// (EventBridge User Guide, "Monitoring Amazon EventBridge".)
#[derive(Debug)]
pub(crate) struct EventsMetrics {
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl RuleMetrics for EventsMetrics {
    async fn keep(&self, counts: Vec<RuleCount>) -> Result<(), String> {
        let mut accounts: BTreeMap<AccountId, Vec<Datum>> = BTreeMap::new();
        for count in counts {
            accounts.entry(count.account).or_default().push(self.datum(count));
        }
        // An account that has too many metrics already keeps no other from its own.
        let mut failed = None;
        for data in accounts.values() {
            failed = self.metrics.put(data).await.err().or(failed);
        }
        failed.map_or(Ok(()), |error| Err(error.to_string()))
    }
}

impl EventsMetrics {
    fn datum(&self, count: RuleCount) -> Datum {
        let mut dimensions = vec![("RuleName".to_owned(), count.rule)];
        if count.bus != "default" {
            dimensions.push(("EventBusName".to_owned(), count.bus));
        }
        let total = count.count as f64;
        Datum {
            account: count.account,
            region: count.region,
            metric: MetricName::new(NAMESPACE, count.metric, dimensions),
            time: self.clock.now(),
            unit: Unit::COUNT,
            resolution: Resolution::High,
            values: Summary::of_totals(total, total, 1.0, 1.0),
        }
    }
}
