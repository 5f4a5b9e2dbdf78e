//! Rules and records that are made to cost much.

use std::fmt::Write;

use serde_json::json;

use super::{finds, refusal, rule, set};
use crate::RuleSet;

#[test]
fn a_regular_expression_takes_time_in_proportion_to_the_text() {
    let event = json!({ "f": format!("{}!", "a".repeat(200_000)) });
    assert!(!finds("s: {f|re: '^(a+)+$'}\ncondition: s", &event));
    assert!(!finds("s: {f|re: '(a|a|aa)*b'}\ncondition: s", &event));
    assert!(!finds("s: {f: 'a*a*a*a*a*a*a*a*a*b'}\ncondition: s", &event));
}

#[test]
fn repetitions_of_repetitions_are_refused() {
    let refused = refusal(&rule("t", "s: {f|re: '((a{1000}){1000}){1000}'}\ncondition: s"));
    assert!(refused.contains("regular expression"), "{refused}");
}

#[test]
fn depth_of_conditions_and_of_yaml_is_refused() {
    let deep = format!("{}s{}", "(".repeat(3_000), ")".repeat(3_000));
    assert!(refusal(&rule("t", &format!("s: {{a: 1}}\ncondition: {deep}"))).contains("depth of its condition"));
    let nots = "not ".repeat(1_000);
    assert!(refusal(&rule("t", &format!("s: {{a: 1}}\ncondition: {nots}s"))).contains("number of 'not'"));
    let list = format!("s: {}1{}\ncondition: s", "[".repeat(500), "]".repeat(500));
    assert!(refusal(&rule("t", &list)).contains("depth"));
}

#[test]
fn a_rule_that_is_too_large_is_refused() {
    let mut values = String::new();
    for n in 0..6_000 {
        write!(values, "v{n},").unwrap();
    }
    assert!(refusal(&rule("t", &format!("s: {{a: [{values}]}}\ncondition: s"))).contains("values"));
    let long = "x".repeat(300_000);
    assert!(refusal(&rule("t", &format!("s: {{a: {long}}}\ncondition: s"))).contains("bytes"));
    let dashes = "-a ".repeat(20);
    let (_, refused) =
        RuleSet::load([("f", rule("t", &format!("s: {{a|windash: '{dashes}'}}\ncondition: s")).as_str())]);
    assert_eq!(refused.len(), 1);
}

#[test]
fn nobody_hides_from_a_rule_by_nesting() {
    let set = set(&rule("t", "s: {eventName: CreateUser}\nw: ['*x*']\ncondition: s and not w"));
    let deep =
        format!(r#"{{"requestParameters":{}{},"eventName":"CreateUser"}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(set.matches(deep.as_bytes()).unwrap().len(), 1);
}

#[test]
fn nobody_hides_from_a_rule_by_what_is_json_and_no_text_or_number() {
    let set = set(&rule("t", "s: {eventName: CreateUser, requestParameters.userName|contains: x}\ncondition: s"));
    for odd in [r#""\ud800x""#, r#""x","n":1e999"#, r#""x","\udfff":1"#, r#"["x",-1e999]"#] {
        let record = format!(r#"{{"requestParameters":{{"userName":{odd}}},"eventName":"CreateUser"}}"#);
        assert_eq!(set.matches(record.as_bytes()).unwrap().len(), 1, "{odd}");
    }
}

#[test]
fn records_that_are_none_are_said_to_be_unreadable() {
    let set = set(&rule("t", "s: {a: 1}\ncondition: s"));
    for record in [&b""[..], b"[]", b"{\"a\":", b"\xff\xfe", b"{\"a\":1}}"] {
        assert!(set.matches(record).is_err());
    }
}
