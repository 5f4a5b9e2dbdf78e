//! A bucket's default encryption in S3's words. (API Reference, PutBucketEncryption.)

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::unavailable::AES256;
use super::{Objects, answer, refused};
use crate::bucket::DefaultKey;

pub(super) async fn put_bucket_encryption(
    objects: &Objects,
    request: S3Request<PutBucketEncryptionInput>,
) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
    let PutBucketEncryptionInput { bucket, server_side_encryption_configuration: configuration, .. } = request.input;
    let [rule] = &configuration.rules[..] else { return Err(S3ErrorCode::MalformedXML.into()) };
    let default = rule.apply_server_side_encryption_by_default.as_ref().ok_or(S3ErrorCode::MalformedXML)?;
    let missing = |message: &'static str| Err(S3Error::with_message(S3ErrorCode::NotImplemented, message));
    if rule.bucket_key_enabled == Some(true) {
        return missing(
            "Bucket keys are not available: each object has a data key of its own. Leave BucketKeyEnabled out.",
        );
    }
    let key_id = default.kms_master_key_id.clone().filter(|key| !key.is_empty());
    let default_key = match default.sse_algorithm.as_str() {
        AES256 if key_id.is_some() => {
            let message =
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
        }
        AES256 => None,
        ServerSideEncryption::AWS_KMS => Some(DefaultKey { key_id }),
        ServerSideEncryption::AWS_KMS_DSSE => return missing("Dual-layer encryption is not available; use aws:kms."),
        _ => return Err(S3ErrorCode::MalformedXML.into()),
    };
    let put = objects.store.blocking(move |store| {
        store.change_bucket(&bucket, |found| {
            found.default_key = default_key;
            Ok(())
        })
    });
    put.await.map_err(refused)?;
    answer(PutBucketEncryptionOutput::default())
}

pub(super) async fn get_bucket_encryption(
    objects: &Objects,
    request: S3Request<GetBucketEncryptionInput>,
) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
    let bucket = objects.store.require_bucket(&request.input.bucket).map_err(refused)?;
    // Every bucket has a default: S3's own keys unless it says otherwise.
    let (algorithm, kms_master_key_id) = match bucket.default_key {
        None => (ServerSideEncryption::AES256, None),
        Some(DefaultKey { key_id }) => (ServerSideEncryption::AWS_KMS, key_id),
    };
    let sse_algorithm = ServerSideEncryption::from_static(algorithm);
    let default = ServerSideEncryptionByDefault { kms_master_key_id, sse_algorithm };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(default),
        bucket_key_enabled: Some(false),
    };
    let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
    answer(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
}

pub(super) async fn delete_bucket_encryption(
    objects: &Objects,
    request: S3Request<DeleteBucketEncryptionInput>,
) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
    let bucket = request.input.bucket;
    let deleted = objects.store.blocking(move |store| {
        store.change_bucket(&bucket, |found| {
            found.default_key = None;
            Ok(())
        })
    });
    deleted.await.map_err(refused)?;
    Ok(S3Response::with_status(DeleteBucketEncryptionOutput::default(), http::StatusCode::NO_CONTENT))
}
