//! Operations on event data stores.

mod change;
mod create_event_data_store;
mod delete_event_data_store;
mod event_configuration;
mod get_event_data_store;
mod ingestion;
mod list_event_data_stores;
mod named;
mod restore_event_data_store;
mod retirement;
mod settings;
mod shapes;
mod update_event_data_store;

pub(crate) use create_event_data_store::create_event_data_store;
pub(crate) use delete_event_data_store::delete_event_data_store;
pub(crate) use event_configuration::{ConfigurationError, get_store_configuration, put_store_configuration};
pub(crate) use get_event_data_store::get_event_data_store;
pub(crate) use ingestion::{start_event_data_store_ingestion, stop_event_data_store_ingestion};
pub(crate) use list_event_data_stores::list_event_data_stores;
pub(crate) use named::{InactiveStore, NamedStore, StoreReferenceError, parse_store, require_active};
pub(crate) use restore_event_data_store::restore_event_data_store;
pub use retirement::{RetiredStore, retire_store};
pub(crate) use settings::StoreSettingsError;
pub(crate) use shapes::federation_status;
pub(crate) use update_event_data_store::update_event_data_store;
