use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use opentrail_model::{AccountId, Region};
use opentrail_runtime::{Clock, CrashPoint};
use parking_lot::{Mutex, RwLock};

use crate::StoreError;
use crate::backend::BucketObjects;
use crate::bucket::{self, Bucket};
use crate::checksums::Checksum;
use crate::condition::Conditions;
use crate::durable::{Scratch, is_absence};
use crate::error::At;
use crate::key::{LONGEST_KEY, path_of};
use crate::listing::{self, Listings, Page, Query};
use crate::multipart::{paths_in, sweep_uploads};
use crate::sealing::{CallerKeys, ObjectKeys, Readable, Seal, WantedKey};
use crate::sidecar::{self, Description, Headers, Sidecar, Stamp};
use crate::staging::Staged;

/// The directory of the store's own files, beside the buckets' directories. No bucket can have this name.
pub(crate) const OWN_DIRECTORY: &str = ".opentrail";

/// Writers of keys that share a lock wait for each other.
const LOCKS: usize = 1024;

/// Buckets and objects in a local directory. Cheap to clone.
///
/// # Promises
/// 1. A write is `Ok` only once bytes and metadata survive a crash.
/// 2. Readers see an object as it was before a write or as it is after it, whole.
/// 3. Listings are in the order of the keys' bytes and contain every write that was `Ok` before they began.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) scratch: Arc<Scratch>,
    /// The KMS keys of callers; without them no object can be sealed or opened for one.
    pub(crate) keys: OnceLock<Arc<dyn CallerKeys>>,
    /// Read-locked while an object is written, so that no bucket disappears under it.
    pub(crate) buckets: RwLock<BTreeMap<String, Bucket>>,
    locks: Vec<Mutex<()>>,
    /// Apart from `locks`: who completes an upload holds one of each.
    upload_locks: Vec<Mutex<()>>,
    listings: Listings,
}

/// What a write knows of the object beside its bytes.
pub(crate) struct Details {
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) headers: Headers,
    pub(crate) upload: Option<String>,
    pub(crate) parts: Vec<u64>,
}

impl Store {
    /// Opens the store in `root`, which is created if need be, and removes what a crash left half-written.
    ///
    /// # Errors
    /// When the directory cannot be used, or a bucket's document is damaged.
    pub fn open(root: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let own = root.join(OWN_DIRECTORY);
        let scratch = Scratch::open(own.join("tmp")).at(root)?;
        refuse_unfit(&own)?;
        for name in ["buckets", "meta", "uploads"] {
            scratch.create_dirs(&own.join(name)).at(&own)?;
        }
        let mut buckets = BTreeMap::new();
        let documents = own.join("buckets");
        for entry in fs::read_dir(&documents).at(&documents)? {
            let path = entry.at(&documents)?.path();
            let bytes = fs::read(&path).at(&path)?;
            let bucket: Bucket =
                serde_json::from_slice(&bytes).map_err(|source| StoreError::Damaged { path: path.clone(), source })?;
            // The directory is made before the document, so it can only be missing because somebody removed it.
            scratch.create_dirs(&root.join(&bucket.name)).at(&path)?;
            sweep_uploads(&scratch, &own.join("uploads").join(&bucket.name))?;
            buckets.insert(bucket.name.clone(), bucket);
        }
        let inner = Inner {
            root: root.to_owned(),
            clock,
            scratch: Arc::new(scratch),
            keys: OnceLock::new(),
            buckets: RwLock::new(buckets),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            upload_locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            listings: Listings::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The bucket of that name.
    ///
    /// # Errors
    /// None today; a store that asks the disk may fail.
    pub fn bucket(&self, name: &str) -> Result<Option<Bucket>, StoreError> {
        Ok(self.inner.buckets.read().get(name).cloned())
    }

    /// All buckets, by name.
    pub fn buckets(&self) -> Vec<Bucket> {
        self.inner.buckets.read().values().cloned().collect()
    }

    pub(crate) fn require_bucket(&self, name: &str) -> Result<Bucket, StoreError> {
        self.inner.buckets.read().get(name).cloned().ok_or_else(|| no_such_bucket(name))
    }

    /// Creates a bucket.
    ///
    /// Blocks while the disk syncs.
    ///
    /// # Errors
    /// When the name is bad or taken, or the disk fails.
    pub fn create_bucket(&self, name: &str, owner: AccountId, region: Region) -> Result<Bucket, StoreError> {
        bucket::check_name(name)?;
        let mut buckets = self.inner.buckets.write();
        if let Some(found) = buckets.get(name) {
            return Err(StoreError::BucketExists { bucket: name.to_owned(), by_caller: found.owner == owner });
        }
        let created = self.inner.clock.now().floor_secs();
        let bucket = Bucket { name: name.to_owned(), owner, region, policy: None, created };
        // A crash between the two leaves an empty directory that no document names: no bucket.
        let directory = self.inner.root.join(name);
        self.inner.scratch.create_dirs(&directory).at(&directory)?;
        CrashPoint::ObjectsBucketDirectory.reach();
        self.inner.write_bucket(&bucket)?;
        buckets.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// When there is none, when it holds objects or unfinished uploads, or the disk fails.
    pub fn delete_bucket(&self, name: &str) -> Result<(), StoreError> {
        let mut buckets = self.inner.buckets.write();
        if !buckets.contains_key(name) {
            return Err(no_such_bucket(name));
        }
        let directory = self.inner.root.join(name);
        let uploads = self.inner.uploads(name);
        let unfinished = paths_in(&uploads)?.iter().any(|upload| upload.join("upload.json").exists());
        if unfinished || listing::has_any(&directory).at(&directory)? {
            return Err(StoreError::BucketNotEmpty { bucket: name.to_owned() });
        }
        // From here on the bucket is gone, also if a crash leaves its empty directories.
        self.inner.scratch.remove_durably(&self.inner.document(name)).at(&directory)?;
        buckets.remove(name);
        for leftover in [directory, self.inner.sidecars(name), uploads] {
            if let Err(error) = self.inner.scratch.remove_tree(&leftover) {
                tracing::warn!(path = %leftover.display(), error = %error, "leftover of a deleted bucket stays");
            }
        }
        Ok(())
    }

    /// Puts the bucket's policy, or removes it.
    ///
    /// # Errors
    /// When there is no such bucket, the text is no JSON object with statements, or the disk fails.
    pub fn put_policy(&self, bucket: &str, policy: Option<&str>) -> Result<(), StoreError> {
        policy.map_or(Ok(()), bucket::check_policy)?;
        let mut buckets = self.inner.buckets.write();
        let found = buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?;
        let changed = Bucket { policy: policy.map(str::to_owned), ..found.clone() };
        self.inner.write_bucket(&changed)?;
        *found = changed;
        Ok(())
    }

    /// The objects of a bucket, for use inside the process. No access is checked.
    ///
    /// Attributes become headers (`Attribute::Metadata("signature")` is `x-amz-meta-signature`). While there is no
    /// such bucket every call answers `NotFound`.
    pub fn object_store(&self, bucket: &str) -> Arc<dyn object_store::ObjectStore> {
        Arc::new(BucketObjects::new(self.clone(), bucket))
    }

    /// Lets callers seal objects with KMS keys and open them. To be called once, before the store is served.
    pub fn use_keys(&self, keys: Arc<dyn CallerKeys>) {
        // A second call changes nothing: objects must not be sealed by one and opened by another.
        let _ = self.inner.keys.set(keys);
    }

    /// Like [`Self::object_store`], using `keys`: objects are sealed with the key `wanted` as they are put, and opened
    /// as they are read.
    pub fn sealing_object_store(
        &self,
        bucket: &str,
        keys: Arc<dyn ObjectKeys>,
        wanted: WantedKey,
    ) -> Arc<dyn object_store::ObjectStore> {
        Arc::new(BucketObjects::new(self.clone(), bucket).sealing(keys, wanted))
    }

    /// Does `work` on a thread that may block.
    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(result) => result,
            Err(panic) => Err(io::Error::other(panic)).at(&self.inner.root),
        }
    }

    /// Makes `staged` the object `key`, durably, if `conditions` hold for what is there.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        mut staged: Staged,
        details: Details,
        conditions: &Conditions,
    ) -> Result<Description, StoreError> {
        check_key(key)?;
        let place = self.inner.place(bucket, key);
        let buckets = self.inner.buckets.read();
        if !buckets.contains_key(bucket) {
            return Err(no_such_bucket(bucket));
        }
        let _alone = self.inner.lock(bucket, key).lock();

        let current = sidecar::open(&place.data, &place.sidecar)?.map(|(_, description)| description);
        conditions.check_write(bucket, key, current.as_ref())?;

        // A time of modification that no other version of this object has, even within the same millisecond.
        let mut sidecar = read_or_new(&place.sidecar, key);
        let now_ms = u64::try_from(self.inner.clock.now().as_millis()).unwrap_or(0);
        let mut stamp = Stamp { size: staged.size, modified_ns: now_ms * 1_000_000 };
        while sidecar.describing(stamp).is_some() || current.as_ref().is_some_and(|current| current.stamp == stamp) {
            stamp.modified_ns += 1;
        }
        staged.unseen.set_modified(stamp.system_time()).at(&place.data)?;
        staged.unseen.sync().at(&place.data)?;
        CrashPoint::ObjectsStaged.reach();

        // The description comes first. A crash after this line leaves the old object, which stays described.
        let Details { etag, checksum, headers, upload, parts } = details;
        let seal = staged.seal.take().map(|key| Seal { key, plain_bytes: staged.plain });
        let description = Description { stamp, etag, checksum, headers, upload, parts, seal };
        let old = current.map(|current| sidecar.describing(current.stamp).cloned().unwrap_or(current));
        sidecar.versions = old.into_iter().chain([description.clone()]).collect();
        sidecar.write(&self.inner.scratch, &place.sidecar)?;
        CrashPoint::ObjectsDescribed.reach();

        // The rename is what readers see. A crash after it may take the name back until the directory is synced,
        // and then the old object is there, described.
        self.inner.scratch.create_dirs(&place.directory).at(&place.directory)?;
        if let Err(error) = staged.unseen.rename(&place.data) {
            // Another key's deletion removed the directory as empty between the two lines.
            if !is_absence(&error) {
                return Err(error).at(&place.data);
            }
            self.inner.scratch.create_dirs(&place.directory).at(&place.directory)?;
            staged.unseen.rename(&place.data).at(&place.data)?;
        }
        CrashPoint::ObjectsPlaced.reach();
        self.inner.listings.changed(&place.directory, &self.inner.root);
        self.inner.scratch.sync_dir(&place.directory).at(&place.directory)?;
        Ok(description)
    }

    /// The object's bytes, as they are now, and its description.
    pub(crate) fn open_object(&self, bucket: &str, key: &str) -> Result<(File, Description), StoreError> {
        check_key(key)?;
        let place = self.inner.place(bucket, key);
        match sidecar::open(&place.data, &place.sidecar)? {
            Some(found) => Ok(found),
            None => {
                self.require_bucket(bucket)?;
                Err(StoreError::NoSuchKey { bucket: bucket.to_owned(), key: key.to_owned() })
            }
        }
    }

    /// What reads the object's bytes: with `keys` also those that are sealed.
    pub(crate) async fn readable(
        &self,
        file: File,
        description: &Description,
        keys: Option<&Arc<dyn ObjectKeys>>,
    ) -> Result<Readable, StoreError> {
        let Some(seal) = description.seal.clone() else { return Ok(Readable::plain(file)) };
        let keys = keys.ok_or_else(|| {
            let reason = format!("the object is sealed with {}, and no keys are at hand here", seal.key.kms_key);
            StoreError::Key { code: "AccessDenied".to_owned(), reason }
        })?;
        let data_key = keys.open(&seal.key).await?;
        self.blocking(move |store| Readable::sealed(store, file, &seal, &data_key)).await
    }

    /// Removes the object, durably. `false` when there was none.
    pub(crate) fn delete(&self, bucket: &str, key: &str, conditions: &Conditions) -> Result<bool, StoreError> {
        check_key(key)?;
        let place = self.inner.place(bucket, key);
        let buckets = self.inner.buckets.read();
        if !buckets.contains_key(bucket) {
            return Err(no_such_bucket(bucket));
        }
        let _alone = self.inner.lock(bucket, key).lock();
        if !conditions.is_empty() {
            let current = sidecar::open(&place.data, &place.sidecar)?.map(|(_, description)| description);
            conditions.check_write(bucket, key, current.as_ref())?;
        }
        let existed = self.inner.scratch.remove_durably(&place.data).at(&place.data)?;
        if existed {
            CrashPoint::ObjectsDeleted.reach();
            // A crash here leaves a sidecar that describes nothing; the next write to this key replaces it.
            self.inner.scratch.remove(&place.sidecar).at(&place.sidecar)?;
            self.inner.scratch.prune(&place.directory, &self.inner.root.join(bucket));
        }
        self.inner.listings.changed(&place.directory, &self.inner.root);
        Ok(existed)
    }

    /// One page of a listing.
    pub(crate) fn list(&self, bucket: &str, query: &Query<'_>) -> Result<Page, StoreError> {
        self.require_bucket(bucket)?;
        let directory = self.inner.root.join(bucket);
        self.inner.listings.page(&directory, query).at(&directory)
    }

    /// The descriptions of `keys`, less those that are gone.
    pub(crate) fn describe(&self, bucket: &str, keys: Vec<String>) -> Result<Vec<(String, Description)>, StoreError> {
        let mut described = Vec::with_capacity(keys.len());
        for key in keys {
            let place = self.inner.place(bucket, &key);
            if let Some((_, description)) = sidecar::open(&place.data, &place.sidecar)? {
                described.push((key, description));
            }
        }
        Ok(described)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("root", &self.inner.root).finish_non_exhaustive()
    }
}

/// Where the files of one object are.
struct Place {
    directory: PathBuf,
    data: PathBuf,
    sidecar: PathBuf,
}

impl Inner {
    fn place(&self, bucket: &str, key: &str) -> Place {
        let data = self.root.join(bucket).join(path_of(key));
        let directory = data.parent().unwrap_or(&self.root).to_owned();
        Place { directory, data, sidecar: Sidecar::path(&self.sidecars(bucket), key) }
    }

    fn document(&self, bucket: &str) -> PathBuf {
        self.root.join(OWN_DIRECTORY).join("buckets").join(format!("{bucket}.json"))
    }

    fn sidecars(&self, bucket: &str) -> PathBuf {
        self.root.join(OWN_DIRECTORY).join("meta").join(bucket)
    }

    pub(crate) fn uploads(&self, bucket: &str) -> PathBuf {
        self.root.join(OWN_DIRECTORY).join("uploads").join(bucket)
    }

    fn write_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        let path = self.document(&bucket.name);
        let bytes = serde_json::to_vec_pretty(bucket).expect("a bucket has only strings for keys");
        self.scratch.replace(&path, &bytes).at(&path)
    }

    fn lock(&self, bucket: &str, key: &str) -> &Mutex<()> {
        &self.locks[slot(bucket, key)]
    }

    pub(crate) fn upload_lock(&self, bucket: &str, id: &str) -> &Mutex<()> {
        &self.upload_locks[slot(bucket, id)]
    }
}

fn slot(bucket: &str, name: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    (bucket, name).hash(&mut hasher);
    hasher.finish() as usize % LOCKS
}

/// A damaged sidecar is replaced: what it said is lost already.
fn read_or_new(path: &Path, key: &str) -> Sidecar {
    let found = Sidecar::read(path).ok().flatten();
    found.unwrap_or_else(|| Sidecar { key: key.to_owned(), versions: Vec::new() })
}

/// Refuses file systems on which two keys could share a file, or two versions of an object a stamp.
fn refuse_unfit(own: &Path) -> Result<(), StoreError> {
    let probe = own.join("tmp").join("CaseProbe");
    let file = File::create(&probe).at(&probe)?;
    let ignores_case = own.join("tmp").join("caseprobe").exists();
    let stamp = Stamp { size: 0, modified_ns: 1_700_000_000_000_000_001 };
    file.set_modified(stamp.system_time()).at(&probe)?;
    let found = Stamp::of(&fs::metadata(&probe).at(&probe)?);
    fs::remove_file(&probe).at(&probe)?;
    match () {
        () if ignores_case => Err(StoreError::IgnoresCase { path: own.to_owned() }),
        () if found != stamp => Err(StoreError::CoarseTimes { path: own.to_owned() }),
        () => Ok(()),
    }
}

pub(crate) fn check_key(key: &str) -> Result<(), StoreError> {
    if (1..=LONGEST_KEY).contains(&key.len()) { Ok(()) } else { Err(StoreError::KeyLength { length: key.len() }) }
}

pub(crate) fn no_such_bucket(bucket: &str) -> StoreError {
    StoreError::NoSuchBucket { bucket: bucket.to_owned() }
}

#[cfg(test)]
#[path = "crash_tests.rs"]
mod crash_tests;
