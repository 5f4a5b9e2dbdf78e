//! What an alarm's change of state says to its actions, and to an event bus.

use opentrail_model::{AccountId, Region};
use opentrail_wire::cloudwatch::{Dimension, MetricDataQuery, MetricStat, PutMetricAlarmInput};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Alarm, Definition, State, StateValue, long_time, regions};

/// SNS allows no longer subjects. (SNS API Reference, "Publish", `Subject`.)
const MAX_SUBJECT: usize = 100;

/// What an action is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmNotification {
    /// Whose alarm it is.
    pub account: AccountId,
    /// Where.
    pub region: Region,
    /// Which.
    pub alarm_arn: String,
    /// The state that it came into.
    pub new_state: StateValue,
    /// E.g. `ALARM: "high" in US East (N. Virginia)`, 100 characters at most, all of them ASCII.
    pub subject: String,
    /// The JSON that CloudWatch publishes to a topic.
    pub message: String,
    /// The same for every attempt, and for nothing else.
    pub deduplication_key: String,
}

impl AlarmNotification {
    /// Of `alarm`, which has come into its state out of `old`, for the action `arn`.
    pub(super) fn of(alarm: &Alarm, old: &State, action: &str) -> Self {
        let subject: String = format!("{}: \"{}\" in {}", alarm.state.value, alarm.name, regions::name(&alarm.region));
        let subject = subject.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' });
        let subject: String = subject.take(MAX_SUBJECT).collect();
        let changed = alarm.state.transitioned.as_millis();
        Self {
            account: alarm.account,
            region: alarm.region.clone(),
            alarm_arn: alarm.arn(),
            new_state: alarm.state.value,
            subject,
            message: message(alarm, old).to_string(),
            deduplication_key: format!("{}/{changed}/{}/{action}", alarm.arn(), alarm.state.value),
        }
    }
}

/// (CloudWatch User Guide, "Notifying users on alarm changes"; the members as published messages have them.)
fn message(alarm: &Alarm, old: &State) -> Value {
    let mut message = json!({
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description(),
        "AWSAccountId": alarm.account.to_string(),
        "AlarmConfigurationUpdatedTimestamp": long_time(alarm.configured),
        "NewStateValue": alarm.state.value,
        "NewStateReason": alarm.state.reason,
        "StateChangeTime": long_time(alarm.state.transitioned),
        "Region": regions::name(&alarm.region),
        "AlarmArn": alarm.arn(),
        "OldStateValue": old.value,
        "OKActions": alarm.actions(StateValue::Ok),
        "AlarmActions": alarm.actions(StateValue::Alarm),
        "InsufficientDataActions": alarm.actions(StateValue::InsufficientData),
    });
    match &alarm.definition {
        Definition::Metric(metric) => message["Trigger"] = trigger(metric),
        Definition::Composite(composite) => {
            message["AlarmRule"] = composite.alarm_rule.as_str().into();
            let data: Option<Value> =
                alarm.state.reason_data.as_deref().and_then(|data| serde_json::from_str(data).ok());
            let children = data.and_then(|data| data["triggeringAlarms"].as_array().cloned()).unwrap_or_default();
            let child = |child: &Value| {
                json!({ "Arn": child["arn"], "State": { "Value": child["state"]["value"],
                    "Timestamp": child["state"]["timestamp"] } })
            };
            message["TriggeringChildren"] = children.iter().map(child).collect();
        }
    }
    message
}

fn trigger(metric: &PutMetricAlarmInput) -> Value {
    let mut trigger = Map::new();
    let mut set = |name: &str, value: Value| trigger.insert(name.to_owned(), value);
    if metric.metrics.is_none() {
        set("MetricName", json!(metric.metric_name));
        set("Namespace", json!(metric.namespace));
        match (&metric.statistic, &metric.extended_statistic) {
            (Some(statistic), _) => {
                set("StatisticType", "Statistic".into());
                set("Statistic", shouted(statistic).into());
            }
            (None, extended) => {
                set("StatisticType", "ExtendedStatistic".into());
                set("ExtendedStatistic", json!(extended));
            }
        }
        set("Unit", json!(metric.unit));
        set("Dimensions", dimensions(metric.dimensions.as_deref().unwrap_or_default()));
        set("Period", json!(metric.period));
    }
    set("EvaluationPeriods", json!(metric.evaluation_periods));
    if metric.datapoints_to_alarm.is_some() {
        set("DatapointsToAlarm", json!(metric.datapoints_to_alarm));
    }
    set("ComparisonOperator", json!(metric.comparison_operator));
    set("Threshold", json!(metric.threshold));
    set("TreatMissingData", metric.treat_missing_data.as_deref().unwrap_or("missing").into());
    set(
        "EvaluateLowSampleCountPercentile",
        metric.evaluate_low_sample_count_percentile.as_deref().unwrap_or_default().into(),
    );
    if let Some(metrics) = &metric.metrics {
        set("Metrics", metrics.iter().map(query).collect());
    }
    Value::Object(trigger)
}

/// `SampleCount` as `SAMPLE_COUNT`.
fn shouted(statistic: &str) -> String {
    if statistic == "SampleCount" { "SAMPLE_COUNT".to_owned() } else { statistic.to_ascii_uppercase() }
}

fn dimensions(dimensions: &[Dimension]) -> Value {
    dimensions.iter().map(|Dimension { name, value }| json!({ "value": value, "name": name })).collect()
}

fn query(query: &MetricDataQuery) -> Value {
    let mut told = json!({ "Id": query.id });
    if let Some(MetricStat { metric, period, stat, unit }) = &query.metric_stat {
        let mut of = json!({
            "Metric": {
                "Dimensions": dimensions(metric.dimensions.as_deref().unwrap_or_default()),
                "MetricName": metric.metric_name,
                "Namespace": metric.namespace,
            },
            "Period": period,
            "Stat": stat,
        });
        if unit.is_some() {
            of["Unit"] = json!(unit);
        }
        told["MetricStat"] = of;
    }
    if query.expression.is_some() {
        told["Expression"] = json!(query.expression);
    }
    if query.label.is_some() {
        told["Label"] = json!(query.label);
    }
    told["ReturnData"] = query.return_data.unwrap_or(true).into();
    told
}

/// The event "CloudWatch Alarm State Change". (EventBridge Events Reference, "Amazon CloudWatch events".)
pub(super) fn event(alarm: &Alarm, old: &State, id: &str) -> Value {
    let told = |state: &State| {
        let mut told = json!({ "value": state.value, "reason": state.reason, "timestamp": long_time(state.updated) });
        if let Some(data) = &state.reason_data {
            told["reasonData"] = data.as_str().into();
        }
        told
    };
    let mut configuration = json!({});
    if let Some(description) = alarm.description() {
        configuration["description"] = description.into();
    }
    match &alarm.definition {
        Definition::Metric(metric) => configuration["metrics"] = metrics(metric),
        Definition::Composite(composite) => {
            configuration["alarmRule"] = composite.alarm_rule.as_str().into();
            if let Some(suppressor) = &composite.actions_suppressor {
                configuration["actionsSuppressor"] = suppressor.as_str().into();
                configuration["actionsSuppressorWaitPeriod"] = json!(composite.actions_suppressor_wait_period);
                configuration["actionsSuppressorExtensionPeriod"] =
                    json!(composite.actions_suppressor_extension_period);
            }
        }
    }
    json!({
        "version": "0",
        "id": id,
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": alarm.account.to_string(),
        "time": alarm.state.updated.to_iso(),
        "region": alarm.region,
        "resources": [alarm.arn()],
        "detail": {
            "alarmName": alarm.name,
            "state": told(&alarm.state),
            "previousState": told(old),
            "configuration": configuration,
        },
    })
}

/// The metrics of an alarm as events tell them.
fn metrics(metric: &PutMetricAlarmInput) -> Value {
    let of = |namespace: &Option<String>, name: &Option<String>, dimensions: &Option<Vec<Dimension>>| {
        let dimensions = dimensions.iter().flatten();
        let dimensions: Map<String, Value> =
            dimensions.map(|dimension| (dimension.name.clone(), dimension.value.as_str().into())).collect();
        json!({ "namespace": namespace, "name": name, "dimensions": dimensions })
    };
    let Some(queries) = &metric.metrics else {
        let stat = metric.statistic.as_ref().or(metric.extended_statistic.as_ref());
        let metric_stat = json!({ "metric": of(&metric.namespace, &metric.metric_name, &metric.dimensions),
            "period": metric.period, "stat": stat });
        return json!([{ "id": "m1", "metricStat": metric_stat, "returnData": true }]);
    };
    let told = |query: &MetricDataQuery| {
        let mut told = json!({ "id": query.id, "returnData": query.return_data.unwrap_or(true) });
        if let Some(stat) = &query.metric_stat {
            let metric = of(&stat.metric.namespace, &stat.metric.metric_name, &stat.metric.dimensions);
            told["metricStat"] = json!({ "metric": metric, "period": stat.period, "stat": stat.stat });
        }
        if let Some(expression) = &query.expression {
            told["expression"] = expression.as_str().into();
        }
        if let Some(label) = &query.label {
            told["label"] = label.as_str().into();
        }
        told
    };
    queries.iter().map(told).collect()
}
