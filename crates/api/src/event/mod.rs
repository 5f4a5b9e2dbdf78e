//! Operations on the Event history.

mod attribute;
mod lookup_events;

pub(crate) use attribute::AttributeError;
pub(crate) use lookup_events::lookup_events;
