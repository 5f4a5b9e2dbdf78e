//! `IN` and `BETWEEN` compare as `=` and `<=` do: the planner has no hook for them, so they are mended in its plan.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::operators::compare;

/// `plan` with the values of lists and the bounds of ranges in the types that they are compared in.
pub(crate) fn compare_lists(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(compare_in)?.data)
}

fn compare_in(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = DFSchema::empty();
    for input in plan.inputs() {
        schema.merge(input.schema());
    }
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&scan.projected_schema);
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let compared = expr.transform_up(|expr| compare_one(expr, &schema))?;
        Ok(compared.update_data(|expr| name.restore(expr)))
    })
}

fn compare_one(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::InList(InList { expr, list, negated }) => {
            // What has a type of its own stays as it is for all of the list, as long as that fits each.
            let compared = list.iter().map(|item| pair(&expr, item, &BinaryOperator::Eq, schema));
            let compared = compared.collect::<Result<Vec<_>>>()?;
            if compared.iter().all(|(left, _)| *left == *expr) {
                let list = compared.into_iter().map(|(_, right)| right).collect();
                return Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })));
            }
            let equal = compared.into_iter().map(|(left, right)| left.eq(right)).reduce(Expr::or);
            let Some(equal) = equal else { return Ok(Transformed::no(Expr::InList(InList { expr, list, negated }))) };
            Ok(Transformed::yes(if negated { Expr::Not(Box::new(equal)) } else { equal }))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let (over, low) = pair(&expr, &low, &BinaryOperator::GtEq, schema)?;
            let (under, high) = pair(&expr, &high, &BinaryOperator::LtEq, schema)?;
            if over == *expr && under == *expr {
                let (low, high) = (Box::new(low), Box::new(high));
                return Ok(Transformed::yes(Expr::Between(Between { expr, negated, low, high })));
            }
            let between = over.gt_eq(low).and(under.lt_eq(high));
            Ok(Transformed::yes(if negated { Expr::Not(Box::new(between)) } else { between }))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn pair(left: &Expr, right: &Expr, op: &BinaryOperator, schema: &DFSchema) -> Result<(Expr, Expr)> {
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok((left.clone(), right.clone()));
    };
    let raw = RawBinaryExpr { op: op.clone(), left: left.clone(), right: right.clone() };
    let raw = compare(raw, &left_type, &right_type)?;
    Ok((raw.left, raw.right))
}
