//! `CAST` and `TRY_CAST` to Trino's types.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, LargeStringArray, ListArray,
    MapArray, StringArray, StructArray, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Fields, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use serde_json::{Map, Value};

use super::scalar::{Arguments, Function, P, constant};
use super::times::{days, micros_array, parse_date, parse_timestamp};
use super::{is_json, is_numeric, is_text, json};
use crate::error::StatementError;
use crate::text::text;
use crate::types::{Type, name};

pub(super) const TABLE: &[Function] = &[
    Function::new("cast", &[P::Any, P::Text], target, |a| run(a, Failing::Fails)),
    Function::new("try_cast", &[P::Any, P::Text], target, |a| run(a, Failing::IsNull)),
];

/// What becomes of a value that has no counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failing {
    Fails,
    IsNull,
}

impl Failing {
    /// `value`, or the failure.
    fn settle<T>(self, value: Option<T>, message: impl FnOnce() -> String) -> Result<Option<T>> {
        match (value, self) {
            (Some(value), _) => Ok(Some(value)),
            (None, Self::IsNull) => Ok(None),
            (None, Self::Fails) => Err(exec_datafusion_err!("{}", message())),
        }
    }
}

fn target(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let wanted = constant(constants.get(1).copied().flatten()).and_then(Type::of_text);
    let Some(wanted) = wanted else { return plan_err!("a cast needs a type") };
    if !can_cast(&types[0], &wanted) {
        let from = name(&types[0]);
        return Err(StatementError::Invalid(format!("cannot cast {from} to {wanted}")).into());
    }
    Ok(wanted.arrow())
}

fn can_cast(from: &DataType, to: &Type) -> bool {
    let textual = is_text(from);
    match (from, to) {
        (DataType::Null, _) | (_, Type::Json) => true,
        (DataType::Dictionary(_, value), _) => can_cast(value, to),
        (json, Type::Date | Type::Time | Type::Timestamp | Type::Varbinary) if is_json(json) => false,
        (json, _) if is_json(json) => true,
        (DataType::List(item), Type::Array(to)) => can_cast(item.data_type(), to),
        (DataType::Map(entries, _), Type::Map(key, value)) => match entries.data_type() {
            DataType::Struct(fields) => can_cast(fields[0].data_type(), key) && can_cast(fields[1].data_type(), value),
            _ => false,
        },
        (DataType::Struct(fields), Type::Row(to)) => {
            fields.len() == to.len() && fields.iter().zip(to).all(|(field, (_, to))| can_cast(field.data_type(), to))
        }
        (DataType::List(_) | DataType::Map(..) | DataType::Struct(_), _) => false,
        (_, Type::Array(_) | Type::Map(..) | Type::Row(_)) => false,
        (_, Type::Varchar(_)) => true,
        (from, Type::Boolean) => textual || *from == DataType::Boolean || is_numeric(from),
        (from, Type::Date | Type::Timestamp) => textual || super::is_time(from),
        (from, Type::Time) => textual || matches!(from, DataType::Timestamp(..) | DataType::Time64(_)),
        (from, Type::Varbinary) => textual || matches!(from, DataType::Binary),
        (from, _) => textual || *from == DataType::Boolean || is_numeric(from),
    }
}

fn run(a: &Arguments, failing: Failing) -> Result<ArrayRef> {
    let wanted = a.text(1)?.at(0).and_then(Type::of_text);
    let Some(wanted) = wanted else { return exec_err!("a cast needs a type") };
    convert(&a.whole(0)?, &wanted, failing)
}

fn convert(array: &ArrayRef, to: &Type, failing: Failing) -> Result<ArrayRef> {
    let from = array.data_type();
    let rows = 0..array.len();
    match (from, to) {
        (DataType::Null, _) => Ok(new_null_array(&to.arrow(), array.len())),
        (from, Type::Json) if is_json(from) => Ok(Arc::clone(array)),
        (_, Type::Json) => {
            let json = |row| array.is_valid(row).then(|| to_json(array, row).to_string());
            Ok(Arc::new(rows.map(json).collect::<LargeStringArray>()))
        }
        (from, _) if is_json(from) => {
            let texts = array.as_string::<i64>();
            let values = texts.iter().map(|text| text.map(json_value).filter(|value| !value.is_null()));
            from_json(&values.collect::<Vec<_>>(), to, failing)
        }
        (_, Type::Varchar(bound)) => {
            let bound = bound.map_or(usize::MAX, |bound| bound as usize);
            let value = |row| text(array, row).map(|text| cut(text, bound));
            Ok(Arc::new(rows.map(value).collect::<StringArray>()))
        }
        (from, _) if is_text(from) => from_text(array, to, failing),
        (DataType::List(_), Type::Array(item)) => {
            let list = array.as_list::<i32>();
            let values = convert(list.values(), item, failing)?;
            let DataType::List(field) = to.arrow() else { return exec_err!("a list is one") };
            Ok(Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?))
        }
        (DataType::Map(..), Type::Map(key, value)) => {
            let map = array.as_map();
            let columns = vec![convert(map.keys(), key, failing)?, convert(map.values(), value, failing)?];
            map_array(&to.arrow(), map.offsets().clone(), columns, map.nulls().cloned())
        }
        (DataType::Struct(_), Type::Row(fields)) => {
            let row = array.as_struct();
            let columns = row.columns().iter().zip(fields).map(|(column, (_, to))| convert(column, to, failing));
            let DataType::Struct(fields) = to.arrow() else { return exec_err!("a row is one") };
            Ok(Arc::new(StructArray::try_new(fields, columns.collect::<Result<_>>()?, row.nulls().cloned())?))
        }
        (DataType::Float32 | DataType::Float64, Type::TinyInt | Type::SmallInt | Type::Integer | Type::BigInt) => {
            let doubles = cast_with_options(array, &DataType::Float64, &CastOptions::default())?;
            let rounded: Float64Array = doubles.as_primitive::<Float64Type>().unary(f64::round);
            arrow_cast(&(Arc::new(rounded) as ArrayRef), to, failing)
        }
        _ => arrow_cast(array, to, failing),
    }
}

fn arrow_cast(array: &ArrayRef, to: &Type, failing: Failing) -> Result<ArrayRef> {
    let options = CastOptions { safe: failing == Failing::IsNull, ..CastOptions::default() };
    Ok(cast_with_options(array, &to.arrow(), &options)?)
}

pub(super) fn map_array(
    of: &DataType,
    offsets: OffsetBuffer<i32>,
    columns: Vec<ArrayRef>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let DataType::Map(entries, sorted) = of else { return exec_err!("a map is one") };
    let DataType::Struct(fields) = entries.data_type() else { return exec_err!("a map has entries") };
    let rows = StructArray::try_new(fields.clone(), columns, None)?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, rows, nulls, *sorted)?))
}

fn cut(mut text: String, characters: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(characters) {
        text.truncate(at);
    }
    text
}

fn from_text(array: &ArrayRef, to: &Type, failing: Failing) -> Result<ArrayRef> {
    let texts = cast_with_options(array, &DataType::Utf8, &CastOptions::default())?;
    let texts = texts.as_string::<i32>();
    fn each<T>(texts: &StringArray, to: &Type, failing: Failing, of: fn(&str) -> Option<T>) -> Result<Vec<Option<T>>> {
        let message = |text: &str| format!("cannot cast '{}' to {to}", text.chars().take(100).collect::<String>());
        let one = |text: Option<&str>| match text {
            Some(text) => failing.settle(of(text), || message(text)),
            None => Ok(None),
        };
        texts.iter().map(one).collect()
    }
    Ok(match to {
        Type::Boolean => Arc::new(BooleanArray::from(each(texts, to, failing, parse_boolean)?)),
        Type::TinyInt | Type::SmallInt | Type::Integer | Type::BigInt => {
            let whole: ArrayRef =
                Arc::new(Int64Array::from(each(texts, to, failing, |text| text.trim().parse().ok())?));
            arrow_cast(&whole, to, failing)?
        }
        Type::Real | Type::Double => {
            let doubles = each(texts, to, failing, parse_double)?;
            arrow_cast(&(Arc::new(Float64Array::from(doubles)) as ArrayRef), to, failing)?
        }
        Type::Date => Arc::new(Date32Array::from(each(texts, to, failing, |text| parse_date(text).map(days))?)),
        Type::Timestamp => micros_array(each(texts, to, failing, parse_timestamp)?.into_iter()),
        _ => arrow_cast(array, to, failing)?,
    })
}

fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

fn parse_double(text: &str) -> Option<f64> {
    match text.trim() {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        number if number.ends_with(|end: char| end.is_ascii_digit() || end == '.') => number.parse().ok(),
        _ => None,
    }
}

fn json_value(text: &str) -> Value {
    json::value(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// JSON of `array`'s value at `row`.
pub(super) fn to_json(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let items = |items: ArrayRef| Value::Array((0..items.len()).map(|item| to_json(&items, item)).collect());
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::LargeUtf8 => json_value(array.as_string::<i64>().value(row)),
        DataType::Float32 | DataType::Float64 => {
            let doubles = cast_with_options(&array.slice(row, 1), &DataType::Float64, &CastOptions::default());
            doubles
                .ok()
                .and_then(|value| serde_json::Number::from_f64(value.as_primitive::<Float64Type>().value(0)))
                .map_or(Value::Null, Value::Number)
        }
        of if of.is_integer() => {
            text(array, row).and_then(|text| text.parse::<i64>().ok()).map_or(Value::Null, Value::from)
        }
        DataType::List(_) => items(array.as_list::<i32>().value(row)),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let entry = |entry| (text(entries.column(0), entry).unwrap_or_default(), to_json(entries.column(1), entry));
            json::sorted(Value::Object((0..entries.len()).map(entry).collect::<Map<_, _>>()))
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let field = |(index, field): (usize, &Arc<datafusion::arrow::datatypes::Field>)| {
                (field.name().clone(), to_json(columns.column(index), row))
            };
            Value::Object(fields.iter().enumerate().map(field).collect::<Map<_, _>>())
        }
        _ => text(array, row).map_or(Value::Null, Value::String),
    }
}

/// Values of type `to` from JSON.
fn from_json(values: &[Option<Value>], to: &Type, failing: Failing) -> Result<ArrayRef> {
    let message = |value: &Value| {
        let shown: String = value.to_string().chars().take(100).collect();
        format!("cannot cast '{shown}' to {to}")
    };
    match to {
        Type::Json => {
            Ok(Arc::new(values.iter().map(|value| value.as_ref().map(Value::to_string)).collect::<LargeStringArray>()))
        }
        Type::Array(item) => {
            let (mut items, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
            for value in values {
                let found = match value {
                    Some(Value::Array(found)) => Some(found),
                    Some(other) => failing.settle(None, || message(other))?,
                    None => None,
                };
                valid.push(found.is_some());
                lengths.push(found.map_or(0, Vec::len));
                items.extend(found.into_iter().flatten().map(nullable));
            }
            let DataType::List(field) = to.arrow() else { return exec_err!("a list is one") };
            let items = from_json(&items, item, failing)?;
            Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), items, Some(valid.into()))?))
        }
        Type::Map(key, of) => {
            let (mut keys, mut items, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for value in values {
                let found = match value {
                    Some(Value::Object(found)) => Some(found),
                    Some(other) => failing.settle(None, || message(other))?,
                    None => None,
                };
                valid.push(found.is_some());
                lengths.push(found.map_or(0, Map::len));
                for (key, value) in found.into_iter().flatten() {
                    keys.push(Some(Value::String(key.clone())));
                    items.push(nullable(value));
                }
            }
            let columns = vec![from_json(&keys, key, Failing::Fails)?, from_json(&items, of, failing)?];
            map_array(&to.arrow(), OffsetBuffer::from_lengths(lengths), columns, Some(valid.into()))
        }
        Type::Row(fields) => {
            let mut valid = Vec::new();
            for value in values {
                let is_row = matches!(value, Some(Value::Object(_) | Value::Array(_)));
                if let Some(other) = value.as_ref().filter(|_| !is_row) {
                    failing.settle(None::<()>, || message(other))?;
                }
                valid.push(is_row);
            }
            let DataType::Struct(arrow_fields) = to.arrow() else { return exec_err!("a row is one") };
            let column = |(index, (name, of)): (usize, &(Option<String>, Type))| {
                let of_value = |value: &Option<Value>| match value {
                    Some(Value::Array(items)) => items.get(index).and_then(nullable),
                    Some(Value::Object(members)) => {
                        let is_it = |key: &String| name.as_ref().is_some_and(|name| key.eq_ignore_ascii_case(name));
                        members.iter().find(|(key, _)| is_it(key)).and_then(|(_, value)| nullable(value))
                    }
                    _ => None,
                };
                from_json(&values.iter().map(of_value).collect::<Vec<_>>(), of, failing)
            };
            let columns = fields.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
            row_array(arrow_fields, columns, valid.into())
        }
        _ => {
            let mut texts = Vec::with_capacity(values.len());
            for value in values {
                texts.push(match value {
                    Some(Value::String(text)) => Some(text.clone()),
                    Some(Value::Bool(value)) if is_number(to) => Some(i32::from(*value).to_string()),
                    Some(Value::Number(number)) if *to == Type::Boolean => {
                        Some((number.as_f64() != Some(0.0)).to_string())
                    }
                    Some(Value::Number(number)) if is_whole(to) => {
                        Some(number.as_i64().map_or_else(|| rounded(number), |whole| whole.to_string()))
                    }
                    Some(value @ (Value::Bool(_) | Value::Number(_))) => Some(value.to_string()),
                    Some(other) => failing.settle(None, || message(other))?,
                    None => None,
                });
            }
            let texts: ArrayRef = Arc::new(StringArray::from(texts));
            if matches!(to, Type::Varchar(_)) { convert(&texts, to, failing) } else { from_text(&texts, to, failing) }
        }
    }
}

fn row_array(fields: Fields, columns: Vec<ArrayRef>, valid: NullBuffer) -> Result<ArrayRef> {
    Ok(Arc::new(StructArray::try_new(fields, columns, Some(valid))?))
}

/// JSON's null is NULL.
fn nullable(value: &Value) -> Option<Value> {
    (!value.is_null()).then(|| value.clone())
}

fn is_whole(of: &Type) -> bool {
    matches!(of, Type::TinyInt | Type::SmallInt | Type::Integer | Type::BigInt)
}

fn is_number(of: &Type) -> bool {
    is_whole(of) || matches!(of, Type::Real | Type::Double | Type::Decimal(..))
}

fn rounded(number: &serde_json::Number) -> String {
    number.as_f64().map_or_else(String::new, |value| format!("{:.0}", value.round()))
}
