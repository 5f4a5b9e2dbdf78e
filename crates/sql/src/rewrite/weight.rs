//! What a query comes to once `WITH` queries and sub-queries are put in place: short text can name a lot.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, Visit, Visitor,
};

use crate::bounds;
use crate::error::StatementError;

/// Refuses a query that multiplies beyond [`bounds`].
pub(crate) fn weigh(query: &Query) -> Result<(), StatementError> {
    let weight = of_query(query, &BTreeMap::new());
    let beyond = [
        (weight.relations > bounds::RELATIONS, "relations"),
        (weight.columns > bounds::COLUMNS, "columns"),
        (weight.substitutions > bounds::SUBSTITUTIONS, "expressions"),
    ];
    match beyond.iter().find(|(beyond, _)| *beyond) {
        Some((_, what)) => {
            Err(StatementError::TooComplex(format!("comes to too many {what} once its sub-queries are put in place")))
        }
        None => Ok(()),
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    relations: u64,
    columns: u64,
    substitutions: u64,
}

impl Weight {
    fn beside(self, other: Self) -> Self {
        Self {
            relations: self.relations.saturating_add(other.relations),
            columns: self.columns.saturating_add(other.columns),
            substitutions: self.substitutions.max(other.substitutions),
        }
    }
}

type Named = BTreeMap<String, Weight>;

fn of_query(query: &Query, around: &Named) -> Weight {
    let mut named = around.clone();
    for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
        let weight = of_query(&cte.query, &named);
        named.insert(cte.alias.name.value.to_lowercase(), weight);
    }
    of_set(&query.body, &named)
}

fn of_set(body: &SetExpr, named: &Named) -> Weight {
    match body {
        SetExpr::Select(select) => of_select(select, named),
        SetExpr::Query(query) => of_query(query, named),
        SetExpr::SetOperation { left, right, .. } => {
            let (left, right) = (of_set(left, named), of_set(right, named));
            Weight { columns: left.columns.max(right.columns), ..left.beside(right) }
        }
        SetExpr::Values(values) => {
            let columns = values.rows.first().map_or(0, |row| row.content.len() as u64);
            Weight { relations: 1, columns, substitutions: 1 }
        }
        _ => Weight::default(),
    }
}

fn of_select(select: &Select, named: &Named) -> Weight {
    let nothing = Weight { relations: 0, columns: 0, substitutions: 1 };
    let from = select.from.iter().fold(nothing, |sum, from| sum.beside(of_joins(from, named)));
    let (mut columns, mut most, mut inner) = (0_u64, 1, Weight::default());
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                columns = columns.saturating_add(from.columns)
            }
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                columns += 1;
                most = most.max(mentions(expr));
            }
            SelectItem::ExprWithAliases { .. } => columns += 1,
        }
    }
    let mut queries = SubQueries { named, sum: &mut inner, depth: 0 };
    let _: ControlFlow<()> = select.projection.visit(&mut queries);
    let _: ControlFlow<()> = select.selection.visit(&mut queries);
    let _: ControlFlow<()> = select.having.visit(&mut queries);
    let _: ControlFlow<()> = select.group_by.visit(&mut queries);
    Weight {
        relations: from.relations.saturating_add(inner.relations),
        columns,
        substitutions: from.substitutions.max(inner.substitutions).saturating_mul(most),
    }
}

fn of_joins(from: &TableWithJoins, named: &Named) -> Weight {
    let first = of_factor(&from.relation, named);
    from.joins.iter().fold(first, |sum, join| sum.beside(of_factor(&join.relation, named)))
}

fn of_factor(factor: &TableFactor, named: &Named) -> Weight {
    let store = Weight { relations: 1, columns: bounds::STORE_COLUMNS, substitutions: 1 };
    match factor {
        TableFactor::Table { name, .. } => {
            let name = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase());
            name.and_then(|name| named.get(&name).copied()).unwrap_or(store)
        }
        TableFactor::Derived { subquery, .. } => of_query(subquery, named),
        TableFactor::NestedJoin { table_with_joins, .. } => of_joins(table_with_joins, named),
        TableFactor::UNNEST { array_exprs, .. } => {
            Weight { relations: 1, columns: array_exprs.len() as u64, substitutions: 1 }
        }
        _ => Weight::default(),
    }
}

/// How many columns `expr` mentions.
fn mentions(expr: &Expr) -> u64 {
    struct Mentions(u64);
    impl Visitor for Mentions {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.0 += u64::from(matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
            ControlFlow::Continue(())
        }
    }
    let mut mentions = Mentions(0);
    let _: ControlFlow<()> = expr.visit(&mut mentions);
    mentions.0
}

/// Sums the outermost queries within expressions.
struct SubQueries<'a> {
    named: &'a Named,
    sum: &'a mut Weight,
    depth: usize,
}

impl Visitor for SubQueries<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            *self.sum = self.sum.beside(of_query(query, self.named));
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
