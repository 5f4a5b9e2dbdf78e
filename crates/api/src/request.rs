use opentrail_wire::cloudtrail::Operation;
use opentrail_wire::shape::{InputError, Violation};
use opentrail_wire::{Exception, Validate, json};
use serde::de::DeserializeOwned;

use crate::context::Outcome;

/// Reads the input of `operation`, checked against the service model's constraints.
///
/// A value that breaks one gets the operation's own error where one is documented for it, with the words that AWS's
/// front layer has for the constraint.
pub(crate) fn read<T: DeserializeOwned + Validate>(operation: Operation, body: &[u8]) -> Outcome<T> {
    match json::parse_input(body) {
        Ok(input) => Ok(input),
        Err(InputError::Invalid(violations)) => Err(invalid(operation, &violations).into()),
        Err(error @ InputError::Serialization(_)) => Err(Exception::from(error).into()),
    }
}

fn invalid(operation: Operation, violations: &[Violation]) -> Exception {
    let message = Violation::message(violations);
    let path = violations.first().map(|violation| violation.path.as_str()).unwrap_or_default();
    let member = path.split_once('.').map_or(path, |(member, _)| member);
    match (operation, member) {
        (Operation::LookupEvents, "eventCategory") => Exception::invalid_event_category(message),
        (Operation::LookupEvents, "lookupAttributes") => Exception::invalid_lookup_attributes(message),
        (Operation::LookupEvents, "maxResults") => Exception::invalid_max_results(message),
        (Operation::PutEventSelectors, "eventSelectors" | "advancedEventSelectors") => {
            Exception::invalid_event_selectors(message)
        }
        (Operation::PutEventConfiguration, _) => Exception::invalid_parameter(message),
        (Operation::AddTags | Operation::CreateTrail | Operation::RemoveTags, "tagsList") => {
            Exception::invalid_tag_parameter(message)
        }
        _ => Exception::validation(message),
    }
}
