use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect, Versioned};
use opentrail_model::{AccountId, Arn, Region, Timestamp};
use opentrail_trails::OrganizationScope;

use crate::{EventDataStore, StoreChange, StoreKey};

const KIND: &str = "event-data-stores";

/// Event data stores per Region that an account can have, those of other Regions that collect from all of them and those
/// pending deletion included. (User Guide, "Quotas in AWS CloudTrail".)
pub const MAX_STORES_PER_REGION: usize = 10;

/// The stored event data stores.
#[derive(Clone, Debug)]
pub struct Stores {
    catalog: Arc<dyn Catalog>,
}

/// Why an event data store could not be read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such store.
    #[error("The event data store {arn} was not found.")]
    NotFound {
        /// What was asked for, as an ARN.
        arn: Arn,
    },
    /// The name is taken.
    #[error("An event data store named {name} already exists in this Region.")]
    AlreadyExists {
        /// The name.
        name: String,
    },
    /// The Region is full.
    #[error("Account {account} already has {MAX_STORES_PER_REGION} event data stores in {region}.")]
    TooMany {
        /// Whose stores.
        account: AccountId,
        /// Where.
        region: Region,
    },
    /// Somebody else changed it meanwhile.
    #[error("the event data store was changed by another request; try again")]
    Changed,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
}

impl From<CatalogError> for StoreError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Conflict { .. } => Self::Changed,
            other => Self::Catalog(other),
        }
    }
}

impl Stores {
    /// The stores stored in `catalog`.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { catalog }
    }

    /// Every store of `account` that is not past restoring at `now`, in the order of home Region and id.
    pub async fn of_account(&self, account: AccountId, now: Timestamp) -> Result<Vec<EventDataStore>, StoreError> {
        let all = self.catalog.all::<EventDataStore>(KIND, &format!("{account}/")).await?;
        Ok(all.into_iter().map(|document| document.value).filter(|store| !store.is_gone(now)).collect())
    }

    /// Every store of every account, with the revision to hand to [`Self::delete`].
    pub async fn all(&self) -> Result<Vec<Versioned<EventDataStore>>, StoreError> {
        Ok(self.catalog.all(KIND, "").await?)
    }

    /// The store, with the revision to hand to [`Self::replace`]. One past restoring at `now` is none.
    pub async fn find(&self, key: &StoreKey, now: Timestamp) -> Result<Option<Versioned<EventDataStore>>, StoreError> {
        let found = self.catalog.find::<EventDataStore>(KIND, &key.to_string()).await?;
        Ok(found.filter(|store| !store.value.is_gone(now)))
    }

    /// Stores a new event data store. Two of one account must not be created at once: the name is looked for first.
    pub async fn create(&self, store: &EventDataStore) -> Result<(), StoreError> {
        self.require_name(store).await?;
        self.require_room(store).await?;
        let change = Change::put(KIND, store.key.to_string(), Expect::Absent, store);
        Ok(self.catalog.commit(vec![change]).await?)
    }

    /// Stores the next version of a store that was read at `revision`. Its `version` must have been raised.
    pub async fn replace(&self, store: &EventDataStore, revision: u64) -> Result<(), StoreError> {
        Ok(self.catalog.commit(vec![Self::replacement(store, revision)]).await?)
    }

    /// Stores the next versions of several stores, all or none.
    pub async fn replace_all(&self, stores: &[Versioned<EventDataStore>]) -> Result<(), StoreError> {
        let changes = stores.iter().map(|store| Self::replacement(&store.value, store.revision)).collect();
        Ok(self.catalog.commit(changes).await?)
    }

    /// The same as a part of another change.
    pub(crate) fn replacement(store: &EventDataStore, revision: u64) -> Change {
        Change::put(KIND, store.key.to_string(), Expect::Revision(revision), store)
    }

    /// What becomes of the organization's stores, which belong to its management account, when its members are others: for
    /// the transaction in which they change, and for the journal. Without an organization they are stores of the account.
    pub async fn rescoped(
        &self,
        management: AccountId,
        scope: Option<&OrganizationScope>,
    ) -> Result<Vec<(Change, StoreChange)>, CatalogError> {
        let all = self.catalog.all::<EventDataStore>(KIND, &format!("{management}/")).await?;
        let concerned = |store: &EventDataStore| store.organization.is_some() && store.organization.as_ref() != scope;
        let changed = all.into_iter().filter(|document| concerned(&document.value)).map(|document| {
            let Versioned { revision, value: mut store, .. } = document;
            store.set_organization(scope.cloned());
            store.version += 1;
            (Self::replacement(&store, revision), StoreChange::PutEventDataStore(store.into()))
        });
        Ok(changed.collect())
    }

    /// Removes a store that was read at `revision`, together with what `more` says.
    pub async fn delete(&self, key: &StoreKey, revision: u64, more: Vec<Change>) -> Result<(), StoreError> {
        let mut changes = vec![Change::delete(KIND, key.to_string(), Expect::Revision(revision))];
        changes.extend(more);
        Ok(self.catalog.commit(changes).await?)
    }

    /// Checks that no other store of the account and Region has the name. One pending deletion keeps its name, as it can
    /// be restored: a choice.
    pub async fn require_name(&self, store: &EventDataStore) -> Result<(), StoreError> {
        let taken = |other: &EventDataStore| {
            other.key != store.key && other.key.home_region == store.key.home_region && other.name == store.name
        };
        if self.of_account(store.key.account, store.updated).await?.iter().any(taken) {
            return Err(StoreError::AlreadyExists { name: store.name.clone() });
        }
        Ok(())
    }

    /// Checks that `store` may be added, or may become multi-Region, beside the account's other stores.
    pub async fn require_room(&self, store: &EventDataStore) -> Result<(), StoreError> {
        let all = self.of_account(store.key.account, store.updated).await?;
        let others: Vec<_> = all.into_iter().filter(|other| other.key != store.key).collect();
        let mut regions = vec![&store.key.home_region];
        if store.multi_region {
            regions.extend(others.iter().map(|other| &other.key.home_region));
        }
        for region in regions {
            if others.iter().filter(|other| other.covers(region)).count() >= MAX_STORES_PER_REGION {
                return Err(StoreError::TooMany { account: store.key.account, region: region.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentrail_catalog::MemoryCatalog;
    use uuid::Uuid;

    use super::*;
    use crate::{PENDING_DELETION, StoreChange};

    fn store(region: &str, number: u128, name: &str, multi_region: bool) -> EventDataStore {
        let key = StoreKey {
            account: "111122223333".parse().unwrap(),
            home_region: region.parse().unwrap(),
            id: Uuid::from_u128(number),
        };
        EventDataStore { multi_region, ..EventDataStore::new(key, name, Vec::new(), Timestamp::EPOCH) }
    }

    fn stores() -> Stores {
        Stores::new(Arc::new(MemoryCatalog::default()))
    }

    #[test]
    fn keys_are_read_from_arns_of_stores_only() {
        let key = store("eu-west-1", 7, "s", false).key;
        let arn = key.arn().to_string();
        assert_eq!(
            arn,
            "arn:aws:cloudtrail:eu-west-1:111122223333:eventdatastore/00000000-0000-0000-0000-000000000007"
        );
        assert_eq!(StoreKey::from_arn(&arn, "aws").as_ref(), Some(&key));
        assert_eq!(StoreKey::from_text(&key.to_string()), Some(key));
        let wrong =
            [arn.replace("eventdatastore", "channel"), arn.replace("0007", "000"), arn.replace("cloudtrail", "s3")];
        for wrong in wrong {
            assert_eq!(StoreKey::from_arn(&wrong, "aws"), None, "{wrong}");
        }
        assert_eq!(StoreKey::from_arn(&arn, "aws-cn"), None);
    }

    #[test]
    fn a_change_is_read_back_and_one_of_a_trail_is_none() {
        let change = StoreChange::PutEventDataStore(Box::new(store("us-east-1", 1, "s", true)));
        assert_eq!(StoreChange::from_bytes(&change.to_bytes()), Some(change));
        assert_eq!(StoreChange::from_bytes(br#"{"deleteTrail":{"account":"111122223333"}}"#), None);
    }

    #[tokio::test]
    async fn a_name_is_taken_once_in_a_region_and_free_in_another() {
        let stores = stores();
        stores.create(&store("us-east-1", 1, "main", false)).await.unwrap();
        let again = stores.create(&store("us-east-1", 2, "main", false)).await.unwrap_err();
        assert!(matches!(again, StoreError::AlreadyExists { name } if name == "main"));
        stores.create(&store("eu-west-1", 3, "main", false)).await.unwrap();
    }

    #[tokio::test]
    async fn stores_of_all_regions_take_a_place_in_every_region() {
        let stores = stores();
        for number in 0..9 {
            stores.create(&store("us-east-1", number, &format!("store-{number}"), false)).await.unwrap();
        }
        stores.create(&store("eu-west-1", 20, "wide", true)).await.unwrap();
        let full = stores.create(&store("us-east-1", 21, "eleventh", false)).await.unwrap_err();
        assert!(matches!(full, StoreError::TooMany { region, .. } if region.as_str() == "us-east-1"));
        let wide = stores.create(&store("eu-west-1", 22, "wider", true)).await.unwrap_err();
        assert!(matches!(wide, StoreError::TooMany { region, .. } if region.as_str() == "us-east-1"));
    }

    #[tokio::test]
    async fn a_deleted_store_is_there_for_seven_days_and_then_frees_its_name() {
        let stores = stores();
        let mut gone = store("us-east-1", 1, "main", false);
        stores.create(&gone).await.unwrap();
        let read = stores.find(&gone.key, Timestamp::EPOCH).await.unwrap().unwrap();
        gone.gone_at = Some(Timestamp::EPOCH + PENDING_DELETION);
        stores.replace(&gone, read.revision).await.unwrap();
        assert!(matches!(stores.replace(&gone, read.revision).await, Err(StoreError::Changed)));
        let last = Timestamp::EPOCH + PENDING_DELETION - Duration::from_millis(1);
        assert!(stores.find(&gone.key, last).await.unwrap().is_some());
        let after = Timestamp::EPOCH + PENDING_DELETION;
        assert!(stores.find(&gone.key, after).await.unwrap().is_none());
        assert_eq!(stores.all().await.unwrap().len(), 1, "its document waits for its table");
        stores.create(&EventDataStore { updated: after, ..store("us-east-1", 2, "main", false) }).await.unwrap();
    }
}
