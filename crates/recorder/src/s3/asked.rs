//! S3's operations as IAM actions.

use http::request::Parts;

use super::deletion::{Entry, doomed};
use super::operation::{Matched, matched};
use super::{Address, asked_of, resources};
use crate::asked::Ask;
use crate::draft::{self, header};
use crate::exchange::{Endpoint, Exchange};
use crate::generated::s3_operations::Level;
use crate::query;
use crate::service::Call;

/// Operations that need another action than the one of their name in records.
/// (Service Authorization Reference, "Actions defined by Amazon S3"; S3 User Guide, "Required permissions for Amazon S3
/// API operations".)
const OTHERWISE: &[(&str, &str)] = &[
    ("CompleteMultipartUpload", "PutObject"),
    ("CopyObject", "PutObject"),
    ("CreateMultipartUpload", "PutObject"),
    ("DeleteBucketAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    ("DeleteBucketCors", "PutBucketCORS"),
    ("DeleteBucketEncryption", "PutEncryptionConfiguration"),
    ("DeleteBucketIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    ("DeleteBucketInventoryConfiguration", "PutInventoryConfiguration"),
    ("DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("DeleteBucketMetricsConfiguration", "PutMetricsConfiguration"),
    ("DeleteBucketOwnershipControls", "PutBucketOwnershipControls"),
    ("DeleteBucketPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("DeleteBucketReplication", "PutReplicationConfiguration"),
    ("DeleteBucketTagging", "PutBucketTagging"),
    ("GetBucketAccelerateConfiguration", "GetAccelerateConfiguration"),
    ("GetBucketAnalyticsConfiguration", "GetAnalyticsConfiguration"),
    ("GetBucketCors", "GetBucketCORS"),
    ("GetBucketEncryption", "GetEncryptionConfiguration"),
    ("GetBucketIntelligentTieringConfiguration", "GetIntelligentTieringConfiguration"),
    ("GetBucketInventoryConfiguration", "GetInventoryConfiguration"),
    ("GetBucketLifecycle", "GetLifecycleConfiguration"),
    ("GetBucketMetricsConfiguration", "GetMetricsConfiguration"),
    ("GetBucketReplication", "GetReplicationConfiguration"),
    ("GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"),
    ("HeadBucket", "ListBucket"),
    ("HeadObject", "GetObject"),
    ("ListBucketAnalyticsConfigurations", "GetAnalyticsConfiguration"),
    ("ListBucketIntelligentTieringConfigurations", "GetIntelligentTieringConfiguration"),
    ("ListBucketInventoryConfigurations", "GetInventoryConfiguration"),
    ("ListBucketMetricsConfigurations", "GetMetricsConfiguration"),
    ("ListBuckets", "ListAllMyBuckets"),
    ("ListMultipartUploads", "ListBucketMultipartUploads"),
    ("ListObjectVersions", "ListBucketVersions"),
    ("ListObjects", "ListBucket"),
    ("ListParts", "ListMultipartUploadParts"),
    ("PutBucketAccelerateConfiguration", "PutAccelerateConfiguration"),
    ("PutBucketAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    ("PutBucketCors", "PutBucketCORS"),
    ("PutBucketEncryption", "PutEncryptionConfiguration"),
    ("PutBucketIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    ("PutBucketInventoryConfiguration", "PutInventoryConfiguration"),
    ("PutBucketLifecycle", "PutLifecycleConfiguration"),
    ("PutBucketMetricsConfiguration", "PutMetricsConfiguration"),
    ("PutBucketReplication", "PutReplicationConfiguration"),
    ("PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"),
    ("SelectObjectContent", "GetObject"),
    ("UploadPart", "PutObject"),
    ("UploadPartCopy", "PutObject"),
];

/// Actions that have a name of their own for a version of an object.
const VERSIONED: &[(&str, &str)] = &[
    ("DeleteObject", "DeleteObjectVersion"),
    ("DeleteObjectTagging", "DeleteObjectVersionTagging"),
    ("GetObject", "GetObjectVersion"),
    ("GetObjectAcl", "GetObjectVersionAcl"),
    ("GetObjectAttributes", "GetObjectVersionAttributes"),
    ("GetObjectTagging", "GetObjectVersionTagging"),
    ("GetObjectTorrent", "GetObjectVersionTorrent"),
    ("PutObjectAcl", "PutObjectVersionAcl"),
    ("PutObjectTagging", "PutObjectVersionTagging"),
];

/// A list of objects to delete, and the form of a browser's upload, whose key is a field.
pub(crate) fn is_asked_in_body(head: &Parts, endpoint: &Endpoint) -> bool {
    matches!(asked_of(head, endpoint).event_name.as_str(), "DeleteObjects" | "PostObject")
}

/// What a call asks for. A browser's upload says in a form what it asks for, which is not read: it cannot be told.
pub(crate) fn asked(exchange: &Exchange, call: &Call<'_>) -> Option<Vec<Ask>> {
    let address = Address::of(exchange.uri.path(), draft::host(exchange).as_deref(), &exchange.endpoint);
    let matched = matched(&exchange.method, &exchange.uri, &exchange.request_headers, address.level());
    let endpoint = Endpoint { region: call.region.clone(), ..exchange.endpoint.clone() };
    let Some(container) = resources::container(&address, &endpoint) else {
        return Some(vec![Ask::new(action(&matched.event_name, false), "*")]);
    };
    match matched.event_name.as_str() {
        "PostObject" => None,
        "DeleteObjects" => {
            let doomed = doomed(exchange.request_body.bytes()?)?;
            let ask = |Entry { key, version, .. }| {
                let address = Address { key: Some(key), bucket: None, access_point: address.access_point.clone() };
                Ask::new(action("DeleteObject", version.is_some()), resources::object(&container, &address))
            };
            Some(doomed.into_iter().map(ask).collect())
        }
        name => {
            let object = matched.level == Level::Object;
            let resource = if object { resources::object(&container, &address) } else { container };
            let mut asks = vec![Ask::new(action(name, object && names_version(exchange)), resource)];
            if is_copy(&matched) {
                let source = resources::copy_source(exchange)?;
                let versioned = header(&exchange.request_headers, "x-amz-copy-source")?.contains("?versionId=");
                let container = resources::container(&source, &endpoint)?;
                asks.push(Ask::new(action("GetObject", versioned), resources::object(&container, &source)));
            }
            Some(asks)
        }
    }
}

fn is_copy(matched: &Matched) -> bool {
    matches!(matched.event_name.as_str(), "CopyObject" | "UploadPartCopy")
}

fn names_version(exchange: &Exchange) -> bool {
    query::pairs(exchange.uri.query().unwrap_or_default()).any(|pair| pair.name == "versionId")
}

fn action(event_name: &str, versioned: bool) -> String {
    let name = OTHERWISE.iter().find(|(name, _)| *name == event_name).map_or(event_name, |(_, action)| action);
    let of_version = VERSIONED.iter().find(|(plain, _)| versioned && *plain == name).map(|(_, action)| *action);
    format!("s3:{}", of_version.unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_as_iam_names_them() {
        assert!(OTHERWISE.is_sorted_by_key(|(name, _)| *name));
        for (name, versioned, expected) in [
            ("HeadObject", false, "s3:GetObject"),
            ("HeadObject", true, "s3:GetObjectVersion"),
            ("GetObjectAcl", true, "s3:GetObjectVersionAcl"),
            ("ListObjects", false, "s3:ListBucket"),
            ("UploadPart", true, "s3:PutObject"),
            ("PutBucketPolicy", false, "s3:PutBucketPolicy"),
            ("ListBuckets", false, "s3:ListAllMyBuckets"),
        ] {
            assert_eq!(action(name, versioned), expected, "{name}");
        }
    }
}
