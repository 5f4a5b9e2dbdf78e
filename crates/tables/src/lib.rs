//! What event data stores hold: each store's events in a Delta table of its own.
//!
//! [`Tables`] starts a projection for every store and keeps it informed: the journal's records that the store's selectors
//! take at their positions become rows, in memory at first and in the table soon after, the journal position in the same
//! commit. Maintenance merges small files, lets events past the retention go and deletes what left the tables. A store that
//! is gone takes its table with it. [`Tables::snapshot`] is what readers get.
//!
//! Events of an import come past the journal, chunk by chunk (`import`).
//!
//! Read `schema` (what Lake has), `columns` (what is kept), `projection` (how it comes there), `supervisor` (how stores come and go), then
//! `maintenance`.

mod budget;
mod columns;
mod decode;
mod error;
mod file;
mod import;
mod maintenance;
mod merge;
mod projection;
mod recent;
mod schema;
mod selection;
mod shown;
mod snapshot;
mod state;
mod supervisor;
mod table;
mod tables;

pub use columns::lakes_columns;
pub use error::TableError;
pub use import::{ImportChunk, ImportedEvent};
pub use shown::PrincipalTags;
pub use snapshot::{Snapshot, SnapshotFile};
pub use tables::{Tables, TablesDeps, TablesOptions};

#[cfg(test)]
mod tests;
