//! Values that fields are compared with, in JSON patterns and in columns.

use std::cmp::Ordering;

use memchr::memmem::Finder;
use regex::Regex;

use crate::cursor::Cursor;
use crate::error::{PatternError, Problem};
use crate::number::Number;

/// How many regular expressions a pattern has at most.
const MAX_REGEXES: usize = 2;

/// What a pattern may have only so many of, counted while it is read.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    regexes: usize,
}

impl Counts {
    /// Reads a regular expression, whose first `%` is read.
    pub(crate) fn regex(&mut self, cursor: &mut Cursor<'_>) -> Result<Regex, PatternError> {
        let open = cursor.at() - 1;
        self.regexes += 1;
        if self.regexes > MAX_REGEXES {
            return Err(cursor.error_at(open, Problem::Regexes));
        }
        crate::regex::parse(cursor)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Longer spellings before those that begin them.
    const ALL: [(&str, Self); 6] = [
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
    ];
}

#[derive(Clone, Debug)]
enum Value {
    Text(Box<str>),
    Wild(Wild),
    Number(Box<str>, Number),
    Regex(Regex),
}

/// A text with `*`, each of which stands for any text, also none.
#[derive(Clone, Debug)]
struct Wild {
    first: Box<str>,
    between: Vec<Finder<'static>>,
    last: Box<str>,
}

/// An operator and a value: what is asked of a text.
///
/// A field is compared by its text: strings of JSON decoded, numbers as they are spelled, `true` and `false`. With a
/// number, texts that spell numbers are compared by value, also where they stand in quotes; any other text is less,
/// equal or greater than no number. `!=` holds where `=` does not.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    operator: Operator,
    value: Value,
}

impl Comparison {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, counts: &mut Counts) -> Result<Self, PatternError> {
        cursor.skip_blanks();
        let Some((spelled, operator)) = Operator::ALL.into_iter().find(|(spelled, _)| cursor.eat(spelled)) else {
            return Err(cursor.error(Problem::NoOperator));
        };
        cursor.skip_blanks();
        let at = cursor.at();
        let value = Value::parse(cursor, counts)?;
        if !matches!(operator, Operator::Equal | Operator::NotEqual) && !matches!(value, Value::Number(..)) {
            return Err(cursor.error_at(at, Problem::NotANumber { operator: spelled }));
        }
        Ok(Self { operator, value })
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        match self.operator {
            Operator::Equal => self.value.is(text),
            Operator::NotEqual => !self.value.is(text),
            Operator::Less => self.order(text).is_some_and(Ordering::is_lt),
            Operator::LessOrEqual => self.order(text).is_some_and(Ordering::is_le),
            Operator::Greater => self.order(text).is_some_and(Ordering::is_gt),
            Operator::GreaterOrEqual => self.order(text).is_some_and(Ordering::is_ge),
        }
    }

    /// The one text for which it holds, if there is just one.
    pub(crate) fn exact(&self) -> Option<&str> {
        match (&self.operator, &self.value) {
            (Operator::Equal, Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn order(&self, text: &str) -> Option<Ordering> {
        match &self.value {
            Value::Number(_, number) => Number::parse(text)?.compare(*number),
            _ => None,
        }
    }
}

impl Value {
    fn parse(cursor: &mut Cursor<'_>, counts: &mut Counts) -> Result<Self, PatternError> {
        if cursor.eat("%") {
            return counts.regex(cursor).map(Self::Regex);
        }
        if cursor.eat("\"") {
            let text = cursor.quoted()?;
            return Ok(Self::text(&text));
        }
        let bare = cursor.eat_while(is_bare);
        match cursor.peek() {
            Some(' ' | '\t' | '\r' | '\n' | '&' | '|' | ')' | '}' | ',' | ']') | None if !bare.is_empty() => {}
            Some(' ' | '\t' | '\r' | '\n' | '&' | '|' | ')' | '}' | ',' | ']' | '=' | '<' | '>') | None => {
                return Err(cursor.error(Problem::NoValue));
            }
            Some(found) => return Err(cursor.error(Problem::BareValue { found })),
        }
        Ok(match Number::parse(bare) {
            Some(number) => Self::Number(bare.into(), number),
            None => Self::text(bare),
        })
    }

    fn text(text: &str) -> Self {
        Wild::new(text).map_or_else(|| Self::Text(text.into()), Self::Wild)
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(value) => **value == *text,
            Self::Wild(wild) => wild.hits(text),
            Self::Number(spelled, number) => {
                **spelled == *text
                    || Number::parse(text).and_then(|other| other.compare(*number)) == Some(Ordering::Equal)
            }
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl Wild {
    /// `None` if there is no `*`.
    fn new(text: &str) -> Option<Self> {
        let (first, rest) = text.split_once('*')?;
        let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let between = between.split('*').filter(|part| !part.is_empty());
        let between = between.map(|part| Finder::new(part).into_owned()).collect();
        Some(Self { first: first.into(), between, last: last.into() })
    }

    /// Whether the text begins and ends as it should and has the parts between in their order. These are taken where
    /// they come first, which leaves the most for those after them.
    fn hits(&self, text: &str) -> bool {
        let inner = text.strip_prefix(&*self.first).and_then(|rest| rest.strip_suffix(&*self.last));
        let Some(mut rest) = inner.map(str::as_bytes) else { return false };
        for part in &self.between {
            let Some(at) = part.find(rest) else { return false };
            rest = &rest[at + part.needle().len()..];
        }
        true
    }
}

/// Whether a value outside of quotes may have the character. The guide asks for quotes around everything but letters,
/// digits and `_`; what CIS's patterns have bare is taken too (`kms.amazonaws.com`), and what numbers and ARNs need.
fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '*' | '.' | '-' | '+' | ':' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Tries every length for each `*`.
    fn plainly(pattern: &str, text: &str) -> bool {
        match pattern.chars().next() {
            None => text.is_empty(),
            Some('*') => (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| plainly(&pattern[1..], text))),
            Some(next) => text.strip_prefix(next).is_some_and(|text| plainly(&pattern[next.len_utf8()..], text)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn wildcards_hit_what_trying_every_length_hits(parts in vec("[ab]{0,2}", 2..5), text in "[ab]{0,8}") {
            let wild = parts.join("*");
            prop_assert_eq!(Wild::new(&wild).expect("a wildcard").hits(&text), plainly(&wild, &text));
        }
    }
}
