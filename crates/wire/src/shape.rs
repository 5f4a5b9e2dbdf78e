//! The service model's constraints as values, and inputs checked against them.
//!
//! The tables are generated; [`check`] walks a JSON document along one. What is wrong comes in two kinds, as in
//! AWS: a value of the wrong JSON type ends the reading at once ([`InputError::Serialization`]); values that break
//! constraints are all collected and told together ([`InputError::Invalid`]).

mod check;
mod pattern;
#[cfg(test)]
mod tests;
mod violation;

pub use check::{InputError, check};
pub use pattern::Pattern;
pub use violation::Violation;

/// An input that knows its constraints.
pub trait Validate {
    /// The table that the input is checked against.
    fn shape() -> &'static Shape;
}

/// The type of a value and its constraints.
#[derive(Debug)]
pub enum Shape {
    /// Bytes, as base64 text.
    Blob,
    /// `true` or `false`.
    Boolean,
    /// A number with a fraction.
    Real,
    /// Seconds since the epoch, or ISO 8601 text.
    Timestamp,
    /// A whole number.
    Whole(Whole),
    /// Text.
    Text(Text),
    /// An array.
    List(List),
    /// An object with free keys.
    Map(Map),
    /// An object with known members, in the model's order.
    Structure(&'static [Member]),
}

/// Bounds of a whole number, both inclusive.
#[derive(Debug)]
pub struct Whole {
    /// What the type holds: 32 or 64 bits. Beyond it is a serialization error.
    pub(crate) holds: (i64, i64),
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
}

impl Whole {
    pub(crate) const fn of_bits(bits: u32) -> Self {
        let most = i64::MAX >> (64 - bits);
        Self { holds: (-most - 1, most), min: None, max: None }
    }

    pub(crate) const fn range(self, min: Option<i64>, max: Option<i64>) -> Self {
        Self { min, max, ..self }
    }
}

/// Constraints of text: its length in Unicode code points, both bounds inclusive, a pattern for the whole of it, or
/// its possible values.
#[derive(Debug)]
pub struct Text {
    pub(crate) min: Option<usize>,
    pub(crate) max: Option<usize>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) values: &'static [&'static str],
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self { min: None, max: None, pattern: None, values: &[] }
    }

    /// Text of which the whole matches; the pattern as the model spells it, and in the dialect of `regex`.
    pub(crate) const fn matching(model: &'static str, rust: &'static str) -> Self {
        Self { min: None, max: None, pattern: Some(Pattern::new(model, rust)), values: &[] }
    }

    pub(crate) const fn length(mut self, min: Option<usize>, max: Option<usize>) -> Self {
        self.min = min;
        self.max = max;
        self
    }

    pub(crate) const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.values = values;
        self
    }
}

/// Constraints of an array: its number of elements, both bounds inclusive, and the elements' own.
#[derive(Debug)]
pub struct List {
    pub(crate) element: &'static Shape,
    pub(crate) min: Option<usize>,
    pub(crate) max: Option<usize>,
}

impl List {
    pub(crate) const fn of(element: &'static Shape) -> Self {
        Self { element, min: None, max: None }
    }

    pub(crate) const fn length(self, min: Option<usize>, max: Option<usize>) -> Self {
        Self { min, max, ..self }
    }
}

/// Constraints of a map: its number of entries, both bounds inclusive, and those of keys and values.
#[derive(Debug)]
pub struct Map {
    pub(crate) key: &'static Shape,
    pub(crate) value: &'static Shape,
    pub(crate) min: Option<usize>,
    pub(crate) max: Option<usize>,
    /// What an entry calls its key and its value in the Query protocol.
    pub(crate) names: (&'static str, &'static str),
}

impl Map {
    pub(crate) const fn of(key: &'static Shape, value: &'static Shape) -> Self {
        Self { key, value, min: None, max: None, names: ("key", "value") }
    }

    pub(crate) const fn named(self, key: &'static str, value: &'static str) -> Self {
        Self { names: (key, value), ..self }
    }

    pub(crate) const fn length(self, min: Option<usize>, max: Option<usize>) -> Self {
        Self { min, max, ..self }
    }
}

/// Where a member travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the JSON body.
    Body,
    /// In the query of the URL.
    Query,
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Its name on the wire.
    pub name: &'static str,
    /// Where it travels.
    pub location: Location,
    /// Whether its absence is an error.
    pub required: bool,
    /// What it holds.
    pub shape: &'static Shape,
}

impl Member {
    pub(crate) const fn required(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, location: Location::Body, required: true, shape }
    }

    pub(crate) const fn optional(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, location: Location::Body, required: false, shape }
    }

    pub(crate) const fn required_in_query(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, location: Location::Query, required: true, shape }
    }

    pub(crate) const fn optional_in_query(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, location: Location::Query, required: false, shape }
    }
}
