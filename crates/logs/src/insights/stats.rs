//! What `stats` gathers of a group of rows.

use std::collections::HashSet;

use super::query::Aggregate;
use super::row::{Row, Value};

#[derive(Debug)]
pub(super) enum State {
    Count(u64),
    Distinct(HashSet<String>),
    Sum(f64, u64),
    Average(f64, u64),
    Least(Value),
    Greatest(Value),
    Percentile(Vec<f64>, f64),
    Earliest(Option<i64>, Value),
    Latest(Option<i64>, Value),
}

impl State {
    pub(super) fn of(aggregate: &Aggregate) -> Self {
        match aggregate {
            Aggregate::Count(_) => Self::Count(0),
            Aggregate::CountDistinct(_) => Self::Distinct(HashSet::new()),
            Aggregate::Sum(_) => Self::Sum(0.0, 0),
            Aggregate::Average(_) => Self::Average(0.0, 0),
            Aggregate::Least(_) => Self::Least(Value::Missing),
            Aggregate::Greatest(_) => Self::Greatest(Value::Missing),
            Aggregate::Percentile(_, percent) => Self::Percentile(Vec::new(), *percent),
            Aggregate::Earliest(_) => Self::Earliest(None, Value::Missing),
            Aggregate::Latest(_) => Self::Latest(None, Value::Missing),
        }
    }

    /// Adds a row; the bytes that this takes.
    pub(super) fn add(&mut self, aggregate: &Aggregate, row: &Row) -> usize {
        let value = match aggregate {
            Aggregate::Count(None) => Value::Bool(true),
            Aggregate::Count(Some(of))
            | Aggregate::CountDistinct(of)
            | Aggregate::Sum(of)
            | Aggregate::Average(of)
            | Aggregate::Least(of)
            | Aggregate::Greatest(of)
            | Aggregate::Percentile(of, _)
            | Aggregate::Earliest(of)
            | Aggregate::Latest(of) => of.value(row),
        };
        if value == Value::Missing {
            return 0;
        }
        let time = || match row.field("@timestamp") {
            Value::Time(time) => time,
            _ => 0,
        };
        match self {
            Self::Count(count) => *count += 1,
            Self::Distinct(seen) => {
                let text = value.text().unwrap_or_default();
                let bytes = 64 + text.len();
                return if seen.insert(text) { bytes } else { 0 };
            }
            Self::Sum(sum, count) | Self::Average(sum, count) => {
                if let Some(number) = value.number() {
                    *sum += number;
                    *count += 1;
                }
            }
            Self::Least(least) => {
                if *least == Value::Missing || value.order(least).is_lt() {
                    *least = value;
                }
            }
            Self::Greatest(greatest) => {
                if *greatest == Value::Missing || value.order(greatest).is_gt() {
                    *greatest = value;
                }
            }
            Self::Percentile(numbers, _) => {
                numbers.extend(value.number());
                return 16;
            }
            Self::Earliest(at, earliest) => {
                let time = time();
                if at.is_none_or(|at| time < at) {
                    (*at, *earliest) = (Some(time), value);
                }
            }
            Self::Latest(at, latest) => {
                let time = time();
                if at.is_none_or(|at| time > at) {
                    (*at, *latest) = (Some(time), value);
                }
            }
        }
        0
    }

    pub(super) fn result(self) -> Value {
        match self {
            Self::Count(count) => Value::Number(count as f64),
            Self::Distinct(seen) => Value::Number(seen.len() as f64),
            Self::Sum(_, 0) | Self::Average(_, 0) => Value::Missing,
            Self::Sum(sum, _) => Value::Number(sum),
            Self::Average(sum, count) => Value::Number(sum / count as f64),
            Self::Least(value) | Self::Greatest(value) | Self::Earliest(_, value) | Self::Latest(_, value) => value,
            Self::Percentile(mut numbers, percent) => {
                numbers.sort_by(f64::total_cmp);
                // The nearest rank.
                let rank = (percent / 100.0 * numbers.len() as f64).ceil() as usize;
                numbers.get(rank.max(1) - 1).map_or(Value::Missing, |number| Value::Number(*number))
            }
        }
    }
}
