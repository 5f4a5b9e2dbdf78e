//! The documents of the catalog: buses, rules, archives, replays, connections, API destinations.

use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogExt, Change, Expect, Versioned};
use opentrail_model::{AccountId, Region};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::archive::{Archive, Replay};
use crate::bus::EventBus;
use crate::connection::{ApiDestination, Connection};
use crate::error::EventsError;
use crate::place::{BusPlace, RulePlace, prefix};
use crate::rule::Rule;

/// A document that is kept by account, Region and name.
pub(crate) trait Kept: Serialize + DeserializeOwned + Send {
    /// The kind of document.
    const KIND: &'static str;
    /// What errors call it.
    const WHAT: &'static str;
    /// Its key.
    fn key(&self) -> String;
}

impl Kept for EventBus {
    const KIND: &'static str = "events-buses";
    const WHAT: &'static str = "Event bus";
    fn key(&self) -> String {
        self.place.document()
    }
}

impl Kept for Rule {
    const KIND: &'static str = "events-rules";
    const WHAT: &'static str = "Rule";
    fn key(&self) -> String {
        self.place().document()
    }
}

impl Kept for Archive {
    const KIND: &'static str = "events-archives";
    const WHAT: &'static str = "Archive";
    fn key(&self) -> String {
        self.document()
    }
}

impl Kept for Replay {
    const KIND: &'static str = "events-replays";
    const WHAT: &'static str = "Replay";
    fn key(&self) -> String {
        self.document()
    }
}

impl Kept for Connection {
    const KIND: &'static str = "events-connections";
    const WHAT: &'static str = "Connection";
    fn key(&self) -> String {
        self.document()
    }
}

impl Kept for ApiDestination {
    const KIND: &'static str = "events-api-destinations";
    const WHAT: &'static str = "ApiDestination";
    fn key(&self) -> String {
        self.document()
    }
}

/// The stored documents.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    pub(crate) catalog: Arc<dyn Catalog>,
}

impl Documents {
    pub(crate) async fn find<T: Kept>(&self, key: &str) -> Result<Option<Versioned<T>>, EventsError> {
        Ok(self.catalog.find(T::KIND, key).await?)
    }

    /// Every document whose key begins with `prefix`, by key.
    pub(crate) async fn all<T: Kept>(&self, prefix: &str) -> Result<Vec<T>, EventsError> {
        Ok(self.versions(prefix).await?.into_iter().map(|found| found.value).collect())
    }

    /// As [`Self::all`], to be changed.
    pub(crate) async fn versions<T: Kept>(&self, prefix: &str) -> Result<Vec<Versioned<T>>, EventsError> {
        Ok(self.catalog.all::<T>(T::KIND, prefix).await?)
    }

    /// Up to `limit` documents whose keys begin with `prefix` and come after `after`, by key.
    pub(crate) async fn page<T: Kept>(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<T>, EventsError> {
        let found = self.catalog.list(T::KIND, prefix, after, limit).await?;
        let read = |document: Versioned<Vec<u8>>| {
            serde_json::from_slice(&document.value).map_err(|error| {
                EventsError::Catalog(opentrail_catalog::CatalogError::Malformed {
                    kind: T::KIND.to_owned(),
                    key: document.key.clone(),
                    reason: error.to_string(),
                })
            })
        };
        found.into_iter().map(read).collect()
    }

    pub(crate) async fn put<T: Kept>(&self, value: &T, expect: Expect) -> Result<(), EventsError> {
        Ok(self.catalog.commit(vec![Change::put(T::KIND, value.key(), expect, value)]).await?)
    }

    pub(crate) async fn delete<T: Kept>(&self, key: &str, revision: u64) -> Result<(), EventsError> {
        Ok(self.catalog.commit(vec![Change::delete(T::KIND, key, Expect::Revision(revision))]).await?)
    }

    /// The bus; the default one is always there.
    pub(crate) async fn bus(&self, place: &BusPlace) -> Result<(EventBus, Expect), EventsError> {
        match self.find::<EventBus>(&place.document()).await? {
            Some(Versioned { value, revision, .. }) => Ok((value, Expect::Revision(revision))),
            None if place.is_default() => Ok((EventBus::new(place.clone()), Expect::Absent)),
            None => Err(EventsError::NotFound(format!("Event bus {} does not exist.", place.name))),
        }
    }

    pub(crate) async fn rule(&self, place: &RulePlace) -> Result<Versioned<Rule>, EventsError> {
        let missing = || format!("Rule {} does not exist on EventBus {}.", place.name, place.bus.name);
        self.find(&place.document()).await?.ok_or_else(|| EventsError::NotFound(missing()))
    }

    /// The connection or API destination of that name.
    pub(crate) async fn named<T: Kept>(
        &self,
        account: AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Versioned<T>, EventsError> {
        let found = self.find(&format!("{}{name}", prefix(account, region))).await?;
        found.ok_or_else(|| EventsError::NotFound(format!("{} '{name}' does not exist.", T::WHAT)))
    }
}
