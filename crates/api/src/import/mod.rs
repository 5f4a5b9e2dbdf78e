//! Operations on imports of log files into event data stores.

mod get_import;
mod list_import_failures;
mod list_imports;
mod named;
mod shapes;
mod source;
mod start_import;
mod stop_import;

pub(crate) use get_import::get_import;
pub(crate) use list_import_failures::list_import_failures;
pub(crate) use list_imports::list_imports;
pub(crate) use named::ImportReferenceError;
pub(crate) use source::SourceError;
pub(crate) use start_import::{ImportInputError, start_import};
pub(crate) use stop_import::stop_import;
