//! What the server measures of itself, as CloudWatch metrics.
//!
//! Every part counts with the `metrics` crate; `/metrics` shows that in Prometheus's text format. [`Telemetry`] reads the
//! same text at each interval ([`exposition`]), takes the differences, and puts them into `monitoring` ([`names`] says under
//! which names and whose), so that alarms can look at them.

mod exposition;
mod names;
mod readings;
mod telemetry;

pub use telemetry::{Telemetry, TelemetryOptions};
