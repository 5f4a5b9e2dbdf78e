//! Event selectors in the shapes of the API.

use opentrail_model::{AdvancedEventSelector, DataResource, EventSelector, FieldSelector, ReadWriteType, Selectors};
use opentrail_selectors::{FieldError, SelectorError};
use opentrail_wire::cloudtrail as wire;

/// Selectors as a request or an answer has them: basic and advanced ones in members of their own.
pub(super) type Members = (Option<Vec<wire::EventSelector>>, Option<Vec<wire::AdvancedEventSelector>>);

/// The selectors that a request gives, of one kind; an empty list counts as none. Members left out get their defaults.
pub(super) fn from_wire((basic, advanced): Members) -> Result<Selectors, SelectorError> {
    let (basic, advanced) = (basic.unwrap_or_default(), advanced.unwrap_or_default());
    match (basic.is_empty(), advanced.is_empty()) {
        (false, false) => Err(SelectorError::BothKinds),
        (_, true) => Ok(Selectors::Basic(basic.into_iter().map(basic_from_wire).collect::<Result<_, _>>()?)),
        (true, false) => Ok(Selectors::Advanced { advanced: advanced_from_wire(advanced)? }),
    }
}

/// The selectors as they are answered: the kind in use alone.
pub(super) fn to_wire(selectors: &Selectors) -> Members {
    match selectors {
        Selectors::Basic(basic) => (Some(basic.iter().map(basic_to_wire).collect()), None),
        Selectors::Advanced { advanced } => (None, Some(advanced.iter().map(advanced_to_wire).collect())),
    }
}

fn basic_from_wire(selector: wire::EventSelector) -> Result<EventSelector, SelectorError> {
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

/// Every member is given.
fn basic_to_wire(selector: &EventSelector) -> wire::EventSelector {
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

pub(crate) fn advanced_from_wire(
    selectors: Vec<wire::AdvancedEventSelector>,
) -> Result<Vec<AdvancedEventSelector>, SelectorError> {
    let field = |selector: wire::AdvancedFieldSelector| {
        Ok(FieldSelector {
            field: selector.field.parse()?,
            equals: selector.equals.unwrap_or_default(),
            starts_with: selector.starts_with.unwrap_or_default(),
            ends_with: selector.ends_with.unwrap_or_default(),
            not_equals: selector.not_equals.unwrap_or_default(),
            not_starts_with: selector.not_starts_with.unwrap_or_default(),
            not_ends_with: selector.not_ends_with.unwrap_or_default(),
        })
    };
    let one = |(number, selector): (usize, wire::AdvancedEventSelector)| {
        let fields: Result<_, FieldError> = selector.field_selectors.into_iter().map(field).collect();
        let field_selectors = fields.map_err(|error| SelectorError::Advanced { number, error })?;
        Ok(AdvancedEventSelector { name: selector.name, field_selectors })
    };
    (1..).zip(selectors).map(one).collect()
}

/// Members that were not given stay away; order is kept.
pub(crate) fn advanced_to_wire(selector: &AdvancedEventSelector) -> wire::AdvancedEventSelector {
    let given = |values: &Vec<String>| (!values.is_empty()).then(|| values.clone());
    let field = |selector: &FieldSelector| wire::AdvancedFieldSelector {
        field: selector.field.to_string(),
        equals: given(&selector.equals),
        starts_with: given(&selector.starts_with),
        ends_with: given(&selector.ends_with),
        not_equals: given(&selector.not_equals),
        not_starts_with: given(&selector.not_starts_with),
        not_ends_with: given(&selector.not_ends_with),
    };
    wire::AdvancedEventSelector {
        name: selector.name.clone(),
        field_selectors: selector.field_selectors.iter().map(field).collect(),
    }
}
