//! The operations: S3's words turned into the store's, and back.

mod buckets;
mod encryption;
mod errors;
mod listings;
mod locks;
mod objects;
mod sealing;
mod unavailable;
mod uploads;
mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use opentrail_model::AccountId;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

pub(crate) use errors::refused;
pub(crate) use unavailable::require_available;

use crate::{Access, Store};

/// Who calls, once verified.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Known once something was allowed.
    pub(crate) account: Option<AccountId>,
    pub(crate) access_key_id: String,
    pub(crate) session_token: Option<String>,
    pub(crate) context: BTreeMap<String, String>,
}

/// The store as `s3s` calls it. What is not here answers NotImplemented, with the operation's name.
pub(crate) struct Objects {
    store: Store,
    access: Arc<dyn Access>,
}

impl Objects {
    pub(crate) fn new(store: Store, access: Arc<dyn Access>) -> Self {
        Self { store, access }
    }

    fn ask(&self, caller: &Caller, action: &'static str, bucket: &str, key: Option<&str>) -> S3Result<AccountId> {
        caller.ask(&*self.access, &self.store, action, (Some(bucket), key))
    }
}

/// The caller that the access check left in the request.
fn caller<T>(request: &S3Request<T>) -> S3Result<Caller> {
    let missing = || s3s::S3Error::with_message(s3s::S3ErrorCode::AccessDenied, "Access Denied");
    request.extensions.get::<Caller>().cloned().ok_or_else(missing)
}

fn answer<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

/// Sends each operation to the function of its name.
macro_rules! operations {
    ($($module:ident::$name:ident($input:ty) -> $output:ty;)*) => {
        #[async_trait::async_trait]
        impl S3 for Objects {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $module::$name(self, request).await
            })*
        }
    };
}

operations! {
    buckets::create_bucket(CreateBucketInput) -> CreateBucketOutput;
    buckets::delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    buckets::head_bucket(HeadBucketInput) -> HeadBucketOutput;
    buckets::list_buckets(ListBucketsInput) -> ListBucketsOutput;
    buckets::get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    buckets::get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput;
    buckets::put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput;
    buckets::delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput;
    encryption::put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput;
    encryption::get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput;
    encryption::delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput;
    buckets::get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput;
    listings::list_objects(ListObjectsInput) -> ListObjectsOutput;
    listings::list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    objects::put_object(PutObjectInput) -> PutObjectOutput;
    objects::get_object(GetObjectInput) -> GetObjectOutput;
    objects::head_object(HeadObjectInput) -> HeadObjectOutput;
    objects::get_object_acl(GetObjectAclInput) -> GetObjectAclOutput;
    objects::delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    objects::delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    objects::copy_object(CopyObjectInput) -> CopyObjectOutput;
    versions::get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
    versions::put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput;
    versions::list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput;
    locks::put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput;
    locks::get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput;
    locks::put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput;
    locks::get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput;
    locks::put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput;
    locks::get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput;
    uploads::create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    uploads::upload_part(UploadPartInput) -> UploadPartOutput;
    uploads::upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    uploads::complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    uploads::abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    uploads::list_parts(ListPartsInput) -> ListPartsOutput;
    uploads::list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
}
