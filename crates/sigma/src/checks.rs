//! What a rule may not be: about other logs, costlier than a rule need be, or something that is read and then never
//! asked, which would look as if it had found nothing.

use regex::RegexBuilder;
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Detections, LogSource, Modifier, Quantifier, SelectorPattern, SigmaValue,
};
use yaml_serde::Value;

use crate::Reason;
use crate::rule::items;

/// Parentheses within one another in a condition.
const MOST_PARENTHESES: usize = 32;
/// Of one condition.
const MOST_CONDITION_BYTES: usize = 8 << 10;
/// Values that one rule compares with.
const MOST_VALUES: usize = 5_000;
/// Regular expressions of one rule, wildcards inside of texts among them.
const MOST_REGEXES: usize = 200;
/// A compiled regular expression: repetitions of repetitions would grow without a bound.
const MOST_REGEX_BYTES: usize = 256 << 10;
/// A text that is compared with.
const MOST_VALUE_BYTES: usize = 4 << 10;
/// One with wildcards, which becomes a regular expression many times as large.
const MOST_WILDCARD_BYTES: usize = 512;
/// Members of a field's path.
const MOST_PATH: usize = 32;

/// Checks every condition of the document's text before a parser recurses over it. The text's size was checked.
pub(crate) fn conditions(text: &str) -> Result<(), Reason> {
    use serde::Deserialize;
    for document in yaml_serde::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|error| Reason::Yaml(error.to_string()))?;
        for section in ["detection", "correlation"] {
            match value.get(section).and_then(|section| section.get("condition")) {
                Some(Value::String(condition)) => check_condition(condition)?,
                Some(Value::Sequence(conditions)) => {
                    conditions.iter().filter_map(Value::as_str).try_for_each(check_condition)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn check_condition(condition: &str) -> Result<(), Reason> {
    if condition.len() > MOST_CONDITION_BYTES {
        return Err(Reason::TooLarge { what: "its condition in bytes", most: MOST_CONDITION_BYTES });
    }
    let mut depth = 0_usize;
    for byte in condition.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'|' => {
                return Err(Reason::Unsupported(
                    "conditions with '|' were given up in Sigma 2; write a correlation rule".to_owned(),
                ));
            }
            _ => {}
        }
        if depth > MOST_PARENTHESES {
            return Err(Reason::TooLarge { what: "the depth of its condition", most: MOST_PARENTHESES });
        }
    }
    if condition.split_whitespace().filter(|word| *word == "not").count() > MOST_PARENTHESES {
        return Err(Reason::TooLarge { what: "the number of 'not' in its condition", most: MOST_PARENTHESES });
    }
    Ok(())
}

/// Checks that the rule is about CloudTrail's events. A category says nothing here: none is defined for them, so that a
/// rule with one is about something else.
pub(crate) fn log_source(source: &LogSource) -> Result<(), Reason> {
    let is = |value: &Option<String>, wanted| value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case(wanted));
    if is(&source.product, "aws") && is(&source.service, "cloudtrail") && source.category.is_none() {
        return Ok(());
    }
    let parts = [("product", &source.product), ("service", &source.service), ("category", &source.category)];
    let found: Vec<String> =
        parts.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?))).collect();
    let found = if found.is_empty() { "missing".to_owned() } else { found.join(", ") };
    Err(Reason::LogSource { found: found.chars().take(256).collect() })
}

/// Checks that it is written in a version of the specification that is published.
pub(crate) fn version(major: Option<u32>) -> Result<(), Reason> {
    match major {
        Some(major) if major > 2 => Err(Reason::Unsupported(format!("it is written in Sigma {major}; take Sigma 2"))),
        _ => Ok(()),
    }
}

/// Checks what the rule compares with, and that its conditions ask for what is there.
pub(crate) fn detections(detections: &Detections) -> Result<(), Reason> {
    let mut budget = Budget::default();
    for detection in detections.named.values() {
        keywords(detection, &mut budget)?;
        let mut outcome = Ok(());
        items(detection, &mut |item| {
            if outcome.is_ok() {
                outcome = budget.item(item);
            }
        });
        outcome?;
    }
    if detections.conditions.is_empty() {
        return Err(Reason::Invalid("it has no condition".to_owned()));
    }
    let names: Vec<&str> = detections.named.keys().map(String::as_str).collect();
    detections.conditions.iter().try_for_each(|condition| selectors(condition, &names))
}

fn keywords(detection: &Detection, budget: &mut Budget) -> Result<(), Reason> {
    match detection {
        Detection::Keywords(values) => {
            words(values)?;
            budget.values(values, false)
        }
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().try_for_each(|part| keywords(part, budget)),
        Detection::ArrayMatch { body, .. } => keywords(body, budget),
        Detection::Conditional { named, .. } => named.values().try_for_each(|part| keywords(part, budget)),
        Detection::AllOf(_) => Ok(()),
    }
}

/// Words are looked for in texts.
fn words(values: &[SigmaValue]) -> Result<(), Reason> {
    if values.iter().all(|value| matches!(value, SigmaValue::String(_))) {
        return Ok(());
    }
    Err(Reason::Unsupported("a word without a field is no text; put it into quotes, or name its field".to_owned()))
}

#[derive(Default)]
struct Budget {
    values: usize,
    regexes: usize,
}

impl Budget {
    fn item(&mut self, item: &DetectionItem) -> Result<(), Reason> {
        let modifiers = &item.field.modifiers;
        if modifiers.contains(&Modifier::Expand) {
            return Err(Reason::Unsupported(
                "it uses placeholders (|expand); replace them by the values that they stand for".to_owned(),
            ));
        }
        if item.values.is_empty() {
            return Err(Reason::Invalid("a field has an empty list of values, which nothing matches".to_owned()));
        }
        if item.field.name.is_none() {
            words(&item.values)?;
        }
        let path = item.field.name.as_deref().unwrap_or_default();
        if path.split('.').count() > MOST_PATH {
            return Err(Reason::TooLarge { what: "the members of a field's path", most: MOST_PATH });
        }
        if modifiers.contains(&Modifier::Re) {
            item.values.iter().try_for_each(|value| regex(value, modifiers))?;
        }
        self.values(&item.values, modifiers.contains(&Modifier::Re))
    }

    fn values(&mut self, values: &[SigmaValue], are_regexes: bool) -> Result<(), Reason> {
        self.values += values.len();
        if self.values > MOST_VALUES {
            return Err(Reason::TooLarge { what: "the number of its values", most: MOST_VALUES });
        }
        for value in values {
            let SigmaValue::String(text) = value else { continue };
            if text.original.len() > MOST_VALUE_BYTES {
                return Err(Reason::TooLarge { what: "a value in bytes", most: MOST_VALUE_BYTES });
            }
            if !are_regexes && text.contains_wildcards() && text.original.len() > MOST_WILDCARD_BYTES {
                return Err(Reason::TooLarge { what: "a value with wildcards in bytes", most: MOST_WILDCARD_BYTES });
            }
            self.regexes += usize::from(are_regexes || text.contains_wildcards());
            if self.regexes > MOST_REGEXES {
                return Err(Reason::TooLarge {
                    what: "the number of its regular expressions and wildcards",
                    most: MOST_REGEXES,
                });
            }
        }
        Ok(())
    }
}

/// Checks a regular expression; it is compiled once more by whoever asks it.
fn regex(value: &SigmaValue, modifiers: &[Modifier]) -> Result<(), Reason> {
    let SigmaValue::String(text) = value else {
        return Err(Reason::Invalid("a regular expression is a text; put it into quotes".to_owned()));
    };
    let has = |modifier| modifiers.contains(&modifier);
    let built = RegexBuilder::new(&text.original)
        .case_insensitive(has(Modifier::IgnoreCase))
        .multi_line(has(Modifier::Multiline))
        .dot_matches_new_line(has(Modifier::DotAll))
        .size_limit(MOST_REGEX_BYTES)
        .build();
    match built {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err(Reason::TooLarge { what: "a compiled regular expression in bytes", most: MOST_REGEX_BYTES })
        }
        // Look-around and back-references are not regular, and take time without a bound.
        Err(error) => Err(Reason::Unsupported(format!("a regular expression cannot be run: {error}"))),
    }
}

/// Checks that each `… of …` means some detections: "all of" none would match everything.
fn selectors(condition: &ConditionExpr, names: &[&str]) -> Result<(), Reason> {
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            parts.iter().try_for_each(|part| selectors(part, names))
        }
        ConditionExpr::Not(inner) => selectors(inner, names),
        ConditionExpr::Identifier(name) if names.contains(&name.as_str()) => Ok(()),
        ConditionExpr::Identifier(name) => {
            Err(Reason::Invalid(format!("its condition names '{name}', which is none of its detections")))
        }
        ConditionExpr::Selector { quantifier, pattern } => {
            if let SelectorPattern::Pattern(text) = pattern
                && text.matches('*').count() > 1
            {
                return Err(Reason::Unsupported(format!("'{text}' has more than one *")));
            }
            let found = names.iter().filter(|name| pattern.matches_detection_name(name)).count() as u64;
            let enough = match quantifier {
                Quantifier::Any | Quantifier::All => found > 0,
                Quantifier::Count(wanted) => *wanted > 0 && *wanted <= found,
            };
            if enough {
                return Ok(());
            }
            Err(Reason::Invalid(format!("its condition asks for '{condition}' of {found} detections of that name")))
        }
    }
}
