//! The catalog: small, revisioned documents (trails, delivery positions, signing keys, accounts …) changed in
//! transactions.
//!
//! [`Catalog`] is the seam; [`MemoryCatalog`] serves tests, [`SqliteCatalog`] is the embedded backend. Each concept
//! keeps its own typed documents on top, through [`CatalogExt`]; this crate knows none of them.

#[cfg(test)]
mod contract;
mod memory;
mod sqlite;

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use memory::MemoryCatalog;
pub use sqlite::SqliteCatalog;

/// A stored document with its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// Its key within its kind.
    pub key: String,
    /// Grows with every change, from 1.
    pub revision: u64,
    /// What is stored.
    pub value: T,
}

/// What a change expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever there is.
    Anything,
    /// No document of this key.
    Absent,
    /// The document at this revision.
    Revision(u64),
}

/// One change of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The kind of document: a plural noun, e.g. `trails`.
    pub kind: &'static str,
    /// The key within the kind.
    pub key: String,
    /// The change is refused unless this holds.
    pub expect: Expect,
    /// The new body, or `None` to delete.
    pub body: Option<Vec<u8>>,
}

impl Change {
    /// Writes `value` as JSON.
    ///
    /// # Panics
    /// When `value` has no JSON form; the catalog's documents are plain structs, which do.
    pub fn put(kind: &'static str, key: impl Into<String>, expect: Expect, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("catalog documents serialize to JSON");
        Self { kind, key: key.into(), expect, body: Some(body) }
    }

    /// Deletes the document.
    pub fn delete(kind: &'static str, key: impl Into<String>, expect: Expect) -> Self {
        Self { kind, key: key.into(), expect, body: None }
    }
}

/// A transactional store of revisioned documents.
///
/// # Promises
/// 1. `commit` applies all changes or none, and is `Ok` only once they survive a crash.
/// 2. Reads see only committed state; `commit`s are serialized.
/// 3. `list` is in key order (bytewise).
/// 4. A document's revision grows by one with every put; a deleted and re-created one starts again at 1.
#[async_trait]
pub trait Catalog: fmt::Debug + Send + Sync + 'static {
    /// The document, if there is one.
    async fn get(&self, kind: &'static str, key: &str) -> Result<Option<Versioned<Vec<u8>>>, CatalogError>;

    /// Up to `limit` documents whose key begins with `prefix` and is greater than `after` (empty: from the start).
    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Versioned<Vec<u8>>>, CatalogError>;

    /// Applies all changes, or none.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when an expectation does not hold: read again and decide anew.
    async fn commit(&self, changes: Vec<Change>) -> Result<(), CatalogError>;
}

/// Why the catalog did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// Somebody else changed the document meanwhile.
    #[error("{kind}/{key} was changed meanwhile")]
    Conflict {
        /// The document's kind.
        kind: String,
        /// The document's key.
        key: String,
    },
    /// A stored document does not have the form it should.
    #[error("{kind}/{key} cannot be read: {reason}")]
    Malformed {
        /// The document's kind.
        kind: String,
        /// The document's key.
        key: String,
        /// The parser's word.
        reason: String,
    },
    /// The store failed; trying again may help.
    #[error("the catalog is unavailable: {reason}")]
    Unavailable {
        /// The store's word.
        reason: String,
    },
}

/// Typed reading over [`Catalog`].
#[async_trait]
pub trait CatalogExt: Catalog {
    /// The document as a `T`.
    async fn find<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        key: &str,
    ) -> Result<Option<Versioned<T>>, CatalogError> {
        self.get(kind, key).await?.map(|document| typed(kind, document)).transpose()
    }

    /// Every document whose key begins with `prefix`, as `T`s, in key order.
    async fn all<T: DeserializeOwned + Send>(
        &self,
        kind: &'static str,
        prefix: &str,
    ) -> Result<Vec<Versioned<T>>, CatalogError> {
        const PAGE: usize = 1000;
        let mut out = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.list(kind, prefix, &after, PAGE).await?;
            let full = page.len() == PAGE;
            for document in page {
                after.clone_from(&document.key);
                out.push(typed(kind, document)?);
            }
            if !full {
                return Ok(out);
            }
        }
    }
}

impl<C: Catalog + ?Sized> CatalogExt for C {}

fn typed<T: DeserializeOwned>(kind: &str, document: Versioned<Vec<u8>>) -> Result<Versioned<T>, CatalogError> {
    let Versioned { key, revision, value } = document;
    match serde_json::from_slice(&value) {
        Ok(value) => Ok(Versioned { key, revision, value }),
        Err(error) => Err(CatalogError::Malformed { kind: kind.to_owned(), key, reason: error.to_string() }),
    }
}
