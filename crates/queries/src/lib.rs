//! Queries over event data stores: documents, states, results, their delivery to S3, and the samples to begin with.
//!
//! A [`Query`] is a document of the catalog from StartQuery on. [`Queries`] runs it, at most so many at a time, keeps its
//! rows outside the catalog (`results`), delivers them if that was asked for (`deliver`), and forgets all of it after
//! seven days. What runs the SQL is behind [`Engine`]. [`samples`] is the library that SearchSampleQueries looks through.
//!
//! Read `query` (what is kept), `queries` (what can be asked), then `run` (the life of a query, crash by crash).

mod csv;
mod deliver;
mod engine;
mod error;
mod generated;
mod index;
mod metrics;
mod queries;
mod query;
mod result_file;
mod results;
mod run;
pub mod samples;
mod seal;
mod turns;
mod upkeep;

#[cfg(test)]
mod tests;

pub use engine::{Engine, Execution, ExecutionError, InvalidStatement, PlanError, Row, Scanned};
pub use error::QueryError;
pub use generated::GeneratedQuery;
pub use queries::{Listed, NewQuery, Queries, QueriesDeps, QueriesOptions, QueryView};
pub use query::{Alias, Delivery, DeliveryStatus, Ended, Query, QueryKey, QueryStatus};
pub use results::{Page, ResultsError};
