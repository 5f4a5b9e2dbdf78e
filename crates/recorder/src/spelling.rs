//! CloudTrail's spelling of member names: the model's with a lower-case first letter; keys of maps stay as they are.

use serde_json::{Map, Value};

/// Members whose value is a map with the caller's own keys. The model tells maps and structures apart, the wire does
/// not, so these are the usual ones by name.
const MAPS: &[&str] = &[
    "attributes",
    "defaultArguments",
    "dimensions",
    "encryptionContext",
    "encryptionContextEquals",
    "encryptionContextSubset",
    "environmentVariables",
    "expressionAttributeNames",
    "expressionAttributeValues",
    "item",
    "key",
    "labels",
    "logins",
    "messageAttributes",
    "messageSystemAttributes",
    "metadata",
    "options",
    "parameters",
    "requestItems",
    "tags",
    "variables",
];

/// `TrailARN` → `trailARN`.
pub(crate) fn lowered(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// Secrets Manager alone of the services seen spells it so: readers of its genuine events take `responseElements.arn`,
/// those of RDS, ElastiCache, OpenSearch and CloudFront `aRN`.
pub(crate) fn of_secrets_manager((name, value): (String, Value)) -> (String, Value) {
    (if name == "aRN" { "arn".to_owned() } else { name }, value)
}

/// A request or response document as records show it.
pub(crate) fn respelled(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(members.into_iter().map(member).collect::<Map<_, _>>()),
        Value::Array(items) => Value::Array(items.into_iter().map(respelled).collect()),
        other => other,
    }
}

fn member((name, value): (String, Value)) -> (String, Value) {
    let name = lowered(&name);
    let value = match value {
        Value::Object(map) if MAPS.contains(&name.as_str()) => {
            Value::Object(map.into_iter().map(|(key, value)| (key, respelled(value))).collect())
        }
        other => respelled(other),
    };
    (name, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn member_names_lose_their_capital_and_map_keys_keep_it() {
        let request = json!({ "KeyId": "k", "EncryptionContext": { "Purpose": "x" }, "Tags": [{ "TagKey": "A" }] });
        let expected = json!({ "keyId": "k", "encryptionContext": { "Purpose": "x" }, "tags": [{ "tagKey": "A" }] });
        assert_eq!(respelled(request), expected);
    }
}
