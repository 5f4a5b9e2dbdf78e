use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect, Versioned};
use opentrail_model::{AccountId, Arn, Region};

use crate::{Channel, ChannelKey, EventDataStore, Ingestion, ResourcePolicies, Stores};

const KIND: &str = "channels";
const INGESTION: &str = "channel-ingestion";

/// Channels of an account in a Region. (User Guide, "Quotas in AWS CloudTrail".)
pub const MAX_CHANNELS: usize = 25;

/// The stored channels.
#[derive(Clone, Debug)]
pub struct Channels {
    catalog: Arc<dyn Catalog>,
}

/// Why a channel could not be read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChannelError {
    /// There is no such channel.
    #[error("The channel {arn} was not found.")]
    NotFound {
        /// What was asked for, as an ARN.
        arn: Arn,
    },
    /// The name is taken.
    #[error("A channel named {name} already exists in this Region.")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The source has its channel.
    #[error("A channel for the source {source_name} already exists in this Region: {arn}.")]
    SourceTaken {
        /// `Source`.
        source_name: String,
        /// The source's channel.
        arn: Arn,
    },
    /// The Region is full.
    #[error("Account {account} already has {MAX_CHANNELS} channels in {region}.")]
    TooMany {
        /// Whose channels.
        account: AccountId,
        /// Where.
        region: Region,
    },
    /// Somebody else changed it, or a store of it, meanwhile.
    #[error("the channel or one of its event data stores was changed by another request; try again")]
    Changed,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
}

impl From<CatalogError> for ChannelError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Conflict { .. } => Self::Changed,
            other => Self::Catalog(other),
        }
    }
}

impl Channels {
    /// The channels stored in `catalog`.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { catalog }
    }

    /// Every channel of `account` in `region`, in the order of their ids.
    pub async fn of_account(&self, account: AccountId, region: &Region) -> Result<Vec<Channel>, CatalogError> {
        let all = self.catalog.all::<Channel>(KIND, &format!("{account}/{region}/")).await?;
        Ok(all.into_iter().map(|document| document.value).collect())
    }

    /// The channel, with the revision to hand to [`Self::replace`] or [`Self::delete`].
    pub async fn find(&self, key: &ChannelKey) -> Result<Option<Versioned<Channel>>, CatalogError> {
        self.catalog.find(KIND, &key.to_string()).await
    }

    /// Stores a new channel and, in the same transaction, its stores. Two of one account must not be created at once:
    /// names and sources are looked for first.
    pub async fn create(&self, channel: &Channel, stores: &[Versioned<EventDataStore>]) -> Result<(), ChannelError> {
        let Channel { key, source, .. } = channel;
        let others = self.of_account(key.account, &key.home_region).await?;
        if let Some(other) = others.iter().find(|other| other.source == *source) {
            return Err(ChannelError::SourceTaken { source_name: source.clone(), arn: other.key.arn() });
        }
        require_name(channel, &others)?;
        if others.len() >= MAX_CHANNELS {
            return Err(ChannelError::TooMany { account: key.account, region: key.home_region.clone() });
        }
        let put = Change::put(KIND, key.to_string(), Expect::Absent, channel);
        self.commit(put, Vec::new(), stores).await
    }

    /// Stores a channel that was read at `revision` as it is now, with the stores that this changes.
    pub async fn replace(
        &self,
        channel: &Channel,
        revision: u64,
        stores: &[Versioned<EventDataStore>],
    ) -> Result<(), ChannelError> {
        require_name(channel, &self.of_account(channel.key.account, &channel.key.home_region).await?)?;
        let put = Change::put(KIND, channel.key.to_string(), Expect::Revision(revision), channel);
        self.commit(put, Vec::new(), stores).await
    }

    /// Removes a channel that was read at `revision`, with its policy, from its stores.
    pub async fn delete(
        &self,
        key: &ChannelKey,
        revision: u64,
        stores: &[Versioned<EventDataStore>],
    ) -> Result<(), ChannelError> {
        let delete = Change::delete(KIND, key.to_string(), Expect::Revision(revision));
        let forget = Change::delete(INGESTION, key.to_string(), Expect::Anything);
        self.commit(delete, vec![forget, ResourcePolicies::forget(&key.arn())], stores).await
    }

    /// What last came of events put to the channel.
    pub async fn ingestion(&self, key: &ChannelKey) -> Result<Ingestion, CatalogError> {
        let found = self.catalog.find::<Ingestion>(INGESTION, &key.to_string()).await?;
        Ok(found.map(|document| document.value).unwrap_or_default())
    }

    /// Keeps what came of events put to the channel.
    pub async fn note(&self, key: &ChannelKey, ingestion: &Ingestion) -> Result<(), CatalogError> {
        self.catalog.commit(vec![Change::put(INGESTION, key.to_string(), Expect::Anything, ingestion)]).await
    }

    async fn commit(
        &self,
        channel: Change,
        more: Vec<Change>,
        stores: &[Versioned<EventDataStore>],
    ) -> Result<(), ChannelError> {
        let stores = stores.iter().map(|store| Stores::replacement(&store.value, store.revision));
        Ok(self.catalog.commit(std::iter::once(channel).chain(more).chain(stores).collect()).await?)
    }
}

fn require_name(channel: &Channel, others: &[Channel]) -> Result<(), ChannelError> {
    match others.iter().any(|other| other.key != channel.key && other.name == channel.name) {
        true => Err(ChannelError::NameTaken { name: channel.name.clone() }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use opentrail_catalog::MemoryCatalog;
    use opentrail_model::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn channel(number: u128, name: &str, source: &str) -> Channel {
        Channel {
            key: ChannelKey {
                account: "111122223333".parse().unwrap(),
                home_region: "us-east-1".parse().unwrap(),
                id: Uuid::from_u128(number),
            },
            name: name.into(),
            source: source.into(),
            destinations: Vec::new(),
            tags: Vec::new(),
            created: Timestamp::EPOCH,
        }
    }

    #[tokio::test]
    async fn names_and_sources_are_taken_once() {
        let channels = Channels::new(Arc::new(MemoryCatalog::default()));
        let first = channel(1, "one", "Custom");
        channels.create(&first, &[]).await.unwrap();
        let taken = channels.create(&channel(2, "two", "Custom"), &[]).await.unwrap_err();
        assert!(matches!(taken, ChannelError::SourceTaken { arn, .. } if arn == first.key.arn()));
        let taken = channels.create(&channel(2, "one", "Okta"), &[]).await.unwrap_err();
        assert!(matches!(taken, ChannelError::NameTaken { name } if name == "one"));
        let elsewhere = ChannelKey { home_region: "eu-west-1".parse().unwrap(), ..first.key.clone() };
        channels.create(&Channel { key: elsewhere, ..first.clone() }, &[]).await.unwrap();
        let found = channels.find(&first.key).await.unwrap().unwrap();
        channels.replace(&found.value, found.revision, &[]).await.unwrap();
        assert!(matches!(channels.delete(&first.key, found.revision, &[]).await, Err(ChannelError::Changed)));
    }

    #[tokio::test]
    async fn the_region_is_full_at_the_quota() {
        let channels = Channels::new(Arc::new(MemoryCatalog::default()));
        for number in 0..MAX_CHANNELS {
            let channel = channel(number as u128, &format!("channel-{number}"), &format!("source-{number}"));
            channels.create(&channel, &[]).await.unwrap();
        }
        let full = channels.create(&channel(99, "last", "Custom"), &[]).await.unwrap_err();
        assert!(matches!(full, ChannelError::TooMany { .. }));
    }

    #[tokio::test]
    async fn ingestion_is_kept_until_the_channel_goes() {
        let channels = Channels::new(Arc::new(MemoryCatalog::default()));
        let one = channel(1, "one", "Custom");
        channels.create(&one, &[]).await.unwrap();
        let ingestion = Ingestion { success: Some(Timestamp::EPOCH), ..Ingestion::default() };
        channels.note(&one.key, &ingestion).await.unwrap();
        assert_eq!(channels.ingestion(&one.key).await.unwrap(), ingestion);
        let found = channels.find(&one.key).await.unwrap().unwrap();
        channels.delete(&one.key, found.revision, &[]).await.unwrap();
        assert_eq!(channels.ingestion(&one.key).await.unwrap(), Ingestion::default());
    }
}
