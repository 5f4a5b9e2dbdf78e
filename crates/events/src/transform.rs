//! What a target is given of an event.

use bytes::Bytes;
use opentrail_patterns::transform::{self, InputTransformer, InvalidInput, RuleNames};

use crate::deliver::DeliveryFailure;
use crate::outbox::Invocation;
use crate::rule::Input;

/// Reads a target's input.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(input: &Input) -> Result<transform::Input, InvalidInput> {
    match input {
        Input::Event => transform::Input::of_target(None, None, None),
        Input::Constant(text) => transform::Input::of_target(Some(text), None, None),
        Input::Path(path) => transform::Input::of_target(None, Some(path), None),
        Input::Transformer { paths, template } => {
            let paths: Vec<(&str, &str)> = paths.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
            transform::Input::of_target(None, None, Some(InputTransformer { paths: &paths, template }))
        }
    }
}

/// What the invocation's target is given.
///
/// # Errors
/// When there is nothing to give, which trying again does not mend.
pub(crate) fn payload(invocation: &Invocation) -> Result<Bytes, DeliveryFailure> {
    if invocation.target.input == Input::Event {
        return Ok(invocation.body.clone());
    }
    let invalid = |reason: String| DeliveryFailure::never("INVALID_JSON", reason);
    let input = read(&invocation.target.input).map_err(|error| invalid(error.message(&invocation.target.id)))?;
    let event = std::str::from_utf8(&invocation.body).map_err(|error| invalid(error.to_string()))?;
    let names = RuleNames {
        arn: &invocation.rule,
        name: invocation.rule.rsplit('/').next().unwrap_or_default(),
        ingestion_time: &invocation.created.to_iso(),
    };
    input.apply(event, &names).map(Bytes::from).map_err(|error| invalid(error.to_string()))
}
