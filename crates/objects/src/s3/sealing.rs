//! SSE-KMS as requests ask for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use s3s::dto::ServerSideEncryption;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::{Caller, Objects, refused};
use crate::backend::read;
use crate::checksums::Algorithm;
use crate::multipart::Upload;
use crate::sealing::{ObjectKeys, ObjectPlace, Readable, WantedKey};
use crate::sidecar::Description;
use crate::staging::{NewKey, Staged, stage_sealed};

/// The key that a request wants its object in `bucket` to be sealed with, if any; the bucket's default where the request
/// does not say. The context is base64 of a JSON object of texts.
pub(super) fn wanted(
    objects: &Objects,
    bucket: &str,
    encryption: Option<&ServerSideEncryption>,
    key_id: Option<&str>,
    context: Option<&str>,
) -> S3Result<Option<WantedKey>> {
    if encryption.is_none() && key_id.is_none() && context.is_none() {
        let default = objects.store.require_bucket(bucket).map_err(refused)?.default_key;
        return Ok(default.map(|default| WantedKey { key_id: default.key_id, context: BTreeMap::new() }));
    }
    if encryption.is_none_or(|encryption| encryption.as_str() != ServerSideEncryption::AWS_KMS) {
        if key_id.is_some() || context.is_some() {
            let message = "Server Side Encryption with AWS KMS managed key requires HTTP header \
                           x-amz-server-side-encryption : aws:kms";
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
        }
        return Ok(None);
    }
    let malformed = || {
        let message = "The header x-amz-server-side-encryption-context must be base64 of a JSON object of texts";
        S3Error::with_message(S3ErrorCode::InvalidArgument, message)
    };
    let context: BTreeMap<String, String> = match context {
        None => BTreeMap::new(),
        Some(text) => {
            let json = BASE64_STANDARD.decode(text).map_err(|_| malformed())?;
            serde_json::from_slice(&json).map_err(|_| malformed())?
        }
    };
    Ok(Some(WantedKey { key_id: key_id.filter(|id| !id.is_empty()).map(str::to_owned), context }))
}

/// A data key for the object that the caller puts, if it is to be sealed.
pub(super) async fn new_key(
    objects: &Objects,
    caller: &Caller,
    (bucket, key): (&str, &str),
    wanted: Option<WantedKey>,
) -> S3Result<Option<NewKey>> {
    let Some(wanted) = wanted else { return Ok(None) };
    let found = objects.store.require_bucket(bucket).map_err(refused)?;
    let place = ObjectPlace { bucket, key, region: &found.region, owner: found.owner };
    let made = keys(objects, caller)?.make(place, &wanted).await;
    made.map(Some).map_err(|refusal| refused(refusal.into()))
}

/// What the answer to a request says of an object's encryption: as its writer asked for it, or that its key is KMS's.
pub(super) fn told(asked: Option<ServerSideEncryption>, sealed: bool) -> Option<ServerSideEncryption> {
    if sealed { Some(ServerSideEncryption::from_static(ServerSideEncryption::AWS_KMS)) } else { asked }
}

/// The data key of an upload in parts, opened for the caller, if its parts are sealed. (KMS Developer Guide, "How Amazon S3
/// uses AWS KMS": who uploads in parts needs `kms:Decrypt` too.)
pub(super) async fn key_of_upload(objects: &Objects, caller: &Caller, upload: &Upload) -> S3Result<Option<NewKey>> {
    let Some(seal) = upload.seal.clone() else { return Ok(None) };
    let opened = keys(objects, caller)?.open(&seal).await;
    opened.map(|key| Some((key, seal))).map_err(|refusal| refused(refusal.into()))
}

/// What reads the object's bytes, for a caller who may use its key.
pub(super) async fn readable(
    objects: &Objects,
    caller: &Caller,
    file: File,
    description: &Description,
) -> S3Result<Readable> {
    if description.seal.is_none() {
        return Ok(Readable::plain(file));
    }
    let keys = keys(objects, caller)?;
    objects.store.readable(file, description, Some(&keys)).await.map_err(refused)
}

/// Copies `range` of an object into a file of its own, opened and sealed as need be.
pub(super) async fn stage_copy(
    objects: &Objects,
    caller: &Caller,
    (file, description): (File, &Description),
    range: Range<u64>,
    sums: &[Algorithm],
    new_key: Option<NewKey>,
) -> S3Result<Staged> {
    let sums = sums.to_vec();
    if description.seal.is_none() && new_key.is_none() {
        let copied = objects.store.blocking(move |store| store.stage_copy(file, range, &sums));
        return copied.await.map_err(refused);
    }
    let readable = readable(objects, caller, file, description).await?;
    let bytes = Box::pin(read(objects.store.clone(), readable, range));
    stage_sealed(&objects.store.inner.scratch, bytes, sums, u64::MAX, new_key).await.map_err(refused)
}

fn keys(objects: &Objects, caller: &Caller) -> S3Result<Arc<dyn ObjectKeys>> {
    let missing = || S3Error::with_message(S3ErrorCode::NotImplemented, "Encryption with KMS keys is not available.");
    let keys = objects.store.inner.keys.get().ok_or_else(missing)?;
    Ok(keys.of_caller(&caller.access_key_id, caller.session_token.as_deref(), &caller.context))
}
