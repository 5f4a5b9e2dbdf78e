//! What a message must have for a pattern to match: by that, hundreds of patterns are not looked at.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::expression::Expression;
use crate::found::Found;
use crate::json::{Condition, JsonPattern};
use crate::paths::Slot;

/// The patterns of a set by what they need. Patterns are numbered as they are added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    /// By slots: the lists of those that need any value, and of those that need a certain one.
    slots: Vec<ByValue>,
    lists: Vec<Vec<usize>>,
    /// Those that need nothing.
    always: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct ByValue {
    any: Option<usize>,
    exact: HashMap<Box<str>, usize>,
}

/// Patterns that have what they need, and memory for finding them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Met {
    lists: Vec<usize>,
    patterns: Vec<usize>,
}

/// One of these is needed.
type Need<'p> = Vec<Key<'p>>;

/// A value at a path, or a certain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key<'p> {
    slot: Slot,
    exact: Option<&'p str>,
}

impl Needs {
    /// Sorts patterns by what they need, given with the slots of their selectors.
    ///
    /// Of conditions that must all hold the best one is taken: one on certain values, and among these one on the path
    /// for which the patterns name the most values. `$.eventName` tells filters apart better than `$.eventSource`.
    pub(crate) fn of(patterns: &[(&JsonPattern, &[Slot])], slots: usize) -> Self {
        let mut values: Vec<HashSet<&str>> = vec![HashSet::new(); slots];
        for (pattern, slots) in patterns {
            pattern.expression().visit(&mut |condition| {
                values[slots[condition.slot()]].extend(condition.exact());
            });
        }
        let values: Vec<usize> = values.iter().map(HashSet::len).collect();
        let mut needs = Self { slots: vec![ByValue::default(); slots], lists: Vec::new(), always: Vec::new() };
        for (number, (pattern, slots)) in patterns.iter().enumerate() {
            let Some(need) = need(pattern.expression(), slots, &values) else {
                needs.always.push(number);
                continue;
            };
            for key in need {
                let by_value = &mut needs.slots[key.slot];
                let new = needs.lists.len();
                let list = match key.exact {
                    Some(exact) => *by_value.exact.entry(exact.into()).or_insert(new),
                    None => *by_value.any.get_or_insert(new),
                };
                if list == new {
                    needs.lists.push(Vec::new());
                }
                needs.lists[list].push(number);
            }
        }
        needs
    }

    /// The patterns that have what they need, each once, ascending.
    ///
    /// A message may have the same value a hundred thousand times under a wildcard: lists are put together once each.
    pub(crate) fn met<'m>(&self, found: &Found, message: &str, met: &'m mut Met) -> &'m [usize] {
        let Met { lists, patterns } = met;
        lists.clear();
        for (slot, value) in found.all(message) {
            let by_value = &self.slots[slot];
            lists.extend(by_value.any);
            if !by_value.exact.is_empty()
                && let Some(text) = value.text()
            {
                lists.extend(by_value.exact.get(text));
            }
        }
        lists.sort_unstable();
        lists.dedup();
        patterns.clear();
        patterns.extend_from_slice(&self.always);
        lists.iter().for_each(|list| patterns.extend_from_slice(&self.lists[*list]));
        patterns.sort_unstable();
        patterns.dedup();
        patterns
    }
}

/// What an expression needs, if anything.
fn need<'p>(expression: &'p Expression<Condition>, slots: &[Slot], values: &[usize]) -> Option<Need<'p>> {
    match expression {
        Expression::Is(condition) => {
            condition.needs_value().then(|| vec![Key { slot: slots[condition.slot()], exact: condition.exact() }])
        }
        Expression::Any(members) => {
            let needs: Option<Vec<Need<'p>>> = members.iter().map(|member| need(member, slots, values)).collect();
            needs.map(|needs| needs.concat())
        }
        Expression::All(members) => {
            members.iter().filter_map(|member| need(member, slots, values)).max_by_key(|need| {
                let exact = need.iter().all(|key| key.exact.is_some());
                let values = need.iter().map(|key| values[key.slot]).min();
                (exact, values, Reverse(need.len()))
            })
        }
    }
}
