use std::collections::BTreeMap;

use opentrail_model::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::message::{Kind, MessageAttribute, Text};

fn message(body: &str, attributes: &[(&str, &str, &str)]) -> Message {
    let attribute = |(name, data_type, value): &(&str, &str, &str)| {
        let attribute = MessageAttribute { data_type: (*data_type).to_owned(), value: (*value).to_owned() };
        ((*name).to_owned(), attribute)
    };
    Message {
        id: Uuid::nil(),
        topic: "arn:aws:sns:us-east-1:111122223333:a".parse().unwrap(),
        published: Timestamp::EPOCH,
        kind: Kind::Notification,
        subject: None,
        text: Text::Same(body.to_owned()),
        attributes: attributes.iter().map(attribute).collect::<BTreeMap<_, _>>(),
        group: None,
    }
}

fn by_attributes(policy: Value, attributes: &[(&str, &str, &str)]) -> bool {
    let policy = FilterPolicy::parse(&policy.to_string(), FilterScope::MessageAttributes).unwrap();
    policy.matches(&message("m", attributes))
}

fn by_body(policy: Value, body: Value) -> bool {
    let policy = FilterPolicy::parse(&policy.to_string(), FilterScope::MessageBody).unwrap();
    policy.matches(&message(&body.to_string(), &[]))
}

#[test]
fn attributes_are_matched_by_every_operator() {
    for (conditions, matching, other) in [
        (json!(["rugby"]), ("String", "rugby"), ("String", "Rugby")),
        (json!(["a", "b"]), ("String", "b"), ("String", "c")),
        (json!([{"prefix": "bas"}]), ("String", "baseball"), ("String", "rugby")),
        (json!([{"suffix": "ball"}]), ("String", "baseball"), ("String", "balls")),
        (json!([{"equals-ignore-case": "TENNIS"}]), ("String", "tennis"), ("String", "tennis ")),
        (json!([{"wildcard": "a*b*c"}]), ("String", "aXbYc"), ("String", "aXcYb")),
        (json!([{"wildcard": "*ball"}]), ("String", "ball"), ("String", "balls")),
        (json!([{"wildcard": "ab*ba"}]), ("String", "abba"), ("String", "aba")),
        (json!([{"anything-but": ["rugby", "tennis"]}]), ("String", "golf"), ("String", "tennis")),
        (json!([{"anything-but": {"prefix": "order-"}}]), ("String", "data"), ("String", "order-1")),
        (json!([{"anything-but": [100, 500]}]), ("Number", "101"), ("Number", "100")),
        (json!([{"cidr": "10.0.0.0/24"}]), ("String", "10.0.0.255"), ("String", "10.1.1.0")),
        (json!([{"cidr": "fd00::/8"}]), ("String", "fd00::1"), ("String", "::1")),
        (json!([{"numeric": ["=", 301.5]}]), ("Number", "3.015e2"), ("Number", "301")),
        (json!([{"numeric": [">", 0, "<=", 150]}]), ("Number", "150"), ("Number", "0")),
        (json!([{"numeric": ["<", 0]}]), ("Number", "-1"), ("Number", "0")),
        (json!([100]), ("Number", "100.0"), ("String", "100")),
        (json!([true]), ("String.Array", "[false,true]"), ("String", "true")),
        (json!([null]), ("String.Array", "[null]"), ("String", "null")),
        (json!(["b"]), ("String.Array", r#"["a","b"]"#), ("String.Array", r#"["a"]"#)),
        (json!([{"anything-but": ["a"]}]), ("String.Array", r#"["a","b"]"#), ("String.Array", r#"["a"]"#)),
        (json!([{"exists": true}]), ("Binary", "AAE="), ("", "")),
        (json!([{"exists": true}]), ("String.Array", "[]"), ("", "")),
        (json!([{"exists": false}]), ("", ""), ("String", "x")),
    ] {
        let policy = json!({ "key": conditions });
        let given = |(data_type, value): (&'static str, &'static str)| match data_type {
            "" => Vec::new(),
            data_type => vec![("key", data_type, value)],
        };
        assert!(by_attributes(policy.clone(), &given(matching)), "{policy} {matching:?}");
        assert!(!by_attributes(policy.clone(), &given(other)), "{policy} {other:?}");
    }
}

#[test]
fn all_keys_must_match_and_a_missing_one_does_not() {
    let policy = json!({ "a": ["x"], "b": [{ "anything-but": ["y"] }] });
    assert!(by_attributes(policy.clone(), &[("a", "String", "x"), ("b", "String", "z")]));
    assert!(!by_attributes(policy.clone(), &[("a", "String", "x"), ("b", "String", "y")]));
    assert!(!by_attributes(policy, &[("a", "String", "x")]));
    let either = json!({ "$or": [{ "a": ["x"] }, { "b": ["y"] }], "c": ["z"] });
    assert!(by_attributes(either.clone(), &[("b", "String", "y"), ("c", "String", "z")]));
    assert!(!by_attributes(either, &[("c", "String", "z")]));
    assert!(by_attributes(json!({}), &[]));
}

#[test]
fn bodies_are_matched_through_objects_and_arrays() {
    let policy =
        json!({ "detail": { "kind": [{ "prefix": "order" }], "lines": { "amount": [{ "numeric": [">", 5] }] } } });
    let body = |amount| json!({ "detail": { "kind": "order-1", "lines": [{ "amount": 1 }, { "amount": amount }] } });
    assert!(by_body(policy.clone(), body(6)));
    assert!(!by_body(policy.clone(), body(5)));
    assert!(!by_body(policy.clone(), json!({ "detail": "order" })));
    assert!(by_body(json!({ "a": { "b": [{ "exists": false }] } }), json!({})));
    let parsed = FilterPolicy::parse(&policy.to_string(), FilterScope::MessageBody).unwrap();
    for text in ["", "plain text", "[]", "7", &"{\"a\":".repeat(5000)] {
        assert!(!parsed.matches(&message(text, &[])), "{text:.20}");
    }
}

#[test]
fn policies_that_break_a_rule_are_refused() {
    let attributes = |text: &str| FilterPolicy::parse(text, FilterScope::MessageAttributes);
    let body = |text: &str| FilterPolicy::parse(text, FilterScope::MessageBody);
    for wrong in [
        "",
        "[]",
        "{\"a\":1}",
        "{\"a\":[]}",
        "{\"a\":[[1]]}",
        "{\"a\":[{}]}",
        "{\"a\":[{\"prefix\":1}]}",
        "{\"a\":[{\"prefix\":\"x\",\"suffix\":\"y\"}]}",
        "{\"a\":[{\"like\":\"x\"}]}",
        "{\"a\":[{\"exists\":\"true\"}]}",
        "{\"a\":[{\"numeric\":[]}]}",
        "{\"a\":[{\"numeric\":[\"<\",1,\">\",0]}]}",
        "{\"a\":[{\"numeric\":[\">\",5,\"<\",1]}]}",
        "{\"a\":[{\"numeric\":[\"=\",2000000000]}]}",
        "{\"a\":[{\"cidr\":\"10.0.0.0\"}]}",
        "{\"a\":[{\"wildcard\":\"a**b\"}]}",
        "{\"a\":[{\"wildcard\":\"*a*b*c*\"}]}",
        "{\"a\":[{\"anything-but\":{\"numeric\":[\"=\",1]}}]}",
        "{\"a\":[\"1\"],\"b\":[\"1\"],\"c\":[\"1\"],\"d\":[\"1\"],\"e\":[\"1\"],\"f\":[\"1\"]}",
    ] {
        assert!(attributes(wrong).is_err(), "{wrong}");
        assert!(body(wrong).is_err(), "{wrong}");
    }
    let nested = json!({ "a": { "b": ["x"] } }).to_string();
    assert!(attributes(&nested).is_err() && body(&nested).is_ok());
    // The Developer Guide's example: 4 × 3 times 3 × 2 times 3 × 1 makes 216.
    let guide =
        json!({ "a": { "b": { "c": ["1", "2", "3", "4"] } }, "d": { "e": ["1", "2", "3"] }, "f": ["1", "2", "3"] });
    assert!(body(&guide.to_string()).unwrap_err().to_string().contains("too complex"));
    assert!(body(&"{\"a\":".repeat(200_000)).is_err(), "deep nesting is refused, not followed");
}

proptest! {
    #[test]
    fn wildcards_match_what_a_slow_matcher_does(pattern in "[ab]{0,3}(\\*[ab]{1,2}){0,2}\\*?", text in "[ab]{0,8}") {
        fn slow(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
                Some((b, rest)) => text.first() == Some(b) && slow(rest, &text[1..]),
            }
        }
        let policy = json!({ "key": [{ "wildcard": pattern }] });
        let attributes = [("key", "String", text.as_str())];
        prop_assume!(!text.is_empty());
        prop_assert_eq!(by_attributes(policy, &attributes), slow(pattern.as_bytes(), text.as_bytes()));
    }
}
