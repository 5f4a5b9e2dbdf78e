//! Event selectors: which are valid, and which events they take.
//!
//! The selectors themselves are values of `model` ([`Selectors`](opentrail_model::Selectors)), kept in the documents of
//! trails and event data stores. [`validate`] says what AWS would refuse; a [`Matcher`] is compiled of them once per
//! revision and picks rows of an `EventBatch` by its columns, parsing no JSON.

mod advanced;
mod basic;
mod error;
mod known;
mod matcher;
mod resources;
mod terms;

pub use error::{FieldError, SelectorError};
pub use matcher::Matcher;

use opentrail_model::Selectors;

/// What the selectors belong to: the rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A trail.
    Trail,
    /// An event data store.
    EventDataStore,
}

/// Checks what a trail or an event data store is to take.
pub fn validate(selectors: &Selectors, holder: Holder) -> Result<(), SelectorError> {
    match (selectors, holder) {
        (Selectors::Advanced { advanced }, _) => advanced::validate(advanced, holder),
        (Selectors::Basic(basic), Holder::Trail) => basic::validate(basic),
        (Selectors::Basic(_), Holder::EventDataStore) => Err(SelectorError::BasicInStore),
    }
}
