use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig, path::Path};
use opentrail_identity::{Context, Policy, PolicyUse};
use opentrail_kms::KmsError;
use opentrail_model::{Arn, Region};
use opentrail_objects::{ObjectPlace, Store, WantedKey};
use opentrail_organizations::Organizations;
use opentrail_trails::{BucketError, Buckets, Delivery, KeyError};
use parking_lot::Mutex;

use super::KmsKeys;
use super::object_keys::TrailKeys;
use crate::config::DestinationSection;

pub(super) const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// The buckets that trails deliver to: those that the configuration places at other endpoints, otherwise the embedded
/// store's.
#[derive(Debug)]
pub(crate) struct TrailBuckets {
    embedded: Store,
    kms: KmsKeys,
    organizations: Arc<Organizations>,
    elsewhere: HashMap<String, Elsewhere>,
}

/// A bucket at another endpoint.
#[derive(Debug)]
struct Elsewhere {
    destination: DestinationSection,
    /// Without a key of its own.
    plain: Arc<dyn ObjectStore>,
    /// The same, asking the endpoint to seal what is put, by the ARN of the key.
    sealing: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Elsewhere {
    fn open(&self, bucket: &str, kms_key: Option<&str>) -> Result<Arc<dyn ObjectStore>, BucketError> {
        let Some(key) = kms_key else { return Ok(Arc::clone(&self.plain)) };
        let mut sealing = self.sealing.lock();
        if let Some(store) = sealing.get(key) {
            return Ok(Arc::clone(store));
        }
        let unavailable = |error: object_store::Error| BucketError::Unavailable {
            bucket: bucket.to_owned(),
            reason: error.to_string(),
        };
        let store = s3_client(&self.destination, bucket, Some(key)).map_err(unavailable)?;
        sealing.insert(key.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

impl TrailBuckets {
    /// # Errors
    /// When a destination's settings make no S3 client.
    pub(crate) fn new(
        embedded: Store,
        kms: KmsKeys,
        organizations: Arc<Organizations>,
        destinations: &[DestinationSection],
    ) -> anyhow::Result<Self> {
        let mut elsewhere: HashMap<String, Elsewhere> = HashMap::new();
        for destination in destinations {
            for bucket in &destination.buckets {
                let plain = s3_client(destination, bucket, None)
                    .with_context(|| format!("destination bucket {bucket} at {}", destination.endpoint))?;
                let (destination, sealing) = (destination.clone(), Mutex::default());
                elsewhere.insert(bucket.clone(), Elsewhere { destination, plain, sealing });
            }
        }
        Ok(Self { embedded, kms, organizations, elsewhere })
    }

    /// A bucket at another endpoint, and its Region, if the configuration places it there.
    pub(super) fn elsewhere(&self, bucket: &str) -> Option<(Arc<dyn ObjectStore>, Region)> {
        let Elsewhere { plain, destination, .. } = self.elsewhere.get(bucket)?;
        Some((Arc::clone(plain), destination.region.clone()))
    }

    /// The condition keys of what CloudTrail asks of other services for the delivery. (IAM User Guide, "AWS global
    /// condition context keys", `aws:SourceArn` and its like.)
    fn conditions(&self, delivery: Delivery<'_>) -> Context {
        let mut context = Context::new();
        context.insert("aws:SourceArn", delivery.trail.as_str());
        context.insert("aws:SourceAccount", delivery.account.to_string());
        if let Some(organization) = self.organizations.of(delivery.account) {
            context.insert("aws:SourceOrgID", organization.id.as_str());
            let parent = organization.members.get(&delivery.account).map(|member| &member.parent);
            context.insert_all("aws:SourceOrgPaths", parent.map(|parent| organization.path(parent)));
        }
        context
    }

    fn keys(&self, delivery: Delivery<'_>) -> TrailKeys {
        let conditions = self.conditions(delivery);
        TrailKeys { kms: self.kms.clone(), trail: delivery.trail.clone(), account: delivery.account, conditions }
    }

    fn check_embedded(&self, delivery: Delivery<'_>) -> Result<(), BucketError> {
        let bucket = delivery.bucket.to_owned();
        let found = self
            .embedded
            .bucket(delivery.bucket)
            .map_err(|error| BucketError::Unavailable { bucket: bucket.clone(), reason: error.to_string() })?;
        let found = found.ok_or(BucketError::NoSuchBucket { bucket: bucket.clone() })?;
        let policy = found.policy.as_deref().and_then(|text| Policy::parse(text, PolicyUse::Resource).ok());
        let policy = policy.ok_or(BucketError::AccessDenied { bucket: bucket.clone() })?;

        let mut context = self.conditions(delivery);
        let bucket_arn = format!("arn:aws:s3:::{}", delivery.bucket);
        let may_read_acl = policy.allows_service(CLOUDTRAIL, "s3:GetBucketAcl", &bucket_arn, &context);
        context.insert("s3:x-amz-acl", "bucket-owner-full-control");
        let object_arn = format!("{bucket_arn}/{}", tried_key(delivery));
        let may_put = policy.allows_service(CLOUDTRAIL, "s3:PutObject", &object_arn, &context);
        if may_read_acl && may_put { Ok(()) } else { Err(BucketError::AccessDenied { bucket }) }
    }
}

#[async_trait]
impl Buckets for TrailBuckets {
    async fn check(&self, delivery: Delivery<'_>) -> Result<(), BucketError> {
        let Some(Elsewhere { plain: store, .. }) = self.elsewhere.get(delivery.bucket) else {
            return self.check_embedded(delivery);
        };
        // The endpoint enforces its own policies for the configured key; that the bucket answers is what can be known.
        let bucket = delivery.bucket.to_owned();
        match store.head(&Path::from("AWSLogs")).await {
            Ok(_) => Ok(()),
            Err(error) => match error {
                object_store::Error::NotFound { source, .. } if source.to_string().contains("NoSuchBucket") => {
                    Err(BucketError::NoSuchBucket { bucket })
                }
                object_store::Error::NotFound { .. } => Ok(()),
                object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                    Err(BucketError::AccessDenied { bucket })
                }
                other => Err(BucketError::Unavailable { bucket, reason: other.to_string() }),
            },
        }
    }

    async fn open(&self, delivery: Delivery<'_>) -> Result<Arc<dyn ObjectStore>, BucketError> {
        if let Some(elsewhere) = self.elsewhere.get(delivery.bucket) {
            return elsewhere.open(delivery.bucket, delivery.kms_key);
        }
        self.check_embedded(delivery)?;
        let Some(key) = delivery.kms_key else { return Ok(self.embedded.object_store(delivery.bucket)) };
        let keys = self.keys(delivery);
        let wanted = WantedKey { key_id: Some(key.to_owned()), ..WantedKey::default() };
        Ok(self.embedded.sealing_object_store(delivery.bucket, Arc::new(keys), wanted))
    }

    async fn check_key(&self, delivery: Delivery<'_>, key: &str) -> Result<String, KeyError> {
        let bucket = delivery.bucket.to_owned();
        let elsewhere = self.elsewhere.get(delivery.bucket).map(|elsewhere| &elsewhere.destination);
        if let Some(destination) = elsewhere.filter(|_| self.kms.external().is_none()) {
            return check_foreign_key(destination, delivery, key);
        }
        let unavailable = |reason: String| KeyError::Unavailable { key: key.to_owned(), reason };
        let region = match elsewhere {
            Some(destination) => destination.region.clone(),
            None => {
                let found = self.embedded.bucket(delivery.bucket).map_err(|error| unavailable(error.to_string()))?;
                found.ok_or_else(|| unavailable("the bucket is gone".to_owned()))?.region
            }
        };
        let not_found =
            || KeyError::NotFound { key: key.to_owned(), bucket: bucket.clone(), region: region.to_string() };
        // A key id or an alias without its Region is looked up where the bucket is, the only place where it could do.
        let told = |error: KmsError| match error {
            KmsError::InvalidArn(reason) => KeyError::Invalid { key: key.to_owned(), reason },
            KmsError::NotFound(_) => not_found(),
            KmsError::AccessDenied(_) => KeyError::AccessDenied { key: key.to_owned(), bucket: bucket.clone() },
            KmsError::Disabled { .. } | KmsError::InvalidState { .. } => {
                KeyError::Unusable { key: key.to_owned(), reason: error.to_string() }
            }
            other => unavailable(other.to_string()),
        };
        let arn = self.kms.resolve(key, delivery.account, &region).await.map_err(&told)?;
        if self.kms.external().is_some() && arn.split(':').nth(3) != Some(region.as_str()) {
            return Err(not_found());
        }
        if elsewhere.is_some() {
            // Its endpoint asks KMS for data keys, with other rights than ours.
            return Ok(arn);
        }
        let keys = self.keys(delivery);
        // What a delivery does, for an object that is not put: CloudTrail checks so too.
        let object = tried_key(delivery);
        let place = ObjectPlace { bucket: delivery.bucket, key: &object, region: &region, owner: delivery.account };
        keys.data_key(place, &arn).await.map_err(told)?;
        Ok(arn)
    }
}

/// The key of a log file that could be delivered so.
fn tried_key(delivery: Delivery<'_>) -> String {
    let prefix = delivery.prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
    let organization = delivery.organization.map(|id| format!("{id}/")).unwrap_or_default();
    format!("{prefix}AWSLogs/{organization}{}/{}/log.json.gz", delivery.recipient, delivery.folder)
}

/// The key of a bucket elsewhere, which only its endpoint knows: nothing is checked but the ARN's form and Region. That
/// the key is not there, or not for us, shows when something is put.
fn check_foreign_key(destination: &DestinationSection, delivery: Delivery<'_>, key: &str) -> Result<String, KeyError> {
    let arn: Option<Arn> = key.parse().ok();
    let Some(arn) = arn.filter(|arn| arn.service() == "kms" && arn.resource().starts_with("key/")) else {
        let reason = format!(
            "the bucket {} is at {}, where no key can be looked up; give the key's ARN",
            delivery.bucket, destination.endpoint
        );
        return Err(KeyError::Invalid { key: key.to_owned(), reason });
    };
    if arn.region() != destination.region.as_str() {
        return Err(KeyError::NotFound {
            key: key.to_owned(),
            bucket: delivery.bucket.to_owned(),
            region: destination.region.to_string(),
        });
    }
    Ok(key.to_owned())
}

fn s3_client(
    destination: &DestinationSection,
    bucket: &str,
    kms_key: Option<&str>,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let plain = destination.endpoint.scheme_str() == Some("http");
    let mut builder = AmazonS3Builder::new()
        .with_endpoint(destination.endpoint.to_string().trim_end_matches('/'))
        .with_region(destination.region.as_str())
        .with_bucket_name(bucket)
        .with_access_key_id(&destination.access_key_id)
        .with_secret_access_key(destination.secret_access_key.expose())
        .with_virtual_hosted_style_request(false)
        .with_client_options(ClientOptions::new().with_allow_http(plain))
        // Delivery repeats a failed put itself: repeats in here would only hide from a trail's status why it failed.
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    if let Some(key) = kms_key {
        // The encryption context is the endpoint's: `object_store` has no header for one.
        builder = builder.with_sse_kms_encryption(key);
    }
    Ok(Arc::new(builder.build()?))
}
