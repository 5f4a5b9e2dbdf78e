//! Arrays, and what arrays and maps have in common.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, StructArray, UInt32Array, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};

use super::scalar::{Arguments, Function, P, bigint, boolean, first, varchar};
use super::strings::text_array;
use super::tally::{Tally, spread_bytes};
use super::{is_numeric, is_text};
use crate::error::StatementError;
use crate::text::text;
use crate::types::name;

/// Items that `sequence` may give, as in Trino.
const SEQUENCE: i64 = 10_000;
/// Items that `repeat` may give, as in Trino.
const REPEAT: i64 = 10_000;

pub(super) const TABLE: &[Function] = &[
    Function::new("element_at", &[P::Any, P::Any], element, |a| at(a, Missing::IsNull)),
    Function::new("subscript", &[P::Any, P::Any], element, |a| at(a, Missing::Fails)),
    Function::new("cardinality", &[P::Any], counted, |a| {
        let of = a.whole(0)?;
        if *of.data_type() == DataType::Null {
            return Ok(new_null_array(&DataType::Int64, a.rows));
        }
        let length = |row| of.is_valid(row).then(|| range(&of, row).len() as i64);
        Ok(Arc::new((0..a.rows).map(length).collect::<Int64Array>()))
    }),
    Function::new("contains", &[P::List, P::Any], has_item, contains),
    Function::new(
        "array_position",
        &[P::List, P::Any],
        |types, constants| has_item(types, constants).map(|_| DataType::Int64),
        |a| {
            let found = positions(a)?;
            Ok(Arc::new(found.into_iter().map(|found| found.map(|(at, _)| at as i64)).collect::<Int64Array>()))
        },
    ),
    Function::new("slice", &[P::List, P::Int, P::Int], first, slice),
    Function::new("array_sort", &[P::List], first, |a| {
        reorder(a, |rows, indexes, nulls| {
            indexes.sort_by(|left, right| {
                nulls_last(nulls, *left, *right).then_with(|| rows.row(*left).cmp(&rows.row(*right)))
            });
        })
    }),
    Function::new("array_max", &[P::List], item_type, |a| extreme(a, Ordering::Greater)),
    Function::new("array_min", &[P::List], item_type, |a| extreme(a, Ordering::Less)),
    Function::new("array_join", &[P::List, P::Text, P::Text], varchar, array_join).optional(1),
    Function::new("arrays_overlap", &[P::List, P::List], boolean, overlap),
    Function::new("repeat", &[P::Any, P::Int], repeated, repeat),
    Function::new("sequence", &[P::Int, P::Int, P::Int], integers, sequence).optional(1),
    Function::new("ordinals", &[P::Int], integers, |a| {
        let counts = a.int(0)?;
        Ok(int_lists((0..a.rows).map(|row| counts.at(row).map(|count| (1..=count).collect()))))
    }),
    Function::new("longest", &[P::Any], bigint, |a| {
        let lists = (0..a.len()).map(|index| a.whole(index)).collect::<Result<Vec<_>>>()?;
        let longest = |row| {
            lists.iter().filter(|list| list.is_valid(row)).map(|list| range(list, row).len() as i64).max().unwrap_or(0)
        };
        Ok(Arc::new(Int64Array::from_iter_values((0..a.rows).map(longest))))
    })
    .repeats(),
    Function::new("row", &[P::Any], row_type, |a| {
        let DataType::Struct(fields) = &a.returns else { return exec_err!("a row is one") };
        let columns = (0..a.len()).map(|index| a.whole(index)).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?))
    })
    .repeats(),
];

/// What a subscript does where there is nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsNull,
    Fails,
}

/// Where the items of a list or the entries of a map are among all of them.
pub(super) fn range(of: &ArrayRef, row: usize) -> std::ops::Range<usize> {
    let offsets: &[i32] = match of.data_type() {
        DataType::Map(..) => of.as_map().offsets(),
        _ => of.as_list::<i32>().offsets(),
    };
    offsets[row] as usize..offsets[row + 1] as usize
}

fn integers(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::Int64, true))
}

fn item(of: &DataType) -> Option<&DataType> {
    match of {
        DataType::List(item) => Some(item.data_type()),
        _ => None,
    }
}

fn item_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(item(&types[0]).cloned().unwrap_or(DataType::Null))
}

fn counted(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    match &types[0] {
        DataType::List(_) | DataType::Map(..) | DataType::Null => Ok(DataType::Int64),
        other => plan_err!("function 'cardinality' takes array or map, not {}", name(other)),
    }
}

fn row_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let field = |(index, of): (usize, &DataType)| Field::new(format!("field{index}"), of.clone(), true);
    Ok(DataType::Struct(types.iter().enumerate().map(field).collect::<Fields>()))
}

fn has_item(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let of = item(&types[0]).unwrap_or(&DataType::Null);
    let wanted = &types[1];
    let alike = of == wanted || (is_text(of) && is_text(wanted)) || (is_numeric(of) && is_numeric(wanted));
    if alike || *wanted == DataType::Null || *of == DataType::Null {
        return Ok(DataType::Boolean);
    }
    let problem = format!("{} has no item of type {}", name(&types[0]), name(wanted));
    Err(StatementError::Invalid(problem).into())
}

fn element(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let (of, index) = (&types[0], &types[1]);
    match of {
        DataType::List(item) if index.is_integer() || *index == DataType::Null => Ok(item.data_type().clone()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let key = fields[0].data_type();
                let alike = key == index || (is_text(key) && is_text(index)) || (is_numeric(key) && is_numeric(index));
                if alike || *index == DataType::Null {
                    return Ok(fields[1].data_type().clone());
                }
                let problem = format!("{} has no key of type {}", name(of), name(index));
                Err(StatementError::Invalid(problem).into())
            }
            other => plan_err!("a map has entries, not {other}"),
        },
        DataType::Null => Ok(DataType::Null),
        other => {
            let problem = format!("{} has no elements at {}", name(other), name(index));
            Err(StatementError::Invalid(problem).into())
        }
    }
}

fn at(a: &Arguments, missing: Missing) -> Result<ArrayRef> {
    match a.of(0) {
        DataType::Map(..) => at_key(a, missing),
        DataType::List(_) => at_index(a, missing),
        _ => Ok(new_null_array(&a.returns, a.rows)),
    }
}

/// Counts from 1, or from the end when negative.
fn at_index(a: &Arguments, missing: Missing) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let indexes = cast(&a.whole(1)?, &DataType::Int64)?;
    let indexes = indexes.as_primitive::<Int64Type>();
    let mut found = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        if of.is_null(row) || indexes.is_null(row) {
            found.push(None);
            continue;
        }
        let (items, index) = (range(&of, row), indexes.value(row));
        let length = items.len() as i64;
        let from_start = match index {
            0 => return exec_err!("an array's elements count from 1"),
            1.. => index - 1,
            _ if missing == Missing::Fails => return exec_err!("a subscript of an array must not be negative"),
            _ => length + index,
        };
        if (0..length).contains(&from_start) {
            found.push(Some((items.start as i64 + from_start) as u32));
        } else if missing == Missing::Fails {
            return exec_err!("the array has {length} elements, and none at {index}");
        } else {
            found.push(None);
        }
    }
    Ok(take(of.as_list::<i32>().values(), &UInt32Array::from(found), None)?)
}

fn at_key(a: &Arguments, missing: Missing) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let map = of.as_map();
    let keys = map.keys();
    let wanted = cast(&a.whole(1)?, keys.data_type())?;
    let found: Vec<Option<u32>> = match keys.data_type() {
        DataType::Utf8 => {
            let (keys, wanted) = (keys.as_string::<i32>(), wanted.as_string::<i32>());
            find_keys(&of, &wanted, |row, entry| keys.value(entry) == wanted.value(row))
        }
        DataType::Utf8View => {
            let (keys, wanted) = (keys.as_string_view(), wanted.as_string_view());
            find_keys(&of, &wanted, |row, entry| keys.value(entry) == wanted.value(row))
        }
        of_key => {
            let converter = RowConverter::new(vec![SortField::new(of_key.clone())])?;
            let rows = converter.convert_columns(&[Arc::clone(keys)])?;
            let wanted_rows = converter.convert_columns(&[Arc::clone(&wanted)])?;
            find_keys(&of, &wanted, |row, entry| rows.row(entry) == wanted_rows.row(row))
        }
    };
    if missing == Missing::Fails {
        let lacks = |row: &usize| of.is_valid(*row) && wanted.is_valid(*row) && found[*row].is_none();
        if let Some(row) = (0..a.rows).find(lacks) {
            let key = text(&wanted, row).unwrap_or_default();
            return exec_err!("the map has no key '{key}'; element_at gives NULL then");
        }
    }
    Ok(take(map.values(), &UInt32Array::from(found), None)?)
}

fn find_keys(of: &ArrayRef, wanted: &dyn Array, is_it: impl Fn(usize, usize) -> bool) -> Vec<Option<u32>> {
    let find = |row: usize| {
        if of.is_null(row) || wanted.is_null(row) {
            return None;
        }
        range(of, row).find(|entry| is_it(row, *entry)).map(|entry| entry as u32)
    };
    (0..of.len()).map(find).collect()
}

/// Per row: the place of the second argument in the list, 0 where it is not, and whether a NULL is among the items.
fn positions(a: &Arguments) -> Result<Vec<Option<(usize, bool)>>> {
    let of = a.whole(0)?;
    let list = of.as_list::<i32>();
    let items = list.values();
    if *items.data_type() == DataType::Null {
        return Ok((0..a.rows).map(|row| of.is_valid(row).then(|| (0, !range(&of, row).is_empty()))).collect());
    }
    let wanted = cast(&a.whole(1)?, items.data_type())?;
    let converter = RowConverter::new(vec![SortField::new(items.data_type().clone())])?;
    let rows = converter.convert_columns(&[Arc::clone(items)])?;
    let wanted_rows = converter.convert_columns(&[Arc::clone(&wanted)])?;
    let position = |row: usize| {
        if of.is_null(row) || wanted.is_null(row) {
            return None;
        }
        let mut within = range(&of, row);
        let start = within.start;
        let has_null = within.clone().any(|item| items.is_null(item));
        let found = within.find(|item| items.is_valid(*item) && rows.row(*item) == wanted_rows.row(row));
        Some((found.map_or(0, |item| item - start + 1), has_null))
    };
    Ok((0..a.rows).map(position).collect())
}

/// NULL where it is not found and a NULL might be it.
fn contains(a: &Arguments) -> Result<ArrayRef> {
    let answer = |found: Option<(usize, bool)>| match found {
        Some((0, true)) | None => None,
        Some((at, _)) => Some(at > 0),
    };
    Ok(Arc::new(positions(a)?.into_iter().map(answer).collect::<BooleanArray>()))
}

fn overlap(a: &Arguments) -> Result<ArrayRef> {
    let (left, right) = (a.whole(0)?, a.whole(1)?);
    let mut answers = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        if left.is_null(row) || right.is_null(row) {
            answers.push(None);
            continue;
        }
        let texts = |of: &ArrayRef| {
            let items = of.as_list::<i32>().value(row);
            (0..items.len()).map(|item| text(&items, item)).collect::<Vec<_>>()
        };
        let (left, right) = (texts(&left), texts(&right));
        let meets = left.iter().any(|item| item.is_some() && right.contains(item));
        let has_null = !left.is_empty() && !right.is_empty() && left.iter().chain(&right).any(Option::is_none);
        answers.push(if !meets && has_null { None } else { Some(meets) });
    }
    Ok(Arc::new(BooleanArray::from(answers)))
}

/// The list of `a`'s type whose rows have these items of `values`.
fn lists(of: &DataType, values: &ArrayRef, rows: Vec<Option<Vec<u32>>>) -> Result<ArrayRef> {
    let DataType::List(field) = of else { return exec_err!("a list is one") };
    let lengths = rows.iter().map(|row| row.as_ref().map_or(0, Vec::len)).collect::<Vec<_>>();
    let valid: NullBuffer = rows.iter().map(Option::is_some).collect::<Vec<_>>().into();
    let indexes = UInt32Array::from(rows.into_iter().flatten().flatten().collect::<Vec<_>>());
    let items = take(values, &indexes, None)?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), items, Some(valid))?))
}

fn slice(a: &Arguments) -> Result<ArrayRef> {
    let (of, starts, lengths) = (a.whole(0)?, a.int(1)?, a.int(2)?);
    let mut rows = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        let (true, Some(start), Some(length)) = (of.is_valid(row), starts.at(row), lengths.at(row)) else {
            rows.push(None);
            continue;
        };
        let items = range(&of, row);
        let count = items.len() as i64;
        let from = match start {
            0 => return exec_err!("an array's elements count from 1"),
            1.. => start - 1,
            _ => count + start,
        };
        if length < 0 {
            return exec_err!("slice takes a length of at least 0");
        }
        let to = from.saturating_add(length).min(count);
        let within = if from < 0 || from >= to { 0..0 } else { from..to };
        rows.push(Some(within.map(|index| (items.start as i64 + index) as u32).collect()));
    }
    lists(&a.returns, of.as_list::<i32>().values(), rows)
}

pub(super) fn reverse(a: &Arguments) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let reversed = |row: usize| of.is_valid(row).then(|| range(&of, row).rev().map(|item| item as u32).collect());
    lists(&a.returns, of.as_list::<i32>().values(), (0..a.rows).map(reversed).collect())
}

fn nulls_last(nulls: Option<&NullBuffer>, left: usize, right: usize) -> Ordering {
    let is_null = |at: usize| nulls.is_some_and(|nulls| nulls.is_null(at));
    is_null(left).cmp(&is_null(right))
}

fn reorder(a: &Arguments, sort: impl Fn(&Rows, &mut Vec<usize>, Option<&NullBuffer>)) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let items = of.as_list::<i32>().values();
    let rows =
        RowConverter::new(vec![SortField::new(items.data_type().clone())])?.convert_columns(&[Arc::clone(items)])?;
    let nulls = items.logical_nulls();
    let sorted = |row: usize| {
        of.is_valid(row).then(|| {
            let mut indexes: Vec<usize> = range(&of, row).collect();
            sort(&rows, &mut indexes, nulls.as_ref());
            indexes.into_iter().map(|index| index as u32).collect()
        })
    };
    lists(&a.returns, items, (0..a.rows).map(sorted).collect())
}

/// NULL as soon as one item is.
fn extreme(a: &Arguments, wanted: Ordering) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let items = of.as_list::<i32>().values();
    let rows =
        RowConverter::new(vec![SortField::new(items.data_type().clone())])?.convert_columns(&[Arc::clone(items)])?;
    let found = |row: usize| {
        let within = range(&of, row);
        if of.is_null(row) || within.clone().any(|item| items.is_null(item)) {
            return None;
        }
        let best = within.reduce(|best, item| if rows.row(item).cmp(&rows.row(best)) == wanted { item } else { best });
        best.map(|item| item as u32)
    };
    Ok(take(items, &(0..a.rows).map(found).collect::<UInt32Array>(), None)?)
}

fn array_join(a: &Arguments) -> Result<ArrayRef> {
    let (of, separators) = (a.whole(0)?, a.text(1)?);
    let replacements = if a.len() == 3 { Some(a.text(2)?) } else { None };
    let (mut values, mut tally) = (Vec::with_capacity(a.rows), Tally::default());
    for row in 0..a.rows {
        let (Some(separator), true) = (separators.at(row), of.is_valid(row)) else {
            values.push(None);
            continue;
        };
        let items = of.as_list::<i32>().value(row);
        let replacement = replacements.as_ref().and_then(|replacements| replacements.at(row));
        let mut joined: Option<String> = None;
        for item in 0..items.len() {
            let Some(part) = text(&items, item).or_else(|| replacement.map(str::to_owned)) else { continue };
            match &mut joined {
                Some(joined) => {
                    joined.push_str(separator);
                    joined.push_str(&part);
                }
                None => joined = Some(part),
            }
            // Before it grows by the next.
            Tally::default().add(joined.as_ref().map_or(0, String::len))?;
        }
        let joined = joined.unwrap_or_default();
        tally.add(joined.len())?;
        values.push(Some(joined));
    }
    Ok(text_array(values.into_iter()))
}

fn repeated(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::new_list(types[0].clone(), true))
}

fn repeat(a: &Arguments) -> Result<ArrayRef> {
    let (items, counts) = (a.whole(0)?, a.int(1)?);
    let mut rows = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        rows.push(match counts.at(row) {
            Some(count @ 0..=REPEAT) => Some(count as usize),
            Some(count) => return exec_err!("repeat takes a count from 0 to {REPEAT}, not {count}"),
            None => None,
        });
    }
    let lengths: Vec<usize> = rows.iter().map(|count| count.unwrap_or_default()).collect();
    let mut tally = Tally::default();
    tally.add_all(spread_bytes(&*items, &lengths))?;
    tally.add_all(lengths.iter().sum::<usize>() * size_of::<u32>())?;
    let repeated = rows.iter().enumerate().map(|(row, count)| count.map(|count| vec![row as u32; count])).collect();
    lists(&a.returns, &items, repeated)
}

fn sequence(a: &Arguments) -> Result<ArrayRef> {
    let (starts, ends) = (a.int(0)?, a.int(1)?);
    let steps = if a.len() == 3 { Some(a.int(2)?) } else { None };
    let (mut rows, mut tally) = (Vec::with_capacity(a.rows), Tally::default());
    for row in 0..a.rows {
        let (Some(start), Some(end)) = (starts.at(row), ends.at(row)) else {
            rows.push(None);
            continue;
        };
        let step = match steps.as_ref().map(|steps| steps.at(row)) {
            Some(Some(step)) => step,
            Some(None) => {
                rows.push(None);
                continue;
            }
            None => {
                if end >= start {
                    1
                } else {
                    -1
                }
            }
        };
        let distance = end.checked_sub(start).ok_or_else(|| exec_datafusion_err!("sequence is too long"))?;
        if step == 0 || distance.signum() * step.signum() < 0 {
            return exec_err!("sequence cannot step from {start} to {end} by {step}");
        }
        let count = distance / step + 1;
        if count > SEQUENCE {
            return exec_err!("sequence gives at most {SEQUENCE} items, not {count}");
        }
        tally.add_all(count as usize * size_of::<i64>())?;
        rows.push(Some((0..count).map(|index| start + index * step).collect()));
    }
    Ok(int_lists(rows.into_iter()))
}

fn int_lists(rows: impl Iterator<Item = Option<Vec<i64>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
        rows.map(|row| row.map(|row| row.into_iter().map(Some))),
    ))
}
