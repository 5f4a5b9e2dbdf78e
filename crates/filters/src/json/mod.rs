//! Patterns of conditions on a JSON object, which is the whole message. (User Guide, "Match terms in JSON log events".)

mod condition;
mod selector;

use std::collections::BTreeMap;

pub use selector::Selector;

pub(crate) use condition::Condition;
pub(crate) use selector::Step;

use crate::cursor::Cursor;
use crate::error::{PatternError, Problem};
use crate::expression::{Expression, Groups};
use crate::found::Found;
use crate::paths::{Paths, Slot};
use crate::scan::Scanner;
use crate::value::Counts;

/// How many conditions of a pattern may have selectors with wildcards.
const MAX_WILDCARD_SELECTORS: usize = 3;

/// `{ $.eventName = "DeleteTrail" && … }`.
#[derive(Clone, Debug)]
pub(crate) struct JsonPattern {
    expression: Expression<Condition>,
    /// By their slots in `paths`, as spelled where they come first.
    selectors: Vec<Selector>,
    paths: Paths,
}

impl JsonPattern {
    /// Reads conditions, the brace before them being read, to the end of the pattern.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let open = cursor.at() - 1;
        let (mut selectors, mut paths, mut counts) = (Vec::new(), Paths::default(), Counts::default());
        let mut wildcards = 0;
        let expression = Expression::parse(cursor, Groups::Allowed, |cursor| {
            let at = cursor.at();
            let selector = match cursor.peek() {
                Some('$') => Selector::read(cursor)?,
                None | Some('}' | ')' | '&' | '|') => return Err(cursor.error(Problem::NoCondition)),
                Some('!') => return Err(cursor.error(Problem::Negation)),
                Some(_) => return Err(cursor.error(Problem::NoSelector)),
            };
            wildcards += usize::from(selector.has_wildcard());
            if wildcards > MAX_WILDCARD_SELECTORS {
                return Err(cursor.error_at(at, Problem::WildcardSelectors));
            }
            let slot = paths.add(&selector);
            if slot == selectors.len() {
                selectors.push(selector);
            }
            Condition::parse(cursor, slot, &mut counts)
        })?;
        match cursor.next() {
            Some('}') => {}
            None => return Err(cursor.error_at(open, Problem::Unclosed { open: '{', close: '}' })),
            Some(found) => return Err(cursor.error_at(cursor.at() - found.len_utf8(), Problem::Surplus { found })),
        }
        cursor.skip_blanks();
        cursor.finish()?;
        Ok(Self { expression, selectors, paths })
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        let mut scanner = Scanner::default();
        scanner.scan(&self.paths, message).is_some_and(|found| self.holds(found, |slot| slot, message))
    }

    /// The values of the selectors in a message that matches, of wildcards the first. What is not there, `null`, an
    /// object or an array is left out.
    pub(crate) fn extract(&self, message: &str) -> Option<BTreeMap<String, String>> {
        let mut scanner = Scanner::default();
        let found = scanner.scan(&self.paths, message).filter(|found| self.holds(found, |slot| slot, message))?;
        let values = self.selectors.iter().enumerate().filter_map(|(slot, selector)| {
            let text = found.at(slot, message).find_map(|value| value.text())?;
            Some((selector.as_str().to_owned(), text.to_owned()))
        });
        Some(values.collect())
    }

    /// Whether the conditions hold for what was found; `slots` says which slots there are those of this pattern.
    pub(crate) fn holds(&self, found: &Found, slots: impl Fn(Slot) -> Slot, message: &str) -> bool {
        self.expression.holds(&mut |condition| condition.holds(found.at(slots(condition.slot()), message)))
    }

    pub(crate) fn expression(&self) -> &Expression<Condition> {
        &self.expression
    }

    pub(crate) fn selectors(&self) -> &[Selector] {
        &self.selectors
    }
}
