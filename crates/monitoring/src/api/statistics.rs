use std::collections::BTreeMap;

use opentrail_model::Timestamp;
use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{Datapoint, GetMetricStatisticsInput, GetMetricStatisticsOutput, errors};

use super::check::{dimensions, invalid};
use super::{Cx, failed};
use crate::metric::{MetricName, Unit};
use crate::queries::is_period;
use crate::statistic::Statistic;
use crate::store::Span;
use crate::summary::Summary;

/// As many data points in an answer. (API Reference, "GetMetricStatistics".)
const MAX_DATAPOINTS: i64 = 1440;
const DAY: i64 = 86_400;

/// An extended statistic, by the name that the request gives it.
type Extended = (String, Statistic);

/// Statistics of one metric.
pub(super) async fn get_metric_statistics(
    cx: &Cx<'_>,
    input: GetMetricStatisticsInput,
) -> Result<GetMetricStatisticsOutput, CodedError> {
    cx.authorize("GetMetricStatistics", "*")?;
    let (plain, extended) = statistics(&input)?;
    let span = span(&input, cx.now)?;
    let dimensions = dimensions(input.dimensions.as_deref().unwrap_or_default(), "Dimensions")?;
    let metric = MetricName::new(&input.namespace, &input.metric_name, dimensions);
    let unit = input.unit.as_deref().and_then(Unit::from_name);
    let store = &cx.monitoring.metrics.store;
    let read = store.read_by_unit(&cx.scope(), &metric, unit, span, cx.now).await.map_err(failed)?;
    let datapoint =
        |((unit, time), values): (&(Unit, i64), &Summary)| datapoint(*time, *unit, values, &plain, &extended);
    let datapoints = read.iter().map(datapoint).collect();
    Ok(GetMetricStatisticsOutput { label: Some(input.metric_name), datapoints: Some(datapoints) })
}

fn statistics(input: &GetMetricStatisticsInput) -> Result<(Vec<Statistic>, Vec<Extended>), CodedError> {
    let parsed = |name: &String| name.parse::<Statistic>().map_err(|error| invalid(error.to_string()));
    let plain = input.statistics.iter().flatten().map(parsed).collect::<Result<Vec<_>, _>>()?;
    let extended = input.extended_statistics.iter().flatten();
    let extended = extended.map(|name| Ok((name.clone(), parsed(name)?))).collect::<Result<Vec<_>, CodedError>>()?;
    if plain.is_empty() && extended.is_empty() {
        let told = "Must specify either Statistics or ExtendedStatistics";
        return Err(errors::invalid_parameter_combination_exception(told));
    }
    if let Some((name, _)) = extended.iter().find(|(_, statistic)| !statistic.is_extended()) {
        return Err(invalid(format!(
            "The value {name} for parameter ExtendedStatistics must be asked for in Statistics"
        )));
    }
    Ok((plain, extended))
}

fn span(input: &GetMetricStatisticsInput, now: Timestamp) -> Result<Span, CodedError> {
    let period = i64::from(input.period);
    if !is_period(period) {
        return Err(invalid("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60"));
    }
    if input.start_time >= input.end_time {
        let told = "The parameter StartTime must be less than the parameter EndTime.";
        return Err(errors::invalid_parameter_combination_exception(told));
    }
    let start = aligned(input.start_time, period, now);
    let end = ceiling(input.end_time);
    let count = (end - start).div_euclid(period);
    if count > MAX_DATAPOINTS {
        return Err(errors::invalid_parameter_combination_exception(format!(
            "You have requested up to {count} datapoints, which exceeds the limit of {MAX_DATAPOINTS}. You may reduce the \
             datapoints requested by increasing Period, or decreasing the time range."
        )));
    }
    Ok(Span { start, end, period })
}

/// The second at which or after which a time is.
pub(super) fn ceiling(time: Timestamp) -> i64 {
    time.as_secs() + i64::from(time.as_millis().rem_euclid(1000) > 0)
}

/// Where periods begin: the start, rounded down to what its age allows. (API Reference, "GetMetricStatistics", `StartTime`.)
pub(super) fn aligned(start: Timestamp, period: i64, now: Timestamp) -> i64 {
    let age = i64::try_from(now.since(start).as_secs()).unwrap_or(i64::MAX);
    let step = match age {
        age if age > 63 * DAY => 3600,
        age if age > 15 * DAY => 300,
        _ if period < 60 => period,
        _ => 60,
    };
    start.as_secs().div_euclid(step) * step
}

fn datapoint(time: i64, unit: Unit, values: &Summary, plain: &[Statistic], extended: &[Extended]) -> Datapoint {
    let asked = |statistic: Statistic| plain.contains(&statistic).then(|| statistic.of(values)).flatten();
    let extended: BTreeMap<String, f64> =
        extended.iter().filter_map(|(name, statistic)| Some((name.clone(), statistic.of(values)?))).collect();
    Datapoint {
        timestamp: Some(Timestamp::from_secs(time)),
        sample_count: asked(Statistic::SampleCount),
        average: asked(Statistic::Average),
        sum: asked(Statistic::Sum),
        minimum: asked(Statistic::Minimum),
        maximum: asked(Statistic::Maximum),
        unit: Some(unit.as_str().to_owned()),
        extended_statistics: Some(extended).filter(|extended| !extended.is_empty()),
    }
}
