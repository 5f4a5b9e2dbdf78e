//! Why a text is no filter pattern: what is wrong, where, and what to write instead.

use crate::pattern::MAX_LENGTH;

/// Why a text is no filter pattern, or no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at character {at})")]
pub struct PatternError {
    /// Where: the number of the character, from 1. One past the last when something is missing at the end.
    pub at: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a filter pattern. The texts say what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// More characters than a pattern may have.
    #[error("the pattern has {length} characters and may have {MAX_LENGTH}; split it into several filters")]
    TooLong {
        /// Its characters.
        length: usize,
    },
    /// Something is opened and not closed.
    #[error("nothing closes the {open} here; end it with {close}")]
    Unclosed {
        /// What opens it.
        open: char,
        /// What would close it.
        close: char,
    },
    /// The pattern, a condition or a selector is at its end, and something follows.
    #[error(
        "{found:?} cannot follow here; join conditions by && or ||, put values that are no plain words in \"quotes\""
    )]
    Surplus {
        /// What follows.
        found: char,
    },
    /// No condition where there has to be one.
    #[error("a condition is missing; write one such as $.eventName = \"DeleteTrail\"")]
    NoCondition,
    /// A negation of a condition or of a group.
    #[error("conditions cannot be negated by !; write != within the condition")]
    Negation,
    /// A selector that does not begin at the root, or has no steps.
    #[error("a selector is missing; write one such as $.eventName: it begins with $ and a property")]
    NoSelector,
    /// A character that the name of a property cannot have.
    #[error("the name of a property has letters, digits, - and _; write others as $.['a name']")]
    PropertyName,
    /// No index between brackets.
    #[error("between [ and ] stands an index such as 0, or *; write the name of a property as .['name']")]
    Index,
    /// A selector with two wildcards.
    #[error("a selector may have one wildcard; name the property or the index here")]
    Wildcards,
    /// A pattern with more selectors that have wildcards than it may have.
    #[error("a pattern may have three selectors with wildcards; split it into several filters")]
    WildcardSelectors,
    /// No operator where there has to be one.
    #[error("an operator is missing; write =, !=, <, >, <=, >=, IS NULL, IS TRUE, IS FALSE or NOT EXISTS")]
    NoOperator,
    /// Something after `IS` that is not tested.
    #[error("IS is followed by NULL, TRUE or FALSE; that a field is there at all is written $.field = *")]
    Is,
    /// Something after `NOT` that is not tested.
    #[error("NOT is followed by EXISTS")]
    Not,
    /// No value where there has to be one.
    #[error("a value is missing; write a word, a number, \"a text\" or %a regular expression%")]
    NoValue,
    /// A character that a value outside of quotes cannot have.
    #[error("a value with {found:?} is written in double quotes")]
    BareValue {
        /// The character.
        found: char,
    },
    /// An order between texts.
    #[error("{operator} compares numbers; write a number after it, or use = or != with a text")]
    NotANumber {
        /// The operator.
        operator: &'static str,
    },
    /// More regular expressions than a pattern may have.
    #[error("a pattern may have two regular expressions; join alternatives in one by |")]
    Regexes,
    /// A regular expression of nothing.
    #[error("the regular expression is empty; write it between two %")]
    RegexEmpty,
    /// A group.
    #[error(
        "regular expressions have no parentheses; write alternatives out with |, and the characters as \\x28 and \\x29"
    )]
    RegexGroup,
    /// A character that a regular expression cannot have.
    #[error("{found:?} is not possible in a regular expression; write an ASCII character by its code, as in \\x21")]
    RegexCharacter {
        /// The character.
        found: char,
    },
    /// An escape that is not known.
    #[error("\\{found} is not known; the escapes are \\d \\D \\s \\S \\w \\W \\xhh and those of operators, as in \\.")]
    RegexEscape {
        /// The character after the backslash.
        found: char,
    },
    /// A regular expression that is malformed in another way, or becomes too large.
    #[error("the regular expression is malformed: {reason}")]
    Regex {
        /// In what way.
        reason: &'static str,
    },
    /// A character that a term outside of quotes cannot have.
    #[error(
        "invalid character {found:?} in a term; terms of other than letters, digits and _ are written in double quotes"
    )]
    Term {
        /// The character.
        found: char,
    },
    /// A prefix without a term.
    #[error("a term is missing after {prefix}; write a word, \"a phrase\" or %a regular expression%")]
    NoTerm {
        /// The prefix.
        prefix: char,
    },
    /// Columns without a single one.
    #[error("no fields are given; write [first, second, ...]")]
    NoFields,
    /// A field whose name is no name, or which has conditions and no name.
    #[error("a field is ..., or a name of letters, digits, - and _, and what it is compared with, as in status = 404")]
    FieldName,
    /// A condition on one field that stands in another one's place.
    #[error(
        "a condition in the place of the field {field} is about that field; conditions on others stand in their places"
    )]
    OtherField {
        /// In whose place.
        field: String,
    },
}
