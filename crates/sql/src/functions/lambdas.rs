//! Functions that take lambdas, beside the planner's `transform`, `filter` and `any_match`.

use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
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
use crate::error::StatementError;
use crate::types::{map_of, name};

const NAMES: &[(&str, Kind)] = &[
    ("map_filter", Kind::MapFilter),
    ("reduce", Kind::Reduce),
    ("transform_keys", Kind::TransformKeys),
    ("transform_values", Kind::TransformValues),
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
    MapFilter,
    Reduce,
    TransformKeys,
    TransformValues,
}

impl Kind {
    fn arguments(self) -> Vec<ValueOrLambda<(), ()>> {
        let (value, lambda) = (ValueOrLambda::Value(()), ValueOrLambda::Lambda(()));
        match self {
            Self::Reduce => vec![value.clone(), value, lambda.clone(), lambda],
            Self::MapFilter | Self::TransformKeys | Self::TransformValues => vec![value, lambda],
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
            Kind::Reduce => {
                let DataType::List(item) = of else {
                    let problem = format!("function 'reduce' takes an array, not {}", name(&of));
                    return Err(StatementError::Invalid(problem).into());
                };
                let state = parameter("state", value_type(fields, 1)?);
                vec![vec![Arc::clone(&state), parameter("item", item.data_type().clone())], vec![state]]
            }
            Kind::MapFilter | Kind::TransformKeys | Kind::TransformValues => {
                let (key, value) = entry(&of)?;
                vec![vec![parameter("key", key), parameter("value", value)]]
            }
        }))
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        let of = value_type(args.arg_fields, 0)?;
        let returns = match self.kind {
            Kind::MapFilter => of,
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
            ) => reduce(&list.to_array(args.number_rows)?, start.to_array(args.number_rows)?, step, end)?,
            (kind, [ValueOrLambda::Value(map), ValueOrLambda::Lambda(lambda)]) => {
                over_entries(kind, &map.to_array(args.number_rows)?, lambda, args.return_type())?
            }
            _ => return exec_err!("function '{}' got other arguments than it takes", self.name),
        };
        Ok(ColumnarValue::Array(result))
    }
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
    let result = lambda.evaluate(&[&key, &value], |captured| Ok(take_arrays(captured, &rows, None)?))?;
    let result = result.into_array(entries.len())?;
    let nulls = map.nulls().cloned();
    match kind {
        Kind::TransformValues => map_array(returns, OffsetBuffer::from_lengths(lengths), vec![keys, result], nulls),
        Kind::TransformKeys => {
            if result.null_count() > 0 {
                return exec_err!("a map's key cannot be NULL");
            }
            map_array(returns, OffsetBuffer::from_lengths(lengths), vec![result, values], nulls)
        }
        Kind::MapFilter | Kind::Reduce => {
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
        let next = next.into_array(rows.len())?;
        let mut places: Vec<u32> = (0..of.len() as u32).collect();
        for (place, row) in rows.into_iter().enumerate() {
            places[row as usize] = (of.len() + place) as u32;
        }
        state = take(&concat(&[&state, &next])?, &UInt32Array::from(places), None)?;
    }
    let last = Arc::clone(&state);
    let result = end.evaluate(&[&|| Ok(Arc::clone(&last))], |captured| Ok(captured.to_vec()))?.into_array(of.len())?;
    // The result of no array is NULL.
    let valid: BooleanArray = (0..of.len()).map(|row| Some(of.is_null(row))).collect();
    Ok(datafusion::arrow::compute::nullif(&result, &valid)?)
}
