//! The functions of metric math. (CloudWatch User Guide, "Using metric math", "Metric math syntax and functions".)

use std::collections::{BTreeMap, BTreeSet};

use opentrail_model::Timestamp;

use super::MathError;
use super::evaluate::Environment;
use super::parser::Expression;
use super::value::{Points, Value, finite};

/// Each function, and how many arguments it takes, inclusive.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("ABS", 1, 1),
    ("AVG", 1, 1),
    ("CEIL", 1, 1),
    ("DATAPOINT_COUNT", 1, 1),
    ("DATE", 1, 1),
    ("DAY", 1, 1),
    ("DIFF", 1, 1),
    ("DIFF_TIME", 1, 1),
    ("EPOCH", 1, 1),
    ("FILL", 2, 2),
    ("FIRST", 1, 1),
    ("FLOOR", 1, 1),
    ("HOUR", 1, 1),
    ("IF", 2, 3),
    ("LAST", 1, 1),
    ("LOG", 1, 1),
    ("LOG10", 1, 1),
    ("MAX", 1, 1),
    ("METRICS", 0, 1),
    ("METRIC_COUNT", 1, 1),
    ("MIN", 1, 1),
    ("MINUTE", 1, 1),
    ("MONTH", 1, 1),
    ("PERIOD", 1, 1),
    ("RATE", 1, 1),
    ("RUNNING_SUM", 1, 1),
    ("STDDEV", 1, 1),
    ("SUM", 1, 1),
    ("TIME_SERIES", 1, 1),
    ("YEAR", 1, 1),
];

/// Checks that the function is there and takes so many arguments.
pub(super) fn check(name: &str, arguments: usize) -> Result<(), MathError> {
    let (_, least, most) = FUNCTIONS
        .iter()
        .find(|(known, ..)| *known == name)
        .ok_or_else(|| MathError::UnknownFunction { name: name.to_owned() })?;
    if (*least..=*most).contains(&arguments) {
        return Ok(());
    }
    let many = if least == most { least.to_string() } else { format!("{least} to {most}") };
    Err(MathError::Type { what: format!("{name} takes {many} arguments, not {arguments}") })
}

/// The value of a call.
pub(super) fn call(name: &str, arguments: &[Expression], environment: &Environment) -> Result<Value, MathError> {
    check(name, arguments.len())?;
    match (name, arguments) {
        ("METRICS", arguments) => metrics(arguments, environment),
        ("FILL", [metric, with]) => fill(metric, with, environment),
        ("IF", [condition, rest @ ..]) => choose(condition, rest, environment),
        (_, [argument]) => of_one(name, argument.evaluate(environment)?, environment),
        // `check` lets nothing else through.
        _ => Err(MathError::UnknownFunction { name: name.to_owned() }),
    }
}

fn of_one(name: &str, value: Value, environment: &Environment) -> Result<Value, MathError> {
    let span = environment.span;
    Ok(match name {
        "ABS" => value.map(f64::abs),
        "CEIL" => value.map(f64::ceil),
        "FLOOR" => value.map(f64::floor),
        "LOG" => value.map(f64::ln),
        "LOG10" => value.map(f64::log10),
        "AVG" => aggregate(value, |values| values.iter().sum::<f64>() / values.len() as f64),
        "MAX" => aggregate(value, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "MIN" => aggregate(value, |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
        "STDDEV" => aggregate(value, deviation),
        "SUM" => aggregate(value, |values| values.iter().sum()),
        "DATAPOINT_COUNT" => Value::Scalar(series(name, value)?.len() as f64),
        "METRIC_COUNT" => Value::Scalar(list(name, value)?.len() as f64),
        "FIRST" => Value::Series(list(name, value)?.into_iter().next().unwrap_or_default()),
        "LAST" => Value::Series(list(name, value)?.into_iter().next_back().unwrap_or_default()),
        "DIFF" => each(list_of(name, value)?, |points| steps(points, |_, by| by)),
        "DIFF_TIME" => each(list_of(name, value)?, |points| steps(points, |secs, _| secs)),
        "RATE" => each(list_of(name, value)?, |points| steps(points, |secs, by| by / secs)),
        "RUNNING_SUM" => each(list_of(name, value)?, running_sum),
        "PERIOD" => Value::Scalar(span.period as f64),
        "TIME_SERIES" => match value {
            Value::Scalar(number) => Value::Series(span.periods().map(|time| (time, number)).collect()),
            other => other,
        },
        "EPOCH" => times(name, value, |time| time.as_secs() as f64)?,
        "MINUTE" => times(name, value, |time| part(time, "%M"))?,
        "HOUR" => times(name, value, |time| part(time, "%H"))?,
        "DAY" => times(name, value, |time| part(time, "%u"))?,
        "DATE" => times(name, value, |time| part(time, "%d"))?,
        "MONTH" => times(name, value, |time| part(time, "%m"))?,
        "YEAR" => times(name, value, |time| part(time, "%Y"))?,
        _ => return Err(MathError::UnknownFunction { name: name.to_owned() }),
    })
}

/// Of one series: a number; of several: a series, over those that have a value there.
fn aggregate(value: Value, f: impl Fn(&[f64]) -> f64) -> Value {
    match value {
        Value::Scalar(number) => Value::Scalar(f(&[number])),
        Value::Series(points) if points.is_empty() => Value::Series(points),
        Value::Series(points) => Value::scalar(f(&points.into_values().collect::<Vec<_>>())),
        Value::List(list) => {
            let mut by_time: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (time, value) in list.into_iter().flatten() {
                by_time.entry(time).or_default().push(value);
            }
            Value::Series(finite(by_time.into_iter().map(|(time, values)| (time, f(&values)))))
        }
    }
}

/// The standard deviation of all, not of a sample.
fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// What `f` makes of the seconds from a value to the next and of how much it grows.
fn steps(points: &Points, f: impl Fn(f64, f64) -> f64) -> Points {
    let pairs = points.iter().zip(points.iter().skip(1));
    finite(pairs.map(|((from, a), (to, b))| (*to, f((to - from) as f64, b - a))))
}

fn running_sum(points: &Points) -> Points {
    let mut sum = 0.0;
    finite(points.iter().map(|(time, value)| {
        sum += value;
        (*time, sum)
    }))
}

enum Several {
    One(Points),
    Many(Vec<Points>),
}

fn each(value: Several, f: impl Fn(&Points) -> Points) -> Value {
    match value {
        Several::One(points) => Value::Series(f(&points)),
        Several::Many(list) => Value::List(list.iter().map(f).collect()),
    }
}

fn list_of(name: &str, value: Value) -> Result<Several, MathError> {
    match value {
        Value::Series(points) => Ok(Several::One(points)),
        Value::List(list) => Ok(Several::Many(list)),
        Value::Scalar(_) => Err(takes(name, "metrics")),
    }
}

fn series(name: &str, value: Value) -> Result<Points, MathError> {
    match value {
        Value::Series(points) => Ok(points),
        Value::Scalar(_) | Value::List(_) => Err(takes(name, "one metric")),
    }
}

fn list(name: &str, value: Value) -> Result<Vec<Points>, MathError> {
    value.into_list().ok_or_else(|| takes(name, "metrics"))
}

fn takes(name: &str, what: &str) -> MathError {
    MathError::Type { what: format!("{name} takes {what}") }
}

fn times(name: &str, value: Value, f: impl Fn(Timestamp) -> f64) -> Result<Value, MathError> {
    let at = |time: i64| (time, f(Timestamp::from_secs(time)));
    Ok(each(list_of(name, value)?, |points| points.keys().map(|time| at(*time)).collect()))
}

fn part(time: Timestamp, pattern: &str) -> f64 {
    time.format(pattern).parse().unwrap_or_default()
}

fn metrics(arguments: &[Expression], environment: &Environment) -> Result<Value, MathError> {
    match arguments {
        [] => Ok(Value::List(environment.metrics(""))),
        [Expression::Text(part)] => Ok(Value::List(environment.metrics(part))),
        _ => Err(takes("METRICS", "a text that Ids must contain, or nothing")),
    }
}

/// With a number, another metric, `REPEAT` or `LINEAR`.
fn fill(metric: &Expression, with: &Expression, environment: &Environment) -> Result<Value, MathError> {
    let value = list_of("FILL", metric.evaluate(environment)?)?;
    let span = environment.span;
    Ok(match with {
        Expression::Word(word) if word == "REPEAT" => each(value, |points| {
            let known = |time: i64| points.range(..=time).next_back().map(|(_, value)| (time, *value));
            span.periods().filter_map(known).collect()
        }),
        Expression::Word(word) if word == "LINEAR" => {
            each(value, |points| span.periods().filter_map(|time| between(points, time)).collect())
        }
        with => match with.evaluate(environment)? {
            Value::Scalar(number) => each(value, |points| {
                span.periods().map(|time| (time, points.get(&time).copied().unwrap_or(number))).collect()
            }),
            Value::Series(other) => each(value, |points| {
                let known = |time: i64| points.get(&time).or(other.get(&time)).map(|value| (time, *value));
                span.periods().filter_map(known).collect()
            }),
            Value::List(_) => return Err(takes("FILL", "a number, one metric, REPEAT or LINEAR to fill with")),
        },
    })
}

/// On the line from the value before to the one after.
fn between(points: &Points, time: i64) -> Option<(i64, f64)> {
    let (before, a) = points.range(..=time).next_back()?;
    let (after, b) = points.range(time..).next()?;
    if before == after {
        return Some((time, *a));
    }
    let part = (time - before) as f64 / (after - before) as f64;
    Some((time, a + (b - a) * part))
}

/// `IF(condition, then, else)`: at each time of the condition, the one or the other where it has a value.
fn choose(condition: &Expression, rest: &[Expression], environment: &Environment) -> Result<Value, MathError> {
    let branch = |at: usize| rest.get(at).map(|branch| branch.evaluate(environment)).transpose();
    let (then, otherwise) = (branch(0)?, branch(1)?);
    let branches = [&then, &otherwise];
    if branches.iter().any(|branch| matches!(branch, Some(Value::List(_)))) {
        return Err(takes("IF", "numbers and single metrics"));
    }
    let is_true = |value: f64| value != 0.0;
    match condition.evaluate(environment)? {
        Value::List(_) => Err(takes("IF", "numbers and single metrics")),
        Value::Scalar(number) => {
            let chosen = if is_true(number) { then } else { otherwise };
            Ok(chosen.unwrap_or(Value::Series(Points::new())))
        }
        Value::Series(points) => {
            let pick = |time: i64, value: f64| match if is_true(value) { &then } else { &otherwise } {
                Some(Value::Scalar(number)) => Some((time, *number)),
                Some(Value::Series(points)) => points.get(&time).map(|value| (time, *value)),
                _ => None,
            };
            let times: BTreeSet<i64> = points.keys().copied().collect();
            Ok(Value::Series(finite(times.into_iter().filter_map(|time| pick(time, points[&time])))))
        }
    }
}
