//! Event buses as documents.

use opentrail_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::place::BusPlace;
use crate::tags::Tag;

/// An event bus. The default one has a document only once something of it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBus {
    /// Where it is.
    pub place: BusPlace,
    /// What its makers say of it.
    pub description: Option<String>,
    /// Who else may put events and rules: a policy document, if there is one.
    pub policy: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was made; `None` for the default bus before its first change.
    pub created: Option<Timestamp>,
    /// When it was changed last.
    pub modified: Option<Timestamp>,
}

impl EventBus {
    /// A bus without anything.
    pub(crate) fn new(place: BusPlace) -> Self {
        Self { place, description: None, policy: None, tags: Vec::new(), created: None, modified: None }
    }
}
