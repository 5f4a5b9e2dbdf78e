//! The specification, case by case.

mod conditions;
mod correlations;
mod hostile;
mod modifiers;
mod properties;
mod refusals;

use bytes::Bytes;
use serde_json::Value;

use crate::{Finding, RuleSet, hunt};

/// A rule with this `detection` section.
pub(crate) fn rule(title: &str, detection: &str) -> String {
    let detection: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    format!("title: {title}\nid: {title}\nlogsource:\n  product: aws\n  service: cloudtrail\ndetection:\n{detection}")
}

/// A set of rules none of which is refused.
pub(crate) fn set(text: &str) -> RuleSet {
    let (set, refused) = RuleSet::load([("test.yml", text)]);
    assert!(refused.is_empty(), "{refused:?}\n{text}");
    set
}

/// Whether a rule with this detection finds the event.
pub(crate) fn finds(detection: &str, event: &Value) -> bool {
    let set = set(&rule("t", detection));
    let record = event.to_string();
    let found = !set.matches(record.as_bytes()).unwrap().is_empty();
    let (name, source) = (event["eventName"].as_str(), event["eventSource"].as_str());
    assert!(!found || set.may_match(name, source), "the gate keeps out what the rule finds");
    found
}

/// Why the only rule of the text is refused.
pub(crate) fn refusal(text: &str) -> String {
    let (set, refused) = RuleSet::load([("test.yml", text)]);
    assert_eq!((set.len(), refused.len()), (0, 1), "{refused:?}\n{text}");
    refused[0].reason.to_string()
}

pub(crate) fn findings(set: &RuleSet, records: &[Value]) -> Vec<Finding> {
    let mut found = Vec::new();
    let records = records.iter().map(|record| Bytes::from(record.to_string()));
    hunt(set, "111122223333".parse().unwrap(), records, |finding| found.push(finding), |_| {});
    found
}
