use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::buckets::{owner, timestamp};
use super::objects::{
    Asks, Declared, Given, find_source, headers, moment, receive, require_plain, require_plain_acl, source, tag,
};
use super::{Objects, answer, caller, locks, refused, sealing, versions};
use crate::StoreError;
use crate::checksums::{self, Algorithm, Scope};
use crate::condition::Conditions;
use crate::multipart::{Completion, Expected, MOST_PARTS, Named, Wishes};

pub(super) async fn create_multipart_upload(
    objects: &Objects,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let caller = caller(&request)?;
    let initiator = caller.account.ok_or(S3ErrorCode::AccessDenied)?;
    let input = request.input;
    require_plain_acl(input.acl.as_ref().map(|acl| acl.as_str()))?;
    require_plain(&Asks {
        storage_class: input.storage_class.as_ref().map(|class| class.as_str()),
        tagged: input.tagging.is_some(),
    })?;
    let (encryption, key_id) = (input.server_side_encryption.as_ref(), input.ssekms_key_id.as_deref());
    let context = input.ssekms_encryption_context.as_deref();
    let wanted_key = sealing::wanted(objects, &input.bucket, encryption, key_id, context)?;
    let encryption = sealing::told(input.server_side_encryption, wanted_key.is_some());
    let new_key = sealing::new_key(objects, &caller, (&input.bucket, &input.key), wanted_key).await?;
    // The key is opened again for each part, so that nothing of it is kept here.
    let seal = new_key.map(|(_, seal)| seal);
    let ssekms_key_id = seal.as_ref().map(|seal| seal.kms_key.clone());
    let headers = headers(Given {
        content_type: input.content_type,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        content_disposition: input.content_disposition,
        cache_control: input.cache_control,
        expires: input.expires.as_ref(),
        website_redirect_location: input.website_redirect_location,
        encryption: encryption.clone(),
        metadata: input.metadata,
    })?;
    let asked = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str());
    let scope = input.checksum_type.as_ref().map(|scope| scope.as_str());
    let checksum = upload_checksum(asked, scope).map_err(refused)?;
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    objects.store.require_bucket(&bucket).map_err(refused)?;
    let asked_lock = locks::Asked {
        mode: input.object_lock_mode,
        until: input.object_lock_retain_until_date,
        hold: input.object_lock_legal_hold_status,
    };
    let lock = locks::new_lock(objects, &caller, (&bucket, &key), asked_lock).await?;
    let wishes = Wishes { headers, checksum: Some(checksum), lock, seal };
    let created = objects.store.blocking(move |store| store.create_upload(&bucket, &key, initiator, wishes));
    let upload = created.await.map_err(refused)?;
    answer(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id),
        checksum_algorithm: asked.map(|_| ChecksumAlgorithm::from_static(checksum.0.name())),
        checksum_type: asked.map(|_| ChecksumType::from_static(checksum.1.name())),
        server_side_encryption: encryption,
        ssekms_key_id,
        ..Default::default()
    })
}

/// The checksum that an upload's object gets. (S3 User Guide, "Checking object integrity": CRC64NVME over the full
/// object by default; CRC32 and CRC32C either way; SHA only composite.)
fn upload_checksum(algorithm: Option<&str>, scope: Option<&str>) -> Result<(Algorithm, Scope), StoreError> {
    let algorithm = algorithm.map(Algorithm::from_name).transpose()?.unwrap_or(Algorithm::Crc64Nvme);
    let scope = match scope {
        Some("FULL_OBJECT") => Scope::FullObject,
        Some("COMPOSITE") => Scope::Composite,
        Some(other) => {
            let reason = format!("{other} is no checksum type; use FULL_OBJECT or COMPOSITE");
            return Err(StoreError::Invalid { reason });
        }
        None if algorithm == Algorithm::Crc64Nvme => Scope::FullObject,
        None => Scope::Composite,
    };
    match (algorithm, scope) {
        (Algorithm::Sha1 | Algorithm::Sha256, Scope::FullObject) | (Algorithm::Crc64Nvme, Scope::Composite) => {
            let reason = format!("the {} type cannot be used with {}", scope.name(), algorithm.name());
            Err(StoreError::Invalid { reason })
        }
        pair => Ok(pair),
    }
}

pub(super) async fn upload_part(
    objects: &Objects,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let caller = caller(&request)?;
    let number = part_number(request.input.part_number)?;
    let (bucket, key, id) = (request.input.bucket.clone(), request.input.key.clone(), request.input.upload_id.clone());
    let upload = objects.store.blocking(move |store| store.upload(&bucket, &key, &id)).await.map_err(refused)?;
    let md5 = request.input.content_md5.clone();
    let declared = Declared::of(&request.headers, request.trailing_headers.clone(), md5)?;
    // The sum that the object's is made of comes last: it is the one that is kept.
    let mut wanted: Vec<Algorithm> = declared.algorithm.into_iter().collect();
    let kept = upload.checksum.map(|(algorithm, _)| algorithm);
    wanted.retain(|algorithm| Some(*algorithm) != kept);
    wanted.extend(kept);
    let body = request.input.body.take();
    let part_key = sealing::key_of_upload(objects, &caller, &upload).await?;
    let mut staged = receive(objects, body, wanted, part_key).await?;
    declared.verify(&staged).map_err(refused)?;
    let said = declared.algorithm;
    let sums = staged.checksums.iter().find(|sum| Some(sum.algorithm) == said).map(checksums::Checksum::to_dto);
    let sums = sums.unwrap_or_default();
    staged.checksums.sort_by_key(|sum| Some(sum.algorithm) == kept);
    let UploadPartInput { bucket, key, upload_id, .. } = request.input;
    let stored = objects.store.blocking(move |store| store.put_part(&bucket, &key, &upload_id, number, staged));
    let part = stored.await.map_err(refused)?;
    answer(UploadPartOutput {
        e_tag: Some(ETag::Strong(part.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        server_side_encryption: upload.headers.server_side_encryption.map(ServerSideEncryption::from),
        ssekms_key_id: upload.seal.map(|seal| seal.kms_key),
        ..Default::default()
    })
}

pub(super) async fn upload_part_copy(
    objects: &Objects,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let caller = caller(&request)?;
    let input = request.input;
    let number = part_number(input.part_number)?;
    let conditions = Conditions {
        if_match: input.copy_source_if_match.as_ref().map(tag),
        if_none_match: input.copy_source_if_none_match.as_ref().map(tag),
        if_modified_since: input.copy_source_if_modified_since.map(moment),
        if_unmodified_since: input.copy_source_if_unmodified_since.map(moment),
    };
    let place = source(objects, &caller, &input.copy_source)?;
    let from_bucket = place.bucket.clone();
    let (file, description) = find_source(objects, &caller, place, conditions).await?;
    let copy_source_version_id = versions::version_id(objects, &from_bucket, &description);
    let size = description.size();
    let range = match &input.copy_source_range {
        None => 0..size,
        Some(text) => {
            let range = Range::parse(text).ok().and_then(|range| match range {
                Range::Int { first, last: Some(last) } if first <= last && last < size => Some(first..last + 1),
                _ => None,
            });
            let message = format!("x-amz-copy-source-range must be bytes=first-last within the {size} bytes there are");
            range.ok_or_else(|| S3Error::with_message(S3ErrorCode::InvalidArgument, message))?
        }
    };
    let (bucket, key, id) = (input.bucket, input.key, input.upload_id);
    let (of_bucket, of_key, of_id) = (bucket.clone(), key.clone(), id.clone());
    let upload = objects.store.blocking(move |store| store.upload(&of_bucket, &of_key, &of_id)).await;
    let upload = upload.map_err(refused)?;
    let algorithm = upload.checksum.map(|(algorithm, _)| algorithm);
    let part_key = sealing::key_of_upload(objects, &caller, &upload).await?;
    let from = (file, &description);
    let staged = sealing::stage_copy(objects, &caller, from, range, algorithm.as_slice(), part_key).await?;
    let stored = objects.store.blocking(move |store| store.put_part(&bucket, &key, &id, number, staged));
    let part = stored.await.map_err(refused)?;
    let result = CopyPartResult {
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(timestamp(part.modified)),
        ..Default::default()
    };
    answer(UploadPartCopyOutput { copy_part_result: Some(result), copy_source_version_id, ..Default::default() })
}

pub(super) async fn complete_multipart_upload(
    objects: &Objects,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let caller = caller(&request)?;
    let declared = Declared::of(&request.headers, None, None)?;
    let value = declared.algorithm.and_then(|algorithm| request.headers.get(algorithm.header()));
    let value = value.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let input = request.input;
    let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let named = parts.into_iter().map(|part| {
        Ok(Named {
            number: part_number(part.part_number.unwrap_or(0))?,
            etag: part.e_tag.map(ETag::into_value),
            checksum: None,
        })
    });
    let named = named.collect::<S3Result<Vec<_>>>()?;
    let expected = Expected {
        size: input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
        checksum: declared.algorithm.zip(value),
    };
    let conditions = Conditions {
        if_match: input.if_match.as_ref().map(tag),
        if_none_match: input.if_none_match.as_ref().map(tag),
        ..Conditions::default()
    };
    let location = format!("/{}/{}", input.bucket, input.key);
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id);
    let (of_bucket, of_key, of_id) = (bucket.clone(), key.clone(), id.clone());
    // Completed before, it is there no more, and a repetition needs no key.
    let upload = objects.store.blocking(move |store| store.upload(&of_bucket, &of_key, &of_id)).await.ok();
    let whole_key = match &upload {
        Some(upload) => sealing::key_of_upload(objects, &caller, upload).await?,
        None => None,
    };
    let completion = Completion { named, expected, conditions, key: whole_key };
    let completed = objects.store.blocking(move |store| store.complete_upload(&bucket, &key, &id, completion));
    let description = completed.await.map_err(refused)?;
    let version_id = versions::version_id(objects, &input.bucket, &description);
    let sums = description.checksum.as_ref().map(checksums::Checksum::to_dto).unwrap_or_default();
    answer(CompleteMultipartUploadOutput {
        version_id,
        bucket: Some(input.bucket),
        key: Some(input.key),
        location: Some(location),
        e_tag: Some(ETag::Strong(description.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        ssekms_key_id: description.seal.map(|seal| seal.key.kms_key),
        server_side_encryption: description.headers.server_side_encryption.map(ServerSideEncryption::from),
        ..Default::default()
    })
}

pub(super) async fn abort_multipart_upload(
    objects: &Objects,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let AbortMultipartUploadInput { bucket, key, upload_id, .. } = request.input;
    let aborted = objects.store.blocking(move |store| store.abort_upload(&bucket, &key, &upload_id));
    aborted.await.map_err(refused)?;
    Ok(S3Response::with_status(AbortMultipartUploadOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn list_parts(
    objects: &Objects,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let limit = page_limit(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0);
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
    let found = objects.store.blocking(move |store| {
        let (upload, parts) = store.parts(&bucket, &key, &id)?;
        Ok((store.require_bucket(&bucket)?.owner, upload, parts))
    });
    let (account, upload, mut parts) = found.await.map_err(refused)?;
    parts.retain(|part| part.number > marker);
    let more = parts.len() > limit;
    parts.truncate(limit);
    let next = parts.last().map(|part| part.number);
    let parts = parts.into_iter().map(|part| {
        let sums = part.checksum.as_ref().map(checksums::Checksum::to_dto).unwrap_or_default();
        Part {
            part_number: Some(part.number),
            size: i64::try_from(part.size).ok(),
            e_tag: Some(ETag::Strong(part.etag)),
            last_modified: Some(timestamp(part.modified)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
        }
    });
    let initiator = Initiator { display_name: None, id: Some(upload.initiator.to_string()) };
    answer(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        parts: Some(parts.collect()),
        is_truncated: Some(more),
        max_parts: i32::try_from(limit).ok(),
        part_number_marker: Some(marker),
        next_part_number_marker: next,
        owner: Some(owner(account)),
        initiator: Some(initiator),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        checksum_algorithm: upload.checksum.map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.checksum.map(|(_, scope)| ChecksumType::from_static(scope.name())),
        ..Default::default()
    })
}

pub(super) async fn list_multipart_uploads(
    objects: &Objects,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    if input.delimiter.as_deref().is_some_and(|delimiter| !delimiter.is_empty()) {
        let message = "Uploads cannot be listed with a delimiter.";
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, message));
    }
    let limit = page_limit(input.max_uploads, "max-uploads")?;
    let bucket = input.bucket.clone();
    let found =
        objects.store.blocking(move |store| Ok((store.require_bucket(&bucket)?.owner, store.uploads(&bucket)?)));
    let (account, mut uploads) = found.await.map_err(refused)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    uploads.retain(|upload| upload.key.starts_with(&prefix));
    if let Some(marker) = &input.key_marker {
        // With an upload id, go on behind that upload of the key; without, behind the key.
        let same_key = input.upload_id_marker.as_ref().and_then(|id| uploads.iter().position(|u| u.id == *id));
        match same_key {
            Some(position) => drop(uploads.drain(..=position)),
            None => uploads.retain(|upload| upload.key > *marker),
        }
    }
    let more = uploads.len() > limit;
    uploads.truncate(limit);
    let last = uploads.last().filter(|_| more).map(|upload| (upload.key.clone(), upload.id.clone())).unzip();
    let uploads = uploads.into_iter().map(|upload| MultipartUpload {
        key: Some(upload.key),
        upload_id: Some(upload.id),
        initiated: Some(timestamp(upload.initiated)),
        initiator: Some(Initiator { display_name: None, id: Some(upload.initiator.to_string()) }),
        owner: Some(owner(account)),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        checksum_algorithm: upload.checksum.map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.checksum.map(|(_, scope)| ChecksumType::from_static(scope.name())),
    });
    answer(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix,
        key_marker: input.key_marker,
        upload_id_marker: input.upload_id_marker,
        max_uploads: i32::try_from(limit).ok(),
        is_truncated: Some(more),
        next_key_marker: last.0,
        next_upload_id_marker: last.1,
        uploads: Some(uploads.collect()),
        ..Default::default()
    })
}

fn part_number(number: i32) -> S3Result<i32> {
    if (1..=MOST_PARTS).contains(&number) {
        return Ok(number);
    }
    let message = format!("Part number must be an integer between 1 and {MOST_PARTS}, inclusive");
    Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message))
}

/// Pages have at most 1000 items. (API Reference, ListParts and ListMultipartUploads.)
fn page_limit(asked: Option<i32>, name: &str) -> S3Result<usize> {
    let negative = |_| S3Error::with_message(S3ErrorCode::InvalidArgument, format!("{name} must not be negative"));
    usize::try_from(asked.unwrap_or(1000)).map(|limit| limit.min(1000)).map_err(negative)
}
