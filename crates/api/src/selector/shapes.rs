//! Basic event selectors in the shapes of the API.

use opentrail_model::{DataResource, EventSelector, ReadWriteType};
use opentrail_wire::cloudtrail as wire;

use super::validation::SelectorError;

/// The selector that a request gives; members left out get their defaults.
pub(super) fn from_wire(selector: wire::EventSelector) -> Result<EventSelector, SelectorError> {
    let default = EventSelector::default();
    let read_write_type = match selector.read_write_type.as_deref() {
        None => default.read_write_type,
        Some("ReadOnly") => ReadWriteType::ReadOnly,
        Some("WriteOnly") => ReadWriteType::WriteOnly,
        Some("All") => ReadWriteType::All,
        Some(other) => return Err(SelectorError::ReadWriteType { given: other.to_owned() }),
    };
    let resource = |resource: wire::DataResource| DataResource {
        kind: resource.r#type.unwrap_or_default(),
        values: resource.values.unwrap_or_default(),
    };
    Ok(EventSelector {
        read_write_type,
        include_management_events: selector.include_management_events.unwrap_or(default.include_management_events),
        data_resources: selector.data_resources.unwrap_or_default().into_iter().map(resource).collect(),
        exclude_management_event_sources: selector.exclude_management_event_sources.unwrap_or_default(),
    })
}

/// The selector as it is answered, every member given.
pub(super) fn to_wire(selector: &EventSelector) -> wire::EventSelector {
    let read_write_type = match selector.read_write_type {
        ReadWriteType::ReadOnly => "ReadOnly",
        ReadWriteType::WriteOnly => "WriteOnly",
        ReadWriteType::All => "All",
    };
    let resource = |resource: &DataResource| wire::DataResource {
        r#type: Some(resource.kind.clone()),
        values: Some(resource.values.clone()),
    };
    wire::EventSelector {
        read_write_type: Some(read_write_type.to_owned()),
        include_management_events: Some(selector.include_management_events),
        data_resources: Some(selector.data_resources.iter().map(resource).collect()),
        exclude_management_event_sources: Some(selector.exclude_management_event_sources.clone()),
    }
}
