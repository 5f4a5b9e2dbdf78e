//! What a record shows of an XML answer of the query protocol: the result's content below `<Op>Response` and
//! `<Op>Result`, in EC2 all of the response.
//!
//! The XML does not tell lists from structures, and the models that would are not at hand; what tells them here is how
//! services name a list's items (`member`, EC2's `item`, or the list's name in the singular). An empty list is an empty
//! text, since an empty element can be either.

use serde_json::{Map, Value};

use crate::redact::{self, Direction};
use crate::{spelling, xml};

/// Services whose results show without the element that wraps them, as in genuine records of RDS.
const UNWRAPPED: &[&str] = &["rds.amazonaws.com", "redshift.amazonaws.com", "elasticache.amazonaws.com"];

const EC2: &str = "ec2.amazonaws.com";

/// `responseElements` of a call that succeeded; null where the answer has no result.
pub(super) fn shown(document: &[u8], event_source: &str, event_name: &str) -> Value {
    let Some((_, Value::Object(mut response))) = xml::parse(document) else { return Value::Null };
    let mut result = if event_source == EC2 {
        Value::Object(response)
    } else {
        response.remove(&format!("{event_name}Result")).unwrap_or_default()
    };
    if UNWRAPPED.contains(&event_source) {
        result = unwrapped(result);
    }
    // Only what has members is a result; an empty element is text.
    let Value::Object(mut members) = result else { return Value::Null };
    members.remove("xmlns");
    let mut result = Value::Object(members);
    redact::leave_out(&mut result);
    if event_source == EC2 {
        fold_ec2(&mut result);
    } else {
        fold_lists(&mut result, "");
    }
    redact::document(&mut result, event_source, event_name, &[], Direction::Response);
    match spelling::respelled(result) {
        Value::Object(members) if members.is_empty() => Value::Null,
        shown => shown,
    }
}

/// The one structure in a result.
fn unwrapped(result: Value) -> Value {
    match result {
        Value::Object(members) if members.len() == 1 && members.values().all(Value::is_object) => {
            members.into_iter().map(|(_, value)| value).next().unwrap_or_default()
        }
        other => other,
    }
}

/// `name` is the member whose value this is.
fn fold_lists(value: &mut Value, name: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fold_lists(item, "")),
        Value::Object(members) => {
            let items = match members.iter().next() {
                Some((only, _)) if members.len() == 1 && is_item(only, name) => members.clone().into_iter().next(),
                _ => None,
            };
            match items {
                Some((_, Value::Array(items))) => *value = Value::Array(items),
                Some((_, item)) => *value = Value::Array(vec![item]),
                None => {
                    members.iter_mut().for_each(|(name, value)| fold_lists(value, name));
                    return;
                }
            }
            fold_lists(value, "");
        }
        _ => {}
    }
}

/// Whether an element is an item of a list: `DBSubnetGroups` holds `DBSubnetGroup`, `VpcSecurityGroups` holds
/// `VpcSecurityGroupMembership`.
fn is_item(element: &str, list: &str) -> bool {
    element == "member" || list.strip_suffix('s').is_some_and(|one| one.len() > 1 && element.starts_with(one))
}

/// EC2's lists are `{"items": […]}` in records, its empty sets `{}`, and its `return` is `_return`.
fn fold_ec2(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(fold_ec2),
        Value::Object(members) => {
            let mut folded = Map::new();
            for (name, mut value) in std::mem::take(members) {
                fold_ec2(&mut value);
                match (name.as_str(), value) {
                    ("item", value @ Value::Array(_)) => folded.insert("items".to_owned(), value),
                    ("item", value) => folded.insert("items".to_owned(), Value::Array(vec![value])),
                    ("return", value) => folded.insert("_return".to_owned(), value),
                    (set, Value::String(text)) if set.ends_with("Set") && text.is_empty() => {
                        folded.insert(name, Value::Object(Map::new()))
                    }
                    (_, value) => folded.insert(name, value),
                };
            }
            *members = folded;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_told_by_the_names_of_their_items() {
        let document = b"<CreateDBInstanceResponse><CreateDBInstanceResult><DBInstance><DBName>d</DBName>\
            <VpcSecurityGroups><VpcSecurityGroupMembership><Status>active</Status></VpcSecurityGroupMembership>\
            </VpcSecurityGroups><Endpoint><Port>1</Port></Endpoint></DBInstance></CreateDBInstanceResult>\
            </CreateDBInstanceResponse>";
        let expected =
            json!({ "dBName": "d", "vpcSecurityGroups": [{ "status": "active" }], "endpoint": { "port": 1 } });
        assert_eq!(shown(document, "rds.amazonaws.com", "CreateDBInstance"), expected);

        let document = b"<R><CreateUserResult><User><Tags><member><Key>a</Key></member><member><Key>b</Key></member>\
            </Tags></User></CreateUserResult></R>";
        let expected = json!({ "user": { "tags": [{ "key": "a" }, { "key": "b" }] } });
        assert_eq!(shown(document, "iam.amazonaws.com", "CreateUser"), expected);
    }

    #[test]
    fn ec2_has_items_and_sets_of_its_own() {
        let document = br#"<R xmlns="u"><requestId>r</requestId><return>true</return><groupSet/>
            <instancesSet><item><instanceId>i-1</instanceId></item></instancesSet></R>"#;
        let items = json!({ "items": [{ "instanceId": "i-1" }] });
        let expected = json!({ "requestId": "r", "_return": true, "groupSet": {}, "instancesSet": items });
        assert_eq!(shown(document, EC2, "RunInstances"), expected);
    }

    #[test]
    fn an_answer_without_a_result_shows_nothing() {
        for document in [
            &b"<DeleteUserResponse><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DeleteUserResponse>"
                [..],
            b"<R><DeleteUserResult/></R>",
            b"<R/>",
            b"no xml",
        ] {
            assert_eq!(shown(document, "iam.amazonaws.com", "DeleteUser"), Value::Null);
        }
    }
}
