//! What imports read and write: buckets as a role may read them, the tables of event data stores.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use opentrail_identity::{AccessRequest, Context, Directory, Policy, PolicyUse, Principal};
use opentrail_imports::{Chunk, DestinationError, Destinations, Event, Origin, OriginError, Origins};
use opentrail_objects::{Store, StoreError, WantedKey};
use opentrail_runtime::Clock;
use opentrail_stores::StoreKey;
use opentrail_tables::{ImportChunk, ImportedEvent, TableError, Tables};
use uuid::Uuid;

use super::TrailBuckets;
use super::buckets::CLOUDTRAIL;
use super::object_keys::StoreKeys;
use super::service_role::{OnBehalf, take_role};

const NAME: &str = "OpenTrail";
/// How CloudTrail's sessions of roles are called here; AWS's name is not known.
const SESSION: &str = "CloudTrailImport";

/// The tables of event data stores, as imports see them.
#[derive(Debug)]
pub(crate) struct StoreTables(pub(crate) Tables);

#[async_trait]
impl Destinations for StoreTables {
    async fn landed(&self, store: &StoreKey, import: Uuid) -> std::result::Result<u64, DestinationError> {
        self.0.imported(store, import).await.map_err(told)
    }

    async fn add(&self, store: &StoreKey, chunk: Chunk) -> std::result::Result<(), DestinationError> {
        let Chunk { import, number, received, events } = chunk;
        let events = events.into_iter().map(|Event { account, raw }| ImportedEvent { account, raw }).collect();
        self.0.import(store, ImportChunk { import, number, received, events }).await.map_err(told)
    }
}

fn told(error: TableError) -> DestinationError {
    match error {
        TableError::Missing { .. } => DestinationError::Missing,
        other => DestinationError::Failed { reason: other.to_string() },
    }
}

/// The buckets that can be imported from: those that the configuration places at other endpoints, and the embedded store's.
#[derive(Debug)]
pub(crate) struct ImportBuckets {
    pub(crate) buckets: Arc<TrailBuckets>,
    pub(crate) embedded: Store,
    pub(crate) keys: StoreKeys,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Origins for ImportBuckets {
    async fn open(
        &self,
        origin: &Origin,
        destination: &StoreKey,
    ) -> std::result::Result<Arc<dyn ObjectStore>, OriginError> {
        let bucket = &origin.bucket;
        let role = self.role(origin, destination)?;
        let (inner, region, embedded) = match self.buckets.elsewhere(bucket) {
            // Its endpoint judges the configured key by its own policies, beside what the role's say here.
            Some((store, region)) => (store, region, None),
            None => {
                let unavailable =
                    |error: StoreError| OriginError::Unavailable { bucket: bucket.clone(), reason: error.to_string() };
                let found = self.embedded.bucket(bucket).map_err(unavailable)?;
                let found = found.ok_or_else(|| OriginError::NoSuchBucket { bucket: bucket.clone() })?;
                let keys = self.keys.of_principal(role.clone());
                let store = self.embedded.sealing_object_store(bucket, keys, WantedKey::default());
                (store, found.region, Some(self.embedded.clone()))
            }
        };
        if region != origin.region {
            let (given, found) = (origin.region.to_string(), region.to_string());
            return Err(OriginError::Region { bucket: bucket.clone(), given, found });
        }
        let judged = AsRole { inner, directory: Arc::clone(&self.directory), role, bucket: bucket.clone(), embedded };
        for action in ["s3:ListBucket", "s3:GetBucketAcl"] {
            let mut context = Context::new();
            context.insert("s3:prefix", origin.folder.as_str());
            if judged.check(action, None, &context).is_err() {
                let (role, bucket) = (origin.role.clone(), bucket.clone());
                return Err(OriginError::AccessDenied { role, action, bucket });
            }
        }
        Ok(Arc::new(judged))
    }
}

impl ImportBuckets {
    /// CloudTrail's session of the role, which must let it be assumed for the event data store. (User Guide, "Required
    /// permissions for copying trail events".)
    fn role(&self, origin: &Origin, destination: &StoreKey) -> std::result::Result<Principal, OriginError> {
        let arn = destination.arn();
        let on_behalf = OnBehalf {
            service: CLOUDTRAIL,
            source_arn: arn.as_str(),
            source_account: destination.account,
            session: SESSION,
        };
        let role = take_role(&self.directory, &origin.role, on_behalf, self.clock.now());
        role.ok_or_else(|| OriginError::Role { role: origin.role.clone() })
    }
}

/// A bucket as a role may read it. Each request is judged by the policies of its moment. It is not recorded, a choice, as
/// deliveries are not.
#[derive(Debug)]
struct AsRole {
    inner: Arc<dyn ObjectStore>,
    directory: Arc<Directory>,
    role: Principal,
    bucket: String,
    /// Where the bucket's policy and owner are, if that is here.
    embedded: Option<Store>,
}

impl AsRole {
    fn check(&self, action: &str, key: Option<&str>, context: &Context) -> Result<()> {
        let resource = match key {
            Some(key) => format!("arn:aws:s3:::{}/{key}", self.bucket),
            None => format!("arn:aws:s3:::{}", self.bucket),
        };
        let denied = |message: String| Error::PermissionDenied {
            path: key.unwrap_or_default().to_owned(),
            source: message.into(),
        };
        let (policy, owner) = match &self.embedded {
            None => (None, None),
            Some(embedded) => {
                let found = embedded.bucket(&self.bucket);
                let found = found.map_err(|error| Error::Generic { store: NAME, source: error.into() })?;
                let found = found.ok_or_else(|| denied(format!("The bucket {} is gone.", self.bucket)))?;
                // A policy that cannot be read denies: whoever wrote it meant to restrict something.
                let policy = found.policy.as_deref().map(|text| Policy::parse(text, PolicyUse::Resource)).transpose();
                (policy.map_err(|_| denied("Access Denied".to_owned()))?, Some(found.owner))
            }
        };
        let request = AccessRequest {
            action,
            resource: &resource,
            context,
            resource_policy: policy.as_ref(),
            resource_account: owner,
        };
        let decision = self.directory.authorize(&self.role, &request);
        match decision.is_allowed() {
            true => Ok(()),
            false => Err(denied(decision.message(&self.role, action, &resource, true))),
        }
    }

    fn check_list(&self, prefix: Option<&Path>, delimiter: Option<&str>) -> Result<()> {
        let mut context = Context::new();
        context.insert("s3:prefix", prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default());
        if let Some(delimiter) = delimiter {
            context.insert("s3:delimiter", delimiter);
        }
        self.check("s3:ListBucket", None, &context)
    }
}

impl fmt::Display for AsRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsRole({})", self.inner)
    }
}

fn read_only<T>() -> Result<T> {
    Err(Error::NotSupported { source: "imports only read".into() })
}

#[async_trait]
impl ObjectStore for AsRole {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        read_only()
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        read_only()
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check("s3:GetObject", Some(location.as_ref()), &Context::new())?;
        let got = self.inner.get_opts(location, options).await;
        got.map_err(|error| match error {
            // A KMS key that the role may not use.
            Error::Generic { source, .. }
                if matches!(source.downcast_ref(), Some(StoreError::Key { code, .. }) if code != "ServiceUnavailable") =>
            {
                Error::PermissionDenied { path: location.to_string(), source }
            }
            other => other,
        })
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { read_only() }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_list(prefix, None) {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_list(prefix, None) {
            Ok(()) => self.inner.list_with_offset(prefix, offset),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check_list(prefix, Some("/"))?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        read_only()
    }
}
