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
