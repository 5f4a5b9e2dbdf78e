use opentrail_delivery::layout::QUERY_FOLDER;
use opentrail_model::AccountId;
use opentrail_queries::{Delivery, DeliveryStatus};
use opentrail_stores::StoreKey;
use opentrail_trails::Delivery as Target;

use crate::context::{Context, Outcome};
use crate::trail::{validate_bucket, validate_parts};

/// A `DeliveryS3Uri` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DeliveryS3Uri {uri:?} is not valid: use s3://bucket or s3://bucket/prefix.")]
pub(crate) struct DeliveryUriError {
    uri: String,
}

/// Reads a `DeliveryS3Uri`. A slash at its end says nothing.
pub(super) fn parse(uri: &str) -> Outcome<Delivery> {
    let malformed = || DeliveryUriError { uri: uri.to_owned() };
    let place = uri.strip_prefix("s3://").ok_or_else(malformed)?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    validate_bucket(bucket)?;
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    validate_parts(prefix)?;
    Ok(Delivery {
        uri: uri.to_owned(),
        bucket: bucket.to_owned(),
        prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
        status: DeliveryStatus::Pending,
    })
}

impl Context<'_> {
    /// Checks that the bucket is there and takes the results of a query of each of the stores. (User Guide, "Amazon S3
    /// bucket policy for CloudTrail Lake query results".)
    pub(super) async fn check_results_bucket(
        &self,
        delivery: &Delivery,
        account: AccountId,
        stores: &[StoreKey],
    ) -> Outcome<()> {
        for store in stores {
            let target = Target {
                bucket: &delivery.bucket,
                prefix: delivery.prefix.as_deref(),
                trail: &store.arn(),
                kms_key: None,
                account,
                recipient: account,
                organization: None,
                folder: QUERY_FOLDER,
            };
            self.services.buckets.check(target).await?;
        }
        Ok(())
    }
}
