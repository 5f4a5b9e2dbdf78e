use std::fmt;

use async_trait::async_trait;
use opentrail_model::{AccountId, Region, Timestamp};

/// Values of one metric within one second.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDatum {
    /// Whose the metric is: the group's account.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// The metric's namespace.
    pub namespace: String,
    /// The metric's name.
    pub name: String,
    /// Names and values, at most three, by name.
    pub dimensions: Vec<(String, String)>,
    /// CloudWatch's name of the unit, `None` when the filter has none.
    pub unit: Option<String>,
    /// The second of the events' timestamps.
    pub at: Timestamp,
    /// Of all values.
    pub sum: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// How many values.
    pub count: u64,
}

/// Why the sink did not take it; trying again may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Where metrics go.
///
/// # Promises
/// `fold` makes `data` and `position` durable together; a position that is not greater than the one there changes nothing and
/// is `Ok`.
#[async_trait]
pub trait MetricSink: fmt::Debug + Send + Sync + 'static {
    /// The position that `source` has come to; 0 when it is not known.
    async fn position(&self, source: &str) -> Result<u64, SinkError>;

    /// Adds `data` to the metrics and moves `source` to `position`, both or none. Data of one metric and second may come
    /// in several folds, and several times in one.
    async fn fold(&self, source: &str, position: u64, data: Vec<MetricDatum>) -> Result<(), SinkError>;
}
