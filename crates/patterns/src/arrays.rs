//! Which conditions hold together where events have arrays of objects.
//!
//! Event Ruler's rule is kept: no two values may be taken from different elements of one array, where these elements are
//! objects or arrays. Conditions are met in the order of their paths; a field counts as missing if none of its values
//! could be taken together with those that were taken before. (Event Ruler's README, "JSON Array Matching".)
//!
//! Values are taken breadth first. What has been taken is told by the elements that it lies in, and of these only by those
//! whose arrays have values for conditions to come: so the two parts of an event, each with an array, do not multiply, and
//! an array of objects costs a few steps per object and condition. Events and patterns can be made for which that is not
//! enough, by names with dots in them, names that occur twice, or many combinations. After [`MAX_STEPS`] for a combination
//! of conditions, or [`MAX_STEPS_OF_EVENT`] for an event and all patterns of a set, conditions are taken to hold together
//! that hold each by itself: an event too many rather than one too few.

use hashbrown::{HashMap, HashSet};

use crate::event::Seen;
use crate::found::{Element, Found, OUTSIDE};
use crate::operators::Tests;
use crate::paths::Slot;

/// How many steps are made for one combination of conditions and one event: some milliseconds.
const MAX_STEPS: usize = 1 << 17;

/// How many steps are made for one event.
const MAX_STEPS_OF_EVENT: usize = 1 << 20;

/// Memory for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrays {
    /// For each condition the elements that its values lie in, ascending, and whether one of the values passed.
    conditions: Vec<Vec<(Element, bool)>>,
    /// For each array the last condition that has a value in it.
    last: Vec<usize>,
    /// How many steps are left for the event.
    left: usize,
}

/// The elements that what was taken lies in, at most one of each array, ascending.
type Taken = Vec<Element>;

/// The last step was made.
struct Exhausted;

impl Arrays {
    /// Another event comes.
    pub(crate) fn begin(&mut self) {
        self.left = MAX_STEPS_OF_EVENT;
    }
    /// Whether conditions hold together, given in the order of their paths. Each has to hold by itself.
    pub(crate) fn hold_together<'t>(
        &mut self,
        seen: Seen<'_>,
        conditions: impl Iterator<Item = (Slot, &'t Tests)> + Clone,
    ) -> bool {
        let given = self.left.min(MAX_STEPS);
        let mut steps = given;
        let outcome = self.search(seen, conditions, &mut steps);
        self.left -= given - steps;
        outcome.unwrap_or(true)
    }

    fn search<'t>(
        &mut self,
        seen: Seen<'_>,
        conditions: impl Iterator<Item = (Slot, &'t Tests)> + Clone,
        steps: &mut usize,
    ) -> Result<bool, Exhausted> {
        self.gather(seen, conditions.clone(), steps)?;
        let mut all: HashSet<Taken> = HashSet::from_iter([Taken::new()]);
        for (number, (_, tests)) in conditions.enumerate() {
            let mut next = HashSet::new();
            for taken in &all {
                self.take(seen.found, number, tests, taken, &mut next, steps)?;
            }
            if next.is_empty() {
                return Ok(false);
            }
            all = next;
        }
        Ok(true)
    }

    /// Finds the elements that matter.
    fn gather<'t>(
        &mut self,
        seen: Seen<'_>,
        conditions: impl Iterator<Item = (Slot, &'t Tests)>,
        steps: &mut usize,
    ) -> Result<(), Exhausted> {
        self.conditions.clear();
        self.last.clear();
        self.last.resize(seen.found.arrays(), 0);
        for (number, (slot, tests)) in conditions.enumerate() {
            let mut elements: HashMap<Element, bool> = HashMap::new();
            for (value, element) in seen.found.at(slot, seen.text) {
                *steps = steps.checked_sub(1).ok_or(Exhausted)?;
                let passed = elements.entry(element).or_default();
                *passed = *passed || tests.pass(value);
            }
            let mut elements: Vec<(Element, bool)> = elements.into_iter().collect();
            elements.sort_unstable();
            for (element, _) in &elements {
                let mut element = *element;
                while element != OUTSIDE {
                    let membership = seen.found.membership(element);
                    let last = &mut self.last[membership.array as usize];
                    // What lies around it has been marked together with it.
                    if std::mem::replace(last, number) == number && number > 0 {
                        break;
                    }
                    element = membership.parent;
                }
            }
            self.conditions.push(elements);
        }
        Ok(())
    }

    /// Takes each value that passes a condition and can be taken together with what was taken before.
    fn take(
        &self,
        found: &Found,
        number: usize,
        tests: &Tests,
        taken: &Taken,
        next: &mut HashSet<Taken>,
        steps: &mut usize,
    ) -> Result<(), Exhausted> {
        let elements = &self.conditions[number];
        let (mut at, mut present) = (0, false);
        while let Some((element, passed)) = elements.get(at) {
            *steps = steps.checked_sub(1 + taken.len()).ok_or(Exhausted)?;
            match conflict(found, taken, *element) {
                None => {
                    present = true;
                    if *passed {
                        next.insert(self.with(found, taken, *element, number));
                    }
                    at += 1;
                }
                // All up to there lies in other elements of the same array.
                Some(from) => at += elements[at..].partition_point(|(element, _)| *element < from),
            }
        }
        if tests.absent && !present {
            next.insert(self.with(found, taken, OUTSIDE, number));
        }
        Ok(())
    }

    /// What was taken and one more, without what matters no more.
    fn with(&self, found: &Found, taken: &Taken, mut element: Element, number: usize) -> Taken {
        let mut all = taken.clone();
        while element != OUTSIDE {
            all.push(element);
            element = found.membership(element).parent;
        }
        all.retain(|element| self.last[found.membership(*element).array as usize] > number);
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The first element, after one that cannot be taken, that perhaps can.
fn conflict(found: &Found, taken: &Taken, mut element: Element) -> Option<Element> {
    while element != OUTSIDE {
        let membership = found.membership(element);
        if let Some(other) = taken.iter().find(|other| found.membership(**other).array == membership.array) {
            // The elements around the two are the same.
            return match element.cmp(other) {
                std::cmp::Ordering::Less => Some(*other),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => Some(found.after(membership.array)),
            };
        }
        element = membership.parent;
    }
    None
}
