//! Patterns alone and in sets against their definition, on made events and on real records.

use opentrail_patterns::{Event, EventPattern, PatternSet, Scratch};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

mod common;
#[path = "common/plainly.rs"]
mod plainly;

const TEXTS: [&str; 12] = ["x", "y", "X", "xy", "x1y", "", "10.0.0.7", "10.0.1.7", "::1", "0:0::1", "Été", "éTÉ"];

fn texts() -> impl Strategy<Value = Value> + Clone {
    select(TEXTS.to_vec()).prop_map(Value::from)
}

fn numbers() -> impl Strategy<Value = Value> + Clone {
    select(vec![json!(0), json!(1), json!(1.0), json!(-2.5), json!(5e9), json!(0.000001), json!(3)])
}

/// One value or a list of them.
fn one_or_more(of: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Value> + Clone {
    prop_oneof![of.clone(), vec(of, 1..3).prop_map(Value::Array)]
}

fn tests() -> impl Strategy<Value = Value> + Clone {
    let filled = || select(vec!["x", "y", "x1", "10.", "É"]).prop_map(Value::from);
    let wildcards = || select(vec!["*", "x*", "*y", "x*y", "*1*", "x", "", "*10.*"]).prop_map(Value::from);
    let affix = || prop_oneof![texts(), texts().prop_map(|text| json!({"equals-ignore-case": text}))];
    let range = select(vec![
        json!(["=", 1]),
        json!(["<", 1]),
        json!(["<=", 1]),
        json!([">", 0]),
        json!([">=", 0.000001]),
        json!([">", -2.5, "<=", 1]),
        json!([">=", -2.5, "<", 0]),
    ]);
    let block = select(vec!["10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "::/64", "::/127"]);
    let but = prop_oneof![
        one_or_more(texts()),
        one_or_more(numbers()),
        one_or_more(filled()).prop_map(|operand| json!({"prefix": operand})),
        one_or_more(filled()).prop_map(|operand| json!({"suffix": operand})),
        one_or_more(texts()).prop_map(|operand| json!({"equals-ignore-case": operand})),
        one_or_more(wildcards()).prop_map(|operand| json!({"wildcard": operand})),
    ];
    prop_oneof![
        4 => texts(),
        2 => numbers(),
        1 => select(vec![json!(null), json!(true), json!(false)]),
        1 => affix().prop_map(|operand| json!({"prefix": operand})),
        1 => affix().prop_map(|operand| json!({"suffix": operand})),
        1 => texts().prop_map(|operand| json!({"equals-ignore-case": operand})),
        1 => wildcards().prop_map(|operand| json!({"wildcard": operand})),
        1 => range.prop_map(|operand| json!({"numeric": operand})),
        1 => block.prop_map(|operand| json!({"cidr": operand})),
        1 => any::<bool>().prop_map(|operand| json!({"exists": operand})),
        3 => but.prop_map(|operand| json!({"anything-but": operand})),
    ]
}

fn names() -> impl Strategy<Value = String> + Clone {
    select(vec!["a", "b", "l", "a.b", "é", ""]).prop_map(str::to_owned)
}

fn object(members: Vec<(String, Value)>) -> Value {
    Value::Object(members.into_iter().collect::<Map<_, _>>())
}

fn patterns() -> impl Strategy<Value = Value> + Clone {
    let fields = || vec((names(), vec(tests(), 1..3).prop_map(Value::Array)), 1..4).prop_map(object);
    let nested = fields().prop_recursive(3, 12, 3, move |inner| {
        let or = vec(inner.clone(), 2..4).prop_map(Value::Array);
        let with_or = (fields(), or).prop_map(|(mut fields, or)| {
            fields["$or"] = or;
            fields
        });
        prop_oneof![2 => vec((names(), inner), 1..3).prop_map(object), 1 => with_or]
    });
    // Fields beside objects.
    (nested, fields()).prop_map(|(mut nested, fields)| {
        for (name, tests) in fields.as_object().expect("fields") {
            nested.as_object_mut().expect("an object").entry(name.clone()).or_insert_with(|| tests.clone());
        }
        nested
    })
}

fn events() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        4 => texts(),
        2 => numbers(),
        1 => select(vec![json!(null), json!(true), json!(false), json!(1e300), json!("\"\\\n")]),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            2 => vec((names(), inner.clone()), 0..5).prop_map(object),
            2 => vec(inner, 0..4).prop_map(Value::Array),
        ]
    });
    vec((names(), value), 0..5).prop_map(object)
}

fn parse(pattern: &Value) -> EventPattern {
    EventPattern::parse(&pattern.to_string()).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn patterns_match_what_they_are_defined_to(pattern in patterns(), events in vec(events(), 1..6)) {
        let (parsed, combinations) = (parse(&pattern), plainly::combinations(&pattern));
        for event in events {
            let expected = plainly::matches(&combinations, &plainly::leaves(&event));
            for text in [event.to_string(), format!("{event:#}\n")] {
                prop_assert_eq!(parsed.matches(&Event::Whole(text.as_bytes())), expected, "{} on {}", pattern, text);
            }
        }
    }

    #[test]
    fn sets_match_what_their_patterns_are_defined_to(
        patterns in vec(patterns(), 1..20),
        removed in vec(any::<bool>(), 20),
        events in vec(events(), 1..6),
    ) {
        let mut set: PatternSet<usize> = patterns.iter().map(parse).enumerate().collect();
        let mut left: Vec<usize> = (0..patterns.len()).collect();
        for number in (0..patterns.len()).filter(|number| removed[*number]) {
            prop_assert!(set.remove(&number).is_some() && set.remove(&number).is_none());
            left.retain(|other| *other != number);
        }
        let mut scratch = Scratch::default();
        for event in events {
            let (text, leaves) = (event.to_string(), plainly::leaves(&event));
            let expected: Vec<usize> = left
                .iter()
                .copied()
                .filter(|number| plainly::matches(&plainly::combinations(&patterns[*number]), &leaves))
                .collect();
            let event = Event::Whole(text.as_bytes());
            let found: Vec<usize> = set.matches(&event, &mut scratch).copied().collect();
            prop_assert_eq!(found, expected, "{}", text);
        }
    }
}

/// Patterns about what stands in a record: some of its fields, each with an operator that its value passes, or nearly.
fn about(record: &Value, seed: usize) -> Value {
    let mut pattern = json!({"detail-type": ["AWS API Call via CloudTrail"]});
    let mut chance = seed;
    let mut next = |below: usize| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    let mut fields = Vec::new();
    for _ in 0..1 + next(3) {
        let (mut path, mut value) = (Vec::new(), record);
        loop {
            match value {
                Value::Object(members) if !members.is_empty() => {
                    let (name, inner) = members.iter().nth(next(members.len())).expect("a member");
                    path.push(name.clone());
                    value = inner;
                }
                Value::Array(elements) if !elements.is_empty() => value = &elements[next(elements.len())],
                _ => break,
            }
        }
        let text = value.as_str().unwrap_or("x");
        let middle: String = text.chars().skip(1).take(5).filter(|c| !"*\\".contains(*c)).collect();
        let half = text.char_indices().nth(text.chars().count() / 2).map_or(text.len(), |(at, _)| at);
        let test = match next(10) {
            0 if half > 0 => json!({"prefix": text[..half]}),
            1 => json!({"suffix": text[half..]}),
            2 if !text.is_empty() => json!({"anything-but": text}),
            3 => json!({"exists": next(2) == 0}),
            4 => json!({"equals-ignore-case": text.to_uppercase()}),
            5 if middle.chars().count() > 3 => json!({"wildcard": format!("*{middle}*")}),
            6 => json!({"numeric": [">=", value.as_f64().filter(|n| n.abs() < 1e9).unwrap_or(0.0).floor()]}),
            _ if value.is_object() || value.is_array() => json!({"exists": false}),
            _ => value.clone(),
        };
        fields.push((path, test));
    }
    for (path, test) in fields {
        let mut at = &mut pattern["detail"];
        for name in &path {
            if at.is_array() {
                break;
            }
            at = &mut at[name];
        }
        if at.is_null() {
            *at = json!([test]);
        }
    }
    pattern
}

/// The JSON of the event of a record.
fn envelope(source: &str, record: &str) -> String {
    format!(
        r#"{{"version":"0","id":"12345678-1234-1234-1234-123456789012","detail-type":"AWS API Call via CloudTrail","source":"{source}","account":"111122223333","time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":["arn:aws:s3:::one","arn:aws:s3:::two"],"detail":{record}}}"#
    )
}

#[test]
fn sets_match_what_their_patterns_are_defined_to_on_real_records() {
    let records = common::real_records();
    let parsed: Vec<Value> = records.iter().map(|record| serde_json::from_str(record).expect("a record")).collect();
    let patterns: Vec<Value> = parsed.iter().enumerate().map(|(seed, record)| about(record, seed)).collect();
    let valid: Vec<(usize, EventPattern)> = patterns
        .iter()
        .enumerate()
        .filter_map(|(number, pattern)| Some((number, EventPattern::parse(&pattern.to_string()).ok()?)))
        .collect();
    assert!(valid.len() * 10 >= patterns.len() * 9, "{} of {} are patterns", valid.len(), patterns.len());
    let defined: Vec<_> = valid.iter().map(|(number, _)| plainly::combinations(&patterns[*number])).collect();
    let set: PatternSet<usize> = valid.iter().cloned().collect();
    let (mut scratch, mut matches) = (Scratch::default(), 0);
    for record in &records {
        let source = "aws.s3";
        let envelope = envelope(source, record);
        let leaves = plainly::leaves(&serde_json::from_str(&envelope).expect("an event"));
        let expected: Vec<usize> = valid
            .iter()
            .zip(&defined)
            .filter(|(_, combinations)| plainly::matches(combinations, &leaves))
            .map(|((number, _), _)| *number)
            .collect();
        let found: Vec<usize> = set.matches(&common::event(source, record), &mut scratch).copied().collect();
        assert_eq!(found, expected, "{record}");
        let whole = Event::Whole(envelope.as_bytes());
        let found: Vec<usize> = set.matches(&whole, &mut scratch).copied().collect();
        assert_eq!(found, expected, "{envelope}");
        for (number, pattern) in valid.iter().step_by(29) {
            assert_eq!(pattern.matches(&whole), expected.contains(number), "{pattern} on {envelope}");
        }
        matches += expected.len();
    }
    if !records.is_empty() {
        eprintln!("{} patterns on {} records: {matches} matches", valid.len(), records.len());
        assert!(matches > records.len(), "patterns match the records that they are about, mostly");
    }
}
