use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::policy::{Policy, PolicyError, PolicyUse};

/// A policy document: its text as it was given, and what it means. Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct Document {
    text: Arc<str>,
    policy: Arc<Policy>,
}

impl Document {
    /// Parses a document.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn parse(text: &str, purpose: PolicyUse) -> Result<Self, PolicyError> {
        Ok(Self { policy: Arc::new(Policy::parse(text, purpose)?), text: text.into() })
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({})", self.text)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Document {
    /// A policy of an identity; for a role's trust policy see [`trust`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        stored(deserializer, PolicyUse::Identity)
    }
}

/// Reads a stored trust policy.
pub(super) fn trust<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
    stored(deserializer, PolicyUse::Trust)
}

fn stored<'de, D: Deserializer<'de>>(deserializer: D, purpose: PolicyUse) -> Result<Document, D::Error> {
    let text = String::deserialize(deserializer)?;
    Document::parse(&text, purpose).map_err(de::Error::custom)
}
