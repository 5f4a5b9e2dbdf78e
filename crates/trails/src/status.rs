use std::future::Future;
use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_model::{AccountId, Region, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::TrailKey;

/// How something that is done for a trail fares for one account in one Region: a part of what GetTrailStatus answers,
/// in a document of its own, which one task writes and the API reads.
pub trait Status: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of its documents.
    const KIND: &'static str;

    /// The status of `trail` for `account` in `region`; the default when nothing was done there yet.
    fn load(
        catalog: &Arc<dyn Catalog>,
        trail: &TrailKey,
        account: AccountId,
        region: &Region,
    ) -> impl Future<Output = Result<Self, CatalogError>> + Send {
        let key = document_key(trail, account, region);
        async move {
            let found = catalog.find::<Self>(Self::KIND, &key).await?;
            Ok(found.map(|document| document.value).unwrap_or_default())
        }
    }

    /// The change that stores this status.
    fn store(&self, trail: &TrailKey, account: AccountId, region: &Region) -> Change {
        Change::put(Self::KIND, document_key(trail, account, region), Expect::Anything, self)
    }

    /// The changes that remove every such status of `trail`.
    fn remove_all(
        catalog: &Arc<dyn Catalog>,
        trail: &TrailKey,
    ) -> impl Future<Output = Result<Vec<Change>, CatalogError>> + Send {
        let prefix = format!("{trail}/");
        async move {
            let all = catalog.all::<Self>(Self::KIND, &prefix).await?;
            Ok(all.into_iter().map(|document| Change::delete(Self::KIND, document.key, Expect::Anything)).collect())
        }
    }
}

fn document_key(trail: &TrailKey, account: AccountId, region: &Region) -> String {
    if account == trail.account { format!("{trail}/{region}") } else { format!("{trail}/{region}/{account}") }
}

/// How log files and digests are delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrailStatus {
    /// `LatestDeliveryTime`.
    pub latest_delivery: Option<Timestamp>,
    /// `LatestDeliveryAttemptTime`.
    pub latest_delivery_attempt: Option<Timestamp>,
    /// `LatestDeliveryError`: an S3 error code; absent after a success, and for time-outs.
    pub latest_delivery_error: Option<String>,
    /// `LatestDigestDeliveryTime`.
    pub latest_digest_delivery: Option<Timestamp>,
    /// `LatestDigestDeliveryError`: an S3 error code; absent after a success.
    pub latest_digest_delivery_error: Option<String>,
}

impl Status for TrailStatus {
    const KIND: &'static str = "trail-status";
}

/// How the trail's topic is told of log files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NotificationStatus {
    /// `LatestNotificationTime`.
    pub latest: Option<Timestamp>,
    /// `LatestNotificationAttemptTime`.
    pub latest_attempt: Option<Timestamp>,
    /// `LatestNotificationError`: an SNS error code; absent after a success.
    pub latest_error: Option<String>,
}

impl Status for NotificationStatus {
    const KIND: &'static str = "trail-notification-status";
}

/// How events get into the trail's log group: one status, of the owner in the home Region, for all that the trail logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogGroupStatus {
    /// `LatestCloudWatchLogsDeliveryTime`.
    pub latest: Option<Timestamp>,
    /// `LatestCloudWatchLogsDeliveryError`: what was answered; absent after a success.
    pub latest_error: Option<String>,
}

impl Status for LogGroupStatus {
    const KIND: &'static str = "trail-log-group-status";
}
