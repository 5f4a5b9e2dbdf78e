//! The numbers of the method, and how an account turns them.

use std::fmt;
use std::str::FromStr;

use super::minute::{DAY, HOUR, WEEK};

/// What is remembered.
const FOUR_WEEKS: u32 = 4 * WEEK;

/// How readily an account is told. A choice of ours: CloudTrail has no such setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sensitivity {
    /// Only what is far out.
    Low,
    /// At most about one false alarm a week in an account of hundreds of keys.
    #[default]
    Medium,
    /// Smaller bursts too, at the price of more false alarms.
    High,
}

/// The text names no sensitivity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sensitivity {input:?} is none of low, medium and high")]
pub struct ParseSensitivityError {
    /// What was given.
    pub input: String,
}

impl FromStr for Sensitivity {
    type Err = ParseSensitivityError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(ParseSensitivityError { input: s.to_owned() }),
        }
    }
}

impl fmt::Display for Sensitivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// What a count has to be for an Insight to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// The false discovery rate of one minute over the keys of an account.
    pub false_discoveries: f64,
    /// How many times what is expected it must be.
    pub ratio: f64,
    /// How many calls more than expected it must be.
    pub excess: f64,
    /// About how many times as surprising as the second most surprising day of the last 28 it must be.
    pub above_peaks: f64,
}

impl Parameters {
    /// What an account observed for `age` minutes is measured with; `None` in its first hour, when nothing is known.
    ///
    /// Until a day has been seen no daily rhythm is known, until a week has, no weekly one, and until four have, jobs may be new: the
    /// margins are forty times, ten times and twice as wide.
    pub fn of(sensitivity: Sensitivity, age: u32) -> Option<Self> {
        let settled = match sensitivity {
            Sensitivity::Low => Self { false_discoveries: 1e-5, ratio: 5.0, excess: 30.0, above_peaks: 4.0 },
            Sensitivity::Medium => Self { false_discoveries: 1e-3, ratio: 2.5, excess: 15.0, above_peaks: 3.0 },
            Sensitivity::High => Self { false_discoveries: 1e-1, ratio: 2.0, excess: 8.0, above_peaks: 2.0 },
        };
        let widened = [(HOUR, None), (DAY, Some(40.0)), (WEEK, Some(10.0)), (FOUR_WEEKS, Some(2.0))];
        match widened.into_iter().find(|(until, _)| age < *until) {
            Some((_, by)) => by.map(|by| settled.wider(by)),
            None => Some(settled),
        }
    }

    /// With margins so many times as wide.
    pub(crate) fn wider(self, by: f64) -> Self {
        Self {
            false_discoveries: self.false_discoveries / 1e3,
            ratio: self.ratio * by,
            excess: self.excess * by,
            above_peaks: self.above_peaks * by.sqrt(),
        }
    }
}
