//! EventBridge's event patterns, and what its targets are sent.
//!
//! An [`EventPattern`] is read from its JSON (`tree`) into combinations of conditions (`combinations`), each of which is
//! a field's path and the tests that one of its values has to pass (`read_tests`, `operators` and the modules below). A
//! [`PatternSet`] asks hundreds of patterns about one [`Event`] for about the price of one: the event is walked once, by
//! `event`, for the values at the `paths` that any pattern names; `index` says which combinations one of the values could
//! match; only these are evaluated, by `evaluation`, and by `arrays` where it matters which element of an array a value
//! lies in. A pattern alone goes the same way but for the index.
//!
//! [`transform`] makes of a matched event what a target is sent.
//!
//! The behaviour is that of the EventBridge User Guide ("Comparison operators for use in event patterns") and of Event
//! Ruler, the library that AWS publishes for it. Patterns and events may be hostile: no nesting of either makes anything
//! recurse without a bound, numbers and wildcards take linear time, and the search in arrays is bounded.

mod address;
mod arrays;
mod combinations;
mod complexity;
mod error;
mod evaluation;
mod event;
mod fold;
mod found;
mod index;
mod number;
mod operators;
mod paths;
mod pattern;
mod read_tests;
mod set;
pub mod transform;
mod tree;
mod wildcard;

pub use error::{InvalidPattern, Place, Problem};
pub use event::Event;
pub use pattern::EventPattern;
pub use set::{PatternSet, Scratch};
