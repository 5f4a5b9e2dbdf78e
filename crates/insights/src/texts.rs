//! Texts, each held once and named by a number.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

/// Texts that nothing refers to are looked for when there are so many more than at the last time.
const SLACK: usize = 65_536;

/// The number of a text.
pub(crate) type TextId = u32;

/// A table of texts. What nothing refers to any more goes with [`Texts::sweep`].
#[derive(Debug, Default)]
pub(crate) struct Texts {
    slots: Vec<Option<Arc<str>>>,
    free: Vec<TextId>,
    table: HashTable<TextId>,
    state: RandomState,
    /// How many there were after the last sweep.
    swept: usize,
}

impl Texts {
    /// The number of `text`, which is kept from now on.
    pub(crate) fn id(&mut self, text: &str) -> TextId {
        let hash = self.state.hash_one(text);
        if let Some(id) = self.table.find(hash, |id| self.slots[*id as usize].as_deref() == Some(text)) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as TextId
        });
        self.slots[id as usize] = Some(text.into());
        let (state, slots) = (&self.state, &self.slots);
        self.table.insert_unique(hash, id, |id| state.hash_one(slots[*id as usize].as_deref().unwrap_or_default()));
        id
    }

    /// The text; empty when it went with a sweep.
    pub(crate) fn text(&self, id: TextId) -> &str {
        self.slots.get(id as usize).and_then(|slot| slot.as_deref()).unwrap_or_default()
    }

    /// Whether a sweep is worth its time.
    pub(crate) fn is_full(&self) -> bool {
        self.table.len() > self.swept * 2 + SLACK
    }

    /// Forgets all texts but those `used`.
    pub(crate) fn sweep(&mut self, used: impl Iterator<Item = TextId>) {
        let mut is_used = vec![false; self.slots.len()];
        used.for_each(|id| is_used[id as usize] = true);
        self.table.retain(|id| is_used[*id as usize]);
        for (id, slot) in self.slots.iter_mut().enumerate() {
            if !is_used[id] && slot.take().is_some() {
                self.free.push(id as TextId);
            }
        }
        self.swept = self.table.len();
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_until_it_is_swept() {
        let mut texts = Texts::default();
        let (a, b) = (texts.id("a"), texts.id("b"));
        assert_eq!((texts.id("a"), texts.id("b")), (a, b));
        texts.sweep([b].into_iter());
        assert_eq!((texts.text(a), texts.text(b), texts.len()), ("", "b", 1));
        assert_eq!(texts.id("c"), a, "the number is free again");
        assert_eq!(texts.text(a), "c");
        assert_eq!(texts.id("b"), b);
    }
}
