//! Directories of others, shown as buckets.

use std::path::PathBuf;

use opentrail_model::{AccountId, Region, Timestamp};

use crate::bucket::Bucket;

/// A directory that is shown as a bucket: its files are objects by the rules of keys as paths, nothing in it can be changed
/// from here, and whoever may do one action on one resource may read all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The directory.
    pub directory: PathBuf,
    /// Whose it is.
    pub owner: AccountId,
    /// The Region that it is in.
    pub region: Region,
    /// When what it shows was created.
    pub created: Timestamp,
    /// The IAM action that is asked instead of S3's.
    pub action: &'static str,
    /// The ARN that it is asked on.
    pub resource: String,
}

impl Mount {
    pub(crate) fn as_bucket(&self, name: &str) -> Bucket {
        Bucket {
            name: name.to_owned(),
            owner: self.owner,
            region: self.region.clone(),
            policy: None,
            created: self.created,
            versioning: None,
            object_lock: None,
            default_key: None,
        }
    }

    /// The action to ask in the place of one of S3; `None` for what nobody may do.
    pub(crate) fn action_for(&self, action: &str) -> Option<&'static str> {
        let reads = ["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"];
        reads.contains(&action).then_some(self.action)
    }
}
