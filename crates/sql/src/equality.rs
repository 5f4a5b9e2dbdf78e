//! Two maps are equal whatever the order of their entries: records have the members of their objects in any order, and the
//! planner's groups compare what it sees.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};

use crate::functions;

/// `plan` with the entries of maps in order wherever it groups by them or keeps what is distinct.
pub(crate) fn order_maps(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(order_in)?.data)
}

fn order_in(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            let schema = Arc::clone(aggregate.input.schema());
            let mut groups = Vec::with_capacity(aggregate.group_expr.len());
            let mut has_map = false;
            for group in &aggregate.group_expr {
                let is_plain = !matches!(group, Expr::GroupingSet(_));
                let orders = is_plain && contains_map(&group.get_type(schema.as_ref())?);
                has_map |= orders;
                groups.push(if orders { ordered(group.clone()) } else { group.clone() });
            }
            if !has_map {
                return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
            }
            let aggregate = Aggregate::try_new(aggregate.input, groups, aggregate.aggr_expr)?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
        }
        LogicalPlan::Distinct(Distinct::All(input)) if fields_with_maps(&input) => {
            let columns = input.schema().columns().into_iter().zip(input.schema().fields());
            let columns = columns.map(|(column, field)| {
                let column = Expr::Column(column);
                if contains_map(field.data_type()) { ordered(column) } else { column }
            });
            let columns: Vec<Expr> = columns.collect();
            let plan = LogicalPlanBuilder::from(input).project(columns)?.distinct()?.build()?;
            Ok(Transformed::yes(plan))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn fields_with_maps(plan: &LogicalPlan) -> bool {
    plan.schema().fields().iter().any(|field| contains_map(field.data_type()))
}

fn contains_map(of: &DataType) -> bool {
    match of {
        DataType::Map(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| contains_map(field.data_type())),
        DataType::List(item) => contains_map(item.data_type()),
        _ => false,
    }
}

/// Under the name that it has: what refers to it goes on to.
fn ordered(expr: Expr) -> Expr {
    let (relation, name) = expr.qualified_name();
    Expr::Alias(Alias::new(functions::call("ordered", vec![expr]), relation, name))
}
