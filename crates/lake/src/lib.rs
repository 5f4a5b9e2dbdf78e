//! What OpenTrail's Delta tables have in common: one writer per table, Parquet files, and the journal position that
//! a table reflects stored in the same commit as its rows.
//!
//! [`Table`] is the transaction log; [`write_file`] makes the files that it names. Everything is on stable storage
//! before it is named: a data file before its commit, a commit before it is visible. So a crash leaves at worst
//! files that no commit names, which [`Table::vacuum`] deletes. A data file's name has the checksum of its bytes, which
//! [`DataFile::verify`] compares. Files can be sealed ([`write_sealed_file`], [`SealedFile`]). The history builds on
//! this; so do event data stores.

mod disk;
mod durable;
mod error;
pub mod faults;
mod file;
mod schema;
mod sealed;
mod table;

pub use disk::remove_table;
pub use error::LakeError;
pub use file::{DataFile, FileWriter, write_file, write_sealed_file};
pub use sealed::{SealedFile, SealedReader};
pub use table::{Mark, Table, TableSpec};
