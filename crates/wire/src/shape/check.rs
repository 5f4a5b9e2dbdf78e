use serde_json::Value;

use super::violation::shown;
use super::{List, Map, Member, Shape, Text, Violation, Whole};
use crate::{Exception, timestamp};

/// No more violations than this are collected; a request with that many has one fault, not many.
const MAX_VIOLATIONS: usize = 50;

/// Why an input was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// It is not JSON, or a value has the wrong JSON type.
    #[error("{0}")]
    Serialization(String),
    /// Values break constraints of the service model.
    #[error("{}", Violation::message(.0))]
    Invalid(Vec<Violation>),
}

impl From<InputError> for Exception {
    fn from(error: InputError) -> Self {
        let message = error.to_string();
        match error {
            InputError::Serialization(_) => Exception::serialization(message),
            InputError::Invalid(_) => Exception::validation(message),
        }
    }
}

/// Checks `value` against `shape` and brings it into the form that the generated types read: members that are null
/// are removed (null means absent) and whole numbers written as `5.0` become `5`. Unknown members are left alone.
///
/// # Errors
/// What is wrong with it, see [`InputError`].
pub fn check(shape: &Shape, value: &mut Value) -> Result<(), InputError> {
    let mut checker = Checker { path: String::new(), violations: Vec::new() };
    checker.visit(shape, value)?;
    if checker.violations.is_empty() { Ok(()) } else { Err(InputError::Invalid(checker.violations)) }
}

struct Checker {
    path: String,
    violations: Vec<Violation>,
}

impl Checker {
    /// Visits one value and all below it. Types come first: an error ends the walk, violations are collected.
    fn visit(&mut self, shape: &Shape, value: &mut Value) -> Result<(), InputError> {
        match shape {
            Shape::Structure(members) => self.structure(members, value),
            Shape::List(list) => self.list(list, value),
            Shape::Map(map) => self.map(map, value),
            simple => {
                self.simple_type(simple, value)?;
                for constraint in broken(simple, value) {
                    self.violation(Some(value), constraint);
                }
                Ok(())
            }
        }
    }

    fn structure(&mut self, members: &[Member], value: &mut Value) -> Result<(), InputError> {
        let Value::Object(object) = value else { return Err(self.wrong_type(value, "a structure")) };
        object.retain(|_, member| !member.is_null());
        for member in members {
            let parent = self.descend(&lower_first(member.name));
            match object.get_mut(member.name) {
                Some(value) => self.visit(member.shape, value)?,
                None if member.required => self.violation(None, "Member must not be null".to_owned()),
                None => {}
            }
            self.path.truncate(parent);
        }
        Ok(())
    }

    fn list(&mut self, list: &List, value: &mut Value) -> Result<(), InputError> {
        let Value::Array(items) = value else { return Err(self.wrong_type(value, "a list")) };
        let mut wrong_items = false;
        for (i, item) in items.iter_mut().enumerate() {
            let parent = self.descend(&format!("{}.member", i + 1));
            match (item.is_null(), list.element) {
                (true, _) => self.violation(None, "Member must not be null".to_owned()),
                (_, composite @ (Shape::Structure(_) | Shape::List(_) | Shape::Map(_))) => {
                    self.visit(composite, item)?
                }
                (_, simple) => {
                    self.simple_type(simple, item)?;
                    wrong_items |= !broken(simple, item).is_empty();
                }
            }
            self.path.truncate(parent);
        }
        let length = broken_length(items.len(), list.min, list.max);
        if wrong_items {
            let rules = rules(list.element).join(", ");
            self.violation(Some(value), format!("Member must satisfy constraint: [{rules}]"));
        }
        for constraint in length {
            self.violation(Some(value), constraint);
        }
        Ok(())
    }

    fn map(&mut self, map: &Map, value: &mut Value) -> Result<(), InputError> {
        let Value::Object(entries) = value else { return Err(self.wrong_type(value, "a map")) };
        let (mut wrong_keys, mut wrong_values) = (false, false);
        for (key, item) in entries.iter_mut() {
            let parent = self.descend(key);
            wrong_keys |= !broken(map.key, &Value::String(key.clone())).is_empty();
            match (item.is_null(), map.value) {
                (true, _) => self.violation(None, "Member must not be null".to_owned()),
                (_, composite @ (Shape::Structure(_) | Shape::List(_) | Shape::Map(_))) => {
                    self.visit(composite, item)?
                }
                (_, simple) => {
                    self.simple_type(simple, item)?;
                    wrong_values |= !broken(simple, item).is_empty();
                }
            }
            self.path.truncate(parent);
        }
        let length = broken_length(entries.len(), map.min, map.max);
        if wrong_keys {
            let rules = rules(map.key).join(", ");
            self.violation(Some(value), format!("Map keys must satisfy constraint: [{rules}]"));
        }
        if wrong_values {
            let rules = rules(map.value).join(", ");
            self.violation(Some(value), format!("Map value must satisfy constraint: [{rules}]"));
        }
        for constraint in length {
            self.violation(Some(value), constraint);
        }
        Ok(())
    }

    fn simple_type(&self, shape: &Shape, value: &mut Value) -> Result<(), InputError> {
        match (shape, &*value) {
            (Shape::Text(_) | Shape::Blob, Value::String(_)) | (Shape::Boolean, Value::Bool(_)) => Ok(()),
            (Shape::Real, Value::Number(_)) => Ok(()),
            (Shape::Timestamp, Value::Number(_) | Value::String(_)) => match timestamp::from_json(value) {
                Some(_) => Ok(()),
                None => Err(self.wrong_type(value, "a timestamp in seconds since the epoch")),
            },
            (Shape::Whole(whole), Value::Number(number)) => {
                let number = number.as_i64().or_else(|| number.as_f64().and_then(whole_float));
                let (least, most) = whole.holds;
                match number.filter(|n| (least..=most).contains(n)) {
                    Some(number) => {
                        *value = Value::from(number);
                        Ok(())
                    }
                    None => {
                        Err(self.wrong_type(value, if most > i64::from(i32::MAX) { "a Long" } else { "an Integer" }))
                    }
                }
            }
            (Shape::Text(_), _) => Err(self.wrong_type(value, "a String")),
            (Shape::Blob, _) => Err(self.wrong_type(value, "a Blob")),
            (Shape::Boolean, _) => Err(self.wrong_type(value, "a Boolean")),
            (Shape::Real, _) => Err(self.wrong_type(value, "a Double")),
            (Shape::Timestamp, _) => Err(self.wrong_type(value, "a timestamp in seconds since the epoch")),
            (Shape::Whole(_), _) => Err(self.wrong_type(value, "an Integer")),
            (Shape::Structure(_) | Shape::List(_) | Shape::Map(_), _) => Ok(()), // visited, not simple
        }
    }

    /// In the words of AWS's JSON services ("NUMBER_VALUE can not be converted to a String"), with the member named.
    fn wrong_type(&self, value: &Value, wanted: &str) -> InputError {
        let at = if self.path.is_empty() { "the request body".to_owned() } else { format!("'{}'", self.path) };
        InputError::Serialization(match value {
            Value::Object(_) => format!("Start of structure or map found where not expected: {at} must be {wanted}"),
            Value::Array(_) => format!("Start of list found where not expected: {at} must be {wanted}"),
            Value::String(_) => format!("STRING_VALUE can not be converted to {wanted} at {at}"),
            Value::Number(_) => format!("NUMBER_VALUE can not be converted to {wanted} at {at}"),
            Value::Bool(true) => format!("TRUE_VALUE can not be converted to {wanted} at {at}"),
            Value::Bool(false) => format!("FALSE_VALUE can not be converted to {wanted} at {at}"),
            Value::Null => format!("NULL_VALUE can not be converted to {wanted} at {at}"),
        })
    }

    fn violation(&mut self, value: Option<&Value>, constraint: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { path: self.path.clone(), value: value.map(shown), constraint });
        }
    }

    /// Adds a step to the path and returns the length to truncate it to afterwards.
    fn descend(&mut self, step: &str) -> usize {
        let parent = self.path.len();
        if parent > 0 {
            self.path.push('.');
        }
        self.path.push_str(step);
        parent
    }
}

/// The constraints of a simple shape that `value`, whose type is right, breaks.
fn broken(shape: &Shape, value: &Value) -> Vec<String> {
    match (shape, value) {
        (Shape::Text(rules), Value::String(text)) => broken_text(rules, text),
        (Shape::Whole(rules), Value::Number(number)) => broken_whole(rules, number.as_i64().unwrap_or_default()),
        _ => Vec::new(),
    }
}

fn broken_text(rules: &Text, text: &str) -> Vec<String> {
    let mut broken = match (rules.min, rules.max) {
        (None, None) => Vec::new(),
        (min, max) => broken_length(text.chars().count(), min, max),
    };
    if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
        broken.push(satisfies_pattern(pattern.as_str()));
    }
    if !rules.values.is_empty() && !rules.values.contains(&text) {
        broken.push(satisfies_values(rules.values));
    }
    broken
}

fn broken_whole(rules: &Whole, number: i64) -> Vec<String> {
    let most = rules.max.filter(|max| number > *max).map(at_most);
    let least = rules.min.filter(|min| number < *min).map(at_least);
    most.into_iter().chain(least).collect()
}

fn broken_length(length: usize, min: Option<usize>, max: Option<usize>) -> Vec<String> {
    let most = max.filter(|max| length > *max).map(no_longer_than);
    let least = min.filter(|min| length < *min).map(no_shorter_than);
    most.into_iter().chain(least).collect()
}

/// All constraints of a simple shape, as AWS lists them for the elements of lists and maps.
fn rules(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::Text(text) => {
            let mut rules: Vec<String> =
                text.max.map(no_longer_than).into_iter().chain(text.min.map(no_shorter_than)).collect();
            rules.extend(text.pattern.as_ref().map(|pattern| satisfies_pattern(pattern.as_str())));
            if !text.values.is_empty() {
                rules.push(satisfies_values(text.values));
            }
            rules
        }
        Shape::Whole(whole) => whole.max.map(at_most).into_iter().chain(whole.min.map(at_least)).collect(),
        _ => Vec::new(),
    }
}

fn no_longer_than(max: usize) -> String {
    format!("Member must have length less than or equal to {max}")
}

fn no_shorter_than(min: usize) -> String {
    format!("Member must have length greater than or equal to {min}")
}

fn at_most(max: i64) -> String {
    format!("Member must have value less than or equal to {max}")
}

fn at_least(min: i64) -> String {
    format!("Member must have value greater than or equal to {min}")
}

fn satisfies_pattern(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

fn satisfies_values(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}

/// `5.0` → 5; `None` for a fraction or what 64 bits do not hold.
fn whole_float(number: f64) -> Option<i64> {
    // Up to 2^53 every whole number is a float; beyond, the text may have been rounded.
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

/// `TagsList` → `tagsList`, as AWS's messages spell members.
fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase().to_string() + chars.as_str()).unwrap_or_default()
}
