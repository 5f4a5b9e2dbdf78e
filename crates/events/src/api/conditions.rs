use opentrail_identity::{Call, Context};
use serde_json::Value;

use crate::service::Events;

/// The condition keys of a call: where it comes from, and what its `body` says. A body that cannot be read has none of
/// the latter, and is refused later. (EventBridge User Guide, "Using IAM policy conditions in Amazon EventBridge".)
pub(super) fn conditions(events: &Events, call: &Call, body: &[u8]) -> Context {
    let mut conditions = call.conditions(events.now());
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    tags(&body, &mut conditions);
    pattern(&body, &mut conditions);
    let targets = body["Targets"].as_array().map_or(&[][..], Vec::as_slice);
    let arns: Vec<&str> = targets.iter().filter_map(|target| target["Arn"].as_str()).collect();
    if !arns.is_empty() {
        conditions.insert_all("events:TargetArn", arns);
    }
    conditions
}

fn tags(body: &Value, conditions: &mut Context) {
    let mut keys: Vec<String> = Vec::new();
    for tag in body["Tags"].as_array().into_iter().flatten() {
        if let (Some(key), Some(value)) = (tag["Key"].as_str(), tag["Value"].as_str()) {
            conditions.insert(&format!("aws:RequestTag/{key}"), value);
            keys.push(key.to_owned());
        }
    }
    keys.extend(body["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    if !keys.is_empty() {
        conditions.insert_all("aws:TagKeys", keys);
    }
}

/// What a rule's pattern asks for by plain texts.
fn pattern(body: &Value, conditions: &mut Context) {
    const MEMBERS: [(&str, &str); 6] = [
        ("/source", "events:source"),
        ("/detail-type", "events:detail-type"),
        ("/detail/service", "events:detail.service"),
        ("/detail/eventTypeCode", "events:detail.eventTypeCode"),
        ("/detail/userIdentity/principalId", "events:detail.userIdentity.principalId"),
        ("/account", "events:account"),
    ];
    let Some(pattern) = body["EventPattern"].as_str() else { return };
    let pattern: Value = serde_json::from_str(pattern).unwrap_or_default();
    for (path, key) in MEMBERS {
        let Some(list) = pattern.pointer(path).and_then(Value::as_array) else { continue };
        conditions.insert_all(key, list.iter().filter_map(Value::as_str));
    }
}
