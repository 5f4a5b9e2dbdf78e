//! Names of relations and of output columns.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectName, Query, Select, SelectItem, TableFactor, Visit, Visitor,
};

/// Names and aliases of relations anywhere in `query`, in lower case.
pub(super) fn relations(query: &Query) -> BTreeSet<String> {
    let mut relations = Relations::default();
    let _: ControlFlow<()> = query.visit(&mut relations);
    relations.0
}

#[derive(Default)]
struct Relations(BTreeSet<String>);

impl Visitor for Relations {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        self.0.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } = factor
        {
            self.0.extend(alias.iter().map(|alias| alias.name.value.to_lowercase()));
        }
        ControlFlow::Continue(())
    }
}

/// The name that `item` gives its column, as typed: its alias, or the last identifier of a path.
pub(crate) fn output_name(item: &SelectItem) -> Option<&Ident> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        SelectItem::UnnamedExpr(expr) => last_identifier(expr),
        _ => None,
    }
}

fn last_identifier(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(ident))) => Some(ident),
            _ => None,
        },
        Expr::Nested(inner) => last_identifier(inner),
        _ => None,
    }
}

/// Gives each output column a name that no other has: the planner knows columns by name only.
pub(super) fn name_outputs(select: &mut Select, is_outermost: bool) {
    let is_wildcard = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    let has_wildcard = select.projection.iter().any(is_wildcard);
    let mut taken = BTreeSet::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        if is_wildcard(item) {
            continue;
        }
        let name = output_name(item).map_or_else(|| format!("_col{index}"), |ident| ident.value.to_lowercase());
        let is_column = matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_)));
        let is_new = taken.insert(name.clone());
        let alias = match (is_new, has_wildcard && is_column) {
            // A column that the wildcard gives, too.
            (_, true) if is_outermost => format!("_col{index}_{name}"),
            (_, true) => continue,
            (true, false) if is_column => continue,
            (true, false) => name,
            (false, false) => format!("_col{index}_{name}"),
        };
        let alias = Ident::new(alias);
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let expr = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { alias: written, .. } => *written = alias,
            _ => {}
        }
    }
}
