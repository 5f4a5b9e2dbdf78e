//! `UNNEST` in `FROM`, which may name columns of what stands before it.
//!
//! Each array becomes one column, of row type for an array of rows; it has the name of the relation, so that both
//! `rt.tags` and `rt` work. A map becomes a column of keys and one of values.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, NullHandling, Result, TableReference, UnnestOptions};
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Join, JoinConstraint, JoinOperator, TableAlias, TableFactor, TableWithJoins, Value,
};

use crate::error::StatementError;
use crate::functions;
use crate::types::name;

#[derive(Debug)]
pub(crate) struct LakeRelations;

impl RelationPlanner for LakeRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } if last_unnest(&table_with_joins).is_some() => {
                plan_joins(*table_with_joins, context)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                let input = LogicalPlanBuilder::empty(true).build()?;
                let plan = unnest(input, alias, array_exprs, with_ordinality, false, context)?;
                Ok(planned(plan))
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

fn planned(plan: LogicalPlan) -> RelationPlanning {
    RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None)))
}

fn last_unnest(from: &TableWithJoins) -> Option<usize> {
    from.joins.iter().rposition(|join| matches!(join.relation, TableFactor::UNNEST { .. }))
}

/// What stands before the last `UNNEST` is a relation, that is unnested, and the joins behind it follow.
fn plan_joins(mut from: TableWithJoins, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
    let Some(at) = last_unnest(&from) else {
        let factor = TableFactor::NestedJoin { table_with_joins: Box::new(from), alias: None };
        return Ok(RelationPlanning::Original(Box::new(factor)));
    };
    let behind = from.joins.split_off(at + 1);
    if !behind.is_empty() {
        let relation = TableFactor::NestedJoin { table_with_joins: Box::new(from), alias: None };
        let outer = TableWithJoins { relation, joins: behind };
        let factor = TableFactor::NestedJoin { table_with_joins: Box::new(outer), alias: None };
        return Ok(RelationPlanning::Original(Box::new(factor)));
    }
    let Some(Join { relation: TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. }, join_operator, .. }) =
        from.joins.pop()
    else {
        return Err(StatementError::refused("this UNNEST").into());
    };
    let keeps = keeps_rows(&join_operator)?;
    let left = if from.joins.is_empty() {
        from.relation
    } else {
        TableFactor::NestedJoin { table_with_joins: Box::new(from), alias: None }
    };
    let left = context.plan(left)?;
    unnest(left, alias, array_exprs, with_ordinality, keeps, context).map(planned)
}

/// Whether rows with nothing to unnest stay: `LEFT JOIN UNNEST(…) ON TRUE`.
fn keeps_rows(operator: &JoinOperator) -> Result<bool> {
    let is_true = |constraint: &JoinConstraint| match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(SqlExpr::Value(value)) => value.value == Value::Boolean(true),
        _ => false,
    };
    match operator {
        JoinOperator::CrossJoin(JoinConstraint::None) => Ok(false),
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) if is_true(constraint) => Ok(false),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) if is_true(constraint) => Ok(true),
        _ => Err(StatementError::refused("UNNEST with another join than CROSS JOIN or LEFT JOIN ON TRUE").into()),
    }
}

fn unnest(
    input: LogicalPlan,
    alias: Option<TableAlias>,
    arrays: Vec<SqlExpr>,
    with_ordinality: bool,
    keeps_rows: bool,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = input.schema().clone();
    // Columns of the arrays: what to unnest, and which fields of an item are columns.
    let mut lists: Vec<(Expr, Item)> = Vec::new();
    for array in arrays {
        let expr = context.sql_to_expr(array, &schema)?;
        lists.push(match expr.get_type(&schema)? {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                match item.data_type() {
                    DataType::Struct(fields) => {
                        (expr, Item::Row(fields.iter().map(|field| field.name().clone()).collect()))
                    }
                    _ => (expr, Item::Value),
                }
            }
            DataType::Map(..) => (functions::call("map_entries", vec![expr]), Item::Entry),
            other => {
                let problem = format!("UNNEST takes arrays and maps, not a value of type {}", name(&other));
                return Err(StatementError::Invalid(problem).into());
            }
        });
    }
    if with_ordinality {
        let counted = lists.iter().map(|(list, _)| list.clone()).collect();
        lists.push((functions::call("ordinals", vec![functions::call("longest", counted)]), Item::Value));
    }
    let names = Names::new(alias, &lists, with_ordinality, context)?;
    let mut below: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    let hidden = |index: usize| format!("unnest_{}_{index}", names.relation);
    below.extend(lists.iter().enumerate().map(|(index, (list, _))| list.clone().alias(hidden(index))));
    let columns = (0..lists.len()).map(|index| Column::new_unqualified(hidden(index))).collect();
    let null_handling = if keeps_rows { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop };
    let options = UnnestOptions { null_handling, ..UnnestOptions::default() };
    let unnested = LogicalPlanBuilder::from(input).project(below)?.unnest_columns_with_options(columns, options)?;
    let mut above: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    let mut given = names.columns.into_iter();
    let relation = TableReference::bare(names.relation.clone());
    for (index, (_, item)) in lists.iter().enumerate() {
        let column = Expr::Column(Column::new_unqualified(hidden(index)));
        let parts: Vec<Expr> = match item {
            Item::Value => vec![column],
            Item::Entry => vec![column.clone().field("key"), column.field("value")],
            Item::Row(fields) if names.expands => {
                fields.iter().map(|field| column.clone().field(field.as_str())).collect()
            }
            Item::Row(_) => vec![column],
        };
        above.extend(
            parts.into_iter().zip(&mut given).map(|(part, name)| part.alias_qualified(Some(relation.clone()), name)),
        );
    }
    unnested.project(above)?.build()
}

/// What an array's items are.
enum Item {
    Value,
    Row(Vec<String>),
    /// Of a map.
    Entry,
}

struct Names {
    relation: String,
    columns: Vec<String>,
    /// Rows become a column per field.
    expands: bool,
}

impl Names {
    fn new(
        alias: Option<TableAlias>,
        lists: &[(Expr, Item)],
        with_ordinality: bool,
        context: &dyn RelationPlannerContext,
    ) -> Result<Self> {
        let relation =
            alias.as_ref().map_or_else(|| "unnest".to_owned(), |alias| context.normalize_ident(alias.name.clone()));
        let given: Vec<String> = alias
            .into_iter()
            .flat_map(|alias| alias.columns)
            .map(|column| context.normalize_ident(column.name))
            .collect();
        let width = |expands: bool| {
            let of = |item: &Item| match item {
                Item::Value => 1,
                Item::Entry => 2,
                Item::Row(fields) => {
                    if expands {
                        fields.len()
                    } else {
                        1
                    }
                }
            };
            lists.iter().map(|(_, item)| of(item)).sum::<usize>()
        };
        if given.is_empty() {
            let mut columns: Vec<String> = Vec::new();
            for (index, (_, item)) in lists.iter().enumerate() {
                let is_ordinal = with_ordinality && index + 1 == lists.len();
                match item {
                    Item::Entry => columns.extend(["key".to_owned(), "value".to_owned()]),
                    _ if is_ordinal => columns.push("ordinality".to_owned()),
                    _ if index == 0 => columns.push(relation.clone()),
                    _ => columns.push(format!("{relation}_{index}")),
                }
            }
            return Ok(Self { relation, columns, expands: false });
        }
        let expands = match (width(true) == given.len(), width(false) == given.len()) {
            (_, true) => false,
            (true, false) => true,
            (false, false) => {
                let wants = width(false);
                let problem = format!("UNNEST gives {wants} columns here, and {} have names", given.len());
                return Err(StatementError::Invalid(problem).into());
            }
        };
        Ok(Self { relation, columns: given, expands })
    }
}
