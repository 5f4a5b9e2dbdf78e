//! Rules said so that the engine does what the specification says.
//!
//! Seen with rsigma 0.23, each with a test: a wildcard stands for any characters, and in the engine not for line breaks, so
//! that whoever writes a policy in two lines would not be found; `startswith` and `endswith` with a wildcard inside are
//! held at the wrong end; a null in a list of values does not find a field that is missing; and words without a field
//! under `|all` are compared whole. Wildcards are spelled out here as regular expressions, or as `contains`, `startswith`
//! and `endswith` where they stand at the ends only, which is faster as well; the rest is taken apart.

use rsigma_parser::value::{SpecialChar, StringPart};
use rsigma_parser::{Detection, DetectionItem, FieldSpec, Modifier, SigmaRule, SigmaString, SigmaValue};

/// The rule, said for the engine.
pub(crate) fn phrase(rule: &mut SigmaRule) {
    for detection in rule.detection.named.values_mut() {
        let said = std::mem::replace(detection, Detection::And(Vec::new()));
        *detection = of_detection(said);
    }
}

fn of_detection(detection: Detection) -> Detection {
    match detection {
        Detection::AllOf(items) => and(items.into_iter().map(of_item).collect()),
        Detection::AnyOf(parts) => Detection::AnyOf(parts.into_iter().map(of_detection).collect()),
        Detection::And(parts) => Detection::And(parts.into_iter().map(of_detection).collect()),
        Detection::Keywords(values) => of_item(DetectionItem { field: FieldSpec::new(None, Vec::new()), values }),
        // Of no published version of Sigma; such rules are refused.
        other @ (Detection::ArrayMatch { .. } | Detection::Conditional { .. }) => other,
    }
}

/// Joined by "and"; single items stay together.
fn and(parts: Vec<Detection>) -> Detection {
    let (mut items, mut others) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Detection::AllOf(more) => items.extend(more),
            other => others.push(other),
        }
    }
    if others.is_empty() {
        return Detection::AllOf(items);
    }
    if !items.is_empty() {
        others.insert(0, Detection::AllOf(items));
    }
    Detection::And(others)
}

/// How the values of an item are held against the field.
#[derive(Clone, Copy)]
struct Manner {
    /// The value may begin, or end, anywhere in the field.
    open_start: bool,
    open_end: bool,
    cased: bool,
    /// Every value, or any.
    all: bool,
    /// None of them.
    neq: bool,
}

impl Manner {
    /// `None` where texts are not compared as texts.
    fn of(item: &DetectionItem) -> Option<Self> {
        let mut manner = Self { open_start: false, open_end: false, cased: false, all: false, neq: false };
        for modifier in &item.field.modifiers {
            match modifier {
                Modifier::Contains => (manner.open_start, manner.open_end) = (true, true),
                Modifier::StartsWith => manner.open_end = true,
                Modifier::EndsWith => manner.open_start = true,
                Modifier::Cased => manner.cased = true,
                Modifier::All => manner.all = true,
                Modifier::Neq => manner.neq = true,
                _ => return None,
            }
        }
        // Words without a field are looked for within every text.
        if item.field.name.is_none() && !manner.open_start && !manner.open_end {
            (manner.open_start, manner.open_end) = (true, true);
        }
        Some(manner)
    }
}

fn of_item(item: DetectionItem) -> Detection {
    let is_plain = |value: &SigmaValue| !matches!(value, SigmaValue::String(text) if text.contains_wildcards());
    let has_null = item.values.len() > 1 && item.values.contains(&SigmaValue::Null);
    let stays = item.values.iter().all(is_plain) && !has_null && item.field.name.is_some();
    match Manner::of(&item) {
        Some(manner) if !stays => rephrased(item, manner),
        _ => Detection::AllOf(vec![item]),
    }
}

/// An item for each way in which its values are compared.
fn rephrased(item: DetectionItem, manner: Manner) -> Detection {
    let mut ways: Vec<DetectionItem> = Vec::new();
    for value in item.values {
        let (mut modifiers, value) = way(value, manner);
        if manner.neq {
            modifiers.push(Modifier::Neq);
        }
        // Null has a way of its own, as the engine asks for nothing else where a field is missing.
        let joins = |known: &&mut DetectionItem| {
            !manner.all
                && known.field.modifiers == modifiers
                && value != SigmaValue::Null
                && known.values[0] != SigmaValue::Null
        };
        match ways.iter_mut().find(joins) {
            Some(known) => known.values.push(value),
            None => ways
                .push(DetectionItem { field: FieldSpec::new(item.field.name.clone(), modifiers), values: vec![value] }),
        }
    }
    // None of the values is: not this one, and not that one.
    if manner.all || manner.neq || ways.len() == 1 {
        return Detection::AllOf(ways);
    }
    Detection::AnyOf(ways.into_iter().map(|way| Detection::AllOf(vec![way])).collect())
}

/// The modifiers with which the engine compares the value, and the value for them.
fn way(value: SigmaValue, manner: Manner) -> (Vec<Modifier>, SigmaValue) {
    let SigmaValue::String(text) = &value else { return (Vec::new(), value) };
    let is_star = |part: Option<&StringPart>| part == Some(&StringPart::Special(SpecialChar::WildcardMulti));
    let mut inner = text.parts.as_slice();
    let Manner { mut open_start, mut open_end, .. } = manner;
    while is_star(inner.first()) {
        (inner, open_start) = (&inner[1..], true);
    }
    while is_star(inner.last()) {
        (inner, open_end) = (&inner[..inner.len() - 1], true);
    }
    let literal: Option<String> = inner
        .iter()
        .map(|part| match part {
            StringPart::Plain(text) => Some(text.as_str()),
            StringPart::Special(_) => None,
        })
        .collect();
    let Some(literal) = literal else { return regex(inner, open_start, open_end, manner.cased) };
    let mut modifiers = Vec::new();
    match (open_start, open_end) {
        (true, true) => modifiers.push(Modifier::Contains),
        (false, true) => modifiers.push(Modifier::StartsWith),
        (true, false) => modifiers.push(Modifier::EndsWith),
        (false, false) => {}
    }
    if manner.cased {
        modifiers.push(Modifier::Cased);
    }
    (modifiers, SigmaValue::from_raw_string(&literal))
}

fn regex(parts: &[StringPart], open_start: bool, open_end: bool, cased: bool) -> (Vec<Modifier>, SigmaValue) {
    let mut pattern = if open_start { String::new() } else { "^".to_owned() };
    for part in parts {
        match part {
            StringPart::Plain(text) => pattern.push_str(&regex::escape(text)),
            StringPart::Special(SpecialChar::WildcardMulti) => pattern.push_str(".*"),
            StringPart::Special(SpecialChar::WildcardSingle) => pattern.push('.'),
        }
    }
    if !open_end {
        pattern.push('$');
    }
    let mut modifiers = vec![Modifier::Re, Modifier::DotAll];
    if !cased {
        modifiers.push(Modifier::IgnoreCase);
    }
    (modifiers, SigmaValue::String(SigmaString::from_raw(&pattern)))
}
