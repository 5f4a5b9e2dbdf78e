//! Statements run on tables: shapes of published queries and widgets of dashboards on real records, what functions mean,
//! what hostile text comes to.
#![expect(clippy::unwrap_used, reason = "a test whose preparation fails has failed")]

mod dashboards;
mod functions;
mod generated;
mod hostile;
mod made_records;
mod mutated;
mod paged;
mod queries;
mod shapes;
mod support;
