//! CloudWatch Logs: log groups and streams, log events put by clients and by trails, searched and followed; metric filters.
//!
//! [`Logs`] is the service over one file, `logs.sqlite`. Events lie there in compressed chunks (`chunk`), which the
//! [`Writer`] commits, all that wait in one transaction. Clients speak to it through [`api`] (`aws logs …`), trails
//! through [`Logs::append`], which moves their position in the same transaction. Whoever wants to see what comes in
//! follows it ([`Logs::follow`]), as [`MetricFilters`] does and each live tail.
//!
//! Read `chunk` first, then `writer`, `follow` and `read`.

mod api;
mod chunk;
mod error;
mod follow;
mod incoming;
mod insights;
mod live_tail;
mod maintain;
mod metric_filters;
mod place;
mod read;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use api::{Body, Reply, api};
pub use chunk::{Events, LogEvent};
pub use error::LogsError;
pub use follow::{Behind, Chunk, Follower};
pub use maintain::Maintained;
pub use metric_filters::{MetricDatum, MetricFilters, MetricSink, SinkError};
pub use place::{GroupPlace, ParseGroupArnError};
pub use service::{Appended, Logs, MOST_MESSAGE_BYTES, ServiceBatch};
pub use writer::Writer;
