//! SetAlarmState, EnableAlarmActions, DisableAlarmActions.

use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{DisableAlarmActionsInput, EnableAlarmActionsInput, SetAlarmStateInput, errors};
use serde_json::Value;

use super::{Cx, Nothing, failed};
use crate::alarm::{Change, StateValue};

/// Sets a state by hand, until the alarm is evaluated again.
pub(super) async fn set_alarm_state(cx: &Cx<'_>, input: SetAlarmStateInput) -> Result<Nothing, CodedError> {
    cx.authorize_alarm("SetAlarmState", &input.alarm_name, cx.conditions.clone())?;
    let state = StateValue::from_name(&input.state_value)
        .ok_or_else(|| CodedError::validation(format!("{} is no StateValue", input.state_value)))?;
    if let Some(data) = &input.state_reason_data
        && serde_json::from_str::<Value>(data).is_err()
    {
        return Err(errors::invalid_format_fault("StateReasonData must be JSON"));
    }
    let key = cx.key(&input.alarm_name);
    let set = cx.monitoring.alarms.set_state(&key, state, input.state_reason, input.state_reason_data);
    if set.await.map_err(failed)? {
        return Ok(Nothing {});
    }
    Err(errors::resource_not_found(format!("There is no alarm {} in this Region", input.alarm_name)))
}

/// Switches actions on. Alarms that are not there are passed over.
pub(super) async fn enable_alarm_actions(cx: &Cx<'_>, input: EnableAlarmActionsInput) -> Result<Nothing, CodedError> {
    switch(cx, "EnableAlarmActions", &input.alarm_names, true).await
}

/// Switches actions off: alarms change their states and nothing is done. Alarms that are not there are passed over.
pub(super) async fn disable_alarm_actions(cx: &Cx<'_>, input: DisableAlarmActionsInput) -> Result<Nothing, CodedError> {
    switch(cx, "DisableAlarmActions", &input.alarm_names, false).await
}

async fn switch(cx: &Cx<'_>, action: &str, names: &[String], enabled: bool) -> Result<Nothing, CodedError> {
    for name in names {
        cx.authorize_alarm(action, name, cx.conditions.clone())?;
    }
    let alarms = &cx.monitoring.alarms;
    let changing = alarms.changing().await.map_err(failed)?;
    let mut changes = Vec::new();
    for loaded in names.iter().filter_map(|name| alarms.find(&cx.key(name))) {
        if loaded.alarm.are_actions_enabled() != enabled {
            let mut alarm = loaded.alarm.clone();
            alarm.enable_actions(enabled);
            alarm.configured = cx.now;
            changes.push(Change::configured(alarm, cx.now, "updated"));
        }
    }
    changing.commit(changes).await.map_err(failed)?;
    Ok(Nothing {})
}
