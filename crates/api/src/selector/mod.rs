//! Operations on event selectors.

mod get_event_selectors;
mod put_event_selectors;
mod shapes;

pub(crate) use get_event_selectors::get_event_selectors;
pub(crate) use put_event_selectors::put_event_selectors;
pub(crate) use shapes::{advanced_from_wire, advanced_to_wire};
