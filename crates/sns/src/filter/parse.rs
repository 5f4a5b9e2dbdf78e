use serde_json::{Map, Value};

use super::condition::{Bound, Condition};
use super::{FilterPolicy, Rule, Rules};
use crate::error::SnsError;
use crate::subscription::FilterScope;

/// The most bytes of a policy. (Developer Guide, "Filter policy constraints": 256 KB.)
const MOST_BYTES: usize = 256 << 10;
/// The most keys of a policy.
const MOST_KEYS: usize = 5;
/// The most combinations of values: the product over its keys of the number of values times the key's depth.
const MOST_COMBINATIONS: u64 = 150;
/// The most levels of keys; a choice of ours, which the combinations bound as well.
const MOST_DEPTH: u64 = 100;
/// The most `*`s of a wildcard. (Developer Guide, "Filter policy constraints".)
const MOST_STARS: usize = 3;
/// The largest number that conditions may name, either way.
const LARGEST: f64 = 1e9;

impl FilterPolicy {
    /// Reads a policy for values from `scope`.
    ///
    /// # Errors
    /// `InvalidParameter` with what is wrong.
    pub(crate) fn parse(text: &str, scope: FilterScope) -> Result<Self, SnsError> {
        Self::read(text, scope).map_err(|why| SnsError::InvalidParameter(format!("FilterPolicy: {why}")))
    }

    fn read(text: &str, scope: FilterScope) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("a filter policy has at most {MOST_BYTES} bytes"));
        }
        let Ok(Value::Object(object)) = serde_json::from_str(text) else {
            return Err("failed to parse JSON. A filter policy is an object".to_owned());
        };
        let mut reader = Reader { scope, combinations: 1, keys: 0 };
        let root = reader.rules(&object, 1)?;
        if reader.combinations > MOST_COMBINATIONS {
            return Err(format!(
                "Filter policy is too complex: the combinations of its values must not exceed {MOST_COMBINATIONS}"
            ));
        }
        Ok(Self { scope, root })
    }
}

struct Reader {
    scope: FilterScope,
    combinations: u64,
    keys: usize,
}

impl Reader {
    fn rules(&mut self, object: &Map<String, Value>, depth: u64) -> Result<Rules, String> {
        if depth > MOST_DEPTH {
            return Err(format!("keys may be nested {MOST_DEPTH} levels deep"));
        }
        let mut rules = Rules::default();
        for (name, value) in object {
            match value {
                Value::Array(these) if name == "$or" && these.len() > 1 && these.iter().all(Value::is_object) => {
                    rules.either.push(self.either(these, depth)?);
                }
                Value::Array(values) => {
                    self.count_key(depth)?;
                    if values.is_empty() {
                        return Err(format!("the values of {name:?} must not be empty"));
                    }
                    let weight = (values.len() as u64).saturating_mul(self.weight(depth));
                    self.combinations = self.combinations.saturating_mul(weight);
                    let conditions = values.iter().map(condition).collect::<Result<_, _>>()?;
                    rules.keys.push((name.clone(), Rule::Values(conditions)));
                }
                Value::Object(inner) if self.scope == FilterScope::MessageBody => {
                    self.count_key(depth)?;
                    if inner.is_empty() {
                        return Err(format!("{name:?} must not be an empty object"));
                    }
                    rules.keys.push((name.clone(), Rule::Nested(self.rules(inner, depth + 1)?)));
                }
                Value::Object(_) => {
                    return Err(
                        "Filter policy scope MessageAttributes does not support nested filter policy".to_owned()
                    );
                }
                _ => return Err(format!("{name:?} must be an array or an object")),
            }
        }
        Ok(rules)
    }

    /// Combinations of the alternatives add up.
    fn either(&mut self, these: &[Value], depth: u64) -> Result<Vec<Rules>, String> {
        let before = std::mem::replace(&mut self.combinations, 1);
        let (mut all, mut sum) = (Vec::new(), 0_u64);
        for object in these.iter().filter_map(Value::as_object) {
            if object.is_empty() {
                return Err("an alternative of $or must not be empty".to_owned());
            }
            self.combinations = 1;
            all.push(self.rules(object, depth)?);
            sum = sum.saturating_add(self.combinations);
        }
        self.combinations = before.saturating_mul(sum);
        Ok(all)
    }

    fn weight(&self, depth: u64) -> u64 {
        if self.scope == FilterScope::MessageBody { depth } else { 1 }
    }

    /// Of nested keys only the outermost count.
    fn count_key(&mut self, depth: u64) -> Result<(), String> {
        self.keys += usize::from(depth == 1);
        if self.keys > MOST_KEYS {
            return Err(format!("Filter policy can not have more than {MOST_KEYS} keys"));
        }
        Ok(())
    }
}

fn condition(value: &Value) -> Result<Condition, String> {
    match value {
        Value::String(text) => Ok(Condition::Text(text.clone())),
        Value::Number(_) => Ok(Condition::Number(number(value)?)),
        Value::Bool(_) | Value::Null => Ok(Condition::Literal(value.clone())),
        Value::Array(_) => Err("Match value must be String, number, true, false, or null".to_owned()),
        Value::Object(members) => {
            let mut members = members.iter();
            match (members.next(), members.next()) {
                (Some((operator, operand)), None) => operation(operator, operand),
                _ => Err("a condition is an object with exactly one operator".to_owned()),
            }
        }
    }
}

fn operation(operator: &str, operand: &Value) -> Result<Condition, String> {
    match operator {
        "prefix" => Ok(Condition::Prefix(text(operator, operand)?)),
        "suffix" => Ok(Condition::Suffix(text(operator, operand)?)),
        "equals-ignore-case" => Ok(Condition::EqualsIgnoreCase(text(operator, operand)?)),
        "wildcard" => wildcard(&text(operator, operand)?),
        "cidr" => cidr(&text(operator, operand)?),
        "exists" => match operand {
            Value::Bool(wanted) => Ok(Condition::Exists(*wanted)),
            _ => Err("exists match pattern must be either true or false.".to_owned()),
        },
        "numeric" => numeric(operand),
        "anything-but" => anything_but(operand),
        _ => Err(format!("Unrecognized match type {operator}")),
    }
}

fn anything_but(operand: &Value) -> Result<Condition, String> {
    let these = match operand {
        Value::String(_) | Value::Number(_) => vec![condition(operand)?],
        Value::Array(values) if !values.is_empty() && values.iter().all(|v| v.is_string() || v.is_number()) => {
            values.iter().map(condition).collect::<Result<_, _>>()?
        }
        Value::Object(members) if members.len() == 1 => {
            let (operator, operand) = members.iter().next().ok_or("anything-but has no operand")?;
            if !matches!(operator.as_str(), "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
                return Err(format!("Unsupported anything-but pattern: {operator}"));
            }
            match operand {
                Value::Array(values) if !values.is_empty() => {
                    values.iter().map(|value| operation(operator, value)).collect::<Result<_, _>>()?
                }
                one => vec![operation(operator, one)?],
            }
        }
        _ => return Err("anything-but takes texts, numbers, or an object with one operator".to_owned()),
    };
    Ok(Condition::AnythingBut(these))
}

/// `["=", 1]`, `[">", 0, "<=", 5]`.
fn numeric(operand: &Value) -> Result<Condition, String> {
    let wrong = || "numeric takes an operator (=, <, <=, >, >=) and a number, or a lower and an upper bound".to_owned();
    let parts = operand.as_array().ok_or_else(wrong)?;
    let bound = |at: usize| -> Result<(&str, f64), String> {
        Ok((parts.get(at).and_then(Value::as_str).ok_or_else(wrong)?, number(parts.get(at + 1).ok_or_else(wrong)?)?))
    };
    let end = |value, inclusive| Some(Bound { value, inclusive });
    let (operator, value) = bound(0)?;
    let first = match operator {
        "=" if parts.len() == 2 => return Ok(Condition::Number(value)),
        "<" | "<=" if parts.len() == 2 => Condition::Range { from: None, to: end(value, operator == "<=") },
        ">" | ">=" => Condition::Range { from: end(value, operator == ">="), to: None },
        _ => return Err(wrong()),
    };
    match (parts.len(), first) {
        (2, first) => Ok(first),
        (4, Condition::Range { from, .. }) => match bound(2)? {
            (operator @ ("<" | "<="), upper) if upper > value => {
                Ok(Condition::Range { from, to: end(upper, operator == "<=") })
            }
            _ => Err("numeric: Bottom must be less than top".to_owned()),
        },
        _ => Err(wrong()),
    }
}

fn wildcard(pattern: &str) -> Result<Condition, String> {
    if pattern.contains("**") || pattern.matches('*').count() > MOST_STARS {
        return Err(format!("a wildcard has at most {MOST_STARS} asterisks, and no two beside each other"));
    }
    Ok(Condition::Wildcard(pattern.split('*').map(str::to_owned).collect()))
}

fn cidr(text: &str) -> Result<Condition, String> {
    match text.parse::<ipnet::IpNet>() {
        Ok(net) => Ok(Condition::Cidr(net)),
        Err(_) => Err(format!("Malformed CIDR, one '/' required: {text}")),
    }
}

fn text(operator: &str, operand: &Value) -> Result<String, String> {
    operand.as_str().map(str::to_owned).ok_or_else(|| format!("{operator} match pattern must be a string"))
}

fn number(value: &Value) -> Result<f64, String> {
    match value.as_f64() {
        Some(number) if number.abs() <= LARGEST => Ok(number),
        _ => Err("numbers must be from -1000000000 to 1000000000".to_owned()),
    }
}
