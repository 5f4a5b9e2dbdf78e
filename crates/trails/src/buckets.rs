use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use opentrail_model::{AccountId, Arn};

/// What CloudTrail wants to do with a bucket: deliver for `trail` below `prefix`.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// `S3KeyPrefix`.
    pub prefix: Option<&'a str>,
    /// The trail, as `aws:SourceArn`.
    pub trail: &'a Arn,
    /// The trail's owner, as `aws:SourceAccount`; also the account in the path that is tried.
    pub account: AccountId,
}

/// The buckets that trails deliver to: the embedded store's and those of configured S3-compatible endpoints.
#[async_trait]
pub trait Buckets: fmt::Debug + Send + Sync + 'static {
    /// Whether the bucket exists and lets CloudTrail read its ACL and put objects below
    /// `[prefix/]AWSLogs/<account>/`. (User Guide, "Amazon S3 bucket policy for CloudTrail".)
    async fn check(&self, delivery: Delivery<'_>) -> Result<(), BucketError>;

    /// The bucket to put objects into, checked as by [`Self::check`]. Keys are relative to the bucket, prefix included.
    async fn open(&self, delivery: Delivery<'_>) -> Result<Arc<dyn ObjectStore>, BucketError>;
}

/// Why a bucket cannot be delivered to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// There is no such bucket.
    #[error("S3 bucket {bucket} does not exist!")]
    NoSuchBucket {
        /// The bucket.
        bucket: String,
    },
    /// Its policy does not let CloudTrail in.
    #[error("Incorrect S3 bucket policy is detected for bucket: {bucket}")]
    AccessDenied {
        /// The bucket.
        bucket: String,
    },
    /// Its endpoint cannot be reached or fails; trying again may help.
    #[error("S3 bucket {bucket} is unavailable: {reason}")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// The endpoint's word.
        reason: String,
    },
}

impl BucketError {
    /// The S3 error code that GetTrailStatus answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchBucket { .. } => "NoSuchBucket",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::Unavailable { .. } => "ServiceUnavailable",
        }
    }
}
