use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use opentrail_runtime::CrashPoint;

use crate::disk;
use crate::faults::At;

/// The local file system, where what was put survives a power failure: `LocalFileSystem` renames without syncing,
/// and a commit that is lost after the journal has been trimmed would lose events.
///
/// A put is whole or absent: written under a name that listings skip (`…#<n>`), synced, linked to its own name, the
/// directory synced.
#[derive(Debug)]
pub(crate) struct DurableStore {
    inner: LocalFileSystem,
}

impl DurableStore {
    pub(crate) fn new() -> Self {
        Self { inner: LocalFileSystem::new() }
    }

    /// A read of the object or of the objects below the prefix, which a test may have fail.
    fn read(&self, location: &Path) -> Result<()> {
        let path = self.inner.path_to_filesystem(location)?;
        At::step(&path).before().map_err(generic)
    }

    async fn store(&self, location: &Path, payload: PutPayload, mode: PutMode) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        let location = location.to_string();
        tokio::task::spawn_blocking(move || store(target, location, &payload, mode))
            .await
            .map_err(|source| Error::JoinError { source })?
    }
}

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Durable{}", self.inner)
    }
}

fn generic(source: std::io::Error) -> Error {
    Error::Generic { store: "DurableStore", source: Box::new(source) }
}

/// Whether a file of this name is one that a put left under a temporary name, where readers skip it.
pub(crate) fn is_staged(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Sets temporary names of one process apart; those of a process that died stay beside the log until a vacuum, and `fsck`
/// remarks them.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn store(target: PathBuf, location: String, payload: &PutPayload, mode: PutMode) -> Result<PutResult> {
    let parent = target.parent().unwrap_or(&target).to_owned();
    disk::create_dir_all(&parent).map_err(generic)?;
    let mut staged = target.clone().into_os_string();
    staged.push(format!("#{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let staged = PathBuf::from(staged);
    let placed = disk::create(&staged)
        .and_then(|file| {
            for chunk in payload.iter() {
                disk::write_all(&file, &staged, chunk)?;
            }
            disk::sync(&file, &staged)
        })
        .and_then(|()| match mode {
            PutMode::Create => {
                CrashPoint::LakeStaged.reach();
                disk::hard_link(&staged, &target)?;
                CrashPoint::LakeCommitted.reach();
                Ok(())
            }
            _ => {
                CrashPoint::LakeCheckpointStaged.reach();
                disk::rename(&staged, &target)?;
                CrashPoint::LakeCheckpointPlaced.reach();
                Ok(())
            }
        });
    // Gone already when renamed.
    let _ = disk::remove_file(&staged);
    match placed {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::AlreadyExists { path: location, source: Box::new(error) });
        }
        Err(error) => return Err(generic(error)),
    }
    disk::open(&parent).and_then(|dir| disk::sync(&dir, &parent)).map_err(generic)?;
    Ok(PutResult { e_tag: None, version: None })
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match opts.mode {
            PutMode::Create | PutMode::Overwrite => self.store(location, payload, opts.mode).await,
            PutMode::Update(_) => {
                Err(Error::NotImplemented { operation: "conditional update".into(), implementer: self.to_string() })
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let store = Self { inner: self.inner.clone() };
        Ok(Box::new(Whole { store, location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read(location)?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = Arc::new(Self { inner: self.inner.clone() });
        let delete = move |location: Result<Path>| {
            let store = Arc::clone(&store);
            async move {
                let location = location?;
                let at = At::step(&store.inner.path_to_filesystem(&location)?);
                at.before().map_err(generic)?;
                store.inner.delete(&location).await?;
                at.after().map_err(generic)?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix.map_or(Ok(()), |prefix| self.read(prefix)) {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        prefix.map_or(Ok(()), |prefix| self.read(prefix))?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// An upload that is kept in memory and put whole. Only checkpoints come this way: they hold a table's list of
/// files, a few hundred bytes each.
#[derive(Debug)]
struct Whole {
    store: DurableStore,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Whole {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        async { Ok(()) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole: PutPayload = self.parts.drain(..).flat_map(|part| part.into_iter()).collect();
        self.store.store(&self.location, whole, PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}
