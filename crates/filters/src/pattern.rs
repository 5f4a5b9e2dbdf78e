//! A filter pattern of any kind.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::columns::{Columns, fields};
use crate::cursor::Cursor;
use crate::error::{PatternError, Problem};
use crate::json::JsonPattern;
use crate::words::Words;

/// How many characters a pattern has at most. (API Reference, `PutMetricFilter`, `filterPattern`.)
pub(crate) const MAX_LENGTH: usize = 1024;

/// A filter pattern: which messages it matches, and what it takes from them.
///
/// ```
/// use opentrail_filters::FilterPattern;
///
/// let deleted: FilterPattern = r#"{ $.eventName = "Delete*" && $.errorCode NOT EXISTS }"#.parse()?;
/// assert!(deleted.matches(r#"{"eventName":"DeleteTrail"}"#));
/// assert!(!deleted.matches(r#"{"eventName":"DeleteTrail","errorCode":"AccessDenied"}"#));
/// # Ok::<(), opentrail_filters::PatternError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FilterPattern {
    text: Box<str>,
    kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Matches every message.
    All,
    Words(Words),
    Columns(Columns),
    Json(JsonPattern),
}

impl FilterPattern {
    /// Reads a pattern: of at most 1024 characters, conditions on JSON within `{ }`, columns within `[ ]`, words
    /// otherwise. Blanks alone match everything.
    ///
    /// # Errors
    /// If the text is no filter pattern: the error says what is wrong, where, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let length = text.chars().count();
        if length > MAX_LENGTH {
            return Err(PatternError { at: MAX_LENGTH + 1, problem: Problem::TooLong { length } });
        }
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let kind = if cursor.eat("{") {
            Kind::Json(JsonPattern::parse(&mut cursor)?)
        } else if cursor.eat("[") {
            Kind::Columns(Columns::parse(&mut cursor)?)
        } else if cursor.peek().is_none() {
            Kind::All
        } else {
            Kind::Words(Words::parse(&mut cursor)?)
        };
        Ok(Self { text: text.into(), kind })
    }

    /// Whether a message matches. Conditions on JSON match only where the whole message is one JSON object, in which at
    /// most 128 objects and arrays lie in one another.
    pub fn matches(&self, message: &str) -> bool {
        match &self.kind {
            Kind::All => true,
            Kind::Words(words) => words.matches(message),
            Kind::Columns(columns) => columns.matches(&fields(message)),
            Kind::Json(json) => json.matches(message),
        }
    }

    /// What the pattern takes from a message: the values of its selectors by their spelling (`$.eventName`), of those
    /// that have a text; or the fields of a line by their names (`$status`), and by their numbers from 1 (`$3`) where
    /// they have none. Empty for words. `None` if the message does not match.
    pub fn extract(&self, message: &str) -> Option<BTreeMap<String, String>> {
        match &self.kind {
            Kind::Json(json) => json.extract(message),
            Kind::Columns(columns) => columns.extract(&fields(message)),
            Kind::All | Kind::Words(_) => self.matches(message).then(BTreeMap::new),
        }
    }

    /// As it was spelled.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(crate) fn json(&self) -> Option<&JsonPattern> {
        match &self.kind {
            Kind::Json(json) => Some(json),
            Kind::All | Kind::Words(_) | Kind::Columns(_) => None,
        }
    }
}

impl FromStr for FilterPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for FilterPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
