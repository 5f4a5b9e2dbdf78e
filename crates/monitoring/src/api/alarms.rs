//! PutMetricAlarm and PutCompositeAlarm.

use std::collections::{BTreeMap, BTreeSet};

use opentrail_identity::Context;
use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{PutCompositeAlarmInput, PutMetricAlarmInput, Tag, errors};

use super::check::{self, has_control};
use super::{Cx, Nothing, changed, refused, unanswered};
use crate::alarm::{Alarm, AlarmKey, Alarms, Change, ChangeError, Definition, Plan, Problem, State, Suppression};
use crate::queries::QueryError;

/// Creates or replaces an alarm on a metric or an expression. One that is there keeps its state and tags.
pub(super) async fn put_metric_alarm(cx: &Cx<'_>, mut input: PutMetricAlarmInput) -> Result<Nothing, CodedError> {
    let tags = input.tags.take().unwrap_or_default();
    let name = input.alarm_name.clone();
    let actions = [&input.ok_actions, &input.alarm_actions, &input.insufficient_data_actions];
    let actions: Vec<String> = actions.into_iter().flatten().flatten().cloned().collect();
    authorize(cx, "PutMetricAlarm", &name, &actions, &tags)?;
    check_name(&name)?;
    check::dimensions(input.dimensions.as_deref().unwrap_or_default(), "Dimensions")?;
    check_actions(&actions)?;
    put(cx, name, Definition::Metric(Box::new(input)), &tags).await
}

/// Creates or replaces an alarm on other alarms. One that is there keeps its state and tags.
pub(super) async fn put_composite_alarm(cx: &Cx<'_>, mut input: PutCompositeAlarmInput) -> Result<Nothing, CodedError> {
    let tags = input.tags.take().unwrap_or_default();
    let name = input.alarm_name.clone();
    let actions = [&input.ok_actions, &input.alarm_actions, &input.insufficient_data_actions];
    let actions: Vec<String> = actions.into_iter().flatten().flatten().cloned().collect();
    authorize(cx, "PutCompositeAlarm", &name, &actions, &tags)?;
    check_name(&name)?;
    check_actions(&actions)?;
    put(cx, name, Definition::Composite(Box::new(input)), &tags).await
}

/// (Service Authorization Reference, "Amazon CloudWatch": condition keys of the two operations.)
fn authorize(cx: &Cx<'_>, action: &str, name: &str, actions: &[String], tags: &[Tag]) -> Result<(), CodedError> {
    let mut context: Context = cx.conditions.clone();
    context.insert_all("cloudwatch:AlarmActions", actions.iter().cloned());
    if !tags.is_empty() {
        context.insert_all("aws:TagKeys", tags.iter().map(|tag| tag.key.clone()));
        tags.iter().for_each(|tag| context.insert(&format!("aws:RequestTag/{}", tag.key), tag.value.as_str()));
    }
    if !tags.is_empty() {
        cx.authorize_alarm("TagResource", name, context.clone())?;
    }
    cx.authorize_alarm(action, name, context)
}

fn check_name(name: &str) -> Result<(), CodedError> {
    if has_control(name) || name.trim().is_empty() {
        return Err(CodedError::validation("AlarmName must not be blank or hold control characters"));
    }
    Ok(())
}

fn check_actions(actions: &[String]) -> Result<(), CodedError> {
    match actions.iter().find(|action| !is_arn(action)) {
        Some(action) => Err(CodedError::validation(format!("Invalid arn syntax: {action}"))),
        None => Ok(()),
    }
}

/// `arn:partition:service:region:account:resource`, of which Region and account may be empty.
fn is_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut given = || parts.next().is_some_and(|part| !part.is_empty());
    let is_named = text.starts_with("arn:") && given() && given() && given();
    is_named && parts.nth(2).is_some_and(|resource| !resource.is_empty()) && !has_control(text)
}

async fn put(cx: &Cx<'_>, name: String, definition: Definition, tags: &[Tag]) -> Result<Nothing, CodedError> {
    let key = cx.key(&name);
    let alarms = &cx.monitoring.alarms;
    let tags = check::tags(tags)?;
    let plan = Plan::of(&definition).map_err(refused)?;
    try_out(cx, &plan).await?;
    let changing = alarms.changing().await.map_err(|error| changed(error.into()))?;
    let known = alarms.find(&key);
    let alarm = match &known {
        None => {
            if alarms.of(&key.scope).len() >= cx.monitoring.settings.max_alarms {
                return Err(errors::limit_exceeded_fault(format!(
                    "The account has {} alarms in this Region, which is the limit; delete some",
                    cx.monitoring.settings.max_alarms
                )));
            }
            created(cx, &key, definition, tags)
        }
        Some(known) => {
            let mut alarm = known.alarm.clone();
            if std::mem::discriminant(&alarm.definition) != std::mem::discriminant(&definition) {
                return Err(CodedError::validation(format!(
                    "{name} is a {}; delete it first, or choose another name",
                    alarm.kind()
                )));
            }
            alarm.definition = definition;
            alarm.configured = cx.now;
            alarm
        }
    };
    check_children(alarms, &key, &plan).map_err(changed)?;
    let verb = if known.is_some() { "updated" } else { "created" };
    let change = Change::configured(alarm, cx.now, verb);
    changing.commit(vec![change]).await.map_err(|error| changed(error.into()))?;
    alarms.look_at([key]);
    Ok(Nothing {})
}

fn created(cx: &Cx<'_>, key: &AlarmKey, definition: Definition, tags: BTreeMap<String, String>) -> Alarm {
    Alarm {
        account: key.scope.account,
        region: key.scope.region.clone(),
        name: key.name.clone(),
        definition,
        tags,
        configured: cx.now,
        state: State::unchecked(cx.now),
        suppression: Suppression::default(),
    }
}

/// Asks for an expression's values once: what no data could make a series of is refused now.
async fn try_out(cx: &Cx<'_>, plan: &Plan) -> Result<(), CodedError> {
    let Plan::Metric(plan) = plan else { return Ok(()) };
    if plan.queries.only_metric().is_some() {
        return Ok(());
    }
    let end = cx.now.as_secs().div_euclid(plan.period) * plan.period;
    let start = end - plan.period * i64::try_from(plan.evaluated).unwrap_or(1);
    let store = &cx.monitoring.metrics.store;
    match plan.queries.answer(store, &cx.scope(), start, end, cx.now).await {
        Ok(_) => Ok(()),
        Err(QueryError::Store(error)) => Err(changed(error.into())),
        Err(error @ QueryError::Problem(_)) => Err(unanswered(error)),
    }
}

/// A composite alarm depends on alarms that there are, and not on itself by way of others.
fn check_children(alarms: &Alarms, key: &AlarmKey, plan: &Plan) -> Result<(), ChangeError> {
    let Plan::Composite(plan) = plan else { return Ok(()) };
    let of = |name: &str| AlarmKey { scope: key.scope.clone(), name: name.to_owned() };
    let itself = plan.children().any(|name| name == key.name);
    let missing: Vec<&str> =
        plan.children().filter(|name| *name != key.name && alarms.find(&of(name)).is_none()).collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Err(Problem(format!(
            "Could not save the composite alarm as alarms [{names}] in the alarm rule do not exist"
        ))
        .into());
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<String> = plan.children().map(str::to_owned).collect();
    let mut circle = itself;
    while let Some(name) = waiting.pop() {
        circle |= name == key.name;
        if circle {
            break;
        }
        if !seen.insert(name.clone()) {
            continue;
        }
        if let Some(loaded) = alarms.find(&of(&name))
            && let Plan::Composite(child) = &loaded.plan
        {
            waiting.extend(child.children().map(str::to_owned));
        }
    }
    if circle {
        return Err(Problem(format!(
            "Could not save the composite alarm as {} would depend on itself by way of its AlarmRule or ActionsSuppressor",
            key.name
        ))
        .into());
    }
    Ok(())
}
