//! The data plane: events of applications, put to channels.

mod event_data;
mod put_audit_events;

pub(crate) use put_audit_events::put_audit_events;
pub use put_audit_events::{Audited, note_audited};
