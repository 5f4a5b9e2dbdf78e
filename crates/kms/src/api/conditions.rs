use opentrail_identity::Call;
use serde_json::Value;

use crate::access::Conditions;
use crate::kms::Kms;

/// Members of requests that policies can ask for as they are. (KMS Developer Guide, "AWS KMS condition keys".)
const MEMBERS: [(&str, &str); 4] = [
    ("BypassPolicyLockoutSafetyCheck", "kms:BypassPolicyLockoutSafetyCheck"),
    ("EncryptionAlgorithm", "kms:EncryptionAlgorithm"),
    ("PendingWindowInDays", "kms:ScheduleKeyDeletionPendingWindowInDays"),
    ("RotationPeriodInDays", "kms:RotationPeriodInDays"),
];

/// The condition keys of a call: where it comes from, and what its `body` says. A body that cannot be read has none of
/// the latter, and is refused later.
pub(super) fn conditions(kms: &Kms, call: &Call, body: &[u8]) -> Conditions {
    let mut conditions = call.conditions(kms.now());
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    for (member, key) in MEMBERS {
        match &body[member] {
            Value::String(text) => conditions.insert(key, text),
            value @ (Value::Bool(_) | Value::Number(_)) => conditions.insert(key, value.to_string()),
            _ => {}
        }
    }
    let texts = |list: &Value, member: Option<&str>| -> Vec<String> {
        let items = list.as_array().map_or(&[][..], Vec::as_slice).iter();
        items.filter_map(|item| member.map_or(item, |member| &item[member]).as_str().map(str::to_owned)).collect()
    };
    for tag in body["Tags"].as_array().into_iter().flatten() {
        if let (Some(key), Some(value)) = (tag["TagKey"].as_str(), tag["TagValue"].as_str()) {
            conditions.insert(&format!("aws:RequestTag/{key}"), value);
        }
    }
    let keys = [texts(&body["Tags"], Some("TagKey")), texts(&body["TagKeys"], None)].concat();
    if !keys.is_empty() {
        conditions.insert_all("aws:TagKeys", keys);
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{call, world};

    #[test]
    fn policies_can_ask_for_what_the_request_says() {
        let world = world();
        let body = br#"{"Tags":[{"TagKey":"team","TagValue":"audit"}],"PendingWindowInDays":7,"Policy":"{}"}"#;
        let conditions = conditions(&world.kms, &call(&world, "AKIAROOT"), body);
        let values = |key: &str| conditions.values(key).map(<[String]>::concat);
        assert_eq!(values("aws:RequestTag/team").as_deref(), Some("audit"));
        assert_eq!(values("aws:TagKeys").as_deref(), Some("team"));
        assert_eq!(values("kms:ScheduleKeyDeletionPendingWindowInDays").as_deref(), Some("7"));
        assert_eq!((values("Policy"), values("kms:BypassPolicyLockoutSafetyCheck")), (None, None));
    }
}
