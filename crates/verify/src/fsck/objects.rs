//! Reads the embedded store by its description (`crates/objects/README.md`): the objects' bytes in plain files below
//! `objects/<bucket>`, a sidecar for each in `objects/.opentrail/meta`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest::{SHA256, digest};
use md5::{Digest, Md5};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::report::{Notes, relative};
use super::{Cancelled, Pace, versions};
use crate::seals::{DataKey, Keys, Seal};

/// What the store keeps about itself, beside the buckets.
pub(super) const OWN: &str = ".opentrail";
/// Keys of log files and digests hold it; only such objects are remembered.
const DELIVERED: &str = "AWSLogs/";

/// The buckets of the store, by name.
pub(super) type Buckets = BTreeMap<String, Bucket>;

/// The log files and digests of a bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Where the bytes are, by key.
    pub(super) paths: BTreeMap<String, PathBuf>,
    /// The `signature` of an object's metadata, by key.
    pub(super) signatures: BTreeMap<String, String>,
    /// Those whose bytes are sealed with a KMS key that is not here: they are as they were stored, and what is inside is
    /// not looked at.
    pub(super) sealed: BTreeMap<String, Seal>,
    /// What opens those that are sealed with a key of the catalog.
    pub(super) seals: BTreeMap<String, DataKey>,
}

#[derive(Deserialize)]
struct BucketDocument {
    name: String,
    #[serde(default)]
    versioning: Option<String>,
    #[serde(default)]
    object_lock: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Sidecar {
    pub(super) key: String,
    pub(super) versions: Vec<Version>,
}

impl Sidecar {
    /// The description of the current object if its file is of `stamp`: size and time.
    fn current(&self, stamp: Option<(u64, u64)>) -> Option<&Version> {
        let exact = self.versions.iter().find(|version| !version.marker && Some(version.stamp()) == stamp);
        exact.or(self.versions.last().filter(|version| !version.marker))
    }
}

/// One version of an object, described, the oldest first. Behind the current one there may be one that a crash kept
/// from being put, or a deleted one.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) size: u64,
    pub(super) modified_ns: u64,
    etag: String,
    #[serde(default)]
    pub(super) version: Option<String>,
    /// A delete marker has no bytes.
    #[serde(default)]
    pub(super) marker: bool,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    parts: Vec<u64>,
    #[serde(default)]
    seal: Option<Seal>,
}

impl Version {
    pub(super) fn stamp(&self) -> (u64, u64) {
        (self.size, self.modified_ns)
    }

    /// The sum that the bytes on disk have: the ETag, unless they are sealed parts.
    fn expected(&self) -> &str {
        self.seal.as_ref().and_then(|seal| seal.stored_md5.as_deref()).unwrap_or(&self.etag)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Headers {
    user: BTreeMap<String, String>,
}

/// Checks every bucket of the store in `root`/objects.
pub(super) fn check(root: &Path, notes: &mut Notes, pace: &Pace) -> Result<Buckets, Cancelled> {
    let store = root.join("objects");
    let mut buckets = Buckets::new();
    if !store.exists() {
        notes.remark(relative(root, &store), "there is no embedded store; the next start makes an empty one");
        return Ok(buckets);
    }
    for path in children(root, &store.join(OWN).join("buckets"), notes) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let read = fs::read(&path).map_err(|error| error.to_string());
        let document =
            read.and_then(|b| serde_json::from_slice::<BucketDocument>(&b).map_err(|error| error.to_string()));
        match document {
            Err(error) => {
                notes.damage(relative(root, &path), format_args!("the bucket's document cannot be read: {error}"))
            }
            Ok(document) if document.name != name => {
                notes.damage(relative(root, &path), format_args!("it is the document of the bucket {}", document.name));
            }
            Ok(document) => {
                if document.object_lock.is_some() && document.versioning.as_deref() != Some("Enabled") {
                    let problem = "the bucket has Object Lock and keeps no versions: what is locked can be overwritten";
                    notes.damage(relative(root, &path), problem);
                }
                notes.checked("buckets", 1);
                buckets.insert(name, Bucket::default());
            }
        }
    }
    for path in children(root, &store, notes) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != OWN && !buckets.contains_key(&name) {
            notes.remark(relative(root, &path), "belongs to no bucket: none has a document of that name");
        }
    }
    let leftovers = children(root, &store.join(OWN).join("tmp"), notes).len();
    if leftovers > 0 {
        let path = relative(root, &store.join(OWN).join("tmp"));
        notes.remark(path, format_args!("{leftovers} files left half-written by a crash; the next start removes them"));
    }
    for (name, bucket) in &mut buckets {
        check_bucket(root, &store, name, bucket, notes, pace)?;
    }
    Ok(buckets)
}

fn check_bucket(
    root: &Path,
    store: &Path,
    name: &str,
    bucket: &mut Bucket,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<(), Cancelled> {
    let dir = store.join(name);
    let place = relative(root, &dir);
    let mut sidecars: HashMap<PathBuf, Sidecar> = HashMap::new();
    for shard in children(root, &store.join(OWN).join("meta").join(name), notes) {
        for path in children(root, &shard, notes) {
            match read_sidecar(&path) {
                Ok(sidecar) => drop(sidecars.insert(path_of(&sidecar.key), sidecar)),
                Err(problem) => notes.damage(relative(root, &path), problem),
            }
        }
    }
    let mut pending = vec![dir.clone()];
    while let Some(current) = pending.pop() {
        for path in children(root, &current, notes) {
            let Ok(kind) = path.symlink_metadata().map(|metadata| metadata.file_type()) else { continue };
            if kind.is_dir() {
                pending.push(path);
                continue;
            }
            let inside = path.strip_prefix(&dir).unwrap_or(&path).to_owned();
            if !kind.is_file() {
                notes.remark(&place, format_args!("{}: no plain file; the store does not serve it", inside.display()));
                continue;
            }
            notes.checked("objects", 1);
            let sidecar = sidecars.remove(&inside);
            if let Some(sidecar) = &sidecar {
                versions::check(root, store, name, sidecar, stamp(&path), notes, pace)?;
            }
            let key = match &sidecar {
                Some(sidecar) => sidecar.key.clone(),
                None => {
                    notes.remark(
                        &place,
                        format_args!("{}: it has no metadata; a file placed by hand?", inside.display()),
                    );
                    // Only keys that are spelled plainly can be told from a path this simply.
                    inside.to_string_lossy().into_owned()
                }
            };
            if let Some(sidecar) = sidecar {
                let described: Vec<&Version> = sidecar.versions.iter().filter(|version| !version.marker).collect();
                match verdict(&path, &described, pace)? {
                    Ok(()) => {}
                    Err(problem) => notes.damage(relative(root, &path), problem),
                }
                let current = sidecar.current(stamp(&path));
                if let Some(seal) = current.and_then(|version| version.seal.clone()).filter(|_| key.contains(DELIVERED))
                {
                    notes.checked("sealed objects", 1);
                    bucket.sealed.insert(key.clone(), seal);
                }
                let signature = current.and_then(|version| version.headers.user.get("signature"));
                if let Some(signature) = signature.filter(|_| key.contains(DELIVERED)) {
                    bucket.signatures.insert(key.clone(), signature.clone());
                }
            }
            if key.contains(DELIVERED) {
                bucket.paths.insert(key, path);
            }
        }
    }
    versions::check_strangers(root, store, name, notes);
    let mut missing: Vec<&Sidecar> = sidecars.values().collect();
    missing.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    for sidecar in missing {
        versions::check(root, store, name, sidecar, None, notes, pace)?;
        if sidecar.versions.iter().any(|version| version.marker) {
            continue;
        }
        // Also what a crash within a deletion leaves.
        notes.remark(&place, format_args!("{}: there is metadata, but no bytes", sidecar.key));
    }
    Ok(())
}

/// Size and time of modification of the file at `path`.
fn stamp(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX)))
}

pub(super) fn read_sidecar(path: &Path) -> Result<Sidecar, String> {
    let bytes = fs::read(path).map_err(|error| format!("metadata cannot be read: {error}"))?;
    let sidecar: Sidecar =
        serde_json::from_slice(&bytes).map_err(|error| format!("metadata cannot be understood: {error}"))?;
    let name = hex::encode(digest(&SHA256, sidecar.key.as_bytes()));
    if path.file_stem().is_none_or(|stem| stem.to_string_lossy() != name) {
        return Err(format!("it is the metadata of {:?}, which has its place elsewhere", sidecar.key));
    }
    Ok(sidecar)
}

/// Whether the bytes are those that one of `versions` describes.
pub(super) fn verdict(path: &Path, versions: &[&Version], pace: &Pace) -> Result<Result<(), String>, Cancelled> {
    let unreadable = |error: io::Error| Err(format!("the object cannot be read: {error}"));
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Ok(unreadable(error)),
    };
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    // The version of that time if there is one; a copied store has other times.
    let exact: Vec<_> =
        versions.iter().copied().filter(|version| version.stamp() == (metadata.len(), modified)).collect();
    let candidates = if exact.is_empty() { versions.to_vec() } else { exact };
    let Some(fitting) = candidates.iter().find(|version| version.size == metadata.len()) else {
        let sizes: Vec<String> = candidates.iter().map(|version| version.size.to_string()).collect();
        return Ok(Err(format!("the object has {} bytes, and {} were stored", metadata.len(), sizes.join(" or "))));
    };
    let mut problem = None;
    for version in candidates.iter().filter(|version| version.size == fitting.size) {
        match etag(path, version, pace)? {
            Err(error) => return Ok(unreadable(error)),
            Ok(Some(found)) if found != version.expected() => {
                problem = Some("the object's bytes are not those that were stored: their MD5 differs".to_owned());
            }
            Ok(_) => return Ok(Ok(())),
        }
    }
    Ok(problem.map_or(Ok(()), Err))
}

/// Gives each bucket what opens its sealed files, as far as `keys` has it; what is wrong with those it should.
pub(super) fn open_seals(buckets: &mut Buckets, keys: &Keys, notes: &mut Notes) {
    for (name, bucket) in buckets {
        for (key, seal) in std::mem::take(&mut bucket.sealed) {
            match keys.data_key(&seal) {
                Ok(data_key) => drop(bucket.seals.insert(key, data_key)),
                Err(problem) => {
                    notes.remark(format_args!("objects/{name}/{key}"), format_args!("sealed, not opened: {problem}"));
                    bucket.sealed.insert(key, seal);
                }
            }
        }
        notes.checked("opened seals", bucket.seals.len() as u64);
    }
}

/// The ETag that the bytes have: their MD5, or the MD5 of their parts' MD5s and the number of parts. `None` when the
/// parts are not known.
fn etag(path: &Path, version: &Version, pace: &Pace) -> Result<io::Result<Option<String>>, Cancelled> {
    let composite = version.expected().contains('-');
    let whole = [version.size];
    let parts: &[u64] = if composite { &version.parts } else { &whole };
    if parts.iter().try_fold(0u64, |sum, part| sum.checked_add(*part)) != Some(version.size) {
        return Ok(Ok(None));
    }
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut buffer = vec![0; 256 << 10];
    let mut sums = Vec::new();
    for part in parts {
        let mut part = (&mut file).take(*part);
        let mut sum = Md5::new();
        loop {
            match part.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    sum.update(&buffer[..read]);
                    pace.advance(read as u64)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        sums.push(sum.finalize());
    }
    Ok(Ok(Some(if composite {
        format!("{}-{}", hex::encode(Md5::digest(sums.concat())), parts.len())
    } else {
        hex::encode(sums.concat())
    })))
}

/// What a directory holds; nothing when it is not there.
pub(super) fn children(root: &Path, dir: &Path, notes: &mut Notes) -> Vec<PathBuf> {
    let read = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    read.unwrap_or_else(|error: io::Error| {
        if error.kind() != ErrorKind::NotFound {
            notes.damage(relative(root, dir), format_args!("the directory cannot be read: {error}"));
        }
        Vec::new()
    })
}

/// Where the bytes of `key` lie below its bucket's directory (`README.md`, "Keys as paths").
pub(super) fn path_of(key: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let mut segments = key.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let mut name = String::new();
        let mut cut = false;
        for c in segment.chars() {
            let escaped = c == '%' || u32::from(c) < 0x20 || c == '\x7f';
            let written = if escaped { format!("%{:02X}", u32::from(c)) } else { c.to_string() };
            if name.len() + written.len() > 240 {
                path.push(name + "%+");
                (name, cut) = (String::new(), true);
            }
            name.push_str(&written);
        }
        let plain = match last {
            true => segment.contains('.') && segment != "." && segment != "..",
            false => !segment.contains('.') && !segment.is_empty(),
        };
        if cut || !plain {
            name.push_str(if last { "%o" } else { "%p" });
        }
        path.push(name);
    }
    path
}
