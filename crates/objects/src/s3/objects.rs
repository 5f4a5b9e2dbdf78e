use std::fs::File;
use std::ops::Range as ByteRange;

use bytes::Bytes;
use futures::StreamExt;
use http::HeaderMap;
use opentrail_model::Timestamp as Moment;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, TrailingHeaders};

use super::buckets::{full_control, owner};
use super::{Caller, Objects, answer, caller, locks, refused, sealing, versions};
use crate::StoreError;
use crate::backend::read;
use crate::checksums::{Algorithm, content_md5, require_equal};
use crate::condition::{Conditions, Tag, Verdict};
use crate::locks::Bypass;
use crate::sidecar::{Description, Headers, NULL_VERSION};
use crate::staging::{NewKey, Staged, stage_sealed};
use crate::store::Details;
use crate::versions::Deleted;

/// The most bytes of one PUT. (API Reference, PutObject: 5 GB.)
pub(super) const MOST_PUT_BYTES: u64 = 5 << 30;

/// The most user metadata, names and values together, in bytes. (S3 User Guide, "Working with object metadata": 2 KB.)
const MOST_METADATA_BYTES: usize = 2048;

pub(super) async fn put_object(
    objects: &Objects,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let caller = caller(&request)?;
    let input = &request.input;
    require_plain_acl(input.acl.as_ref().map(|acl| acl.as_str()))?;
    require_plain(&Asks {
        storage_class: input.storage_class.as_ref().map(|class| class.as_str()),
        tagged: input.tagging.is_some(),
    })?;
    objects.store.require_bucket(&input.bucket).map_err(refused)?;
    let (encryption, key_id) = (input.server_side_encryption.as_ref(), input.ssekms_key_id.as_deref());
    let context = input.ssekms_encryption_context.as_deref();
    let wanted_key = sealing::wanted(objects, &input.bucket, encryption, key_id, context)?;
    let encryption = sealing::told(input.server_side_encryption.clone(), wanted_key.is_some());
    let headers = headers(Given {
        content_type: input.content_type.clone(),
        content_encoding: input.content_encoding.clone(),
        content_language: input.content_language.clone(),
        content_disposition: input.content_disposition.clone(),
        cache_control: input.cache_control.clone(),
        expires: input.expires.as_ref(),
        website_redirect_location: input.website_redirect_location.clone(),
        encryption: encryption.clone(),
        metadata: input.metadata.clone(),
    })?;
    let conditions = Conditions {
        if_match: input.if_match.as_ref().map(tag),
        if_none_match: input.if_none_match.as_ref().map(tag),
        ..Conditions::default()
    };
    let declared = Declared::of(&request.headers, request.trailing_headers.clone(), input.content_md5.clone())?;
    let asked = locks::Asked {
        mode: input.object_lock_mode.clone(),
        until: input.object_lock_retain_until_date.clone(),
        hold: input.object_lock_legal_hold_status.clone(),
    };
    declared.require_for_lock(objects, &input.bucket, &asked)?;
    let lock = locks::new_lock(objects, &caller, (&input.bucket, &input.key), asked).await?;
    let wanted = vec![declared.algorithm.unwrap_or(Algorithm::Crc64Nvme)];
    let new_key = sealing::new_key(objects, &caller, (&input.bucket, &input.key), wanted_key).await?;
    let body = request.input.body.take();
    let staged = receive(objects, body, wanted, new_key).await?;
    declared.verify(&staged).map_err(refused)?;
    let (bucket, key) = (request.input.bucket.clone(), request.input.key);
    let details = Details { lock, ..Details::of(&staged, headers) };
    let done = objects.store.blocking(move |store| store.put(&bucket, &key, staged, details, &conditions));
    let description = done.await.map_err(refused)?;
    let sums = sums(&description);
    answer(PutObjectOutput {
        version_id: versions::version_id(objects, &request.input.bucket, &description),
        ssekms_key_id: kms_key(&description),
        e_tag: Some(ETag::Strong(description.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        server_side_encryption: encryption,
        ..Default::default()
    })
}

/// Takes a body in, summed, and seals what is stored when there is a key. An absent body is empty.
pub(super) async fn receive(
    objects: &Objects,
    body: Option<StreamingBlob>,
    wanted: Vec<Algorithm>,
    key: Option<NewKey>,
) -> S3Result<Staged> {
    let scratch = &objects.store.inner.scratch;
    let staged = match body {
        Some(body) => stage_sealed(scratch, body, wanted, MOST_PUT_BYTES, key).await,
        None => stage_sealed(scratch, futures::stream::empty::<Result<Bytes, std::io::Error>>(), wanted, 0, key).await,
    };
    staged.map_err(refused)
}

/// The sums that a client says its body has.
pub(super) struct Declared {
    pub(super) algorithm: Option<Algorithm>,
    value: Option<String>,
    trailers: Option<TrailingHeaders>,
    content_md5: Option<String>,
    /// The bytes that the chunks of an `aws-chunked` body hold.
    decoded_length: Option<u64>,
}

impl Declared {
    pub(super) fn of(
        headers: &HeaderMap,
        trailers: Option<TrailingHeaders>,
        content_md5: Option<String>,
    ) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut sums = Algorithm::ALL.into_iter().filter_map(|algorithm| Some((algorithm, text(algorithm.header())?)));
        let sum = sums.next();
        if sums.next().is_some() {
            let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
        }
        let trailer = text("x-amz-trailer").map(str::trim);
        let trailing = Algorithm::ALL.into_iter().find(|algorithm| trailer == Some(algorithm.header()));
        let named = text("x-amz-sdk-checksum-algorithm").map(Algorithm::from_name).transpose().map_err(refused)?;
        Ok(Self {
            algorithm: sum.map(|(algorithm, _)| algorithm).or(trailing).or(named),
            value: sum.map(|(_, value)| value.to_owned()),
            trailers: trailers.filter(|_| trailing.is_some()),
            content_md5,
            decoded_length: text("x-amz-decoded-content-length").and_then(|length| length.parse().ok()),
        })
    }

    /// Refuses a body without a sum that is to be locked. (API Reference, PutObject, Content-MD5.)
    fn require_for_lock(&self, objects: &Objects, bucket: &str, asked: &locks::Asked) -> S3Result<()> {
        let found = objects.store.require_bucket(bucket).map_err(refused)?;
        let by_default = found.object_lock.is_some_and(|lock| lock.default.is_some());
        let locks = by_default || asked.mode.is_some() || asked.hold.is_some();
        let summed = self.content_md5.is_some() || self.value.is_some() || self.trailers.is_some();
        if summed || !locks {
            return Ok(());
        }
        let message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock \
                       parameters";
        Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message))
    }

    /// Refuses a body that is not the declared one. Trailers have come once the body has.
    pub(super) fn verify(&self, staged: &Staged) -> Result<(), StoreError> {
        // `s3s` does not count: without this, whole chunks could be cut off.
        if let Some(declared) = self.decoded_length.filter(|declared| *declared != staged.plain) {
            let reason = format!("x-amz-decoded-content-length is {declared}, but {} bytes came", staged.plain);
            return Err(StoreError::Body { reason, source: None });
        }
        if let Some(declared) = &self.content_md5 {
            require_equal("Content-MD5", declared, &content_md5(&staged.md5))?;
        }
        let Some(algorithm) = self.algorithm else { return Ok(()) };
        let trailing = self.trailers.as_ref().map(|trailers| {
            let value = |trailers: &HeaderMap| Some(trailers.get(algorithm.header())?.to_str().ok()?.trim().to_owned());
            trailers.read(value).flatten().ok_or_else(|| StoreError::Invalid {
                reason: format!("the trailer {} was announced and did not come", algorithm.header()),
            })
        });
        let declared = trailing.transpose()?.or_else(|| self.value.clone());
        let found = staged.checksums.iter().find(|sum| sum.algorithm == algorithm);
        match (declared, found) {
            (Some(declared), Some(found)) => require_equal(algorithm.name(), &declared, &found.value),
            _ => Ok(()),
        }
    }
}

/// The object that a request is about: the current version if none is named.
pub(super) struct Place {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: Option<String>,
}

/// The object that a GET or HEAD is about, and which of its bytes.
struct Wanted {
    file: File,
    description: Description,
    range: Option<ByteRange<u64>>,
}

async fn find(
    objects: &Objects,
    caller: &Caller,
    Place { bucket, key, version }: Place,
    conditions: Conditions,
    range: Option<Range>,
    part: Option<i32>,
) -> S3Result<Wanted> {
    let (in_bucket, of_key, of_version) = (bucket.clone(), key.clone(), version.clone());
    let found = objects.store.blocking(move |store| match of_version {
        None => store.open_object(&in_bucket, &of_key),
        Some(version) => store.open_version(&in_bucket, &of_key, &version),
    });
    let (file, description) = match found.await {
        // Whether a key exists is told only to those who may list. (API Reference, GetObject, Permissions.)
        Err(error @ (StoreError::NoSuchKey { .. } | StoreError::NoSuchVersion { .. })) => {
            let action = if version.is_some() { "s3:ListBucketVersions" } else { "s3:ListBucket" };
            objects.ask(caller, action, &bucket, None)?;
            return Err(hidden(objects, bucket, key, refused(error)).await);
        }
        found => found.map_err(refused)?,
    };
    match conditions.check_read(&description) {
        Verdict::Serve => {}
        Verdict::NotModified => {
            let mut error = S3Error::new(S3ErrorCode::NotModified);
            error.set_status_code(http::StatusCode::NOT_MODIFIED);
            let mut headers = HeaderMap::new();
            headers.extend(ETag::Strong(description.etag).to_http_header().map(|etag| (http::header::ETAG, etag)));
            error.set_headers(headers);
            return Err(error);
        }
        Verdict::Failed(condition) => return Err(refused(StoreError::Precondition { condition })),
    }
    let size = description.size();
    let unsatisfiable = || {
        S3Error::with_message(
            S3ErrorCode::InvalidRange,
            format!("The requested range is not satisfiable: {size} bytes"),
        )
    };
    let range = match (range, part) {
        (Some(_), Some(_)) => {
            let message = "Cannot specify both Range header and partNumber query parameter";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
        }
        (Some(range), None) => Some(range.check(size).map_err(|_| unsatisfiable())?),
        (None, Some(1)) if description.parts.is_empty() => None,
        (None, Some(part)) => {
            let index = usize::try_from(part).ok().and_then(|part| part.checked_sub(1));
            let length = index.and_then(|index| description.parts.get(index));
            let (Some(index), Some(length)) = (index, length) else {
                let message = "The requested partnumber is not satisfiable";
                return Err(S3Error::with_message(S3ErrorCode::InvalidPart, message));
            };
            let start: u64 = description.parts[..index].iter().sum();
            Some(start..start + length)
        }
        (None, None) => None,
    };
    Ok(Wanted { file, description, range })
}

/// Says of a key that is not found whether a delete marker hides it. (S3 User Guide, "Working with delete markers".)
async fn hidden(objects: &Objects, bucket: String, key: String, mut error: S3Error) -> S3Error {
    let found = objects.store.blocking(move |store| store.history(&bucket, &key)).await;
    let marker = found.ok().and_then(|history| history.current().cloned()).filter(|current| current.marker);
    if let Some(marker) = marker.filter(|_| *error.code() == S3ErrorCode::NoSuchKey) {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-delete-marker", http::HeaderValue::from_static("true"));
        headers.extend(marker.version_id().parse().ok().map(|id| (VERSION_ID, id)));
        error.set_headers(headers);
    }
    error
}

const VERSION_ID: http::HeaderName = http::HeaderName::from_static("x-amz-version-id");

pub(super) async fn get_object(
    objects: &Objects,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let caller = caller(&request)?;
    let overrides = overrides(&request.input);
    let input = request.input;
    let conditions = Conditions {
        if_match: input.if_match.as_ref().map(tag),
        if_none_match: input.if_none_match.as_ref().map(tag),
        if_modified_since: input.if_modified_since.map(moment),
        if_unmodified_since: input.if_unmodified_since.map(moment),
    };
    let place = Place { bucket: input.bucket.clone(), key: input.key.clone(), version: input.version_id };
    let wanted = find(objects, &caller, place, conditions, input.range, input.part_number).await?;
    let Wanted { file, description, range } = wanted;
    let size = description.size();
    let bytes = range.clone().unwrap_or(0..size);
    // The sum is the whole object's, and would fail a client that has a part of it.
    let sums = if input.checksum_mode.is_some() && range.is_none() { sums(&description) } else { Checksum::default() };
    let length = i64::try_from(bytes.end - bytes.start).ok();
    let parts_count = input.part_number.and_then(|_| i32::try_from(description.parts.len().max(1)).ok());
    let readable = sealing::readable(objects, &caller, file, &description).await?;
    let ssekms_key_id = kms_key(&description);
    let version_id = versions::version_id(objects, &input.bucket, &description);
    let lock = locks::told(objects, &caller, (&input.bucket, &input.key), &description);
    let headers = description.headers;
    let output = GetObjectOutput {
        ssekms_key_id,
        version_id,
        object_lock_mode: lock.mode,
        object_lock_retain_until_date: lock.until,
        object_lock_legal_hold_status: lock.hold,
        body: Some(StreamingBlob::wrap(read(objects.store.clone(), readable, bytes))),
        content_length: length,
        content_range: range.map(|range| format!("bytes {}-{}/{size}", range.start, range.end.max(1) - 1)),
        accept_ranges: Some("bytes".to_owned()),
        e_tag: Some(ETag::Strong(description.etag)),
        last_modified: Some(Timestamp::from(description.stamp.system_time())),
        content_type: Some(headers.content_type.unwrap_or_else(|| DEFAULT_TYPE.to_owned())),
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        content_disposition: headers.content_disposition,
        cache_control: headers.cache_control,
        expires: headers.expires.and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, &text).ok()),
        website_redirect_location: headers.website_redirect_location,
        server_side_encryption: headers.server_side_encryption.map(ServerSideEncryption::from),
        metadata: Some(headers.user.into_iter().collect()),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        parts_count,
        ..Default::default()
    };
    answer(overrides(output))
}

/// What `response-content-type` and its relatives put in place of the object's own headers.
fn overrides(input: &GetObjectInput) -> impl FnOnce(GetObjectOutput) -> GetObjectOutput + Send + use<> {
    let content_type = input.response_content_type.clone();
    let content_encoding = input.response_content_encoding.clone();
    let content_language = input.response_content_language.clone();
    let content_disposition = input.response_content_disposition.clone();
    let cache_control = input.response_cache_control.clone();
    move |output| GetObjectOutput {
        content_type: content_type.or(output.content_type),
        content_encoding: content_encoding.or(output.content_encoding),
        content_language: content_language.or(output.content_language),
        content_disposition: content_disposition.or(output.content_disposition),
        cache_control: cache_control.or(output.cache_control),
        ..output
    }
}

pub(super) async fn head_object(
    objects: &Objects,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let caller = caller(&request)?;
    let input = request.input;
    let conditions = Conditions {
        if_match: input.if_match.as_ref().map(tag),
        if_none_match: input.if_none_match.as_ref().map(tag),
        if_modified_since: input.if_modified_since.map(moment),
        if_unmodified_since: input.if_unmodified_since.map(moment),
    };
    let place = Place { bucket: input.bucket.clone(), key: input.key.clone(), version: input.version_id };
    let wanted = find(objects, &caller, place, conditions, input.range, input.part_number).await?;
    let Wanted { description, range, .. } = wanted;
    let size = description.size();
    let bytes = range.clone().unwrap_or(0..size);
    let sums = if input.checksum_mode.is_some() && range.is_none() { sums(&description) } else { Checksum::default() };
    let parts_count = input.part_number.and_then(|_| i32::try_from(description.parts.len().max(1)).ok());
    let ssekms_key_id = kms_key(&description);
    let version_id = versions::version_id(objects, &input.bucket, &description);
    let lock = locks::told(objects, &caller, (&input.bucket, &input.key), &description);
    let headers = description.headers;
    answer(HeadObjectOutput {
        ssekms_key_id,
        version_id,
        object_lock_mode: lock.mode,
        object_lock_retain_until_date: lock.until,
        object_lock_legal_hold_status: lock.hold,
        content_length: i64::try_from(bytes.end - bytes.start).ok(),
        content_range: range.map(|range| format!("bytes {}-{}/{size}", range.start, range.end.max(1) - 1)),
        accept_ranges: Some("bytes".to_owned()),
        e_tag: Some(ETag::Strong(description.etag)),
        last_modified: Some(Timestamp::from(description.stamp.system_time())),
        content_type: Some(headers.content_type.unwrap_or_else(|| DEFAULT_TYPE.to_owned())),
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        content_disposition: headers.content_disposition,
        cache_control: headers.cache_control,
        expires: headers.expires.and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, &text).ok()),
        website_redirect_location: headers.website_redirect_location,
        server_side_encryption: headers.server_side_encryption.map(ServerSideEncryption::from),
        metadata: Some(headers.user.into_iter().collect()),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        parts_count,
        ..Default::default()
    })
}

/// The ARN of the KMS key that seals the object.
fn kms_key(description: &Description) -> Option<String> {
    description.seal.as_ref().map(|seal| seal.key.kms_key.clone())
}

/// The type of objects put without one. (API Reference, PutObject, Content-Type.)
const DEFAULT_TYPE: &str = "binary/octet-stream";

pub(super) async fn get_object_acl(
    objects: &Objects,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let caller = caller(&request)?;
    let GetObjectAclInput { bucket, key, version_id: version, .. } = request.input;
    let account = objects.store.require_bucket(&bucket).map_err(refused)?.owner;
    find(objects, &caller, Place { bucket, key, version }, Conditions::default(), None, None).await?;
    let (owner, grants) = (Some(owner(account)), Some(vec![full_control(account)]));
    answer(GetObjectAclOutput { owner, grants, request_charged: None })
}

pub(super) async fn delete_object(
    objects: &Objects,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let caller = caller(&request)?;
    let input = request.input;
    require_no_mfa(input.mfa.is_some())?;
    let conditions = Conditions { if_match: input.if_match.as_ref().map(tag), ..Conditions::default() };
    let bypass = locks::bypass(objects, &caller, (&input.bucket, &input.key), input.bypass_governance_retention)?;
    let place = Place { bucket: input.bucket, key: input.key, version: input.version_id };
    let Deleted { marker, version } = delete(objects, place, conditions, bypass).await.map_err(refused)?;
    let output =
        DeleteObjectOutput { delete_marker: marker.then_some(true), version_id: version, request_charged: None };
    Ok(S3Response::with_status(output, http::StatusCode::NO_CONTENT))
}

/// Deletes a version if one is named; else the object, which may leave a delete marker.
async fn delete(
    objects: &Objects,
    Place { bucket, key, version }: Place,
    conditions: Conditions,
    bypass: Bypass,
) -> Result<Deleted, StoreError> {
    let deleted = objects.store.blocking(move |store| {
        let Some(version) = version else { return store.delete(&bucket, &key, &conditions) };
        if !conditions.is_empty() {
            return Err(StoreError::Invalid { reason: "conditions go with no version id".to_owned() });
        }
        match store.require_bucket(&bucket)?.versioning {
            // The only version there is.
            None if version == NULL_VERSION => store.delete(&bucket, &key, &conditions),
            _ => store.delete_version(&bucket, &key, &version, bypass),
        }
    });
    deleted.await
}

/// No bucket has MFA delete.
fn require_no_mfa(given: bool) -> S3Result<()> {
    if !given {
        return Ok(());
    }
    Err(S3Error::with_message(S3ErrorCode::NotImplemented, "MFA delete is not available; leave x-amz-mfa out."))
}

/// How many of the objects of one DeleteObjects are deleted at the same time (a choice).
const DELETED_AT_ONCE: usize = 16;

pub(super) async fn delete_objects(
    objects: &Objects,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let caller = caller(&request)?;
    let DeleteObjectsInput { bucket, delete: wanted, bypass_governance_retention, mfa, .. } = request.input;
    require_no_mfa(mfa.is_some())?;
    objects.store.require_bucket(&bucket).map_err(refused)?;
    if wanted.objects.is_empty() || wanted.objects.len() > 1000 {
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, "Name between 1 and 1000 objects to delete."));
    }
    let removals = wanted.objects.into_iter().map(|object| {
        let (caller, bucket) = (&caller, &bucket);
        async move {
            let (key, version) = (object.key, object.version_id);
            let removed = async {
                let action = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
                objects.ask(caller, action, bucket, Some(&key))?;
                let bypass = locks::bypass(objects, caller, (bucket, &key), bypass_governance_retention)?;
                let if_match = object.e_tag.map(|etag| Tag::Is(etag.into_value()));
                let conditions = Conditions { if_match, ..Conditions::default() };
                let place = Place { bucket: bucket.clone(), key: key.clone(), version: version.clone() };
                delete(objects, place, conditions, bypass).await.map_err(refused)
            };
            let removed = removed.await;
            (key, version, removed)
        }
    });
    // Each waits for the disk, and the disk syncs for several at once.
    let mut removals = futures::stream::iter(removals).buffered(DELETED_AT_ONCE);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    while let Some((key, version_id, removed)) = removals.next().await {
        match removed {
            Ok(done) => deleted.push(DeletedObject {
                key: Some(key),
                delete_marker: done.marker.then_some(true),
                delete_marker_version_id: done.version.filter(|_| done.marker),
                version_id,
            }),
            Err(error) => errors.push(Error {
                key: Some(key),
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                version_id,
            }),
        }
    }
    let deleted = (wanted.quiet != Some(true)).then_some(deleted);
    answer(DeleteObjectsOutput { deleted, errors: Some(errors), request_charged: None })
}

pub(super) async fn copy_object(
    objects: &Objects,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let caller = caller(&request)?;
    let input = request.input;
    require_plain_acl(input.acl.as_ref().map(|acl| acl.as_str()))?;
    require_plain(&Asks {
        storage_class: input.storage_class.as_ref().map(|class| class.as_str()),
        tagged: input.tagging.is_some(),
    })?;
    let replaced = match input.metadata_directive.as_ref().map(|directive| directive.as_str()) {
        Some("REPLACE") => Some(headers(Given {
            content_type: input.content_type.clone(),
            content_encoding: input.content_encoding.clone(),
            content_language: input.content_language.clone(),
            content_disposition: input.content_disposition.clone(),
            cache_control: input.cache_control.clone(),
            expires: input.expires.as_ref(),
            website_redirect_location: input.website_redirect_location.clone(),
            encryption: None,
            metadata: input.metadata.clone(),
        })?),
        _ => None,
    };
    let conditions = Conditions {
        if_match: input.copy_source_if_match.as_ref().map(tag),
        if_none_match: input.copy_source_if_none_match.as_ref().map(tag),
        if_modified_since: input.copy_source_if_modified_since.map(moment),
        if_unmodified_since: input.copy_source_if_unmodified_since.map(moment),
    };
    let (bucket, key) = (input.bucket, input.key);
    let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| Algorithm::from_name(algorithm.as_str()));
    let algorithm = algorithm.transpose().map_err(refused)?.unwrap_or(Algorithm::Crc64Nvme);
    let from = source(objects, &caller, &input.copy_source)?;
    let itself = (&from.bucket, &from.key) == (&bucket, &key);
    if itself && replaced.is_none() && from.version.is_none() && input.server_side_encryption.is_none() {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing \
                       the object's metadata; set x-amz-metadata-directive to REPLACE";
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
    }
    objects.store.require_bucket(&bucket).map_err(refused)?;
    let asked = locks::Asked {
        mode: input.object_lock_mode,
        until: input.object_lock_retain_until_date,
        hold: input.object_lock_legal_hold_status,
    };
    let lock = locks::new_lock(objects, &caller, (&bucket, &key), asked).await?;
    let from_bucket = from.bucket.clone();
    let wanted = find_source(objects, &caller, from, conditions).await?;
    let copy_source_version_id = versions::version_id(objects, &from_bucket, &wanted.1);
    // Encryption is the request's matter, not the source's. (API Reference, CopyObject.)
    let asked = input.server_side_encryption.as_ref();
    let (key_id, context) = (input.ssekms_key_id.as_deref(), input.ssekms_encryption_context.as_deref());
    let wanted_key = sealing::wanted(objects, &bucket, asked, key_id, context)?;
    let server_side_encryption = sealing::told(input.server_side_encryption, wanted_key.is_some());
    let asked = server_side_encryption.clone();
    let new_key = sealing::new_key(objects, &caller, (&bucket, &key), wanted_key).await?;
    let (file, description) = wanted;
    let everything = 0..description.size();
    let staged = sealing::stage_copy(objects, &caller, (file, &description), everything, &[algorithm], new_key).await?;
    let to_bucket = bucket.clone();
    let copied = objects.store.blocking(move |store| {
        let server_side_encryption = asked.as_ref().map(|encryption| encryption.as_str().to_owned());
        let headers = Headers { server_side_encryption, ..replaced.unwrap_or(description.headers) };
        let details = Details { lock, ..Details::of(&staged, headers) };
        store.put(&to_bucket, &key, staged, details, &Conditions::default())
    });
    let description = copied.await.map_err(refused)?;
    let version_id = versions::version_id(objects, &bucket, &description);
    let ssekms_key_id = kms_key(&description);
    let sums = sums(&description);
    let result = CopyObjectResult {
        last_modified: Some(Timestamp::from(description.stamp.system_time())),
        e_tag: Some(ETag::Strong(description.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
    };
    let copy_object_result = Some(result);
    answer(CopyObjectOutput {
        copy_object_result,
        server_side_encryption,
        ssekms_key_id,
        version_id,
        copy_source_version_id,
        ..Default::default()
    })
}

/// The source of a copy, which the caller needs to be allowed to read.
pub(super) fn source(objects: &Objects, caller: &Caller, source: &CopySource) -> S3Result<Place> {
    let CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, "Access points are not available."));
    };
    let action = if version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    objects.ask(caller, action, bucket, Some(key))?;
    let version = version_id.as_deref().map(str::to_owned);
    Ok(Place { bucket: bucket.to_string(), key: key.to_string(), version })
}

/// Opens the source of a copy. Its conditions fail with 412 only.
pub(super) async fn find_source(
    objects: &Objects,
    caller: &Caller,
    place: Place,
    conditions: Conditions,
) -> S3Result<(File, Description)> {
    match find(objects, caller, place, conditions, None, None).await {
        Err(error) if *error.code() == S3ErrorCode::NotModified => {
            Err(refused(StoreError::Precondition { condition: "x-amz-copy-source-if" }))
        }
        found => found.map(|wanted| (wanted.file, wanted.description)),
    }
}

/// What a request asks of an object beyond bytes and headers.
pub(super) struct Asks<'a> {
    pub(super) storage_class: Option<&'a str>,
    pub(super) tagged: bool,
}

/// Refuses what the store does not have, rather than taking it in silence.
pub(super) fn require_plain(asks: &Asks<'_>) -> S3Result<()> {
    let missing = |message: &'static str| Err(S3Error::with_message(S3ErrorCode::NotImplemented, message));
    if asks.tagged {
        return missing("Object tags are not available; leave x-amz-tagging out.");
    }
    match asks.storage_class {
        None | Some("STANDARD") => Ok(()),
        Some(_) => {
            let message = "The storage class you specified is not valid: there is only STANDARD";
            Err(S3Error::with_message(S3ErrorCode::InvalidStorageClass, message))
        }
    }
}

/// Access is a matter of policies; of ACLs only those pass that grant nobody else anything.
pub(super) fn require_plain_acl(acl: Option<&str>) -> S3Result<()> {
    match acl {
        None | Some("private" | "bucket-owner-full-control" | "bucket-owner-read") => Ok(()),
        Some(_) => {
            let message = "The bucket does not allow ACLs";
            Err(S3Error::with_message(S3ErrorCode::AccessControlListNotSupported, message))
        }
    }
}

/// The headers of a request that an object keeps.
pub(super) struct Given<'a> {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) expires: Option<&'a Timestamp>,
    pub(super) website_redirect_location: Option<String>,
    pub(super) encryption: Option<ServerSideEncryption>,
    pub(super) metadata: Option<Metadata>,
}

pub(super) fn headers(given: Given<'_>) -> S3Result<Headers> {
    let user: std::collections::BTreeMap<String, String> = given.metadata.unwrap_or_default().into_iter().collect();
    if user.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MOST_METADATA_BYTES {
        let message = "Your metadata headers exceed the maximum allowed metadata size of 2048 bytes";
        let mut error = S3Error::with_message(S3ErrorCode::Custom("MetadataTooLarge".into()), message);
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return Err(error);
    }
    // `aws-chunked` is how the body was sent, not what it is.
    let encodings = given.content_encoding.as_deref().unwrap_or_default().split(',').map(str::trim);
    let encodings: Vec<&str> = encodings.filter(|coding| !coding.is_empty() && *coding != "aws-chunked").collect();
    let expires = given.expires.and_then(|expires| {
        let mut text = Vec::new();
        expires.format(TimestampFormat::HttpDate, &mut text).ok()?;
        String::from_utf8(text).ok()
    });
    Ok(Headers {
        content_type: given.content_type,
        content_encoding: (!encodings.is_empty()).then(|| encodings.join(",")),
        content_language: given.content_language,
        content_disposition: given.content_disposition,
        cache_control: given.cache_control,
        expires,
        website_redirect_location: given.website_redirect_location,
        server_side_encryption: given.encryption.map(|encryption| encryption.as_str().to_owned()),
        user,
    })
}

pub(super) fn tag(condition: &ETagCondition) -> Tag {
    condition.as_etag().map_or(Tag::Any, |etag| Tag::Is(etag.value().to_owned()))
}

pub(super) fn moment(time: Timestamp) -> Moment {
    let mut seconds = Vec::new();
    // HTTP dates have whole seconds, and so does the text that this makes.
    let written = time.format(TimestampFormat::EpochSeconds, &mut seconds);
    let seconds = written.ok().and_then(|()| String::from_utf8(seconds).ok());
    let seconds = seconds.and_then(|text| text.split('.').next()?.parse().ok());
    Moment::from_secs(seconds.unwrap_or(0))
}

fn sums(description: &Description) -> Checksum {
    description.checksum.as_ref().map(|checksum| checksum.to_dto()).unwrap_or_default()
}
