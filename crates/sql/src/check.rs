//! What of SQL is this dialect. Everything is refused that is not named here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Fetch, JoinConstraint, JoinOperator, LimitClause, ObjectName, OrderByKind, Query,
    Select, SelectFlavor, SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned, TableFactor, UnaryOperator, Value,
    Visit, Visitor, WildcardAdditionalOptions,
};
use uuid::Uuid;

use crate::bounds;
use crate::error::{Location, StatementError};
use crate::statement::marked_store;

/// Checks `query` and gives the stores that it names, by their ids or as `named` has them.
pub(crate) fn stores(query: &Query, named: &BTreeMap<String, Uuid>) -> Result<BTreeSet<Uuid>, StatementError> {
    let mut check = Check::default();
    if let ControlFlow::Break(error) = query.visit(&mut check) {
        return Err(error);
    }
    for (name, location) in check.relations {
        let lower = name.to_lowercase();
        if check.named_queries.contains(&lower) {
            continue;
        }
        match named.get(&lower) {
            Some(store) => check.stores.insert(*store),
            None => return Err(StatementError::UnknownTable { name, location }),
        };
    }
    crate::rewrite::weigh(query)?;
    Ok(check.stores)
}

/// Functions that make much of little. Concatenation is none: a chain of it has one result.
const GROWING: &[&str] = &[
    "array_join",
    "lpad",
    "regexp_replace",
    "repeat",
    "replace",
    "rpad",
    "sequence",
    "transform",
    "transform_values",
    "zip_with",
];

#[derive(Default)]
struct Check {
    stores: BTreeSet<Uuid>,
    /// Other names in `FROM`, which must be those of `WITH`.
    relations: Vec<(String, Option<Location>)>,
    named_queries: BTreeSet<String>,
    depth: usize,
    /// Calls of functions whose results may be much larger than what they are given.
    growing: usize,
}

type Flow = ControlFlow<StatementError>;

fn refuse(what: &str, at: &impl Spanned) -> Flow {
    ControlFlow::Break(StatementError::Refused { what: what.to_owned(), location: Location::of(at.span()) })
}

/// The first construct of `found` that stands in the statement.
fn refuse_any(found: &[(bool, &str)], at: &impl Spanned) -> Flow {
    match found.iter().find(|(stands, _)| *stands) {
        Some((_, what)) => refuse(what, at),
        None => ControlFlow::Continue(()),
    }
}

impl Visitor for Check {
    type Break = StatementError;

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        if let Some(with) = &query.with {
            if with.recursive {
                return refuse("WITH RECURSIVE", query);
            }
            self.named_queries.extend(with.cte_tables.iter().map(|cte| cte.alias.name.value.to_lowercase()));
        }
        let fetch = |fetch: &Fetch| fetch.with_ties || fetch.percent;
        let by = |limit: &LimitClause| match limit {
            LimitClause::LimitOffset { limit_by, .. } => !limit_by.is_empty(),
            LimitClause::OffsetCommaLimit { .. } => true,
        };
        refuse_any(
            &[
                (!query.locks.is_empty() || query.for_clause.is_some(), "FOR"),
                (query.settings.is_some(), "SETTINGS"),
                (query.format_clause.is_some(), "FORMAT"),
                (!query.pipe_operators.is_empty(), "a pipe operator"),
                (query.fetch.as_ref().is_some_and(fetch), "FETCH with PERCENT or WITH TIES"),
                (query.limit_clause.as_ref().is_some_and(by), "this form of LIMIT"),
                (
                    query
                        .order_by
                        .as_ref()
                        .is_some_and(|order| order.interpolate.is_some() || matches!(order.kind, OrderByKind::All(_))),
                    "this form of ORDER BY",
                ),
            ],
            query,
        )?;
        self.set_expression(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        let wildcard = |item: &SelectItem| match item {
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
                *options
                    != WildcardAdditionalOptions {
                        wildcard_token: options.wildcard_token.clone(),
                        ..Default::default()
                    }
            }
            SelectItem::ExprWithAliases { .. } => true,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => false,
        };
        refuse_any(
            &[
                (select.into.is_some(), "INTO"),
                (select.top.is_some(), "TOP"),
                (select.exclude.is_some() || select.projection.iter().any(wildcard), "this form of *"),
                (select.projection.is_empty(), "SELECT of nothing"),
                (!select.lateral_views.is_empty(), "LATERAL VIEW"),
                (select.prewhere.is_some(), "PREWHERE"),
                (!select.connect_by.is_empty(), "CONNECT BY"),
                (!select.cluster_by.is_empty() || !select.distribute_by.is_empty(), "CLUSTER BY"),
                (!select.sort_by.is_empty(), "SORT BY"),
                (select.qualify.is_some(), "QUALIFY"),
                (select.value_table_mode.is_some() || select.select_modifiers.is_some(), "this form of SELECT"),
                (select.flavor != SelectFlavor::Standard, "a query without SELECT"),
                (matches!(select.distinct, Some(Distinct::On(_))), "DISTINCT ON"),
            ],
            select,
        )?;
        for join in select.from.iter().flat_map(|from| &from.joins) {
            match &join.join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::Left(constraint)
                | JoinOperator::LeftOuter(constraint)
                | JoinOperator::Right(constraint)
                | JoinOperator::RightOuter(constraint)
                | JoinOperator::FullOuter(constraint)
                | JoinOperator::CrossJoin(constraint) => {
                    if matches!(constraint, JoinConstraint::Natural) {
                        return refuse("NATURAL JOIN", join);
                    }
                }
                _ => return refuse("this kind of JOIN", join),
            }
        }
        Flow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Flow {
        match factor {
            TableFactor::Table {
                name,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                ..
            } => {
                let more = version.is_some() || json_path.is_some() || sample.is_some() || *with_ordinality;
                let bare = args.is_none() && with_hints.is_empty() && partitions.is_empty() && !more;
                if bare { self.relation(name) } else { refuse("a table function", factor) }
            }
            TableFactor::Derived { sample: None, .. } | TableFactor::NestedJoin { .. } => Flow::Continue(()),
            TableFactor::UNNEST { with_offset: false, with_offset_alias: None, .. } => Flow::Continue(()),
            _ => refuse("this in FROM", factor),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        let deepens = !matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. });
        self.depth += usize::from(deepens);
        if self.depth > bounds::EXPRESSION_DEPTH {
            return Flow::Break(StatementError::TooComplex("is nested too deeply".to_owned()));
        }
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_lowercase();
            self.growing += usize::from(GROWING.contains(&name.as_str()));
            if self.growing > bounds::GROWING {
                let problem = format!("calls functions such as {name} more than {} times", bounds::GROWING);
                return Flow::Break(StatementError::TooComplex(problem));
            }
        }
        expression(expr)
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> Flow {
        let deepens = !matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. });
        self.depth -= usize::from(deepens);
        Flow::Continue(())
    }
}

impl Check {
    fn set_expression(&self, body: &SetExpr) -> Flow {
        match body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => Flow::Continue(()),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let by_name =
                    !matches!(set_quantifier, SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None);
                if by_name || matches!(op, SetOperator::Minus) {
                    return refuse("this set operation", body);
                }
                self.set_expression(left)?;
                self.set_expression(right)
            }
            SetExpr::Insert(_) => refuse("INSERT", body),
            SetExpr::Update(_) => refuse("UPDATE", body),
            SetExpr::Delete(_) => refuse("DELETE", body),
            SetExpr::Merge(_) => refuse("MERGE", body),
            SetExpr::Table(_) => refuse("TABLE", body),
        }
    }

    fn relation(&mut self, name: &ObjectName) -> Flow {
        let text = name.to_string();
        let bare = match name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.as_str()),
            _ => None,
        };
        match bare.and_then(|bare| marked_store(bare).or_else(|| Uuid::try_parse(bare).ok())) {
            Some(store) => {
                self.stores.insert(store);
            }
            None => self.relations.push((bare.map_or(text, str::to_owned), Location::of(name.span()))),
        }
        Flow::Continue(())
    }
}

/// Fields within fields that one path may go down.
const PATH: usize = 64;

fn expression(expr: &Expr) -> Flow {
    let steps = match expr {
        Expr::CompoundIdentifier(parts) => parts.len(),
        Expr::CompoundFieldAccess { access_chain, .. } => access_chain.len(),
        _ => 0,
    };
    if steps > PATH {
        return Flow::Break(StatementError::TooComplex("is nested too deeply".to_owned()));
    }
    match expr {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::CompoundFieldAccess { .. }
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::Like { any: false, .. }
        | Expr::AtTimeZone { .. }
        | Expr::Extract { .. }
        | Expr::Ceil { .. }
        | Expr::Floor { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::Nested(_)
        | Expr::TypedString(_)
        | Expr::Case { .. }
        | Expr::Exists { .. }
        | Expr::Subquery(_)
        | Expr::GroupingSets(_)
        | Expr::Cube(_)
        | Expr::Rollup(_)
        | Expr::Array(_)
        | Expr::Interval(_)
        | Expr::Lambda(_) => Flow::Continue(()),
        Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not, .. } => Flow::Continue(()),
        Expr::BinaryOp { op, .. } => match op {
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::StringConcat
            | BinaryOperator::Gt
            | BinaryOperator::Lt
            | BinaryOperator::GtEq
            | BinaryOperator::LtEq
            | BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::And
            | BinaryOperator::Or => Flow::Continue(()),
            other => refuse(&format!("operator {other}"), expr),
        },
        Expr::Value(value) => match &value.value {
            Value::Number(_, false) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => {
                Flow::Continue(())
            }
            Value::HexStringLiteral(_) => Flow::Continue(()),
            Value::Placeholder(mark) => refuse(&format!("a parameter ({mark})"), expr),
            _ => refuse("this literal", expr),
        },
        Expr::Function(function) => {
            if function.name.0.len() == 1 {
                Flow::Continue(())
            } else {
                refuse(&format!("function {}", function.name), expr)
            }
        }
        _ => refuse("this expression", expr),
    }
}
