use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An Amazon Resource Name: `arn:<partition>:<service>:<region>:<account>:<resource>`.
///
/// Region and account may be empty (`arn:aws:s3:::bucket`); the resource may hold further colons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn(String);

/// The text has not the six colon-separated parts of an ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not an ARN of the form arn:partition:service:region:account:resource")]
pub struct ParseArnError {
    /// What was given.
    pub input: String,
}

impl Arn {
    fn part(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `aws`, `aws-cn`, …
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// `s3`, `iam`, `cloudtrail`, …
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// The Region, or an empty text.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The account's digits, or an empty text.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// What follows the fifth colon, e.g. `trail/main`.
    pub fn resource(&self) -> &str {
        self.part(5)
    }
}

impl FromStr for Arn {
    type Err = ParseArnError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = s.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, service, _, _, resource]
                if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
            {
                Ok(Self(s.to_owned()))
            }
            _ => Err(ParseArnError { input: s.to_owned() }),
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Arn {
    type Error = ParseArnError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_keeps_its_colons() {
        let arn: Arn = "arn:aws:logs:us-east-1:111122223333:log-group:name:*".parse().unwrap();
        assert_eq!((arn.service(), arn.resource()), ("logs", "log-group:name:*"));
    }

    #[test]
    fn a_text_short_of_parts_is_refused() {
        for bad in ["", "arn", "arn:aws:s3", "arn:aws:s3:::", "urn:aws:s3:::b", "arn::s3:::b"] {
            assert!(bad.parse::<Arn>().is_err(), "{bad:?}");
        }
    }
}
