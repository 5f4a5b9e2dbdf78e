//! What the definition of an alarm means, checked.

use opentrail_wire::cloudwatch::{PutCompositeAlarmInput, PutMetricAlarmInput};

use super::Definition;
use super::decide::{Slot, TreatMissing};
use super::rule::Rule;
use crate::metric::{MetricName, Unit};
use crate::queries::{MetricQuery, Queries};
use crate::statistic::Statistic;

/// As many metrics may an alarm's expression be made of. (User Guide, "Alarms on math expressions".)
const MAX_METRICS: usize = 10;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// Why a definition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Problem(pub(crate) String);

fn problem(message: impl Into<String>) -> Problem {
    Problem(message.into())
}

/// What an alarm evaluates.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Metric(Box<MetricPlan>),
    Composite(CompositePlan),
}

/// How a value compares with the threshold so that it breaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    GreaterOrEqual,
    Greater,
    Less,
    LessOrEqual,
}

/// What is done where there are too few values for a percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LowSamples {
    Evaluate,
    Ignore,
}

#[derive(Clone, Debug)]
pub(crate) struct MetricPlan {
    pub(crate) queries: Queries,
    /// Seconds.
    pub(crate) period: i64,
    pub(crate) evaluated: usize,
    pub(crate) to_alarm: usize,
    /// Whether the definition says how many: reasons then say so too.
    pub(crate) is_m_of_n: bool,
    pub(crate) threshold: f64,
    pub(crate) comparison: Comparison,
    pub(crate) treat: TreatMissing,
    pub(crate) low_samples: LowSamples,
    /// As reasons name it: `Sum`, `p99`; `None` of an expression.
    pub(crate) statistic_name: Option<String>,
    pub(crate) unit: Option<Unit>,
}

#[derive(Clone, Debug)]
pub(crate) struct CompositePlan {
    pub(crate) rule: Rule,
    pub(crate) suppressor: Option<Suppressor>,
}

/// An alarm that holds back a composite alarm's actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suppressor {
    /// By name, of the same account and Region.
    pub(crate) alarm: String,
    pub(crate) wait: std::time::Duration,
    pub(crate) extension: std::time::Duration,
}

impl Plan {
    pub(crate) fn of(definition: &Definition) -> Result<Self, Problem> {
        match definition {
            Definition::Metric(metric) => Ok(Self::Metric(Box::new(MetricPlan::of(metric)?))),
            Definition::Composite(composite) => Ok(Self::Composite(CompositePlan::of(composite)?)),
        }
    }
}

impl MetricPlan {
    /// (API Reference, "PutMetricAlarm".)
    fn of(input: &PutMetricAlarmInput) -> Result<Self, Problem> {
        refuse_what_is_not_here(input)?;
        let queries = queries(input)?;
        let [(_, period)] = queries.returned().collect::<Vec<_>>()[..] else {
            return Err(problem("Exactly one element of the metrics list should return data"));
        };
        if !(matches!(period, 10 | 20 | 30) || period % 60 == 0) {
            return Err(problem("Period must be 10, 20, 30 or a multiple of 60"));
        }
        let evaluated = required(input.evaluation_periods, "EvaluationPeriods")?;
        let to_alarm = input.datapoints_to_alarm.unwrap_or(evaluated);
        if to_alarm > evaluated {
            return Err(problem("DatapointsToAlarm must not be greater than EvaluationPeriods"));
        }
        let longest = if period < HOUR { DAY } else { 7 * DAY };
        if i64::from(evaluated) * period > longest {
            return Err(problem(format!(
                "Metrics cannot be checked across more than {longest} seconds (EvaluationPeriods * Period must be <= \
                 {longest} where the period is {period})"
            )));
        }
        let threshold = required(input.threshold, "Threshold")?;
        let is_percentile = queries.only_metric().is_some_and(|metric| metric.statistic.is_extended());
        Ok(Self {
            period,
            evaluated: usize::try_from(evaluated).unwrap_or(1),
            to_alarm: usize::try_from(to_alarm).unwrap_or(1),
            is_m_of_n: input.datapoints_to_alarm.is_some(),
            threshold,
            comparison: comparison(input.comparison_operator.as_deref())?,
            treat: treat_missing(input, &queries)?,
            low_samples: low_samples(input, is_percentile)?,
            statistic_name: input.statistic.clone().or(input.extended_statistic.clone()),
            unit: input.unit.as_deref().and_then(Unit::from_name),
            queries,
        })
    }

    /// Whether the value breaches the threshold.
    pub(crate) fn slot(&self, value: f64) -> Slot {
        let breaches = match self.comparison {
            Comparison::GreaterOrEqual => value >= self.threshold,
            Comparison::Greater => value > self.threshold,
            Comparison::Less => value < self.threshold,
            Comparison::LessOrEqual => value <= self.threshold,
        };
        if breaches { Slot::Breaching(value) } else { Slot::Within(value) }
    }

    /// Whether no further data of a period can undo that it breaches, as long as none is negative.
    pub(crate) fn is_certain_early(&self) -> bool {
        let Some(metric) = self.queries.only_metric() else { return false };
        match self.comparison {
            Comparison::Greater | Comparison::GreaterOrEqual => {
                matches!(metric.statistic, Statistic::Sum | Statistic::SampleCount | Statistic::Maximum)
            }
            Comparison::Less | Comparison::LessOrEqual => metric.statistic == Statistic::Minimum,
        }
    }

    /// Whether a negative value could still undo it.
    pub(crate) fn needs_no_negatives(&self) -> bool {
        self.queries.only_metric().is_some_and(|metric| metric.statistic == Statistic::Sum)
    }

    /// Whether so few values say too little for this percentile. (User Guide, "Percentile-based alarms and low data samples".)
    pub(crate) fn is_too_few(&self, samples: f64) -> bool {
        let Some(Statistic::Percentile(percent)) = self.queries.only_metric().map(|metric| metric.statistic) else {
            return false;
        };
        let part = percent / 100.0;
        let needed = if part >= 0.5 { 10.0 / (1.0 - part) } else { 10.0 / part };
        // 10 / (1 - 0.9) is a hair more than 100.
        self.low_samples == LowSamples::Ignore && samples < needed - 1e-6
    }
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, Problem> {
    value.ok_or_else(|| problem(format!("{name} must not be null")))
}

fn refuse_what_is_not_here(input: &PutMetricAlarmInput) -> Result<(), Problem> {
    let absent = [
        (input.threshold_metric_id.is_some(), "ThresholdMetricId: there are no anomaly detection alarms here"),
        (input.evaluation_criteria.is_some(), "EvaluationCriteria: there are no PromQL alarms here"),
        (input.evaluation_interval.is_some(), "EvaluationInterval: there are no PromQL alarms here"),
        (input.evaluation_window.is_some(), "EvaluationWindow: periods are those of the epoch here"),
        (input.warm_up_configuration.is_some(), "WarmUpConfiguration: alarms are evaluated at once here"),
    ];
    match absent.into_iter().find(|(is_given, _)| *is_given) {
        Some((_, what)) => Err(problem(format!("{what}; leave it out"))),
        None => Ok(()),
    }
}

fn comparison(name: Option<&str>) -> Result<Comparison, Problem> {
    match required(name, "ComparisonOperator")? {
        "GreaterThanOrEqualToThreshold" => Ok(Comparison::GreaterOrEqual),
        "GreaterThanThreshold" => Ok(Comparison::Greater),
        "LessThanThreshold" => Ok(Comparison::Less),
        "LessThanOrEqualToThreshold" => Ok(Comparison::LessOrEqual),
        other => Err(problem(format!(
            "ComparisonOperator {other} is for anomaly detection alarms, which there are not here; use one of \
             GreaterThanOrEqualToThreshold, GreaterThanThreshold, LessThanThreshold, LessThanOrEqualToThreshold"
        ))),
    }
}

fn treat_missing(input: &PutMetricAlarmInput, queries: &Queries) -> Result<TreatMissing, Problem> {
    match input.treat_missing_data.as_deref() {
        Some("missing") => Ok(TreatMissing::Missing),
        Some("ignore") => Ok(TreatMissing::Ignore),
        Some("breaching") => Ok(TreatMissing::Breaching),
        Some("notBreaching") => Ok(TreatMissing::NotBreaching),
        Some(other) => Err(problem(format!(
            "The value '{other}' for TreatMissingData is not valid; use breaching, notBreaching, ignore or missing"
        ))),
        // (User Guide, "Configuring how CloudWatch alarms treat missing data", the note on DynamoDB.)
        None if queries.metrics().any(|query| query.metric.namespace == "AWS/DynamoDB") => Ok(TreatMissing::Ignore),
        None => Ok(TreatMissing::Missing),
    }
}

fn low_samples(input: &PutMetricAlarmInput, is_percentile: bool) -> Result<LowSamples, Problem> {
    match input.evaluate_low_sample_count_percentile.as_deref() {
        None => Ok(LowSamples::Evaluate),
        Some(_) if !is_percentile => {
            Err(problem("EvaluateLowSampleCountPercentile is only for alarms on percentiles; leave it out"))
        }
        Some("evaluate") => Ok(LowSamples::Evaluate),
        Some("ignore") => Ok(LowSamples::Ignore),
        Some(other) => Err(problem(format!(
            "The value '{other}' for EvaluateLowSampleCountPercentile is not valid; use evaluate or ignore"
        ))),
    }
}

fn queries(input: &PutMetricAlarmInput) -> Result<Queries, Problem> {
    let simple = [
        (input.metric_name.is_some(), "MetricName"),
        (input.namespace.is_some(), "Namespace"),
        (input.statistic.is_some(), "Statistic"),
        (input.extended_statistic.is_some(), "ExtendedStatistic"),
        (input.dimensions.as_ref().is_some_and(|dimensions| !dimensions.is_empty()), "Dimensions"),
        (input.period.is_some(), "Period"),
        (input.unit.is_some(), "Unit"),
    ];
    if let Some(metrics) = &input.metrics {
        if let Some((_, name)) = simple.into_iter().find(|(is_given, _)| *is_given) {
            return Err(problem(format!(
                "{name} must not be set if Metrics is set: an alarm has the one or the other"
            )));
        }
        if let Some(other) = metrics.iter().find(|query| query.account_id.is_some()) {
            return Err(problem(format!("AccountId of '{}': metrics of other accounts are not available", other.id)));
        }
        let queries = Queries::parse(metrics).map_err(|error| problem(error.to_string()))?;
        let count = queries.metrics().count();
        if count > MAX_METRICS {
            return Err(problem(format!("An alarm may have {MAX_METRICS} metrics, not {count}")));
        }
        return Ok(queries);
    }
    let name = required(input.metric_name.as_ref(), "MetricName")?;
    let namespace = required(input.namespace.as_ref(), "Namespace")?;
    let statistic = match (&input.statistic, &input.extended_statistic) {
        (Some(statistic), None) => statistic,
        (None, Some(extended)) => extended,
        _ => return Err(problem("Exactly one of Statistic and ExtendedStatistic must be set")),
    };
    let statistic = statistic.parse::<Statistic>().map_err(|error| problem(error.to_string()))?;
    if input.extended_statistic.is_some() && !statistic.is_extended() {
        return Err(problem("ExtendedStatistic must be a percentile or a trimmed statistic; use Statistic instead"));
    }
    let dimensions = input.dimensions.iter().flatten();
    let dimensions = dimensions.map(|dimension| (dimension.name.clone(), dimension.value.clone()));
    let metric = MetricName::new(namespace, name, dimensions);
    let unit = input.unit.as_deref().and_then(Unit::from_name);
    let period = i64::from(required(input.period, "Period")?);
    Ok(Queries::single(MetricQuery { metric, statistic, unit }, period))
}

impl CompositePlan {
    /// (API Reference, "PutCompositeAlarm".)
    fn of(input: &PutCompositeAlarmInput) -> Result<Self, Problem> {
        if input.action_configuration.is_some() {
            return Err(problem("ActionConfiguration: tags do not go to actions here; leave it out"));
        }
        let rule = Rule::parse(&input.alarm_rule).map_err(|error| problem(error.to_string()))?;
        let rule = rule.with_names();
        let secs = |given: Option<i32>, name: &str| match given.map(u64::try_from) {
            Some(Ok(secs)) => Ok(std::time::Duration::from_secs(secs)),
            Some(Err(_)) => Err(problem(format!("{name} must not be negative"))),
            None => Err(problem(format!("{name} must be set if ActionsSuppressor is set"))),
        };
        let suppressor = match &input.actions_suppressor {
            None if input.actions_suppressor_wait_period.or(input.actions_suppressor_extension_period).is_some() => {
                return Err(problem("ActionsSuppressor must be set if one of its periods is"));
            }
            None => None,
            Some(alarm) => Some(Suppressor {
                alarm: name_of(alarm).to_owned(),
                wait: secs(input.actions_suppressor_wait_period, "ActionsSuppressorWaitPeriod")?,
                extension: secs(input.actions_suppressor_extension_period, "ActionsSuppressorExtensionPeriod")?,
            }),
        };
        Ok(Self { rule, suppressor })
    }

    /// The alarms that it depends on, by name.
    pub(crate) fn children(&self) -> impl Iterator<Item = &str> {
        self.rule.alarms().into_iter().chain(self.suppressor.iter().map(|suppressor| &*suppressor.alarm))
    }
}

/// The name of an alarm that is given by name or ARN.
pub(crate) fn name_of(alarm: &str) -> &str {
    let resource = alarm.strip_prefix("arn:").and_then(|rest| rest.splitn(6, ':').nth(5));
    // An ARN is `arn:partition:cloudwatch:region:account:alarm:name`; the prefix is gone, so that the sixth part is the name.
    resource.unwrap_or(alarm)
}

impl Rule {
    /// With names where ARNs stood.
    fn with_names(self) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(Self::with_names).collect();
        match self {
            Self::Constant(truth) => Self::Constant(truth),
            Self::Is(state, alarm) => Self::Is(state, name_of(&alarm).to_owned()),
            Self::Not(inner) => Self::Not(Box::new(inner.with_names())),
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
        }
    }
}
