//! Sample queries with parts taken out, doubled, swapped, nested and mixed: each is refused, or planned, and nothing breaks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use opentrail_sql::{Statement, StatementError};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde::Deserialize;

use crate::support::{STORE, now, shared, tables};

#[derive(Deserialize)]
struct Library {
    sample: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    sql: String,
}

/// The samples, in words and signs.
static SAMPLES: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let library: Library = toml::from_str(include_str!("../../../queries/src/samples/samples.toml")).unwrap();
    library.sample.iter().map(|sample| words(&sample.sql.replace("$EDS_ID", STORE))).collect()
});

const SIGNS_OF_TWO: &[&str] = &["<>", "<=", ">=", "!=", "||", "->"];

/// Text as words, texts in quotes and single signs.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let end = match first {
            _ if SIGNS_OF_TWO.iter().any(|sign| rest.starts_with(sign)) => 2,
            '\'' => rest[1..].find('\'').map_or(rest.len(), |at| at + 2),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        if !first.is_whitespace() {
            words.push(rest[..end].to_owned());
        }
        rest = &rest[end..];
    }
    words
}

/// A change of a statement; the numbers say where, as parts of its length.
#[derive(Clone, Debug)]
enum Change {
    Remove(usize, usize),
    Double(usize, usize, usize),
    Swap(usize, usize),
    Nest(usize, usize, usize, usize),
    Borrow(usize, usize, usize, usize),
    Insert(usize, usize),
}

const AROUND: &[(&str, &str)] = &[
    ("(", ")"),
    ("(SELECT ", ")"),
    ("ARRAY[", "]"),
    ("CAST(", " AS varchar)"),
    ("TRY(", ")"),
    ("x -> ", ""),
    ("NOT ", ""),
    ("coalesce(", ", 1)"),
    ("CASE WHEN ", " THEN 1 END"),
    ("UNNEST(", ")"),
    ("max_by(", ", 1) OVER ()"),
    ("-", ""),
    ("element_at(", ", 'a')"),
    ("transform(", ", x -> x)"),
    ("json_extract(", ", '$.a[0]')"),
    ("IF(", ", 1, NULL)"),
    ("date_add('day', 1, ", ")"),
    ("approx_percentile(", ", ARRAY[0.5, 0.9])"),
    ("count(DISTINCT ", ")"),
    ("EXTRACT(hour FROM ", ")"),
];
const SIGNS: &[&str] = &[
    "(",
    ")",
    ",",
    ".",
    "*",
    "=",
    "<",
    "||",
    "->",
    "'",
    "\"",
    "--",
    "/*",
    ";",
    "[",
    "]",
    "?",
    "NULL",
    "1e400",
    "9223372036854775808",
    "0.1",
    "'ß'",
    "INTERVAL '1' DAY",
    "LEFT JOIN",
    "UNION ALL",
    "GROUP BY",
    "HAVING",
    "WITH a AS (SELECT 1)",
    "OVER",
    "ORDER BY 1",
    "LIMIT 0",
    "AT TIME ZONE 'UTC'",
    "BETWEEN",
    "LIKE",
    "IN",
    "EXISTS",
    "VALUES (1)",
    "GROUPING SETS ((), ())",
    "DISTINCT",
    "ALL",
];

fn change() -> impl Strategy<Value = Change> {
    let at = 0_usize..10_000;
    let short = 1_usize..6;
    prop_oneof![
        (at.clone(), short.clone()).prop_map(|(at, count)| Change::Remove(at, count)),
        (at.clone(), short.clone(), 1_usize..40).prop_map(|(at, count, times)| Change::Double(at, count, times)),
        (at.clone(), at.clone()).prop_map(|(one, other)| Change::Swap(one, other)),
        (at.clone(), short.clone(), at.clone(), 1_usize..30)
            .prop_map(|(at, count, around, times)| Change::Nest(at, count, around, times)),
        (at.clone(), at.clone(), at.clone(), 1_usize..20)
            .prop_map(|(at, from, other, count)| Change::Borrow(at, from, other, count)),
        (at.clone(), at).prop_map(|(at, sign)| Change::Insert(at, sign)),
    ]
}

fn changed(mut words: Vec<String>, changes: &[Change]) -> String {
    for change in changes {
        if words.is_empty() {
            break;
        }
        let length = words.len();
        let range = |at: usize, count: usize| at % length..(at % length + count).min(length);
        match change {
            Change::Remove(at, count) => drop(words.drain(range(*at, *count))),
            Change::Double(at, count, times) => {
                let part = words[range(*at, *count)].to_vec();
                let times = (*times).min(1 + 400 / part.len());
                let part = part.iter().cycle().take(part.len() * times).cloned().collect::<Vec<_>>();
                words.splice(at % length..at % length, part);
            }
            Change::Swap(one, other) => words.swap(one % length, other % length),
            Change::Nest(at, count, around, times) => {
                let (open, close) = AROUND[around % AROUND.len()];
                let range = range(*at, *count);
                words.insert(range.end, close.repeat(*times));
                words.insert(range.start, open.repeat(*times));
            }
            Change::Borrow(at, from, other, count) => {
                let other = &SAMPLES[other % SAMPLES.len()];
                let from = from % other.len();
                words.splice(at % length..at % length, other[from..(from + count).min(other.len())].to_vec());
            }
            Change::Insert(at, sign) => words.insert(at % length, SIGNS[sign % SIGNS.len()].to_owned()),
        }
    }
    words.join(" ")
}

/// Parses and plans over a store without events. Nothing that panics below is caught where it is planned unseen.
fn plan(text: &str) -> Result<(), StatementError> {
    let statement = Statement::parse(text)?;
    let tables = tables(&statement, &[]);
    shared().plan(&statement, tables, now()).map(drop)
}

proptest! {
    // The same ones each time, and no more than a few seconds of them.
    #![proptest_config(ProptestConfig { cases: 48, rng_seed: RngSeed::Fixed(20_261_122), ..ProptestConfig::default() })]

    #[test]
    fn mutated_samples_are_planned_or_refused(
        sample in 0_usize..1_000,
        changes in proptest::collection::vec(change(), 1..6),
    ) {
        let text = changed(SAMPLES[sample % SAMPLES.len()].clone(), &changes);
        let planned = catch_unwind(AssertUnwindSafe(|| plan(&text)));
        match planned {
            Ok(Err(error)) => {
                let message = error.to_string();
                prop_assert!(!message.is_empty() && !message.contains("eds_") && message.len() < 20_000, "{text}: {message}");
                // What a panic of the planner is given as.
                prop_assert!(message != "the statement cannot be planned", "{text}: {message}");
            }
            Ok(Ok(())) => {}
            Err(_) => prop_assert!(false, "{text}"),
        }
    }
}

#[test]
fn unchanged_samples_are_planned() {
    for sample in SAMPLES.iter() {
        let text = changed(sample.clone(), &[]);
        plan(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}
