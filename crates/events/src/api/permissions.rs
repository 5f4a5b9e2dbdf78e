//! Operations on the policy of a bus: who else may put events.

use opentrail_identity::{Policy, PolicyUse};
use opentrail_wire::events::{PutPermissionInput, RemovePermissionInput};
use serde_json::{Value, json};

use super::Cx;
use crate::bus::EventBus;
use crate::error::EventsError;

/// The longest policy of a bus, in bytes. (EventBridge User Guide, "Amazon EventBridge quotas".)
const MAX_POLICY_BYTES: usize = 10_240;

pub(super) async fn put(cx: &Cx<'_>, input: PutPermissionInput) -> Result<(), EventsError> {
    let place = cx.own_bus(input.event_bus_name.as_deref())?;
    cx.authorize("events:PutPermission", &place.arn())?;
    let _changing = cx.events.changing().await;
    let (mut bus, expect) = cx.events.documents.bus(&place).await?;
    let policy = match &input.policy {
        Some(policy) => policy.clone(),
        None => with_statement(&bus, &input)?.to_string(),
    };
    if policy.len() > MAX_POLICY_BYTES {
        return Err(EventsError::PolicyLengthExceeded(format!(
            "The policy of an event bus has at most {MAX_POLICY_BYTES} bytes."
        )));
    }
    Policy::parse(&policy, PolicyUse::Resource)
        .map_err(|error| EventsError::Validation(format!("The policy is not valid: {error}.")))?;
    bus.policy = Some(policy);
    bus.modified = Some(cx.events.now());
    cx.events.documents.put(&bus, expect).await
}

/// The bus's policy with the statement that the request describes, in the place of one with the same id.
fn with_statement(bus: &EventBus, input: &PutPermissionInput) -> Result<Value, EventsError> {
    let missing = |what: &str| EventsError::Validation(format!("Parameter {what} is required without Policy."));
    let sid = input.statement_id.as_deref().ok_or_else(|| missing("StatementId"))?;
    let principal = input.principal.as_deref().ok_or_else(|| missing("Principal"))?;
    let action = input.action.as_deref().ok_or_else(|| missing("Action"))?;
    if action != "events:PutEvents" {
        return Err(EventsError::Validation("Provided value in parameter 'action' is not supported.".to_owned()));
    }
    let account = || json!({ "AWS": format!("arn:{}:iam::{principal}:root", bus.place.region.partition()) });
    let principal = if principal == "*" { json!("*") } else { account() };
    let mut statement = json!({
        "Sid": sid, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": bus.place.arn(),
    });
    if let Some(condition) = &input.condition {
        if condition.r#type != "StringEquals" || condition.key != "aws:PrincipalOrgID" {
            let message = "A condition is of the type StringEquals and of the key aws:PrincipalOrgID.";
            return Err(EventsError::Validation(message.to_owned()));
        }
        statement["Condition"] = json!({ "StringEquals": { "aws:PrincipalOrgID": condition.value } });
    }
    let mut policy = document(bus);
    let statements = statements(&mut policy);
    statements.retain(|statement| statement["Sid"] != sid);
    statements.push(statement);
    Ok(policy)
}

pub(super) async fn remove(cx: &Cx<'_>, input: RemovePermissionInput) -> Result<(), EventsError> {
    let place = cx.own_bus(input.event_bus_name.as_deref())?;
    cx.authorize("events:RemovePermission", &place.arn())?;
    let _changing = cx.events.changing().await;
    let (mut bus, expect) = cx.events.documents.bus(&place).await?;
    let mut policy = document(&bus);
    let all = statements(&mut policy);
    if input.remove_all_permissions == Some(true) {
        all.clear();
    } else {
        let missing = || EventsError::Validation("Parameter StatementId is required.".to_owned());
        let sid = input.statement_id.as_deref().ok_or_else(missing)?;
        let before = all.len();
        all.retain(|statement| statement["Sid"] != sid);
        if all.len() == before {
            // EventBridge's own words.
            return Err(EventsError::NotFound("Statement with the provided id does not exist.".to_owned()));
        }
    }
    bus.policy = if all.is_empty() { None } else { Some(policy.to_string()) };
    bus.modified = Some(cx.events.now());
    cx.events.documents.put(&bus, expect).await
}

/// The bus's policy, or an empty one.
fn document(bus: &EventBus) -> Value {
    let stored = bus.policy.as_deref().and_then(|policy| serde_json::from_str(policy).ok());
    stored.unwrap_or_else(|| json!({ "Version": "2012-10-17", "Statement": [] }))
}

/// The statements of a policy, of which a single one may stand without a list.
fn statements(policy: &mut Value) -> &mut Vec<Value> {
    if !policy["Statement"].is_array() {
        let single = policy["Statement"].take();
        policy["Statement"] = if single.is_null() { json!([]) } else { json!([single]) };
    }
    match &mut policy["Statement"] {
        Value::Array(statements) => statements,
        _ => unreachable!("the line above makes it an array"),
    }
}
