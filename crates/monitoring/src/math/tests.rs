use proptest::prelude::*;

use super::*;
use crate::store::Span;

fn environment() -> Environment {
    let series = |values: &[(i64, f64)]| Value::Series(values.iter().copied().collect());
    let values = [
        ("m1".to_owned(), series(&[(0, 1.0), (60, 2.0), (180, 4.0)])),
        ("m2".to_owned(), series(&[(0, 10.0), (60, 0.0), (120, 30.0)])),
    ];
    Environment {
        span: Span { start: 0, end: 240, period: 60 },
        values: values.into_iter().collect(),
        metrics: vec!["m1".to_owned(), "m2".to_owned()],
    }
}

fn value(text: &str) -> Value {
    let expression = Expression::parse(text).unwrap();
    expression.check().unwrap();
    expression.evaluate(&environment()).unwrap()
}

fn points(text: &str) -> Vec<(i64, f64)> {
    match value(text) {
        Value::Series(points) => points.into_iter().collect(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn numbers_are_reckoned_as_in_school() {
    for (text, expected) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 4 - 3", 3.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 * -3", -6.0),
        ("1.5e2 / 3", 50.0),
        ("1 < 2 AND 3 >= 3", 1.0),
        ("1 == 2 || 0", 0.0),
        ("IF(2 > 1, 5, 6)", 5.0),
        ("METRIC_COUNT(METRICS())", 2.0),
        ("SUM(m1)", 7.0),
        ("MAX(m2) - MIN(m2)", 30.0),
        ("PERIOD(m1)", 60.0),
        ("DATAPOINT_COUNT(m1)", 3.0),
    ] {
        assert_eq!(value(text), Value::Scalar(expected), "{text}");
    }
}

#[test]
fn series_meet_where_both_have_values() {
    assert_eq!(points("m1 + m2"), [(0, 11.0), (60, 2.0)]);
    assert_eq!(points("100 * m1 / m2"), [(0, 10.0)]);
    assert_eq!(points("SUM([m1, m2])"), [(0, 11.0), (60, 2.0), (120, 30.0), (180, 4.0)]);
    assert_eq!(points("AVG(METRICS(\"m\"))"), [(0, 5.5), (60, 1.0), (120, 30.0), (180, 4.0)]);
    assert_eq!(points("m1 > 1"), [(0, 0.0), (60, 1.0), (180, 1.0)]);
    assert_eq!(points("IF(m1 > 1, m2)"), [(60, 0.0)]);
    assert_eq!(points("IF(m1 > 1, m1, 0)"), [(0, 0.0), (60, 2.0), (180, 4.0)]);
    assert_eq!(points("DIFF(m1)"), [(60, 1.0), (180, 2.0)]);
    assert_eq!(points("RATE(m1)"), [(60, 1.0 / 60.0), (180, 2.0 / 120.0)]);
    assert_eq!(points("RUNNING_SUM(m1)"), [(0, 1.0), (60, 3.0), (180, 7.0)]);
    assert_eq!(points("HOUR(m1)"), [(0, 0.0), (60, 0.0), (180, 0.0)]);
}

#[test]
fn gaps_are_filled() {
    assert_eq!(points("FILL(m1, 0)"), [(0, 1.0), (60, 2.0), (120, 0.0), (180, 4.0)]);
    assert_eq!(points("FILL(m1, REPEAT)"), [(0, 1.0), (60, 2.0), (120, 2.0), (180, 4.0)]);
    assert_eq!(points("FILL(m1, LINEAR)"), [(0, 1.0), (60, 2.0), (120, 3.0), (180, 4.0)]);
    assert_eq!(points("FILL(m1, m2)"), [(0, 1.0), (60, 2.0), (120, 30.0), (180, 4.0)]);
    assert_eq!(points("FILL(m2, REPEAT)").last(), Some(&(180, 30.0)));
}

#[test]
fn what_cannot_be_read_or_done_is_said() {
    let refused = |text: &str| {
        let parsed = Expression::parse(text);
        parsed.and_then(|parsed| parsed.check().and(parsed.evaluate(&environment()))).unwrap_err().to_string()
    };
    for (text, told) in [
        ("", "at character 1: a value is expected here"),
        ("m1 +", "at character 5: a value is expected here"),
        ("(m1", "at character 4: a closing bracket is expected here"),
        ("m1 m2", "at character 4: an operator or the end is expected here"),
        ("m1 ; m2", "at character 4: ';' has no meaning in an expression"),
        ("é", "at character 1: 'é' has no meaning in an expression"),
        ("ANOMALY_DETECTION_BAND(m1)", "ANOMALY_DETECTION_BAND is not a function that is available here"),
        ("SEARCH('x', 'Sum', 60)", "SEARCH is not a function that is available here"),
        ("m9", "m9 is the Id of no metric or expression of the request"),
        ("SUM(m1, m2)", "SUM takes 1 arguments, not 2"),
        ("METRICS() + METRICS()", "an operator does not take two arrays"),
        ("DIFF(3)", "DIFF takes metrics"),
        ("1e999", "at character 1: this is no number"),
        ("\"a", "at character 1: a text begins here and does not end"),
    ] {
        assert_eq!(refused(text), told, "{text}");
    }
}

#[test]
fn ids_and_their_all_are_known_before_evaluation() {
    let expression = Expression::parse("SUM(METRICS()) + IF(m1 > e2, FILL(m3, REPEAT), 1)").unwrap();
    assert_eq!(expression.ids().into_iter().collect::<Vec<_>>(), ["e2", "m1", "m3"]);
    assert!(expression.takes_all());
}

#[test]
fn depth_is_bounded() {
    for open in ["(", "-", "[", "ABS("] {
        assert!(matches!(Expression::parse(&open.repeat(2000)), Err(MathError::Syntax { .. })), "{open}");
    }
    assert!(Expression::parse(&"1^".repeat(2000)).is_err());
    assert_eq!(value(&format!("{}1", "1+".repeat(1000))), Value::Scalar(1001.0));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-+*/^()<>=,\\[\\]a-zA-Z0-9. \"'é]{0,60}") {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.check();
            let _ = expression.evaluate(&environment());
        }
    }
}
