//! How our scalar functions are told to the planner: a table of names, parameters, results and work.

use std::hash::{Hash, Hasher};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

use super::tally::{Tally, bytes_of, into_rows, is_exhausted};
use super::{cast, collections, is_json, is_numeric, is_text, is_time, json, maps, regexes, strings, times};
use crate::types::{TIMESTAMP, name};

/// What a parameter takes; the planner casts to the type given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum P {
    /// `Utf8`.
    Text,
    /// JSON, or text that holds some: `Utf8` or `LargeUtf8`.
    Json,
    /// `Int64`.
    Int,
    /// `Float64`.
    Double,
    /// A timestamp in microseconds; dates and text become one.
    Time,
    /// A timestamp in microseconds or a date in days.
    TimeOrDate,
    /// A list.
    List,
    /// A map.
    Map,
    /// Any type.
    Any,
}

/// The type of a result, from the arguments' types and those that are constants.
type Returns = fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>;

type Run = fn(&Arguments) -> Result<ArrayRef>;

/// One of our functions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [P],
    /// How many parameters at the end may be left out.
    pub(super) optional: usize,
    /// Whether the last one may stand again and again.
    pub(super) repeats: bool,
    pub(super) returns: Returns,
    pub(super) run: Run,
}

impl Function {
    pub(super) const fn new(name: &'static str, parameters: &'static [P], returns: Returns, run: Run) -> Self {
        Self { name, parameters, optional: 0, repeats: false, returns, run }
    }

    pub(super) const fn optional(mut self, count: usize) -> Self {
        self.optional = count;
        self
    }

    pub(super) const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }
}

/// All of ours.
fn table() -> impl Iterator<Item = &'static Function> {
    [cast::TABLE, collections::TABLE, json::TABLE, maps::TABLE, regexes::TABLE, strings::TABLE, times::TABLE]
        .into_iter()
        .flatten()
}

/// Each of ours, and as it is within `TRY`.
pub(super) fn ours() -> impl Iterator<Item = ScalarUDF> {
    table().flat_map(|function| {
        [Failing::Fails, Failing::IsNull].map(|failing| {
            let name = if failing == Failing::Fails { function.name.to_owned() } else { safe_name(function.name) };
            let signature = Signature::user_defined(Volatility::Immutable);
            ScalarUDF::new_from_impl(Scalar { name, function: *function, failing, signature })
        })
    })
}

/// What a failing row comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failing {
    Fails,
    /// As within `TRY`.
    IsNull,
}

/// The name of the function that gives NULL where `name` fails.
pub(super) fn safe_name(name: &str) -> String {
    format!("{name} or null")
}

pub(super) fn is_ours(name: &str) -> bool {
    table().any(|function| function.name == name)
}

#[derive(Debug)]
struct Scalar {
    name: String,
    function: Function,
    failing: Failing,
    signature: Signature,
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (name, parameters) = (self.function.name, self.function.parameters);
        let least = parameters.len() - self.function.optional;
        let fits = types.len() >= least && (self.function.repeats || types.len() <= parameters.len());
        if !fits {
            let most = parameters.len();
            let wants = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return plan_err!("function '{name}' takes {wants} arguments, not {}", types.len());
        }
        let parameter = |index: usize| parameters.get(index).or(parameters.last()).copied().unwrap_or(P::Any);
        types.iter().enumerate().map(|(index, of)| coerce(name, index, parameter(index), of)).collect()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        (self.function.returns)(types, &vec![None; types.len()])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let returns = (self.function.returns)(&types, args.scalar_arguments)?;
        Ok(Arc::new(Field::new(self.function.name, returns, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let returns = args.return_type().clone();
        let arguments = Arguments { name: self.function.name, values: args.args, rows, returns };
        let result = match ((self.function.run)(&arguments), self.failing) {
            (Err(error), Failing::IsNull) if !is_exhausted(&error) => row_by_row(self.function.run, &arguments)?,
            (result, _) => result?,
        };
        Tally::default().add_all(bytes_of(&*result))?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// The rows that do not fail.
fn row_by_row(run: Run, arguments: &Arguments) -> Result<ArrayRef> {
    let (mut parts, mut tally) = (Vec::with_capacity(arguments.rows), Tally::default());
    for row in 0..arguments.rows {
        let values = arguments.values.iter().map(|value| match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(row, 1)),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
        });
        let (name, returns) = (arguments.name, arguments.returns.clone());
        let one = Arguments { name, values: values.collect(), rows: 1, returns };
        let part = match run(&one) {
            Err(error) if is_exhausted(&error) => return Err(error),
            part => part.unwrap_or_else(|_| new_null_array(&arguments.returns, 1)),
        };
        tally.add_all(bytes_of(&*part))?;
        parts.push(part);
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    Ok(datafusion::arrow::compute::concat(&parts)?)
}

fn coerce(function: &str, index: usize, parameter: P, of: &DataType) -> Result<DataType> {
    let is_null = *of == DataType::Null;
    let (wanted, target) = match parameter {
        P::Text if is_text(of) || is_null => return Ok(DataType::Utf8),
        P::Text => ("varchar", None),
        P::Json if is_json(of) => return Ok(DataType::LargeUtf8),
        P::Json if is_text(of) || is_null => return Ok(DataType::Utf8),
        P::Json => ("json or varchar", None),
        P::Int => ("bigint", (is_null || of.is_integer()).then_some(DataType::Int64)),
        P::Double => ("double", (is_null || is_numeric(of)).then_some(DataType::Float64)),
        P::Time => ("timestamp", (is_null || is_time(of) || is_text(of)).then_some(TIMESTAMP)),
        P::TimeOrDate => match of {
            DataType::Date32 | DataType::Date64 => return Ok(DataType::Date32),
            _ => ("timestamp", (is_null || is_time(of) || is_text(of)).then_some(TIMESTAMP)),
        },
        P::List => match of {
            DataType::List(_) => return Ok(of.clone()),
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                return Ok(DataType::List(Arc::clone(item)));
            }
            DataType::Null => return Ok(DataType::new_list(DataType::Null, true)),
            _ => ("array", None),
        },
        P::Map => match of {
            DataType::Map(..) => return Ok(of.clone()),
            DataType::Null => return Ok(crate::types::map_of(DataType::Utf8, DataType::Utf8)),
            _ => ("map", None),
        },
        P::Any => return Ok(of.clone()),
    };
    match target {
        Some(target) => Ok(target),
        None => {
            let (at, has) = (index + 1, name(of));
            plan_err!("function '{function}' takes {wanted} as argument {at}, not {has}")
        }
    }
}

/// What a function is called with.
pub(super) struct Arguments {
    pub(super) name: &'static str,
    values: Vec<ColumnarValue>,
    /// Rows of the result.
    pub(super) rows: usize,
    /// Its type.
    pub(super) returns: DataType,
}

/// The values of an argument: an array, or a constant for every row.
pub(super) struct Column<A> {
    array: A,
    is_constant: bool,
}

impl<A> Column<A> {
    pub(super) fn index(&self, row: usize) -> usize {
        if self.is_constant { 0 } else { row }
    }

    pub(super) fn is_constant(&self) -> bool {
        self.is_constant
    }

    pub(super) fn array(&self) -> &A {
        &self.array
    }
}

impl Column<StringArray> {
    pub(super) fn at(&self, row: usize) -> Option<&str> {
        let row = self.index(row);
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}

impl Column<Int64Array> {
    pub(super) fn at(&self, row: usize) -> Option<i64> {
        let row = self.index(row);
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}

impl Column<Float64Array> {
    pub(super) fn at(&self, row: usize) -> Option<f64> {
        let row = self.index(row);
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}

impl Arguments {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn of(&self, index: usize) -> DataType {
        self.values[index].data_type()
    }

    /// The argument whatever its type.
    pub(super) fn any(&self, index: usize) -> Result<Column<ArrayRef>> {
        Ok(match &self.values[index] {
            ColumnarValue::Array(array) => Column { array: Arc::clone(array), is_constant: false },
            ColumnarValue::Scalar(value) => Column { array: value.to_array_of_size(1)?, is_constant: true },
        })
    }

    /// The argument as an array of as many rows as the result.
    pub(super) fn whole(&self, index: usize) -> Result<ArrayRef> {
        into_rows(&self.values[index], self.rows)
    }

    /// Text, or JSON as text.
    pub(super) fn text(&self, index: usize) -> Result<Column<StringArray>> {
        let Column { array, is_constant } = self.any(index)?;
        let array = match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().clone(),
            _ => datafusion::arrow::compute::cast(&array, &DataType::Utf8)?.as_string::<i32>().clone(),
        };
        Ok(Column { array, is_constant })
    }

    pub(super) fn int(&self, index: usize) -> Result<Column<Int64Array>> {
        let Column { array, is_constant } = self.any(index)?;
        let array = array.as_primitive_opt::<Int64Type>().ok_or_else(|| self.wrong(index))?.clone();
        Ok(Column { array, is_constant })
    }

    pub(super) fn double(&self, index: usize) -> Result<Column<Float64Array>> {
        let Column { array, is_constant } = self.any(index)?;
        let array = array.as_primitive_opt::<Float64Type>().ok_or_else(|| self.wrong(index))?.clone();
        Ok(Column { array, is_constant })
    }

    /// Microseconds since the epoch, of a timestamp or a date.
    pub(super) fn micros(&self, index: usize) -> Result<Column<Int64Array>> {
        let Column { array, is_constant } = self.any(index)?;
        let array = datafusion::arrow::compute::cast(&array, &TIMESTAMP)?;
        let array = array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>();
        Ok(Column { array, is_constant })
    }

    fn wrong(&self, index: usize) -> datafusion::error::DataFusionError {
        exec_datafusion_err!("function '{}' got {} as argument {}", self.name, name(&self.of(index)), index + 1)
    }
}

pub(super) fn varchar(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Utf8)
}

pub(super) fn bigint(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Int64)
}

pub(super) fn double(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Float64)
}

pub(super) fn boolean(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Boolean)
}

pub(super) fn timestamp(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(TIMESTAMP)
}

pub(super) fn date(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Date32)
}

pub(super) fn first(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(types[0].clone())
}

/// The text of a constant.
pub(super) fn constant(value: Option<&ScalarValue>) -> Option<&str> {
    value.and_then(|value| value.try_as_str()).flatten()
}
