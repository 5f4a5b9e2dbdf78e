//! Maps.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray, UInt32Array};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};

use super::cast::map_array;
use super::collections::range;
use super::scalar::{Arguments, Function, P, first};
use crate::types::{map_of, name};

pub(super) const TABLE: &[Function] = &[
    Function::new("map_keys", &[P::Map], |types, _| list_of(&types[0], 0), |a| column(a, 0)),
    Function::new("map_values", &[P::Map], |types, _| list_of(&types[0], 1), |a| column(a, 1)),
    Function::new("map_entries", &[P::Map], entries_type, |a| {
        let of = a.whole(0)?;
        let map = of.as_map();
        let DataType::List(field) = &a.returns else { return exec_err!("a list is one") };
        let DataType::Struct(fields) = field.data_type() else { return exec_err!("entries are rows") };
        let rows = StructArray::try_new(fields.clone(), map.entries().columns().to_vec(), None)?;
        let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
        Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, Arc::new(rows), nulls)?))
    }),
    Function::new(
        "map_of_arrays",
        &[P::List, P::List],
        |types, _| match (&types[0], &types[1]) {
            (DataType::List(key), DataType::List(value)) => {
                Ok(map_of(key.data_type().clone(), value.data_type().clone()))
            }
            _ => plan_err!("function 'map' takes two arrays"),
        },
        map_of_arrays,
    ),
    Function::new("map_from_entries", &[P::List], pairs_type, |a| from_pairs(a, Twice::Fails)),
    Function::new("map_of_pairs", &[P::List], pairs_type, |a| from_pairs(a, Twice::First)),
    Function::new(
        "multimap_of_pairs",
        &[P::List],
        |types, constants| match pairs_type(types, constants)? {
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => {
                    let values = DataType::new_list(fields[1].data_type().clone(), true);
                    Ok(map_of(fields[0].data_type().clone(), values))
                }
                other => plan_err!("a map has entries, not {other}"),
            },
            other => plan_err!("no map: {other}"),
        },
        multimap,
    ),
    Function::new(
        "histogram_of",
        &[P::List],
        |types, _| match &types[0] {
            DataType::List(item) => Ok(map_of(item.data_type().clone(), DataType::Int64)),
            other => plan_err!("function 'histogram' cannot count {}", name(other)),
        },
        histogram,
    ),
    Function::new("ordered", &[P::Any], first, |a| ordered(&a.whole(0)?)),
    Function::new("map_concat", &[P::Map], first, map_concat).repeats(),
];

fn key_and_value(map: &DataType) -> Result<(DataType, DataType)> {
    if let DataType::Map(entries, _) = map
        && let DataType::Struct(fields) = entries.data_type()
    {
        return Ok((fields[0].data_type().clone(), fields[1].data_type().clone()));
    }
    plan_err!("{} is no map", name(map))
}

fn list_of(map: &DataType, column: usize) -> Result<DataType> {
    let (key, value) = key_and_value(map)?;
    Ok(DataType::new_list(if column == 0 { key } else { value }, true))
}

fn entries_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let (key, value) = key_and_value(&types[0])?;
    let fields = Fields::from(vec![Field::new("key", key, true), Field::new("value", value, true)]);
    Ok(DataType::new_list(DataType::Struct(fields), true))
}

/// Of a list of rows of two fields.
fn pairs_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    if let DataType::List(item) = &types[0]
        && let DataType::Struct(fields) = item.data_type()
        && fields.len() == 2
    {
        return Ok(map_of(fields[0].data_type().clone(), fields[1].data_type().clone()));
    }
    plan_err!("a map is made of rows of a key and a value, not of {}", name(&types[0]))
}

fn column(a: &Arguments, column: usize) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let map = of.as_map();
    let DataType::List(field) = &a.returns else { return exec_err!("a list is one") };
    let values = Arc::clone(map.entries().column(column));
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), map.offsets().clone(), values, map.nulls().cloned())?))
}

/// What a key that is there twice means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twice {
    Fails,
    First,
}

/// Maps whose rows have these entries of `keys` and `values`.
fn build(
    of: &DataType,
    keys: &ArrayRef,
    values: &ArrayRef,
    rows: Vec<Option<Vec<(u32, u32)>>>,
    twice: Twice,
) -> Result<ArrayRef> {
    let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
    let key_rows = converter.convert_columns(&[Arc::clone(keys)])?;
    let (mut key_at, mut value_at, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        valid.push(row.is_some());
        let mut seen = HashMap::new();
        for (key, value) in row.into_iter().flatten() {
            if keys.is_null(key as usize) {
                return exec_err!("a map's key cannot be NULL");
            }
            if seen.insert(key_rows.row(key as usize).as_ref().to_vec(), ()).is_some() {
                if twice == Twice::Fails {
                    return exec_err!("a map cannot have a key twice");
                }
                continue;
            }
            key_at.push(key);
            value_at.push(value);
        }
        lengths.push(seen.len());
    }
    let columns =
        vec![take(keys, &UInt32Array::from(key_at), None)?, take(values, &UInt32Array::from(value_at), None)?];
    map_array(of, OffsetBuffer::from_lengths(lengths), columns, Some(NullBuffer::from(valid)))
}

fn map_of_arrays(a: &Arguments) -> Result<ArrayRef> {
    let (keys, values) = (a.whole(0)?, a.whole(1)?);
    let mut rows = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        if keys.is_null(row) || values.is_null(row) {
            rows.push(None);
            continue;
        }
        let (keys, values) = (range(&keys, row), range(&values, row));
        if keys.len() != values.len() {
            return exec_err!("function 'map' takes arrays of one length, not {} and {}", keys.len(), values.len());
        }
        rows.push(Some(keys.zip(values).map(|(key, value)| (key as u32, value as u32)).collect()));
    }
    build(&a.returns, keys.as_list::<i32>().values(), values.as_list::<i32>().values(), rows, Twice::Fails)
}

fn from_pairs(a: &Arguments, twice: Twice) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let pairs = of.as_list::<i32>().values();
    let columns = pairs.as_struct().columns();
    let entries =
        |row: usize| of.is_valid(row).then(|| range(&of, row).map(|pair| (pair as u32, pair as u32)).collect());
    build(&a.returns, &columns[0], &columns[1], (0..a.rows).map(entries).collect(), twice)
}

/// The same values with the entries of each map in the order of their keys.
fn ordered(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Map(..) => {
            let map = array.as_map();
            let keys = RowConverter::new(vec![SortField::new(map.keys().data_type().clone())])?
                .convert_columns(&[Arc::clone(map.keys())])?;
            let mut entries: Vec<u32> = Vec::with_capacity(map.entries().len());
            let mut lengths = Vec::with_capacity(array.len());
            for row in 0..array.len() {
                let start = entries.len();
                entries.extend(range(array, row).map(|entry| entry as u32));
                entries[start..].sort_by(|left, right| keys.row(*left as usize).cmp(&keys.row(*right as usize)));
                lengths.push(entries.len() - start);
            }
            let entries = UInt32Array::from(entries);
            let columns = vec![take(map.keys(), &entries, None)?, ordered(&take(map.values(), &entries, None)?)?];
            map_array(array.data_type(), OffsetBuffer::from_lengths(lengths), columns, map.nulls().cloned())?
        }
        DataType::Struct(fields) => {
            let row = array.as_struct();
            let columns = row.columns().iter().map(ordered).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new(fields.clone(), columns, row.nulls().cloned())?)
        }
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, ordered(list.values())?, nulls)?)
        }
        _ => Arc::clone(array),
    })
}

/// Groups the items of each row by key: the first of each, and all of each.
fn groups(keys: &ArrayRef, of: &ArrayRef) -> Result<Vec<Option<Vec<Vec<u32>>>>> {
    let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
    let key_rows = converter.convert_columns(&[Arc::clone(keys)])?;
    let group = |row: usize| {
        of.is_valid(row).then(|| {
            let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
            let mut groups: Vec<Vec<u32>> = Vec::new();
            for item in range(of, row) {
                let place = *places.entry(key_rows.row(item).as_ref().to_vec()).or_insert(groups.len());
                if place == groups.len() {
                    groups.push(Vec::new());
                }
                groups[place].push(item as u32);
            }
            groups
        })
    };
    Ok((0..of.len()).map(group).collect())
}

fn multimap(a: &Arguments) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let columns = of.as_list::<i32>().values().as_struct().columns();
    let groups = groups(&columns[0], &of)?;
    let firsts: Vec<u32> = groups.iter().flatten().flatten().map(|group| group[0]).collect();
    let items: Vec<u32> = groups.iter().flatten().flatten().flatten().copied().collect();
    let lengths = groups.iter().flatten().flatten().map(Vec::len);
    let field = Arc::new(Field::new_list_field(columns[1].data_type().clone(), true));
    let items = take(&columns[1], &UInt32Array::from(items), None)?;
    let lists = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), items, None)?;
    grouped(a, &groups, take(&columns[0], &UInt32Array::from(firsts), None)?, Arc::new(lists))
}

fn histogram(a: &Arguments) -> Result<ArrayRef> {
    let of = a.whole(0)?;
    let items = of.as_list::<i32>().values();
    let groups = groups(items, &of)?;
    let firsts: Vec<u32> = groups.iter().flatten().flatten().map(|group| group[0]).collect();
    let counts: Int64Array = groups.iter().flatten().flatten().map(|group| Some(group.len() as i64)).collect();
    grouped(a, &groups, take(items, &UInt32Array::from(firsts), None)?, Arc::new(counts))
}

fn grouped(a: &Arguments, groups: &[Option<Vec<Vec<u32>>>], keys: ArrayRef, values: ArrayRef) -> Result<ArrayRef> {
    let lengths = groups.iter().map(|groups| groups.as_ref().map_or(0, Vec::len));
    let valid: Vec<bool> = groups.iter().map(Option::is_some).collect();
    map_array(&a.returns, OffsetBuffer::from_lengths(lengths), vec![keys, values], Some(valid.into()))
}

/// Later maps win.
fn map_concat(a: &Arguments) -> Result<ArrayRef> {
    let maps = (0..a.len()).map(|index| a.whole(index)).collect::<Result<Vec<_>>>()?;
    let columns = |column: usize| {
        let parts: Vec<_> = maps.iter().map(|map| map.as_map().entries().column(column).as_ref()).collect();
        datafusion::arrow::compute::concat(&parts)
    };
    let (keys, values) = (columns(0)?, columns(1)?);
    let mut starts = Vec::new();
    let mut start = 0;
    for map in &maps {
        starts.push(start);
        start += map.as_map().entries().len();
    }
    let entries = |row: usize| {
        maps.iter().all(|map| map.is_valid(row)).then(|| {
            let of = maps.iter().zip(&starts).rev();
            of.flat_map(|(map, start)| range(map, row).map(move |at| ((start + at) as u32, (start + at) as u32)))
                .collect()
        })
    };
    build(&a.returns, &keys, &values, (0..a.rows).map(entries).collect(), Twice::First)
}
