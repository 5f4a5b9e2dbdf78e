use super::*;

fn spec() -> CorrelationSpec {
    let text = "title: c\ncorrelation: {type: event_count, rules: [a], timespan: 60s, condition: {gte: 4096}}\n";
    CorrelationSpec::of(&rsigma_parser::parse_sigma_yaml(text).unwrap().correlations[0]).unwrap()
}

fn key(group: usize) -> GroupKey {
    GroupKey { rule: "r".to_owned(), group: format!("{group}") }
}

fn entry(time: i64, n: usize) -> Entry {
    Entry { time, event: format!("{n}"), rule: 0, value: None }
}

#[test]
fn groups_are_bounded_and_the_oldest_go_first() {
    let (mut correlator, spec) = (Correlator::default(), spec());
    for n in 0..MOST_GROUPS + 1 {
        correlator.observe(&key(n), &spec, entry(n as i64, n));
    }
    assert_eq!(correlator.len(), MOST_GROUPS * KEPT_PERCENT / 100);
    assert!(correlator.groups.contains_key(&key(MOST_GROUPS)) && !correlator.groups.contains_key(&key(0)));
    let gone = correlator.take_changes().into_iter().filter(|(_, group)| group.is_none()).count();
    assert_eq!(gone, MOST_GROUPS + 1 - correlator.len());
}

#[test]
fn entries_are_bounded_in_one_group_and_in_all() {
    let (mut correlator, spec) = (Correlator::default(), spec());
    for n in 0..5_000 {
        correlator.observe(&key(0), &spec, entry(7, n));
    }
    assert_eq!(correlator.entries, 4_096);
    for group in 0..60 {
        for n in 0..4_000 {
            correlator.observe(&key(group), &spec, entry(8, n));
        }
    }
    assert!(correlator.entries <= MOST_ENTRIES);
    assert_eq!(correlator.entries, correlator.groups.values().map(Group::len).sum::<usize>());
}

#[test]
fn what_is_stored_goes_on_where_it_was() {
    let (mut correlator, spec) = (Correlator::default(), spec());
    for n in 0..10 {
        correlator.observe(&key(n % 3), &spec, entry(n as i64 * 1000, n));
    }
    let stored: Vec<(GroupKey, Group)> = correlator
        .take_changes()
        .into_iter()
        .map(|(key, group)| {
            let text = serde_json::to_string(&group.unwrap()).unwrap();
            (key, serde_json::from_str(&text).unwrap())
        })
        .collect();
    assert_eq!(Correlator::restored(stored), correlator);
    assert_eq!(correlator.changes(), 0);
}

#[test]
fn what_can_count_no_more_is_pruned() {
    let (mut correlator, spec) = (Correlator::default(), spec());
    correlator.observe(&key(0), &spec, entry(0, 0));
    correlator.observe(&key(1), &spec, entry(2_000_000, 1));
    correlator.prune(|_| Some(60_000));
    assert_eq!(correlator.len(), 1);
    correlator.prune(|_| None);
    assert!(correlator.is_empty());
}
