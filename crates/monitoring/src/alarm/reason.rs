//! Why an alarm is in its state, in CloudWatch's words, as alarms and their notifications show them.

use opentrail_model::Timestamp;
use serde_json::{Value, json};

use super::StateValue;
use super::decide::{Decision, Slot, TreatMissing};
use super::long_time;
use super::plan::{Comparison, MetricPlan};

/// A reason is that long at most, in characters. (API Reference, "MetricAlarm", `StateReason`, `StateReasonData`.)
const MAX_REASON: usize = 1023;
const MAX_DATA: usize = 4000;
/// As many data points does a reason tell.
const TOLD: usize = 6;

/// A period of the evaluation range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Evaluated {
    pub(super) time: Timestamp,
    pub(super) slot: Slot,
    pub(super) samples: Option<f64>,
}

/// The reason for a decision, and its data.
pub(super) fn of(
    plan: &MetricPlan,
    range: &[Evaluated],
    decision: Decision,
    states: (StateValue, StateValue),
    now: Timestamp,
) -> (String, Option<String>) {
    let (old, new) = states;
    // The most recent first.
    let points: Vec<(f64, Timestamp)> = range
        .iter()
        .rev()
        .filter_map(|period| match period.slot {
            Slot::Missing => None,
            Slot::Within(value) | Slot::Breaching(value) => Some((value, period.time)),
        })
        .take(plan.evaluated)
        .collect();
    let text = match new {
        StateValue::InsufficientData => insufficient(decision.filled),
        _ => crossed(plan, &points, range, decision, (old, new)),
    };
    (text.chars().take(MAX_REASON).collect(), data(plan, range, now))
}

fn insufficient(filled: usize) -> String {
    match filled {
        1 => "Insufficient Data: 1 datapoint was unknown.".to_owned(),
        count => format!("Insufficient Data: {count} datapoints were unknown."),
    }
}

fn crossed(
    plan: &MetricPlan,
    points: &[(f64, Timestamp)],
    range: &[Evaluated],
    decision: Decision,
    (old, new): (StateValue, StateValue),
) -> String {
    let missing = treated(plan, decision.filled);
    if points.is_empty() {
        let periods = count(plan.evaluated, "period", "periods");
        let missing = missing.unwrap_or_default();
        return format!("Threshold Crossed: no datapoints were received for {periods} and {missing}.");
    }
    // Only those that speak for the state, as CloudWatch does; all where none does.
    let breaching = new == StateValue::Alarm;
    let speaks = |value: f64| matches!(plan.slot(value), Slot::Breaching(_)) == breaching;
    let mut told: Vec<_> = points.iter().filter(|(value, _)| speaks(*value)).collect();
    if told.is_empty() || !plan.is_m_of_n {
        told = points.iter().collect();
    }
    let listed: Vec<String> = told
        .iter()
        .take(TOLD)
        .map(|(value, time)| format!("{} ({})", number(*value), time.format("%d/%m/%y %H:%M:%S")))
        .collect();
    let more = if told.len() > TOLD { ", ..." } else { "" };
    let were = if told.len() == 1 { "was" } else { "were" };
    let not = if breaching { "" } else { "not " };
    let threshold = number(plan.threshold);
    let comparison = match plan.comparison {
        Comparison::GreaterOrEqual => "greater than or equal to",
        Comparison::Greater => "greater than",
        Comparison::Less => "less than",
        Comparison::LessOrEqual => "less than or equal to",
    };
    let what = if plan.is_m_of_n {
        format!("{} out of the last {} datapoints", told.len(), plan.evaluated.min(range.len()))
    } else {
        count(told.len(), "datapoint", "datapoints")
    };
    let missing = missing.map(|missing| format!(" and {missing}")).unwrap_or_default();
    let rule = if plan.is_m_of_n {
        let needed = if breaching { plan.to_alarm } else { plan.evaluated - plan.to_alarm + 1 };
        let datapoints = count(needed, "datapoint", "datapoints");
        let from = if old == new { if breaching { StateValue::Ok } else { StateValue::Alarm } } else { old };
        format!(" (minimum {datapoints} for {from} -> {new} transition)")
    } else {
        String::new()
    };
    let listed = listed.join(", ");
    format!(
        "Threshold Crossed: {what} [{listed}{more}] {were} {not}{comparison} the threshold ({threshold}){missing}{rule}."
    )
}

fn treated(plan: &MetricPlan, filled: usize) -> Option<String> {
    let treated = match plan.treat {
        TreatMissing::Breaching => "Breaching",
        TreatMissing::NotBreaching => "NonBreaching",
        TreatMissing::Missing | TreatMissing::Ignore => return None,
    };
    let were = if filled == 1 { "was" } else { "were" };
    let missing = count(filled, "missing datapoint", "missing datapoints");
    (filled > 0).then(|| format!("{missing} {were} treated as [{treated}]"))
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `1.0`, as Java prints it for numbers of common size.
pub(super) fn number(value: f64) -> String {
    format!("{value:?}")
}

fn data(plan: &MetricPlan, range: &[Evaluated], now: Timestamp) -> Option<String> {
    let evaluated = &range[range.len().saturating_sub(plan.evaluated)..];
    let point = |period: &Evaluated| {
        let mut point = json!({ "timestamp": long_time(period.time) });
        if let Slot::Within(value) | Slot::Breaching(value) = period.slot {
            if let Some(samples) = period.samples {
                point["sampleCount"] = samples.into();
            }
            point["value"] = value.into();
        }
        point
    };
    let value = |period: &Evaluated| match period.slot {
        Slot::Within(value) | Slot::Breaching(value) => Some(value),
        Slot::Missing => None,
    };
    let recent: Vec<f64> = range.iter().filter_map(value).collect();
    let recent = &recent[recent.len().saturating_sub(plan.evaluated)..];
    let start = range.iter().find(|period| period.slot != Slot::Missing).or(range.first())?;
    let mut data = json!({ "version": "1.0", "queryDate": long_time(now), "startDate": long_time(start.time) });
    if let Some(unit) = plan.unit {
        data["unit"] = unit.as_str().into();
    }
    if let Some(statistic) = &plan.statistic_name {
        data["statistic"] = statistic.as_str().into();
    }
    data["period"] = plan.period.into();
    data["recentDatapoints"] = recent.into();
    data["threshold"] = plan.threshold.into();
    data["evaluatedDatapoints"] = evaluated.iter().rev().map(point).collect::<Value>();
    let mut text = data.to_string();
    if text.len() > MAX_DATA {
        data["evaluatedDatapoints"] = Value::Array(Vec::new());
        text = data.to_string();
    }
    (text.len() <= MAX_DATA).then_some(text)
}
