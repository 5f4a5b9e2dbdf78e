//! The paths that are wanted of an event, as a tree: what several have in common is followed once.

use hashbrown::HashMap;

/// The number of a path, from 0 in the order in which they are added.
pub(crate) type Slot = usize;

/// A place in the tree.
pub(crate) type Place = u32;

/// A tree of names. A name with dots in it is as many names as the dots separate: EventBridge joins the names that lead to
/// a value by dots and compares what comes of it. (User Guide, "Creating Amazon EventBridge event patterns",
/// considerations.)
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    places: Vec<Names>,
    slots: usize,
}

/// Where it goes on from a place.
#[derive(Clone, Debug, Default)]
struct Names {
    names: HashMap<Box<str>, Place>,
    /// The lengths of the names, a bit for each (those of 63 and more have one together): most names of an event are
    /// none of these, and told so by their length.
    lengths: u64,
    /// The path that ends here.
    slot: Option<Slot>,
}

impl Paths {
    pub(crate) const ROOT: Place = 0;

    /// How many paths there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Adds a path, given as its names joined by dots.
    pub(crate) fn add(&mut self, path: &str) -> Slot {
        let mut place = Self::ROOT;
        for name in path.split('.') {
            let new = self.places.len() as Place;
            let names = &mut self.places[place as usize];
            names.lengths |= length_bit(name);
            place = *names.names.entry(name.into()).or_insert(new);
            if place == new {
                self.places.push(Names::default());
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

    /// Where a property of an object leads.
    pub(crate) fn step(&self, place: Place, name: &str) -> Option<Place> {
        if memchr::memchr(b'.', name.as_bytes()).is_none() {
            return self.step_one(place, name);
        }
        name.split('.').try_fold(place, |place, name| self.step_one(place, name))
    }

    fn step_one(&self, place: Place, name: &str) -> Option<Place> {
        let names = &self.places[place as usize];
        if names.lengths & length_bit(name) == 0 { None } else { names.names.get(name).copied() }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self { places: vec![Names::default()], slots: 0 }
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}
