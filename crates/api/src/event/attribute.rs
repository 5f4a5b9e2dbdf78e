use opentrail_history::{Category, LookupAttribute};
use opentrail_wire::cloudtrail as wire;

/// Characters of an attribute's value, of which some count twice. (User Guide, "Viewing recent management events with
/// the AWS CLI", on lookup attributes.)
const MAX_VALUE: usize = 2000;

/// Why events cannot be looked up by what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AttributeError {
    #[error("Only one lookup attribute can be given; there are {given}.")]
    Several { given: usize },
    #[error(
        "Lookup attribute {key:?} is not valid: use EventId, EventName, ReadOnly, Username, ResourceType, ResourceName, EventSource or AccessKeyId."
    )]
    Key { key: String },
    #[error("Insights events can be looked up by EventId, EventName and EventSource only, not by {key}.")]
    NotOfInsights { key: String },
    #[error(
        "The value of lookup attribute {key} can have at most {MAX_VALUE} characters, of which underscores, spaces, commas and line ends count twice; it has {length}."
    )]
    Length { key: String, length: usize },
    #[error("The value of lookup attribute ReadOnly must be true or false, not {value:?}.")]
    ReadOnly { value: String },
}

/// The attribute that a request looks up events by, if it gives one.
pub(super) fn from_wire(
    attributes: &[wire::LookupAttribute],
    category: Category,
) -> Result<Option<LookupAttribute>, AttributeError> {
    match attributes {
        [] => Ok(None),
        [one] => parse(one, category).map(Some),
        several => Err(AttributeError::Several { given: several.len() }),
    }
}

fn parse(attribute: &wire::LookupAttribute, category: Category) -> Result<LookupAttribute, AttributeError> {
    let key = || attribute.attribute_key.clone();
    let value = attribute.attribute_value.clone();
    let length = value.chars().map(|c| if matches!(c, '_' | ' ' | ',' | '\n') { 2 } else { 1 }).sum();
    if length > MAX_VALUE {
        return Err(AttributeError::Length { key: key(), length });
    }
    let parsed = match attribute.attribute_key.as_str() {
        "EventId" => LookupAttribute::EventId(value),
        "EventName" => LookupAttribute::EventName(value),
        "EventSource" => LookupAttribute::EventSource(value),
        "ReadOnly" => match value.as_str() {
            "true" => LookupAttribute::ReadOnly(true),
            "false" => LookupAttribute::ReadOnly(false),
            _ => return Err(AttributeError::ReadOnly { value }),
        },
        "Username" => LookupAttribute::Username(value),
        "ResourceType" => LookupAttribute::ResourceType(value),
        "ResourceName" => LookupAttribute::ResourceName(value),
        "AccessKeyId" => LookupAttribute::AccessKeyId(value),
        _ => return Err(AttributeError::Key { key: key() }),
    };
    let of_insights =
        matches!(parsed, LookupAttribute::EventId(_) | LookupAttribute::EventName(_) | LookupAttribute::EventSource(_));
    if category == Category::Insight && !of_insights {
        return Err(AttributeError::NotOfInsights { key: key() });
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(key: &str, value: &str) -> Result<Option<LookupAttribute>, AttributeError> {
        let attribute = wire::LookupAttribute { attribute_key: key.into(), attribute_value: value.into() };
        from_wire(&[attribute], Category::Management)
    }

    #[test]
    fn some_characters_count_twice() {
        assert!(lookup("Username", &"a".repeat(2000)).is_ok());
        assert!(lookup("Username", &"_".repeat(1000)).is_ok());
        let error = lookup("Username", &"_ ,\n".repeat(251)).unwrap_err();
        assert_eq!(error, AttributeError::Length { key: "Username".into(), length: 2008 });
    }

    #[test]
    fn names_of_attributes_are_case_sensitive() {
        assert!(matches!(lookup("username", "a"), Err(AttributeError::Key { .. })));
        assert!(matches!(lookup("ReadOnly", "True"), Err(AttributeError::ReadOnly { .. })));
        assert!(matches!(lookup("ReadOnly", "false"), Ok(Some(LookupAttribute::ReadOnly(false)))));
    }
}
