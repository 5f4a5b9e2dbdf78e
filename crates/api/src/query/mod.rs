//! Operations on queries, and on the samples to begin with.

mod cancel_query;
mod describe_query;
mod destination;
mod generate_query;
mod get_query_results;
mod list_queries;
mod named;
mod search_sample_queries;
mod start_query;

pub(crate) use cancel_query::cancel_query;
pub(crate) use describe_query::describe_query;
pub(crate) use destination::DeliveryUriError;
pub(crate) use generate_query::generate_query;
pub(crate) use get_query_results::get_query_results;
pub(crate) use list_queries::list_queries;
pub(crate) use named::QueryReferenceError;
pub(crate) use search_sample_queries::search_sample_queries;
pub(crate) use start_query::{StatementError, start_query};
