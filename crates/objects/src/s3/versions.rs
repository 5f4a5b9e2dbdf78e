//! Versions in S3's words.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::buckets::owner;
use super::listings::{Spelling, max_keys};
use super::{Objects, answer, refused};
use crate::Versioning;
use crate::listing::Query;
use crate::sidecar::Description;
use crate::versions::{VersionQuery, check_version_id};

pub(super) async fn get_bucket_versioning(
    objects: &Objects,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let bucket = objects.store.require_bucket(&request.input.bucket).map_err(refused)?;
    let status = bucket.versioning.map(|versioning| {
        BucketVersioningStatus::from_static(match versioning {
            Versioning::Enabled => BucketVersioningStatus::ENABLED,
            Versioning::Suspended => BucketVersioningStatus::SUSPENDED,
        })
    });
    answer(GetBucketVersioningOutput { status, ..Default::default() })
}

pub(super) async fn put_bucket_versioning(
    objects: &Objects,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let PutBucketVersioningInput { bucket, versioning_configuration: wanted, mfa, .. } = request.input;
    let mfa_delete = wanted.mfa_delete.as_ref().is_some_and(|delete| delete.as_str() != MFADelete::DISABLED);
    if mfa_delete || mfa.is_some() {
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, "MFA delete is not available."));
    }
    let versioning = match wanted.status.as_ref().map(|status| status.as_str()) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        Some(_) => return Err(S3ErrorCode::MalformedXML.into()),
        None => {
            let message = "The Versioning element must be specified";
            return Err(S3Error::with_message(S3ErrorCode::IllegalVersioningConfigurationException, message));
        }
    };
    objects.store.blocking(move |store| store.put_versioning(&bucket, versioning)).await.map_err(refused)?;
    answer(PutBucketVersioningOutput::default())
}

pub(super) async fn list_object_versions(
    objects: &Objects,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    let spelling = Spelling::of(input.encoding_type.as_ref())?;
    let limit = max_keys(input.max_keys)?;
    let (key_marker, version_marker) = (input.key_marker.clone(), input.version_id_marker.clone());
    let version_marker = version_marker.filter(|marker| !marker.is_empty());
    if let Some(version) = &version_marker {
        check_version_id(version).map_err(refused)?;
        if key_marker.as_deref().unwrap_or_default().is_empty() {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
        }
    }
    let bucket = input.bucket.clone();
    let (prefix, delimiter) = (input.prefix.clone().unwrap_or_default(), input.delimiter.clone());
    let found = objects.store.blocking(move |store| {
        let keys = Query {
            prefix: &prefix,
            delimiter: delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
            after: key_marker.as_deref().unwrap_or_default(),
            limit: usize::try_from(limit).unwrap_or(0),
        };
        let query = VersionQuery { keys, after_version: version_marker.as_deref() };
        Ok((store.require_bucket(&bucket)?.owner, store.list_versions(&bucket, &query)?))
    });
    let (account, page) = found.await.map_err(refused)?;
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for (key, description, latest) in page.versions {
        let key = spelling.spell(key);
        match description.marker {
            true => markers.push(DeleteMarkerEntry {
                is_latest: Some(latest),
                key: Some(key),
                last_modified: Some(Timestamp::from(description.stamp.system_time())),
                owner: Some(owner(account)),
                version_id: Some(description.version_id().to_owned()),
            }),
            false => versions.push(version(key, &description, latest, account)),
        }
    }
    let prefix = |prefix| CommonPrefix { prefix: Some(spelling.spell(prefix)) };
    let is_truncated = page.next.is_some();
    let (next_key, next_version) = page.next.unzip();
    answer(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(spelling.spell(input.prefix.unwrap_or_default())),
        key_marker: Some(spelling.spell(input.key_marker.unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        max_keys: Some(limit),
        is_truncated: Some(is_truncated),
        versions: Some(versions),
        delete_markers: Some(markers),
        common_prefixes: Some(page.common_prefixes.into_iter().map(prefix).collect()),
        delimiter: input.delimiter.map(|delimiter| spelling.spell(delimiter)),
        next_key_marker: next_key.map(|key| spelling.spell(key)),
        next_version_id_marker: next_version.flatten(),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

fn version(key: String, description: &Description, latest: bool, account: opentrail_model::AccountId) -> ObjectVersion {
    let checksum = description.checksum.as_ref();
    ObjectVersion {
        checksum_algorithm: checksum.map(|sum| vec![ChecksumAlgorithm::from_static(sum.algorithm.name())]),
        checksum_type: checksum.map(|sum| ChecksumType::from_static(sum.scope.name())),
        e_tag: Some(ETag::Strong(description.etag.clone())),
        is_latest: Some(latest),
        key: Some(key),
        last_modified: Some(Timestamp::from(description.stamp.system_time())),
        owner: Some(owner(account)),
        restore_status: None,
        size: i64::try_from(description.size()).ok(),
        storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
        version_id: Some(description.version_id().to_owned()),
    }
}

/// The version id that an answer names: none where versions were never kept.
pub(super) fn version_id(objects: &Objects, bucket: &str, description: &Description) -> Option<String> {
    let found = objects.store.require_bucket(bucket).ok()?;
    found.versioning.map(|_| description.version_id().to_owned())
}
