//! Buckets: their documents and the rules for their names.

use opentrail_model::{AccountId, Region, Timestamp};
use serde::{Deserialize, Serialize};

use crate::locks::ObjectLock;
use crate::{StoreError, Versioning};

/// The longest bucket policy, in bytes. (S3 User Guide, "Policies and permissions": 20 KB.)
const LONGEST_POLICY: usize = 20 * 1024;

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bucket {
    /// Its name, unique in the store.
    pub name: String,
    /// The account that owns it and everything in it.
    pub owner: AccountId,
    /// The Region it was created in.
    pub region: Region,
    /// Its policy: a JSON object as it was put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it keeps versions; `None` when it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versioning: Option<Versioning>,
    /// Whether and how it locks what is put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object_lock: Option<ObjectLock>,
    /// The KMS key that seals what is put without saying how; `None` for S3's own keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_key: Option<DefaultKey>,
}

/// SSE-KMS as a bucket's default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DefaultKey {
    /// As it was put; by default the key that S3 manages in the writer's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_id: Option<String>,
}

/// Refuses names that break the rules for general purpose buckets. (S3 User Guide, "Bucket naming rules".)
pub(crate) fn check_name(name: &str) -> Result<(), StoreError> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let bytes = name.as_bytes();
    let good = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| inner(*b))
        && edge(bytes.first())
        && edge(bytes.last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !["xn--", "sthree-"].iter().any(|prefix| name.starts_with(prefix))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix));
    if good { Ok(()) } else { Err(StoreError::InvalidBucketName { bucket: name.to_owned() }) }
}

/// Refuses what is no JSON object or too long. What it grants is the business of those who evaluate it.
pub(crate) fn check_policy(policy: &str) -> Result<(), StoreError> {
    let malformed = |reason: &str| Err(StoreError::MalformedPolicy { reason: reason.to_owned() });
    if policy.len() > LONGEST_POLICY {
        return malformed("it is larger than 20 KB");
    }
    match serde_json::from_str::<serde_json::Value>(policy) {
        Err(error) => malformed(&format!("it is not JSON: {error}")),
        Ok(serde_json::Value::Object(fields)) if fields.contains_key("Statement") => Ok(()),
        Ok(serde_json::Value::Object(_)) => malformed("the element Statement is missing"),
        Ok(_) => malformed("it is not a JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for good in ["abc", "my-logs", "a.b.c", "1-2-3", &"x".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(64);
        let bad =
            ["", "ab", "Abc", "a_b", "-abc", "abc-", ".abc", "a..b", "192.168.5.4", "xn--abc", "a/b", "..", &long];
        for bad in bad {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
