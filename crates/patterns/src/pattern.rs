//! An event pattern: read once, and asked about events.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::combinations::{Compiler, Conditions};
use crate::error::{InvalidPattern, Problem};
use crate::evaluation::Evaluation;
use crate::event::{Event, Scanner};
use crate::operators::Tests;
use crate::paths::{Paths, Slot};
use crate::tree;

/// How many characters a pattern has at most. (API Reference, `PutRule`, `EventPattern`.)
pub(crate) const MAX_LENGTH: usize = 4096;

/// How many combinations of conditions the `$or`s of a pattern come to at most. (User Guide, "Comparison operators for
/// use in event patterns", or matching.)
pub(crate) const MAX_COMBINATIONS: usize = 1000;

/// An event pattern of EventBridge: which events it matches.
///
/// Clones share what was read.
///
/// ```
/// use opentrail_patterns::{Event, EventPattern};
///
/// let roots: EventPattern = r#"{
///     "source": ["aws.signin"],
///     "detail": { "userIdentity": { "type": ["Root"] }, "sourceIPAddress": [{ "anything-but": { "prefix": "10." } }] }
/// }"#.parse()?;
/// let event = br#"{"source":"aws.signin","detail":{"userIdentity":{"type":"Root"},"sourceIPAddress":"192.0.2.7"}}"#;
/// assert!(roots.matches(&Event::Whole(event)));
/// # Ok::<(), opentrail_patterns::InvalidPattern>(())
/// ```
#[derive(Clone)]
pub struct EventPattern {
    compiled: Arc<Compiled>,
}

/// What was read.
pub(crate) struct Compiled {
    text: Box<str>,
    pub(crate) fields: Vec<Field>,
    /// Any of which has to hold; each one's fields by their numbers, in the order of their paths.
    pub(crate) combinations: Vec<Box<[u32]>>,
    /// Of the fields, for the pattern alone.
    paths: Paths,
    slots: Vec<Slot>,
}

/// A field that is tested.
pub(crate) struct Field {
    /// The names that lead to it, joined by dots.
    pub(crate) path: Box<str>,
    pub(crate) tests: Tests,
    /// The tests as they are spelled.
    pub(crate) spelling: Box<str>,
}

impl EventPattern {
    /// Reads a pattern, of at most 4096 characters.
    ///
    /// Of two conditions on one field that would both have to hold, the later one counts, as in EventBridge.
    ///
    /// # Errors
    /// If the text is no event pattern: the error's text is that of EventBridge's `InvalidEventPatternException`.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let length = text.chars().count();
        if length > MAX_LENGTH {
            return Err(InvalidPattern { problem: Problem::TooLong { length }, place: None });
        }
        let Conditions { fields, combinations } = Compiler::compile(text, &tree::read(text)?)?;
        let mut paths = Paths::default();
        let slots = fields.iter().map(|field| paths.add(&field.path)).collect();
        Ok(Self { compiled: Arc::new(Compiled { text: text.into(), fields, combinations, paths, slots }) })
    }

    /// Whether an event matches. What is no event (see [`Event`]) matches nothing.
    ///
    /// For many patterns, or many events, use a [`crate::PatternSet`].
    pub fn matches(&self, event: &Event<'_>) -> bool {
        let Compiled { fields, combinations, paths, slots, .. } = &*self.compiled;
        let mut scanner = Scanner::default();
        let Some(found) = scanner.scan(paths, event) else { return false };
        let mut evaluation = Evaluation::default();
        evaluation.begin(fields.len());
        combinations.iter().any(|combination| {
            let of = |number: usize| {
                let field = combination[number] as usize;
                (slots[field], field, &fields[field].tests)
            };
            evaluation.holds(found, combination.len(), of)
        })
    }

    /// As it was spelled.
    pub fn as_str(&self) -> &str {
        &self.compiled.text
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }
}

impl FromStr for EventPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        Self::parse(text)
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventPattern").field(&self.as_str()).finish()
    }
}
