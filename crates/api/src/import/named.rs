use opentrail_imports::ImportKey;

use crate::context::{Context, Outcome};

/// An `ImportId` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ImportId {text:?} is not the ID of an import: a UUID in lower-case letters.")]
pub(crate) struct ImportReferenceError {
    text: String,
}

impl Context<'_> {
    /// The import of the caller's account in the Region called that has this id.
    pub(super) fn import_key(&self, text: &str) -> Outcome<ImportKey> {
        let id = text.parse().map_err(|_| ImportReferenceError { text: text.to_owned() })?;
        Ok(ImportKey { account: self.account(), region: self.region().clone(), id })
    }
}
