use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{Attribute, ObjectStore, ObjectStoreExt};

use crate::seals::DataKey;

/// An object as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its bytes.
    pub bytes: Bytes,
    /// The digest's signature from the object's metadata, in hexadecimal, where the place keeps metadata.
    pub signature: Option<String>,
}

/// Where the files are: a bucket, or a copy of one on disk.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// An S3 bucket.
    Bucket {
        /// The bucket.
        store: Arc<dyn ObjectStore>,
        /// Only keys below this prefix are looked at; empty for all.
        prefix: String,
    },
    /// A directory with a copy of a bucket, or of a part of one.
    Directory {
        /// The directory.
        root: PathBuf,
        /// Signatures of digests by path relative to `root`, where they are known.
        signatures: BTreeMap<String, String>,
    },
    /// Files whose names are not those of the objects: an embedded store's bucket, seen from outside.
    Files {
        /// Where each object's bytes lie, by key.
        paths: BTreeMap<String, PathBuf>,
        /// Signatures of digests by key, where they are known.
        signatures: BTreeMap<String, String>,
        /// What opens those that are sealed, by key.
        seals: BTreeMap<String, DataKey>,
    },
}

/// Why the files could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The bucket failed.
    #[error("the bucket cannot be read: {0}")]
    Bucket(#[from] object_store::Error),
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Disk {
        /// What was read.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl Evidence {
    /// Every object's name, in order. In a directory, names are relative to it.
    pub async fn names(&self) -> Result<Vec<String>, EvidenceError> {
        let mut names = match self {
            Self::Bucket { store, prefix } => {
                let prefix = (!prefix.is_empty()).then(|| object_store::path::Path::from(prefix.as_str()));
                let listing = store.list(prefix.as_ref());
                listing.map_ok(|meta| meta.location.to_string()).try_collect::<Vec<_>>().await?
            }
            Self::Directory { root, .. } => {
                let root = root.clone();
                tokio::task::spawn_blocking(move || walk(&root))
                    .await
                    .map_err(|error| EvidenceError::Disk { path: PathBuf::new(), source: io::Error::other(error) })??
            }
            Self::Files { paths, .. } => paths.keys().cloned().collect(),
        };
        names.sort_unstable();
        Ok(names)
    }

    /// The object of that name; `None` when there is none.
    pub async fn fetch(&self, name: &str) -> Result<Option<Stored>, EvidenceError> {
        match self {
            Self::Bucket { store, .. } => {
                let result = match store.get(&object_store::path::Path::from(name)).await {
                    Ok(result) => result,
                    Err(object_store::Error::NotFound { .. }) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let signature = result.attributes.get(&Attribute::Metadata("signature".into()));
                let signature = signature.map(|value| value.to_string());
                Ok(Some(Stored { bytes: result.bytes().await?, signature }))
            }
            Self::Directory { root, signatures } => from_disk(root.join(name), signatures.get(name)).await,
            Self::Files { paths, signatures, seals } => {
                let Some(path) = paths.get(name) else { return Ok(None) };
                let stored = from_disk(path.clone(), signatures.get(name)).await?;
                let (Some(stored), Some(key)) = (stored.clone(), seals.get(name)) else { return Ok(stored) };
                // What does not open is judged as it is: it is not what a digest lists.
                let bytes = key.open(&stored.bytes).map_or(stored.bytes, Into::into);
                Ok(Some(Stored { bytes, ..stored }))
            }
        }
    }
}

async fn from_disk(path: PathBuf, signature: Option<&String>) -> Result<Option<Stored>, EvidenceError> {
    match tokio::fs::read(&path).await {
        Ok(bytes) => Ok(Some(Stored { bytes: bytes.into(), signature: signature.cloned() })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EvidenceError::Disk { path, source }),
    }
}

fn walk(root: &Path) -> Result<Vec<String>, EvidenceError> {
    let mut names = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let disk = |source| EvidenceError::Disk { path: directory.clone(), source };
        for entry in std::fs::read_dir(&directory).map_err(disk)? {
            let entry = entry.map_err(disk)?;
            let path = entry.path();
            if entry.file_type().map_err(disk)?.is_dir() {
                pending.push(path);
            } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
                names.push(name.to_owned());
            }
        }
    }
    Ok(names)
}
