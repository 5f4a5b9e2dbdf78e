use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig, path::Path};
use opentrail_identity::{Context, Policy, PolicyUse};
use opentrail_objects::Store;
use opentrail_trails::{BucketError, Buckets, Delivery};

use crate::config::DestinationSection;

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// The buckets that trails deliver to: those that the configuration places at other endpoints, otherwise the embedded
/// store's.
#[derive(Debug)]
pub(crate) struct TrailBuckets {
    embedded: Store,
    elsewhere: HashMap<String, Arc<dyn ObjectStore>>,
}

impl TrailBuckets {
    /// # Errors
    /// When a destination's settings make no S3 client.
    pub(crate) fn new(embedded: Store, destinations: &[DestinationSection]) -> anyhow::Result<Self> {
        let mut elsewhere: HashMap<String, Arc<dyn ObjectStore>> = HashMap::new();
        for destination in destinations {
            for bucket in &destination.buckets {
                let store = s3_client(destination, bucket)
                    .with_context(|| format!("destination bucket {bucket} at {}", destination.endpoint))?;
                elsewhere.insert(bucket.clone(), store);
            }
        }
        Ok(Self { embedded, elsewhere })
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

        let mut context = Context::new();
        context.insert("aws:SourceArn", delivery.trail.as_str());
        context.insert("aws:SourceAccount", delivery.account.to_string());
        let bucket_arn = format!("arn:aws:s3:::{}", delivery.bucket);
        let may_read_acl = policy.allows_service(CLOUDTRAIL, "s3:GetBucketAcl", &bucket_arn, &context);
        context.insert("s3:x-amz-acl", "bucket-owner-full-control");
        let prefix = delivery.prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let object_arn = format!("{bucket_arn}/{prefix}AWSLogs/{}/CloudTrail/log.json.gz", delivery.account);
        let may_put = policy.allows_service(CLOUDTRAIL, "s3:PutObject", &object_arn, &context);
        if may_read_acl && may_put { Ok(()) } else { Err(BucketError::AccessDenied { bucket }) }
    }
}

#[async_trait]
impl Buckets for TrailBuckets {
    async fn check(&self, delivery: Delivery<'_>) -> Result<(), BucketError> {
        let Some(store) = self.elsewhere.get(delivery.bucket) else { return self.check_embedded(delivery) };
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
        if let Some(store) = self.elsewhere.get(delivery.bucket) {
            return Ok(Arc::clone(store));
        }
        self.check_embedded(delivery)?;
        Ok(self.embedded.object_store(delivery.bucket))
    }
}

fn s3_client(destination: &DestinationSection, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    let plain = destination.endpoint.scheme_str() == Some("http");
    let store = AmazonS3Builder::new()
        .with_endpoint(destination.endpoint.to_string().trim_end_matches('/'))
        .with_region(destination.region.as_str())
        .with_bucket_name(bucket)
        .with_access_key_id(&destination.access_key_id)
        .with_secret_access_key(destination.secret_access_key.expose())
        .with_virtual_hosted_style_request(false)
        .with_client_options(ClientOptions::new().with_allow_http(plain))
        // Delivery repeats a failed put itself: repeats in here would only hide from a trail's status why it failed.
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()?;
    Ok(Arc::new(store))
}
