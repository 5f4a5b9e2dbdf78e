//! What is known of an object beside its bytes, kept in a small JSON file of its own.
//!
//! The bytes and the sidecar are two files, and no rename moves two. So the sidecar tells which bytes it describes, by
//! size and time of modification (which the store sets itself, a different one with each write), and while an object is
//! being replaced it describes both the old bytes and the new: whichever a reader finds, and whichever a crash leaves,
//! has its description. Bytes that no description fits were changed by hand: they are served as they are, with the
//! latest description less whatever vouched for the old bytes.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentrail_model::Timestamp;
use s3s::crypto::{Checksum as _, Md5, Sha256};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::checksums::Checksum;
use crate::durable::{Scratch, is_absence};
use crate::error::At;
use crate::locks::Lock;
use crate::sealing::Seal;

/// Tells an object's bytes from those before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    /// Time of modification, in nanoseconds since the epoch. The nanoseconds below the millisecond only tell apart.
    pub(crate) modified_ns: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified_ns = modified.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        Self { size: metadata.len(), modified_ns }
    }

    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.modified_ns)
    }

    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.modified_ns / 1_000_000).unwrap_or(i64::MAX))
    }
}

/// The headers that an object keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// An HTTP date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) website_redirect_location: Option<String>,
    /// As the writer asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_side_encryption: Option<String>,
    /// `x-amz-meta-…`, without the prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) user: BTreeMap<String, String>,
}

/// One version of an object, described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    #[serde(flatten)]
    pub(crate) stamp: Stamp,
    /// Without quotes.
    pub(crate) etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
    #[serde(default)]
    pub(crate) headers: Headers,
    /// The upload that made it, by which a repeated completion knows its own work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upload: Option<String>,
    /// The sizes of the parts that it was uploaded in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<u64>,
    /// How the bytes on disk are sealed, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<Seal>,
    /// Its version id; `None` is the version `null`, put while the bucket kept no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// A delete marker: there are no bytes, and `stamp` says when it was put.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) marker: bool,
    /// What keeps this version from being deleted.
    #[serde(default, skip_serializing_if = "Lock::is_none")]
    pub(crate) lock: Lock,
}

impl Description {
    /// A delete marker.
    pub(crate) fn marker(stamp: Stamp, version: Option<String>) -> Self {
        Self { version, marker: true, ..Self::of_bytes(stamp, String::new()) }
    }

    /// Bytes of which nothing more is known.
    fn of_bytes(stamp: Stamp, etag: String) -> Self {
        let (checksum, headers, upload, parts, seal) = (None, Headers::default(), None, Vec::new(), None);
        let (version, marker, lock) = (None, false, Lock::default());
        Self { stamp, etag, checksum, headers, upload, parts, seal, version, marker, lock }
    }

    /// The version id as S3 spells it.
    pub(crate) fn version_id(&self) -> &str {
        self.version.as_deref().unwrap_or(NULL_VERSION)
    }

    /// The object's length in bytes, which is not the file's when it is sealed.
    pub(crate) fn size(&self) -> u64 {
        self.seal.as_ref().map_or(self.stamp.size, |seal| seal.plain_bytes)
    }
}

/// The version id of what was put while the bucket kept no versions.
pub(crate) const NULL_VERSION: &str = "null";

/// The sidecar file: the key and a description of each version, the oldest first. Which of them are there is for
/// [`History`](crate::versions::History) to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    pub(crate) key: String,
    pub(crate) versions: Vec<Description>,
}

impl Sidecar {
    /// Where the sidecar of `key` is, below the bucket's sidecars.
    pub(crate) fn path(directory: &Path, key: &str) -> PathBuf {
        let name = hex::encode(Sha256::checksum(key.as_bytes()));
        directory.join(&name[..2]).join(format!("{name}.json"))
    }

    /// `None` when there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| StoreError::Damaged { path: path.to_owned(), source }),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error).at(path),
        }
    }

    /// Writes it, durably.
    pub(crate) fn write(&self, scratch: &Scratch, path: &Path) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(self).expect("a sidecar has only strings for keys");
        if let Some(directory) = path.parent() {
            scratch.create_dirs(directory).at(directory)?;
        }
        scratch.replace(path, &bytes).at(path)
    }

    pub(crate) fn describing(&self, stamp: Stamp) -> Option<&Description> {
        self.versions.iter().find(|version| version.stamp == stamp && !version.marker)
    }

    /// What is known of bytes with `stamp` that were put there by hand.
    pub(crate) fn by_hand(latest: Option<&Description>, stamp: Stamp) -> Description {
        let mut md5 = Md5::new();
        md5.update(&stamp.size.to_be_bytes());
        md5.update(&stamp.modified_ns.to_be_bytes());
        Description {
            headers: latest.map(|version| version.headers.clone()).unwrap_or_default(),
            // Copied back from a backup, say: whether the bytes are the sealed ones shows when they are opened.
            seal: latest.and_then(|version| version.seal.clone()).filter(|seal| seal.fits(stamp.size)),
            version: latest.and_then(|version| version.version.clone()),
            lock: latest.map(|version| version.lock.clone()).unwrap_or_default(),
            // Looks like a multipart ETag, so that nobody takes it for the MD5 of the bytes.
            ..Description::of_bytes(stamp, format!("{}-1", hex::encode(md5.finalize())))
        }
    }

    /// The description of what was put last, if it was an object.
    pub(crate) fn latest(&self) -> Option<&Description> {
        self.versions.last().filter(|version| !version.marker)
    }
}

/// Opens the object at `data` with its description. `None` when there is no object.
pub(crate) fn open(data: &Path, sidecar: &Path) -> Result<Option<(File, Description)>, StoreError> {
    let mut before = None;
    loop {
        let file = match File::open(data) {
            Ok(file) => file,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error).at(data),
        };
        let metadata = file.metadata().at(data)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let stamp = Stamp::of(&metadata);
        let known = match Sidecar::read(sidecar) {
            Ok(known) => known,
            // The bytes are the evidence; a description that is damaged must not keep them from being read.
            Err(StoreError::Damaged { path, source }) => {
                tracing::warn!(path = %path.display(), error = %source, "sidecar cannot be read");
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(description) = known.as_ref().and_then(|known| known.describing(stamp)) {
            return Ok(Some((file, description.clone())));
        }
        // No description fits: the object was replaced between the two reads, unless a second look shows the same.
        if before == Some(stamp) {
            let latest = known.as_ref().and_then(Sidecar::latest);
            return Ok(Some((file, Sidecar::by_hand(latest, stamp))));
        }
        before = Some(stamp);
    }
}
