//! Text, by characters.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Int64Array, ListArray, ListBuilder, StringArray, StringBuilder, new_null_array,
};
use datafusion::arrow::compute::concat as concat_arrays;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};

use super::is_text;
use super::scalar::{Arguments, Function, P, bigint, boolean, varchar};
use super::tally::{Tally, bytes_of};
use crate::error::StatementError;
use crate::rewrite::escape_pattern;
use crate::types::name;

pub(super) const TABLE: &[Function] = &[
    Function::new("substr", &[P::Text, P::Int, P::Int], varchar, |a| {
        let (texts, starts) = (a.text(0)?, a.int(1)?);
        let lengths = if a.len() == 3 { Some(a.int(2)?) } else { None };
        Ok(text_array((0..a.rows).map(|row| {
            let length = match &lengths {
                Some(lengths) => Some(lengths.at(row)?),
                None => None,
            };
            Some(substr(texts.at(row)?, starts.at(row)?, length).to_owned())
        })))
    })
    .optional(1),
    Function::new("strpos", &[P::Text, P::Text], bigint, |a| {
        let (texts, parts) = (a.text(0)?, a.text(1)?);
        let position = |row| {
            let (text, part) = (texts.at(row)?, parts.at(row)?);
            Some(text.find(part).map_or(0, |at| text[..at].chars().count() as i64 + 1))
        };
        Ok(Arc::new((0..a.rows).map(position).collect::<Int64Array>()))
    }),
    Function::new("ends_with", &[P::Text, P::Text], boolean, |a| {
        let (texts, parts) = (a.text(0)?, a.text(1)?);
        let ends = |row| Some(texts.at(row)?.ends_with(parts.at(row)?));
        Ok(Arc::new((0..a.rows).map(ends).collect::<datafusion::arrow::array::BooleanArray>()))
    }),
    Function::new("split", &[P::Text, P::Text, P::Int], varchars, split).optional(1),
    Function::new("split_part", &[P::Text, P::Text, P::Int], varchar, |a| {
        let (texts, parts, indexes) = (a.text(0)?, a.text(1)?, a.int(2)?);
        let mut values = Vec::with_capacity(a.rows);
        for row in 0..a.rows {
            values.push(match (texts.at(row), parts.at(row), indexes.at(row)) {
                (Some(text), Some(part), Some(index)) => {
                    let index = usize::try_from(index).ok().filter(|index| *index > 0);
                    let index = index.ok_or_else(|| exec_datafusion_err!("split_part counts from 1"))?;
                    pieces(text, part).nth(index - 1).map(str::to_owned)
                }
                _ => None,
            });
        }
        Ok(Arc::new(StringArray::from(values)))
    }),
    Function::new("concat", &[P::Any], concat_type, concat).repeats(),
    Function::new("concat_ws", &[P::Text, P::Text], varchar, |a| {
        let parts = (0..a.len()).map(|index| a.text(index)).collect::<Result<Vec<_>>>()?;
        let (mut values, mut tally) = (Vec::with_capacity(a.rows), Tally::default());
        for row in 0..a.rows {
            let Some(separator) = parts[0].at(row) else {
                values.push(None);
                continue;
            };
            let there: Vec<&str> = parts[1..].iter().filter_map(|part| part.at(row)).collect();
            tally.add(there.iter().map(|part| part.len() + separator.len()).sum())?;
            values.push(Some(there.join(separator)));
        }
        Ok(Arc::new(StringArray::from(values)))
    })
    .repeats(),
    Function::new("replace", &[P::Text, P::Text, P::Text], varchar, |a| {
        let (texts, parts, others) = (a.text(0)?, a.text(1)?, a.text(2)?);
        let (mut values, mut tally) = (Vec::with_capacity(a.rows), Tally::default());
        for row in 0..a.rows {
            let (Some(text), Some(part), Some(other)) = (texts.at(row), parts.at(row), others.at(row)) else {
                values.push(None);
                continue;
            };
            if other.len() > part.len() {
                let growth = text.matches(part).count().saturating_mul(other.len() - part.len());
                tally.add(text.len().saturating_add(growth))?;
            }
            values.push(Some(text.replace(part, other)));
        }
        Ok(Arc::new(StringArray::from(values)))
    }),
    Function::new("lpad", &[P::Text, P::Int, P::Text], varchar, |a| pad(a, |text, padding| padding + text)),
    Function::new("rpad", &[P::Text, P::Int, P::Text], varchar, |a| pad(a, |text, padding| text.to_owned() + &padding)),
    Function::new("levenshtein_distance", &[P::Text, P::Text], bigint, |a| {
        let (left, right) = (a.text(0)?, a.text(1)?);
        let mut values = Vec::with_capacity(a.rows);
        for row in 0..a.rows {
            values.push(match (left.at(row), right.at(row)) {
                (Some(left), Some(right)) => Some(levenshtein(left, right)?),
                _ => None,
            });
        }
        Ok(Arc::new(Int64Array::from(values)))
    }),
    Function::new(
        "reverse",
        &[P::Any],
        |types, _| reversed(&types[0]),
        |a| {
            if a.returns == DataType::Utf8 {
                let texts = a.text(0)?;
                return Ok(text_array((0..a.rows).map(|row| Some(texts.at(row)?.chars().rev().collect::<String>()))));
            }
            super::collections::reverse(a)
        },
    ),
    Function::new("typeof", &[P::Any], varchar, |a| {
        let of = name(&a.of(0));
        Ok(text_array((0..a.rows).map(|_| Some(of.clone()))))
    }),
    Function::new("codepoint", &[P::Text], bigint, |a| {
        let texts = a.text(0)?;
        let point = |row| texts.at(row)?.chars().next().map(|character| i64::from(u32::from(character)));
        Ok(Arc::new((0..a.rows).map(point).collect::<Int64Array>()))
    }),
    Function::new("like_pattern", &[P::Text, P::Text], varchar, |a| {
        let patterns = a.text(0)?;
        let escape = if a.len() == 2 { a.text(1)?.at(0).and_then(|escape| escape.chars().next()) } else { None };
        let mut values = Vec::with_capacity(a.rows);
        for row in 0..a.rows {
            values.push(match patterns.at(row) {
                Some(pattern) => {
                    Some(escape_pattern(pattern, escape).map_err(|error| exec_datafusion_err!("{error}"))?)
                }
                None => None,
            });
        }
        Ok(Arc::new(StringArray::from(values)))
    })
    .optional(1),
    Function::new("url_extract_host", &[P::Text], varchar, |a| {
        urls(a, |url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()))
    }),
    Function::new("url_extract_path", &[P::Text], varchar, |a| urls(a, |url| Some(url.path().to_owned()))),
    Function::new("url_extract_protocol", &[P::Text], varchar, |a| urls(a, |url| Some(url.scheme().to_owned()))),
    Function::new("url_extract_query", &[P::Text], varchar, |a| {
        urls(a, |url| Some(url.query().unwrap_or_default().to_owned()))
    }),
    Function::new("url_extract_parameter", &[P::Text, P::Text], varchar, |a| {
        let (texts, names) = (a.text(0)?, a.text(1)?);
        Ok(text_array((0..a.rows).map(|row| {
            let (url, name) = (url::Url::parse(texts.at(row)?).ok()?, names.at(row)?);
            url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        })))
    }),
];

pub(super) fn text_array(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

pub(super) fn varchars(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::Utf8, true))
}

fn urls(a: &Arguments, part: impl Fn(url::Url) -> Option<String>) -> Result<ArrayRef> {
    let texts = a.text(0)?;
    Ok(text_array((0..a.rows).map(|row| url::Url::parse(texts.at(row)?).ok().and_then(&part))))
}

/// Counts from 1, or from the end when negative; nothing where it is beyond.
fn substr(text: &str, start: i64, length: Option<i64>) -> &str {
    let from = match start {
        0 => return "",
        1.. => start - 1,
        _ => {
            let from = text.chars().count() as i64 + start;
            if from < 0 {
                return "";
            }
            from
        }
    };
    if length.is_some_and(|length| length <= 0) {
        return "";
    }
    let offset = |characters: i64| {
        let characters = usize::try_from(characters).unwrap_or(usize::MAX);
        text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
    };
    let begin = offset(from);
    let end = length.map_or(text.len(), |length| offset(from.saturating_add(length)));
    &text[begin..end]
}

/// The pieces between `part`; with an empty one, each character.
fn pieces<'a>(text: &'a str, part: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
    if part.is_empty() {
        return Box::new(text.char_indices().map(|(at, character)| &text[at..at + character.len_utf8()]));
    }
    Box::new(text.split(part))
}

fn split(a: &Arguments) -> Result<ArrayRef> {
    let (texts, parts) = (a.text(0)?, a.text(1)?);
    let limits = if a.len() == 3 { Some(a.int(2)?) } else { None };
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..a.rows {
        match (texts.at(row), parts.at(row)) {
            (Some(_), Some("")) => return exec_err!("split takes a delimiter that is not empty"),
            (Some(text), Some(part)) => {
                match limits.as_ref().map(|limits| limits.at(row)) {
                    Some(Some(limit)) if limit > 0 => {
                        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                        text.splitn(limit, part).for_each(|piece| lists.values().append_value(piece));
                    }
                    Some(Some(_)) => return exec_err!("split takes a limit above 0"),
                    Some(None) | None => text.split(part).for_each(|piece| lists.values().append_value(piece)),
                }
                lists.append(true);
            }
            _ => lists.append(false),
        }
    }
    Ok(Arc::new(lists.finish()))
}

/// Text of so many characters: cut, or with what `join` makes of it and its padding.
fn pad(a: &Arguments, join: impl Fn(&str, String) -> String) -> Result<ArrayRef> {
    let (texts, lengths, paddings) = (a.text(0)?, a.int(1)?, a.text(2)?);
    let (mut values, mut tally) = (Vec::with_capacity(a.rows), Tally::default());
    for row in 0..a.rows {
        let (Some(text), Some(length), Some(padding)) = (texts.at(row), lengths.at(row), paddings.at(row)) else {
            values.push(None);
            continue;
        };
        let Ok(length) = usize::try_from(length) else {
            return exec_err!("function '{}' takes a size of at least 0, not {length}", a.name);
        };
        if padding.is_empty() {
            return exec_err!("function '{}' takes a padding that is not empty", a.name);
        }
        let has = text.chars().count();
        if has >= length {
            values.push(Some(text.chars().take(length).collect::<String>()));
            continue;
        }
        // At most four bytes a character.
        tally.add(text.len().saturating_add((length - has).saturating_mul(padding.len().min(4))))?;
        values.push(Some(join(text, padding.chars().cycle().take(length - has).collect())));
    }
    Ok(Arc::new(StringArray::from(values)))
}

/// Pairs of characters that `levenshtein_distance` may compare, as in Trino.
const PAIRS: usize = 1_000_000;

fn levenshtein(left: &str, right: &str) -> Result<i64> {
    let right: Vec<char> = right.chars().collect();
    if left.chars().count().saturating_mul(right.len()) > PAIRS {
        return exec_err!("levenshtein_distance takes texts of at most {PAIRS} pairs of characters");
    }
    let mut distances: Vec<i64> = (0..=right.len() as i64).collect();
    for (row, character) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut distances[0], row as i64 + 1);
        for (column, other) in right.iter().enumerate() {
            let changed = diagonal + i64::from(character != *other);
            diagonal = distances[column + 1];
            distances[column + 1] = changed.min(diagonal + 1).min(distances[column] + 1);
        }
    }
    Ok(distances[right.len()])
}

fn reversed(of: &DataType) -> Result<DataType> {
    match of {
        _ if is_text(of) => Ok(DataType::Utf8),
        DataType::List(_) => Ok(of.clone()),
        other => plan_err!("function 'reverse' takes varchar or array, not {}", name(other)),
    }
}

fn concat_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let is_textual = |of: &DataType| is_text(of) || *of == DataType::Null;
    if types.iter().all(is_textual) {
        return Ok(DataType::Utf8);
    }
    let list = types.iter().find(|of| matches!(of, DataType::List(_)));
    match list {
        Some(list) if types.iter().all(|of| of.equals_datatype(list) || *of == DataType::Null) => Ok(list.clone()),
        _ => {
            let names = types.iter().map(name).collect::<Vec<_>>().join(", ");
            Err(StatementError::Invalid(format!("function 'concat' cannot join ({names}); use CAST")).into())
        }
    }
}

/// Null as soon as one part is.
fn concat(a: &Arguments) -> Result<ArrayRef> {
    if a.returns == DataType::Utf8 {
        let parts = (0..a.len()).map(|index| a.text(index)).collect::<Result<Vec<_>>>()?;
        let (mut joined, mut tally) = (StringBuilder::with_capacity(a.rows, 0), Tally::default());
        for row in 0..a.rows {
            if parts.iter().any(|part| part.at(row).is_none()) {
                joined.append_null();
                continue;
            }
            let there = || parts.iter().filter_map(|part| part.at(row));
            tally.add(there().map(str::len).sum())?;
            there().try_for_each(|part| joined.write_str(part)).map_err(|error| exec_datafusion_err!("{error}"))?;
            joined.append_value("");
        }
        return Ok(Arc::new(joined.finish()));
    }
    let parts = (0..a.len()).map(|index| a.whole(index)).collect::<Result<Vec<_>>>()?;
    if parts.iter().any(|part| *part.data_type() == DataType::Null) {
        return Ok(new_null_array(&a.returns, a.rows));
    }
    let DataType::List(field) = &a.returns else { return exec_err!("concat of no list") };
    Tally::default().add_all(parts.iter().map(|part| bytes_of(part)).sum())?;
    let lists: Vec<&ListArray> = parts.iter().filter_map(|part| part.as_any().downcast_ref()).collect();
    let (mut items, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..a.rows {
        let is_valid = lists.iter().all(|list| list.is_valid(row));
        valid.push(is_valid);
        lengths.push(if is_valid { lists.iter().map(|list| list.value(row).len()).sum() } else { 0 });
        if is_valid {
            items.extend(lists.iter().map(|list| list.value(row)));
        }
    }
    let items: Vec<&dyn Array> = items.iter().map(AsRef::as_ref).collect();
    let values = if items.is_empty() { new_null_array(field.data_type(), 0) } else { concat_arrays(&items)? };
    let offsets = datafusion::arrow::buffer::OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, Some(valid.into()))?))
}
