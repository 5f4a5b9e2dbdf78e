//! The identities that the API makes: documents in the catalog, and the [`Directory`] that follows them.
//!
//! A user, group, role or managed policy is one document, and so is what is kept of an account as such; the secrets of
//! access keys are sealed with the key ring.
//! [`Iam::open`] puts them beside the configuration's at start. A change is made by whoever holds [`Changing`]: read
//! the directory, decide, [`Changing::commit`]; the catalog has it first, then everybody sees it.

mod documents;
mod uses;

use std::collections::HashMap;
use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogError, Change};
use opentrail_identity::{Directory, Edit, Identities, IdentityError, KeyUse};
use opentrail_keys::KeyRing;
use tokio::sync::{Mutex, MutexGuard};

/// The stored identities.
#[derive(Debug)]
pub struct Iam {
    catalog: Arc<dyn Catalog>,
    directory: Arc<Directory>,
    keys: Arc<KeyRing>,
    /// One change at a time: each decides by what the one before left.
    gate: Mutex<()>,
    /// The last uses of keys as they are stored.
    stored_uses: Mutex<HashMap<String, KeyUse>>,
}

/// The right to change identities. Nobody else changes them meanwhile.
#[derive(Debug)]
pub struct Changing<'a> {
    iam: &'a Iam,
    /// Everybody, as of when the right was given.
    pub identities: Arc<Identities>,
    _guard: MutexGuard<'a, ()>,
}

/// Why the stored identities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// They cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A document does not hold together.
    #[error("{kind}/{key} cannot be used: {reason}")]
    Damaged {
        /// The document's kind.
        kind: &'static str,
        /// The document's key.
        key: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The configuration has defined the same.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Clashes(Vec<IdentityError>),
}

impl Iam {
    /// Reads what is stored and adds it to `directory`, which has the configuration's identities.
    ///
    /// # Errors
    /// [`OpenError`]; the directory is as it was then.
    pub async fn open(
        catalog: Arc<dyn Catalog>,
        directory: Arc<Directory>,
        keys: Arc<KeyRing>,
    ) -> Result<Self, OpenError> {
        let edits = documents::load(&*catalog, &keys).await?;
        directory.restore(&edits).map_err(OpenError::Clashes)?;
        let uses = uses::load(&*catalog).await?;
        directory.restore_uses(uses.clone());
        Ok(Self { catalog, directory, keys, gate: Mutex::default(), stored_uses: Mutex::new(uses) })
    }

    /// Waits for the right to change identities.
    pub async fn changing(&self) -> Changing<'_> {
        let guard = self.gate.lock().await;
        Changing { iam: self, identities: self.directory.identities(), _guard: guard }
    }
}

impl Changing<'_> {
    /// Makes the changes, all or none of them.
    ///
    /// # Errors
    /// When the catalog does not take them; nothing has changed then.
    ///
    /// # Cancellation
    /// The catalog may have the changes while the directory has not: let it run to its end.
    pub async fn commit(self, edits: &[Edit]) -> Result<(), CatalogError> {
        let changes = self.changes(edits);
        self.iam.catalog.commit(changes).await?;
        self.applied(edits);
        Ok(())
    }

    /// The changes as documents of the catalog, for who commits them in one transaction with others and says so with
    /// [`Self::applied`].
    pub fn changes(&self, edits: &[Edit]) -> Vec<Change> {
        edits.iter().map(|edit| documents::change(edit, &self.iam.keys)).collect()
    }

    /// The catalog has the changes: now everybody sees them.
    pub fn applied(self, edits: &[Edit]) {
        self.iam.directory.apply(edits);
    }
}

#[cfg(test)]
mod tests;
