//! The examples of the service's own page on filter patterns, each with a message that it matches or does not.

use std::path::{Path, PathBuf};

use opentrail_filters::{FilterPattern, FilterSet, Scratch};
use serde_json::Value;

#[test]
fn published_examples_match_what_they_are_said_to_match() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("OPENTRAIL_SHARED_DATA").map_or(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(dir.join("filter-patterns.json")) else {
        eprintln!("skipped: no filter-patterns.json in {} (set OPENTRAIL_SHARED_DATA)", dir.display());
        return;
    };
    let examples: Vec<Value> = serde_json::from_str(&text).expect("a list of examples");
    assert!(examples.len() >= 80);
    let member = |example: &Value, name: &str| example[name].as_str().expect(name).to_owned();
    let patterns = examples.iter().map(|example| FilterPattern::parse(&member(example, "pattern")).expect("a pattern"));
    let (set, mut scratch) = (FilterSet::new(patterns.clone()), Scratch::default());
    for (number, (example, pattern)) in examples.iter().zip(patterns).enumerate() {
        let (message, matches) = (member(example, "message"), example["match"] == true);
        assert_eq!(pattern.matches(&message), matches, "{pattern} {message}");
        assert_eq!(set.matching(&message, &mut scratch).contains(&number), matches, "{pattern} {message}");
    }
}
