//! From Trino's spelling to the planner's: the same query as another syntax tree.
//!
//! Names lose their quotes (Trino's names are case-insensitive, quoted or not), dots become field accesses, every
//! output column gets a name of its own, and functions that are combinations of others are spelled out.

mod functions;
mod names;
mod weight;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, LambdaFunction, LimitClause,
    ObjectName, OneOrManyWithParens, OrderByExpr, OrderByKind, Query, Select, Subscript, TableAlias, TableFactor,
    TableWithJoins, TrimWhereField, Value, VisitMut, VisitorMut,
};
use opentrail_model::Timestamp;

use crate::dialect::{call, literal, number, text};
use crate::error::StatementError;
use crate::statement::{mark, marked_store};

pub(crate) use names::output_name;
pub(crate) use weight::weigh;

/// Rewrites `query`; `now` is what the current time is all through it.
pub(crate) fn rewrite(query: &mut Query, now: Timestamp) -> Result<(), StatementError> {
    let mut rewrite = Rewrite { now, relations: names::relations(query), lambdas: Vec::new(), depth: 0 };
    match query.visit(&mut rewrite) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewrite {
    now: Timestamp,
    /// Names and aliases in all `FROM`s, in lower case.
    relations: BTreeSet<String>,
    /// The parameters of the lambdas around.
    lambdas: Vec<Vec<String>>,
    /// Queries around.
    depth: usize,
}

type Flow = ControlFlow<StatementError>;

fn flow(result: Result<(), StatementError>) -> Flow {
    match result {
        Ok(()) => Flow::Continue(()),
        Err(error) => Flow::Break(error),
    }
}

impl VisitorMut for Rewrite {
    type Break = StatementError;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        self.depth += 1;
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            unquote_alias(&mut cte.alias);
        }
        if let Some(most) = query.fetch.take() {
            let limit = most.quantity.unwrap_or_else(|| number(1));
            match &mut query.limit_clause {
                Some(LimitClause::LimitOffset { limit: slot @ None, .. }) => *slot = Some(limit),
                None => {
                    let clause = LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by: Vec::new() };
                    query.limit_clause = Some(clause);
                }
                Some(_) => return Flow::Break(StatementError::refused("LIMIT beside FETCH")),
            }
        }
        if let Some(OrderByKind::Expressions(orders)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            nulls_last(orders);
        }
        Flow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> Flow {
        self.depth -= 1;
        Flow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        names::name_outputs(select, self.depth == 1);
        fold_unnests(select);
        for window in &mut select.named_window {
            window.0.quote_style = None;
        }
        Flow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> Flow {
        for part in &mut relation.0 {
            if let datafusion::sql::sqlparser::ast::ObjectNamePart::Identifier(ident) = part {
                unquote(ident);
                if let Ok(store) = uuid::Uuid::try_parse(&ident.value) {
                    ident.value = mark(store);
                }
            }
        }
        Flow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        let (TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. }) = factor
        else {
            return Flow::Continue(());
        };
        if let Some(alias) = alias {
            unquote_alias(alias);
        }
        Flow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        match expr {
            Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => balance(expr),
            Expr::Lambda(LambdaFunction { params, .. }) => {
                let parameters = params.iter().map(|parameter| parameter.name.value.to_lowercase()).collect();
                self.lambdas.push(parameters);
            }
            Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => return flow(self.access(expr)),
            _ => {}
        }
        Flow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        flow(self.expression(expr))
    }
}

impl Rewrite {
    fn expression(&mut self, expr: &mut Expr) -> Result<(), StatementError> {
        let taken = std::mem::replace(expr, literal(Value::Null));
        *expr = match taken {
            Expr::Identifier(mut ident) => {
                unquote(&mut ident);
                Expr::Identifier(ident)
            }
            Expr::Lambda(mut lambda) => {
                self.lambdas.pop();
                match &mut lambda.params {
                    OneOrManyWithParens::One(parameter) => unquote(&mut parameter.name),
                    OneOrManyWithParens::Many(parameters) => {
                        parameters.iter_mut().for_each(|parameter| unquote(&mut parameter.name));
                    }
                }
                Expr::Lambda(lambda)
            }
            Expr::Extract { field, expr, .. } => call(functions::part(&field.to_string())?, vec![*expr]),
            Expr::Ceil { expr, .. } => call("ceil", vec![*expr]),
            Expr::Floor { expr, .. } => call("floor", vec![*expr]),
            Expr::Position { expr, r#in } => call("strpos", vec![*r#in, *expr]),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let from = substring_from.map_or_else(|| number(1), |from| *from);
                let mut arguments = vec![*expr, from];
                arguments.extend(substring_for.map(|length| *length));
                call("substr", arguments)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "btrim",
                };
                let mut arguments = vec![*expr];
                arguments.extend(trim_what.map(|what| *what));
                arguments.extend(trim_characters.into_iter().flatten());
                call(name, arguments)
            }
            Expr::Like { negated, any, expr, pattern, escape_char } => {
                let escape = escape_char.and_then(|value| value.value.into_string());
                let pattern = Box::new(like_pattern(*pattern, escape.as_deref())?);
                Expr::Like { negated, any, expr, pattern, escape_char: None }
            }
            Expr::TypedString(typed) => {
                let value = typed.value.value.into_string().unwrap_or_default();
                let target = typed.data_type.to_string().to_lowercase();
                call("cast", vec![text(value), text(target)])
            }
            Expr::AtTimeZone { timestamp, time_zone } => match time_zone.as_ref() {
                Expr::Value(zone) if is_utc(&zone.value) => *timestamp,
                _ => return Err(StatementError::refused("a time zone other than 'UTC'")),
            },
            Expr::Array(array) => call("make_array", array.elem),
            Expr::Function(function) => self.function(function)?,
            other => other,
        };
        Ok(())
    }

    /// `a.b.c`, `f(x).y`, `m['k']`.
    fn access(&self, expr: &mut Expr) -> Result<(), StatementError> {
        *expr = match std::mem::replace(expr, literal(Value::Null)) {
            Expr::CompoundIdentifier(parts) => self.dotted(parts),
            Expr::CompoundFieldAccess { root, mut access_chain } => {
                let is_name = |access: &AccessExpr| matches!(access, AccessExpr::Dot(Expr::Identifier(_)));
                let mut value = match *root {
                    Expr::CompoundIdentifier(parts) => self.dotted(parts),
                    // `e.resources[1]` comes as `e` and all that is behind it.
                    Expr::Identifier(first) if access_chain.first().is_some_and(is_name) => {
                        let names = access_chain.iter().take_while(|access| is_name(access)).count();
                        let behind = access_chain.drain(..names).filter_map(|access| match access {
                            AccessExpr::Dot(Expr::Identifier(name)) => Some(name),
                            _ => None,
                        });
                        self.dotted(std::iter::once(first).chain(behind).collect())
                    }
                    other => other,
                };
                for access in access_chain {
                    value = match access {
                        AccessExpr::Dot(Expr::Identifier(ident)) => field(value, &ident),
                        // `fields` has been here already
                        AccessExpr::Dot(name @ Expr::Value(_)) => Expr::CompoundFieldAccess {
                            root: Box::new(value),
                            access_chain: vec![AccessExpr::Dot(name)],
                        },
                        AccessExpr::Subscript(Subscript::Index { index }) => call("subscript", vec![value, index]),
                        AccessExpr::Dot(_) | AccessExpr::Subscript(_) => {
                            return Err(StatementError::refused("this access to a field"));
                        }
                    };
                }
                value
            }
            other => other,
        };
        Ok(())
    }

    /// A name with dots: a relation's column, or a column, or a lambda's parameter; fields behind.
    fn dotted(&self, mut parts: Vec<Ident>) -> Expr {
        for part in &mut parts {
            unquote(part);
        }
        let first = parts[0].value.to_lowercase();
        let is_parameter = self.lambdas.iter().flatten().any(|parameter| *parameter == first);
        let is_relation = !is_parameter && (self.relations.contains(&first) || marked_store(&first).is_some());
        let mut parts = parts.into_iter();
        let mut next = || parts.next();
        let root = match (is_relation, next(), if is_relation { next() } else { None }) {
            (true, Some(relation), Some(column)) => Expr::CompoundIdentifier(vec![relation, column]),
            (_, Some(column), _) => Expr::Identifier(column),
            (_, None, _) => literal(Value::Null),
        };
        parts.fold(root, |value, name| field(value, &name))
    }
}

fn unquote(ident: &mut Ident) {
    ident.quote_style = None;
}

fn unquote_alias(alias: &mut TableAlias) {
    unquote(&mut alias.name);
    for column in &mut alias.columns {
        unquote(&mut column.name);
    }
}

/// `value.name`, as the planner has it.
fn field(value: Expr, name: &Ident) -> Expr {
    let access = AccessExpr::Dot(text(name.value.to_lowercase()));
    Expr::CompoundFieldAccess { root: Box::new(value), access_chain: vec![access] }
}

/// Trino puts nulls last whichever the direction.
fn nulls_last(orders: &mut [OrderByExpr]) {
    for order in orders {
        order.options.nulls_first.get_or_insert(false);
    }
}

fn is_utc(zone: &Value) -> bool {
    matches!(zone, Value::SingleQuotedString(zone) if zone.eq_ignore_ascii_case("utc"))
}

/// A chain of ANDs or ORs as a tree of low height: it is parsed as deep as it is long.
fn balance(expr: &mut Expr) {
    let Expr::BinaryOp { op: joint, .. } = expr else { return };
    let joint = joint.clone();
    let (mut terms, mut open) = (Vec::new(), vec![std::mem::replace(expr, literal(Value::Null))]);
    while let Some(next) = open.pop() {
        match next {
            Expr::BinaryOp { left, op, right } if op == joint => {
                open.push(*right);
                open.push(*left);
            }
            term => terms.push(term),
        }
    }
    *expr = join_terms(terms, &joint);
}

fn join_terms(mut terms: Vec<Expr>, op: &BinaryOperator) -> Expr {
    if terms.len() < 2 {
        return terms.pop().unwrap_or_else(|| literal(Value::Null));
    }
    let right = terms.split_off(terms.len() / 2);
    let (left, right) = (join_terms(terms, op), join_terms(right, op));
    Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) }
}

/// The planner's patterns escape with a backslash, always; Trino's with what `ESCAPE` says, or not at all.
fn like_pattern(pattern: Expr, escape: Option<&str>) -> Result<Expr, StatementError> {
    let escape = match escape.map(|escape| (escape.chars().next(), escape.chars().count())) {
        None => None,
        Some((Some(escape), 1)) => Some(escape),
        Some(_) => return Err(StatementError::invalid("ESCAPE takes one character")),
    };
    match pattern {
        Expr::Value(value) => match value.value {
            Value::SingleQuotedString(pattern) => {
                let pattern = escape_pattern(&pattern, escape).map_err(StatementError::invalid)?;
                Ok(text(pattern))
            }
            other => Ok(literal(other)),
        },
        other => {
            let mut arguments = vec![other];
            arguments.extend(escape.map(|escape| text(escape.to_string())));
            Ok(call("like_pattern", arguments))
        }
    }
}

/// See [`like_pattern`].
pub(crate) fn escape_pattern(pattern: &str, escape: Option<char>) -> Result<String, &'static str> {
    let mut escaped = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            match characters.next() {
                Some(next) if next == '%' || next == '_' || Some(next) == escape => {
                    if matches!(next, '%' | '_' | '\\') {
                        escaped.push('\\');
                    }
                    escaped.push(next);
                }
                _ => return Err("the escape character must stand before %, _ or itself"),
            }
        } else {
            if character == '\\' {
                escaped.push('\\');
            }
            escaped.push(character);
        }
    }
    Ok(escaped)
}

/// Puts each `UNNEST` behind what it may refer to: `a, UNNEST(a.b)` becomes a join in parentheses, which
/// [`crate::relations`] plans.
fn fold_unnests(select: &mut Select) {
    let mut folded: Vec<TableWithJoins> = Vec::new();
    for mut from in std::mem::take(&mut select.from) {
        if !matches!(from.relation, TableFactor::UNNEST { .. }) || folded.is_empty() {
            folded.push(from);
            continue;
        }
        let mut before = std::mem::take(&mut folded).into_iter();
        let Some(mut left) = before.next() else { continue };
        left.joins.extend(before.map(|next| cross_join(in_parentheses(next))));
        left.joins.push(cross_join(from.relation));
        left.joins.append(&mut from.joins);
        folded.push(left);
    }
    let has_unnest =
        |from: &TableWithJoins| from.joins.iter().any(|join| matches!(join.relation, TableFactor::UNNEST { .. }));
    select.from = folded
        .into_iter()
        .map(|from| {
            if has_unnest(&from) { TableWithJoins { relation: in_parentheses(from), joins: Vec::new() } } else { from }
        })
        .collect();
}

fn in_parentheses(from: TableWithJoins) -> TableFactor {
    TableFactor::NestedJoin { table_with_joins: Box::new(from), alias: None }
}

fn cross_join(relation: TableFactor) -> Join {
    Join { relation, global: false, join_operator: JoinOperator::CrossJoin(JoinConstraint::None) }
}
