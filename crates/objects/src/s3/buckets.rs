use opentrail_model::Region;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::{Objects, answer, caller, refused};

/// The most buckets on a page. (API Reference, ListBuckets, MaxBuckets.)
const MOST_BUCKETS: i32 = 10_000;

pub(super) async fn create_bucket(
    objects: &Objects,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let caller = caller(&request)?;
    let owner = caller.account.ok_or(S3ErrorCode::AccessDenied)?;
    let scope = request.region.as_ref().map(|region| region.as_str().to_owned());
    let input = request.input;
    super::objects::require_plain_acl(input.acl.as_ref().map(|acl| acl.as_str()))?;
    let locks = input.object_lock_enabled_for_bucket == Some(true);
    if locks {
        // (API Reference, CreateBucket, Permissions.)
        for action in ["s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"] {
            objects.ask(&caller, action, &input.bucket, None)?;
        }
    }
    let wanted = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    let region: Region = match wanted.as_ref().map(|location| location.as_str()) {
        Some("EU") => "eu-west-1",
        Some(location) if !location.is_empty() => location,
        _ => scope.as_deref().unwrap_or("us-east-1"),
    }
    .parse()
    .map_err(|error: opentrail_model::ParseRegionError| {
        S3Error::with_message(S3ErrorCode::InvalidLocationConstraint, error.to_string())
    })?;
    let location = format!("/{}", input.bucket);
    let created = objects.store.blocking(move |store| match locks {
        true => store.create_locking_bucket(&input.bucket, owner, region),
        false => store.create_bucket(&input.bucket, owner, region),
    });
    created.await.map_err(refused)?;
    answer(CreateBucketOutput { location: Some(location) })
}

pub(super) async fn delete_bucket(
    objects: &Objects,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let bucket = request.input.bucket;
    objects.store.blocking(move |store| store.delete_bucket(&bucket)).await.map_err(refused)?;
    Ok(S3Response::with_status(DeleteBucketOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn head_bucket(
    objects: &Objects,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    let bucket = objects.store.require_bucket(&request.input.bucket).map_err(refused)?;
    answer(HeadBucketOutput { bucket_region: Some(bucket.region.to_string()), ..Default::default() })
}

pub(super) async fn list_buckets(
    objects: &Objects,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let account = caller(&request)?.account.ok_or(S3ErrorCode::AccessDenied)?;
    let input = request.input;
    let limit = input.max_buckets.unwrap_or(MOST_BUCKETS);
    if !(1..=MOST_BUCKETS).contains(&limit) {
        let message = format!("max-buckets must be between 1 and {MOST_BUCKETS}");
        return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
    }
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.unwrap_or_default();
    let mut found: Vec<_> = objects.store.buckets();
    found.retain(|bucket| {
        bucket.owner == account
            && bucket.name.starts_with(&prefix)
            && bucket.name > after
            && input.bucket_region.as_deref().is_none_or(|region| region == bucket.region.as_str())
    });
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let continuation_token = found.last().filter(|_| more).map(|bucket| bucket.name.clone());
    let buckets = found.into_iter().map(|bucket| Bucket {
        name: Some(bucket.name),
        creation_date: Some(timestamp(bucket.created)),
        bucket_region: Some(bucket.region.to_string()),
    });
    answer(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        owner: Some(owner(account)),
        prefix: input.prefix,
        continuation_token,
    })
}

pub(super) async fn get_bucket_location(
    objects: &Objects,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let bucket = objects.store.require_bucket(&request.input.bucket).map_err(refused)?;
    // us-east-1 has no constraint. (API Reference, GetBucketLocation.)
    let region = (bucket.region != Region::us_east_1()).then(|| bucket.region.to_string());
    answer(GetBucketLocationOutput { location_constraint: region.map(BucketLocationConstraint::from) })
}

pub(super) async fn get_bucket_policy(
    objects: &Objects,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let bucket = objects.store.require_bucket(&request.input.bucket).map_err(refused)?;
    let missing = || S3Error::with_message(S3ErrorCode::NoSuchBucketPolicy, "The bucket policy does not exist");
    answer(GetBucketPolicyOutput { policy: Some(bucket.policy.ok_or_else(missing)?) })
}

pub(super) async fn put_bucket_policy(
    objects: &Objects,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<S3Response<PutBucketPolicyOutput>> {
    let PutBucketPolicyInput { bucket, policy, .. } = request.input;
    objects.store.blocking(move |store| store.put_policy(&bucket, Some(&policy))).await.map_err(refused)?;
    Ok(S3Response::with_status(PutBucketPolicyOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn delete_bucket_policy(
    objects: &Objects,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
    let bucket = request.input.bucket;
    objects.store.blocking(move |store| store.put_policy(&bucket, None)).await.map_err(refused)?;
    Ok(S3Response::with_status(DeleteBucketPolicyOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn get_bucket_acl(
    objects: &Objects,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let bucket = objects.store.require_bucket(&request.input.bucket).map_err(refused)?;
    answer(GetBucketAclOutput { owner: Some(owner(bucket.owner)), grants: Some(vec![full_control(bucket.owner)]) })
}

/// An account as an owner. S3 has canonical user ids of its own; here the account's digits are the id (a choice).
pub(super) fn owner(account: opentrail_model::AccountId) -> Owner {
    Owner { display_name: None, id: Some(account.to_string()) }
}

/// The one grant there is: the owner's.
pub(super) fn full_control(account: opentrail_model::AccountId) -> Grant {
    let grantee = Grantee {
        display_name: None,
        email_address: None,
        id: Some(account.to_string()),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }
}

pub(super) fn timestamp(time: opentrail_model::Timestamp) -> Timestamp {
    let since = u64::try_from(time.as_millis()).unwrap_or(0);
    Timestamp::from(std::time::UNIX_EPOCH + std::time::Duration::from_millis(since))
}
