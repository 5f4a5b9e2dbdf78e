//! Why a text is no event pattern.

use crate::address::{Family, NoBlock};
use crate::pattern::MAX_LENGTH;

/// How much of a pattern the message shows, as AWS's does.
const SHOWN: usize = 500;

/// Why a text is no event pattern, in the words of EventBridge's `InvalidEventPatternException`: what is wrong, and after
/// it, on a line of its own, the pattern and the place in it.
///
/// ```text
/// Event pattern is not valid. Reason: "int" must be an object or an array
///  at [Source: (String)"{"int": 42}"; line: 1, column: 11]
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Event pattern is not valid. Reason: {problem}{}", place.as_ref().map(Place::to_string).unwrap_or_default())]
pub struct InvalidPattern {
    /// What is wrong.
    pub problem: Problem,
    /// Where. AWS names no place for blocks of addresses and for what is too complex, nor do we.
    pub place: Option<Place>,
}

/// A place in a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\n at [Source: (String)\"{shown}; line: {line}, column: {column}]")]
pub struct Place {
    /// The pattern and a quote, or its first 500 characters and how many more there are.
    shown: String,
    /// From 1.
    pub line: usize,
    /// The number of the character that follows what is wrong, from 1.
    pub column: usize,
}

impl Place {
    /// The place before a byte, or before the character that it is within.
    pub(crate) fn new(text: &str, at: usize) -> Self {
        let before = &text[..text.floor_char_boundary(at.min(text.len()))];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let shown = match text.char_indices().nth(SHOWN) {
            None => format!("{text}\""),
            Some((end, _)) => format!("{}\"[truncated {} chars]", &text[..end], text[end..].chars().count()),
        };
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self { shown, line, column: before[line_start..].chars().count() + 1 }
    }
}

/// What is wrong with an event pattern. Where the texts are EventBridge's they are as Event Ruler has them, which it
/// passes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say what the variants are")]
pub enum Problem {
    #[error("the pattern has {length} characters and may have {MAX_LENGTH}")]
    TooLong { length: usize },
    #[error("Filter is not an object")]
    NotAnObject,
    #[error("Unexpected {}, which cannot stand here in JSON", shown(*.found))]
    Syntax { found: Option<char> },
    #[error("more than {} objects and arrays lie in one another", opentrail_filters::walk::MAX_DEPTH)]
    TooDeep,
    #[error("Empty objects are not allowed")]
    EmptyObject,
    #[error("Empty arrays are not allowed")]
    EmptyArray,
    #[error("\"{name}\" must be an object or an array")]
    Leaf { name: String },
    #[error("Match value must be String, number, true, false, or null")]
    Value,
    #[error("Match expression name not found")]
    NoOperator,
    #[error("Unrecognized match type {name}")]
    Operator { name: String },
    #[error("Only one key allowed in match expression")]
    OneKey,
    #[error("{what} match pattern must be a string")]
    NotAString { what: &'static str },
    #[error("Unsupported {what} pattern: {name}")]
    Unsupported { what: &'static str, name: String },
    #[error("{what} expression name not found")]
    NoExpression { what: &'static str },
    #[error("exists match pattern must be either true or false.")]
    Exists,
    #[error("Value of anything-but must be an array or single string/number value.")]
    AnythingBut,
    #[error("Inside anything but list, start|null|boolean is not supported.")]
    AnythingButMember,
    #[error("Inside anything but list, either all values are number or string, mixed type is not supported")]
    AnythingButMixed,
    #[error("Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.")]
    AnythingButCase,
    #[error("Null prefix/suffix not allowed")]
    NullAffix,
    #[error("Consecutive wildcard characters at pos {at}")]
    ConsecutiveWildcards { at: usize },
    #[error("Invalid escape character at pos {at}")]
    Escape { at: usize },
    #[error(
        "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a \
         wildcard character"
    )]
    TooComplex,
    #[error("Value of numeric must be an array.")]
    Numeric,
    #[error("Invalid member in numeric match: {found}")]
    NumericMember { found: String },
    #[error("Unrecognized numeric range operator: {found}")]
    NumericOperator { found: String },
    #[error("Bad numeric range operator: {found}")]
    RangeOperator { found: String },
    #[error("Bad value in numeric range: {found}")]
    RangeValue { found: String },
    #[error("Value of {operator} must be numeric")]
    NotNumeric { operator: String },
    #[error("Too many elements in numeric expression")]
    NumericElements,
    #[error("Too many terms in numeric range expression")]
    RangeTerms,
    #[error("Bottom must be less than top")]
    EmptyRange,
    #[error("Value must be between -5.0E9 and 5.0E9, inclusive, with at most six digits after the point: {found}")]
    Number { found: String },
    #[error("Malformed CIDR, one '/' required")]
    CidrSlash,
    #[error("Malformed CIDR, mask bits must be an integer")]
    CidrBits,
    #[error("Malformed CIDR, mask bits must not be negative")]
    CidrNegative,
    #[error("Nonstandard IP address: {found}")]
    Address { found: String },
    #[error("{family} mask bits must be < {limit}")]
    CidrWidth { family: &'static str, limit: u32 },
    #[error("It must be an Array followed with $or.")]
    OrArray,
    #[error("Only JSON object is allowed in array of $or relationship.")]
    OrObject,
    #[error("There must have at least 2 Objects in $or relationship.")]
    OrSingle,
    #[error("{name} is Ruler reserved fieldName which cannot be used inside $or.")]
    Reserved { name: String },
    #[error("the conditions within $or come to more than {} combinations", crate::pattern::MAX_COMBINATIONS)]
    TooManyCombinations,
}

impl From<NoBlock> for Problem {
    fn from(error: NoBlock) -> Self {
        match error {
            NoBlock::Slash => Self::CidrSlash,
            NoBlock::Bits => Self::CidrBits,
            NoBlock::NegativeBits => Self::CidrNegative,
            NoBlock::Address(found) => Self::Address { found },
            NoBlock::TooManyBits(Family::V4) => Self::CidrWidth { family: "IPv4", limit: 32 },
            NoBlock::TooManyBits(Family::V6) => Self::CidrWidth { family: "IPv6", limit: 128 },
        }
    }
}

fn shown(found: Option<char>) -> String {
    found.map_or_else(|| "end of the pattern".to_owned(), |found| format!("character {found:?}"))
}
