//! Entries of the journal, decoded once: the raw bytes of each record beside typed columns.
//!
//! Every projection of the process shares one [`EventBatch`] and parses no JSON again, but for [`CallDetails`] and [`InsightSubject`]. Columns are lenient: what
//! does not have the type that CloudTrail documents is null in its column and untouched in the raw record.

mod batch;
mod decode;
mod details;
pub mod json;
mod lookup;

pub use batch::{Control, Event, EventBatch};
pub use details::{CallDetails, InsightSubject};
