//! Whether the conditions of a combination hold for what was found in an event.

use crate::arrays::Arrays;
use crate::event::Seen;
use crate::found::OUTSIDE;
use crate::operators::Tests;
use crate::paths::Slot;

/// Holds what became of each test, so that those that combinations have in common are made once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evaluation {
    /// The number of the event.
    turn: u64,
    /// By the tests' numbers, with the events that they are of.
    outcomes: Vec<(u64, Outcome)>,
    arrays: Arrays,
}

/// What became of a test.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Whether a value passed, or the field may be missing and is.
    holds: bool,
    /// Whether it holds, or could: a field that is missing in one element may be there in another.
    may_hold: bool,
    /// Whether values lie in elements of arrays.
    in_elements: bool,
}

impl Evaluation {
    /// Another event comes, and so many tests.
    pub(crate) fn begin(&mut self, tests: usize) {
        self.turn += 1;
        self.arrays.begin();
        self.outcomes.resize(tests.max(self.outcomes.len()), (0, Outcome::default()));
    }

    /// Whether so many conditions hold together, each given by the path, the number of the tests, and the tests, in the
    /// order of the paths.
    ///
    /// First each is taken by itself. Only where values of two of them lie in elements of arrays it matters which.
    pub(crate) fn holds<'t>(
        &mut self,
        seen: Seen<'_>,
        conditions: usize,
        of: impl Fn(usize) -> (Slot, usize, &'t Tests),
    ) -> bool {
        let (mut all, mut in_elements) = (true, 0);
        for condition in 0..conditions {
            let (slot, number, tests) = of(condition);
            let (turn, outcome) = &mut self.outcomes[number];
            if *turn != self.turn {
                *turn = self.turn;
                *outcome = evaluate(seen, slot, tests);
            }
            if !outcome.may_hold {
                return false;
            }
            all &= outcome.holds;
            in_elements += usize::from(outcome.in_elements);
        }
        if in_elements < 2 {
            return all;
        }
        self.arrays.hold_together(seen, (0..conditions).map(|condition| (of(condition).0, of(condition).2)))
    }
}

fn evaluate(seen: Seen<'_>, slot: Slot, tests: &Tests) -> Outcome {
    let (mut holds, mut in_elements) = (tests.absent && !seen.found.is_at(slot), false);
    for (value, element) in seen.found.at(slot, seen.text) {
        holds = holds || tests.pass(value);
        in_elements |= element != OUTSIDE;
        if holds && in_elements {
            break;
        }
    }
    Outcome { holds, may_hold: holds || tests.absent && in_elements, in_elements }
}
