//! Functions that are spelled otherwise for the planner, or are combinations of others.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, LambdaFunction, NullTreatment, ObjectName, OrderByExpr,
    OrderByOptions, UnaryOperator, Value, VisitMut, VisitorMut, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowType,
};

use super::{Rewrite, nulls_last};
use crate::dialect::{call, literal, number, text};
use crate::error::{Location, StatementError};
use crate::functions;

/// The function that gives a part of a time: `EXTRACT(part FROM x)`.
pub(super) fn part(field: &str) -> Result<&'static str, StatementError> {
    Ok(match field.to_ascii_lowercase().as_str() {
        "year" => "year",
        "quarter" => "quarter",
        "month" => "month",
        "week" => "week",
        "day" | "day_of_month" => "day",
        "day_of_week" | "dow" | "dayofweek" => "day_of_week",
        "day_of_year" | "doy" | "dayofyear" => "day_of_year",
        "year_of_week" | "yow" => "year_of_week",
        "hour" => "hour",
        "minute" => "minute",
        "second" => "second",
        other => return Err(StatementError::invalid(format!("EXTRACT knows no field '{other}'"))),
    })
}

/// A function call taken apart.
struct Call {
    name: String,
    arguments: Vec<Expr>,
    function: Function,
}

impl Call {
    /// The call with `name` and `arguments`, all else as it was.
    fn renamed(self, name: &str, arguments: Vec<Expr>) -> Expr {
        let Expr::Function(made) = call(name, arguments) else { return literal(Value::Null) };
        let FunctionArguments::List(list) = made.args else { return literal(Value::Null) };
        let mut function = self.function;
        function.name = made.name;
        match &mut function.args {
            FunctionArguments::List(old) => old.args = list.args,
            other => *other = FunctionArguments::List(list),
        }
        Expr::Function(function)
    }

    /// A plain call: no DISTINCT, FILTER, OVER or ORDER BY is lost.
    fn plain(self, name: &str, arguments: Vec<Expr>) -> Expr {
        self.renamed(name, arguments)
    }

    fn require(&self, counts: std::ops::RangeInclusive<usize>) -> Result<(), StatementError> {
        if counts.contains(&self.arguments.len()) {
            return Ok(());
        }
        let (least, most) = (counts.start(), counts.end());
        let wants = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let (name, has) = (&self.name, self.arguments.len());
        Err(StatementError::Invalid(format!("function '{name}' takes {wants} arguments, not {has}")))
    }

    fn add_filter(&mut self, condition: Expr) {
        let filter = match self.function.filter.take() {
            Some(filter) => Expr::BinaryOp { left: filter, op: BinaryOperator::And, right: Box::new(condition) },
            None => condition,
        };
        self.function.filter = Some(Box::new(filter));
    }

    fn list(&mut self) -> Option<&mut FunctionArgumentList> {
        match &mut self.function.args {
            FunctionArguments::List(list) => Some(list),
            _ => None,
        }
    }
}

impl Rewrite {
    /// What `function` is to the planner; its arguments are rewritten already.
    pub(super) fn function(&self, mut function: Function) -> Result<Expr, StatementError> {
        let ident = function.name.0.first().and_then(|part| part.as_ident()).cloned();
        let Some(ident) = ident else { return Err(StatementError::refused("this function")) };
        let name = ident.value.to_lowercase();
        if !functions::is_known(&name) {
            return Err(StatementError::UnknownFunction { name: ident.value, location: Location::of(ident.span) });
        }
        if let Some(WindowType::WindowSpec(window)) = &mut function.over {
            nulls_last(&mut window.order_by);
        }
        let arguments = take_arguments(&mut function)?;
        let is_aggregate = functions::is_aggregate(&name) || functions::is_window(&name);
        let has_lists = match &function.args {
            FunctionArguments::List(list) => list.duplicate_treatment.is_some() || !list.clauses.is_empty(),
            _ => false,
        };
        let decorated = has_lists || function.filter.is_some() || function.over.is_some();
        if !is_aggregate && (decorated || !function.within_group.is_empty()) {
            return Err(StatementError::Invalid(format!(
                "DISTINCT, ORDER BY, FILTER and OVER belong to aggregate and window functions, which '{name}' is not"
            )));
        }
        self.combine(Call { name, arguments, function })
    }

    fn combine(&self, mut call_of: Call) -> Result<Expr, StatementError> {
        let name = call_of.name.clone();
        let mut arguments = std::mem::take(&mut call_of.arguments);
        call_of.arguments.clone_from(&arguments);
        Ok(match name.as_str() {
            "current_timestamp" | "now" | "localtimestamp" => self.now(),
            "current_date" => call("date", vec![self.now()]),
            "current_time" | "localtime" => return Err(StatementError::refused("a time without a date")),
            "if" => {
                call_of.require(2..=3)?;
                let otherwise = if arguments.len() == 3 { arguments.pop() } else { None };
                let (result, condition) = (arguments.pop(), arguments.pop());
                case(condition, result, otherwise)
            }
            "mod" => {
                call_of.require(2..=2)?;
                let (right, left) = (arguments.pop(), arguments.pop());
                let boxed =
                    |side: Option<Expr>| Box::new(Expr::Nested(Box::new(side.unwrap_or_else(|| literal(Value::Null)))));
                Expr::BinaryOp { left: boxed(left), op: BinaryOperator::Modulo, right: boxed(right) }
            }
            "count_if" => {
                call_of.require(1..=1)?;
                let counted = case(arguments.pop(), Some(number(1)), None);
                call_of.renamed("count", vec![counted])
            }
            "arbitrary" | "any_value" => {
                call_of.require(1..=1)?;
                call_of.function.null_treatment = Some(NullTreatment::IgnoreNulls);
                call_of.renamed("first_value", arguments)
            }
            "try" => {
                call_of.require(1..=1)?;
                let mut tried = arguments.pop().unwrap_or_else(|| literal(Value::Null));
                let _: ControlFlow<()> = tried.visit(&mut Tried);
                tried
            }
            "max_by" | "min_by" => return self.extreme_by(call_of, arguments),
            "every" => call_of.renamed("bool_and", arguments),
            "map_agg" | "multimap_agg" => {
                call_of.require(2..=2)?;
                let is_key = Expr::IsNotNull(Box::new(arguments[0].clone()));
                call_of.add_filter(is_key);
                let pairs = call_of.renamed("array_agg", vec![call("row", arguments)]);
                let collected = if name == "map_agg" { "map_of_pairs" } else { "multimap_of_pairs" };
                call(collected, vec![pairs])
            }
            "histogram" => {
                call_of.require(1..=1)?;
                let is_value = Expr::IsNotNull(Box::new(arguments[0].clone()));
                call_of.add_filter(is_value);
                call("histogram_of", vec![call_of.renamed("array_agg", arguments)])
            }
            "set_agg" => {
                if let Some(list) = call_of.list() {
                    list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
                }
                call_of.renamed("array_agg", arguments)
            }
            "listagg" => {
                call_of.require(1..=2)?;
                if arguments.len() == 1 {
                    arguments.push(text(""));
                }
                let mut orders = std::mem::take(&mut call_of.function.within_group);
                nulls_last(&mut orders);
                if let Some(list) = call_of.list().filter(|_| !orders.is_empty()) {
                    list.clauses.push(FunctionArgumentClause::OrderBy(orders));
                }
                call_of.renamed("string_agg", arguments)
            }
            "approx_percentile" => {
                call_of.require(2..=2)?;
                let percentages = arguments.pop().unwrap_or_else(|| literal(Value::Null));
                match array_items(&percentages) {
                    // An array of percentages gives an array.
                    Some(items) => {
                        let of = |percentage: &Expr| {
                            let (name, function) = (name.clone(), call_of.function.clone());
                            let one = Call { name, arguments: Vec::new(), function };
                            one.renamed("approx_percentile_cont", vec![arguments[0].clone(), percentage.clone()])
                        };
                        call("make_array", items.iter().map(of).collect())
                    }
                    None => {
                        arguments.push(percentages);
                        call_of.renamed("approx_percentile_cont", arguments)
                    }
                }
            }
            "all_match" | "none_match" => {
                call_of.require(2..=2)?;
                if name == "all_match" {
                    negate_lambda(&mut arguments[1])?;
                }
                not(call("any_match", arguments))
            }
            "greatest" | "least" => {
                // Trino's result is null as soon as one argument is.
                call_of.require(1..=127)?;
                let nulls = arguments.iter().map(|argument| Expr::IsNull(Box::new(argument.clone())));
                let any = nulls.reduce(|left, right| Expr::BinaryOp {
                    left: Box::new(left),
                    op: BinaryOperator::Or,
                    right: Box::new(right),
                });
                let found = call_of.plain(&name, arguments);
                case(any, Some(literal(Value::Null)), Some(found))
            }
            "replace" => {
                call_of.require(2..=3)?;
                if arguments.len() == 2 {
                    arguments.push(text(""));
                }
                call_of.plain("replace", arguments)
            }
            "array_agg" => {
                if let Some(list) = call_of.list() {
                    for clause in &mut list.clauses {
                        if let FunctionArgumentClause::OrderBy(orders) = clause {
                            nulls_last(orders);
                        }
                    }
                }
                call_of.renamed(&name, arguments)
            }
            _ => {
                let target = functions::planner_name(&name);
                if call_of.function.args == FunctionArguments::None {
                    let ident = call_of.function.name.0.first().and_then(|part| part.as_ident()).cloned();
                    return match ident {
                        Some(ident) => Err(StatementError::UnknownColumn {
                            name: ident.value.clone(),
                            location: Location::of(ident.span),
                        }),
                        None => Err(StatementError::refused("this function")),
                    };
                }
                if name == "count" && arguments.is_empty() {
                    restore_star(call_of)
                } else {
                    call_of.renamed(target, arguments)
                }
            }
        })
    }

    /// `max_by(x, y)`: the `x` of the row with the greatest `y`; of `n` rows with a third argument.
    fn extreme_by(&self, mut call_of: Call, mut arguments: Vec<Expr>) -> Result<Expr, StatementError> {
        call_of.require(2..=3)?;
        if call_of.function.over.is_some() {
            return extreme_over(call_of, arguments);
        }
        let most = if arguments.len() == 3 { arguments.pop() } else { None };
        let by = arguments.pop().unwrap_or_else(|| literal(Value::Null));
        let options = OrderByOptions { asc: Some(call_of.name == "min_by"), nulls_first: Some(false) };
        let order = OrderByExpr { expr: by.clone(), options, with_fill: None };
        call_of.add_filter(Expr::IsNotNull(Box::new(by)));
        if let Some(list) = call_of.list() {
            list.clauses.push(FunctionArgumentClause::OrderBy(vec![order]));
        }
        Ok(match most {
            Some(most) => call("slice", vec![call_of.renamed("array_agg", arguments), number(1), most]),
            None => call_of.renamed("first_value", arguments),
        })
    }

    fn now(&self) -> Expr {
        call("from_unixtime_millis", vec![number(self.now.as_millis())])
    }
}

/// `max_by(x, y) OVER (PARTITION BY …)`: the first of the partition's rows when those with the greatest `y` come first.
fn extreme_over(mut call_of: Call, mut arguments: Vec<Expr>) -> Result<Expr, StatementError> {
    let refused = |what: &str| StatementError::refused(format!("{what} with OVER"));
    let name = call_of.name.clone();
    if arguments.len() != 2 {
        return Err(refused(&format!("{name} of several rows")));
    }
    if call_of.function.filter.is_some() || call_of.list().is_some_and(|list| list.duplicate_treatment.is_some()) {
        return Err(refused(&format!("{name} with FILTER or DISTINCT")));
    }
    let Some(WindowType::WindowSpec(window)) = &mut call_of.function.over else {
        return Err(refused(&format!("{name} of a named window")));
    };
    if window.window_name.is_some() || !window.order_by.is_empty() || window.window_frame.is_some() {
        return Err(refused(&format!("{name} of an ordered or named window")));
    }
    let (by, value) = (arguments.pop(), arguments.pop());
    let by = by.unwrap_or_else(|| literal(Value::Null));
    let options = OrderByOptions { asc: Some(name == "min_by"), nulls_first: Some(false) };
    window.order_by = vec![OrderByExpr { expr: by.clone(), options, with_fill: None }];
    window.window_frame = Some(WindowFrame {
        units: WindowFrameUnits::Rows,
        start_bound: WindowFrameBound::Preceding(None),
        end_bound: Some(WindowFrameBound::Following(None)),
    });
    // Rows without a `y` count for nothing, even where there are no others.
    let value = case(Some(Expr::IsNotNull(Box::new(by))), value, None);
    Ok(call_of.renamed("first_value", vec![value]))
}

/// Makes what can fail within `TRY` give NULL. Sub-queries included: theirs is what is tried, too.
struct Tried;

impl VisitorMut for Tried {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                let name =
                    function.name.0.first().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase());
                if let Some(safe) = name.and_then(|name| functions::safe_name(&name)) {
                    function.name = ObjectName::from(vec![Ident::new(safe)]);
                }
            }
            Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo, right, .. } => {
                let divisor = std::mem::replace(right.as_mut(), literal(Value::Null));
                **right = call("nullif", vec![divisor, number(0)]);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The plain arguments of `function`, which is left without; `*` is none.
fn take_arguments(function: &mut Function) -> Result<Vec<Expr>, StatementError> {
    let taken = match &mut function.args {
        FunctionArguments::List(list) => std::mem::take(&mut list.args),
        FunctionArguments::None => Vec::new(),
        FunctionArguments::Subquery(_) => return Err(StatementError::refused("a sub-query as arguments")),
    };
    let mut arguments = Vec::new();
    for argument in taken {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                if function.name.to_string().eq_ignore_ascii_case("count") => {}
            _ => return Err(StatementError::refused("this kind of argument")),
        }
    }
    Ok(arguments)
}

/// `count(*)`, also when written `count()`.
fn restore_star(mut call_of: Call) -> Expr {
    if let Some(list) = call_of.list() {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
    }
    Expr::Function(call_of.function)
}

fn case(condition: Option<Expr>, result: Option<Expr>, otherwise: Option<Expr>) -> Expr {
    let (Some(condition), Some(result)) = (condition, result) else { return literal(Value::Null) };
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: otherwise.map(Box::new),
    }
}

/// The items of `ARRAY[…]`, which is rewritten already.
fn array_items(expr: &Expr) -> Option<Vec<Expr>> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_array = function.name.to_string() == "make_array" && !list.args.is_empty();
    let item = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(item)) => Some(item.clone()),
        _ => None,
    };
    is_array.then(|| list.args.iter().map(item).collect::<Option<Vec<_>>>()).flatten()
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) }
}

fn negate_lambda(lambda: &mut Expr) -> Result<(), StatementError> {
    let Expr::Lambda(LambdaFunction { body, .. }) = lambda else {
        return Err(StatementError::invalid("all_match takes a lambda such as x -> x > 0"));
    };
    let taken = std::mem::replace(body.as_mut(), literal(Value::Null));
    **body = not(taken);
    Ok(())
}
