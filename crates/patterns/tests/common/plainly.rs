//! Event patterns by their definition, over `serde_json::Value`, without regard to cost. It shares nothing with the crate.

use std::net::IpAddr;

use serde_json::Value;

/// A value, the names that lead to it, and the elements of arrays that it lies in: the number of the array, and the index.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    path: String,
    value: Value,
    within: Vec<(usize, usize)>,
}

/// All values of an event.
pub(crate) fn leaves(event: &Value) -> Vec<Leaf> {
    let (mut leaves, mut arrays) = (Vec::new(), 0);
    flatten(event, None, &[], &mut arrays, &mut leaves);
    leaves
}

fn flatten(value: &Value, path: Option<&str>, within: &[(usize, usize)], arrays: &mut usize, leaves: &mut Vec<Leaf>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = path.map_or_else(|| name.clone(), |path| format!("{path}.{name}"));
                flatten(value, Some(&path), within, arrays, leaves);
            }
        }
        Value::Array(elements) => {
            let array = *arrays;
            *arrays += 1;
            for (index, element) in elements.iter().enumerate() {
                let mut within = within.to_vec();
                if element.is_object() || element.is_array() {
                    within.push((array, index));
                }
                flatten(element, path, &within, arrays, leaves);
            }
        }
        value => leaves.push(Leaf {
            path: path.unwrap_or_default().to_owned(),
            value: value.clone(),
            within: within.to_vec(),
        }),
    }
}

/// Paths and what is tested there.
type Conditions = Vec<(String, Vec<Value>)>;

/// All combinations of conditions of a pattern, each in the order of the paths.
pub(crate) fn combinations(pattern: &Value) -> Vec<Conditions> {
    let mut all = expand(pattern, None, vec![Conditions::new()]);
    all.iter_mut().for_each(|conditions| conditions.sort_by(|one, other| one.0.cmp(&other.0)));
    all
}

fn expand(object: &Value, path: Option<&str>, mut all: Vec<Conditions>) -> Vec<Conditions> {
    for (name, value) in object.as_object().expect("an object") {
        if name == "$or" {
            let alternatives = value.as_array().expect("alternatives");
            all = alternatives.iter().flat_map(|alternative| expand(alternative, path, all.clone())).collect();
            continue;
        }
        let path = path.map_or_else(|| name.clone(), |path| format!("{path}.{name}"));
        match value {
            Value::Array(tests) => {
                for conditions in &mut all {
                    conditions.retain(|(other, _)| *other != path);
                    conditions.push((path.clone(), tests.clone()));
                }
            }
            nested => all = expand(nested, Some(&path), all),
        }
    }
    all
}

/// Whether one of the combinations holds.
pub(crate) fn matches(combinations: &[Conditions], leaves: &[Leaf]) -> bool {
    combinations.iter().any(|conditions| hold(conditions, leaves, &[]))
}

/// Tries every value for each condition.
fn hold(conditions: &[(String, Vec<Value>)], leaves: &[Leaf], taken: &[&Leaf]) -> bool {
    let Some(((path, tests), rest)) = conditions.split_first() else { return true };
    let possible: Vec<&Leaf> = leaves
        .iter()
        .filter(|leaf| leaf.path == *path && taken.iter().all(|other| are_together(leaf, other)))
        .collect();
    let missing = serde_json::json!({"exists": false});
    if possible.is_empty() && tests.contains(&missing) && hold(rest, leaves, taken) {
        return true;
    }
    possible.iter().filter(|leaf| tests.iter().any(|test| passes(test, &leaf.value))).any(|leaf| {
        let mut taken = taken.to_vec();
        taken.push(leaf);
        hold(rest, leaves, &taken)
    })
}

fn are_together(one: &Leaf, other: &Leaf) -> bool {
    one.within.iter().all(|(array, index)| other.within.iter().all(|(a, i)| a != array || i == index))
}

fn passes(test: &Value, value: &Value) -> bool {
    let Some((operator, operand)) = test.as_object().and_then(|test| test.iter().next()) else {
        return is_equal(test, value);
    };
    let text = value.as_str();
    match operator.as_str() {
        "exists" => operand == true,
        "prefix" => text.is_some_and(|text| match operand.as_str() {
            Some(prefix) => text.starts_with(prefix),
            None => lower(text).starts_with(&lower(operand["equals-ignore-case"].as_str().expect("a text"))),
        }),
        "suffix" => text.is_some_and(|text| match operand.as_str() {
            Some(suffix) => text.ends_with(suffix),
            None => lower(text).ends_with(&lower(operand["equals-ignore-case"].as_str().expect("a text"))),
        }),
        "equals-ignore-case" => text.is_some_and(|text| lower(text) == lower(operand.as_str().expect("a text"))),
        "wildcard" => text.is_some_and(|text| is_like(operand.as_str().expect("a text"), text)),
        "cidr" => text.is_some_and(|text| is_in_block(operand.as_str().expect("a block"), text)),
        "numeric" => value.as_f64().is_some_and(|number| is_in_range(operand.as_array().expect("a list"), number)),
        "anything-but" => match operand.as_object().and_then(|operand| operand.iter().next()) {
            Some((operator, operands)) => {
                !list(operands).iter().any(|operand| passes(&serde_json::json!({operator: operand}), value))
            }
            None => !list(operand).iter().any(|other| is_the_same(other, value)),
        },
        other => panic!("no operator: {other}"),
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn is_the_same(wanted: &Value, value: &Value) -> bool {
    match (wanted.as_f64(), value.as_f64()) {
        (Some(wanted), Some(number)) => wanted == number,
        _ => wanted == value,
    }
}

fn is_equal(wanted: &Value, value: &Value) -> bool {
    let address = |value: &Value| value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
    is_the_same(wanted, value) || address(wanted).is_some_and(|wanted| address(value) == Some(wanted))
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}

/// Tries every length for each `*`. Nothing is escaped.
fn is_like(wanted: &str, text: &str) -> bool {
    match wanted.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| is_like(&wanted[1..], &text[at..]))
        }
        Some(next) => text.strip_prefix(next).is_some_and(|text| is_like(&wanted[next.len_utf8()..], text)),
    }
}

fn is_in_block(block: &str, text: &str) -> bool {
    let (start, bits) = block.split_once('/').expect("a block");
    let binary = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
    };
    let (start, bits) = (binary(start.parse().expect("an address")), bits.parse::<usize>().expect("bits"));
    text.parse().is_ok_and(|address| {
        let address = binary(address);
        address.len() == start.len() && address[..bits] == start[..bits]
    })
}

fn is_in_range(range: &[Value], number: f64) -> bool {
    // Others are not compared.
    let comparable = number.abs() <= 5e9;
    comparable
        && range.chunks(2).all(|pair| {
            let limit = pair[1].as_f64().expect("a number");
            match pair[0].as_str().expect("an operator") {
                "=" => number == limit,
                "<" => number < limit,
                "<=" => number <= limit,
                ">" => number > limit,
                ">=" => number >= limit,
                other => panic!("no operator: {other}"),
            }
        })
}
