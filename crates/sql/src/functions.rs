//! The functions of the dialect: those of the planner that agree with Trino's, and ours where they do not.

mod cast;
mod collections;
mod json;
mod lambdas;
mod listagg;
mod maps;
mod regexes;
mod scalar;
mod strings;
pub(crate) mod tally;
mod times;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, WindowUDF};

pub(crate) use times::parse_timestamp;

/// All functions that a plan can have, by their names in a rewritten statement.
pub(crate) struct Functions {
    pub(crate) scalar: HashMap<String, Arc<ScalarUDF>>,
    pub(crate) lambda: HashMap<String, Arc<HigherOrderUDF>>,
    pub(crate) aggregate: HashMap<String, Arc<AggregateUDF>>,
    pub(crate) window: HashMap<String, Arc<WindowUDF>>,
}

/// Scalar functions of the planner: Trino's name, and the planner's.
const SCALAR: &[(&str, &str)] = &[
    ("abs", "abs"),
    ("acos", "acos"),
    ("array_distinct", "array_distinct"),
    ("array_except", "array_except"),
    ("array_intersect", "array_intersect"),
    ("array_remove", "array_remove_all"),
    ("array_union", "array_union"),
    ("asin", "asin"),
    ("atan", "atan"),
    ("atan2", "atan2"),
    ("cbrt", "cbrt"),
    ("ceil", "ceil"),
    ("ceiling", "ceil"),
    ("chr", "chr"),
    ("coalesce", "coalesce"),
    ("cos", "cos"),
    ("degrees", "degrees"),
    ("exp", "exp"),
    ("flatten", "flatten"),
    ("floor", "floor"),
    ("greatest", "greatest"),
    ("least", "least"),
    ("length", "character_length"),
    ("ln", "ln"),
    ("log10", "log10"),
    ("log2", "log2"),
    ("lower", "lower"),
    ("ltrim", "ltrim"),
    ("nullif", "nullif"),
    ("pi", "pi"),
    ("pow", "power"),
    ("power", "power"),
    ("radians", "radians"),
    ("round", "round"),
    ("rtrim", "rtrim"),
    ("sign", "signum"),
    ("sin", "sin"),
    ("sqrt", "sqrt"),
    ("starts_with", "starts_with"),
    ("tan", "tan"),
    ("translate", "translate"),
    ("trim", "btrim"),
    ("truncate", "trunc"),
    ("upper", "upper"),
];

/// Of the planner, for rewritten statements only.
const INNER: &[&str] = &["make_array", "get_field"];

/// Aggregate functions: Trino's name, and the planner's.
const AGGREGATE: &[(&str, &str)] = &[
    ("approx_distinct", "approx_distinct"),
    ("approx_percentile", "approx_percentile_cont"),
    ("arbitrary", "first_value"),
    ("any_value", "first_value"),
    ("array_agg", "array_agg"),
    ("avg", "avg"),
    ("bool_and", "bool_and"),
    ("bool_or", "bool_or"),
    ("corr", "corr"),
    ("count", "count"),
    ("count_if", "count"),
    ("covar_pop", "covar_pop"),
    ("covar_samp", "covar_samp"),
    ("every", "bool_and"),
    ("grouping", "grouping"),
    ("histogram", "array_agg"),
    ("listagg", "string_agg"),
    ("map_agg", "array_agg"),
    ("max", "max"),
    ("max_by", "first_value"),
    ("min", "min"),
    ("min_by", "first_value"),
    ("multimap_agg", "array_agg"),
    ("set_agg", "array_agg"),
    ("stddev", "stddev"),
    ("stddev_pop", "stddev_pop"),
    ("stddev_samp", "stddev"),
    ("sum", "sum"),
    ("var_pop", "var_pop"),
    ("var_samp", "var"),
    ("variance", "var"),
];

const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// Spelled out by [`crate::rewrite`].
const REWRITTEN: &[&str] = &[
    "all_match",
    "current_date",
    "current_time",
    "current_timestamp",
    "if",
    "localtime",
    "localtimestamp",
    "map",
    "mod",
    "none_match",
    "now",
    "try",
];

/// The functions.
pub(crate) fn all() -> &'static Functions {
    static ALL: LazyLock<Functions> = LazyLock::new(make);
    &ALL
}

fn make() -> Functions {
    let mut found: HashMap<String, Arc<ScalarUDF>> = HashMap::new();
    for function in SessionStateDefaults::default_scalar_functions() {
        for alias in function.aliases() {
            found.entry(alias.clone()).or_insert_with(|| Arc::clone(&function));
        }
        found.insert(function.name().to_owned(), Arc::clone(&function));
    }
    let names = SCALAR.iter().map(|(_, name)| *name).chain(INNER.iter().copied());
    let mut scalar: HashMap<_, _> =
        names.filter_map(|name| Some((name.to_owned(), Arc::clone(found.get(name)?)))).collect();
    scalar.extend(scalar::ours().map(|function| (function.name().to_owned(), Arc::new(function))));
    let lambda = lambdas::ours().map(|function| (function.name().to_owned(), Arc::new(function))).collect();
    let mut aggregate = HashMap::new();
    for function in SessionStateDefaults::default_aggregate_functions() {
        for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
            if AGGREGATE.iter().any(|(_, known)| *known == name) {
                let function = match name {
                    "string_agg" => Arc::new(listagg::bounded(&function)),
                    _ => Arc::clone(&function),
                };
                aggregate.insert(name.to_owned(), function);
            }
        }
    }
    let window = SessionStateDefaults::default_window_functions()
        .into_iter()
        .filter(|function| WINDOW.contains(&function.name()))
        .map(|function| (function.name().to_owned(), function))
        .collect();
    Functions { scalar, lambda, aggregate, window }
}

/// Whether a statement may call `name`.
pub(crate) fn is_known(name: &str) -> bool {
    SCALAR.iter().any(|(known, _)| *known == name)
        || REWRITTEN.contains(&name)
        || is_aggregate(name)
        || is_window(name)
        || scalar::is_ours(name)
        || lambdas::is_ours(name)
}

pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATE.iter().any(|(known, _)| *known == name)
}

pub(crate) fn is_window(name: &str) -> bool {
    WINDOW.contains(&name)
}

/// The planner's name of Trino's function `name`.
pub(crate) fn planner_name(name: &str) -> &str {
    let tables = [SCALAR, AGGREGATE];
    if name == "map" {
        // To the planner `map` is syntax.
        return "map_of_arrays";
    }
    tables.into_iter().flatten().find(|(known, _)| *known == name).map_or(name, |(_, planner)| planner)
}

/// The function that gives NULL where `name` fails, if it is one of ours.
pub(crate) fn safe_name(name: &str) -> Option<String> {
    scalar::is_ours(name).then(|| scalar::safe_name(name))
}

/// One of our scalar functions applied.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let function = all().scalar.get(name).expect("only functions of `scalar::ours` are called");
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), arguments))
}

/// Text, which JSON is not.
pub(crate) fn is_text(of: &DataType) -> bool {
    match of {
        DataType::Utf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

pub(crate) fn is_json(of: &DataType) -> bool {
    *of == DataType::LargeUtf8
}

pub(crate) fn is_numeric(of: &DataType) -> bool {
    of.is_numeric()
}

/// A date or a timestamp.
pub(crate) fn is_time(of: &DataType) -> bool {
    matches!(of, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_function_is_there() {
        let all = all();
        for (_, name) in SCALAR {
            assert!(all.scalar.contains_key(*name), "{name}");
        }
        for name in INNER {
            assert!(all.scalar.contains_key(*name), "{name}");
        }
        for (_, name) in AGGREGATE {
            assert!(all.aggregate.contains_key(*name) || all.window.contains_key(*name), "{name}");
        }
        for name in WINDOW {
            assert!(all.window.contains_key(*name) || all.aggregate.contains_key(*name), "{name}");
        }
    }
}
