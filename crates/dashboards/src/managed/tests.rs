use std::collections::BTreeSet;

use super::*;
use crate::{MAX_WIDGETS, Values, view};

fn all() -> Vec<(&'static str, Widget)> {
    let managed =
        MANAGED.iter().flat_map(|managed| managed.widgets.iter().map(|widget| (&*managed.name, widget.clone())));
    managed.chain(highlights(&[Uuid::from_u128(1), Uuid::from_u128(2)]).into_iter().map(|w| (HIGHLIGHTS, w))).collect()
}

#[test]
fn the_fifteen_of_the_guide_are_there_with_at_most_ten_widgets() {
    assert_eq!(MANAGED.len(), 15);
    let counts: Vec<usize> = MANAGED.iter().map(|managed| managed.widgets.len()).collect();
    assert_eq!(counts, [6, 6, 10, 9, 8, 8, 7, 8, 9, 8, 6, 6, 8, 4, 6]);
    assert!(counts.iter().all(|count| *count <= MAX_WIDGETS));
    assert!(find("AWSCloudTrail-Overview").is_some() && find(HIGHLIGHTS).is_none() && find("mine").is_none());
}

#[test]
fn every_widget_is_one_that_the_api_can_show() {
    let aliases: BTreeSet<_> = all().into_iter().map(|(_, widget)| widget.alias).collect();
    assert_eq!(aliases.len(), all().len());
    for (dashboard, Widget { alias, statement, parameters, view }) in all() {
        assert_eq!(crate::dashboard_of(&alias), Some(dashboard));
        assert_eq!(view::check(&view), Ok(()), "{alias}");
        let is_shown = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._- ".contains(c));
        assert!(view.values().all(|value| is_shown(value) && value.len() <= 128), "{view:?}");
        assert_eq!(statement.matches('?').count(), parameters.len(), "{alias}");
        assert!((2..=10).contains(&parameters.len()), "{alias}: {parameters:?}");
        assert!(!statement.contains(['{', '}', '$']), "{alias}: {statement}");
        assert_eq!(parameters.iter().any(|name| name == "$EventDataStoreId$"), dashboard != HIGHLIGHTS, "{alias}");
    }
}

#[test]
fn values_are_put_in_for_their_marks() {
    let values = Values::last_day("2026-01-02T03:04:05Z".parse().unwrap()).with_store(Uuid::from_u128(1));
    let widget = &find("AWSCloudTrail-Overview").unwrap().widgets[0];
    assert_eq!(
        widget.filled(&values).unwrap(),
        "SELECT DATE_TRUNC('hour', eventTime) AS eventDate, IF(readOnly, 'read', 'write') AS readOnly, COUNT(*) AS \
         eventCount FROM 00000000-0000-0000-0000-000000000001 WHERE eventTime > '2026-01-01T03:04:05.000Z' AND eventTime \
         < '2026-01-02T03:04:05.000Z' GROUP BY 1, 2 ORDER BY 1, 2"
    );
}

#[test]
fn highlights_of_no_store_name_none() {
    let widgets = highlights(&[]);
    assert!(widgets.iter().all(|widget| widget.statement.contains("FROM $EDS_ID WHERE")));
}
