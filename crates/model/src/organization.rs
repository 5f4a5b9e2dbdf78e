use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An organization's id: `o-` and 10–32 lower-case letters and digits, e.g. `o-exampleorgid`.
/// (Organizations API Reference, `Organization`, `Id`.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrganizationId(String);

/// The text is no organization's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("organization id {input:?} is not \"o-\" and 10 to 32 lower-case letters and digits")]
pub struct ParseOrganizationIdError {
    /// What was given.
    pub input: String,
}

impl OrganizationId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganizationId {
    type Err = ParseOrganizationIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let valid = |rest: &str| {
            (10..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        match s.strip_prefix("o-").is_some_and(valid) {
            true => Ok(Self(s.to_owned())),
            false => Err(ParseOrganizationIdError { input: s.to_owned() }),
        }
    }
}

impl fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for OrganizationId {
    type Error = ParseOrganizationIdError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<OrganizationId> for String {
    fn from(id: OrganizationId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_form_is_an_id() {
        for good in ["o-exampleorgid", "o-0123456789", &format!("o-{}", "a".repeat(32))] {
            assert_eq!(good.parse::<OrganizationId>().unwrap().as_str(), good);
        }
        let long = format!("o-{}", "a".repeat(33));
        for bad in
            ["", "o-", "o-123456789", &long, "O-exampleorgid", "o-exampleorGid", "o-example/rgid", "r-exampleorgid"]
        {
            assert!(bad.parse::<OrganizationId>().is_err(), "{bad:?}");
        }
    }
}
