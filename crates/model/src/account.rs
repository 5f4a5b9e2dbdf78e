use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An AWS account: twelve decimal digits, e.g. `111122223333`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(u64);

/// The text is not twelve decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("account id {input:?} is not twelve decimal digits")]
pub struct ParseAccountIdError {
    /// What was given.
    pub input: String,
}

impl AccountId {
    /// The number that the twelve digits spell.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// The account whose digits spell `number`; `None` when it needs more than twelve.
    pub fn from_u64(number: u64) -> Option<Self> {
        (number < 1_000_000_000_000).then_some(Self(number))
    }
}

impl FromStr for AccountId {
    type Err = ParseAccountIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.parse() {
            Ok(n) if s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(n)),
            _ => Err(ParseAccountIdError { input: s.to_owned() }),
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

impl TryFrom<String> for AccountId {
    type Error = ParseAccountIdError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<AccountId> for String {
    fn from(account: AccountId) -> Self {
        account.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeroes_survive() {
        let account: AccountId = "000000000042".parse().unwrap();
        assert_eq!(account.to_string(), "000000000042");
    }

    #[test]
    fn anything_but_twelve_digits_is_refused() {
        for bad in ["", "1", "1234567890123", "+23456789012", "12345678901a", " 12345678901"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad:?}");
        }
    }
}
