//! Alarms as the API shows them.

use opentrail_wire::cloudwatch::{CompositeAlarm, MetricAlarm, PutCompositeAlarmInput, PutMetricAlarmInput};

use crate::alarm::{Alarm, Definition};

/// An alarm of one kind or the other.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Metric(Box<MetricAlarm>),
    Composite(Box<CompositeAlarm>),
}

pub(super) fn shown(alarm: &Alarm) -> Shown {
    match &alarm.definition {
        Definition::Metric(input) => Shown::Metric(Box::new(metric(alarm, input))),
        Definition::Composite(input) => Shown::Composite(Box::new(composite(alarm, input))),
    }
}

fn metric(alarm: &Alarm, input: &PutMetricAlarmInput) -> MetricAlarm {
    let list = |actions: &Option<Vec<String>>| Some(actions.clone().unwrap_or_default());
    let state = &alarm.state;
    MetricAlarm {
        alarm_name: Some(alarm.name.clone()),
        alarm_arn: Some(alarm.arn()),
        alarm_description: input.alarm_description.clone(),
        alarm_configuration_updated_timestamp: Some(alarm.configured),
        actions_enabled: Some(alarm.are_actions_enabled()),
        ok_actions: list(&input.ok_actions),
        alarm_actions: list(&input.alarm_actions),
        insufficient_data_actions: list(&input.insufficient_data_actions),
        state_value: Some(state.value.as_str().to_owned()),
        state_reason: Some(state.reason.clone()),
        state_reason_data: state.reason_data.clone(),
        state_updated_timestamp: Some(state.updated),
        state_transitioned_timestamp: Some(state.transitioned),
        metric_name: input.metric_name.clone(),
        namespace: input.namespace.clone(),
        statistic: input.statistic.clone(),
        extended_statistic: input.extended_statistic.clone(),
        dimensions: Some(input.dimensions.clone().unwrap_or_default()),
        period: input.period,
        unit: input.unit.clone(),
        evaluation_periods: input.evaluation_periods,
        datapoints_to_alarm: input.datapoints_to_alarm,
        threshold: input.threshold,
        comparison_operator: input.comparison_operator.clone(),
        treat_missing_data: input.treat_missing_data.clone(),
        evaluate_low_sample_count_percentile: input.evaluate_low_sample_count_percentile.clone(),
        metrics: input.metrics.clone(),
        ..MetricAlarm::default()
    }
}

fn composite(alarm: &Alarm, input: &PutCompositeAlarmInput) -> CompositeAlarm {
    let list = |actions: &Option<Vec<String>>| Some(actions.clone().unwrap_or_default());
    let state = &alarm.state;
    let by = alarm.suppression.by;
    CompositeAlarm {
        alarm_name: Some(alarm.name.clone()),
        alarm_arn: Some(alarm.arn()),
        alarm_description: input.alarm_description.clone(),
        alarm_configuration_updated_timestamp: Some(alarm.configured),
        actions_enabled: Some(alarm.are_actions_enabled()),
        ok_actions: list(&input.ok_actions),
        alarm_actions: list(&input.alarm_actions),
        insufficient_data_actions: list(&input.insufficient_data_actions),
        alarm_rule: Some(input.alarm_rule.clone()),
        state_value: Some(state.value.as_str().to_owned()),
        state_reason: Some(state.reason.clone()),
        state_reason_data: state.reason_data.clone(),
        state_updated_timestamp: Some(state.updated),
        state_transitioned_timestamp: Some(state.transitioned),
        actions_suppressed_by: by.map(|by| by.as_str().to_owned()),
        actions_suppressed_reason: by.map(|by| match &input.actions_suppressor {
            Some(suppressor) => format!("Actions suppressed by {} of {suppressor}", by.as_str()),
            None => format!("Actions suppressed by {}", by.as_str()),
        }),
        actions_suppressor: input.actions_suppressor.clone(),
        actions_suppressor_wait_period: input.actions_suppressor_wait_period,
        actions_suppressor_extension_period: input.actions_suppressor_extension_period,
        ..CompositeAlarm::default()
    }
}
