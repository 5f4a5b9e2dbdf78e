//! How serious a finding is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A rule's `level`. (Sigma Rules Specification 2, "Level".)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For information; also that of a rule without a level, which is a choice of ours.
    #[default]
    Informational,
    /// Notable.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at soon.
    High,
    /// To be looked at now.
    Critical,
}

impl Level {
    /// From the least to the most serious.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// As rules spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(crate) fn rank(self) -> i64 {
        match self {
            Self::Informational => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
            Self::Critical => 4,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no level; take informational, low, medium, high or critical")]
pub struct ParseLevelError(String);

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or_else(|| ParseLevelError(text.to_owned()))
    }
}

impl From<rsigma_parser::Level> for Level {
    fn from(level: rsigma_parser::Level) -> Self {
        match level {
            rsigma_parser::Level::Informational => Self::Informational,
            rsigma_parser::Level::Low => Self::Low,
            rsigma_parser::Level::Medium => Self::Medium,
            rsigma_parser::Level::High => Self::High,
            rsigma_parser::Level::Critical => Self::Critical,
        }
    }
}
