use std::collections::BTreeMap;

use super::MathError;

/// Values by the start of their period, in seconds since the epoch. None is infinite or undefined.
pub(crate) type Points = BTreeMap<i64, f64>;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(f64),
    Series(Points),
    /// Several series, e.g. what `METRICS()` gives.
    List(Vec<Points>),
}

impl Value {
    /// What `f` makes of each number. What it leaves undefined is left out.
    pub(super) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let series = |points: Points| finite(points.into_iter().map(|(time, value)| (time, f(value))));
        match self {
            Self::Scalar(number) => Self::scalar(f(number)),
            Self::Series(points) => Self::Series(series(points)),
            Self::List(list) => Self::List(list.into_iter().map(series).collect()),
        }
    }

    /// What `f` makes of two values: number by number; of two series, where both have a value.
    pub(super) fn combine(self, other: Self, f: impl Fn(f64, f64) -> f64 + Copy) -> Result<Self, MathError> {
        Ok(match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => Self::scalar(f(a, b)),
            (Self::Scalar(a), b) => b.map(|b| f(a, b)),
            (a, Self::Scalar(b)) => a.map(|a| f(a, b)),
            (Self::Series(a), Self::Series(b)) => Self::Series(both(&a, &b, f)),
            (Self::List(list), Self::Series(b)) => Self::List(list.iter().map(|a| both(a, &b, f)).collect()),
            (Self::Series(a), Self::List(list)) => Self::List(list.iter().map(|b| both(&a, b, f)).collect()),
            (Self::List(_), Self::List(_)) => {
                return Err(MathError::Type { what: "an operator does not take two arrays".to_owned() });
            }
        })
    }

    /// A number; one that is undefined is no data.
    pub(super) fn scalar(number: f64) -> Self {
        if number.is_finite() { Self::Scalar(number) } else { Self::Series(Points::new()) }
    }

    /// As series; a number is none.
    pub(super) fn into_list(self) -> Option<Vec<Points>> {
        match self {
            Self::Scalar(_) => None,
            Self::Series(points) => Some(vec![points]),
            Self::List(list) => Some(list),
        }
    }
}

fn both(a: &Points, b: &Points, f: impl Fn(f64, f64) -> f64) -> Points {
    finite(a.iter().filter_map(|(time, a)| b.get(time).map(|b| (*time, f(*a, *b)))))
}

/// Without what is infinite or undefined, e.g. after a division by zero.
pub(super) fn finite(points: impl Iterator<Item = (i64, f64)>) -> Points {
    points.filter(|(_, value)| value.is_finite()).collect()
}
