use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opentrail_model::AccountId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::buckets::owner;
use super::{Objects, answer, refused};
use crate::listing::{Page, Query};
use crate::sidecar::Description;

/// The most keys on a page. (API Reference, ListObjectsV2, MaxKeys.)
const MOST_KEYS: i32 = 1000;

/// What S3 leaves as it is under `encoding-type=url`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// A listing as asked for, whichever version.
struct Asked {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    after: String,
    limit: i32,
    owner: bool,
}

struct Listed {
    contents: Vec<Object>,
    common_prefixes: Vec<CommonPrefix>,
    next: Option<String>,
}

/// How keys are spelled in the answer.
#[derive(Clone, Copy)]
pub(super) enum Spelling {
    Plain,
    Url,
}

impl Spelling {
    pub(super) fn of(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(|encoding| encoding.as_str()) {
            None => Ok(Self::Plain),
            Some("url") => Ok(Self::Url),
            Some(_) => Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "encoding-type can only be url")),
        }
    }

    pub(super) fn spell(self, text: String) -> String {
        match self {
            Self::Plain => text,
            Self::Url => utf8_percent_encode(&text, PLAIN).to_string(),
        }
    }
}

pub(super) async fn list_objects(
    objects: &Objects,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let spelling = Spelling::of(input.encoding_type.as_ref())?;
    let limit = max_keys(input.max_keys)?;
    let asked = Asked {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: input.marker.clone().unwrap_or_default(),
        limit,
        owner: true,
    };
    let listed = list(objects, asked, spelling).await?;
    // Only listings with a delimiter say how to go on; the others go on from their last key.
    let next_marker = listed.next.clone().filter(|_| input.delimiter.is_some());
    answer(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(spelling.spell(input.prefix.unwrap_or_default())),
        marker: Some(spelling.spell(input.marker.unwrap_or_default())),
        max_keys: Some(limit),
        is_truncated: Some(listed.next.is_some()),
        contents: Some(listed.contents),
        common_prefixes: Some(listed.common_prefixes),
        delimiter: input.delimiter.map(|delimiter| spelling.spell(delimiter)),
        next_marker: next_marker.map(|next| spelling.spell(next)),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

pub(super) async fn list_objects_v2(
    objects: &Objects,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let spelling = Spelling::of(input.encoding_type.as_ref())?;
    let limit = max_keys(input.max_keys)?;
    let after = match &input.continuation_token {
        Some(token) => {
            let bad =
                || S3Error::with_message(S3ErrorCode::InvalidArgument, "The continuation token provided is incorrect");
            let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
            String::from_utf8(bytes).map_err(|_| bad())?
        }
        None => input.start_after.clone().unwrap_or_default(),
    };
    let asked = Asked {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after,
        limit,
        owner: input.fetch_owner == Some(true),
    };
    let listed = list(objects, asked, spelling).await?;
    let count = listed.contents.len() + listed.common_prefixes.len();
    answer(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(spelling.spell(input.prefix.unwrap_or_default())),
        max_keys: Some(limit),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(listed.next.is_some()),
        next_continuation_token: listed.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
        contents: Some(listed.contents),
        common_prefixes: Some(listed.common_prefixes),
        delimiter: input.delimiter.map(|delimiter| spelling.spell(delimiter)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|start| spelling.spell(start)),
        request_charged: None,
    })
}

async fn list(objects: &Objects, asked: Asked, spelling: Spelling) -> S3Result<Listed> {
    let listed = objects.store.blocking(move |store| {
        let bucket = store.require_bucket(&asked.bucket)?;
        let query = Query {
            prefix: &asked.prefix,
            delimiter: asked.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
            after: &asked.after,
            limit: usize::try_from(asked.limit).unwrap_or(0),
        };
        let Page { keys, common_prefixes, next } = store.list(&asked.bucket, &query)?;
        let described = store.describe(&asked.bucket, keys)?;
        let owner = asked.owner.then_some(bucket.owner);
        let object = |(key, description)| object(spelling.spell(key), &description, owner);
        let prefix = |prefix| CommonPrefix { prefix: Some(spelling.spell(prefix)) };
        Ok(Listed {
            contents: described.into_iter().map(object).collect(),
            common_prefixes: common_prefixes.into_iter().map(prefix).collect(),
            next,
        })
    });
    listed.await.map_err(refused)
}

fn object(key: String, description: &Description, account: Option<AccountId>) -> Object {
    let checksum = description.checksum.as_ref();
    Object {
        key: Some(key),
        size: i64::try_from(description.size()).ok(),
        e_tag: Some(ETag::Strong(description.etag.clone())),
        last_modified: Some(Timestamp::from(description.stamp.system_time())),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        owner: account.map(owner),
        checksum_algorithm: checksum.map(|sum| vec![ChecksumAlgorithm::from_static(sum.algorithm.name())]),
        checksum_type: checksum.map(|sum| ChecksumType::from_static(sum.scope.name())),
        restore_status: None,
    }
}

pub(super) fn max_keys(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(MOST_KEYS) {
        negative if negative < 0 => {
            Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "max-keys must not be negative"))
        }
        count => Ok(count.min(MOST_KEYS)),
    }
}
