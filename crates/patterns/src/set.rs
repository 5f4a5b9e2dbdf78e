//! Many patterns, asked about one event after the other.

use std::fmt;
use std::hash::Hash;

use hashbrown::HashMap;

use crate::evaluation::Evaluation;
use crate::event::{Event, Scanner};
use crate::index::Index;
use crate::operators::Tests;
use crate::paths::{Paths, Slot};
use crate::pattern::EventPattern;

/// How many patterns may be removed before all is made anew, beside as many as there are left.
const REMOVED: usize = 64;

/// Patterns by keys: hundreds of them cost little more than a few, as long as few match.
///
/// Inserting takes time in proportion to the pattern alone, and so does removing, on average.
///
/// ```
/// use opentrail_patterns::{Event, EventPattern, PatternSet, Scratch};
///
/// let mut rules = PatternSet::new();
/// rules.insert("ec2", EventPattern::parse(r#"{"source": ["aws.ec2"]}"#)?);
/// rules.insert("iam", EventPattern::parse(r#"{"source": ["aws.iam"]}"#)?);
/// let (event, mut scratch) = (Event::Whole(br#"{"source": "aws.iam"}"#), Scratch::default());
/// assert!(rules.matches(&event, &mut scratch).eq([&"iam"]));
/// # Ok::<(), opentrail_patterns::InvalidPattern>(())
/// ```
#[derive(Clone)]
pub struct PatternSet<K> {
    /// In the order in which they came. Nothing where one was removed.
    entries: Vec<Option<Entry<K>>>,
    numbers: HashMap<K, u32>,
    compiled: Compiled,
}

#[derive(Clone)]
struct Entry<K> {
    key: K,
    pattern: EventPattern,
}

/// All patterns together.
#[derive(Clone, Default)]
struct Compiled {
    paths: Paths,
    tests: Vec<Tests>,
    /// The numbers of the tests, by the paths and how they are spelled.
    known: HashMap<(Slot, Box<str>), u32>,
    combinations: Vec<Combination>,
    index: Index,
}

#[derive(Clone)]
struct Combination {
    entry: u32,
    /// The paths, and the numbers of the tests.
    conditions: Box<[(Slot, u32)]>,
}

/// Memory for [`PatternSet::matches`], kept from one event to the next, and from one set to another.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    scanner: Scanner,
    evaluation: Evaluation,
    /// The number of the event.
    turn: u64,
    /// The combinations that were told of, by the numbers of the events.
    told: Vec<u64>,
    candidates: Vec<u32>,
    matching: Vec<u32>,
    folded: String,
}

impl<K: Clone + Eq + Hash> PatternSet<K> {
    /// A set of no patterns.
    pub fn new() -> Self {
        Self { entries: Vec::new(), numbers: HashMap::new(), compiled: Compiled::default() }
    }

    /// Adds a pattern. Returns the one that had the key and is replaced.
    pub fn insert(&mut self, key: K, pattern: EventPattern) -> Option<EventPattern> {
        let replaced = self.remove(&key);
        let number = self.entries.len() as u32;
        self.compiled.add(number, &pattern);
        self.numbers.insert(key.clone(), number);
        self.entries.push(Some(Entry { key, pattern }));
        replaced
    }

    /// Takes a pattern out, if there is one.
    pub fn remove(&mut self, key: &K) -> Option<EventPattern> {
        let number = self.numbers.remove(key)?;
        let removed = self.entries.get_mut(number as usize)?.take();
        if self.entries.len() > 2 * self.numbers.len() + REMOVED {
            self.renew();
        }
        removed.map(|entry| entry.pattern)
    }

    /// The pattern of a key.
    pub fn pattern(&self, key: &K) -> Option<&EventPattern> {
        let number = *self.numbers.get(key)?;
        self.entries.get(number as usize)?.as_ref().map(|entry| &entry.pattern)
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The keys of the patterns that match an event, in the order in which they were inserted: those whose
    /// [`EventPattern::matches`] is true. (Only for events and patterns that are made to be costly the two may differ: the
    /// patterns of a set share the steps that are made for an event with arrays, and once these are used up, conditions
    /// that hold each by itself are taken to hold together.)
    pub fn matches<'a>(&'a self, event: &Event<'_>, scratch: &'a mut Scratch) -> impl Iterator<Item = &'a K> {
        self.find(event, scratch);
        scratch
            .matching
            .iter()
            .filter_map(|number| self.entries.get(*number as usize)?.as_ref().map(|entry| &entry.key))
    }

    /// Finds the numbers of the patterns that match.
    fn find(&self, event: &Event<'_>, scratch: &mut Scratch) {
        let Scratch { scanner, evaluation, turn, told, candidates, matching, folded } = scratch;
        let Compiled { paths, tests, combinations, index, .. } = &self.compiled;
        candidates.clear();
        matching.clear();
        let Some(seen) = scanner.scan(paths, event) else { return };
        *turn += 1;
        told.resize(combinations.len().max(told.len()), 0);
        let mut tell = |number: u32| {
            if std::mem::replace(&mut told[number as usize], *turn) != *turn {
                candidates.push(number);
            }
        };
        index.always().iter().copied().for_each(&mut tell);
        for (slot, value) in seen.found.all(seen.text) {
            index.candidates(slot, value, folded, &mut tell);
        }
        // The combinations of a pattern follow one another.
        candidates.sort_unstable();
        evaluation.begin(tests.len());
        for number in candidates.iter() {
            let Combination { entry, conditions } = &combinations[*number as usize];
            let removed = || self.entries.get(*entry as usize).is_none_or(Option::is_none);
            if matching.last() == Some(entry) || removed() {
                continue;
            }
            let of = |condition: usize| {
                let (slot, number) = conditions[condition];
                (slot, number as usize, &tests[number as usize])
            };
            if evaluation.holds(seen, conditions.len(), of) {
                matching.push(*entry);
            }
        }
    }

    /// Makes all anew of the patterns that are left.
    fn renew(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        self.numbers.clear();
        self.compiled = Compiled::default();
        for Entry { key, pattern } in entries.into_iter().flatten() {
            self.insert(key, pattern);
        }
    }
}

impl Compiled {
    fn add(&mut self, entry: u32, pattern: &EventPattern) {
        let pattern = pattern.compiled();
        let conditions: Vec<(Slot, u32)> = pattern
            .fields
            .iter()
            .map(|field| {
                let slot = self.paths.add(&field.path);
                let new = self.tests.len() as u32;
                let number = *self.known.entry((slot, field.spelling.clone())).or_insert(new);
                if number == new {
                    self.tests.push(field.tests.clone());
                }
                (slot, number)
            })
            .collect();
        for combination in &pattern.combinations {
            let number = self.combinations.len() as u32;
            let of = |field: &u32| conditions[*field as usize];
            let depth = |field: &u32| pattern.fields[*field as usize].path.len();
            self.index.add(
                number,
                combination.iter().map(|field| {
                    let (slot, number) = of(field);
                    (slot, depth(field), &self.tests[number as usize])
                }),
            );
            self.combinations.push(Combination { entry, conditions: combination.iter().map(of).collect() });
        }
    }
}

impl<K: Clone + Eq + Hash> Default for PatternSet<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Eq + Hash> FromIterator<(K, EventPattern)> for PatternSet<K> {
    fn from_iter<T: IntoIterator<Item = (K, EventPattern)>>(patterns: T) -> Self {
        let mut set = Self::new();
        patterns.into_iter().for_each(|(key, pattern)| drop(set.insert(key, pattern)));
        set
    }
}

impl<K: fmt::Debug> fmt::Debug for PatternSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.iter().flatten();
        f.debug_map().entries(entries.map(|entry| (&entry.key, &entry.pattern))).finish()
    }
}
