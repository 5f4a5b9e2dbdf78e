//! Statements run on tables: shapes of published queries on real records, what functions mean, what hostile text comes to.

mod functions;
mod hostile;
mod queries;
mod shapes;
mod support;
