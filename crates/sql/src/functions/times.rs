//! Dates and times. A time is UTC, in microseconds.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use datafusion::arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};

use super::scalar::{Arguments, Function, P, bigint, constant, date, double, timestamp, varchar};
use super::strings::text_array;
use crate::error::StatementError;

macro_rules! part {
    ($name:literal, $part:expr) => {
        Function::new($name, &[P::Time], bigint, |a| {
            parts(a, |moment| {
                let part: fn(&NaiveDateTime) -> i64 = $part;
                part(&moment)
            })
        })
    };
}

pub(super) const TABLE: &[Function] = &[
    part!("year", |t| t.year().into()),
    part!("quarter", |t| i64::from(t.month0() / 3 + 1)),
    part!("month", |t| t.month().into()),
    part!("week", |t| t.iso_week().week().into()),
    part!("week_of_year", |t| t.iso_week().week().into()),
    part!("year_of_week", |t| t.iso_week().year().into()),
    part!("yow", |t| t.iso_week().year().into()),
    part!("day", |t| t.day().into()),
    part!("day_of_month", |t| t.day().into()),
    part!("day_of_week", |t| t.weekday().number_from_monday().into()),
    part!("dow", |t| t.weekday().number_from_monday().into()),
    part!("day_of_year", |t| t.ordinal().into()),
    part!("doy", |t| t.ordinal().into()),
    part!("hour", |t| t.hour().into()),
    part!("minute", |t| t.minute().into()),
    part!("second", |t| t.second().into()),
    part!("millisecond", |t| i64::from(t.nanosecond() / 1_000_000 % 1000)),
    Function::new("date", &[P::TimeOrDate], date, to_date),
    Function::new("last_day_of_month", &[P::Time], date, |a| {
        dates(a, |t| {
            let next = t.date().with_day(1)?.checked_add_months(Months::new(1))?;
            next.pred_opt()
        })
    }),
    Function::new("date_add", &[P::Text, P::Int, P::TimeOrDate], third, date_add),
    Function::new("date_diff", &[P::Text, P::Time, P::Time], bigint, date_diff),
    Function::new("date_trunc", &[P::Text, P::TimeOrDate], second, date_trunc),
    Function::new("date_format", &[P::Time, P::Text], varchar, date_format),
    Function::new("date_parse", &[P::Text, P::Text], timestamp, |a| date_parse(a, parse_moment)),
    Function::new("format_datetime", &[P::Time, P::Text], varchar, |a| {
        let (times, formats) = (a.micros(0)?, a.text(1)?);
        let mut values = Vec::with_capacity(a.rows);
        for row in 0..a.rows {
            values.push(match (times.at(row).and_then(moment), formats.at(row)) {
                (Some(time), Some(format)) => Some(time.format(&joda(format)?).to_string()),
                _ => None,
            });
        }
        Ok(Arc::new(StringArray::from(values)))
    }),
    Function::new("parse_datetime", &[P::Text, P::Text], timestamp, |a| {
        date_parse(a, |text, format| parse_letters(text, &joda(format).ok()?))
    }),
    Function::new("from_iso8601_timestamp", &[P::Text], timestamp, |a| parsed(a, "an ISO 8601 timestamp")),
    Function::new("from_iso8601_date", &[P::Text], date, from_iso8601_date),
    Function::new("to_iso8601", &[P::TimeOrDate], varchar, to_iso8601),
    Function::new("from_unixtime", &[P::Double], timestamp, |a| {
        let seconds = a.double(0)?;
        Ok(micros_array((0..a.rows).map(|row| seconds.at(row).map(|seconds| (seconds * 1e6).round() as i64))))
    }),
    Function::new("from_unixtime_millis", &[P::Int], timestamp, |a| {
        let millis = a.int(0)?;
        Ok(micros_array((0..a.rows).map(|row| millis.at(row).map(|millis| millis.saturating_mul(1000)))))
    }),
    Function::new("to_unixtime", &[P::Time], double, |a| {
        let micros = a.micros(0)?;
        let seconds = |row| micros.at(row).map(|micros| micros as f64 / 1e6);
        Ok(Arc::new((0..a.rows).map(seconds).collect::<Float64Array>()))
    }),
];

fn second(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    check_unit(constants)?;
    Ok(types[1].clone())
}

fn third(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    check_unit(constants)?;
    Ok(types[2].clone())
}

/// A constant unit is checked before anything runs.
fn check_unit(constants: &[Option<&ScalarValue>]) -> Result<()> {
    match constant(constants.first().copied().flatten()) {
        Some(unit) => Unit::of(unit).map(|_| ()),
        None => Ok(()),
    }
}

/// A time's text: `2026-01-02`, `2026-01-02 03:04[:05[.678]]`, `2026-01-02T03:04:05Z`, `…+02:00`; in microseconds.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.timestamp_micros());
    }
    if let Some(date) = parse_date(text) {
        return Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    }
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%:z"];
    let moment = zoned.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    if let Some(moment) = moment {
        return Some(moment.timestamp_micros());
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    let moment = plain.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    Some(moment.and_utc().timestamp_micros())
}

pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = text.trim().split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let is_number = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if !(year.len() == 4 && is_number(year) && is_number(month) && is_number(day)) {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

fn moment(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|moment| moment.naive_utc())
}

fn micros(moment: NaiveDateTime) -> i64 {
    moment.and_utc().timestamp_micros()
}

pub(super) fn days(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

pub(super) fn micros_array(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>())
}

fn parts(a: &Arguments, part: impl Fn(NaiveDateTime) -> i64) -> Result<ArrayRef> {
    let times = a.micros(0)?;
    let value = |row| times.at(row).and_then(moment).map(&part);
    Ok(Arc::new((0..a.rows).map(value).collect::<Int64Array>()))
}

fn dates(a: &Arguments, of: impl Fn(NaiveDateTime) -> Option<NaiveDate>) -> Result<ArrayRef> {
    let times = a.micros(0)?;
    let value = |row| times.at(row).and_then(moment).and_then(&of).map(days);
    Ok(Arc::new((0..a.rows).map(value).collect::<Date32Array>()))
}

fn to_date(a: &Arguments) -> Result<ArrayRef> {
    let times = a.micros(0)?;
    let day = |row| times.at(row).map(|micros| micros.div_euclid(86_400_000_000) as i32);
    Ok(Arc::new((0..a.rows).map(day).collect::<Date32Array>()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Microseconds of it.
    Fixed(i64),
    /// Months of it.
    Months(i32),
    Week,
}

impl Unit {
    fn of(text: &str) -> Result<Self> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "millisecond" => Self::Fixed(1000),
            "second" => Self::Fixed(1_000_000),
            "minute" => Self::Fixed(60_000_000),
            "hour" => Self::Fixed(3_600_000_000),
            "day" => Self::Fixed(86_400_000_000),
            "week" => Self::Week,
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            other => {
                let units = "millisecond, second, minute, hour, day, week, month, quarter or year";
                return Err(
                    StatementError::Invalid(format!("'{other}' is no unit of time; it is one of {units}")).into()
                );
            }
        })
    }
}

const WEEK: i64 = 7 * 86_400_000_000;

fn shift(unit: Unit, count: i64, micros_of: i64) -> Option<i64> {
    match unit {
        Unit::Fixed(size) => micros_of.checked_add(count.checked_mul(size)?),
        Unit::Week => micros_of.checked_add(count.checked_mul(WEEK)?),
        Unit::Months(size) => {
            let months = count.checked_mul(i64::from(size))?;
            let distance = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
            let time = moment(micros_of)?;
            let time = if months < 0 { time.checked_sub_months(distance) } else { time.checked_add_months(distance) };
            time.map(micros)
        }
    }
}

fn floor(unit: Unit, at: i64) -> Option<i64> {
    match unit {
        Unit::Fixed(size) => Some(at.div_euclid(size) * size),
        Unit::Week => {
            let date = moment(at)?.date();
            let monday = date.checked_sub_days(Days::new(date.weekday().num_days_from_monday().into()))?;
            Some(micros(monday.and_time(NaiveTime::MIN)))
        }
        Unit::Months(size) => {
            let date = moment(at)?.date();
            let month = date.month0() / size as u32 * size as u32 + 1;
            NaiveDate::from_ymd_opt(date.year(), month, 1).map(|date| micros(date.and_time(NaiveTime::MIN)))
        }
    }
}

/// A result of the type that the function has for its argument: a date stays one.
fn in_type(a: &Arguments, values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    if a.returns == DataType::Date32 {
        let day = |micros: i64| micros.div_euclid(86_400_000_000) as i32;
        return Arc::new(values.map(|value| value.map(day)).collect::<Date32Array>());
    }
    micros_array(values)
}

fn date_add(a: &Arguments) -> Result<ArrayRef> {
    let (units, counts, times) = (a.text(0)?, a.int(1)?, a.micros(2)?);
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        values.push(match (units.at(row), counts.at(row), times.at(row)) {
            (Some(unit), Some(count), Some(time)) => {
                let unit = Unit::of(unit)?;
                if a.returns == DataType::Date32 && matches!(unit, Unit::Fixed(size) if size < 86_400_000_000) {
                    return exec_err!("date_add takes no unit below a day for a date");
                }
                let shifted = shift(unit, count, time);
                Some(shifted.ok_or_else(|| exec_datafusion_err!("date_add leaves the calendar"))?)
            }
            _ => None,
        });
    }
    Ok(in_type(a, values.into_iter()))
}

fn date_trunc(a: &Arguments) -> Result<ArrayRef> {
    let (units, times) = (a.text(0)?, a.micros(1)?);
    if let (true, Some(unit)) = (units.is_constant(), units.at(0)) {
        let unit = Unit::of(unit)?;
        return Ok(in_type(a, (0..a.rows).map(|row| floor(unit, times.at(row)?))));
    }
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        values.push(match (units.at(row), times.at(row)) {
            (Some(unit), Some(time)) => floor(Unit::of(unit)?, time),
            _ => None,
        });
    }
    Ok(in_type(a, values.into_iter()))
}

/// Whole units from the first time to the second.
fn date_diff(a: &Arguments) -> Result<ArrayRef> {
    let (units, from, to) = (a.text(0)?, a.micros(1)?, a.micros(2)?);
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        values.push(match (units.at(row), from.at(row), to.at(row)) {
            (Some(unit), Some(from), Some(to)) => match Unit::of(unit)? {
                Unit::Fixed(size) => Some((to - from) / size),
                Unit::Week => Some((to - from) / WEEK),
                Unit::Months(size) => months_between(from, to).map(|months| months / i64::from(size)),
            },
            _ => None,
        });
    }
    Ok(Arc::new(values.into_iter().collect::<Int64Array>()))
}

/// Whole months, towards zero.
fn months_between(from: i64, to: i64) -> Option<i64> {
    if from > to {
        return months_between(to, from).map(|months| -months);
    }
    let (start, end) = (moment(from)?, moment(to)?);
    let months = i64::from(end.year() - start.year()) * 12 + i64::from(end.month()) - i64::from(start.month());
    let is_whole = shift(Unit::Months(1), months, from).is_some_and(|reached| reached <= to);
    Some(if is_whole { months } else { months - 1 })
}

fn parsed(a: &Arguments, what: &str) -> Result<ArrayRef> {
    let texts = a.text(0)?;
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        values.push(match texts.at(row) {
            Some(text) => Some(parse_timestamp(text).ok_or_else(|| exec_datafusion_err!("'{text}' is not {what}"))?),
            None => None,
        });
    }
    Ok(micros_array(values.into_iter()))
}

fn from_iso8601_date(a: &Arguments) -> Result<ArrayRef> {
    let texts = a.text(0)?;
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        values.push(match texts.at(row) {
            Some(text) => {
                let date = parse_date(text).ok_or_else(|| exec_datafusion_err!("'{text}' is not an ISO 8601 date"))?;
                Some(days(date))
            }
            None => None,
        });
    }
    Ok(Arc::new(values.into_iter().collect::<Date32Array>()))
}

fn to_iso8601(a: &Arguments) -> Result<ArrayRef> {
    let format = if a.of(0) == DataType::Date32 { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%S%.3f" };
    let times = a.micros(0)?;
    Ok(text_array((0..a.rows).map(|row| Some(moment(times.at(row)?)?.format(format).to_string()))))
}

/// Formats in MySQL's letters.
fn date_format(a: &Arguments) -> Result<ArrayRef> {
    let (times, formats) = (a.micros(0)?, a.text(1)?);
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        values.push(match (times.at(row).and_then(moment), formats.at(row)) {
            (Some(time), Some(format)) => Some(format_moment(time, format)?),
            _ => None,
        });
    }
    Ok(Arc::new(StringArray::from(values)))
}

fn format_moment(time: NaiveDateTime, format: &str) -> Result<String> {
    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let hour12 = (time.hour() + 11) % 12 + 1;
        let chrono = match letters.next() {
            Some('a') => "%a",
            Some('b') => "%b",
            Some('c') => "%-m",
            Some('d') => "%d",
            Some('e') => "%-d",
            Some('f') => "%6f",
            Some('H') => "%H",
            Some('h' | 'I') => "%I",
            Some('i') => "%M",
            Some('j') => "%j",
            Some('k') => "%-H",
            Some('l') => {
                _ = write!(out, "{hour12}");
                continue;
            }
            Some('M') => "%B",
            Some('m') => "%m",
            Some('p') => "%p",
            Some('r') => "%I:%M:%S %p",
            Some('S' | 's') => "%S",
            Some('T') => "%H:%M:%S",
            Some('v') => "%V",
            Some('W') => "%A",
            Some('x') => "%G",
            Some('Y') => "%Y",
            Some('y') => "%y",
            Some('%') => "%%",
            Some(other @ ('D' | 'U' | 'u' | 'V' | 'w' | 'X')) => {
                return exec_err!("date format %{other} is not supported");
            }
            Some(other) => {
                out.push(other);
                continue;
            }
            None => break,
        };
        _ = write!(out, "{}", time.format(chrono));
    }
    Ok(out)
}

/// Letters of Joda's patterns in those of our library.
fn joda(format: &str) -> Result<String> {
    let mut out = String::new();
    let letters: Vec<char> = format.chars().collect();
    let mut at = 0;
    while at < letters.len() {
        let letter = letters[at];
        if letter == '\'' {
            let end = letters[at + 1..].iter().position(|next| *next == '\'').map_or(letters.len(), |end| at + 1 + end);
            let quoted: String = letters[at + 1..end].iter().collect();
            out.push_str(if quoted.is_empty() { "'" } else { &quoted });
            at = end + 1;
            continue;
        }
        let count = letters[at..].iter().take_while(|next| **next == letter).count();
        match (letter, count) {
            ('y' | 'Y', 2) => out.push_str("%y"),
            ('y' | 'Y', _) => out.push_str("%Y"),
            ('M', 1) => out.push_str("%-m"),
            ('M', 2) => out.push_str("%m"),
            ('M', 3) => out.push_str("%b"),
            ('M', _) => out.push_str("%B"),
            ('d', 1) => out.push_str("%-d"),
            ('d', _) => out.push_str("%d"),
            ('D', _) => out.push_str("%j"),
            ('E', 1..=3) => out.push_str("%a"),
            ('E', _) => out.push_str("%A"),
            ('H', 1) => out.push_str("%-H"),
            ('H', _) => out.push_str("%H"),
            ('h', 1) => out.push_str("%-I"),
            ('h', _) => out.push_str("%I"),
            ('m', _) => out.push_str("%M"),
            ('s', _) => out.push_str("%S"),
            ('S', _) => out.push_str("%3f"),
            ('a', _) => out.push_str("%p"),
            ('%', _) => out.push_str(&"%%".repeat(count)),
            (other, _) if other.is_ascii_alphabetic() => {
                return exec_err!("'{other}' is no letter of a time's pattern that is supported");
            }
            (other, _) => out.extend(std::iter::repeat_n(other, count)),
        }
        at += count;
    }
    Ok(out)
}

fn date_parse(a: &Arguments, parse: fn(&str, &str) -> Option<NaiveDateTime>) -> Result<ArrayRef> {
    let (texts, formats) = (a.text(0)?, a.text(1)?);
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        values.push(match (texts.at(row), formats.at(row)) {
            (Some(text), Some(format)) => {
                let time = parse(text, format)
                    .ok_or_else(|| exec_datafusion_err!("'{text}' is not a time of the format '{format}'"))?;
                Some(micros(time))
            }
            _ => None,
        });
    }
    Ok(micros_array(values.into_iter()))
}

fn parse_moment(text: &str, format: &str) -> Option<NaiveDateTime> {
    let mut chrono = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            chrono.push(letter);
            continue;
        }
        chrono.push_str(match letters.next()? {
            'a' => "%a",
            'b' => "%b",
            'c' | 'm' => "%m",
            'd' | 'e' => "%d",
            'f' => "%f",
            'H' | 'k' => "%H",
            'h' | 'I' | 'l' => "%I",
            'i' => "%M",
            'j' => "%j",
            'M' => "%B",
            'p' => "%p",
            'r' => "%I:%M:%S %p",
            'S' | 's' => "%S",
            'T' => "%H:%M:%S",
            'W' => "%A",
            'Y' => "%Y",
            'y' => "%y",
            '%' => "%%",
            _ => return None,
        });
    }
    // A fraction of n digits is that many places: `%f` of chrono counts nanoseconds.
    parse_letters(text, &chrono.replace(".%f", "%.f"))
}

fn parse_letters(text: &str, chrono: &str) -> Option<NaiveDateTime> {
    let mut parsed = chrono::format::Parsed::new();
    chrono::format::parse(&mut parsed, text, chrono::format::StrftimeItems::new(chrono)).ok()?;
    let date = parsed.to_naive_date().ok().or_else(|| {
        // Missing parts are those of 1970-01-01.
        let year = parsed.year().unwrap_or(1970);
        NaiveDate::from_ymd_opt(year, parsed.month().unwrap_or(1), parsed.day().unwrap_or(1))
    })?;
    let hour = match (parsed.hour_div_12(), parsed.hour_mod_12()) {
        (Some(half), Some(hour)) => half * 12 + hour,
        (None, Some(hour)) => hour,
        _ => 0,
    };
    let (minute, second) = (parsed.minute().unwrap_or(0), parsed.second().unwrap_or(0));
    let nanos = TimeDelta::nanoseconds(parsed.nanosecond().unwrap_or(0).into());
    date.and_hms_opt(hour, minute, second)?.checked_add_signed(nanos)
}
