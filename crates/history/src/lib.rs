//! The Event history: what LookupEvents answers from. Management events of the last 90 days, per account and Region.
//!
//! [`HistoryProjection`] folds the journal in: an event is in memory, and visible, when `apply` returns, and goes to
//! a Delta table soon after, the journal position in the same commit. [`History`] is the reading side: a lookup sees
//! the table and the memory at one instant. [`History::run_maintenance`] merges small files and lets old ones go.
//!
//! Read `row` (what is kept), `file` (how it lies on disk), `segment` (how it is searched), then `lookup`.

mod error;
mod file;
mod filter;
mod footer;
mod history;
mod layout;
mod lookup;
mod maintenance;
mod merge;
mod projection;
mod query;
mod recent;
mod row;
mod segment;

pub use error::HistoryError;
pub use history::{History, HistoryOptions};
pub use projection::HistoryProjection;
pub use query::{Category, Cursor, LookupAttribute, LookupEvent, LookupPage, LookupQuery};
