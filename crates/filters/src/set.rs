//! Many patterns, asked about one message after the other.

use crate::columns::fields;
use crate::json::JsonPattern;
use crate::needs::{Met, Needs};
use crate::paths::{Paths, Slot};
use crate::pattern::{FilterPattern, Kind};
use crate::scan::Scanner;

/// Patterns that are compiled together: hundreds of them cost little more than a few, as long as few match.
///
/// A message's JSON is walked once for all of them. Patterns that need a certain value, as nearly all that watch
/// `$.eventName` do, are looked at where it occurs; those that need any value at a path, where there is one. Patterns
/// of words and of columns are asked one after the other.
#[derive(Clone, Debug)]
pub struct FilterSet {
    patterns: Vec<FilterPattern>,
    /// Those of conditions on JSON: their numbers, and the slots of their selectors in `paths`.
    json: Vec<(usize, Vec<Slot>)>,
    /// The numbers of the others.
    others: Vec<usize>,
    paths: Paths,
    needs: Needs,
}

/// Memory for [`FilterSet::matching`], kept from one message to the next, and from one set to another.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    scanner: Scanner,
    met: Met,
    matching: Vec<usize>,
}

impl FilterSet {
    /// Compiles patterns, which are numbered from 0 in their order.
    pub fn new(patterns: impl IntoIterator<Item = FilterPattern>) -> Self {
        let patterns: Vec<FilterPattern> = patterns.into_iter().collect();
        let (mut json, mut others, mut paths) = (Vec::new(), Vec::new(), Paths::default());
        for (number, pattern) in patterns.iter().enumerate() {
            match pattern.kind() {
                Kind::Json(pattern) => {
                    json.push((number, pattern.selectors().iter().map(|selector| paths.add(selector)).collect()));
                }
                Kind::All | Kind::Words(_) | Kind::Columns(_) => others.push(number),
            }
        }
        let with_slots: Vec<(&JsonPattern, &[Slot])> = json
            .iter()
            .filter_map(|(number, slots): &(usize, Vec<Slot>)| Some((patterns[*number].json()?, &slots[..])))
            .collect();
        let needs = Needs::of(&with_slots, paths.slots());
        Self { patterns, json, others, paths, needs }
    }

    /// The patterns, in their order.
    pub fn patterns(&self) -> &[FilterPattern] {
        &self.patterns
    }

    /// The numbers of the patterns that match a message, ascending: those whose [`FilterPattern::matches`] is true.
    pub fn matching<'s>(&self, message: &str, scratch: &'s mut Scratch) -> &'s [usize] {
        let Scratch { scanner, met, matching } = scratch;
        matching.clear();
        let mut line = None;
        matching.extend(self.others.iter().filter(|number| match self.patterns[**number].kind() {
            Kind::All => true,
            Kind::Words(words) => words.matches(message),
            Kind::Columns(columns) => columns.matches(line.get_or_insert_with(|| fields(message))),
            Kind::Json(_) => false,
        }));
        if self.json.is_empty() {
            return matching;
        }
        if let Some(found) = scanner.scan(&self.paths, message) {
            let others = matching.len();
            matching.extend(self.needs.met(found, message, met).iter().filter_map(|candidate| {
                let (number, slots) = &self.json[*candidate];
                self.patterns[*number].json()?.holds(found, |slot| slots[slot], message).then_some(*number)
            }));
            if others > 0 {
                matching.sort_unstable();
            }
        }
        matching
    }
}
