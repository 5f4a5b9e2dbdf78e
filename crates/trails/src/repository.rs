use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect, Versioned};
use opentrail_model::{AccountId, Arn, Region};

use crate::{OrganizationScope, Trail, TrailChange, TrailKey};

const KIND: &str = "trails";

/// Trails per Region that an account can have, shadow trails included. (General Reference, CloudTrail quotas.)
pub const MAX_TRAILS_PER_REGION: usize = 5;

/// The stored trails.
#[derive(Clone, Debug)]
pub struct Trails {
    catalog: Arc<dyn Catalog>,
}

/// Why a trail could not be read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrailError {
    /// There is no such trail. `arn` is the name asked for, expanded as AWS does.
    #[error("Unknown trail: {arn} for the user: {account}")]
    NotFound {
        /// The trail's ARN.
        arn: Arn,
        /// Who asked.
        account: AccountId,
    },
    /// The name is taken.
    #[error("Trail {} already exists for customer: {}", key.name, key.account)]
    AlreadyExists {
        /// The trail that has it.
        key: TrailKey,
    },
    /// The Region is full.
    #[error("User: {account} already has {MAX_TRAILS_PER_REGION} trails in {region}.")]
    TooMany {
        /// Whose trails.
        account: AccountId,
        /// Where.
        region: Region,
    },
    /// Somebody else changed it meanwhile.
    #[error("the trail was changed by another request; try again")]
    Changed,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
}

impl From<CatalogError> for TrailError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Conflict { .. } => Self::Changed,
            other => Self::Catalog(other),
        }
    }
}

impl Trails {
    /// The trails stored in `catalog`.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { catalog }
    }

    /// Every trail of `account`, in the order of home Region and name.
    pub async fn of_account(&self, account: AccountId) -> Result<Vec<Trail>, TrailError> {
        let all = self.catalog.all::<Trail>(KIND, &format!("{account}/")).await?;
        Ok(all.into_iter().map(|document| document.value).collect())
    }

    /// The organization trails of `owner`, a management account, that `account` sees as shadows.
    pub async fn shadows(&self, account: AccountId, owner: AccountId) -> Result<Vec<Trail>, TrailError> {
        let all = self.of_account(owner).await?;
        Ok(all.into_iter().filter(|trail| trail.is_shadow_in(account)).collect())
    }

    /// What becomes of the organization trails of `management` when its organization is `scope`, or is no more: the
    /// changes to commit, and to append to the journal in the same order. Hold the account's turn from here on.
    ///
    /// Without an organization they become trails of the one account. (User Guide, "Creating a trail for an
    /// organization".)
    pub async fn rescoped(
        &self,
        management: AccountId,
        scope: Option<&OrganizationScope>,
    ) -> Result<Vec<(Change, TrailChange)>, CatalogError> {
        let all = self.catalog.all::<Trail>(KIND, &format!("{management}/")).await?;
        let concerned = |trail: &Trail| trail.organization.is_some() && trail.organization.as_ref() != scope;
        let changed = all.into_iter().filter(|document| concerned(&document.value)).map(|document| {
            let Versioned { key, revision, value: mut trail } = document;
            trail.organization = scope.cloned();
            trail.version += 1;
            let change = Change::put(KIND, key, Expect::Revision(revision), &trail);
            (change, TrailChange::PutTrail(trail.into()))
        });
        Ok(changed.collect())
    }

    /// Every trail of every account.
    pub async fn all(&self) -> Result<Vec<Trail>, TrailError> {
        let all = self.catalog.all::<Trail>(KIND, "").await?;
        Ok(all.into_iter().map(|document| document.value).collect())
    }

    /// The trail, with the revision to hand to [`Self::replace`] or [`Self::delete`].
    pub async fn find(&self, key: &TrailKey) -> Result<Option<Versioned<Trail>>, TrailError> {
        Ok(self.catalog.find(KIND, &key.to_string()).await?)
    }

    /// Like [`Self::find`], but its absence is an error; `caller` is who asks.
    pub async fn require(&self, key: &TrailKey, caller: AccountId) -> Result<Versioned<Trail>, TrailError> {
        self.find(key).await?.ok_or_else(|| TrailError::NotFound { arn: key.arn(), account: caller })
    }

    /// Stores a new trail; `shadows` are the organization trails that its owner sees beside its own.
    ///
    /// A multi-Region trail counts in every Region, so it needs room in each Region that has trails. Two trails that
    /// are created at the same moment could both find the last place free; a choice, as AWS's limit is soft there too.
    pub async fn create(&self, trail: &Trail, shadows: &[Trail]) -> Result<(), TrailError> {
        if self.find(&trail.key).await?.is_some() {
            return Err(TrailError::AlreadyExists { key: trail.key.clone() });
        }
        self.require_room(trail, shadows).await?;
        let change = Change::put(KIND, trail.key.to_string(), Expect::Absent, trail);
        match self.catalog.commit(vec![change]).await {
            Err(CatalogError::Conflict { .. }) => Err(TrailError::AlreadyExists { key: trail.key.clone() }),
            other => Ok(other?),
        }
    }

    /// Stores the next version of a trail that was read at `revision`. Its `version` must have been raised.
    pub async fn replace(&self, trail: &Trail, revision: u64) -> Result<(), TrailError> {
        let change = Change::put(KIND, trail.key.to_string(), Expect::Revision(revision), trail);
        Ok(self.catalog.commit(vec![change]).await?)
    }

    /// Removes a trail that was read at `revision`.
    pub async fn delete(&self, key: &TrailKey, revision: u64) -> Result<(), TrailError> {
        let change = Change::delete(KIND, key.to_string(), Expect::Revision(revision));
        Ok(self.catalog.commit(vec![change]).await?)
    }

    /// Checks that `trail` may be added, or may become multi-Region, beside the account's other trails and the
    /// organization trails that it sees. Those come whether there is room or not. (User Guide, "Quotas".)
    pub async fn require_room(&self, trail: &Trail, shadows: &[Trail]) -> Result<(), TrailError> {
        let mut others: Vec<Trail> =
            self.of_account(trail.key.account).await?.into_iter().filter(|other| other.key != trail.key).collect();
        others.extend_from_slice(shadows);
        let mut regions = vec![&trail.key.home_region];
        if trail.multi_region {
            regions.extend(others.iter().map(|other| &other.key.home_region));
        }
        for region in regions {
            if others.iter().filter(|other| other.is_visible_in(region)).count() >= MAX_TRAILS_PER_REGION {
                return Err(TrailError::TooMany { account: trail.key.account, region: region.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentrail_catalog::MemoryCatalog;
    use opentrail_model::{Selectors, Timestamp};

    fn trail(region: &str, name: &str, multi_region: bool) -> Trail {
        Trail {
            key: TrailKey {
                account: "111122223333".parse().unwrap(),
                home_region: region.parse().unwrap(),
                name: name.parse().unwrap(),
            },
            version: 1,
            bucket: "logs".into(),
            prefix: None,
            kms_key: None,
            organization: None,
            include_global_service_events: true,
            multi_region,
            log_file_validation: false,
            recursive_logging: true,
            logging: false,
            started: None,
            stopped: None,
            selectors: Selectors::default(),
            aggregation: Vec::new(),
            insights: Vec::new(),
            topic: None,
            log_group: None,
            tags: Vec::new(),
            created: Timestamp::EPOCH,
        }
    }

    fn trails() -> Trails {
        Trails::new(Arc::new(MemoryCatalog::default()))
    }

    #[tokio::test]
    async fn a_taken_name_is_refused() {
        let trails = trails();
        trails.create(&trail("us-east-1", "main", false), &[]).await.unwrap();
        let again = trails.create(&trail("us-east-1", "main", false), &[]).await.unwrap_err();
        assert_eq!(again.to_string(), "Trail main already exists for customer: 111122223333");
        trails.create(&trail("eu-west-1", "main", false), &[]).await.unwrap();
    }

    #[tokio::test]
    async fn multi_region_trails_take_a_place_in_every_region() {
        let trails = trails();
        for name in ["one", "two", "three", "four"] {
            trails.create(&trail("us-east-1", name, false), &[]).await.unwrap();
        }
        trails.create(&trail("eu-west-1", "wide", true), &[]).await.unwrap();
        let sixth = trails.create(&trail("us-east-1", "six", false), &[]).await.unwrap_err();
        assert_eq!(sixth.to_string(), "User: 111122223333 already has 5 trails in us-east-1.");
        let wide = trails.create(&trail("eu-west-1", "wider", true), &[]).await.unwrap_err();
        assert!(matches!(wide, TrailError::TooMany { region, .. } if region.as_str() == "us-east-1"));
    }

    #[tokio::test]
    async fn a_stale_revision_loses() {
        let trails = trails();
        let mut changed = trail("us-east-1", "main", false);
        trails.create(&changed, &[]).await.unwrap();
        let read = trails.find(&changed.key).await.unwrap().unwrap();
        changed.version = 2;
        trails.replace(&changed, read.revision).await.unwrap();
        assert!(matches!(trails.replace(&changed, read.revision).await, Err(TrailError::Changed)));
        assert!(matches!(trails.delete(&changed.key, read.revision).await, Err(TrailError::Changed)));
    }

    fn scope(members: &[&str]) -> OrganizationScope {
        let members = members.iter().map(|account| account.parse().unwrap()).collect();
        OrganizationScope { id: "o-exampleorgid".parse().unwrap(), members }
    }

    #[tokio::test]
    async fn organization_trails_take_places_of_members_and_come_without_room() {
        let trails = trails();
        let mut wide = trail("us-east-1", "wide", true);
        wide.organization = Some(scope(&["111122223333", "444455556666"]));
        trails.create(&wide, &[]).await.unwrap();
        let member: AccountId = "444455556666".parse().unwrap();
        let shadows = trails.shadows(member, wide.key.account).await.unwrap();
        assert_eq!(shadows, [wide]);
        for name in ["one", "two", "three", "four", "five"] {
            let mut own = trail("us-east-1", name, false);
            own.key.account = member;
            let created = trails.create(&own, &shadows).await;
            assert_eq!(created.is_ok(), name != "five", "{name}: {created:?}");
        }
    }

    #[tokio::test]
    async fn a_changed_organization_changes_its_trails_and_no_others() {
        let trails = trails();
        let mut wide = trail("us-east-1", "wide", true);
        wide.organization = Some(scope(&["111122223333"]));
        trails.create(&wide, &[]).await.unwrap();
        trails.create(&trail("us-east-1", "own", false), &[]).await.unwrap();
        let account = wide.key.account;
        assert!(trails.rescoped(account, wide.organization.as_ref()).await.unwrap().is_empty());

        let grown = scope(&["111122223333", "444455556666"]);
        let (changes, entries): (Vec<_>, Vec<_>) =
            trails.rescoped(account, Some(&grown)).await.unwrap().into_iter().unzip();
        wide.organization = Some(grown);
        wide.version = 2;
        assert_eq!(entries, [TrailChange::PutTrail(wide.clone().into())]);
        trails.catalog.commit(changes).await.unwrap();
        assert_eq!(trails.find(&wide.key).await.unwrap().unwrap().value, wide);

        let (_, entries): (Vec<_>, Vec<_>) = trails.rescoped(account, None).await.unwrap().into_iter().unzip();
        assert!(matches!(&entries[..], [TrailChange::PutTrail(trail)] if trail.organization.is_none()));
    }
}
