//! Metric filters: what becomes of events that match is counted and handed on as metrics.
//!
//! [`MetricFilters`] follows what is committed, evaluates each chunk by the filters of its group and folds the sums into a
//! [`MetricSink`] together with the position, exactly once. A filter applies to events committed after it was put
//! (CloudWatch Logs User Guide, "Creating metrics from log events using filters": "filters do not retroactively filter
//! data").
//!
//! `defaultValue`: for each minute in which events came into the group and none matched, the default is reported once, at the
//! minute's beginning. Minutes are those in which events came in, not those of their timestamps. (User Guide, "Configuring
//! metric values for a metric filter".)

mod compiled;
mod evaluator;
mod run;
mod sink;

pub(crate) use compiled::check_transformation;
pub use run::MetricFilters;
pub use sink::{MetricDatum, MetricSink, SinkError};
