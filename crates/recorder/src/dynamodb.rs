//! DynamoDB's item calls: records show key values and the names of attributes, never their values. From the DynamoDB
//! guide's page on logging; where it is silent (expressions' values, old-style conditions) names only, too.

mod asked;

use serde_json::{Map, Value};

use crate::redact::HIDDEN;

pub(crate) use asked::asked;

/// What stands for a literal in a PartiQL statement.
const REDACTED: &str = "***(Redacted)";

/// Members whose value is a map from attribute or placeholder to something with a value in it.
const NAMES_ONLY: &[&str] =
    &["AttributeUpdates", "Expected", "ExpressionAttributeValues", "KeyConditions", "QueryFilter", "ScanFilter"];

/// A request without the values of attributes.
pub(crate) fn without_values(request: Value) -> Value {
    match request {
        Value::Object(members) => Value::Object(members.into_iter().map(member).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(without_values).collect()),
        other => other,
    }
}

fn member((name, value): (String, Value)) -> (String, Value) {
    match (name.as_str(), value) {
        ("Item", Value::Object(item)) => ("items".to_owned(), names(&item)),
        ("Key" | "ExclusiveStartKey", Value::Object(key)) => (name, plain_values(key)),
        ("Keys", Value::Array(keys)) => {
            let plain = keys.into_iter().map(|key| match key {
                Value::Object(key) => plain_values(key),
                _ => Value::from(HIDDEN),
            });
            (name, Value::Array(plain.collect()))
        }
        ("Statement", Value::String(statement)) => (name, without_literals(&statement).into()),
        ("Parameters", value) if !value.is_null() => (name, HIDDEN.into()),
        (known, Value::Object(map)) if NAMES_ONLY.contains(&known) => (name, names(&map)),
        (_, value) => (name, without_values(value)),
    }
}

fn names(map: &Map<String, Value>) -> Value {
    map.keys().map(String::as_str).collect()
}

/// `{"Id":{"N":"7"}}` → `{"Id":"7"}`.
fn plain_values(key: Map<String, Value>) -> Value {
    let plain = |value: Value| match value {
        Value::Object(typed) if typed.len() == 1 => {
            typed.into_iter().next().map(|(_, value)| value).unwrap_or_default()
        }
        other => other,
    };
    key.into_iter().map(|(name, value)| (name, plain(value))).collect::<Map<_, _>>().into()
}

/// A PartiQL statement with its string and number literals masked. Names in double quotes stay.
fn without_literals(statement: &str) -> String {
    let mut shown = String::with_capacity(statement.len());
    let mut rest = statement.char_indices().peekable();
    let mut previous = ' ';
    while let Some((_, character)) = rest.next() {
        match character {
            '\'' => {
                // A quote is doubled inside a string: '' is not its end.
                while let Some((_, inner)) = rest.next() {
                    if inner == '\'' && rest.next_if(|(_, next)| *next == '\'').is_none() {
                        break;
                    }
                }
                shown.push_str(REDACTED);
            }
            '"' => {
                shown.push('"');
                for (_, inner) in rest.by_ref() {
                    shown.push(inner);
                    if inner == '"' {
                        break;
                    }
                }
            }
            digit if digit.is_ascii_digit() && !is_word(previous) => {
                while rest.next_if(|(_, next)| is_word(*next) || *next == '.').is_some() {}
                shown.push_str(REDACTED);
            }
            other => shown.push(other),
        }
        previous = character;
    }
    shown
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_show_names_and_keys_show_values() {
        let request = json!({
            "RequestItems": { "T": [
                { "PutRequest": { "Item": { "Id": { "N": "1" }, "Secret": { "S": "x" } } } },
                { "DeleteRequest": { "Key": { "Id": { "N": "2" } } } },
            ] },
            "ExpressionAttributeValues": { ":v": { "S": "x" } },
        });
        let expected = json!({
            "RequestItems": { "T": [
                { "PutRequest": { "items": ["Id", "Secret"] } },
                { "DeleteRequest": { "Key": { "Id": "2" } } },
            ] },
            "ExpressionAttributeValues": [":v"],
        });
        assert_eq!(without_values(request), expected);
    }

    #[test]
    fn statements_lose_their_literals() {
        let statement = r#"SELECT * FROM "Music 1" WHERE a='it''s' AND t1 > 12.5 AND b=[1,'x']"#;
        let masked = "***(Redacted)";
        let expected =
            format!(r#"SELECT * FROM "Music 1" WHERE a={masked} AND t1 > {masked} AND b=[{masked},{masked}]"#);
        assert_eq!(without_literals(statement), expected);
    }
}
