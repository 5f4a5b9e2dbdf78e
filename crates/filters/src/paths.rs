//! The paths that are wanted of a message, as a tree: what several selectors have in common is followed once.

use std::collections::HashMap;

use crate::json::{Selector, Step};

/// The number of a path, from 0 in the order in which they are added. Selectors that are spelled differently may name
/// the same path.
pub(crate) type Slot = usize;

/// A place in the tree.
pub(crate) type Place = u32;

/// A tree of steps.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    places: Vec<Steps>,
    slots: usize,
}

/// Where it goes on from a place.
#[derive(Clone, Debug, Default)]
struct Steps {
    names: HashMap<Box<str>, Place>,
    /// The lengths of the names, a bit for each (those of 63 and more have one together): most names of a message are
    /// no step, and told to be none by their length.
    lengths: u64,
    any_name: Option<Place>,
    indexes: HashMap<u32, Place>,
    any_index: Option<Place>,
    /// The path that ends here.
    slot: Option<Slot>,
}

impl Paths {
    pub(crate) const ROOT: Place = 0;

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    /// How many paths there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    pub(crate) fn add(&mut self, selector: &Selector) -> Slot {
        let mut place = Self::ROOT;
        for step in selector.steps() {
            let new = self.places.len() as Place;
            let steps = &mut self.places[place as usize];
            place = match step {
                Step::Name(name) => {
                    steps.lengths |= length_bit(name);
                    *steps.names.entry(name.clone()).or_insert(new)
                }
                Step::Index(index) => *steps.indexes.entry(*index).or_insert(new),
                Step::AnyName => *steps.any_name.get_or_insert(new),
                Step::AnyIndex => *steps.any_index.get_or_insert(new),
            };
            if place == new {
                self.places.push(Steps::default());
            }
        }
        let slot = self.places[place as usize].slot.get_or_insert(self.slots);
        self.slots += usize::from(*slot == self.slots);
        *slot
    }

    /// The path that ends at a place.
    pub(crate) fn slot(&self, place: Place) -> Option<Slot> {
        self.places[place as usize].slot
    }

    /// Where the property of an object leads: by its name, and as any.
    pub(crate) fn property(&self, place: Place, name: &str) -> (Option<Place>, Option<Place>) {
        let steps = &self.places[place as usize];
        let named = if steps.lengths & length_bit(name) == 0 { None } else { steps.names.get(name).copied() };
        (named, steps.any_name)
    }

    /// Where the element of an array leads: by its index, and as any.
    pub(crate) fn element(&self, place: Place, index: u32) -> (Option<Place>, Option<Place>) {
        let steps = &self.places[place as usize];
        let indexed = if steps.indexes.is_empty() { None } else { steps.indexes.get(&index).copied() };
        (indexed, steps.any_index)
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self { places: vec![Steps::default()], slots: 0 }
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}
