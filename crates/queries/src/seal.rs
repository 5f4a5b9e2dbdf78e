//! Rows of queries over event data stores with KMS keys: sealed as what they were read from.

use std::fmt;
use std::sync::Arc;

use opentrail_keys::Material;
use opentrail_runtime::Random;
use opentrail_stores::{DataKey, DataKeys, SealedDataKey, StoreKey, StoreKeyError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What the key of rows is made for.
const PURPOSE: &[u8] = b"rows of a query";

/// A data key that is needed to open rows, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedBy {
    store: StoreKey,
    #[serde(flatten)]
    key: SealedDataKey,
}

/// Seals the rows of one query and opens them. Of several stores the data keys of all are needed.
#[derive(Clone)]
pub(crate) struct Seal {
    material: Material,
    by: Vec<SealedBy>,
    random: Arc<dyn Random>,
}

impl Seal {
    /// A new one for rows of these stores, each with its KMS key; `None` when there is none.
    pub(crate) async fn new(
        keys: &DataKeys,
        stores: Vec<(StoreKey, String)>,
        random: &Arc<dyn Random>,
    ) -> Result<Option<Self>, StoreKeyError> {
        let (mut materials, mut by) = (Vec::new(), Vec::new());
        for (store, kms_key) in stores {
            let DataKey { material, sealed, .. } = keys.to_seal(&store, &kms_key).await?;
            materials.push(material);
            by.push(SealedBy { store, key: sealed });
        }
        Ok((!by.is_empty()).then(|| Self::of(&materials, by, random)))
    }

    /// The one that was made with these keys.
    pub(crate) async fn open(
        keys: &DataKeys,
        by: Vec<SealedBy>,
        random: &Arc<dyn Random>,
    ) -> Result<Self, StoreKeyError> {
        let mut materials = Vec::new();
        for SealedBy { store, key } in &by {
            materials.push(keys.open(store, key).await?);
        }
        Ok(Self::of(&materials, by, random))
    }

    fn of(materials: &[Material], by: Vec<SealedBy>, random: &Arc<dyn Random>) -> Self {
        Self { material: Material::combined(materials, PURPOSE), by, random: Arc::clone(random) }
    }

    /// The keys that it was made with.
    pub(crate) fn by(&self) -> &[SealedBy] {
        &self.by
    }

    /// A block of the query's rows, sealed for its place.
    pub(crate) fn seal(&self, query: Uuid, number: usize, block: &[u8]) -> Vec<u8> {
        self.material.seal(&place(query, number), block, &*self.random)
    }

    /// A block as it was; `None` when it was altered or is another.
    pub(crate) fn unseal(&self, query: Uuid, number: usize, block: &[u8]) -> Option<Vec<u8>> {
        self.material.open(&place(query, number), block).ok().map(|text| text.to_vec())
    }

    /// For a whole file beside the rows.
    pub(crate) fn file_key(&self) -> DataKey {
        // Nobody opens the file without the rows, and so knows the keys.
        let sealed = SealedDataKey { kms_key: String::new(), data_key: String::new() };
        DataKey { material: self.material.clone(), sealed, random: Arc::clone(&self.random) }
    }
}

fn place(query: Uuid, number: usize) -> Vec<u8> {
    format!("{query}/{number}").into_bytes()
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("by", &self.by).finish_non_exhaustive()
    }
}
