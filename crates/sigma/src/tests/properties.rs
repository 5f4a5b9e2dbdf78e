//! What holds for any rule, record and order.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{findings, finds, rule, set};
use crate::{RuleSet, read};

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "A", "ab", "ba"]).prop_map(str::to_owned)
}

/// `eventName` or another field, with or without what lets the gate know nothing.
fn item() -> impl Strategy<Value = String> {
    let field =
        prop::sample::select(vec!["eventName", "eventSource", "other", "eventName|contains", "eventSource|cased"]);
    let value = prop_oneof![word(), word().prop_map(|word| format!("'{word}*'")), Just("null".to_owned())];
    (field, prop::collection::vec(value, 1..3)).prop_map(|(field, values)| format!("{field}: [{}]", values.join(", ")))
}

fn members() -> impl Strategy<Value = String> {
    (item(), prop::option::of(word())).prop_map(|(item, more)| match more {
        Some(more) => format!("{{{item}, third: {more}}}"),
        None => format!("{{{item}}}"),
    })
}

fn detection() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(vec![
        "s_1 and s_2",
        "s_1 or s_2",
        "s_1 and not s_2",
        "1 of s_*",
        "all of them",
        "not s_1",
        "not (s_1 and s_2)",
        "s_1 or not s_2",
    ]);
    (members(), members(), condition)
        .prop_map(|(a, b, condition)| format!("s_1: {a}\ns_2: {b}\ncondition: {condition}"))
}

fn event() -> impl Strategy<Value = Value> {
    let value = prop_oneof![word().prop_map(Value::from), Just(Value::Null), Just(json!(1)), Just(json!(["a", "b"]))];
    prop::collection::hash_map(prop::sample::select(vec!["eventName", "eventSource", "other", "third"]), value, 0..4)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

proptest! {
    /// `finds` asserts that what a rule finds passes the gate.
    #[test]
    fn the_gate_keeps_out_nothing_that_a_rule_finds(detection in detection(), event in event()) {
        finds(&detection, &event);
    }

    /// Rules in one set find what each finds by itself.
    #[test]
    fn rules_do_not_mind_one_another(detections in prop::collection::vec(detection(), 1..6), event in event()) {
        let texts: Vec<String> = detections.iter().enumerate().map(|(n, text)| rule(&format!("r{n}"), text)).collect();
        let together = set(&texts.join("---\n"));
        let record = event.to_string();
        let found: Vec<String> =
            together.matches(record.as_bytes()).unwrap().iter().map(|head| head.id.clone()).collect();
        let each: Vec<String> = texts
            .iter()
            .filter_map(|text| set(text).matches(record.as_bytes()).unwrap().first().map(|head| head.id.clone()))
            .collect();
        prop_assert_eq!(found, each);
    }

    #[test]
    fn any_text_is_rules_or_refused(text in "\\PC{0,200}") {
        let (rules, _) = read([("f.yml", text.as_str())]);
        RuleSet::of(&rules);
    }

    #[test]
    fn any_record_is_matched_or_unreadable(record in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = set(&rule("t", "s: ['*x*']\ncondition: s")).matches(&record);
    }

    /// A count over events that come in any order finds something exactly when one that looks at all of them does.
    #[test]
    fn the_order_of_events_does_not_matter_within_the_tolerance(
        mut seconds in prop::collection::vec(0_u32..800, 1..12), at_least in 1_usize..5
    ) {
        let text = format!(
            "{}---\ntitle: c\ncorrelation: {{type: event_count, rules: [t], timespan: 60s, condition: {{gte: {at_least}}}}}\n",
            rule("t", "s: {eventName: E}\ncondition: s")
        );
        let events: Vec<Value> = seconds.iter().enumerate().map(|(n, second)| json!({
            "eventName": "E",
            "eventID": format!("{n}"),
            "eventTime": format!("2026-01-02T00:{:02}:{:02}Z", second / 60, second % 60),
        })).collect();
        let found = findings(&set(&text), &events);
        seconds.sort_unstable();
        let dense = seconds.windows(at_least).any(|window| window[at_least - 1] - window[0] < 60);
        prop_assert_eq!(!found.is_empty(), dense);
        prop_assert_eq!(findings(&set(&text), &events), found, "the same again");
    }
}
