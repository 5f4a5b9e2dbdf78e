//! CloudTrail Insights: what call and error rates are normal per account, Region, service and operation, and when something unusual
//! happens.
//!
//! - [`method`]: how what is unusual is found; pure.
//! - [`Insights`] holds what is known (`insights.sqlite`) and answers; [`InsightsProjection`] folds the journal into it and appends
//!   records to an [`InsightSink`]; [`Switches`] says for whom it is switched on.
//! - [`InsightRecord`]: the records, as CloudTrail documents them.
//! - [`Explanation`]: why one was told, as JSON and as a chart. [`replay`]: the same over any calls.

mod accounts;
mod attributions;
mod chart;
mod explain;
mod fold;
mod insights;
mod key;
mod keys;
pub mod method;
mod projection;
mod record;
mod redo;
mod replay;
mod store;
mod switches;
#[cfg(test)]
mod tests;
mod texts;
mod tracked;

pub use attributions::{Attribute, Attribution, Contribution, TOLD};
pub use chart::chart;
pub use explain::{Explanation, Point};
pub use fold::Call;
pub use insights::{Insights, MOST_KEYS};
pub use key::{Category, InsightType, Key};
pub use method::Sensitivity;
pub use projection::{InsightSink, InsightsProjection};
pub use record::{Finding, InsightRecord, InsightSource, State};
pub use replay::{Replay, replay};
pub use store::{InsightFilter, InsightPage, MetricQuery, MetricSeries, Period, StoreError, StoredInsight, Zeros};
pub use switches::{MalformedSwitches, Switch, SwitchTable, Switches};
