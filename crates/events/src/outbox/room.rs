//! How much waits in the outbox for whom, and who may have more.

use std::collections::HashMap;

use super::{Letter, NewInvocation};
use crate::deliver::dead_letter;
use crate::rule::Target;

/// Invocations in the file, by queue.
///
/// While there are fewer than `most`, anybody may have more. From there on a queue may have more only while it holds less
/// than its share, `most` divided by the queues that hold something: who takes what it is sent is never turned away for one
/// that does not, and `n` queues hold at most `most` times the `n`th harmonic number together.
#[derive(Debug)]
pub(super) struct Room {
    most: u64,
    total: u64,
    by_queue: HashMap<String, u64>,
}

impl Room {
    pub(super) fn new(most: u64, by_queue: HashMap<String, u64>) -> Self {
        Self { most, total: by_queue.values().sum(), by_queue }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = &String> {
        self.by_queue.keys()
    }

    /// A change of it, to be made once the file has it.
    pub(super) fn draft(&self) -> Draft<'_> {
        Draft { room: self, changed: HashMap::new(), total: self.total, turned_away: Vec::new() }
    }

    pub(super) fn apply(&mut self, changed: HashMap<String, u64>) {
        for (queue, count) in changed {
            let old = if count == 0 { self.by_queue.remove(&queue) } else { self.by_queue.insert(queue, count) };
            self.total = self.total + count - old.unwrap_or_default();
        }
    }
}

/// What becomes of [`Room`] by a transaction.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    room: &'a Room,
    /// How many the queues that it touches hold with it.
    changed: HashMap<String, u64>,
    total: u64,
    turned_away: Vec<TurnedAway>,
}

/// An invocation for which there was no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TurnedAway {
    pub(super) rule: String,
    pub(super) target: String,
    /// Whether its dead-letter queue gets it.
    pub(super) is_letter: bool,
}

/// An invocation that goes into the file: as it is, or as a dead letter.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) new: &'a NewInvocation,
    pub(super) letter: Option<(Target, Letter)>,
}

impl Placed<'_> {
    /// Who gets it.
    pub(super) fn target(&self) -> &Target {
        self.letter.as_ref().map_or(&self.new.target, |(queue, _)| queue)
    }
}

impl Draft<'_> {
    /// Finds room for an invocation: in its target's queue, else in that of its dead letters. `None`: there is none.
    pub(super) fn place<'n>(&mut self, new: &'n NewInvocation) -> Option<Placed<'n>> {
        let target = new.target.arn.as_str();
        if self.take(target) {
            return Some(Placed { new, letter: None });
        }
        let letter = Letter {
            rule_arn: new.rule.to_string(),
            target_arn: target.to_owned(),
            error_code: "THROTTLING".to_owned(),
            error_message: format!("{} invocations wait for the target already", self.held(target)),
            exhausted: None,
            retry_attempts: 0,
        };
        let queue = new.target.dead_letter.as_ref().filter(|queue| self.take(queue.as_str()));
        let (rule, target) = (new.rule.to_string(), target.to_owned());
        self.turned_away.push(TurnedAway { rule, target, is_letter: queue.is_some() });
        queue.map(|queue| Placed { new, letter: Some((dead_letter::queue(queue), letter)) })
    }

    /// Moves an invocation to another queue, whether there is room or not: it is there already.
    pub(super) fn moved(&mut self, from: &str, to: &str) {
        self.left(from);
        self.add(to);
    }

    /// An invocation has left.
    pub(super) fn left(&mut self, queue: &str) {
        let held = self.held(queue);
        self.changed.insert(queue.to_owned(), held.saturating_sub(1));
        self.total = self.total.saturating_sub(1);
    }

    pub(super) fn into_parts(self) -> (HashMap<String, u64>, Vec<TurnedAway>) {
        (self.changed, self.turned_away)
    }

    fn take(&mut self, queue: &str) -> bool {
        let held = self.held(queue);
        let queues = self.room.by_queue.len() as u64 + u64::from(!self.room.by_queue.contains_key(queue));
        let has_room = self.total < self.room.most || held < self.room.most / queues.max(1);
        if has_room {
            self.add(queue);
        }
        has_room
    }

    fn add(&mut self, queue: &str) {
        let held = self.held(queue);
        self.changed.insert(queue.to_owned(), held + 1);
        self.total += 1;
    }

    fn held(&self, queue: &str) -> u64 {
        let found = self.changed.get(queue).or_else(|| self.room.by_queue.get(queue));
        found.copied().unwrap_or_default()
    }
}
