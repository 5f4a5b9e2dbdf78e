//! Statistics over a period's values. (CloudWatch User Guide, "CloudWatch statistics definitions".)

use std::fmt;
use std::str::FromStr;

use crate::summary::Summary;

/// What is asked of a period's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// How many there are.
    SampleCount,
    /// Their sum over their number.
    Average,
    /// Their sum.
    Sum,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// `p…`: what that part of them, in percent, does not exceed: the least value at or below which it lies.
    Percentile(f64),
    /// Something of those between bounds.
    Trimmed(Trim, Bounds),
    /// `PR`: how many percent of them lie between bounds.
    PercentileRank(Bounds),
}

/// What is asked of the values between bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// `TM`: their mean. `IQM` is `TM(25%:75%)`.
    Mean,
    /// `WM`: the mean of all, where those outside count as the bound.
    Winsorized,
    /// `TC`: how many they are.
    Count,
    /// `TS`: their sum.
    Sum,
}

/// From where to where. `None` is no bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounds {
    /// Parts of the values in order, in percent.
    Percent(Option<f64>, Option<f64>),
    /// Values: the lower bound is exclusive, the upper one inclusive.
    Values(Option<f64>, Option<f64>),
}

/// The text is no statistic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{input:?} is no statistic: it must be SampleCount, Average, Sum, Minimum, Maximum, IQM, p0 to p100 (e.g. p99.9), or \
     one of TM, WM, TC, TS, PR with bounds, e.g. tm90, TM(10%:90%) or PR(:300)"
)]
pub struct ParseStatisticError {
    input: String,
}

impl FromStr for Statistic {
    type Err = ParseStatisticError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let simple = match input {
            "SampleCount" => Some(Self::SampleCount),
            "Average" => Some(Self::Average),
            "Sum" => Some(Self::Sum),
            "Minimum" => Some(Self::Minimum),
            "Maximum" => Some(Self::Maximum),
            _ => None,
        };
        simple
            .or_else(|| extended(input))
            .ok_or_else(|| ParseStatisticError { input: input.chars().take(64).collect() })
    }
}

fn extended(input: &str) -> Option<Statistic> {
    if input.eq_ignore_ascii_case("iqm") {
        return Some(Statistic::Trimmed(Trim::Mean, Bounds::Percent(Some(25.0), Some(75.0))));
    }
    if let Some(number) = input.strip_prefix(['p', 'P']).filter(|rest| !rest.starts_with(['r', 'R'])) {
        return Some(Statistic::Percentile(percent(number)?));
    }
    let (name, rest) = input.split_at_checked(2)?;
    let bounds = match rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(range) => bounds(range)?,
        // `tm90` is `TM(:90%)`.
        None => Bounds::Percent(None, Some(percent(rest)?)),
    };
    let trim = match &*name.to_ascii_lowercase() {
        "tm" => Trim::Mean,
        "wm" => Trim::Winsorized,
        "tc" => Trim::Count,
        "ts" => Trim::Sum,
        "pr" if matches!(bounds, Bounds::Values(..)) => return Some(Statistic::PercentileRank(bounds)),
        _ => return None,
    };
    Some(Statistic::Trimmed(trim, bounds))
}

/// `10%:90%`, `:90%`, `150:1000`, `:300`; at least one bound, and both of a kind. A single `300` is `:300`.
fn bounds(range: &str) -> Option<Bounds> {
    let (low, high) = range.split_once(':').unwrap_or(("", range));
    let (low, high) = (low.trim(), high.trim());
    let is_percent = [low, high].iter().any(|bound| bound.ends_with('%'));
    let one = |bound: &str| match (bound, is_percent) {
        ("", _) => Some(None),
        (bound, true) => percent(bound.strip_suffix('%')?).map(Some),
        (bound, false) => bound.parse().ok().filter(|value: &f64| value.is_finite()).map(Some),
    };
    let (low, high) = (one(low)?, one(high)?);
    let in_order = match (low, high) {
        (None, None) => false,
        (Some(low), Some(high)) => low < high,
        _ => true,
    };
    in_order.then_some(if is_percent { Bounds::Percent(low, high) } else { Bounds::Values(low, high) })
}

/// 0 to 100, with ten decimal places at most.
fn percent(text: &str) -> Option<f64> {
    let digits = text.len() <= 14 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|number| digits && (0.0..=100.0).contains(number))
}

impl Statistic {
    /// Its value; `None` where it cannot be known: totals alone have no percentiles, and no value may lie between bounds.
    pub fn of(self, values: &Summary) -> Option<f64> {
        let entries = values.distribution.as_ref().map(|distribution| distribution.entries());
        let value = match self {
            Self::SampleCount => Some(values.count),
            Self::Average => Some(values.sum / values.count),
            Self::Sum => Some(values.sum),
            Self::Minimum => Some(values.min),
            Self::Maximum => Some(values.max),
            Self::Percentile(percent) => {
                percentile(entries?, values.count, percent).map(|value| value.clamp(values.min, values.max))
            }
            Self::Trimmed(trim, bounds) => trimmed(entries?, values.count, trim, bounds),
            Self::PercentileRank(bounds) => {
                let inside: f64 = between(entries?, values.count, bounds).map(|(_, weight)| weight).sum();
                Some(100.0 * inside / values.count)
            }
        };
        value.filter(|value| value.is_finite())
    }

    /// Whether it needs more than totals.
    pub(crate) fn is_extended(self) -> bool {
        matches!(self, Self::Percentile(_) | Self::Trimmed(..) | Self::PercentileRank(_))
    }
}

/// The first value with which at least that part of all is reached.
fn percentile(entries: &[(f64, f64)], count: f64, percent: f64) -> Option<f64> {
    // Sums of weights are not exact beyond 2^53 and for fractions: a hair of tolerance, so that p50 of two values is the
    // first.
    let wanted = count * percent / 100.0 * (1.0 - 1e-12);
    let mut seen = 0.0;
    let found = entries.iter().find(|(_, weight)| {
        seen += weight;
        seen >= wanted
    });
    found.or(entries.last()).map(|(value, _)| *value)
}

/// The values between the bounds, and how many of each are.
fn between(entries: &[(f64, f64)], count: f64, bounds: Bounds) -> impl Iterator<Item = (f64, f64)> {
    let mut seen = 0.0;
    entries.iter().filter_map(move |(value, weight)| {
        let from = seen;
        seen += weight;
        let weight = match bounds {
            Bounds::Percent(low, high) => {
                let low = count * low.unwrap_or(0.0) / 100.0;
                let high = count * high.unwrap_or(100.0) / 100.0;
                seen.min(high) - from.max(low)
            }
            Bounds::Values(low, high) => {
                let inside = low.is_none_or(|low| *value > low) && high.is_none_or(|high| *value <= high);
                if inside { *weight } else { 0.0 }
            }
        };
        (weight > 0.0).then_some((*value, weight))
    })
}

fn trimmed(entries: &[(f64, f64)], count: f64, trim: Trim, bounds: Bounds) -> Option<f64> {
    let inside = || between(entries, count, bounds);
    let (sum, weight) = inside().fold((0.0, 0.0), |(sum, all), (value, weight)| (sum + value * weight, all + weight));
    match trim {
        Trim::Count => Some(weight),
        Trim::Sum => Some(sum),
        Trim::Mean => (weight > 0.0).then(|| sum / weight),
        Trim::Winsorized => {
            let (low, high) = match bounds {
                Bounds::Values(low, high) => (low, high),
                Bounds::Percent(low, high) => {
                    let at = |percent: Option<f64>| percent.and_then(|percent| percentile(entries, count, percent));
                    (at(low), at(high))
                }
            };
            let held = |value: f64| value.max(low.unwrap_or(f64::MIN)).min(high.unwrap_or(f64::MAX));
            Some(entries.iter().map(|(value, weight)| held(*value) * weight).sum::<f64>() / count)
        }
    }
}

impl fmt::Display for Statistic {
    /// The name, of the five that have one; what extended ones are called is what the request says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SampleCount => "SampleCount",
            Self::Average => "Average",
            Self::Sum => "Sum",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Percentile(_) | Self::Trimmed(..) | Self::PercentileRank(_) => "extended",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str, values: &[f64]) -> Option<f64> {
        let counted: Vec<_> = values.iter().map(|value| (*value, 1.0)).collect();
        text.parse::<Statistic>().unwrap().of(&Summary::of_counts(&counted).unwrap())
    }

    #[test]
    fn statistics_of_one_to_ten() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        for (text, expected) in [
            ("SampleCount", 10.0),
            ("Average", 5.5),
            ("Sum", 55.0),
            ("Minimum", 1.0),
            ("Maximum", 10.0),
            ("p0", 1.0),
            ("p50", 5.0),
            ("p90", 9.0),
            ("p99.9", 10.0),
            ("p100", 10.0),
            ("TM(10%:90%)", 5.5),
            ("tm50", 3.0),
            ("TM(2:4)", 3.5),
            ("TC(2:4)", 2.0),
            ("TS(:3)", 6.0),
            ("ts20", 3.0),
            ("IQM", 5.5),
            ("WM(:4)", 3.4),
            ("PR(:3)", 30.0),
            ("PR(3:5)", 20.0),
            ("PR(3)", 30.0),
        ] {
            let value = of(text, &values).unwrap();
            assert!((value - expected).abs() < 1e-9, "{text}: {value}");
        }
    }

    #[test]
    fn what_is_no_statistic_is_refused() {
        for text in [
            "",
            "sum",
            "p",
            "p101",
            "p-1",
            "pNaN",
            "p1e1",
            "tm",
            "TM()",
            "TM(:)",
            "TM(90%:10%)",
            "TM(10%:9)",
            "PR(10%:20%)",
            "xx(1:2)",
            "p99é",
            "é",
            "TM(inf:)",
        ] {
            assert!(text.parse::<Statistic>().is_err(), "{text}");
        }
    }

    #[test]
    fn totals_alone_have_percentiles_only_when_all_values_are_the_same() {
        let p50: Statistic = "p50".parse().unwrap();
        assert_eq!(p50.of(&Summary::of_totals(3.0, 6.0, 1.0, 3.0)), None);
        assert_eq!(p50.of(&Summary::of_totals(3.0, 6.0, 2.0, 2.0)), Some(2.0));
        let mut mixed = Summary::of(1.0);
        mixed.merge(&Summary::of_totals(3.0, 6.0, 1.0, 3.0));
        assert_eq!((p50.of(&mixed), Statistic::Sum.of(&mixed)), (None, Some(7.0)));
    }

    proptest! {
        /// However the values come in parts, the statistics are those of a naive evaluator over all of them.
        #[test]
        fn merged_summaries_agree_with_all_values(
            values in prop::collection::vec(-1000.0..1000.0_f64, 1..60),
            cuts in prop::collection::vec(1..8_usize, 1..60),
            percent in 1..=100_u8,
        ) {
            let mut parts = values.iter();
            let mut merged: Option<Summary> = None;
            for size in cuts.iter().chain(std::iter::repeat(&60)) {
                let part: Vec<_> = parts.by_ref().take(*size).map(|value| (*value, 1.0)).collect();
                let Some(part) = Summary::of_counts(&part) else { break };
                match &mut merged {
                    Some(merged) => merged.merge(&part),
                    None => merged = Some(part),
                }
            }
            let merged = merged.unwrap();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let count = sorted.len() as f64;
            let sum: f64 = sorted.iter().sum();
            let rank = (count * f64::from(percent) / 100.0).ceil() as usize;
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6;
            let get = |statistic: Statistic| statistic.of(&merged).unwrap();
            prop_assert!(close(get(Statistic::Sum), sum));
            prop_assert!(close(get(Statistic::Average), sum / count));
            prop_assert_eq!(get(Statistic::SampleCount), count);
            prop_assert_eq!(get(Statistic::Minimum), sorted[0]);
            prop_assert_eq!(get(Statistic::Maximum), sorted[sorted.len() - 1]);
            prop_assert_eq!(get(Statistic::Percentile(f64::from(percent))), sorted[rank.max(1) - 1]);
        }
    }
}
