//! What was found in a message at the wanted paths.

use std::ops::Range;

use crate::paths::Slot;

/// The values at the wanted paths. They stay where they are in the message; only strings with escapes are spelled out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// In the order of the message.
    values: Vec<Value>,
    /// The first and the last value of each path.
    ends: Vec<Option<(usize, usize)>>,
    /// The strings with escapes, spelled out.
    pub(crate) spelled: String,
}

#[derive(Clone, Debug)]
struct Value {
    slot: Slot,
    kind: Kind,
    start: usize,
    end: usize,
    /// The next one of the same path.
    next: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string or a number: a range of the message.
    Text,
    /// A string: a range of what is spelled out.
    Spelled,
    True,
    False,
    Null,
    /// An object or an array.
    Container,
    /// Its name occurs once more in the same object, and the last one counts.
    Replaced,
}

/// A value at a wanted path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar<'m> {
    /// A string, or a number as it is spelled.
    Text(&'m str),
    Bool(bool),
    Null,
    /// An object or an array, which is there and has no value.
    Container,
}

impl<'m> Scalar<'m> {
    /// By which it is compared.
    pub(crate) fn text(self) -> Option<&'m str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::Container => None,
        }
    }
}

impl Found {
    /// The values at a path, in the order of the message, which has to be the one that they were found in.
    pub(crate) fn at<'m>(&'m self, slot: Slot, message: &'m str) -> impl Iterator<Item = Scalar<'m>> {
        let first = self.ends[slot].map(|(first, _)| &self.values[first]);
        std::iter::successors(first, |value| value.next.map(|next| &self.values[next]))
            .filter_map(|value| self.scalar(value, message))
    }

    /// All values with their paths, in the order of the message.
    pub(crate) fn all<'m>(&'m self, message: &'m str) -> impl Iterator<Item = (Slot, Scalar<'m>)> {
        self.values.iter().filter_map(|value| Some((value.slot, self.scalar(value, message)?)))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Makes room for other paths and another message.
    pub(crate) fn clear(&mut self, slots: usize) {
        for value in self.values.drain(..) {
            self.ends[value.slot] = None;
        }
        self.ends.resize(slots.max(self.ends.len()), None);
        self.spelled.clear();
    }

    pub(crate) fn keep(&mut self, slot: Slot, kind: Kind, range: Range<usize>) {
        let new = self.values.len();
        self.values.push(Value { slot, kind, start: range.start, end: range.end, next: None });
        let ends = &mut self.ends[slot];
        if let Some((_, last)) = ends {
            self.values[*last].next = Some(new);
            *last = new;
        } else {
            *ends = Some((new, new));
        }
    }

    /// Values that count no more, by their numbers.
    pub(crate) fn replace(&mut self, values: Range<usize>) {
        self.values[values].iter_mut().for_each(|value| value.kind = Kind::Replaced);
    }

    fn scalar<'m>(&'m self, value: &Value, message: &'m str) -> Option<Scalar<'m>> {
        Some(match value.kind {
            Kind::Text => Scalar::Text(&message[value.start..value.end]),
            Kind::Spelled => Scalar::Text(&self.spelled[value.start..value.end]),
            Kind::True => Scalar::Bool(true),
            Kind::False => Scalar::Bool(false),
            Kind::Null => Scalar::Null,
            Kind::Container => Scalar::Container,
            Kind::Replaced => return None,
        })
    }
}
