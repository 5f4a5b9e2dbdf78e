//! What was found in an event at the wanted paths, and which elements of arrays it lies in.

use std::ops::Range;

use crate::operators::Value;
use crate::paths::Slot;

/// An element of an array that is an object or an array itself, numbered in the order of the event from 1; 0 is outside
/// of all.
pub(crate) type Element = u32;

/// Outside of all arrays.
pub(crate) const OUTSIDE: Element = 0;

/// The values at the wanted paths. They stay where they are in the event's text; only strings with escapes, and those
/// that are not in the text, are spelled out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// In the order of the event.
    values: Vec<Item>,
    /// The first and the last value of each path.
    ends: Vec<Option<(u32, u32)>>,
    /// By their numbers, the first of which is [`OUTSIDE`].
    elements: Vec<Membership>,
    /// The arrays: the first element after each.
    arrays: Vec<Element>,
    pub(crate) spelled: String,
}

#[derive(Clone, Debug)]
struct Item {
    slot: Slot,
    kind: Kind,
    start: usize,
    end: usize,
    element: Element,
    /// The next one of the same path.
    next: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string: a range of the text.
    Text,
    /// A string: a range of what is spelled out.
    Spelled,
    /// A range of the text.
    Number,
    True,
    False,
    Null,
}

/// Which array an element is of, and which element that array lies in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) array: u32,
    pub(crate) parent: Element,
}

impl Found {
    /// The values at a path, in the order of the event, which has to be the one that they were found in, and the elements
    /// that they lie in.
    pub(crate) fn at<'e>(&'e self, slot: Slot, text: &'e str) -> impl Iterator<Item = (Value<'e>, Element)> {
        let first = self.ends[slot].map(|(first, _)| &self.values[first as usize]);
        std::iter::successors(first, |item| item.next.map(|next| &self.values[next as usize]))
            .map(|item| (self.value(item, text), item.element))
    }

    /// Whether there is a value at a path.
    pub(crate) fn is_at(&self, slot: Slot) -> bool {
        self.ends[slot].is_some()
    }

    /// All values with their paths, in the order of the event.
    pub(crate) fn all<'e>(&'e self, text: &'e str) -> impl Iterator<Item = (Slot, Value<'e>)> {
        self.values.iter().map(|item| (item.slot, self.value(item, text)))
    }

    /// Which array an element is of. Not for [`OUTSIDE`].
    pub(crate) fn membership(&self, element: Element) -> Membership {
        self.elements[element as usize]
    }

    /// The first element after an array, and after all that is in it.
    pub(crate) fn after(&self, array: u32) -> Element {
        self.arrays[array as usize]
    }

    /// How many arrays have objects or arrays for elements.
    pub(crate) fn arrays(&self) -> usize {
        self.arrays.len()
    }

    /// Makes room for other paths and another event.
    pub(crate) fn clear(&mut self, slots: usize) {
        for item in self.values.drain(..) {
            self.ends[item.slot] = None;
        }
        self.ends.resize(slots.max(self.ends.len()), None);
        self.elements.clear();
        self.elements.push(Membership { array: 0, parent: OUTSIDE });
        self.arrays.clear();
        self.spelled.clear();
    }

    pub(crate) fn keep(&mut self, slot: Slot, kind: Kind, range: Range<usize>, element: Element) {
        let new = self.values.len() as u32;
        self.values.push(Item { slot, kind, start: range.start, end: range.end, element, next: None });
        let ends = &mut self.ends[slot];
        if let Some((_, last)) = ends {
            self.values[*last as usize].next = Some(new);
            *last = new;
        } else {
            *ends = Some((new, new));
        }
    }

    /// A string that is not in the text.
    pub(crate) fn keep_text(&mut self, slot: Slot, text: &str) {
        let start = self.spelled.len();
        self.spelled.push_str(text);
        self.keep(slot, Kind::Spelled, start..self.spelled.len(), OUTSIDE);
    }

    /// A new array, by its number.
    pub(crate) fn begin_array(&mut self) -> u32 {
        self.arrays.push(0);
        self.arrays.len() as u32 - 1
    }

    /// Nothing comes in it any more.
    pub(crate) fn end_array(&mut self, array: u32) {
        self.arrays[array as usize] = self.elements.len() as Element;
    }

    /// A new element of an array.
    pub(crate) fn begin_element(&mut self, array: u32, parent: Element) -> Element {
        self.elements.push(Membership { array, parent });
        self.elements.len() as Element - 1
    }

    fn value<'e>(&'e self, item: &Item, text: &'e str) -> Value<'e> {
        match item.kind {
            Kind::Text => Value::Text(&text[item.start..item.end]),
            Kind::Spelled => Value::Text(&self.spelled[item.start..item.end]),
            Kind::Number => Value::Number(&text[item.start..item.end]),
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Null => Value::Null,
        }
    }
}
