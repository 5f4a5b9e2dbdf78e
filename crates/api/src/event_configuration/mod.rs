//! Operations on what is made of a trail's events beside the events: aggregated events.
//!
//! `MaxEventSize` and `ContextKeySelectors` are settings of event data stores: nothing in a trail's records is larger or
//! has a context. (API Reference, PutEventConfiguration; User Guide, "Aggregated events".)

mod get_event_configuration;
mod put_event_configuration;
mod target;

pub(crate) use get_event_configuration::get_event_configuration;
pub(crate) use put_event_configuration::put_event_configuration;
pub(crate) use target::EventConfigurationError;
