//! Objects sealed with KMS keys (SSE-KMS): what the store needs of whoever has keys, and how sealed bytes are read.
//!
//! Each object has a data key of its own, made for it under a KMS key and kept, sealed, in its sidecar. The bytes on disk
//! are a stream of chunks ([`opentrail_keys::chunks`]), so that bodies are sealed as they arrive and any range can be
//! read alone. The ETag is the MD5 of the bytes on disk.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_keys::chunks::{CHUNK_BYTES, ChunkOpener, HEADER_BYTES, TAG_BYTES, sealed_bytes};
use opentrail_keys::{Material, SealedHeader};
use opentrail_model::{AccountId, Region};
use serde::{Deserialize, Serialize};

use crate::error::At;
use crate::{Store, StoreError};

/// Chunks opened at a time.
const CHUNKS_AT_ONCE: u64 = 4;

/// The KMS keys of the store's callers.
pub trait CallerKeys: Send + Sync + 'static {
    /// Keys as somebody may use them who signed with `access_key_id`. `context` is what policies can ask of the request.
    fn of_caller(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        context: &BTreeMap<String, String>,
    ) -> Arc<dyn ObjectKeys>;
}

/// KMS keys as one user may use them for objects.
#[async_trait]
pub trait ObjectKeys: fmt::Debug + Send + Sync + 'static {
    /// A new data key for an object.
    ///
    /// # Errors
    /// When the KMS key is not there, cannot be used now, or not by this user.
    async fn make(&self, object: ObjectPlace<'_>, wanted: &WantedKey) -> Result<(Material, SealedKey), KeyRefusal>;

    /// Opens the data key of an object.
    ///
    /// # Errors
    /// As [`Self::make`].
    async fn open(&self, key: &SealedKey) -> Result<Material, KeyRefusal>;
}

/// An object that is to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct ObjectPlace<'a> {
    /// Its bucket.
    pub bucket: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The bucket's Region.
    pub region: &'a Region,
    /// The bucket's owner.
    pub owner: AccountId,
}

impl ObjectPlace<'_> {
    /// The object's ARN.
    pub fn arn(&self) -> String {
        format!("arn:{}:s3:::{}/{}", self.region.partition(), self.bucket, self.key)
    }
}

/// The key that a writer asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedKey {
    /// A key id, key ARN, alias name or alias ARN; by default the key that S3 manages in the caller's account.
    pub key_id: Option<String>,
    /// Further pairs of the encryption context.
    pub context: BTreeMap<String, String>,
}

/// The data key of an object, sealed, and what is needed to open it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    /// The ARN of the KMS key.
    pub kms_key: String,
    /// The sealed data key, in hexadecimal.
    pub data_key: String,
    /// The encryption context.
    pub context: BTreeMap<String, String>,
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyRefusal {
    /// S3's error code: `AccessDenied`, `KMS.DisabledException`, …
    pub code: String,
    /// What the caller reads.
    pub message: String,
}

/// How an object is sealed, as its sidecar keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seal {
    #[serde(flatten)]
    pub(crate) key: SealedKey,
    /// Bytes of the object, which are fewer than those on disk.
    pub(crate) plain_bytes: u64,
    /// The MD5 of the bytes on disk in hexadecimal, where the ETag is not that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored_md5: Option<String>,
    /// What it is bound to, if it is a file that has its data key at its beginning: only directories of others have
    /// them.
    #[serde(skip)]
    pub(crate) bound: Option<String>,
}

impl Seal {
    /// Whether a file of `stored` bytes can be the object.
    pub(crate) fn fits(&self, stored: u64) -> bool {
        sealed_bytes(self.plain_bytes) == Some(stored)
    }
}

impl From<KeyRefusal> for StoreError {
    fn from(refusal: KeyRefusal) -> Self {
        Self::Key { code: refusal.code, reason: refusal.message }
    }
}

/// An object's bytes, and how to read them: sealed or not.
pub(crate) struct Readable {
    pub(crate) file: File,
    opener: Opener,
}

/// What opens an object's bytes.
enum Opener {
    Plain,
    /// The chunks, and the object's length.
    Object(Arc<ChunkOpener>, u64),
    /// A file that has its data key at its beginning.
    File(Arc<(SealedHeader, ChunkOpener)>),
}

impl Readable {
    /// Bytes that are not sealed.
    pub(crate) fn plain(file: File) -> Self {
        Self { file, opener: Opener::Plain }
    }

    /// Sealed bytes. Blocks while the header is read.
    pub(crate) fn sealed(store: &Store, mut file: File, seal: &Seal, data_key: &Material) -> Result<Self, StoreError> {
        let root = store.inner.root.as_path();
        if let Some(bound) = &seal.bound {
            let header = SealedHeader::read(&file).at(root)?;
            let opener = header.opener(data_key, bound.as_bytes()).map_err(|_| altered(seal))?;
            return Ok(Self { file, opener: Opener::File(Arc::new((header, opener))) });
        }
        let mut header = [0; HEADER_BYTES as usize];
        file.seek(SeekFrom::Start(0)).at(root)?;
        file.read_exact(&mut header).at(root)?;
        let opener = ChunkOpener::new(data_key, &header, seal.plain_bytes).map_err(|_| altered(seal))?;
        Ok(Self { file, opener: Opener::Object(Arc::new(opener), seal.plain_bytes) })
    }

    /// The next piece of the object's bytes from `at`, before `end`.
    pub(crate) fn read_piece(
        mut self,
        store: &Store,
        Range { start: at, end }: Range<u64>,
        most: usize,
    ) -> Result<(Self, Bytes), StoreError> {
        let root = store.inner.root.as_path();
        let (opener, plain) = match &self.opener {
            Opener::Plain => {
                let mut piece = vec![0; usize::try_from(end - at).unwrap_or(usize::MAX).min(most)];
                self.file.seek(SeekFrom::Start(at)).at(root)?;
                // A file that was cut by hand meanwhile ends the response early, which the client sees by its length.
                self.file.read_exact(&mut piece).at(root)?;
                return Ok((self, piece.into()));
            }
            Opener::File(opened) => {
                let (header, opener) = &**opened;
                let end = end.min(at + CHUNKS_AT_ONCE * CHUNK_BYTES);
                let piece = header.text(&self.file, opener, at..end);
                let piece = piece.map_err(|error| StoreError::Altered { reason: error.to_string() })?;
                return Ok((self, piece.into()));
            }
            Opener::Object(opener, plain) => (opener, plain),
        };
        let first = at / CHUNK_BYTES;
        let last = ((end - 1) / CHUNK_BYTES).min(first + CHUNKS_AT_ONCE - 1);
        self.file.seek(SeekFrom::Start(HEADER_BYTES + first * (CHUNK_BYTES + TAG_BYTES))).at(root)?;
        let mut piece = Vec::new();
        for index in first..=last {
            let bytes = (plain - index * CHUNK_BYTES).min(CHUNK_BYTES) + TAG_BYTES;
            let mut chunk = vec![0; usize::try_from(bytes).unwrap_or_default()];
            self.file.read_exact(&mut chunk).at(root)?;
            opener.open(index, &mut chunk).map_err(|_| StoreError::Altered { reason: format!("at byte {at}") })?;
            piece.append(&mut chunk);
        }
        let start = first * CHUNK_BYTES;
        let within = |byte: u64| usize::try_from(byte - start).unwrap_or(usize::MAX).min(piece.len());
        let bytes = within(at)..within(end);
        Ok((self, Bytes::from(piece).slice(bytes)))
    }
}

fn altered(seal: &Seal) -> StoreError {
    StoreError::Altered { reason: format!("it does not begin as what {} seals", seal.key.kms_key) }
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};
    use opentrail_runtime::{SystemClock, SystemRandom};

    use super::*;

    /// One data key for everything; `off` makes it refuse.
    #[derive(Debug)]
    struct OneKey {
        key: Material,
        off: bool,
    }

    #[async_trait]
    impl ObjectKeys for OneKey {
        async fn make(&self, object: ObjectPlace<'_>, _: &WantedKey) -> Result<(Material, SealedKey), KeyRefusal> {
            let context = BTreeMap::from([("aws:s3:arn".to_owned(), object.arn())]);
            let sealed = SealedKey { kms_key: "arn".to_owned(), data_key: String::new(), context };
            self.open(&sealed).await.map(|key| (key, sealed))
        }

        async fn open(&self, _: &SealedKey) -> Result<Material, KeyRefusal> {
            if self.off {
                let (code, message) = ("KMS.DisabledException".to_owned(), "arn is disabled.".to_owned());
                return Err(KeyRefusal { code, message });
            }
            Ok(self.key.clone())
        }
    }

    struct World {
        root: tempfile::TempDir,
        store: Store,
        key: Material,
    }

    fn world() -> World {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), Arc::new(SystemClock)).unwrap();
        store.create_bucket("logs", "111122223333".parse().unwrap(), Region::us_east_1()).unwrap();
        World { root, store, key: Material::generate(&SystemRandom) }
    }

    impl World {
        fn objects(&self, off: bool) -> Arc<dyn ObjectStore> {
            let keys = Arc::new(OneKey { key: self.key.clone(), off });
            self.store.sealing_object_store("logs", keys, WantedKey::default())
        }

        fn file(&self) -> std::path::PathBuf {
            self.root.path().join("logs/a.gz")
        }
    }

    #[tokio::test]
    async fn every_range_of_a_sealed_object_is_that_of_the_object() {
        let world = world();
        let (path, chunk) = (Path::from("a.gz"), CHUNK_BYTES);
        for length in [0, 1, chunk, chunk + 1, 6 * chunk + 77] {
            let text: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let objects = world.objects(false);
            objects.put(&path, text.clone().into()).await.unwrap();
            let stored = std::fs::read(world.file()).unwrap();
            assert_eq!(Some(stored.len() as u64), sealed_bytes(length));
            assert_eq!(objects.head(&path).await.unwrap().size, length);
            assert_eq!(objects.get(&path).await.unwrap().bytes().await.unwrap(), text);
            for start in [0, 1, chunk - 1, chunk, 5 * chunk] {
                for end in [start + 1, start + chunk, length] {
                    if start < end && end <= length {
                        let part = objects.get_range(&path, start..end).await.unwrap();
                        assert_eq!(part, text[start as usize..end as usize], "{start}..{end} of {length}");
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn a_sealed_object_is_not_read_without_its_key_nor_when_altered() {
        let world = world();
        let path = Path::from("a.gz");
        world.objects(false).put(&path, vec![7; 100_000].into()).await.unwrap();
        let plain = world.store.object_store("logs").get(&path).await.unwrap_err();
        assert!(plain.to_string().contains("no keys are at hand"), "{plain}");
        let off = world.objects(true);
        for refused in [off.get(&path).await.map(drop), off.put(&path, vec![1].into()).await.map(drop)] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("<Code>KMS.DisabledException</Code>"), "{refused}");
        }

        // Copied back with another time, it is the same object; altered, it is none.
        let bytes = std::fs::read(world.file()).unwrap();
        std::fs::remove_file(world.file()).unwrap();
        std::fs::write(world.file(), &bytes).unwrap();
        assert_eq!(world.objects(false).get(&path).await.unwrap().bytes().await.unwrap(), vec![7; 100_000]);
        for at in [3, bytes.len() - 1] {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            std::fs::write(world.file(), &altered).unwrap();
            let read = world.objects(false).get(&path).await.unwrap().bytes().await;
            assert!(read.unwrap_err().to_string().contains("altered"), "byte {at}");
        }
    }
}
