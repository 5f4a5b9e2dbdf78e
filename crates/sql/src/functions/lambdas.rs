//! Functions that take lambdas.

use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, UInt32Array, new_null_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{self, concat, take, take_arrays};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF,
    HigherOrderUDFImpl, LambdaArgument, LambdaParametersProgress, ValueOrLambda, Volatility,
};

use super::cast::map_array;
use super::collections::range;
use super::tally::{Tally, into_rows, spread_bytes};
use crate::error::StatementError;
use crate::types::{map_of, name};

const NAMES: &[(&str, Kind)] = &[
    ("any_match", Kind::AnyMatch),
    ("filter", Kind::Filter),
    ("map_filter", Kind::MapFilter),
    ("reduce", Kind::Reduce),
    ("transform", Kind::Transform),
    ("transform_keys", Kind::TransformKeys),
    ("transform_values", Kind::TransformValues),
    ("zip_with", Kind::ZipWith),
];

pub(super) fn ours() -> impl Iterator<Item = HigherOrderUDF> {
    NAMES.iter().map(|(name, kind)| {
        let signature = HigherOrderSignature::exact(kind.arguments(), Volatility::Immutable);
        HigherOrderUDF::new_from_impl(LambdaFunction { name, kind: *kind, signature })
    })
}

pub(super) fn is_ours(name: &str) -> bool {
    NAMES.iter().any(|(known, _)| *known == name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    AnyMatch,
    Filter,
    MapFilter,
    Reduce,
    Transform,
    TransformKeys,
    TransformValues,
    ZipWith,
}

impl Kind {
    fn arguments(self) -> Vec<ValueOrLambda<(), ()>> {
        let (value, lambda) = (ValueOrLambda::Value(()), ValueOrLambda::Lambda(()));
        match self {
            Self::Reduce => vec![value.clone(), value, lambda.clone(), lambda],
            Self::ZipWith => vec![value.clone(), value, lambda],
            _ => vec![value, lambda],
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LambdaFunction {
    name: &'static str,
    kind: Kind,
    signature: HigherOrderSignature,
}

fn value_type<L>(fields: &[ValueOrLambda<FieldRef, L>], index: usize) -> Result<DataType> {
    match fields.get(index) {
        Some(ValueOrLambda::Value(field)) => Ok(field.data_type().clone()),
        _ => plan_err!("a value belongs at argument {}", index + 1),
    }
}

fn lambda_type(fields: &[ValueOrLambda<FieldRef, FieldRef>], index: usize) -> Result<DataType> {
    match fields.get(index) {
        Some(ValueOrLambda::Lambda(field)) => Ok(field.data_type().clone()),
        _ => plan_err!("a lambda belongs at argument {}", index + 1),
    }
}

fn entry(map: &DataType) -> Result<(DataType, DataType)> {
    if let DataType::Map(entries, _) = map
        && let DataType::Struct(fields) = entries.data_type()
    {
        return Ok((fields[0].data_type().clone(), fields[1].data_type().clone()));
    }
    Err(StatementError::Invalid(format!("a map is expected, not {}", name(map))).into())
}

fn parameter(name: &str, of: DataType) -> FieldRef {
    Arc::new(Field::new(name, of, true))
}

impl HigherOrderUDFImpl for LambdaFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let of = value_type(fields, 0)?;
        Ok(LambdaParametersProgress::Complete(match self.kind {
            Kind::AnyMatch | Kind::Filter | Kind::Transform => vec![vec![parameter("item", self.item(&of)?)]],
            Kind::ZipWith => {
                let other = self.item(&value_type(fields, 1)?)?;
                vec![vec![parameter("item", self.item(&of)?), parameter("other", other)]]
            }
            Kind::Reduce => {
                let item = self.item(&of)?;
                let state = parameter("state", value_type(fields, 1)?);
                vec![vec![Arc::clone(&state), parameter("item", item)], vec![state]]
            }
            Kind::MapFilter | Kind::TransformKeys | Kind::TransformValues => {
                let (key, value) = entry(&of)?;
                vec![vec![parameter("key", key), parameter("value", value)]]
            }
        }))
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let mut types = types.to_vec();
        let lists = if self.kind == Kind::ZipWith { 2 } else { 1 };
        for of in types.iter_mut().take(lists) {
            let list = match of {
                DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(Arc::clone(item)),
                _ => None,
            };
            if let Some(item) = list {
                *of = DataType::List(item);
            }
        }
        Ok(types)
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        let of = value_type(args.arg_fields, 0)?;
        let returns = match self.kind {
            Kind::AnyMatch => DataType::Boolean,
            Kind::Filter | Kind::MapFilter => of,
            Kind::Transform => DataType::new_list(lambda_type(args.arg_fields, 1)?, true),
            Kind::ZipWith => DataType::new_list(lambda_type(args.arg_fields, 2)?, true),
            Kind::TransformKeys => map_of(lambda_type(args.arg_fields, 1)?, entry(&of)?.1),
            Kind::TransformValues => map_of(entry(&of)?.0, lambda_type(args.arg_fields, 1)?),
            Kind::Reduce => {
                let (start, next) = (value_type(args.arg_fields, 1)?, lambda_type(args.arg_fields, 2)?);
                if start != next {
                    let (start, next) = (name(&start), name(&next));
                    let problem = format!("reduce starts with {start} and goes on with {next}; use CAST for the start");
                    return Err(StatementError::Invalid(problem).into());
                }
                lambda_type(args.arg_fields, 3)?
            }
        };
        Ok(Arc::new(Field::new(self.name, returns, true)))
    }

    /// They leave out what lies under a NULL themselves: a constant stays one, not a copy for each row.
    fn clear_null_values(&self) -> bool {
        false
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let result = match (self.kind, args.args.as_slice()) {
            (
                Kind::Reduce,
                [
                    ValueOrLambda::Value(list),
                    ValueOrLambda::Value(start),
                    ValueOrLambda::Lambda(step),
                    ValueOrLambda::Lambda(end),
                ],
            ) => reduce(&into_rows(list, args.number_rows)?, into_rows(start, args.number_rows)?, step, end)?,
            (
                Kind::ZipWith,
                [ValueOrLambda::Value(left), ValueOrLambda::Value(right), ValueOrLambda::Lambda(lambda)],
            ) => {
                let lists = [into_rows(left, args.number_rows)?, into_rows(right, args.number_rows)?];
                zip_with(&lists, lambda, args.return_type())?
            }
            (
                Kind::AnyMatch | Kind::Filter | Kind::Transform,
                [ValueOrLambda::Value(list), ValueOrLambda::Lambda(lambda)],
            ) => over_items(self, &into_rows(list, args.number_rows)?, lambda, args.return_type())?,
            (kind, [ValueOrLambda::Value(map), ValueOrLambda::Lambda(lambda)]) => {
                over_entries(kind, &into_rows(map, args.number_rows)?, lambda, args.return_type())?
            }
            _ => return exec_err!("function '{}' got other arguments than it takes", self.name),
        };
        Ok(ColumnarValue::Array(result))
    }
}

impl LambdaFunction {
    fn item(&self, of: &DataType) -> Result<DataType> {
        match of {
            DataType::List(item) => Ok(item.data_type().clone()),
            DataType::Null => Ok(DataType::Null),
            other => {
                let problem = format!("function '{}' takes an array, not {}", self.name, name(other));
                Err(StatementError::Invalid(problem).into())
            }
        }
    }
}

/// The values around a lambda beside each item or entry that it is called with: row `rows[n]` beside the n-th.
fn spread(captured: &[ArrayRef], rows: &UInt32Array, counts: &[usize]) -> Result<Vec<ArrayRef>> {
    Tally::default().add_all(captured.iter().map(|array| spread_bytes(array, counts)).sum())?;
    Ok(take_arrays(captured, rows, None)?)
}

/// The lambda's result for each item of each array, and what is made of it.
fn over_items(
    function: &LambdaFunction,
    of: &ArrayRef,
    lambda: &LambdaArgument,
    returns: &DataType,
) -> Result<ArrayRef> {
    let Some(list) = of.as_list_opt::<i32>() else { return Ok(new_null_array(returns, of.len())) };
    // Items under a NULL and outside of a slice are left out.
    let within = |row: usize| if of.is_valid(row) { range(of, row) } else { 0..0 };
    let lengths: Vec<usize> = (0..of.len()).map(|row| within(row).len()).collect();
    let rows: UInt32Array = (0..of.len()).flat_map(|row| within(row).map(move |_| Some(row as u32))).collect();
    let places: UInt32Array = (0..of.len()).flat_map(|row| within(row).map(|item| Some(item as u32))).collect();
    let items = take(list.values(), &places, None)?;
    let item = || Ok(Arc::clone(&items));
    let result = lambda.evaluate(&[&item], |captured| spread(captured, &rows, &lengths))?;
    let result = into_rows(&result, items.len())?;
    let nulls = list.nulls().cloned();
    if let (DataType::List(field), Kind::Transform) = (returns, function.kind) {
        let offsets = OffsetBuffer::from_lengths(lengths);
        return Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, result, nulls)?));
    }
    let result =
        if *result.data_type() == DataType::Null { new_null_array(&DataType::Boolean, result.len()) } else { result };
    let Some(meets) = result.as_boolean_opt() else {
        return exec_err!("the lambda of {} gives no boolean", function.name);
    };
    let mut at = 0;
    let mut next = |length: usize| {
        at += length;
        at - length..at
    };
    if let (DataType::List(field), Kind::Filter) = (returns, function.kind) {
        let kept = lengths
            .iter()
            .map(|length| next(*length).filter(|item| meets.is_valid(*item) && meets.value(*item)).count());
        let offsets = OffsetBuffer::from_lengths(kept.collect::<Vec<_>>());
        let keeps: BooleanArray = meets.iter().map(|keep| Some(keep == Some(true))).collect();
        let kept = compute::filter(&items, &keeps)?;
        return Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, kept, nulls)?));
    }
    // NULL where none meets it and one might.
    let any = |row: usize| {
        let within = next(lengths[row]);
        let is_met = within.clone().any(|item| meets.is_valid(item) && meets.value(item));
        let might = of.is_null(row) || within.clone().any(|item| meets.is_null(item));
        if is_met {
            Some(true)
        } else if might {
            None
        } else {
            Some(false)
        }
    };
    Ok(Arc::new((0..of.len()).map(any).collect::<BooleanArray>()))
}

/// The lambda's results for the items of two arrays at the same places; the shorter one has NULLs at its end.
fn zip_with(of: &[ArrayRef; 2], lambda: &LambdaArgument, returns: &DataType) -> Result<ArrayRef> {
    let [Some(left), Some(right)] = of.each_ref().map(|of| of.as_list_opt::<i32>()) else {
        return Ok(new_null_array(returns, of[0].len()));
    };
    let count = of[0].len();
    let within = |list: usize, row: usize| range(&of[list], row);
    let is_valid = |row: usize| of.iter().all(|of| of.is_valid(row));
    let length = |row: usize| if is_valid(row) { within(0, row).len().max(within(1, row).len()) } else { 0 };
    let lengths: Vec<usize> = (0..count).map(length).collect();
    let rows: UInt32Array = (0..count).flat_map(|row| std::iter::repeat_n(Some(row as u32), lengths[row])).collect();
    let places = |list: usize| -> UInt32Array {
        let of_row = |row: usize| (0..lengths[row]).map(move |at| within(list, row).nth(at).map(|item| item as u32));
        (0..count).flat_map(of_row).collect()
    };
    let (left, right) = (take(left.values(), &places(0), None)?, take(right.values(), &places(1), None)?);
    let (item, other) = (|| Ok(Arc::clone(&left)), || Ok(Arc::clone(&right)));
    let result = lambda.evaluate(&[&item, &other], |captured| spread(captured, &rows, &lengths))?;
    let result = into_rows(&result, rows.len())?;
    let DataType::List(field) = returns else { return exec_err!("zip_with gives an array") };
    let nulls = (0..count).map(is_valid).collect::<Vec<_>>().into();
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), result, Some(nulls))?))
}

/// The lambda's result for each entry of each map, and the maps made of it.
fn over_entries(kind: Kind, of: &ArrayRef, lambda: &LambdaArgument, returns: &DataType) -> Result<ArrayRef> {
    let map = of.as_map();
    // Entries under a NULL and outside of a slice are left out.
    let mut rows = Vec::new();
    let mut entries = Vec::new();
    let mut lengths = Vec::with_capacity(of.len());
    for row in 0..of.len() {
        let within = if of.is_valid(row) { range(of, row) } else { 0..0 };
        lengths.push(within.len());
        rows.extend(within.clone().map(|_| row as u32));
        entries.extend(within.map(|entry| entry as u32));
    }
    let (rows, entries) = (UInt32Array::from(rows), UInt32Array::from(entries));
    let keys = take(map.keys(), &entries, None)?;
    let values = take(map.values(), &entries, None)?;
    let (key, value) = (|| Ok(Arc::clone(&keys)), || Ok(Arc::clone(&values)));
    let result = lambda.evaluate(&[&key, &value], |captured| spread(captured, &rows, &lengths))?;
    let result = into_rows(&result, entries.len())?;
    let nulls = map.nulls().cloned();
    match kind {
        Kind::TransformValues => map_array(returns, OffsetBuffer::from_lengths(lengths), vec![keys, result], nulls),
        Kind::TransformKeys => {
            if result.null_count() > 0 {
                return exec_err!("a map's key cannot be NULL");
            }
            map_array(returns, OffsetBuffer::from_lengths(lengths), vec![result, values], nulls)
        }
        _ => {
            let Some(keeps) = result.as_boolean_opt() else {
                return exec_err!("the lambda of map_filter gives no boolean");
            };
            let keeps: BooleanArray = keeps.iter().map(|keep| Some(keep == Some(true))).collect();
            let mut at = 0;
            let kept = lengths.into_iter().map(|length| {
                let within = at..at + length;
                at += length;
                within.filter(|entry| keeps.value(*entry)).count()
            });
            let kept: Vec<usize> = kept.collect();
            let columns = vec![compute::filter(&keys, &keeps)?, compute::filter(&values, &keeps)?];
            map_array(returns, OffsetBuffer::from_lengths(kept), columns, nulls)
        }
    }
}

/// One step for all rows at a time, until the longest list is through.
fn reduce(of: &ArrayRef, mut state: ArrayRef, step: &LambdaArgument, end: &LambdaArgument) -> Result<ArrayRef> {
    let items = of.as_list::<i32>().values();
    let length = |row: usize| if of.is_valid(row) { range(of, row).len() } else { 0 };
    let longest = (0..of.len()).map(length).max().unwrap_or(0);
    for index in 0..longest {
        let rows: Vec<u32> = (0..of.len()).filter(|row| length(*row) > index).map(|row| row as u32).collect();
        let at: UInt32Array = rows.iter().map(|row| Some((range(of, *row as usize).start + index) as u32)).collect();
        let open = UInt32Array::from(rows.clone());
        let before = take(&state, &open, None)?;
        let item = take(items, &at, None)?;
        let (before, item) = (|| Ok(Arc::clone(&before)), || Ok(Arc::clone(&item)));
        let next = step.evaluate(&[&before, &item], |captured| Ok(take_arrays(captured, &open, None)?))?;
        let next = into_rows(&next, rows.len())?;
        let mut places: Vec<u32> = (0..of.len() as u32).collect();
        for (place, row) in rows.into_iter().enumerate() {
            places[row as usize] = (of.len() + place) as u32;
        }
        state = take(&concat(&[&state, &next])?, &UInt32Array::from(places), None)?;
    }
    let last = Arc::clone(&state);
    let result = end.evaluate(&[&|| Ok(Arc::clone(&last))], |captured| Ok(captured.to_vec()))?;
    let result = into_rows(&result, of.len())?;
    // The result of no array is NULL.
    let valid: BooleanArray = (0..of.len()).map(|row| Some(of.is_null(row))).collect();
    Ok(datafusion::arrow::compute::nullif(&result, &valid)?)
}
