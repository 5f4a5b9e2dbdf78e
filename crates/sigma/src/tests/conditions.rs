//! Conditions. (Sigma Rules Specification 2, "Condition".)

use serde_json::json;

use super::finds;

const PARTS: &str = "sel_a: {a: 1}\nsel_b: {b: 1}\nfilter_c: {c: 1}\n";

/// Which of the events with these members the condition finds.
fn check(condition: &str, found: &[&str], not: &[&str]) {
    let detection = format!("{PARTS}condition: {condition}");
    let event = |members: &str| {
        let members = members.chars().map(|name| (name.to_string(), json!(1)));
        serde_json::Value::Object(members.collect())
    };
    for members in found {
        assert!(finds(&detection, &event(members)), "{condition} finds {members:?}");
    }
    for members in not {
        assert!(!finds(&detection, &event(members)), "{condition} does not find {members:?}");
    }
}

#[test]
fn and_or_not_and_parentheses() {
    check("sel_a and sel_b", &["ab", "abc"], &["a", "b", ""]);
    check("sel_a or sel_b", &["a", "b"], &["c", ""]);
    check("sel_a and not filter_c", &["a"], &["ac", "c"]);
    check("sel_a or sel_b and filter_c", &["a", "bc"], &["b", "c"]);
    check("(sel_a or sel_b) and filter_c", &["ac", "bc"], &["a", "c"]);
    check("not (sel_a or sel_b)", &["", "c"], &["a", "b"]);
    check("not sel_a and sel_b", &["b"], &["ab", ""]);
}

#[test]
fn one_all_and_some_of() {
    check("1 of sel_*", &["a", "b", "ab"], &["c", ""]);
    check("any of sel_*", &["a"], &["c"]);
    check("all of sel_*", &["ab"], &["a", "b"]);
    check("1 of them", &["c"], &[""]);
    check("all of them", &["abc"], &["ab"]);
    check("2 of them", &["ab", "bc", "abc"], &["a"]);
    check("sel_a and not 1 of filter_*", &["a"], &["ac"]);
    check("1 of *_b", &["b"], &["a"]);
}

#[test]
fn members_of_a_detection_are_anded_and_a_list_of_them_is_ored() {
    let and = "s: {a: 1, b: 1}\ncondition: s";
    assert!(finds(and, &json!({ "a": 1, "b": 1 })));
    assert!(!finds(and, &json!({ "a": 1 })));
    let or = "s:\n  - a: 1\n    b: 1\n  - c: 1\ncondition: s";
    assert!(finds(or, &json!({ "c": 1 })));
    assert!(finds(or, &json!({ "a": 1, "b": 1 })));
    assert!(!finds(or, &json!({ "a": 1 })));
}

#[test]
fn detections_with_an_underscore_are_not_among_them() {
    let detection = "s: {a: 1}\n_hidden: {b: 1}\ncondition: all of them";
    assert!(finds(detection, &json!({ "a": 1 })));
}

#[test]
fn a_list_of_conditions_is_any_of_them() {
    let detection = "s: {a: 1}\nt: {b: 1}\ncondition:\n  - s\n  - t";
    assert!(finds(detection, &json!({ "b": 1 })));
    assert!(!finds(detection, &json!({ "c": 1 })));
}
