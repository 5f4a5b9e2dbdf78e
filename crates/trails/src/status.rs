use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_model::{AccountId, Region, Timestamp};
use serde::{Deserialize, Serialize};

use crate::TrailKey;

const KIND: &str = "trail-status";

/// How a trail's delivery fares for one account in one Region: what GetTrailStatus answers. Written by delivery, read by the API.
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

impl TrailStatus {
    fn document_key(trail: &TrailKey, account: AccountId, region: &Region) -> String {
        if account == trail.account { format!("{trail}/{region}") } else { format!("{trail}/{region}/{account}") }
    }

    /// The status of `trail` for `account` in `region`; the default when nothing was delivered there yet.
    pub async fn load(
        catalog: &Arc<dyn Catalog>,
        trail: &TrailKey,
        account: AccountId,
        region: &Region,
    ) -> Result<Self, CatalogError> {
        let found = catalog.find::<Self>(KIND, &Self::document_key(trail, account, region)).await?;
        Ok(found.map(|document| document.value).unwrap_or_default())
    }

    /// The change that stores this status.
    pub fn store(&self, trail: &TrailKey, account: AccountId, region: &Region) -> Change {
        Change::put(KIND, Self::document_key(trail, account, region), Expect::Anything, self)
    }

    /// The changes that remove every status of `trail`.
    pub async fn remove_all(catalog: &Arc<dyn Catalog>, trail: &TrailKey) -> Result<Vec<Change>, CatalogError> {
        let all = catalog.all::<Self>(KIND, &format!("{trail}/")).await?;
        Ok(all.into_iter().map(|document| Change::delete(KIND, document.key, Expect::Anything)).collect())
    }
}
