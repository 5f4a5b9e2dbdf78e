//! What does not run here is refused by name and reason, and leaves the rest alone.

use super::{refusal, rule, set};
use crate::{Reason, RuleSet};

fn check(detection: &str, reason: &str) {
    let refused = refusal(&rule("t", detection));
    assert!(refused.contains(reason), "{detection}: {refused}");
}

#[test]
fn rules_of_other_logs() {
    for source in ["product: windows", "category: process_creation", "{product: aws, service: s3}", "product: aws"] {
        let source = if source.starts_with('{') { source.to_owned() } else { format!("{{{source}}}") };
        let text = format!("title: t\nlogsource: {source}\ndetection: {{s: {{a: 1}}, condition: s}}\n");
        assert!(refusal(&text).contains("for product aws, service cloudtrail"), "{source}");
    }
    let text =
        "title: t\nlogsource: {product: aws, service: cloudtrail, category: x}\ndetection: {s: {a: 1}, condition: s}\n";
    assert!(refusal(text).contains("category x"));
}

#[test]
fn conditions_that_ask_for_nothing() {
    check("s: {a: 1}\ncondition: t", "'t'");
    check("s: {a: 1}\ncondition: all of other_*", "0 detections");
    check("s: {a: 1}\ncondition: 2 of s*", "1 detections");
    check("s: {a: 1}\ncondition: s and", "");
    check("s: {a: 1}", "condition");
    check("s: {a: 1}\ncondition: s | count() by b > 5", "correlation rule");
    check("s: {a: []}\ncondition: s", "empty list");
    check("s: {a: 1}\ntimeframe: 5m\ncondition: s", "timeframe");
    let unsupported = format!("{}status: unsupported\n", rule("t", "s: {a: 1}\ncondition: s"));
    assert!(refusal(&unsupported).contains("status"));
    check("s: [4625]\ncondition: s", "quotes");
    check("s: {}\ncondition: s", "empty");
}

#[test]
fn modifiers_that_cannot_be_run() {
    check("s: {a|nosuch: 1}\ncondition: s", "nosuch");
    check("s: {a|expand: '%x%'}\ncondition: s", "placeholders");
    check("s: {a|re: '(?=x)'}\ncondition: s", "cannot be run");
    check("s: {a|re: '(a)\\1'}\ncondition: s", "cannot be run");
    check("s: {a|re: '('}\ncondition: s", "cannot be run");
    check("s: {a|cidr: 300.0.0.0/8}\ncondition: s", "CIDR");
    check("s: {a|gt: x}\ncondition: s", "numeric");
}

#[test]
fn texts_that_are_no_rules() {
    assert!(refusal("title: t\n").contains("detection"));
    assert!(refusal("just words\n").contains("mapping"));
    assert!(refusal("a: [").contains("YAML"));
    assert!(refusal(&format!("{}level: hot\n", rule("t", "s: {a: 1}\ncondition: s"))).contains("level"));
    assert!(refusal("title: t\nlogsource: {}\nfilter: {rules: [x], s: {a: 1}, condition: s}\n").contains("filter"));
}

#[test]
fn two_rules_of_one_id() {
    let text = format!("{}---\n{}", rule("t", "s: {a: 1}\ncondition: s"), rule("t", "s: {b: 1}\ncondition: s"));
    let (set, refused) = RuleSet::load([("f.yml", text.as_str())]);
    assert_eq!((set.len(), &refused[0].reason), (1, &Reason::Duplicate("t".to_owned())));
}

#[test]
fn correlations_that_cannot_be_counted() {
    let base = rule("base", "s: {a: 1}\ncondition: s");
    let with = |correlation: &str| {
        let text = format!("{base}---\ntitle: c\ncorrelation: {correlation}\n");
        let (_, refused) = RuleSet::load([("f.yml", text.as_str())]);
        assert_eq!(refused.len(), 1, "{correlation}");
        assert_eq!((refused[0].file.as_str(), refused[0].rule.as_str()), ("f.yml", "c"));
        refused[0].reason.to_string()
    };
    for (correlation, reason) in [
        ("{type: event_count, rules: [nosuch], group-by: [u], timespan: 1m, condition: {gte: 2}}", "nosuch"),
        ("{type: event_count, rules: [base], group-by: [u], timespan: 1m, condition: {lt: 2}}", "gte or gt"),
        ("{type: event_count, rules: [base], group-by: [u], timespan: 1m, condition: {gte: 100000}}", "4096"),
        ("{type: event_count, rules: [base], group-by: [u], timespan: 90d, condition: {gte: 2}}", "30 days"),
        ("{type: event_count, rules: [base], group-by: [u], timespan: soon, condition: {gte: 2}}", "soon"),
        ("{type: event_count, rules: [base], timespan: 1m}", "condition"),
        ("{type: value_count, rules: [base], timespan: 1m, condition: {gte: 2}}", "field"),
        ("{type: value_sum, rules: [base], timespan: 1m, condition: {gte: 2, field: x}}", "value_sum"),
        ("{type: nosuch, rules: [base], timespan: 1m, condition: {gte: 2}}", "nosuch"),
        ("{type: temporal, rules: [base, base], timespan: 1m}", "twice"),
        ("{type: temporal, rules: [base], timespan: 1m, condition: other}", "other"),
        ("{type: temporal, rules: [base], timespan: 1m, condition: not base}", "'and'"),
        ("{type: temporal, rules: [c], timespan: 1m}", "refers to the rule 'c'"),
        ("{type: temporal, rules: [], timespan: 1m}", "no rule"),
    ] {
        let refused = with(correlation);
        assert!(refused.contains(reason), "{correlation}: {refused}");
    }
}

#[test]
fn a_refused_rule_takes_what_refers_to_it_along_and_nothing_else() {
    let bad = rule("bad", "s: {a|gt: x}\ncondition: s");
    let good = rule("good", "s: {a: 1}\ncondition: s");
    let correlation = "title: c\ncorrelation: {type: temporal, rules: [bad, good], timespan: 1m}\n";
    let text = format!("{bad}---\n{good}---\n{correlation}");
    let (set, refused) = RuleSet::load([("f.yml", text.as_str())]);
    assert_eq!(refused.iter().map(|refused| refused.rule.as_str()).collect::<Vec<_>>(), ["bad", "c"]);
    assert_eq!(set.matches(br#"{"a":1}"#).unwrap()[0].id, "good");
}

#[test]
fn a_rule_without_an_id_goes_by_its_name_or_title() {
    let text = "title: T\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {a: 1}, condition: s}\n";
    assert_eq!(set(text).matches(br#"{"a":1}"#).unwrap()[0].id, "T");
    assert_eq!(set(&format!("{text}name: n\n")).matches(br#"{"a":1}"#).unwrap()[0].id, "n");
}
