//! Filter policies: which messages a subscription receives. (Developer Guide, "Amazon SNS subscription filter policies".)
//!
//! A [`FilterPolicy`] is parsed and checked whole when it is set. It is a tree of keys with conditions at its leaves; a
//! message matches when each key's conditions are met by one of the key's values. Values come from the message's
//! attributes or from its body.

mod condition;
mod matching;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::condition::Condition;
use crate::message::Message;
use crate::subscription::FilterScope;

/// A parsed filter policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FilterPolicy {
    scope: FilterScope,
    root: Rules,
}

/// Rules that all hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rules {
    keys: Vec<(String, Rule)>,
    /// `$or`: of each, one of these.
    either: Vec<Vec<Rules>>,
}

/// What is asked of a key.
#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// One of its values meets one of these.
    Values(Vec<Condition>),
    /// It is an object, of which these hold.
    Nested(Rules),
}

impl FilterPolicy {
    /// Whether a subscription with this policy receives the message.
    pub(crate) fn matches(&self, message: &Message) -> bool {
        match self.scope {
            FilterScope::MessageAttributes => {
                matching::matches(&self.root, &matching::of_attributes(&message.attributes))
            }
            // What is no JSON object, or too deep to be read, matches no policy.
            FilterScope::MessageBody => match serde_json::from_str(message.text.plain()) {
                Ok(Value::Object(body)) => matching::matches(&self.root, &body),
                _ => false,
            },
        }
    }
}
