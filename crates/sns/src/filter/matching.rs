use std::collections::BTreeMap;

use base64::Engine;
use serde_json::{Map, Number, Value};

use super::condition::Condition;
use super::{Rule, Rules};
use crate::message::{MessageAttribute, is_type};

/// The attributes as values: numbers as numbers, arrays as arrays. Binary ones are no values, and so are not matched by
/// conditions on values.
pub(super) fn of_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> Map<String, Value> {
    let mut values = Map::new();
    for (name, attribute) in attributes {
        let value = if attribute.data_type == "String.Array" {
            serde_json::from_str(&attribute.value).unwrap_or_default()
        } else if is_type(&attribute.data_type, "Number") {
            number(&attribute.value)
        } else if is_type(&attribute.data_type, "Binary") {
            let bytes = base64::engine::general_purpose::STANDARD.decode(&attribute.value).unwrap_or_default();
            // An object is what no condition on values takes, and it exists.
            Value::Object(Map::from_iter([("bytes".to_owned(), bytes.len().into())]))
        } else {
            Value::String(attribute.value.clone())
        };
        values.insert(name.clone(), value);
    }
    values
}

fn number(text: &str) -> Value {
    text.trim().parse().ok().and_then(Number::from_f64).map(Value::Number).unwrap_or_default()
}

/// Whether all rules hold of the object.
pub(super) fn matches(rules: &Rules, object: &Map<String, Value>) -> bool {
    let key_holds = |(name, rule): &(String, Rule)| match rule {
        Rule::Values(conditions) => values_hold(conditions, object.get(name)),
        Rule::Nested(rules) => nested_holds(rules, object.get(name)),
    };
    let one_holds = |these: &Vec<Rules>| these.iter().any(|rules| matches(rules, object));
    rules.keys.iter().all(key_holds) && rules.either.iter().all(one_holds)
}

fn values_hold(conditions: &[Condition], value: Option<&Value>) -> bool {
    let Some(value) = value else { return conditions.contains(&Condition::Exists(false)) };
    let holds = |value: &Value| conditions.iter().any(|one| one.holds(value));
    match value {
        Value::Array(values) => values.iter().any(|value| leaf(value) && holds(value)) || exists(conditions, values),
        // In an object is no value of this key, but the key is there.
        Value::Object(_) => conditions.contains(&Condition::Exists(true)),
        value => holds(value),
    }
}

/// An empty array has no value to look at, and is there.
fn exists(conditions: &[Condition], values: &[Value]) -> bool {
    !values.iter().any(leaf) && conditions.contains(&Condition::Exists(true))
}

fn leaf(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

fn nested_holds(rules: &Rules, value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(object)) => matches(rules, object),
        Some(Value::Array(values)) => {
            values.iter().any(|value| matches!(value, Value::Object(object) if matches(rules, object)))
        }
        // Of what is not there, only what must not be there holds.
        _ => matches(rules, &Map::new()),
    }
}
