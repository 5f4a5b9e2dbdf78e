//! Dead letters: what a queue is told of an event that was not delivered.

use opentrail_model::Arn;

use super::failure::DeliveryFailure;
use crate::outbox::{Invocation, Letter};
use crate::rule::{Input, RetryPolicy, Target};

/// The longest error message in a dead letter, in characters: a choice of ours.
const MAX_MESSAGE: usize = 1024;

/// The letter about an invocation that was given up. `exhausted` is the limit that was reached, if that is why.
pub(super) fn letter(invocation: &Invocation, failure: &DeliveryFailure, exhausted: Option<&str>) -> Letter {
    Letter {
        rule_arn: invocation.rule.clone(),
        target_arn: invocation.target.arn.as_str().to_owned(),
        error_code: failure.code.to_owned(),
        error_message: failure.message.chars().take(MAX_MESSAGE).collect(),
        exhausted: exhausted.map(str::to_owned),
        retry_attempts: invocation.attempts,
    }
}

/// The queue as a target. It is tried for as long as any other.
pub(crate) fn queue(arn: &Arn) -> Target {
    Target {
        id: "dead-letter".to_owned(),
        arn: arn.clone(),
        role_arn: None,
        input: Input::Event,
        message_group_id: None,
        http: None,
        dead_letter: None,
        retry: RetryPolicy::DEFAULT,
    }
}

/// The attributes of the message. (EventBridge User Guide, "Using dead-letter queues to process undelivered events".)
pub(super) fn attributes(letter: &Letter) -> Vec<(&'static str, String)> {
    let mut attributes = vec![
        ("RULE_ARN", letter.rule_arn.clone()),
        ("TARGET_ARN", letter.target_arn.clone()),
        ("ERROR_CODE", letter.error_code.clone()),
        ("ERROR_MESSAGE", letter.error_message.clone()),
        ("RETRY_ATTEMPTS", letter.retry_attempts.to_string()),
    ];
    if let Some(exhausted) = &letter.exhausted {
        attributes.push(("EXHAUSTED_RETRY_CONDITION", exhausted.clone()));
    }
    attributes
}
