//! Directories of others, shown as buckets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use opentrail_keys::{SealedDataKey, SealedHeader};
use opentrail_model::{AccountId, Region, Timestamp};

use crate::StoreError;
use crate::bucket::Bucket;
use crate::error::At;
use crate::sealing::{Seal, SealedKey};
use crate::sidecar::Description;

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
    /// The encryption context of the data keys of files that are sealed: their names end in `.sealed`, a dash, a
    /// checksum and an extension. They are shown as their plain bytes, to whom their KMS keys let open them.
    pub context: BTreeMap<String, String>,
}

/// What a sealed file called so is bound to: its name without the checksum.
fn bound_of(key: &str) -> Option<&str> {
    let (bound, _) = key.strip_suffix(".parquet")?.rsplit_once('-')?;
    bound.ends_with(".sealed").then_some(bound)
}

impl Mount {
    /// Says of the file called `key` how it is sealed, if it is.
    pub(crate) fn describe(&self, key: &str, file: &File, description: &mut Description) -> Result<(), StoreError> {
        description.seal = self.seal_of(key, file)?;
        if description.seal.is_some() {
            description.headers.server_side_encryption = Some("aws:kms".to_owned());
        }
        Ok(())
    }

    fn seal_of(&self, key: &str, file: &File) -> Result<Option<Seal>, StoreError> {
        let Some(bound) = bound_of(key) else { return Ok(None) };
        let header = match SealedHeader::read(file) {
            Ok(header) => header,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(StoreError::Altered { reason: error.to_string() });
            }
            Err(error) => return Err(error).at(&self.directory),
        };
        let (SealedDataKey { kms_key, data_key }, context) = (header.key, self.context.clone());
        let (key, bound) = (SealedKey { kms_key, data_key, context }, Some(bound.to_owned()));
        Ok(Some(Seal { key, plain_bytes: header.plain_bytes, stored_md5: None, bound }))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_say_so_are_sealed() {
        let key = "event_date=2026-01-02/flush-1-9.v2.sealed-0a1b.parquet";
        assert_eq!(bound_of(key), Some("event_date=2026-01-02/flush-1-9.v2.sealed"));
        for plain in
            ["event_date=2026-01-02/flush-1-9.v2-0a1b.parquet", "_delta_log/00000000000000000001.json", "a.sealed"]
        {
            assert_eq!(bound_of(plain), None, "{plain}");
        }
    }
}
