//! Patterns and sets of them against a plain evaluator over `serde_json::Value`, on made conditions and messages.

use std::fmt;

use opentrail_filters::{FilterPattern, FilterSet, Problem, Scratch};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

/// A condition as it is made, not as it is read.
#[derive(Clone, Debug)]
enum Made {
    /// A selector's number, whether it is `!=`, and a text, in which `*` stands for any.
    Text(usize, bool, &'static str),
    /// A selector's number, an operator's, and a number.
    Number(usize, usize, i64),
    Null(usize),
    Is(usize, bool),
    Missing(usize),
    All(Vec<Made>),
    Any(Vec<Made>),
}

#[derive(Clone, Copy, Debug)]
enum To {
    Name(&'static str),
    Index(usize),
    AnyName,
    AnyIndex,
}

use To::{AnyIndex, AnyName, Index, Name};

const SELECTORS: [(&str, &[To]); 13] = [
    ("$.a", &[Name("a")]),
    ("$.b", &[Name("b")]),
    ("$.['a']", &[Name("a")]),
    ("$.a.b", &[Name("a"), Name("b")]),
    ("$.a.l[1]", &[Name("a"), Name("l"), Index(1)]),
    ("$.l[0]", &[Name("l"), Index(0)]),
    ("$.l[0].a", &[Name("l"), Index(0), Name("a")]),
    ("$.['a.b']", &[Name("a.b")]),
    ("$.l[*]", &[Name("l"), AnyIndex]),
    ("$.l[*].a", &[Name("l"), AnyIndex, Name("a")]),
    ("$.*", &[AnyName]),
    ("$.*.b", &[AnyName, Name("b")]),
    ("$.a.*", &[Name("a"), AnyName]),
];

const OPERATORS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selector = |number: &usize| SELECTORS[*number].0;
        match self {
            Self::Text(of, not, text) => write!(f, "{} {} \"{text}\"", selector(of), OPERATORS[usize::from(*not)]),
            Self::Number(of, operator, number) => write!(f, "{}{}{number}", selector(of), OPERATORS[*operator]),
            Self::Null(of) => write!(f, "{} IS NULL", selector(of)),
            Self::Is(of, flag) => write!(f, "{} IS {}", selector(of), if *flag { "TRUE" } else { "FALSE" }),
            Self::Missing(of) => write!(f, "{} NOT EXISTS", selector(of)),
            Self::All(members) => {
                let shown = members.iter().map(|member| match member {
                    Self::Any(_) => format!("({member})"),
                    _ => member.to_string(),
                });
                f.write_str(&shown.collect::<Vec<_>>().join(" && "))
            }
            Self::Any(members) => f.write_str(&members.iter().map(Self::to_string).collect::<Vec<_>>().join("||")),
        }
    }
}

impl Made {
    fn holds(&self, message: &Value) -> bool {
        match self {
            Self::Text(of, not, wanted) => {
                values(*of, message).iter().any(|value| text(value).is_some_and(|text| is_like(wanted, &text) != *not))
            }
            Self::Number(of, operator, wanted) => values(*of, message).iter().any(|value| {
                let wanted = *wanted as f64;
                text(value).is_some_and(|text| match (text.parse::<f64>(), OPERATORS[*operator]) {
                    (Err(_), operator) => operator == "!=",
                    (Ok(number), "=") => number == wanted,
                    (Ok(number), "!=") => number != wanted,
                    (Ok(number), "<") => number < wanted,
                    (Ok(number), "<=") => number <= wanted,
                    (Ok(number), ">") => number > wanted,
                    (Ok(number), _) => number >= wanted,
                })
            }),
            Self::Null(of) => values(*of, message).iter().any(|value| value.is_null()),
            Self::Is(of, flag) => values(*of, message).iter().any(|value| **value == *flag),
            Self::Missing(of) => values(*of, message).is_empty(),
            Self::All(members) => members.iter().all(|member| member.holds(message)),
            Self::Any(members) => members.iter().any(|member| member.holds(message)),
        }
    }
}

fn values(selector: usize, message: &Value) -> Vec<&Value> {
    SELECTORS[selector]
        .1
        .iter()
        .fold(vec![message], |values, to| values.into_iter().flat_map(|value| step(*to, value)).collect())
}

fn step(to: To, value: &Value) -> Vec<&Value> {
    match (to, value) {
        (Name(name), Value::Object(object)) => object.get(name).into_iter().collect(),
        (AnyName, Value::Object(object)) => object.values().collect(),
        (Index(index), Value::Array(array)) => array.get(index).into_iter().collect(),
        (AnyIndex, Value::Array(array)) => array.iter().collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Tries every length for each `*`.
fn is_like(wanted: &str, text: &str) -> bool {
    match wanted.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| is_like(&wanted[1..], &text[at..]))
        }
        Some(next) => text.strip_prefix(next).is_some_and(|text| is_like(&wanted[next.len_utf8()..], text)),
    }
}

fn conditions() -> impl Strategy<Value = Made> {
    let selector = || 0..SELECTORS.len();
    let texts = vec!["x", "y", "1", "true", "", "x\u{e9}", "*", "x*", "*y", "x*y*", "1*"];
    let leaf = prop_oneof![
        6 => (selector(), any::<bool>(), select(texts)).prop_map(|(of, not, text)| Made::Text(of, not, text)),
        2 => (selector(), 0..OPERATORS.len(), -1..3i64).prop_map(|(of, operator, to)| Made::Number(of, operator, to)),
        1 => selector().prop_map(Made::Null),
        1 => (selector(), any::<bool>()).prop_map(|(of, flag)| Made::Is(of, flag)),
        1 => selector().prop_map(Made::Missing),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![vec(inner.clone(), 2..4).prop_map(Made::All), vec(inner, 2..4).prop_map(Made::Any)]
    })
}

fn values_of_messages() -> impl Strategy<Value = Value> {
    let texts = vec!["x", "y", "1", "2.0", "xy", "x1y2", "", "true", "x\u{e9}", "\"\\\n\u{1f600}"];
    let leaf = prop_oneof![
        4 => select(texts).prop_map(|text| Value::String(text.to_owned())),
        2 => (-1..3i64).prop_map(|number| number.into()),
        1 => Just(serde_json::json!(1.5)),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let name = select(vec!["a", "b", "l", "a.b", "other\""]);
        prop_oneof![
            2 => vec((name.clone(), inner.clone()), 0..5).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
            1 => vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

/// Objects mostly.
fn messages() -> impl Strategy<Value = Value> {
    let member = |name: &'static str| (Just(name), values_of_messages());
    let members = (member("a"), member("b"), member("l"), member("a.b"), vec(any::<bool>(), 4));
    let object = members.prop_map(|(a, b, l, ab, there)| {
        let members = [a, b, l, ab].into_iter().zip(there).filter(|(_, there)| *there);
        Value::Object(members.map(|((name, value), _)| (name.to_owned(), value)).collect())
    });
    prop_oneof![8 => object, 1 => values_of_messages()]
}

/// `None` if it has more wildcards, or is longer, than patterns may.
fn pattern(made: &Made) -> Option<FilterPattern> {
    let text = format!("{{{made}}}");
    match FilterPattern::parse(&text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let refused = matches!(error.problem, Problem::WildcardSelectors | Problem::TooLong { .. });
            assert!(refused, "{text}: {error}");
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn patterns_match_what_a_plain_evaluator_takes(made in conditions(), messages in vec(messages(), 1..6)) {
        let Some(pattern) = pattern(&made) else { return Ok(()) };
        for message in messages {
            let expected = message.is_object() && made.holds(&message);
            for text in [message.to_string(), format!("{message:#}\n")] {
                prop_assert_eq!(pattern.matches(&text), expected, "{} on {}", pattern, text);
            }
        }
    }

    #[test]
    fn sets_match_what_their_patterns_match_alone(
        made in vec(conditions(), 0..20),
        others in vec(select(vec!["", "x", "?x ?y", "-x", "\"x\" y", "%[xy]+$%", "[a, b=*x*, ...]", "[..., a != x]"]), 0..4),
        messages in vec(messages(), 1..6),
        turn in 0..20usize,
    ) {
        let mut patterns: Vec<FilterPattern> = made.iter().filter_map(pattern).collect();
        patterns.extend(others.iter().map(|text| FilterPattern::parse(text).expect("a pattern")));
        let turn = turn.min(patterns.len());
        patterns.rotate_left(turn);
        let (set, mut scratch) = (FilterSet::new(patterns.clone()), Scratch::default());
        let mut texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        texts.extend(["x y".to_owned(), "{\"a\":\"x\"".to_owned(), texts[0].clone()]);
        for text in texts {
            let alone: Vec<usize> = (0..patterns.len()).filter(|number| patterns[*number].matches(&text)).collect();
            prop_assert_eq!(set.matching(&text, &mut scratch), alone, "{}", text);
        }
    }
}
