//! Operators and field access where Trino and Lake differ from the planner.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::error::StatementError;
use crate::functions::{self, is_numeric, is_text, is_time};
use crate::types::{TIMESTAMP, name};

#[derive(Debug)]
pub(crate) struct LakeOperators;

impl ExprPlanner for LakeOperators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        match raw.op {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => compare(raw, &left, &right).map(PlannerResult::Original),
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => {
                if is_text(&left) || is_text(&right) || left == DataType::Boolean || right == DataType::Boolean {
                    return Err(mismatch(&raw.op, &left, &right).into());
                }
                Ok(PlannerResult::Original(raw))
            }
            BinaryOperator::StringConcat if is_textual(&left) && is_textual(&right) => {
                Ok(PlannerResult::Planned(functions::call("concat", vec![raw.left, raw.right])))
            }
            _ => Ok(PlannerResult::Original(raw)),
        }
    }

    fn plan_field_access(
        &self,
        raw: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let GetFieldAccess::NamedStructField { name: ScalarValue::Utf8(Some(wanted)) } = &raw.field_access else {
            return Ok(PlannerResult::Original(raw));
        };
        let of = raw.expr.get_type(schema)?;
        let DataType::Struct(fields) = &of else {
            let problem = format!("a value of type {} has no field '{wanted}'", name(&of));
            let hint = if matches!(of, DataType::Map(..)) { "; take element_at(map, key)" } else { "" };
            return Err(StatementError::Invalid(format!("{problem}{hint}")).into());
        };
        match fields.iter().find(|field| field.name().eq_ignore_ascii_case(wanted)) {
            Some(field) => Ok(PlannerResult::Planned(raw.expr.field(field.name().as_str()))),
            None => Err(StatementError::UnknownColumn { name: wanted.clone(), location: None }.into()),
        }
    }
}

fn is_textual(of: &DataType) -> bool {
    is_text(of) || *of == DataType::Null
}

fn mismatch(op: &BinaryOperator, left: &DataType, right: &DataType) -> StatementError {
    let (left, right) = (name(left), name(right));
    StatementError::Invalid(format!("operator {op} cannot be applied to {left} and {right}; use CAST"))
}

/// Both sides of a comparison in one type.
pub(crate) fn compare(mut raw: RawBinaryExpr, left: &DataType, right: &DataType) -> Result<RawBinaryExpr> {
    if *left == DataType::Null || *right == DataType::Null {
        return Ok(raw);
    }
    let (json_left, json_right) = (*left == DataType::LargeUtf8, *right == DataType::LargeUtf8);
    if json_left && !json_right {
        raw.left = json_as(raw.left, right);
    } else if json_right && !json_left {
        raw.right = json_as(raw.right, left);
    } else if is_text(left) && !is_text(right) {
        raw.left = text_as(raw.left, right).ok_or_else(|| mismatch(&raw.op, left, right))??;
        raw.right = as_timestamp_beside(raw.right, right, &raw.left);
    } else if is_text(right) && !is_text(left) {
        raw.right = text_as(raw.right, left).ok_or_else(|| mismatch(&raw.op, left, right))??;
        raw.left = as_timestamp_beside(raw.left, left, &raw.right);
    } else if (*left == DataType::Boolean) != (*right == DataType::Boolean) {
        return Err(mismatch(&raw.op, left, right).into());
    }
    Ok(raw)
}

/// A JSON value beside one of type `other`: a scalar as that, anything else as its text.
fn json_as(json: Expr, other: &DataType) -> Expr {
    let target = if *other == DataType::Boolean {
        "boolean"
    } else if is_numeric(other) {
        "double"
    } else {
        "varchar"
    };
    functions::call("try_cast", vec![json, lit(target)])
}

/// Text beside a value of another type: Lake takes `eventTime > '2023-01-22'` and `sessionCredentialFromConsole =
/// true`.
fn text_as(text: Expr, other: &DataType) -> Option<Result<Expr>> {
    if *other == DataType::Boolean {
        return Some(Ok(functions::call("try_cast", vec![text, lit("boolean")])));
    }
    if !is_time(other) {
        return None;
    }
    let Expr::Literal(ScalarValue::Utf8(Some(value)) | ScalarValue::Utf8View(Some(value)), _) = &text else {
        return Some(Ok(functions::call("cast", vec![text, lit("timestamp")])));
    };
    Some(match functions::parse_timestamp(value) {
        // In the zone of the column, so that the column is compared as it is stored.
        Some(micros) => Ok(lit(ScalarValue::TimestampMicrosecond(Some(micros), zone(other)))),
        None => Err(StatementError::Invalid(format!("'{value}' is not a time such as '2026-01-02 03:04:05'")).into()),
    })
}

fn zone(of: &DataType) -> Option<Arc<str>> {
    match of {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    }
}

/// A date that stands beside a timestamp is that day's start.
fn as_timestamp_beside(value: Expr, of: &DataType, other: &Expr) -> Expr {
    let beside_time = !matches!(other, Expr::ScalarFunction(function) if function.name() == "try_cast");
    if beside_time && matches!(of, DataType::Date32 | DataType::Date64) { cast(value, TIMESTAMP) } else { value }
}

/// The planners, ours first.
pub(crate) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(LakeOperators)];
    planners.extend(datafusion::execution::SessionStateDefaults::default_expr_planners());
    planners
}
