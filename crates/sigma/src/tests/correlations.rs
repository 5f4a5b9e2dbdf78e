//! Correlation rules. (Sigma Correlation Rules Specification 2.)

use serde_json::{Value, json};

use super::{findings, rule, set};
use crate::{Finding, RuleSet};

/// An event of `name` by `user`, so many seconds after midnight.
fn event(name: &str, user: &str, seconds: u32) -> Value {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    json!({
        "eventID": format!("{name}-{user}-{seconds}"),
        "eventTime": format!("2026-01-02T{hours:02}:{minutes:02}:{rest:02}Z"),
        "eventName": name,
        "userIdentity": { "userName": user },
        "sourceIPAddress": format!("192.0.2.{}", seconds % 250),
        "recipientAccountId": "111122223333",
    })
}

fn rules(correlation: &str) -> RuleSet {
    let (failed, ok) = (named("failed", "Failed"), named("ok", "Ok"));
    set(&format!("{failed}---\n{ok}---\ntitle: c\nid: c\nlevel: high\ncorrelation:\n{correlation}"))
}

fn named(name: &str, event_name: &str) -> String {
    format!(
        "{}name: {name}\n",
        rule(&format!("id-of-{name}"), &format!("s: {{eventName: {event_name}}}\ncondition: s"))
    )
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.event_id.as_str()).collect()
}

const COUNT: &str = "  type: event_count\n  rules: [failed]\n  group-by: [userIdentity.userName]\n  timespan: 5m\n  \
                     condition: {gte: 3}\n";

#[test]
fn events_of_one_group_are_counted_over_the_timespan() {
    let set = rules(COUNT);
    let found = findings(
        &set,
        &[
            event("Failed", "a", 0),
            event("Failed", "b", 1),
            event("Failed", "a", 100),
            event("Other", "a", 101),
            event("Failed", "a", 200),
        ],
    );
    assert_eq!(ids(&found), ["Failed-a-200"]);
    let correlation = found[0].correlation.as_ref().unwrap();
    assert_eq!(correlation.group, [("userIdentity.userName".to_owned(), "a".to_owned())]);
    assert_eq!((correlation.count, correlation.events.len()), (3, 3));
    assert_eq!((found[0].rule.id.as_str(), found[0].time.to_iso().as_str()), ("c", "2026-01-02T00:03:20Z"));
}

#[test]
fn events_further_apart_than_the_timespan_are_not_counted_together() {
    let set = rules(COUNT);
    let apart = [event("Failed", "a", 0), event("Failed", "a", 299), event("Failed", "a", 300)];
    assert!(findings(&set, &apart).is_empty(), "the timespan does not hold its beginning");
    let within = [event("Failed", "a", 1), event("Failed", "a", 299), event("Failed", "a", 300)];
    assert_eq!(findings(&set, &within).len(), 1);
}

#[test]
fn a_flood_is_one_finding_per_timespan() {
    let set = rules(COUNT);
    let flood: Vec<Value> = (0..1200).map(|second| event("Failed", "a", second)).collect();
    let times: Vec<String> = findings(&set, &flood).iter().map(|finding| finding.time.to_iso()).collect();
    assert_eq!(times, ["2026-01-02T00:00:02Z", "2026-01-02T00:05:02Z", "2026-01-02T00:10:02Z", "2026-01-02T00:15:02Z"]);
}

#[test]
fn an_event_counts_once_however_often_it_comes() {
    let set = rules(COUNT);
    let once = event("Failed", "a", 1);
    assert!(findings(&set, &[once.clone(), once.clone(), once.clone(), once]).is_empty());
}

#[test]
fn events_in_any_order_are_counted_if_they_are_not_too_late() {
    let set = rules(COUNT);
    let late = [event("Failed", "a", 1000), event("Failed", "a", 1010), event("Failed", "a", 990)];
    let found = findings(&set, &late);
    assert_eq!((found.len(), found[0].time.to_iso().as_str()), (1, "2026-01-02T00:16:50Z"));
    // Complete again with one that comes fourteen minutes late, in a time of its own.
    let late =
        [event("Failed", "a", 100), event("Failed", "a", 110), event("Failed", "a", 940), event("Failed", "a", 120)];
    assert_eq!(findings(&set, &late)[0].time.to_iso(), "2026-01-02T00:02:00Z");
    let too_late =
        [event("Failed", "a", 100), event("Failed", "a", 110), event("Failed", "a", 1100), event("Failed", "a", 120)];
    assert!(findings(&set, &too_late).is_empty());
}

#[test]
fn an_event_without_the_field_belongs_to_no_group() {
    let set = rules(COUNT);
    let mut nobody: Vec<Value> = (0..5).map(|second| event("Failed", "a", second)).collect();
    nobody.iter_mut().for_each(|event| event["userIdentity"] = json!({}));
    assert!(findings(&set, &nobody).is_empty());
}

#[test]
fn accounts_are_counted_by_themselves() {
    let set = rules(COUNT);
    let mut events: Vec<Value> = (0..4).map(|second| event("Failed", "a", second)).collect();
    events[1]["recipientAccountId"] = json!("444455556666");
    events[2]["recipientAccountId"] = json!("444455556666");
    assert!(findings(&set, &events).is_empty());
}

#[test]
fn different_values_are_counted() {
    let set = rules(
        "  type: value_count\n  rules: [failed]\n  group-by: [userIdentity.userName]\n  timespan: 5m\n  \
         condition: {gt: 2, field: sourceIPAddress}\n",
    );
    let same: Vec<Value> = [0, 1, 250, 251].into_iter().map(|second| event("Failed", "a", second)).collect();
    assert!(findings(&set, &same).is_empty());
    let other: Vec<Value> = [0, 1, 250, 2].into_iter().map(|second| event("Failed", "a", second)).collect();
    let found = findings(&set, &other);
    assert_eq!(found[0].correlation.as_ref().unwrap().count, 3);
    let mut none = other;
    none[3]["sourceIPAddress"] = Value::Null;
    assert!(findings(&set, &none).is_empty());
}

#[test]
fn rules_are_wanted_within_the_timespan_in_any_order_or_in_theirs() {
    let any = rules("  type: temporal\n  rules: [failed, ok]\n  group-by: [userIdentity.userName]\n  timespan: 1m\n");
    let ordered =
        rules("  type: temporal_ordered\n  rules: [failed, ok]\n  group-by: [userIdentity.userName]\n  timespan: 1m\n");
    let wrong_way = [event("Ok", "a", 1), event("Failed", "a", 2)];
    let right_way = [event("Failed", "a", 1), event("Ok", "a", 2)];
    let one_second = [event("Ok", "a", 1), event("Failed", "a", 1)];
    let apart = [event("Failed", "a", 1), event("Ok", "a", 61)];
    let others = [event("Failed", "a", 1), event("Ok", "b", 2)];
    for (events, found_any, found_ordered) in
        [(&wrong_way, 1, 0), (&right_way, 1, 1), (&one_second, 1, 1), (&apart, 0, 0), (&others, 0, 0)]
    {
        assert_eq!(findings(&any, events).len(), found_any, "{events:?}");
        assert_eq!(findings(&ordered, events).len(), found_ordered, "{events:?}");
    }
}

#[test]
fn a_temporal_condition_may_want_some_of_the_rules() {
    let third = named("third", "Third");
    let text = format!(
        "{}---\n{}---\n{third}---\ntitle: c\ncorrelation:\n  type: temporal\n  rules: [failed, ok, third]\n  \
         timespan: 1m\n  condition: failed and (ok or third)\n",
        named("failed", "Failed"),
        named("ok", "Ok")
    );
    let set = set(&text);
    assert_eq!(findings(&set, &[event("Third", "a", 1), event("Failed", "b", 2)]).len(), 1);
    assert!(findings(&set, &[event("Third", "a", 1), event("Ok", "b", 2)]).is_empty());
}

#[test]
fn aliases_name_the_field_of_each_rule() {
    let set = rules(
        "  type: temporal\n  rules: [failed, ok]\n  group-by: [who]\n  timespan: 1m\n  aliases:\n    who:\n      \
         failed: userIdentity.userName\n      ok: requestParameters.userName\n",
    );
    let mut ok = event("Ok", "somebody", 2);
    ok["requestParameters"] = json!({ "userName": "a" });
    assert_eq!(findings(&set, &[event("Failed", "a", 1), ok.clone()]).len(), 1);
    assert!(findings(&set, &[event("Failed", "somebody", 1), ok]).is_empty());
}

#[test]
fn rules_of_a_correlation_are_silent_unless_they_are_wanted() {
    let one = [event("Failed", "a", 1)];
    assert!(findings(&rules(COUNT), &one).is_empty());
    let loud = rules(&format!("{COUNT}generate: true\n"));
    assert_eq!(findings(&loud, &one)[0].rule.id, "id-of-failed");
    assert_eq!(findings(&rules(COUNT), &[event("Ok", "a", 1)])[0].rule.id, "id-of-ok");
}

#[test]
fn a_correlation_may_count_correlations() {
    let text = format!(
        "{}---\n{}---\ntitle: many\nid: many\ncorrelation:\n{COUNT}---\ntitle: broken in\nid: in\ncorrelation:\n  \
         type: temporal_ordered\n  rules: [many, ok]\n  group-by: [userIdentity.userName]\n  timespan: 10m\n",
        named("failed", "Failed"),
        named("ok", "Ok")
    );
    let set = set(&text);
    let mut events: Vec<Value> = (0..3).map(|second| event("Failed", "a", second)).collect();
    events.push(event("Ok", "b", 5));
    assert!(findings(&set, &events).is_empty());
    events.push(event("Ok", "a", 6));
    let found = findings(&set, &events);
    assert_eq!(found.iter().map(|finding| finding.rule.id.as_str()).collect::<Vec<_>>(), ["in"]);
}
