use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogExt, Change, Expect, Versioned};
use opentrail_model::{AccountId, Region, Timestamp};

use crate::error::KmsError;
use crate::key::{Alias, Key, KeyId, KeyPlace};
use crate::reference::{AliasPlace, Reference};

/// [`Key`]s, by account, Region and id.
const KEYS: &str = "kms-keys";
/// [`Alias`]es, by account, Region and name.
const ALIASES: &str = "kms-aliases";

/// The stored keys and aliases. A key whose waiting period is over is not found.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) catalog: Arc<dyn Catalog>,
}

/// A key that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) revision: u64,
    /// By which alias.
    pub(crate) alias: Option<String>,
}

impl Keys {
    /// The key that `reference` stands for.
    pub(crate) async fn require(&self, reference: &Reference, now: Timestamp) -> Result<Found, KmsError> {
        let (place, alias) = match reference {
            Reference::Key(place) => (place.clone(), None),
            Reference::Alias(alias) => {
                let found = self.alias(alias).await?.ok_or_else(|| no_alias(alias))?;
                let place = KeyPlace { account: alias.account, region: alias.region.clone(), id: found.value.target };
                (place, Some(alias.name.clone()))
            }
        };
        match self.find(&place, now).await? {
            Some(Versioned { value: key, revision, .. }) => Ok(Found { key, revision, alias }),
            None => Err(no_key(&place)),
        }
    }

    pub(crate) async fn find(&self, place: &KeyPlace, now: Timestamp) -> Result<Option<Versioned<Key>>, KmsError> {
        let found = self.catalog.find::<Key>(KEYS, &place.document()).await?;
        Ok(found.filter(|found| !found.value.is_gone(now)))
    }

    pub(crate) async fn alias(&self, place: &AliasPlace) -> Result<Option<Versioned<Alias>>, KmsError> {
        Ok(self.catalog.find(ALIASES, &place.document()).await?)
    }

    /// Keys of `account` in `region` whose id is greater than `after`, by id.
    pub(crate) async fn page(
        &self,
        account: AccountId,
        region: &Region,
        after: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<KeyId>, KmsError> {
        let prefix = format!("{account}/{region}/");
        let after = if after.is_empty() { String::new() } else { format!("{prefix}{after}") };
        let all = self.catalog.all::<Key>(KEYS, &prefix).await?;
        let later = all.into_iter().filter(|found| found.key > after && !found.value.is_gone(now));
        Ok(later.map(|found| found.value.id).take(limit).collect())
    }

    /// The aliases of `account` in `region`, by name.
    pub(crate) async fn aliases(&self, account: AccountId, region: &Region) -> Result<Vec<Alias>, KmsError> {
        let all = self.catalog.all::<Alias>(ALIASES, &format!("{account}/{region}/")).await?;
        Ok(all.into_iter().map(|found| found.value).collect())
    }

    pub(crate) async fn all(&self) -> Result<Vec<Versioned<Key>>, KmsError> {
        Ok(self.catalog.all(KEYS, "").await?)
    }

    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), KmsError> {
        Ok(self.catalog.commit(changes).await?)
    }

    /// Stores the next version of a key that was read at `revision`.
    pub(crate) async fn replace(&self, key: &Key, revision: u64) -> Result<(), KmsError> {
        self.commit(vec![put_key(key, Expect::Revision(revision))]).await
    }
}

pub(crate) fn put_key(key: &Key, expect: Expect) -> Change {
    Change::put(KEYS, key.place().document(), expect, key)
}

pub(crate) fn put_alias(place: &AliasPlace, alias: &Alias, expect: Expect) -> Change {
    Change::put(ALIASES, place.document(), expect, alias)
}

pub(crate) fn delete_alias(place: &AliasPlace, expect: Expect) -> Change {
    Change::delete(ALIASES, place.document(), expect)
}

pub(crate) fn delete_key(place: &KeyPlace, expect: Expect) -> Change {
    Change::delete(KEYS, place.document(), expect)
}

pub(crate) fn no_key(place: &KeyPlace) -> KmsError {
    KmsError::NotFound(format!("Key '{}' does not exist", place.arn()))
}

pub(crate) fn no_alias(place: &AliasPlace) -> KmsError {
    KmsError::NotFound(format!("Alias {} is not found.", place.arn()))
}
