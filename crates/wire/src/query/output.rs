use serde::Serialize;
use serde_json::{Map, Value};

use super::element;
use crate::shape::{Member, Shape};
use crate::timestamp;

/// Members whose value is a map, which a JSON value cannot tell from a structure.
const MAPS: &[&str] = &["Attributes", "SummaryMap"];

/// The content of an operation's `…Result` element: the members of its output.
///
/// # Panics
/// When `output` has no JSON form; generated outputs do.
pub fn result_of(output: &impl Serialize) -> String {
    let mut out = String::new();
    if let Value::Object(members) = serde_json::to_value(output).expect("generated outputs are plain values") {
        members.iter().for_each(|(name, value)| xml(&mut out, name, value));
    }
    out
}

/// Appends `value` as the element `name`; the items of lists are elements `member`, those of maps `entry`.
pub fn xml(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(text) => element(out, name, text),
        Value::Bool(_) | Value::Number(_) => element(out, name, &value.to_string()),
        Value::Array(items) => {
            wrapped(out, name, |out| items.iter().for_each(|item| xml(out, "member", item)));
        }
        Value::Object(entries) if MAPS.contains(&name) => wrapped(out, name, |out| {
            for (key, value) in entries {
                wrapped(out, "entry", |out| {
                    element(out, "key", key);
                    xml(out, "value", value);
                });
            }
        }),
        Value::Object(members) => {
            wrapped(out, name, |out| members.iter().for_each(|(name, value)| xml(out, name, value)));
        }
    }
}

/// The content of an operation's `…Result` element, from an output in its JSON form: times become ISO 8601 text, maps have
/// entries.
pub fn typed_result(shape: &Shape, output: &Value) -> String {
    let mut out = String::new();
    if let (Shape::Structure(members), Value::Object(values)) = (shape, output) {
        typed_members(&mut out, members, values);
    }
    out
}

fn typed_members(out: &mut String, members: &[Member], values: &Map<String, Value>) {
    for member in members {
        if let Some(value) = values.get(member.name) {
            typed_xml(out, member.name, member.shape, value);
        }
    }
}

fn typed_xml(out: &mut String, name: &str, shape: &Shape, value: &Value) {
    match (shape, value) {
        (Shape::Timestamp, value) => {
            let time = timestamp::from_json(value).map(|time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
            element(out, name, &time.unwrap_or_default());
        }
        (Shape::List(list), Value::Array(items)) => wrapped(out, name, |out| {
            items.iter().for_each(|item| typed_xml(out, "member", list.element, item));
        }),
        (Shape::Map(map), Value::Object(entries)) => wrapped(out, name, |out| {
            for (key, value) in entries {
                wrapped(out, "entry", |out| {
                    element(out, "key", key);
                    typed_xml(out, "value", map.value, value);
                });
            }
        }),
        (Shape::Structure(members), Value::Object(values)) => {
            wrapped(out, name, |out| typed_members(out, members, values));
        }
        (_, plain) => xml(out, name, plain),
    }
}

fn wrapped(out: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    out.push_str(&format!("<{name}>"));
    content(out);
    out.push_str(&format!("</{name}>"));
}

#[cfg(test)]
mod tests {
    use opentrail_model::Timestamp;

    use super::*;
    use crate::iam::{GetAccountSummaryOutput, ListUsersOutput, User};

    #[test]
    fn outputs_become_elements_lists_and_iso_times() {
        let user =
            User { user_name: "a&b".to_owned(), create_date: Timestamp::from_secs(1_700_000_000), ..User::default() };
        let output = ListUsersOutput { users: vec![user], is_truncated: Some(false), marker: None };
        let expected = "<Users><member><Path></Path><UserName>a&amp;b</UserName><UserId></UserId><Arn></Arn>\
                        <CreateDate>2023-11-14T22:13:20Z</CreateDate></member></Users>\
                        <IsTruncated>false</IsTruncated>";
        assert_eq!(result_of(&output), expected);
    }

    #[test]
    fn maps_have_entries() {
        let summary_map = Some([("Users".to_owned(), 3)].into_iter().collect());
        let expected = "<SummaryMap><entry><key>Users</key><value>3</value></entry></SummaryMap>";
        assert_eq!(result_of(&GetAccountSummaryOutput { summary_map }), expected);
    }
}
