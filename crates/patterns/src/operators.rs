//! What a field is tested for, and whether a value passes.
//!
//! Values are those of JSON that have no others in them. Texts pass tests on texts, numbers those on numbers; a value of
//! another kind than an anything-but names is something else than what it names, and passes.

use crate::address::{Block, address};
use crate::fold;
use crate::number::Number;
use crate::wildcard::Wildcard;

/// The tests on one field, of which a value has to pass one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tests {
    /// Texts to which a value may be equal, sorted.
    pub(crate) texts: Vec<Box<str>>,
    pub(crate) others: Vec<Test>,
    /// Whether the field may be missing.
    pub(crate) absent: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// The number, and how it is spelled: numbers that cannot be compared are equal if they are spelled alike.
    Number(Option<Number>, Box<str>),
    Bool(bool),
    Null,
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// These are folded.
    Folded(Box<str>),
    FoldedPrefix(Box<str>),
    FoldedSuffix(Box<str>),
    Wildcard(Wildcard),
    /// From the first number to the last.
    Range(Number, Number),
    Block(Block),
    Exists,
    AnythingBut(But),
}

/// What an anything-but names: any of these.
#[derive(Clone, Debug)]
pub(crate) enum But {
    Texts(Vec<Box<str>>),
    Numbers(Vec<Number>),
    Prefixes(Vec<Box<str>>),
    Suffixes(Vec<Box<str>>),
    /// Folded.
    Folded(Vec<Box<str>>),
    Wildcards(Vec<Wildcard>),
}

/// A value of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'e> {
    Text(&'e str),
    /// As it is spelled.
    Number(&'e str),
    Bool(bool),
    Null,
}

impl Tests {
    /// Whether a value passes one of the tests.
    pub(crate) fn pass(&self, value: Value<'_>) -> bool {
        if let Value::Text(text) = value
            && self.texts.binary_search_by(|wanted| (**wanted).cmp(text)).is_ok()
        {
            return true;
        }
        self.others.iter().any(|test| test.passes(value))
    }
}

impl Test {
    fn passes(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Exists, _) | (Self::Null, Value::Null) => true,
            (Self::AnythingBut(but), value) => !but.names(value),
            (Self::Bool(wanted), Value::Bool(flag)) => *wanted == flag,
            (Self::Number(number, spelling), Value::Number(text)) => {
                **spelling == *text || number.is_some() && Number::parse(text) == *number
            }
            (Self::Range(from, to), Value::Number(text)) => {
                Number::parse(text).is_some_and(|number| (*from..=*to).contains(&number))
            }
            (Self::Prefix(prefix), Value::Text(text)) => text.starts_with(&**prefix),
            (Self::Suffix(suffix), Value::Text(text)) => text.ends_with(&**suffix),
            (Self::Folded(wanted), Value::Text(text)) => fold::is(text, wanted),
            (Self::FoldedPrefix(prefix), Value::Text(text)) => fold::begins(text, prefix),
            (Self::FoldedSuffix(suffix), Value::Text(text)) => fold::ends(text, suffix),
            (Self::Wildcard(wildcard), Value::Text(text)) => wildcard.matches(text),
            (Self::Block(block), Value::Text(text)) => address(text).is_some_and(|address| block.contains(address)),
            _ => false,
        }
    }
}

impl But {
    /// Whether a value is one of those that are named.
    fn names(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Numbers(numbers), Value::Number(text)) => {
                Number::parse(text).is_some_and(|number| numbers.contains(&number))
            }
            (Self::Texts(texts), Value::Text(text)) => texts.iter().any(|wanted| **wanted == *text),
            (Self::Prefixes(prefixes), Value::Text(text)) => prefixes.iter().any(|prefix| text.starts_with(&**prefix)),
            (Self::Suffixes(suffixes), Value::Text(text)) => suffixes.iter().any(|suffix| text.ends_with(&**suffix)),
            (Self::Folded(texts), Value::Text(text)) => texts.iter().any(|wanted| fold::is(text, wanted)),
            (Self::Wildcards(wildcards), Value::Text(text)) => wildcards.iter().any(|wildcard| wildcard.matches(text)),
            _ => false,
        }
    }
}
