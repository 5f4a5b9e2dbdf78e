//! A bucket as an [`object_store::ObjectStore`], for use inside the process.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};

use crate::checksums::Algorithm;
use crate::condition::{Conditions, Tag};
use crate::listing::Query;
use crate::multipart::{Completion, Named, Upload, Wishes};
use crate::sealing::{ObjectKeys, ObjectPlace, Readable, WantedKey};
use crate::sidecar::{Description, Headers};
use crate::staging::{NewKey, stage, stage_sealed};
use crate::store::{Details, Repeat};
use crate::{Store, StoreError};

const NAME: &str = "OpenTrail";

/// Keys read from directories at a time.
const PAGE: usize = 1000;

/// Bytes read from a file at a time.
pub(crate) const READ_BYTES: usize = 256 << 10;

#[derive(Clone, Debug)]
pub(crate) struct BucketObjects {
    store: Store,
    bucket: Arc<str>,
    /// Whose keys seal what is put and open what is read, and the key that seals.
    sealing: Option<(Arc<dyn ObjectKeys>, Arc<WantedKey>)>,
}

impl BucketObjects {
    pub(crate) fn new(store: Store, bucket: &str) -> Self {
        Self { store, bucket: bucket.into(), sealing: None }
    }

    /// The same, with objects sealed and opened.
    pub(crate) fn sealing(self, keys: Arc<dyn ObjectKeys>, wanted: WantedKey) -> Self {
        Self { sealing: Some((keys, Arc::new(wanted))), ..self }
    }

    /// A data key for the object that is to be put at `key`, if it is to be sealed.
    async fn new_key(&self, key: &str) -> Result<Option<NewKey>, StoreError> {
        let Some((keys, wanted)) = &self.sealing else { return Ok(None) };
        let bucket = self.store.require_bucket(&self.bucket)?;
        let place = ObjectPlace { bucket: &bucket.name, key, region: &bucket.region, owner: bucket.owner };
        Ok(Some(keys.make(place, wanted).await?))
    }

    async fn page(&self, prefix: String, delimiter: Option<&'static str>, after: String) -> Result<Listed> {
        let bucket = Arc::clone(&self.bucket);
        let listed = self.store.blocking(move |store| {
            let page = store.list(&bucket, &Query { prefix: &prefix, delimiter, after: &after, limit: PAGE })?;
            let objects = store.describe(&bucket, page.keys)?;
            Ok(Listed { objects, common_prefixes: page.common_prefixes, next: page.next })
        });
        listed.await.map_err(|error| told(error, &self.bucket))
    }
}

struct Listed {
    objects: Vec<(String, Description)>,
    common_prefixes: Vec<String>,
    next: Option<String>,
}

impl fmt::Display for BucketObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.bucket)
    }
}

#[async_trait]
impl ObjectStore for BucketObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let conditions = match opts.mode {
            PutMode::Overwrite => Conditions::default(),
            PutMode::Create => Conditions { if_none_match: Some(Tag::Any), ..Conditions::default() },
            PutMode::Update(version) => {
                let etag = version.e_tag.map_or(Tag::Any, |etag| Tag::Is(etag.trim_matches('"').to_owned()));
                Conditions { if_match: Some(etag), ..Conditions::default() }
            }
        };
        let mut headers = headers_of(&opts.attributes)?;
        let created = conditions.if_none_match.is_some();
        let result = async {
            let body = stream::iter(payload.into_iter().map(Ok::<_, std::io::Error>));
            let new_key = self.new_key(location.as_ref()).await?;
            if new_key.is_some() {
                headers.server_side_encryption = Some("aws:kms".to_owned());
            }
            let (scratch, sums) = (&self.store.inner.scratch, vec![Algorithm::Crc64Nvme]);
            let staged = stage_sealed(scratch, body, sums, u64::MAX, new_key).await?;
            let (bucket, key) = (Arc::clone(&self.bucket), location.to_string());
            let details = Details { repeat: Repeat::Nothing, ..Details::of(&staged, headers) };
            self.store.blocking(move |store| store.put(&bucket, &key, staged, details, &conditions)).await
        };
        match result.await {
            Ok(description) => Ok(PutResult { e_tag: Some(quoted(&description.etag)), version: description.version }),
            Err(error @ StoreError::Precondition { .. }) if created => {
                Err(Error::AlreadyExists { path: location.to_string(), source: error.into() })
            }
            Err(error) => Err(told(error, location.as_ref())),
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        if self.sealing.is_some() {
            return Err(Error::NotSupported { source: "sealed objects are put whole".into() });
        }
        let headers = headers_of(&opts.attributes)?;
        let (bucket, key) = (Arc::clone(&self.bucket), location.to_string());
        let upload = self.store.blocking(move |store| {
            let owner = store.require_bucket(&bucket)?.owner;
            store.create_upload(&bucket, &key, owner, Wishes { headers, ..Wishes::default() })
        });
        let upload = upload.await.map_err(|error| told(error, location.as_ref()))?;
        Ok(Box::new(Uploading { objects: self.clone(), upload, parts: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (bucket, key) = (Arc::clone(&self.bucket), location.to_string());
        let version = options.version.clone();
        let opened = self.store.blocking(move |store| match version {
            None => store.open_object(&bucket, &key),
            Some(version) => store.open_version(&bucket, &key, &version),
        });
        let (file, description) = opened.await.map_err(|error| told(error, location.as_ref()))?;
        let meta = meta_of(location.clone(), &description);
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            None => 0..meta.size,
            Some(range) => range
                .as_range(meta.size)
                .map_err(|error| Error::Generic { store: NAME, source: error.to_string().into() })?,
        };
        let body = if options.head {
            stream::empty().boxed()
        } else {
            let path = location.to_string();
            let keys = self.sealing.as_ref().map(|(keys, _)| keys);
            let readable = self.store.readable(file, &description, keys).await.map_err(|error| told(error, &path))?;
            read(self.store.clone(), readable, range.clone()).map_err(move |error| told(error, &path)).boxed()
        };
        let attributes = attributes_of(&description.headers);
        Ok(GetResult { payload: GetResultPayload::Stream(body), meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Path| {
            let this = this.clone();
            async move {
                let (bucket, key) = (Arc::clone(&this.bucket), location.to_string());
                let deleted = this.store.blocking(move |store| store.delete(&bucket, &key, &Conditions::default()));
                deleted.await.map_err(|error| told(error, location.as_ref()))?;
                Ok(location)
            }
        };
        locations.map_ok(delete).try_buffered(8).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_from(prefix, String::new())
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_from(prefix, offset.to_string())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = below(prefix);
        let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        let mut after = String::new();
        loop {
            let listed = self.page(prefix.clone(), Some("/"), after).await?;
            for common in &listed.common_prefixes {
                result.common_prefixes.extend(Path::parse(common.trim_end_matches('/')));
            }
            result.objects.extend(listed.objects.iter().filter_map(|(key, description)| listed_meta(key, description)));
            match listed.next {
                Some(next) => after = next,
                None => return Ok(result),
            }
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let created = options.mode == CopyMode::Create;
        let if_none_match = created.then_some(Tag::Any);
        let (bucket, source, target) = (Arc::clone(&self.bucket), from.to_string(), to.to_string());
        let copied = self.store.blocking(move |store| {
            let (file, description) = store.open_object(&bucket, &source)?;
            if description.seal.is_some() {
                return Err(StoreError::Invalid { reason: "sealed objects are not copied in here".to_owned() });
            }
            let staged = store.stage_copy(file, 0..description.size(), &[Algorithm::Crc64Nvme])?;
            let conditions = Conditions { if_none_match, ..Conditions::default() };
            let details = Details::of(&staged, description.headers);
            store.put(&bucket, &target, staged, details, &conditions)
        });
        match copied.await {
            Ok(_) => Ok(()),
            Err(error @ StoreError::Precondition { .. }) => {
                Err(Error::AlreadyExists { path: to.to_string(), source: error.into() })
            }
            Err(error) => Err(told(error, from.as_ref())),
        }
    }
}

impl BucketObjects {
    fn list_from(&self, prefix: Option<&Path>, after: String) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = below(prefix);
        let this = self.clone();
        let pages = stream::try_unfold(Some(after), move |after| {
            let (this, prefix) = (this.clone(), prefix.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                let listed = this.page(prefix, None, after).await?;
                let objects = listed.objects.into_iter();
                let metas: Vec<_> = objects.filter_map(|(key, description)| listed_meta(&key, &description)).collect();
                Ok::<_, Error>(Some((stream::iter(metas.into_iter().map(Ok)), listed.next)))
            }
        });
        pages.try_flatten().boxed()
    }
}

/// An upload in parts through this interface.
#[derive(Debug)]
struct Uploading {
    objects: BucketObjects,
    upload: Upload,
    parts: i32,
}

#[async_trait]
impl MultipartUpload for Uploading {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts += 1;
        let (number, upload) = (self.parts, self.upload.clone());
        let BucketObjects { store, bucket, .. } = self.objects.clone();
        async move {
            let result = async {
                let body = stream::iter(data.into_iter().map(Ok::<_, std::io::Error>));
                let staged = stage(&store.inner.scratch, body, Vec::new(), u64::MAX).await?;
                let (key, id) = (upload.key.clone(), upload.id);
                store.blocking(move |store| store.put_part(&bucket, &key, &id, number, staged)).await
            };
            result.await.map(|_| ()).map_err(|error| told(error, &upload.key))
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (bucket, upload) = (Arc::clone(&self.objects.bucket), self.upload.clone());
        let key = upload.key.clone();
        let completed = self.objects.store.blocking(move |store| {
            let there = match store.parts(&bucket, &upload.key, &upload.id) {
                Ok((_, parts)) => parts,
                Err(error) => return Err(error),
            };
            let name = |number, etag| Named { number, etag: Some(etag), checksum: None };
            let named: Vec<Named> = there.into_iter().map(|part| name(part.number, part.etag)).collect();
            let completion = Completion { named, ..Completion::default() };
            store.complete_upload(&bucket, &upload.key, &upload.id, completion)
        });
        let description = completed.await.map_err(|error| told(error, &key))?;
        Ok(PutResult { e_tag: Some(quoted(&description.etag)), version: description.version })
    }

    async fn abort(&mut self) -> Result<()> {
        let (bucket, upload) = (Arc::clone(&self.objects.bucket), self.upload.clone());
        let aborted = self.objects.store.blocking(move |store| store.abort_upload(&bucket, &upload.key, &upload.id));
        aborted.await.map_err(|error| told(error, &self.upload.key))
    }
}

/// The bytes of `range`, read piece by piece as they are asked for.
pub(crate) fn read(
    store: Store,
    readable: Readable,
    range: std::ops::Range<u64>,
) -> impl futures::Stream<Item = Result<Bytes, StoreError>> + Send + Sync + 'static {
    // The mutex only makes the stream `Sync`; nobody waits for it.
    let next = move |(readable, at): (Readable, u64)| {
        let (store, end) = (store.clone(), range.end);
        async move {
            if at == end {
                return Ok(None);
            }
            let piece = store.blocking(move |store| readable.read_piece(store, at..end, READ_BYTES)).await?;
            let (readable, bytes) = piece;
            let at = at + bytes.len() as u64;
            Ok(Some((bytes, (readable, at))))
        }
    };
    SyncStream(parking_lot::Mutex::new(stream::try_unfold((readable, range.start), next).boxed()))
}

/// Makes a stream `Sync`, as the S3 server library asks of bodies. It is only ever polled through `&mut`.
struct SyncStream<T>(parking_lot::Mutex<BoxStream<'static, T>>);

impl<T> futures::Stream for SyncStream<T> {
    type Item = T;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.get_mut().poll_next_unpin(cx)
    }
}

fn below(prefix: Option<&Path>) -> String {
    prefix.filter(|prefix| !prefix.as_ref().is_empty()).map(|prefix| format!("{prefix}/")).unwrap_or_default()
}

/// `None` for keys that this interface cannot spell (`a//b`); S3 clients see them.
fn listed_meta(key: &str, description: &Description) -> Option<ObjectMeta> {
    let location = Path::parse(key).ok()?;
    (location.as_ref() == key).then(|| meta_of(location, description))
}

fn meta_of(location: Path, description: &Description) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: DateTime::from(description.stamp.system_time()),
        size: description.size(),
        e_tag: Some(quoted(&description.etag)),
        version: description.version.clone(),
    }
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn headers_of(attributes: &Attributes) -> Result<Headers> {
    let mut headers = Headers::default();
    for (attribute, value) in attributes {
        let value = value.to_string();
        match attribute {
            Attribute::ContentDisposition => headers.content_disposition = Some(value),
            Attribute::ContentEncoding => headers.content_encoding = Some(value),
            Attribute::ContentLanguage => headers.content_language = Some(value),
            Attribute::ContentType => headers.content_type = Some(value),
            Attribute::CacheControl => headers.cache_control = Some(value),
            Attribute::Metadata(name) => {
                headers.user.insert(name.to_lowercase(), value);
            }
            other => return Err(Error::NotSupported { source: format!("attribute {other:?}").into() }),
        }
    }
    Ok(headers)
}

fn attributes_of(headers: &Headers) -> Attributes {
    let mut attributes = Attributes::new();
    let mut insert = |attribute, value: &Option<String>| {
        if let Some(value) = value {
            attributes.insert(attribute, value.clone().into());
        }
    };
    insert(Attribute::ContentDisposition, &headers.content_disposition);
    insert(Attribute::ContentEncoding, &headers.content_encoding);
    insert(Attribute::ContentLanguage, &headers.content_language);
    insert(Attribute::ContentType, &headers.content_type);
    insert(Attribute::CacheControl, &headers.cache_control);
    for (name, value) in &headers.user {
        attributes.insert(Attribute::Metadata(Cow::Owned(name.clone())), value.clone().into());
    }
    attributes
}

fn told(error: StoreError, path: &str) -> Error {
    let path = path.to_owned();
    match &error {
        StoreError::NoSuchBucket { .. } | StoreError::NoSuchKey { .. } | StoreError::NoSuchVersion { .. } => {
            Error::NotFound { path, source: error.into() }
        }
        StoreError::Precondition { .. } => Error::Precondition { path, source: error.into() },
        _ => Error::Generic { store: NAME, source: error.into() },
    }
}
