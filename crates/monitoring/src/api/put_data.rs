use std::time::Duration;

use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{MetricDatum, PutMetricDataInput, errors};

use super::check::{dimensions, has_control, invalid};
use super::{Cx, Nothing, failed};
use crate::metric::{Datum, MetricName, Resolution, Unit};
use crate::summary::Summary;

/// As many metrics in one request, and values in one datum. (API Reference, "PutMetricData", "MetricDatum".)
const MAX_DATA: usize = 1000;
const MAX_VALUES: usize = 150;
/// Values lie between minus and plus 2 to this power. (API Reference, "MetricDatum", `Value`.)
const MAX_POWER: i32 = 360;
/// How far back and ahead of now data may be. (The same, `Timestamp`.)
const PAST: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const FUTURE: Duration = Duration::from_secs(2 * 60 * 60);

/// Keeps data of metrics; entities, which only relate them to others, are not kept.
pub(super) async fn put_metric_data(cx: &Cx<'_>, input: PutMetricDataInput) -> Result<Nothing, CodedError> {
    let namespace = &input.namespace;
    let conditions = cx.conditions.clone().with("cloudwatch:namespace", namespace.as_str());
    cx.authorize_with("PutMetricData", "*", &conditions)?;
    if namespace.starts_with("AWS/") {
        return Err(invalid("The value AWS/ for parameter Namespace is invalid: such namespaces are AWS's own."));
    }
    if has_control(namespace) || namespace.trim().is_empty() {
        return Err(invalid("The parameter Namespace must not be blank or hold control characters."));
    }
    let of_entities = input.entity_metric_data.iter().flatten().flat_map(|entity| entity.metric_data.iter().flatten());
    let given: Vec<&MetricDatum> = input.metric_data.iter().flatten().chain(of_entities).collect();
    if given.is_empty() {
        let told = "At least one of the parameters MetricData and EntityMetricData is required.";
        return Err(errors::missing_required_parameter_exception(told));
    }
    if given.len() > MAX_DATA {
        let told = format!("The collection MetricData must not have a size greater than {MAX_DATA}.");
        return Err(invalid(told));
    }
    let data = given.iter().enumerate().map(|(i, datum)| checked(cx, namespace, datum, i + 1));
    let data = data.collect::<Result<Vec<_>, _>>()?;
    cx.monitoring.metrics.put(&data).await.map_err(failed)?;
    Ok(Nothing {})
}

fn checked(cx: &Cx<'_>, namespace: &str, datum: &MetricDatum, number: usize) -> Result<Datum, CodedError> {
    let at = format!("MetricData.member.{number}");
    if has_control(&datum.metric_name) || datum.metric_name.trim().is_empty() {
        return Err(invalid(format!("The parameter {at}.MetricName must not be blank or hold control characters.")));
    }
    let dimensions = dimensions(datum.dimensions.as_deref().unwrap_or_default(), &format!("{at}.Dimensions"))?;
    let time = datum.timestamp.unwrap_or(cx.now);
    if time > cx.now + FUTURE {
        return Err(invalid(format!(
            "The parameter {at}.Timestamp must specify a time no more than two hours in the future."
        )));
    }
    if time < cx.now - PAST {
        return Err(invalid(format!("The parameter {at}.Timestamp must specify a time within the past two weeks.")));
    }
    let resolution = match datum.storage_resolution {
        None | Some(60) => Resolution::Standard,
        Some(1) => Resolution::High,
        Some(other) => {
            return Err(invalid(format!("The value {other} for parameter {at}.StorageResolution must be 1 or 60.")));
        }
    };
    Ok(Datum {
        account: cx.call.principal.account,
        region: cx.call.region.clone(),
        metric: MetricName::new(namespace, &datum.metric_name, dimensions),
        time,
        unit: datum.unit.as_deref().and_then(Unit::from_name).unwrap_or(Unit::NONE),
        resolution,
        values: values(datum, &at)?,
    })
}

fn values(datum: &MetricDatum, at: &str) -> Result<Summary, CodedError> {
    let many = datum.values.as_ref().filter(|values| !values.is_empty());
    match (datum.value, &datum.statistic_values, many) {
        (Some(value), None, None) => {
            in_range(value, &format!("{at}.Value"))?;
            Ok(Summary::of(value))
        }
        (None, Some(set), None) => {
            let (count, sum, min, max) = (set.sample_count, set.sum, set.minimum, set.maximum);
            for value in [count, sum, min, max] {
                in_range(value, &format!("{at}.StatisticValues"))?;
            }
            if count <= 0.0 || min > max {
                return Err(invalid(format!(
                    "The parameter {at}.StatisticValues must have a SampleCount above 0 and a Minimum not above its \
                     Maximum."
                )));
            }
            Ok(Summary::of_totals(count, sum, min, max))
        }
        (None, None, Some(values)) => counted(values, datum.counts.as_deref(), at),
        (None, None, None) => Err(errors::missing_required_parameter_exception(format!(
            "At least one of the parameters {at}.Value, {at}.Values and {at}.StatisticValues must be specified."
        ))),
        _ => Err(errors::invalid_parameter_combination_exception(format!(
            "The parameters {at}.Value, {at}.Values and {at}.StatisticValues are mutually exclusive and you have specified \
             more than one."
        ))),
    }
}

fn counted(values: &[f64], counts: Option<&[f64]>, at: &str) -> Result<Summary, CodedError> {
    if values.len() > MAX_VALUES {
        return Err(invalid(format!("The collection {at}.Values must not have a size greater than {MAX_VALUES}.")));
    }
    let ones = vec![1.0; values.len()];
    let counts = counts.unwrap_or(&ones);
    if counts.len() != values.len() {
        return Err(errors::invalid_parameter_combination_exception(format!(
            "The parameters {at}.Values and {at}.Counts must have the same size."
        )));
    }
    for (value, count) in values.iter().zip(counts) {
        in_range(*value, &format!("{at}.Values"))?;
        in_range(*count, &format!("{at}.Counts"))?;
        if *count <= 0.0 {
            return Err(invalid(format!("The values of {at}.Counts must be above 0.")));
        }
    }
    let pairs: Vec<(f64, f64)> = values.iter().copied().zip(counts.iter().copied()).collect();
    Summary::of_counts(&pairs).ok_or_else(|| invalid(format!("The collection {at}.Values must not be empty.")))
}

fn in_range(value: f64, at: &str) -> Result<(), CodedError> {
    if value.is_finite() && value.abs() <= 2_f64.powi(MAX_POWER) {
        return Ok(());
    }
    Err(invalid(format!("The value {value} for parameter {at} must lie between -2^{MAX_POWER} and 2^{MAX_POWER}.")))
}
