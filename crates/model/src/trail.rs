use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AccountId, Arn, Region};

/// A trail's name: 3–128 letters, digits, `.`, `_`, `-`, beginning and ending with a letter or digit, no two of
/// the three marks side by side, not an IP address. (API Reference, CreateTrail, `Name`.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrailName(String);

/// Why a text is no trail name. The messages are AWS's own where they have been observed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTrailNameError {
    /// Fewer than three characters.
    #[error("Trail name too short. Minimum allowed length: 3 characters. Specified name length: {length} characters.")]
    TooShort {
        /// Characters given.
        length: usize,
    },
    /// More than 128 characters.
    #[error("Trail name too long. Maximum allowed length: 128 characters. Specified name length: {length} characters.")]
    TooLong {
        /// Characters given.
        length: usize,
    },
    /// Begins with a mark.
    #[error("Trail name must starts with a letter or number.")]
    First,
    /// Ends with a mark.
    #[error("Trail name must ends with a letter or number.")]
    Last,
    /// Holds a character that no trail name has.
    #[error(
        "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and underscores (_)."
    )]
    Character,
    /// Two marks side by side.
    #[error("Trail name cannot have adjacent periods, hyphens or underscores.")]
    AdjacentMarks,
    /// Looks like `192.168.5.4`.
    #[error("Trail name cannot be in IP address format.")]
    IpAddress,
}

impl TrailName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ARN of the trail of this name, of `account`, at home in `region`.
    pub fn arn(&self, region: &Region, account: AccountId) -> Arn {
        format!("arn:{}:cloudtrail:{region}:{account}:trail/{self}", region.partition())
            .parse()
            .expect("six non-empty parts make an ARN")
    }
}

impl FromStr for TrailName {
    type Err = ParseTrailNameError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |c: char| c.is_ascii_alphanumeric();
        let mark = |c: char| matches!(c, '.' | '_' | '-');
        let length = s.chars().count();
        if length < 3 {
            return Err(ParseTrailNameError::TooShort { length });
        }
        if length > 128 {
            return Err(ParseTrailNameError::TooLong { length });
        }
        if !s.starts_with(alphanumeric) {
            return Err(ParseTrailNameError::First);
        }
        if !s.ends_with(alphanumeric) {
            return Err(ParseTrailNameError::Last);
        }
        if !s.chars().all(|c| alphanumeric(c) || mark(c)) {
            return Err(ParseTrailNameError::Character);
        }
        if s.as_bytes().windows(2).any(|w| mark(w[0] as char) && mark(w[1] as char)) {
            return Err(ParseTrailNameError::AdjacentMarks);
        }
        if s.parse::<Ipv4Addr>().is_ok() {
            return Err(ParseTrailNameError::IpAddress);
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for TrailName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TrailName {
    type Error = ParseTrailNameError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<TrailName> for String {
    fn from(name: TrailName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_error() {
        use ParseTrailNameError as E;
        let cases = [
            ("ab", E::TooShort { length: 2 }),
            (&"a".repeat(129), E::TooLong { length: 129 }),
            ("-abc", E::First),
            ("abc.", E::Last),
            ("a b c", E::Character),
            ("a._b", E::AdjacentMarks),
            ("192.168.5.4", E::IpAddress),
        ];
        for (name, error) in cases {
            assert_eq!(name.parse::<TrailName>(), Err(error), "{name}");
        }
    }
}
