use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use opentrail_model::{AccountId, Arn, OrganizationId};

/// The folder, below an account's, whose keys are tried for a trail.
pub const TRAIL_FOLDER: &str = "CloudTrail";

/// What CloudTrail wants to do with a bucket: deliver below `prefix` for `trail`, or for a query of an event data store.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// `S3KeyPrefix`.
    pub prefix: Option<&'a str>,
    /// The trail or the event data store, as `aws:SourceArn`.
    pub trail: &'a Arn,
    /// `KmsKeyId`: the ARN of the key that what is put is to be sealed with. Not looked at by [`Buckets::check`].
    pub kms_key: Option<&'a str>,
    /// The trail's owner, as `aws:SourceAccount`.
    pub account: AccountId,
    /// Whose log files they are: the account in the path that is tried.
    pub recipient: AccountId,
    /// The organization whose trail it is, in that path and as `aws:SourceOrgID`.
    pub organization: Option<&'a OrganizationId>,
    /// The folder below the account in that path.
    pub folder: &'static str,
}

/// The buckets that trails deliver to: the embedded store's and those of configured S3-compatible endpoints.
#[async_trait]
pub trait Buckets: fmt::Debug + Send + Sync + 'static {
    /// Whether the bucket exists and lets CloudTrail read its ACL and put objects below
    /// `[prefix/]AWSLogs/<recipient>/<folder>/`, with `<organization>/` before the recipient for an organization's trail.
    /// (User Guide, "Amazon S3 bucket policy for CloudTrail".)
    async fn check(&self, delivery: Delivery<'_>) -> Result<(), BucketError>;

    /// The bucket to put objects into, checked as by [`Self::check`]. Keys are relative to the bucket, prefix included.
    /// Objects are sealed with the delivery's key; a key that cannot be used fails each put.
    async fn open(&self, delivery: Delivery<'_>) -> Result<Arc<dyn ObjectStore>, BucketError>;

    /// The ARN of the key that `key` (a `KmsKeyId` in any of its forms) names, if it can seal what is delivered: it is
    /// there, in the bucket's Region, enabled, and its policy lets CloudTrail make data keys for the trail.
    /// (User Guide, "Configure AWS KMS key policies for CloudTrail".)
    async fn check_key(&self, _delivery: Delivery<'_>, key: &str) -> Result<String, KeyError> {
        Err(KeyError::Unavailable { key: key.to_owned(), reason: "there are no keys here".to_owned() })
    }
}

/// Why a trail cannot have a KMS key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is none of the forms that a key's name has.
    #[error("KMS key identifier {key:?} is not valid: {reason}")]
    Invalid {
        /// As it was given.
        key: String,
        /// What would be right.
        reason: String,
    },
    /// There is no such key in the bucket's Region.
    #[error("KMS key {key} does not exist in the Region {region} of the S3 bucket {bucket}")]
    NotFound {
        /// As it was given.
        key: String,
        /// Where the trail delivers to.
        bucket: String,
        /// Where the key would have to be.
        region: String,
    },
    /// Its policy does not let CloudTrail use it for this trail.
    #[error("Insufficient permissions to access S3 bucket {bucket} or KMS key {key}.")]
    AccessDenied {
        /// The key.
        key: String,
        /// Where the trail delivers to.
        bucket: String,
    },
    /// It is disabled or about to be deleted.
    #[error("KMS key {key} cannot be used: {reason}")]
    Unusable {
        /// The key.
        key: String,
        /// KMS's word.
        reason: String,
    },
    /// Nobody could be asked; trying again may help.
    #[error("KMS key {key} could not be checked: {reason}")]
    Unavailable {
        /// As it was given.
        key: String,
        /// Why.
        reason: String,
    },
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
