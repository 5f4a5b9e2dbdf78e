//! The files of a store with a KMS key, as an object store that gives their plain bytes.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path as Directory;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use opentrail_tables::{SnapshotFile, TableError};

use super::files::name_of;
use crate::statistics::ScanStatistics;

const NAME: &str = "sealed files";

/// Reads sealed files in ranges; of others nothing is different.
#[derive(Debug)]
pub(super) struct SealedFiles {
    inner: LocalFileSystem,
    sealed: HashMap<Path, SnapshotFile>,
    statistics: Option<Arc<ScanStatistics>>,
}

impl SealedFiles {
    /// What reads `files`, which lie below `dir`: `inner` itself unless one of them is sealed.
    pub(super) fn over(
        inner: LocalFileSystem,
        dir: &Directory,
        files: &[SnapshotFile],
        statistics: Option<&Arc<ScanStatistics>>,
    ) -> Arc<dyn ObjectStore> {
        let sealed = files.iter().filter(|file| file.is_sealed());
        let sealed: HashMap<_, _> = sealed.map(|file| (Path::from(name_of(dir, file)), file.clone())).collect();
        if sealed.is_empty() {
            return Arc::new(inner);
        }
        Arc::new(Self { inner, sealed, statistics: statistics.cloned() })
    }

    async fn read(&self, file: &SnapshotFile, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        file.bytes(ranges).await.map_err(|error| {
            if let (TableError::Key(refusal), Some(statistics)) = (&error, &self.statistics) {
                statistics.refuse(refusal.to_string());
            }
            Error::Generic { store: NAME, source: Box::new(error) }
        })
    }

    fn read_only<T>(&self, operation: &str) -> Result<T> {
        Err(Error::NotImplemented { operation: operation.to_owned(), implementer: self.to_string() })
    }
}

impl fmt::Display for SealedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for SealedFiles {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        self.read_only("put")
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.read_only("put")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(file) = self.sealed.get(location) else { return self.inner.get_opts(location, options).await };
        let size = file.size_bytes;
        let invalid = |source| Error::Generic { store: NAME, source: Box::new(source) };
        let range = options.range.as_ref().map_or(Ok(0..size), |range| range.as_range(size)).map_err(invalid)?;
        // Names are never used twice, so that nobody has to know when a file was made.
        let (e_tag, version) = (None, None);
        let meta = ObjectMeta { location: location.clone(), last_modified: DateTime::UNIX_EPOCH, size, e_tag, version };
        let bytes = match options.head {
            true => Vec::new(),
            false => self.read(file, vec![range.clone()]).await?,
        };
        let payload = GetResultPayload::Stream(stream::iter(bytes.into_iter().map(Ok)).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.sealed.get(location) {
            Some(file) => self.read(file, ranges.to_vec()).await,
            None => self.inner.get_ranges(location, ranges).await,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let implementer = self.to_string();
        let refused =
            move |_| Err(Error::NotImplemented { operation: "delete".to_owned(), implementer: implementer.clone() });
        locations.map(refused).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        self.read_only("copy")
    }
}
