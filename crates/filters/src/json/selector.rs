//! Selectors: which value of an object a condition is about.

use std::fmt;

use crate::cursor::{Cursor, is_name};
use crate::error::{PatternError, Problem};
use crate::paths::Paths;
use crate::scan::Scanner;

/// The path to a value in a JSON object, such as `$.userIdentity.type`, `$.resources[0].ARN` or `$.resources[*].ARN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: Box<str>,
    steps: Vec<Step>,
}

/// From an object or an array to what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Name(Box<str>),
    /// From 0.
    Index(u32),
    /// Every property of an object.
    AnyName,
    /// Every element of an array.
    AnyIndex,
}

impl Selector {
    /// Reads a selector, as the `metricValue` and the dimensions of a metric filter have it.
    ///
    /// # Errors
    /// If the text is no selector, or something stands around it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut cursor = Cursor::new(text);
        let selector = Self::read(&mut cursor)?;
        cursor.finish()?;
        Ok(selector)
    }

    /// The text of the value in a message: of a string what it says, of numbers and of `true` and `false` how they are
    /// spelled. Of several values, where the selector has a wildcard, the first one that has a text.
    ///
    /// `None` where the message is no JSON object, or the value is not there, `null`, an object or an array.
    pub fn value_of(&self, message: &str) -> Option<String> {
        let mut paths = Paths::default();
        let slot = paths.add(self);
        let mut scanner = Scanner::default();
        let found = scanner.scan(&paths, message)?;
        found.at(slot, message).find_map(|value| value.text()).map(str::to_owned)
    }

    /// As it was spelled.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn has_wildcard(&self) -> bool {
        self.steps.iter().any(Step::is_wildcard)
    }

    /// Reads as much as belongs to a selector.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let begin = cursor.at();
        if !cursor.eat("$") {
            return Err(cursor.error(Problem::NoSelector));
        }
        let mut steps: Vec<Step> = Vec::new();
        loop {
            let at = cursor.at();
            let step = if cursor.eat(".['") {
                bracketed(cursor, at)?
            } else if cursor.eat(".*") {
                Step::AnyName
            } else if cursor.eat(".") {
                match cursor.eat_while(is_name) {
                    "" => return Err(cursor.error(Problem::PropertyName)),
                    name => Step::Name(name.into()),
                }
            } else if steps.is_empty() {
                // An index has nothing before it that could be an array: messages are objects.
                return Err(cursor.error(Problem::NoSelector));
            } else if cursor.eat("[*]") {
                Step::AnyIndex
            } else if cursor.eat("[") {
                index(cursor)?
            } else {
                break;
            };
            if step.is_wildcard() && steps.iter().any(Step::is_wildcard) {
                return Err(cursor.error_at(at, Problem::Wildcards));
            }
            steps.push(step);
        }
        match cursor.peek() {
            // Where a name goes on with what names do not have, that is the mistake.
            Some(found) if found.is_alphanumeric() || matches!(found, '@' | ':' | '/' | '\'' | '"' | '*') => {
                Err(cursor.error(Problem::PropertyName))
            }
            _ => Ok(Self { text: cursor.since(begin).into(), steps }),
        }
    }
}

/// The rest of `.['a name']`, whose name is what stands before the first `']`.
fn bracketed(cursor: &mut Cursor<'_>, at: usize) -> Result<Step, PatternError> {
    let Some((name, _)) = cursor.rest().split_once("']") else {
        return Err(cursor.error_at(at + 1, Problem::Unclosed { open: '[', close: ']' }));
    };
    cursor.eat(name);
    cursor.eat("']");
    Ok(Step::Name(name.into()))
}

/// The rest of `[0]`.
fn index(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    let at = cursor.at();
    match cursor.eat_while(|next| next.is_ascii_digit()).parse() {
        Ok(index) if cursor.eat("]") => Ok(Step::Index(index)),
        _ => Err(cursor.error_at(at, Problem::Index)),
    }
}

impl Step {
    fn is_wildcard(&self) -> bool {
        matches!(self, Self::AnyName | Self::AnyIndex)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
