//! CloudTrail Lake's SQL over the tables of event data stores.
//!
//! [`Statement::parse`] takes one `SELECT` in Trino's spelling, with stores named by their bare ids, and refuses
//! everything else; [`Engine::plan`] finds its columns and functions in the stores' tables; [`Query::run`] gives
//! [`Rows`], whose values are text in Lake's forms. [`StoreTable`] is the table of a store's snapshot, [`paged_table`] one of
//! rows from elsewhere, which a statement may know by a name ([`Statement::parse_with`]). A [`Condition`] is asked of events that are in no store. Nothing here
//! knows a catalog, an API or a journal, and no statement reaches a file, the network or a table that the caller has
//! not handed in.
//!
//! [`Engine`] holds what all queries share: memory, room on disk and threads of low priority.
//!
//! JSON values have the Arrow type `LargeUtf8`, text has `Utf8` or `Utf8View`: that is how functions tell them apart,
//! so tables must not have columns of `LargeUtf8`.

mod bounds;
mod check;
mod condition;
mod crew;
mod dialect;
mod engine;
mod equality;
mod error;
mod functions;
mod headings;
mod leash;
mod lists;
mod operators;
mod paged;
mod plan;
mod relations;
mod repeats;
mod rewrite;
mod rows;
mod statement;
mod statistics;
mod store;
mod text;
mod types;
mod weighed;
mod yielding;

pub use condition::Condition;
pub use engine::{Engine, EngineError, EngineOptions};
pub use error::{Location, RunError, StatementError};
pub use paged::{Cell, ColumnKind, Page, Pages, paged_table};
pub use plan::Query;
pub use rows::Rows;
pub use statement::Statement;
pub use statistics::{ScanStatistics, Statistics};
pub use store::StoreTable;
