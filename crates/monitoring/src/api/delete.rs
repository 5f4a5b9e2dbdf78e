use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{DeleteAlarmsInput, errors};

use super::{Cx, Nothing, failed};
use crate::alarm::{Change, Definition};

/// Deletes all of the alarms or none: when one is not there, none. (API Reference, "DeleteAlarms".)
pub(super) async fn delete_alarms(cx: &Cx<'_>, input: DeleteAlarmsInput) -> Result<Nothing, CodedError> {
    let mut names = input.alarm_names;
    names.sort();
    names.dedup();
    for name in &names {
        cx.authorize_alarm("DeleteAlarms", name, cx.conditions.clone())?;
    }
    let alarms = &cx.monitoring.alarms;
    let changing = alarms.changing().await.map_err(failed)?;
    let mut found = Vec::with_capacity(names.len());
    let mut missing = Vec::new();
    for name in &names {
        match alarms.find(&cx.key(name)) {
            Some(loaded) => found.push(loaded),
            None => missing.push(name.as_str()),
        }
    }
    if !missing.is_empty() {
        let told = format!("Alarms [{}] do not exist; none was deleted", missing.join(", "));
        return Err(errors::resource_not_found(told));
    }
    let composites = found.iter().filter(|loaded| matches!(loaded.alarm.definition, Definition::Composite(_))).count();
    if composites > 1 {
        return Err(CodedError::validation("DeleteAlarms deletes at most one composite alarm at a time"));
    }
    let changes = found.iter().map(|loaded| Change::deleted(&loaded.alarm, cx.now)).collect();
    // Who depends on them is known only while they are there.
    let parents: Vec<_> = found.iter().flat_map(|loaded| alarms.parents(&loaded.alarm.key())).collect();
    changing.commit(changes).await.map_err(failed)?;
    alarms.look_at(parents);
    Ok(Nothing {})
}
