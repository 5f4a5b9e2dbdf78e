//! JSON: values are compact text of the type `LargeUtf8`; functions take text that holds JSON, too.

pub(super) mod path;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, LargeStringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use serde_json::Value;

use self::path::{JsonPath, skip_value};
use super::scalar::{Arguments, Column, Function, P, bigint, boolean, constant, varchar};
use super::strings::text_array;
use datafusion::arrow::array::StringArray;

pub(super) const TABLE: &[Function] = &[
    Function::new("json_extract", &[P::Json, P::Text], json_at_path, |a| {
        let found = extract(a, |value| Some(compact(value)))?;
        Ok(Arc::new(found.into_iter().collect::<LargeStringArray>()))
    }),
    Function::new("json_extract_scalar", &[P::Json, P::Text], varchar_at_path, |a| {
        Ok(text_array(extract(a, scalar)?.into_iter()))
    }),
    Function::new("json_parse", &[P::Text], json, |a| {
        let texts = a.text(0)?;
        let mut values = Vec::with_capacity(a.rows);
        for row in 0..a.rows {
            values.push(match texts.at(row) {
                Some(text) => Some(parse(text)?),
                None => None,
            });
        }
        Ok(Arc::new(LargeStringArray::from(values)))
    }),
    Function::new("json_format", &[P::Json], varchar, |a| {
        let texts = a.text(0)?;
        Ok(text_array((0..a.rows).map(|row| texts.at(row).map(str::to_owned))))
    }),
    Function::new("json_array_length", &[P::Json], bigint, |a| {
        let texts = a.text(0)?;
        let length = |row| items(texts.at(row)?).map(|items| items.len() as i64);
        Ok(Arc::new((0..a.rows).map(length).collect::<Int64Array>()))
    }),
    Function::new("json_array_get", &[P::Json, P::Int], json, |a| {
        let (texts, indexes) = (a.text(0)?, a.int(1)?);
        let item = |row| {
            let (items, index) = (items(texts.at(row)?)?, indexes.at(row)?);
            let index = if index < 0 { index + items.len() as i64 } else { index };
            let item = items.get(usize::try_from(index).ok()?)?;
            // Trino's item of text comes without quotes.
            Some(scalar_text(item).unwrap_or_else(|| compact(item)))
        };
        Ok(Arc::new((0..a.rows).map(item).collect::<LargeStringArray>()))
    }),
    Function::new("json_array_contains", &[P::Json, P::Any], boolean, |a| {
        let texts = a.text(0)?;
        let wanted: Column<ArrayRef> = a.any(1)?;
        let contains = |row| {
            let items = items(texts.at(row)?)?;
            let index = wanted.index(row);
            if wanted.array().is_null(index) {
                return None;
            }
            let wanted = super::cast::to_json(wanted.array(), index);
            Some(items.iter().any(|item| serde_json::from_str::<Value>(item).is_ok_and(|item| same(&item, &wanted))))
        };
        Ok(Arc::new((0..a.rows).map(contains).collect::<BooleanArray>()))
    }),
    Function::new(
        "json_size",
        &[P::Json, P::Text],
        |types, constants| json_at_path(types, constants).map(|_| DataType::Int64),
        |a| {
            let sizes = extract(a, |value| {
                let size = match serde_json::from_str::<Value>(value).ok()? {
                    Value::Array(items) => items.len(),
                    Value::Object(members) => members.len(),
                    _ => 0,
                };
                Some(size as i64)
            })?;
            Ok(Arc::new(Int64Array::from(sizes)))
        },
    ),
    Function::new("is_json_scalar", &[P::Json], boolean, |a| {
        let texts = a.text(0)?;
        let mut values = Vec::with_capacity(a.rows);
        for row in 0..a.rows {
            values.push(match texts.at(row) {
                Some(text) => Some(!matches!(value(text)?, Value::Array(_) | Value::Object(_))),
                None => None,
            });
        }
        Ok(Arc::new(BooleanArray::from(values)))
    }),
];

fn json(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::LargeUtf8)
}

fn json_at_path(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    check_path(constants)?;
    Ok(DataType::LargeUtf8)
}

fn varchar_at_path(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    check_path(constants)?;
    varchar(types, constants)
}

/// A constant path is checked before anything runs.
fn check_path(constants: &[Option<&ScalarValue>]) -> Result<()> {
    match constant(constants.get(1).copied().flatten()) {
        Some(path) => JsonPath::parse(path).map(|_| ()),
        None => Ok(()),
    }
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

/// What stands at the second argument's path in the first; nothing where the text is no JSON.
fn extract<T>(a: &Arguments, of: impl Fn(&str) -> Option<T>) -> Result<Vec<Option<T>>> {
    let (texts, paths): (Column<StringArray>, Column<StringArray>) = (a.text(0)?, a.text(1)?);
    let fixed = match paths.at(0).filter(|_| paths.is_constant()) {
        Some(path) => Some(JsonPath::parse(path)?),
        None => None,
    };
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        values.push(match (texts.at(row), &fixed, paths.at(row)) {
            (Some(text), Some(path), _) => path.find(text).and_then(&of),
            (Some(text), None, Some(path)) => JsonPath::parse(path)?.find(text).and_then(&of),
            _ => None,
        });
    }
    Ok(values)
}

/// The value of `text`.
pub(super) fn value(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|_| {
        let shown: String = text.chars().take(100).collect();
        exec_datafusion_err!("cannot convert '{shown}' to JSON")
    })
}

/// Compact, with the members of each object in order: two that are equal have one text.
fn parse(text: &str) -> Result<String> {
    Ok(sorted(value(text)?).to_string())
}

pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(members.into_iter().collect())
        }
        other => other,
    }
}

/// The text of a string, number or boolean; nothing of null, arrays and objects.
fn scalar(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => scalar_text(json),
        b'{' | b'[' | b'n' => None,
        _ => Some(json.to_owned()),
    }
}

/// A string without its quotes.
fn scalar_text(json: &str) -> Option<String> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(json).ok() } else { Some(inner.to_owned()) }
}

/// The text of the items of an array.
fn items(json: &str) -> Option<Vec<&str>> {
    let bytes = json.as_bytes();
    let mut at = path::skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    at = path::skip_space(bytes, at + 1);
    let mut items = Vec::new();
    if bytes.get(at) == Some(&b']') {
        return Some(items);
    }
    loop {
        let end = skip_value(bytes, at)?;
        items.push(json.get(at..end)?);
        at = path::skip_space(bytes, end);
        match bytes.get(at)? {
            b',' => at = path::skip_space(bytes, at + 1),
            b']' => return Some(items),
            _ => return None,
        }
    }
}

/// `json` without the space between its tokens.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_text, mut is_escaped) = (false, false);
    for character in json.chars() {
        if in_text {
            in_text = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_text = character == '"';
        }
        out.push(character);
    }
    out
}
