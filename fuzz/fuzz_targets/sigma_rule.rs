//! Any text as a file of rules, run over any text as a record: never panics, what is read once is read again, and the gate
//! keeps out nothing that a rule finds. The file ends at the first zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentrail_sigma::{RuleSet, read};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (file, record) = text.split_once('\0').unwrap_or((text, r#"{"eventName":"DeleteTrail","eventSource":"x"}"#));
    let (rules, _) = read([("fuzz.yml", file)]);
    for rule in &rules {
        let again = opentrail_sigma::Rule::parse(rule.file(), rule.text()).expect("what was read once is read again");
        assert_eq!(again.head(), rule.head());
    }
    let (set, _) = RuleSet::of(&rules);
    let Ok(found) = set.matches(record.as_bytes()) else { return };
    if !found.is_empty() {
        let value: serde_json::Value = match serde_json::from_str(record) {
            Ok(value) => value,
            Err(_) => return,
        };
        assert!(set.may_match(value["eventName"].as_str(), value["eventSource"].as_str()));
    }
});
