//! The way of records that exist already into the journal: bodies of `POST /v1/records`.
//!
//! [`Ingest::put_records`] decodes a body, cuts it into records without touching their bytes, checks each
//! ([`check`]), leaves out what [`DedupWindow`] knows, and appends the rest in batches; the last one holds the event of
//! the call as well ([`Ingest::put_records_of_call`]). [`Ingest::append_whole`] takes records of files that were read already. [`import`] is the client side of
//! `opentrail import`: it walks log files and hands each to a [`Sink`](import::Sink).
//! Next: `opentrail-journal`, which keeps them.

mod batch;
mod decode;
mod dedup;
mod error;
pub mod import;
mod put;
mod record;
mod report;
mod room;
mod split;
mod take;
#[cfg(test)]
mod tests;
mod whole;

pub use decode::Encoding;
pub use dedup::DedupWindow;
pub use error::IngestError;
pub use put::{AccountRule, Ingest, Whose};
pub use record::{Envelope, MAX_DEPTH, check, envelope};
pub use report::{Refused, Report};
pub use room::{Arrival, NoRoom, Room};
pub use whole::Whole;
