//! Conditions on the value that a selector names.

use crate::cursor::Cursor;
use crate::error::{PatternError, Problem};
use crate::found::Scalar;
use crate::paths::Slot;
use crate::value::{Comparison, Counts};

/// What is asked of the values of a selector.
///
/// Only strings, numbers and booleans are compared. What is missing, `null`, an object or an array satisfies neither
/// `=` nor `!=`. For objects and arrays the guide says so. For what is missing it does not; it is our choice, since
/// nobody would need `NOT EXISTS` beside `!=` otherwise. Others observed the same of CloudWatch on 2024-01-24
/// (DataBiosphere/azul, issue 5884).
///
/// Where a selector with a wildcard has several values, one that satisfies the condition is enough, for `!=` too: a
/// choice, as it is not documented. `$.resources[*].accountId != 111122223333` then finds a resource of another account
/// beside resources of that one, which an alarm is for.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    slot: Slot,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Compare(Comparison),
    IsNull,
    Is(bool),
    NotExists,
}

impl Condition {
    /// Reads what follows the selector.
    pub(crate) fn parse(cursor: &mut Cursor<'_>, slot: Slot, counts: &mut Counts) -> Result<Self, PatternError> {
        cursor.skip_blanks();
        let at = cursor.at();
        let test = match cursor.eat_while(|next| next.is_ascii_alphabetic()) {
            "" => Test::Compare(Comparison::parse(cursor, counts)?),
            "IS" => match word(cursor) {
                (_, "NULL") => Test::IsNull,
                (_, "TRUE") => Test::Is(true),
                (_, "FALSE") => Test::Is(false),
                (at, _) => return Err(cursor.error_at(at, Problem::Is)),
            },
            "NOT" => match word(cursor) {
                (_, "EXISTS") => Test::NotExists,
                (at, _) => return Err(cursor.error_at(at, Problem::Not)),
            },
            _ => return Err(cursor.error_at(at, Problem::NoOperator)),
        };
        Ok(Self { slot, test })
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    pub(crate) fn holds<'m>(&self, mut values: impl Iterator<Item = Scalar<'m>>) -> bool {
        match &self.test {
            Test::Compare(comparison) => values.any(|value| value.text().is_some_and(|text| comparison.holds(text))),
            Test::IsNull => values.any(|value| value == Scalar::Null),
            Test::Is(wanted) => values.any(|value| value == Scalar::Bool(*wanted)),
            Test::NotExists => values.next().is_none(),
        }
    }

    /// Whether it can hold only where the selector has a value.
    pub(crate) fn needs_value(&self) -> bool {
        !matches!(self.test, Test::NotExists)
    }

    /// The one text that the selector has to have, if it is just one.
    pub(crate) fn exact(&self) -> Option<&str> {
        match &self.test {
            Test::Compare(comparison) => comparison.exact(),
            _ => None,
        }
    }
}

/// The next word, and where it stands.
fn word<'p>(cursor: &mut Cursor<'p>) -> (usize, &'p str) {
    cursor.skip_blanks();
    (cursor.at(), cursor.eat_while(|next| next.is_ascii_alphanumeric() || next == '_'))
}
