//! All keys that are watched, within a bound.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::key::{Key, KeyRef};
use crate::tracked::Tracked;

/// How many keys are looked at to find one that may go.
const LOOKED_AT: usize = 64;

/// A place in the table.
pub(crate) type Slot = usize;

/// The keys, found by what an event tells.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    slots: Vec<Option<Box<Tracked>>>,
    free: Vec<Slot>,
    table: HashTable<Slot>,
    state: RandomState,
    /// Where the last search for one that may go ended.
    hand: Slot,
}

impl Keys {
    pub(crate) fn find(&self, key: &KeyRef<'_>) -> Option<Slot> {
        let is_it = |slot: &Slot| self.slots[*slot].as_ref().is_some_and(|tracked| tracked.key.borrowed() == *key);
        self.table.find(self.state.hash_one(key), is_it).copied()
    }

    pub(crate) fn insert(&mut self, tracked: Tracked) -> Slot {
        let hash = self.hash(&tracked.key);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(Box::new(tracked));
        let (state, slots) = (&self.state, &self.slots);
        let hash_of = |slot: &Slot| slots[*slot].as_ref().map_or(0, |tracked| state.hash_one(tracked.key.borrowed()));
        self.table.insert_unique(hash, slot, hash_of);
        slot
    }

    fn hash(&self, key: &Key) -> u64 {
        self.state.hash_one(key.borrowed())
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Tracked> {
        self.slots.get(slot)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Tracked> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Tracked)> {
        self.slots.iter().enumerate().filter_map(|(slot, tracked)| Some((slot, tracked.as_deref()?)))
    }

    /// Makes room: of the next keys around the table the one that goes is without calls in the open minute if there is such, and
    /// silent for longest. One with an episode stays. What is new is never what goes, so that a key that bursts for the first time in
    /// its life has its place.
    pub(crate) fn evict(&mut self) -> Option<Tracked> {
        let mut chosen: Option<(Slot, (u32, u32))> = None;
        for _ in 0..LOOKED_AT.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(tracked) = self.get(self.hand) else { continue };
            let worth = (tracked.count, tracked.series.latest().0);
            if tracked.series.episode().is_none() && chosen.is_none_or(|(_, least)| worth < least) {
                chosen = Some((self.hand, worth));
            }
        }
        self.remove(chosen?.0)
    }

    fn remove(&mut self, slot: Slot) -> Option<Tracked> {
        let tracked = self.slots[slot].take()?;
        if let Ok(entry) = self.table.find_entry(self.hash(&tracked.key), |other| *other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(*tracked)
    }
}
