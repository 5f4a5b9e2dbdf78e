use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use opentrail_runtime::CrashPoint;

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

/// Sets temporary names of one process apart; those of a process that died stay beside the log, where readers skip them
/// and `fsck` remarks them.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn store(target: PathBuf, location: String, payload: &PutPayload, mode: PutMode) -> Result<PutResult> {
    let generic = |source: std::io::Error| Error::Generic { store: "DurableStore", source: Box::new(source) };
    let parent = target.parent().unwrap_or(&target).to_owned();
    fs::create_dir_all(&parent).map_err(generic)?;
    let mut staged = target.clone().into_os_string();
    staged.push(format!("#{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let staged = PathBuf::from(staged);
    let placed = File::create(&staged)
        .and_then(|mut file| {
            for chunk in payload.iter() {
                file.write_all(chunk)?;
            }
            file.sync_all()
        })
        .and_then(|()| match mode {
            PutMode::Create => {
                CrashPoint::LakeStaged.reach();
                fs::hard_link(&staged, &target)?;
                CrashPoint::LakeCommitted.reach();
                Ok(())
            }
            _ => {
                CrashPoint::LakeCheckpointStaged.reach();
                fs::rename(&staged, &target)?;
                CrashPoint::LakeCheckpointPlaced.reach();
                Ok(())
            }
        });
    // Gone already when renamed.
    let _ = fs::remove_file(&staged);
    match placed {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::AlreadyExists { path: location, source: Box::new(error) });
        }
        Err(error) => return Err(generic(error)),
    }
    File::open(&parent).and_then(|dir| dir.sync_all()).map_err(generic)?;
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
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
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
