//! Operations on what is made of events: aggregated events of trails here, the size and context of event data stores'
//! events in [`crate::store`]. Neither has the other's settings.
//! (API Reference, PutEventConfiguration; User Guide, "Aggregated events".)

mod get_event_configuration;
mod put_event_configuration;
mod target;

pub(crate) use get_event_configuration::get_event_configuration;
pub(crate) use put_event_configuration::put_event_configuration;
pub(crate) use target::EventConfigurationError;
