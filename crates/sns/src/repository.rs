use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogExt, Change, Expect, Versioned};
use opentrail_model::{AccountId, Region, Timestamp};
use serde::{Deserialize, Serialize};

use crate::arn::{SubscriptionArn, TopicArn};
use crate::error::SnsError;
use crate::subscription::Subscription;
use crate::topic::Topic;

/// [`Topic`]s, by account, Region and name.
const TOPICS: &str = "sns-topics";
/// [`Subscription`]s, by their topic's account, Region and name, and their id.
const SUBSCRIPTIONS: &str = "sns-subscriptions";
/// Which subscriptions an account has: [`Held`], by that account, the Region, the topic's account and name, and the id.
const HELD: &str = "sns-held-subscriptions";

#[derive(Serialize, Deserialize)]
struct Held {
    arn: SubscriptionArn,
}

/// The stored topics and subscriptions.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) catalog: Arc<dyn Catalog>,
}

impl Repository {
    pub(crate) async fn topic(&self, arn: &TopicArn) -> Result<Option<Versioned<Topic>>, SnsError> {
        Ok(self.catalog.find(TOPICS, &arn.document()).await?)
    }

    /// Topics of `account` in `region` whose name is greater than `after`, by name; at most `limit`.
    pub(crate) async fn topics(
        &self,
        account: AccountId,
        region: &Region,
        after: &str,
        limit: usize,
    ) -> Result<Vec<TopicArn>, SnsError> {
        let prefix = format!("{account}/{region}/");
        let documents = self.catalog.list(TOPICS, &prefix, &after_in(&prefix, after), limit).await?;
        let named = documents.into_iter().filter_map(|document| document.key.strip_prefix(&prefix).map(str::to_owned));
        Ok(named.map(|name| TopicArn { account, region: region.clone(), name }).collect())
    }

    pub(crate) async fn subscription(
        &self,
        arn: &SubscriptionArn,
        now: Timestamp,
    ) -> Result<Option<Versioned<Subscription>>, SnsError> {
        let found = self.catalog.find::<Subscription>(SUBSCRIPTIONS, &arn.document()).await?;
        Ok(found.filter(|found| !found.value.is_gone(now)))
    }

    /// All subscriptions of the topic, by id; those that are gone too.
    pub(crate) async fn of_topic(&self, topic: &TopicArn) -> Result<Vec<Versioned<Subscription>>, SnsError> {
        Ok(self.catalog.all(SUBSCRIPTIONS, &format!("{}/", topic.document())).await?)
    }

    /// Every subscription there is.
    pub(crate) async fn all(&self) -> Result<Vec<Versioned<Subscription>>, SnsError> {
        Ok(self.catalog.all(SUBSCRIPTIONS, "").await?)
    }

    /// Subscriptions of the topic whose id is greater than `after`; at most `limit`.
    pub(crate) async fn page_of_topic(
        &self,
        topic: &TopicArn,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Subscription)>, SnsError> {
        let prefix = format!("{}/", topic.document());
        let documents = self.catalog.list(SUBSCRIPTIONS, &prefix, &after_in(&prefix, after), limit).await?;
        documents.into_iter().map(|document| named::<Subscription>(document, &prefix)).collect()
    }

    /// The subscriptions that `owner` has in `region`, by topic and id, after `after`; at most `limit`.
    pub(crate) async fn page_of_owner(
        &self,
        owner: AccountId,
        region: &Region,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, SubscriptionArn)>, SnsError> {
        let prefix = format!("{owner}/{region}/");
        let documents = self.catalog.list(HELD, &prefix, &after_in(&prefix, after), limit).await?;
        documents
            .into_iter()
            .map(|document| named::<Held>(document, &prefix).map(|(key, held)| (key, held.arn)))
            .collect()
    }

    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), SnsError> {
        Ok(self.catalog.commit(changes).await?)
    }
}

pub(crate) fn put_topic(topic: &Topic, expect: Expect) -> Change {
    Change::put(TOPICS, topic.arn.document(), expect, topic)
}

pub(crate) fn delete_topic(arn: &TopicArn, expect: Expect) -> Change {
    Change::delete(TOPICS, arn.document(), expect)
}

/// A subscription and that its owner has it.
pub(crate) fn put_new_subscription(subscription: &Subscription) -> [Change; 2] {
    let held = Held { arn: subscription.arn.clone() };
    [
        Change::put(SUBSCRIPTIONS, subscription.arn.document(), Expect::Absent, subscription),
        Change::put(HELD, held_key(subscription), Expect::Anything, &held),
    ]
}

pub(crate) fn put_subscription(subscription: &Subscription, expect: Expect) -> Change {
    Change::put(SUBSCRIPTIONS, subscription.arn.document(), expect, subscription)
}

pub(crate) fn delete_subscription(subscription: &Subscription, expect: Expect) -> [Change; 2] {
    [
        Change::delete(SUBSCRIPTIONS, subscription.arn.document(), expect),
        Change::delete(HELD, held_key(subscription), Expect::Anything),
    ]
}

fn held_key(subscription: &Subscription) -> String {
    let SubscriptionArn { topic, id } = &subscription.arn;
    format!("{}/{}/{}/{}/{id}", subscription.owner, topic.region, topic.account, topic.name)
}

/// The key that a page begins after, within `prefix`.
fn after_in(prefix: &str, after: &str) -> String {
    if after.is_empty() { String::new() } else { format!("{prefix}{after}") }
}

fn named<T: serde::de::DeserializeOwned>(document: Versioned<Vec<u8>>, prefix: &str) -> Result<(String, T), SnsError> {
    let Versioned { key, value, .. } = document;
    match serde_json::from_slice(&value) {
        Ok(value) => Ok((key.strip_prefix(prefix).unwrap_or_default().to_owned(), value)),
        Err(error) => {
            let (kind, reason) = (SUBSCRIPTIONS.to_owned(), error.to_string());
            Err(SnsError::Catalog(opentrail_catalog::CatalogError::Malformed { kind, key, reason }))
        }
    }
}
