//! The way of records that exist already into the journal: bodies of `POST /v1/records`.
//!
//! [`Ingest::put_records`] decodes a body, cuts it into records without touching their bytes, checks each
//! ([`check`]), leaves out what [`DedupWindow`] knows, and appends the rest in batches. [`import`] is the client side of
//! `opentrail import`: it walks log files and hands each to a [`Sink`](import::Sink).
//! Next: `opentrail-journal`, which keeps them.

mod decode;
mod dedup;
pub mod import;
mod put;
mod record;
mod report;
mod split;
#[cfg(test)]
mod tests;

pub use decode::Encoding;
pub use dedup::DedupWindow;
pub use put::{AccountRule, Ingest, IngestError, Whose};
pub use record::{MAX_DEPTH, check};
pub use report::{Refused, Report};
