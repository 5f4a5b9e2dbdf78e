use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which of reads and writes a selector takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReadWriteType {
    /// Only records whose `readOnly` is true.
    ReadOnly,
    /// Only records whose `readOnly` is false.
    WriteOnly,
    /// Both.
    #[default]
    All,
}

/// Data events of one resource type that a basic selector takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataResource {
    /// `AWS::S3::Object`, `AWS::Lambda::Function` or `AWS::DynamoDB::Table`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// ARNs, or ARN prefixes for S3; `arn:aws:s3` and its like mean all.
    #[serde(default)]
    pub values: Vec<String>,
}

/// A basic event selector, stored and answered in the API's own shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EventSelector {
    /// Default [`ReadWriteType::All`].
    #[serde(default)]
    pub read_write_type: ReadWriteType,
    /// Default true.
    #[serde(default = "yes")]
    pub include_management_events: bool,
    /// Default none.
    #[serde(default)]
    pub data_resources: Vec<DataResource>,
    /// Default none; only `kms.amazonaws.com` and `rdsdata.amazonaws.com` can be named.
    #[serde(default)]
    pub exclude_management_event_sources: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Default for EventSelector {
    /// What a trail without selectors logs: all management events. (API Reference, PutEventSelectors.)
    fn default() -> Self {
        Self {
            read_write_type: ReadWriteType::All,
            include_management_events: true,
            data_resources: Vec::new(),
            exclude_management_event_sources: Vec::new(),
        }
    }
}

/// An advanced event selector, stored and answered in the API's own shape: it takes what all its field selectors take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AdvancedEventSelector {
    /// At most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At least one, each of another field.
    pub field_selectors: Vec<FieldSelector>,
}

/// What one field must be: any of the positive values if there are such, and none of the negative ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FieldSelector {
    /// Of which field.
    pub field: SelectorField,
    /// It is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equals: Vec<String>,
    /// It begins with one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts_with: Vec<String>,
    /// It ends with one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends_with: Vec<String>,
    /// It is none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_equals: Vec<String>,
    /// It begins with none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_starts_with: Vec<String>,
    /// It ends with none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ends_with: Vec<String>,
}

impl Selectors {
    /// Whether something of `category` may be taken: of management events only those whose `readOnly` is so, if that is given. What other
    /// fields leave of it is not asked.
    pub fn may_take(&self, category: &str, read_only: Option<bool>) -> bool {
        let is_asked = |kind: ReadWriteType| match read_only {
            None => true,
            Some(true) => kind != ReadWriteType::WriteOnly,
            Some(false) => kind != ReadWriteType::ReadOnly,
        };
        match self {
            Self::Basic(basic) => basic.iter().any(|selector| match category {
                "Management" => selector.include_management_events && is_asked(selector.read_write_type),
                "Data" => !selector.data_resources.is_empty() && is_asked(selector.read_write_type),
                _ => false,
            }),
            Self::Advanced { advanced } => advanced.iter().any(|selector| {
                let takes = |field: SelectorField, wanted: &str| {
                    let fields = selector.field_selectors.iter().filter(|of| of.field == field);
                    fields.into_iter().all(|of| of.equals.is_empty() || of.equals.iter().any(|value| value == wanted))
                };
                takes(SelectorField::EventCategory, category)
                    && read_only.is_none_or(|read_only| {
                        takes(SelectorField::ReadOnly, if read_only { "true" } else { "false" })
                    })
            }),
        }
    }
}

impl FieldSelector {
    /// One that says nothing of `field` yet.
    pub fn of(field: SelectorField) -> Self {
        Self {
            field,
            equals: Vec::new(),
            starts_with: Vec::new(),
            ends_with: Vec::new(),
            not_equals: Vec::new(),
            not_starts_with: Vec::new(),
            not_ends_with: Vec::new(),
        }
    }

    /// Each operator by its name in the API, with its values.
    pub fn operators(&self) -> [(&'static str, &[String]); 6] {
        [
            ("Equals", &self.equals),
            ("StartsWith", &self.starts_with),
            ("EndsWith", &self.ends_with),
            ("NotEquals", &self.not_equals),
            ("NotStartsWith", &self.not_starts_with),
            ("NotEndsWith", &self.not_ends_with),
        ]
    }
}

/// The fields that advanced event selectors know. (API Reference, AdvancedFieldSelector, `Field`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum SelectorField {
    /// `errorCode`.
    ErrorCode,
    /// `eventCategory`, which every selector has.
    EventCategory,
    /// `eventName`.
    EventName,
    /// `eventSource`.
    EventSource,
    /// `eventType`.
    EventType,
    /// `readOnly`.
    ReadOnly,
    /// `resources.ARN`.
    ResourcesArn,
    /// `resources.type`.
    ResourcesType,
    /// `sessionCredentialFromConsole`.
    SessionCredentialFromConsole,
    /// `userIdentity.arn`.
    UserIdentityArn,
    /// `vpcEndpointId`.
    VpcEndpointId,
}

/// The text names no field of advanced event selectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is no field that event selectors know")]
pub struct ParseSelectorFieldError {
    /// What was given.
    pub input: String,
}

impl SelectorField {
    /// Every field.
    pub const ALL: [Self; 11] = [
        Self::ErrorCode,
        Self::EventCategory,
        Self::EventName,
        Self::EventSource,
        Self::EventType,
        Self::ReadOnly,
        Self::ResourcesArn,
        Self::ResourcesType,
        Self::SessionCredentialFromConsole,
        Self::UserIdentityArn,
        Self::VpcEndpointId,
    ];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorCode => "errorCode",
            Self::EventCategory => "eventCategory",
            Self::EventName => "eventName",
            Self::EventSource => "eventSource",
            Self::EventType => "eventType",
            Self::ReadOnly => "readOnly",
            Self::ResourcesArn => "resources.ARN",
            Self::ResourcesType => "resources.type",
            Self::SessionCredentialFromConsole => "sessionCredentialFromConsole",
            Self::UserIdentityArn => "userIdentity.arn",
            Self::VpcEndpointId => "vpcEndpointId",
        }
    }
}

impl FromStr for SelectorField {
    type Err = ParseSelectorFieldError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|field| field.as_str() == s);
        named.ok_or_else(|| ParseSelectorFieldError { input: s.to_owned() })
    }
}

impl fmt::Display for SelectorField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for SelectorField {
    type Error = ParseSelectorFieldError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<SelectorField> for &'static str {
    fn from(field: SelectorField) -> Self {
        field.as_str()
    }
}

/// The selectors of a trail or of an event data store, of one kind: what any of them takes is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Selectors {
    /// Basic ones, which only trails have; stored as a list.
    Basic(Vec<EventSelector>),
    /// Advanced ones; stored as `{"Advanced": […]}`.
    #[serde(rename_all = "PascalCase")]
    Advanced {
        /// The selectors.
        advanced: Vec<AdvancedEventSelector>,
    },
}

impl Default for Selectors {
    /// What a new trail has.
    fn default() -> Self {
        Self::Basic(vec![EventSelector::default()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_stored_in_the_shapes_of_the_api() {
        let basic = r#"[{"ReadWriteType":"ReadOnly","IncludeManagementEvents":true,"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}],"ExcludeManagementEventSources":[]}]"#;
        let advanced = r#"{"Advanced":[{"Name":"n","FieldSelectors":[{"Field":"eventCategory","Equals":["Data"]},{"Field":"resources.ARN","NotEndsWith":["/"]}]}]}"#;
        for stored in [basic, advanced] {
            let read: Selectors = serde_json::from_str(stored).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        }
        assert!(matches!(serde_json::from_str(advanced), Ok(Selectors::Advanced { advanced }) if advanced.len() == 1));
    }

    #[test]
    fn fields_have_the_names_of_the_api_and_no_others() {
        for field in SelectorField::ALL {
            assert_eq!(field.as_str().parse(), Ok(field));
        }
        for other in ["", "EventName", "resources.arn", "userIdentity.userName"] {
            assert!(other.parse::<SelectorField>().is_err(), "{other}");
        }
    }
}
