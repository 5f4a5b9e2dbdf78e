//! What several operations check beyond the service model.

use std::collections::BTreeMap;

use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{Dimension, Tag, errors};

/// As many tags may an alarm have. (API Reference, "TagResource".)
pub(super) const MAX_TAGS: usize = 50;

/// Names of dimensions and metrics must be told apart from what ListMetrics and expressions make of them.
pub(super) fn dimensions(dimensions: &[Dimension], at: &str) -> Result<Vec<(String, String)>, CodedError> {
    let mut checked: Vec<(String, String)> = Vec::with_capacity(dimensions.len());
    for (i, Dimension { name, value }) in dimensions.iter().enumerate() {
        let at = format!("{at}.member.{}", i + 1);
        if name.starts_with(':') || name.trim().is_empty() || has_control(name) {
            return Err(invalid(format!(
                "The value {name} for parameter {at}.Name is invalid: it must not be blank, begin with a colon or hold \
                 control characters"
            )));
        }
        if value.trim().is_empty() || has_control(value) {
            return Err(invalid(format!(
                "The value for parameter {at}.Value is invalid: it must not be blank or hold control characters"
            )));
        }
        if checked.iter().any(|(other, _)| other == name) {
            return Err(invalid(format!("The parameter {at}.Name repeats the dimension {name}")));
        }
        checked.push((name.clone(), value.clone()));
    }
    Ok(checked)
}

pub(super) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

pub(super) fn invalid(message: impl Into<String>) -> CodedError {
    errors::invalid_parameter_value_exception(message)
}

/// Tags by key.
pub(super) fn tags(tags: &[Tag]) -> Result<BTreeMap<String, String>, CodedError> {
    let mut checked = BTreeMap::new();
    for Tag { key, value } in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!("The tag key {key} is not valid: keys that begin with aws: are AWS's own")));
        }
        if checked.insert(key.clone(), value.clone()).is_some() {
            return Err(invalid(format!("The tag key {key} is given twice")));
        }
    }
    if checked.len() > MAX_TAGS {
        return Err(invalid(format!("{} tags are given; there may be {MAX_TAGS}", checked.len())));
    }
    Ok(checked)
}
