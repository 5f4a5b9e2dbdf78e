//! Metric data queries: statistics of metrics and expressions over them, as GetMetricData and alarms ask for them.

use std::collections::{BTreeMap, BTreeSet};

use opentrail_model::Timestamp;
use opentrail_wire::cloudwatch::{Metric, MetricDataQuery};

use crate::math::{Environment, Expression, MathError, Points, Value};
use crate::metric::{MetricName, Unit};
use crate::statistic::Statistic;
use crate::store::{Scope, Span, Store, StoreError};

/// A request may reckon with as many periods of all its queries; more would be more memory than an answer is worth. A
/// choice of ours: ten times what a page may hold.
const MAX_PERIODS: i64 = 1_008_000;

/// Why queries are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryProblem {
    #[error("{0}")]
    Invalid(String),
    #[error("Error in expression '{id}': {error}")]
    Expression { id: String, error: MathError },
}

/// Why queries have no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error(transparent)]
    Problem(#[from] QueryProblem),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MetricQuery {
    pub(crate) metric: MetricName,
    pub(crate) statistic: Statistic,
    pub(crate) unit: Option<Unit>,
}

#[derive(Clone, Debug)]
enum Source {
    Metric(MetricQuery),
    Expression(Expression),
}

#[derive(Clone, Debug)]
struct Query {
    id: String,
    source: Source,
    period: i64,
    label: String,
    is_returned: bool,
}

/// Queries that were checked, in an order in which each comes after those that it names.
#[derive(Clone, Debug)]
pub(crate) struct Queries {
    ordered: Vec<Query>,
    /// The ids as the request has them.
    ids: Vec<String>,
}

/// What a query comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) points: Points,
    /// How many values are behind each point; of expressions nothing is known.
    pub(crate) samples: Points,
}

impl Queries {
    /// Of one statistic.
    pub(crate) fn single(query: MetricQuery, period: i64) -> Self {
        let label = query.metric.name.clone();
        let id = "m1".to_owned();
        let query = Query { id: id.clone(), source: Source::Metric(query), period, label, is_returned: true };
        Self { ordered: vec![query], ids: vec![id] }
    }

    /// Checks the queries of a request.
    pub(crate) fn parse(given: &[MetricDataQuery]) -> Result<Self, QueryProblem> {
        let mut parsed = Vec::with_capacity(given.len());
        let mut ids = BTreeSet::new();
        for query in given {
            if !is_id(&query.id) {
                return Err(invalid(format!(
                    "The value '{}' is not a valid Id: it must begin with a small letter and hold letters, digits and _",
                    query.id
                )));
            }
            if !ids.insert(query.id.as_str()) {
                return Err(invalid(format!("The Id '{}' is not unique in MetricDataQueries", query.id)));
            }
            parsed.push(parse_query(query)?);
        }
        let ordered = with_periods(ordered(parsed)?)?;
        Ok(Self { ordered, ids: given.iter().map(|query| query.id.clone()).collect() })
    }

    /// The metrics that are read.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &MetricQuery> {
        self.ordered.iter().filter_map(|query| match &query.source {
            Source::Metric(metric) => Some(metric),
            Source::Expression(_) => None,
        })
    }

    /// The only query, when it is of a metric.
    pub(crate) fn only_metric(&self) -> Option<&MetricQuery> {
        match &*self.ordered {
            [Query { source: Source::Metric(metric), .. }] => Some(metric),
            _ => None,
        }
    }

    /// Ids and periods of those whose data are to be returned.
    pub(crate) fn returned(&self) -> impl Iterator<Item = (&str, i64)> {
        self.ordered.iter().filter(|query| query.is_returned).map(|query| (&*query.id, query.period))
    }

    /// The answers of those whose data are to be returned, in the order of the request.
    pub(crate) async fn answer(
        &self,
        store: &Store,
        scope: &Scope,
        start: i64,
        end: i64,
        now: Timestamp,
    ) -> Result<Vec<Answer>, QueryError> {
        let span = |query: &Query| Span { start, end, period: query.period };
        let periods: i64 = self.ordered.iter().map(|query| (end - start) / query.period).sum();
        if periods > MAX_PERIODS {
            return Err(invalid(format!(
                "The request asks for {periods} periods, more than {MAX_PERIODS}; ask for a shorter time or longer periods"
            ))
            .into());
        }
        let mut values: BTreeMap<String, Value> = BTreeMap::new();
        let mut metrics = Vec::new();
        let mut answers = BTreeMap::new();
        for query in &self.ordered {
            let (value, samples) = match &query.source {
                Source::Metric(metric) => {
                    let read = store.read(scope, &metric.metric, metric.unit, span(query), now).await?;
                    let point = |(time, values)| Some((time, metric.statistic.of(values)?));
                    let points: Points = read.iter().filter_map(|(time, values)| point((*time, values))).collect();
                    let samples = read.iter().map(|(time, values)| (*time, values.count)).collect();
                    metrics.push(query.id.clone());
                    (Value::Series(points), samples)
                }
                Source::Expression(expression) => {
                    let metrics = self.ids.iter().filter(|id| metrics.contains(*id)).cloned().collect();
                    let environment = Environment { span: span(query), values: std::mem::take(&mut values), metrics };
                    let value = expression.evaluate(&environment);
                    values = environment.values;
                    let value = value.map_err(|error| problem(&query.id, error))?;
                    (value, Points::new())
                }
            };
            if query.is_returned {
                let points = returnable(query, &value)?;
                let (id, label) = (query.id.clone(), query.label.clone());
                answers.insert(query.id.clone(), Answer { id, label, points, samples });
            }
            values.insert(query.id.clone(), value);
        }
        Ok(self.ids.iter().filter_map(|id| answers.remove(id)).collect())
    }
}

fn returnable(query: &Query, value: &Value) -> Result<Points, QueryProblem> {
    let what = match value {
        Value::Series(points) => return Ok(points.clone()),
        Value::List(list) => match &list[..] {
            [one] => return Ok(one.clone()),
            _ => "an array, of which no data can be returned; aggregate it, e.g. with SUM",
        },
        Value::Scalar(_) => "a single number, of which no data can be returned; make it one with TIME_SERIES",
    };
    Err(problem(&query.id, MathError::Type { what: format!("the expression comes to {what}") }))
}

fn problem(id: &str, error: MathError) -> QueryProblem {
    QueryProblem::Expression { id: id.to_owned(), error }
}

fn invalid(message: String) -> QueryProblem {
    QueryProblem::Invalid(message)
}

fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether data can be had for periods of that many seconds. (API Reference, "MetricStat", `Period`.)
pub(crate) fn is_period(secs: i64) -> bool {
    matches!(secs, 1 | 5 | 10 | 20 | 30) || (secs > 0 && secs % 60 == 0 && secs <= 86_400 * 365)
}

/// The metric that a request names.
pub(crate) fn metric_name(metric: &Metric) -> Result<MetricName, QueryProblem> {
    let (Some(namespace), Some(name)) = (&metric.namespace, &metric.metric_name) else {
        return Err(invalid("A metric must have a Namespace and a MetricName".to_owned()));
    };
    let dimensions = metric.dimensions.iter().flatten();
    Ok(MetricName::new(namespace, name, dimensions.map(|dimension| (dimension.name.clone(), dimension.value.clone()))))
}

/// Periods of expressions are 0 until those that they name are known.
fn parse_query(query: &MetricDataQuery) -> Result<Query, QueryProblem> {
    let id = &query.id;
    let (source, period, name) = match (&query.metric_stat, &query.expression) {
        (Some(stat), None) => {
            let metric = metric_name(&stat.metric)?;
            let statistic = stat.stat.parse::<Statistic>().map_err(|error| invalid(error.to_string()))?;
            let name = metric.name.clone();
            let unit = stat.unit.as_deref().and_then(Unit::from_name);
            (Source::Metric(MetricQuery { metric, statistic, unit }), i64::from(stat.period), name)
        }
        (None, Some(text)) => {
            let expression = Expression::parse(text).and_then(|parsed| parsed.check().map(|()| parsed));
            let expression = expression.map_err(|error| problem(id, error))?;
            (Source::Expression(expression), query.period.map_or(0, i64::from), id.clone())
        }
        _ => {
            return Err(invalid(format!(
                "The parameter MetricDataQueries with Id '{id}' must have either a MetricStat or an Expression"
            )));
        }
    };
    let may_follow = matches!(source, Source::Expression(_)) && period == 0;
    if !may_follow && !is_period(period) {
        return Err(invalid(format!(
            "The Period {period} of '{id}' is not valid: it must be 1, 5, 10, 20, 30 or a multiple of 60"
        )));
    }
    let label = query.label.clone().unwrap_or(name);
    Ok(Query { id: id.clone(), source, period, label, is_returned: query.return_data.unwrap_or(true) })
}

/// Each after those that it names; a circle is refused.
fn ordered(mut waiting: Vec<Query>) -> Result<Vec<Query>, QueryProblem> {
    let all: BTreeSet<String> = waiting.iter().map(|query| query.id.clone()).collect();
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let metrics_wait = waiting.iter().any(|query| matches!(query.source, Source::Metric(_)));
        let mut later = Vec::new();
        let before = ordered.len();
        for query in waiting {
            let is_ready = match &query.source {
                Source::Metric(_) => true,
                Source::Expression(expression) => {
                    let ids = expression.ids();
                    if let Some(id) = ids.iter().find(|id| !all.contains(**id)) {
                        return Err(problem(&query.id, MathError::UnknownId { id: (*id).to_owned() }));
                    }
                    ids.iter().all(|id| done.contains(*id)) && !(metrics_wait && expression.takes_all())
                }
            };
            if is_ready {
                done.insert(query.id.clone());
                ordered.push(query);
            } else {
                later.push(query);
            }
        }
        if ordered.len() == before {
            let ids: Vec<&str> = later.iter().map(|query| &*query.id).collect();
            return Err(invalid(format!("The expressions {} name one another in a circle", ids.join(", "))));
        }
        waiting = later;
    }
    Ok(ordered)
}

/// An expression has the period of what it names, which must be one.
fn with_periods(mut ordered: Vec<Query>) -> Result<Vec<Query>, QueryProblem> {
    let mut known: BTreeMap<String, (i64, bool)> = BTreeMap::new();
    for query in &mut ordered {
        let is_metric = match &query.source {
            Source::Metric(_) => true,
            Source::Expression(expression) => {
                let named = expression.ids();
                let all = expression.takes_all();
                let behind = known.iter().filter(|(id, (_, is_metric))| named.contains(&***id) || (all && *is_metric));
                let mut periods: BTreeSet<i64> = behind.map(|(_, (period, _))| *period).collect();
                if query.period > 0 {
                    periods.insert(query.period);
                }
                query.period = match periods.iter().copied().collect::<Vec<_>>()[..] {
                    [one] => one,
                    [] => {
                        return Err(invalid(format!(
                            "The expression '{}' names no metric: give it a Period",
                            query.id
                        )));
                    }
                    _ => {
                        return Err(invalid(format!(
                            "What the expression '{}' names has different periods ({periods:?}); they must be the same",
                            query.id
                        )));
                    }
                };
                false
            }
        };
        known.insert(query.id.clone(), (query.period, is_metric));
    }
    Ok(ordered)
}
