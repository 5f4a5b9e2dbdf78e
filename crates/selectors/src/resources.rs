//! Resource types of data events, as selectors and records name them.

/// The resource types that basic selectors know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BasicType {
    Object,
    Function,
    Table,
}

const OBJECT: &str = "AWS::S3::Object";
const FUNCTION: &str = "AWS::Lambda::Function";
const TABLE: &str = "AWS::DynamoDB::Table";
const STREAM: &str = "AWS::DynamoDB::Stream";

impl BasicType {
    pub(crate) fn named(kind: &str) -> Option<Self> {
        match kind {
            OBJECT => Some(Self::Object),
            FUNCTION => Some(Self::Function),
            TABLE => Some(Self::Table),
            _ => None,
        }
    }

    /// Which types of resources it stands for: a table's streams belong to it. (User Guide, "Logging data events".)
    pub(crate) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Object => &[OBJECT],
            Self::Function => &[FUNCTION],
            Self::Table => &[TABLE, STREAM],
        }
    }

    /// The service in its ARNs.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::Object => "s3",
            Self::Function => "lambda",
            Self::Table => "dynamodb",
        }
    }

    /// Whether the value means every resource: `arn:aws:s3` (also `arn:aws:s3:::`), `arn:aws:lambda`,
    /// `arn:aws:dynamodb`, in any partition.
    pub(crate) fn is_all(self, value: &str) -> bool {
        let whole = if self == Self::Object { value.strip_suffix(":::").unwrap_or(value) } else { value };
        let mut parts = whole.split(':');
        parts.next() == Some("arn")
            && parts.next().is_some_and(|partition| !partition.is_empty())
            && parts.next() == Some(self.service())
            && parts.next().is_none()
    }
}

/// The type of a resource that a record lists without one, by its ARN. Real records have such entries.
pub(crate) fn type_of_arn(arn: &str) -> Option<&'static str> {
    match arn.strip_prefix("arn:")?.split(':').nth(1)? {
        "s3" => Some(OBJECT),
        "lambda" => Some(FUNCTION),
        "dynamodb" => Some(if arn.contains("/stream/") { STREAM } else { TABLE }),
        _ => None,
    }
}

/// The type of what a data event that lists no resources is about: records older than `resources` exist.
pub(crate) fn type_of_source(event_source: &str) -> Option<&'static str> {
    match event_source {
        "s3.amazonaws.com" => Some(OBJECT),
        "lambda.amazonaws.com" => Some(FUNCTION),
        "dynamodb.amazonaws.com" => Some(TABLE),
        _ => None,
    }
}
