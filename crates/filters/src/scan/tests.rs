use proptest::prelude::*;

use super::*;
use crate::found::Scalar;
use crate::json::Selector;
use crate::paths::Slot;
use crate::walk::MAX_DEPTH;

fn paths(selectors: &[&str]) -> Paths {
    let mut paths = Paths::default();
    selectors.iter().for_each(|selector| assert!(paths.add(&Selector::parse(selector).unwrap()) < selectors.len()));
    paths
}

/// What is found, as text.
fn found(selectors: &[&str], message: &str) -> Option<Vec<String>> {
    let (paths, mut scanner) = (paths(selectors), Scanner::default());
    let show = |(slot, value): (Slot, Scalar<'_>)| match value {
        Scalar::Text(text) => format!("{slot}={text}"),
        other => format!("{slot}:{other:?}"),
    };
    scanner.scan(&paths, message).map(|found| found.all(message).map(show).collect())
}

#[test]
fn values_are_found_along_the_paths() {
    for (selectors, message, expected) in [
        (&["$.a", "$.a.b"][..], r#"{"a":{"b":"x"},"b":1}"#, &["0:Container", "1=x"][..]),
        (&["$.a[1]", "$.a[*]"], r#" { "a" : [ 1 , 2e3 ] } "#, &["1=1", "0=2e3", "1=2e3"]),
        (&["$.*", "$.b"], r#"{"a":true,"b":null,"c":{"b":1}}"#, &["0:Bool(true)", "1:Null", "0:Null", "0:Container"]),
        (&["$.a.*.b", "$.a.x.*"], r#"{"a":{"x":{"b":"q","c":""}}}"#, &["1=q", "0=q", "1="]),
        (&["$.a[*].b"], r#"{"a":[{"b":1},2,[],{"b":3,"c":{"b":4}}]}"#, &["0=1", "0=3"]),
        (&["$.['a.b']", "$.['']"], r#"{"a":{"b":1},"a.b":2,"":3}"#, &["0=2", "1=3"]),
        (&["$.a"], r#"{"\u0061":"x\n\"\u00e9","é":1}"#, &["0=x\n\"é"]),
        (&["$.a", "$.b"], r#"{"a":1,"b":2,"a":"\t"}"#, &["1=2", "0=\t"]),
        (&["$.a.b", "$.c"], r#"{"a":{"b":1},"c":2,"a":{"x":1}}"#, &["1=2"]),
        (&["$.a[*].b"], r#"{"a":[{"b":1,"b":2},{"b":3}]}"#, &["0=2", "0=3"]),
        (&["$.a[0]"], r#"{"a":{"0":1}}"#, &[]),
        (&["$.a"], "{}", &[]),
    ] {
        assert_eq!(found(selectors, message).unwrap(), expected, "{selectors:?} {message}");
    }
}

#[test]
fn what_is_no_object_has_nothing_even_if_it_begins_as_one() {
    for message in [
        "",
        " ",
        "1",
        "\"a\"",
        "[]",
        r#"[{"a":1}]"#,
        r#"{"a":1"#,
        r#"{"a":1}}"#,
        r#"{"a":1} x"#,
        r#"{"a":1,}"#,
        "{,}",
        r#"{"a":1 "b":2}"#,
        r#"{"a" 1}"#,
        r#"{"a":}"#,
        r#"{a:1}"#,
        r#"{"a":1,"b":tru}"#,
        r#"{"a":1,"b":truex}"#,
        r#"{"a":1,"b":01}"#,
        r#"{"a":1,"b":1.}"#,
        r#"{"a":1,"b":-}"#,
        r#"{"a":1,"b":+1}"#,
        r#"{"a":1,"b":1e}"#,
        r#"{"a":1,"b":.5}"#,
        r#"{"a":1,"b":"\x"}"#,
        r#"{"a":1,"b":"\u12"}"#,
        "{\"a\":1,\"b\":\"\n\"}",
        r#"{"a":1,"b":[1,]}"#,
        r#"{"a":1,"b":[1}"#,
        r#"{"a":1,"b":{]}"#,
        r#"{"a":1,"b":"}"#,
        "\u{feff}{\"a\":1}",
    ] {
        assert_eq!(found(&["$.a"], message), None, "{message}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| format!(r#"{{"a":1,"b":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(found(&["$.a"], &nested(MAX_DEPTH - 1)).unwrap(), ["0=1"]);
    assert_eq!(found(&["$.a"], &nested(MAX_DEPTH)), None);
    assert_eq!(found(&["$.a"], &"{\"a\":".repeat(1_000_000)), None);
}

#[test]
fn memory_of_other_messages_and_paths_is_no_matter() {
    let (many, one, mut scanner) = (paths(&["$.a", "$.b", "$.c.d"]), paths(&["$.c"]), Scanner::default());
    assert!(scanner.scan(&many, r#"{"a":1,"b":2,"c":{"d":3}}"#).is_some());
    let four = r#"{"c":4}"#;
    assert_eq!(scanner.scan(&one, four).unwrap().all(four).collect::<Vec<_>>(), [(0, Scalar::Text("4"))]);
    assert!(scanner.scan(&many, r#"{"a":1"#).is_none());
    let last = r#"{"b":"x"}"#;
    let found = scanner.scan(&many, last).unwrap();
    assert_eq!(found.all(last).count(), 1);
    assert_eq!(found.at(1, last).collect::<Vec<_>>(), [Scalar::Text("x")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn objects_are_what_another_parser_takes_for_objects(
        message in "[{][{}\\[\\]:, \"a0e.\\\\-]{0,12}[}]|[{]\"a\":([\\[{:,1-9\"ntrueflsx\\]}]|null|true|\"a\"|\"b\":){0,8}[}]",
    ) {
        let other: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(&message);
        // It refuses numbers that are too large for it.
        let large = other.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        prop_assume!(!large);
        prop_assert_eq!(found(&["$.a"], &message).is_some(), other.is_ok(), "{}", message);
    }
}
