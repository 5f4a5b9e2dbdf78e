//! CloudWatch: metrics and alarms.
//!
//! [`Metrics`] keeps data, from clients and from services of this process; `alarm` looks at them, as they come and at the
//! ends of periods, and brings what follows to [`AlarmActions`]. [`Monitoring`] holds both, in one file; [`api`] is what
//! `aws cloudwatch …` speaks. A datum goes from [`api`] or [`Metrics::fold`] into `store`; an alarm reads it there through
//! `queries`, decides (`alarm::decide`), and commits its transition together with its history and what its actions are to do.
//! (CloudWatch User Guide; CloudWatch API Reference.)

mod alarm;
mod api;
mod distribution;
mod math;
mod metric;
mod metrics;
mod monitoring;
mod queries;
mod statistic;
mod store;
mod summary;
#[cfg(test)]
mod tests;

pub use alarm::{ActionError, AlarmActions, AlarmNotification, StateValue};
pub use api::{Reply, api, refuse};
pub use metric::{Datum, MetricName, Resolution, Unit};
pub use metrics::Metrics;
pub use monitoring::{Background, Monitoring, MonitoringError, Settings};
pub use statistic::{Bounds, ParseStatisticError, Statistic, Trim};
pub use store::{StoreError, Stored};
pub use summary::Summary;
