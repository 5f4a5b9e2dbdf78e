//! Functions of values. (CloudWatch Logs User Guide, "CloudWatch Logs Insights language query syntax": those of numbers,
//! times, texts, and the general ones; those of IP addresses and of JSON are not here.)

use super::expression::Expression;
use super::row::Value;
use super::syntax::Cursor;
use crate::error::LogsError;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Floor,
    Greatest,
    Least,
    Log,
    Sqrt,
    IsPresent,
    Coalesce,
    IsEmpty,
    IsBlank,
    Concat,
    Trim,
    TrimStart,
    TrimEnd,
    Length,
    Upper,
    Lower,
    Part,
    Replace,
    Contains,
    FromMillis,
    ToMillis,
    /// Down to a multiple of so many milliseconds.
    DateFloor(i64),
    /// Up to one.
    DateCeil(i64),
}

/// Names, functions, and how many arguments they have.
const NAMES: [(&str, Function, usize, usize); 22] = [
    ("abs", Function::Abs, 1, 1),
    ("ceil", Function::Ceil, 1, 1),
    ("floor", Function::Floor, 1, 1),
    ("greatest", Function::Greatest, 1, 50),
    ("least", Function::Least, 1, 50),
    ("log", Function::Log, 1, 1),
    ("sqrt", Function::Sqrt, 1, 1),
    ("ispresent", Function::IsPresent, 1, 1),
    ("coalesce", Function::Coalesce, 1, 50),
    ("isempty", Function::IsEmpty, 1, 1),
    ("isblank", Function::IsBlank, 1, 1),
    ("concat", Function::Concat, 1, 50),
    ("trim", Function::Trim, 1, 2),
    ("ltrim", Function::TrimStart, 1, 2),
    ("rtrim", Function::TrimEnd, 1, 2),
    ("strlen", Function::Length, 1, 1),
    ("toupper", Function::Upper, 1, 1),
    ("tolower", Function::Lower, 1, 1),
    ("substr", Function::Part, 2, 3),
    ("replace", Function::Replace, 3, 3),
    ("strcontains", Function::Contains, 2, 2),
    ("frommillis", Function::FromMillis, 1, 1),
];

/// What `replace` makes at most, in bytes.
const MOST_BYTES: usize = 1 << 20;

impl Function {
    /// Reads the arguments of the function `name`, whose parenthesis is open.
    pub(super) fn parse<'q>(
        name: &str,
        cursor: &mut Cursor<'q>,
        argument: impl Fn(&mut Cursor<'q>) -> Result<Expression, LogsError>,
    ) -> Result<Expression, LogsError> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "bin" => {
                let step = period(cursor)?;
                cursor.expect(")")?;
                return Ok(Expression::Call(Self::DateFloor(step), vec![Expression::Field("@timestamp".to_owned())]));
            }
            "datefloor" | "dateceil" => {
                let time = argument(cursor)?;
                cursor.expect(",")?;
                let step = period(cursor)?;
                cursor.expect(")")?;
                let function = if lower == "datefloor" { Self::DateFloor(step) } else { Self::DateCeil(step) };
                return Ok(Expression::Call(function, vec![time]));
            }
            _ => {}
        }
        let known = NAMES.iter().find(|(known, ..)| *known == lower);
        let (function, least, most) = match known {
            Some((_, function, least, most)) => (*function, *least, *most),
            None if lower == "tomillis" => (Self::ToMillis, 1, 1),
            None => return Err(cursor.error(format_args!("there is no function {name} here"))),
        };
        let mut arguments = Vec::new();
        while !cursor.eat(")") {
            if !arguments.is_empty() {
                cursor.expect(",")?;
            }
            arguments.push(argument(cursor)?);
        }
        if !(least..=most).contains(&arguments.len()) {
            return Err(cursor.error(format_args!("{name} takes {least} to {most} arguments")));
        }
        Ok(Expression::Call(function, arguments))
    }

    pub(super) fn call(self, arguments: &[Value]) -> Value {
        let first = arguments.first().unwrap_or(&Value::Missing);
        let second = arguments.get(1);
        let number = |of: fn(f64) -> f64| match first.number().map(of) {
            Some(number) if number.is_finite() => Value::Number(number),
            _ => Value::Missing,
        };
        let text = |of: &dyn Fn(&str) -> Value| first.text().map_or(Value::Missing, |text| of(&text));
        let cut = || second.and_then(Value::text).map(|cut| cut.chars().collect::<Vec<char>>());
        let present = || arguments.iter().filter(|value| **value != Value::Missing);
        match self {
            Self::Abs => number(f64::abs),
            Self::Ceil => number(f64::ceil),
            Self::Floor => number(f64::floor),
            Self::Log => number(f64::ln),
            Self::Sqrt => number(f64::sqrt),
            Self::Greatest => present().max_by(|a, b| a.order(b)).cloned().unwrap_or(Value::Missing),
            Self::Least => present().min_by(|a, b| a.order(b)).cloned().unwrap_or(Value::Missing),
            Self::IsPresent => Value::Bool(*first != Value::Missing),
            Self::Coalesce => present().next().cloned().unwrap_or(Value::Missing),
            Self::IsEmpty => Value::Bool(first.text().is_none_or(|text| text.is_empty())),
            Self::IsBlank => Value::Bool(first.text().is_none_or(|text| text.trim().is_empty())),
            Self::Concat => Value::Text(arguments.iter().filter_map(Value::text).collect()),
            Self::Trim => text(&|text| {
                Value::Text(match cut() {
                    Some(cut) => text.trim_matches(&cut[..]).to_owned(),
                    None => text.trim().to_owned(),
                })
            }),
            Self::TrimStart => text(&|text| {
                Value::Text(match cut() {
                    Some(cut) => text.trim_start_matches(&cut[..]).to_owned(),
                    None => text.trim_start().to_owned(),
                })
            }),
            Self::TrimEnd => text(&|text| {
                Value::Text(match cut() {
                    Some(cut) => text.trim_end_matches(&cut[..]).to_owned(),
                    None => text.trim_end().to_owned(),
                })
            }),
            Self::Length => text(&|text| Value::Number(text.chars().count() as f64)),
            Self::Upper => text(&|text| Value::Text(text.to_uppercase())),
            Self::Lower => text(&|text| Value::Text(text.to_lowercase())),
            Self::Part => text(&|text| {
                let at = |value: Option<&Value>| value.and_then(Value::number).map(|n| n.max(0.0) as usize);
                let (begin, length) = (at(second).unwrap_or(0), at(arguments.get(2)).unwrap_or(usize::MAX));
                Value::Text(text.chars().skip(begin).take(length).collect())
            }),
            Self::Replace => text(&|text| {
                let (Some(from), Some(to)) = (second.and_then(Value::text), arguments.get(2).and_then(Value::text))
                else {
                    return Value::Missing;
                };
                if from.is_empty() || text.matches(&from).count().saturating_mul(to.len()) > MOST_BYTES {
                    return Value::Text(text.to_owned());
                }
                Value::Text(text.replace(&from, &to))
            }),
            Self::Contains => {
                text(&|text| Value::Bool(second.and_then(Value::text).is_some_and(|part| text.contains(&part))))
            }
            Self::FromMillis => first.number().map_or(Value::Missing, |millis| Value::Time(millis as i64)),
            Self::ToMillis => first.number().map_or(Value::Missing, Value::Number),
            Self::DateFloor(step) => {
                first.number().map_or(Value::Missing, |n| Value::Time((n as i64).div_euclid(step) * step))
            }
            Self::DateCeil(step) => first
                .number()
                .map_or(Value::Missing, |n| Value::Time(((n as i64).saturating_add(step - 1)).div_euclid(step) * step)),
        }
    }
}

/// A period such as `5m`, in milliseconds.
fn period(cursor: &mut Cursor<'_>) -> Result<i64, LogsError> {
    let number = cursor.number().unwrap_or(1.0);
    let unit = cursor.require_name()?.to_ascii_lowercase();
    let unit = match unit.as_str() {
        "ms" | "msec" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 24 * 3_600_000,
        "w" | "week" | "weeks" => 7 * 24 * 3_600_000,
        _ => return Err(cursor.error("a period is a number and ms, s, m, h, d or w, as in 5m")),
    };
    let millis = number * unit as f64;
    if (1.0..=1e13).contains(&millis) {
        Ok(millis as i64)
    } else {
        Err(cursor.error("the period is too short or too long"))
    }
}
