use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{Catalog, CatalogError, Change, Expect, Versioned};

/// Revision and body by kind and key.
type Documents = BTreeMap<(&'static str, String), (u64, Vec<u8>)>;

/// A catalog in memory: every promise but that of surviving the process. For tests.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    documents: Mutex<Documents>,
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn get(&self, kind: &'static str, key: &str) -> Result<Option<Versioned<Vec<u8>>>, CatalogError> {
        let documents = self.documents.lock();
        Ok(documents.get(&(kind, key.to_owned())).map(|(revision, body)| Versioned {
            key: key.to_owned(),
            revision: *revision,
            value: body.clone(),
        }))
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Versioned<Vec<u8>>>, CatalogError> {
        let documents = self.documents.lock();
        let from = (kind, prefix.max(after).to_owned());
        Ok(documents
            .range(from..)
            .take_while(|((k, key), _)| *k == kind && key.starts_with(prefix))
            .filter(|((_, key), _)| key.as_str() > after)
            .take(limit)
            .map(|((_, key), (revision, body))| Versioned {
                key: key.clone(),
                revision: *revision,
                value: body.clone(),
            })
            .collect())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), CatalogError> {
        let mut documents = self.documents.lock();
        for Change { kind, key, expect, .. } in &changes {
            let current = documents.get(&(*kind, key.clone())).map(|(revision, _)| *revision);
            let holds = match expect {
                Expect::Anything => true,
                Expect::Absent => current.is_none(),
                Expect::Revision(revision) => current == Some(*revision),
            };
            if !holds {
                return Err(CatalogError::Conflict { kind: (*kind).to_owned(), key: key.clone() });
            }
        }
        for Change { kind, key, body, .. } in changes {
            match body {
                Some(body) => {
                    let slot = documents.entry((kind, key)).or_default();
                    *slot = (slot.0 + 1, body);
                }
                None => {
                    documents.remove(&(kind, key));
                }
            }
        }
        Ok(())
    }
}
