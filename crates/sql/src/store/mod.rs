//! A store's events as a table of DataFusion: the files and rows of a [`Snapshot`], and nothing else.
//!
//! A scan reads the columns asked for, of the files that a condition upon `eventtime` leaves, in them the row groups and
//! pages that statistics and Bloom filters leave, the newest first, and decodes wide columns only for the rows that pass. `eventjson` and
//! `eventjsonchecksum`, which files have only where they differ from what follows from the record, are made here.
//!
//! `provider` puts a scan together, `conditions` finds what else a condition says, `blooms` which row groups may have a value,
//! `files` reads current files, `narrow` leaves out what they say of other columns, `older` reads those of older layouts, `sealed` those of a store with a KMS key, `made` makes columns.

mod blooms;
mod conditions;
mod files;
mod made;
mod narrow;
mod older;
mod provider;
mod sealed;

pub use provider::StoreTable;

#[cfg(test)]
mod tests;
