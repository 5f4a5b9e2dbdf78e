//! DescribeAlarms and DescribeAlarmsForMetric.

use std::sync::Arc;

use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{
    CompositeAlarm, DescribeAlarmsForMetricInput, DescribeAlarmsForMetricOutput, DescribeAlarmsInput,
    DescribeAlarmsOutput, MetricAlarm, errors,
};

use super::present::{Shown, shown};
use super::{Cx, paging};
use crate::alarm::{Alarm, Definition, Loaded, Plan, StateValue};
use crate::metric::MetricName;

/// As many alarms on a page when the request does not say. (API Reference, "DescribeAlarms".)
const PAGE: usize = 50;

/// Alarms by name, prefix, state, action, or as parents or children of another.
pub(super) fn describe_alarms(cx: &Cx<'_>, mut input: DescribeAlarmsInput) -> Result<DescribeAlarmsOutput, CodedError> {
    authorize(cx, &input)?;
    let token = input.next_token.take();
    let digest = paging::digest(&input);
    let limit = input.max_records.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE);
    let after: Option<String> = paging::place(digest, token.as_deref())?;
    let found = chosen(cx, &input)?;
    let mut page: Vec<Arc<Loaded>> = found
        .into_iter()
        .filter(|loaded| after.as_ref().is_none_or(|after| loaded.alarm.name > *after))
        .take(limit + 1)
        .collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next_token = page.last().filter(|_| more).map(|last| paging::token(digest, &last.alarm.name));
    let (mut metric_alarms, mut composite_alarms) = (Vec::new(), Vec::new());
    for loaded in &page {
        let shown = shown(&loaded.alarm);
        // Relatives are told in short.
        let shown = match (&input.children_of_alarm_name, &input.parents_of_alarm_name) {
            (None, None) => shown,
            (children, _) => brief(shown, children.is_some()),
        };
        match shown {
            Shown::Metric(alarm) => metric_alarms.push(*alarm),
            Shown::Composite(alarm) => composite_alarms.push(*alarm),
        }
    }
    Ok(DescribeAlarmsOutput {
        metric_alarms: Some(metric_alarms),
        composite_alarms: Some(composite_alarms),
        next_token,
        ..DescribeAlarmsOutput::default()
    })
}

fn authorize(cx: &Cx<'_>, input: &DescribeAlarmsInput) -> Result<(), CodedError> {
    match (input.alarm_names.as_deref().unwrap_or_default(), &input.alarm_name_prefix) {
        ([], None) => cx.authorize("DescribeAlarms", &cx.alarms_arn("*")),
        ([], Some(prefix)) => cx.authorize("DescribeAlarms", &cx.alarms_arn(&format!("{prefix}*"))),
        (names, _) => names.iter().try_for_each(|name| cx.authorize("DescribeAlarms", &cx.alarms_arn(name))),
    }
}

/// The alarms that the request means, by name.
fn chosen(cx: &Cx<'_>, input: &DescribeAlarmsInput) -> Result<Vec<Arc<Loaded>>, CodedError> {
    let names = input.alarm_names.as_deref().filter(|names| !names.is_empty());
    if names.is_some() && input.alarm_name_prefix.is_some() {
        return Err(CodedError::validation("AlarmNames and AlarmNamePrefix must not both be set"));
    }
    let all = cx.monitoring.alarms.of(&cx.scope());
    if input.children_of_alarm_name.is_some() || input.parents_of_alarm_name.is_some() {
        return relatives(cx, input, all);
    }
    let types = input.alarm_types.as_deref().filter(|types| !types.is_empty());
    let state = input.state_value.as_deref().and_then(StateValue::from_name);
    let is_chosen = |alarm: &Alarm| {
        // Without types, metric alarms only. (API Reference, "DescribeAlarms", `AlarmTypes`.)
        types.map_or(alarm.kind() == "MetricAlarm", |types| types.iter().any(|kind| kind == alarm.kind()))
            && names.is_none_or(|names| names.contains(&alarm.name))
            && input.alarm_name_prefix.as_ref().is_none_or(|prefix| alarm.name.starts_with(prefix.as_str()))
            && state.is_none_or(|state| alarm.state.value == state)
            && input.action_prefix.as_ref().is_none_or(|prefix| has_action(alarm, prefix))
    };
    Ok(all.into_iter().filter(|loaded| is_chosen(&loaded.alarm)).collect())
}

fn has_action(alarm: &Alarm, prefix: &str) -> bool {
    let states = [StateValue::Ok, StateValue::Alarm, StateValue::InsufficientData];
    states.iter().any(|state| alarm.actions(*state).iter().any(|action| action.starts_with(prefix)))
}

/// (API Reference, "DescribeAlarms", `ChildrenOfAlarmName`, `ParentsOfAlarmName`.)
fn relatives(cx: &Cx<'_>, input: &DescribeAlarmsInput, all: Vec<Arc<Loaded>>) -> Result<Vec<Arc<Loaded>>, CodedError> {
    let alone = DescribeAlarmsInput {
        children_of_alarm_name: input.children_of_alarm_name.clone(),
        parents_of_alarm_name: input.parents_of_alarm_name.clone(),
        max_records: input.max_records,
        ..DescribeAlarmsInput::default()
    };
    let both = input.children_of_alarm_name.is_some() && input.parents_of_alarm_name.is_some();
    if both || alone != *input {
        return Err(CodedError::validation(
            "ChildrenOfAlarmName and ParentsOfAlarmName go with no other parameters but MaxRecords and NextToken",
        ));
    }
    let name = input.children_of_alarm_name.as_ref().or(input.parents_of_alarm_name.as_ref());
    let name = name.map(String::as_str).unwrap_or_default();
    let of = cx.monitoring.alarms.find(&cx.key(name));
    let of = of.ok_or_else(|| errors::resource_not_found(format!("There is no alarm {name} in this Region")))?;
    let depends = |on: &str, loaded: &Loaded| match &loaded.plan {
        Plan::Composite(plan) => plan.rule.alarms().contains(on),
        Plan::Metric(_) => false,
    };
    let is_relative = |loaded: &Arc<Loaded>| match &input.children_of_alarm_name {
        Some(_) => depends(&loaded.alarm.name, &of),
        None => depends(name, loaded),
    };
    Ok(all.into_iter().filter(is_relative).collect())
}

/// Name and ARN, of children their state too.
fn brief(shown: Shown, with_state: bool) -> Shown {
    match shown {
        Shown::Metric(alarm) => Shown::Metric(Box::new(MetricAlarm {
            state_value: alarm.state_value.filter(|_| with_state),
            state_updated_timestamp: alarm.state_updated_timestamp.filter(|_| with_state),
            alarm_name: alarm.alarm_name,
            alarm_arn: alarm.alarm_arn,
            ..MetricAlarm::default()
        })),
        Shown::Composite(alarm) => Shown::Composite(Box::new(CompositeAlarm {
            state_value: alarm.state_value.filter(|_| with_state),
            state_updated_timestamp: alarm.state_updated_timestamp.filter(|_| with_state),
            alarm_name: alarm.alarm_name,
            alarm_arn: alarm.alarm_arn,
            ..CompositeAlarm::default()
        })),
    }
}

/// Alarms on one metric; those on expressions are not told.
pub(super) fn describe_alarms_for_metric(
    cx: &Cx<'_>,
    input: DescribeAlarmsForMetricInput,
) -> Result<DescribeAlarmsForMetricOutput, CodedError> {
    cx.authorize("DescribeAlarmsForMetric", &cx.alarms_arn("*"))?;
    let dimensions = input.dimensions.iter().flatten();
    let dimensions = dimensions.map(|dimension| (dimension.name.clone(), dimension.value.clone()));
    let metric = MetricName::new(&input.namespace, &input.metric_name, dimensions);
    let is_on_it = |loaded: &Loaded| {
        let (Plan::Metric(plan), Definition::Metric(definition)) = (&loaded.plan, &loaded.alarm.definition) else {
            return false;
        };
        definition.metrics.is_none()
            && plan.queries.only_metric().is_some_and(|watched| watched.metric == metric)
            && (input.statistic.is_none() || input.statistic == definition.statistic)
            && (input.extended_statistic.is_none() || input.extended_statistic == definition.extended_statistic)
            && (input.period.is_none() || input.period == definition.period)
            && (input.unit.is_none() || input.unit == definition.unit)
    };
    let all = cx.monitoring.alarms.of(&cx.scope());
    let alarms = all.iter().filter(|loaded| is_on_it(loaded)).filter_map(|loaded| match shown(&loaded.alarm) {
        Shown::Metric(alarm) => Some(*alarm),
        Shown::Composite(_) => None,
    });
    Ok(DescribeAlarmsForMetricOutput { metric_alarms: Some(alarms.collect()) })
}
