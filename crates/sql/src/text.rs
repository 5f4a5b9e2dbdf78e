//! Lake's text forms of values.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};

/// The text of `array`'s value at `row`; `None` is NULL.
pub(crate) fn text(array: &dyn Array, row: usize) -> Option<String> {
    if is_null(array, row) {
        return None;
    }
    let mut text = String::new();
    write_value(&mut text, array, row);
    Some(text)
}

fn is_null(array: &dyn Array, row: usize) -> bool {
    array.is_null(row) || *array.data_type() == DataType::Null
}

/// `value`, or `null` within rows, maps and arrays.
fn write_nested(out: &mut String, array: &ArrayRef, row: usize) {
    if is_null(array, row) {
        out.push_str("null");
    } else {
        write_value(out, array, row);
    }
}

macro_rules! display {
    ($out:expr, $array:expr, $row:expr, $of:ty) => {
        _ = write!($out, "{}", $array.as_primitive::<$of>().value($row))
    };
}

fn write_value(out: &mut String, array: &dyn Array, row: usize) {
    match array.data_type() {
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => display!(out, array, row, Int8Type),
        DataType::Int16 => display!(out, array, row, Int16Type),
        DataType::Int32 => display!(out, array, row, Int32Type),
        DataType::Int64 => display!(out, array, row, Int64Type),
        DataType::UInt8 => display!(out, array, row, UInt8Type),
        DataType::UInt16 => display!(out, array, row, UInt16Type),
        DataType::UInt32 => display!(out, array, row, UInt32Type),
        DataType::UInt64 => display!(out, array, row, UInt64Type),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            out.push_str(&float(f64::from(value), &format!("{value:e}")));
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            out.push_str(&float(value, &format!("{value:e}")));
        }
        DataType::Decimal128(..) => out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Binary => write_bytes(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => write_bytes(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => write_bytes(out, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => write_bytes(out, array.as_fixed_size_binary().value(row)),
        DataType::Date32 => write_date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
        DataType::Date64 => write_date(out, array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000)),
        DataType::Timestamp(unit, _) => {
            let (value, per_milli) = match unit {
                TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1000), 1),
                TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().value(row), 1),
                TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().value(row), 1000),
                TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().value(row), 1_000_000),
            };
            write_timestamp(out, value.div_euclid(per_milli));
        }
        DataType::Time32(TimeUnit::Second) => {
            write_time(out, i64::from(array.as_primitive::<Time32SecondType>().value(row)) * 1000);
        }
        DataType::Time32(_) => write_time(out, i64::from(array.as_primitive::<Time32MillisecondType>().value(row))),
        DataType::Time64(TimeUnit::Microsecond) => {
            write_time(out, array.as_primitive::<Time64MicrosecondType>().value(row) / 1000);
        }
        DataType::Time64(_) => write_time(out, array.as_primitive::<Time64NanosecondType>().value(row) / 1_000_000),
        DataType::Duration(unit) => {
            let millis = match unit {
                TimeUnit::Second => array.as_primitive::<DurationSecondType>().value(row).saturating_mul(1000),
                TimeUnit::Millisecond => array.as_primitive::<DurationMillisecondType>().value(row),
                TimeUnit::Microsecond => array.as_primitive::<DurationMicrosecondType>().value(row) / 1000,
                TimeUnit::Nanosecond => array.as_primitive::<DurationNanosecondType>().value(row) / 1_000_000,
            };
            write_interval(out, millis);
        }
        DataType::Interval(unit) => match unit {
            IntervalUnit::YearMonth => write_months(out, array.as_primitive::<IntervalYearMonthType>().value(row)),
            IntervalUnit::DayTime => {
                let value = array.as_primitive::<IntervalDayTimeType>().value(row);
                write_interval(out, i64::from(value.days) * 86_400_000 + i64::from(value.milliseconds));
            }
            IntervalUnit::MonthDayNano => {
                let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                if value.months != 0 {
                    write_months(out, value.months);
                } else {
                    write_interval(out, i64::from(value.days) * 86_400_000 + value.nanoseconds / 1_000_000);
                }
            }
        },
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            out.push('{');
            for (index, field) in fields.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                _ = write!(out, "{}=", field.name());
                write_nested(out, columns.column(index), row);
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push('{');
            for entry in 0..entries.len() {
                out.push_str(if entry > 0 { ", " } else { "" });
                write_nested(out, entries.column(0), entry);
                out.push('=');
                write_nested(out, entries.column(1), entry);
            }
            out.push('}');
        }
        DataType::List(_) => write_list(out, &array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => write_list(out, &array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => write_list(out, &array.as_fixed_size_list().value(row)),
        DataType::Dictionary(_, value) => match cast(&array.slice(row, 1), value) {
            Ok(plain) => write_nested(out, &plain, 0),
            Err(error) => _ = write!(out, "<{error}>"),
        },
        // No plan gives another type: casts and functions name theirs.
        other => _ = write!(out, "<{other}>"),
    }
}

fn write_list(out: &mut String, items: &ArrayRef) {
    out.push('[');
    for item in 0..items.len() {
        out.push_str(if item > 0 { ", " } else { "" });
        write_nested(out, items, item);
    }
    out.push(']');
}

fn write_bytes(out: &mut String, bytes: &[u8]) {
    for (index, byte) in bytes.iter().enumerate() {
        _ = write!(out, "{}{byte:02x}", if index > 0 { " " } else { "" });
    }
}

fn write_date(out: &mut String, days: i64) {
    match TimeDelta::try_days(days).and_then(|days| NaiveDate::default().checked_add_signed(days)) {
        Some(date) => _ = write!(out, "{}", date.format("%Y-%m-%d")),
        None => _ = write!(out, "{days}"),
    }
}

fn write_timestamp(out: &mut String, millis: i64) {
    match moment(millis) {
        Some(moment) => _ = write!(out, "{}", moment.format("%Y-%m-%d %H:%M:%S%.3f")),
        None => _ = write!(out, "{millis}"),
    }
}

/// The moment `millis` after the epoch, in the range of the calendar.
pub(crate) fn moment(millis: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_millis(millis).map(|moment| moment.naive_utc())
}

fn write_time(out: &mut String, millis: i64) {
    let (seconds, rest) = (millis / 1000, millis % 1000);
    _ = write!(out, "{:02}:{:02}:{:02}.{rest:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/// `D HH:MM:SS.mmm`, Trino's interval of days to seconds.
fn write_interval(out: &mut String, millis: i64) {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    _ = write!(out, "{sign}{} {hours:02}:{minutes:02}:{:02}.{rest:03}", seconds / 86_400, seconds % 60);
}

/// `Y-M`, Trino's interval of years to months.
fn write_months(out: &mut String, months: i32) {
    let sign = if months < 0 { "-" } else { "" };
    let months = months.unsigned_abs();
    _ = write!(out, "{sign}{}-{}", months / 12, months % 12);
}

/// Trino's text of a double or real: decimal between 10⁻³ and 10⁷, else `1.5E10`. `scientific` has the shortest
/// digits.
pub(crate) fn float(value: f64, scientific: &str) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    if value != 0.0 && !(-3..7).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        return format!("{sign}{first}.{}E{exponent}", if rest.is_empty() { "0" } else { rest });
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0)));
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}.0", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}
