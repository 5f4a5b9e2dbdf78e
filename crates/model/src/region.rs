use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A Region's code, e.g. `us-east-1`.
///
/// AWS-compatible clouds invent their own (`garage`, `default`), so any name of 1–64 letters, digits, `-` and
/// `_` is one. The name becomes part of object keys, which is why nothing else is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(Arc<str>);

/// The text cannot be a Region's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("region {input:?} is not 1 to 64 letters, digits, hyphens and underscores")]
pub struct ParseRegionError {
    /// What was given.
    pub input: String,
}

impl Region {
    /// `us-east-1`, where the `aws` partition records its global services.
    pub fn us_east_1() -> Self {
        Self("us-east-1".into())
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition that ARNs of this Region name.
    pub fn partition(&self) -> &'static str {
        match &*self.0 {
            r if r.starts_with("cn-") => "aws-cn",
            r if r.starts_with("us-gov-") => "aws-us-gov",
            r if r.starts_with("us-iso-") => "aws-iso",
            r if r.starts_with("us-isob-") => "aws-iso-b",
            _ => "aws",
        }
    }

    /// The Region in which this one's partition records global services such as IAM.
    /// (User Guide, "Global service events"; the other partitions by IAM's signing Region.)
    pub fn of_global_services(&self) -> Self {
        match self.partition() {
            "aws-cn" => Self("cn-north-1".into()),
            "aws-us-gov" => Self("us-gov-west-1".into()),
            "aws-iso" => Self("us-iso-east-1".into()),
            "aws-iso-b" => Self("us-isob-east-1".into()),
            _ => Self::us_east_1(),
        }
    }
}

impl FromStr for Region {
    type Err = ParseRegionError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=64).contains(&s.len()) && s.bytes().all(good) {
            Ok(Self(s.into()))
        } else {
            Err(ParseRegionError { input: s.to_owned() })
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Region {
    type Error = ParseRegionError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0.as_ref().to_owned()
    }
}
