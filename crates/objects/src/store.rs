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
use crate::locks::{DefaultRetention, Lock, LockTime, ObjectLock};
use crate::mount::Mount;
use crate::multipart::{paths_in, sweep_uploads};
use crate::sealing::{CallerKeys, ObjectKeys, Readable, Seal, SealedKey, WantedKey};
use crate::sidecar::{self, Description, Headers, Sidecar, Stamp};
use crate::staging::Staged;
use crate::versions::{Damaged, Deleted, History, Versioning};

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
    /// Never of a name that is in `buckets`.
    mounts: RwLock<BTreeMap<String, Mount>>,
    locks: Vec<Mutex<()>>,
    /// Apart from `locks`: who completes an upload holds one of each.
    upload_locks: Vec<Mutex<()>>,
    pub(crate) listings: Listings,
    pub(crate) lock_time: LockTime,
}

/// What a write knows of the object beside its bytes.
pub(crate) struct Details {
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) headers: Headers,
    pub(crate) upload: Option<String>,
    pub(crate) parts: Vec<u64>,
    /// What it asks to be kept by; the bucket's default is added.
    pub(crate) lock: Lock,
    pub(crate) repeat: Repeat,
}

impl Details {
    /// Those of a whole body: the MD5 of the bytes on disk is its ETag, the last checksum its checksum.
    pub(crate) fn of(staged: &Staged, headers: Headers) -> Self {
        let (etag, checksum) = (hex::encode(staged.stored_md5), staged.checksums.last().cloned());
        let (upload, parts, lock, repeat) = (None, Vec::new(), Lock::default(), Repeat::NewVersion);
        Self { etag, checksum, headers, upload, parts, lock, repeat }
    }

    /// Whether `current`, which is in `bucket`, is what would be put, and kept as long.
    fn repeats(&self, current: &Description, staged: &Staged, bucket: &Bucket) -> bool {
        let keeps = bucket.object_lock.as_ref().is_none_or(|lock| lock.default.is_none());
        let seal = |seal: Option<&SealedKey>| seal.map(|seal| seal.kms_key.clone());
        self.repeat == Repeat::Nothing
            && current.version.is_some()
            && self.checksum.is_some()
            && self.checksum == current.checksum
            && staged.plain == current.size()
            && self.headers == current.headers
            && seal(staged.seal.as_ref()) == seal(current.seal.as_ref().map(|seal| &seal.key))
            // Sealed anew, the same bytes are others on disk.
            && (staged.seal.is_some() || self.etag == current.etag)
            && (keeps || current.lock.retention.is_some())
    }
}

/// What a put does where versions are kept and the current one is just what is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Another version, as S3 does.
    NewVersion,
    /// Nothing: delivery repeats what a crash may have kept from being noted.
    Nothing,
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
        let lock_time = LockTime::open(own.join("lock-time.json"))?;
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
            mounts: RwLock::default(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            upload_locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            listings: Listings::default(),
            lock_time,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The bucket of that name.
    ///
    /// # Errors
    /// None today; a store that asks the disk may fail.
    pub fn bucket(&self, name: &str) -> Result<Option<Bucket>, StoreError> {
        let found = self.inner.buckets.read().get(name).cloned();
        Ok(found.or_else(|| self.mounted(name).map(|mount| mount.as_bucket(name))))
    }

    /// Shows a directory as a bucket that can be read and not changed, in the place of an earlier one.
    ///
    /// # Errors
    /// When the store has a bucket of that name.
    pub fn mount(&self, name: &str, mount: Mount) -> Result<(), StoreError> {
        let buckets = self.inner.buckets.read();
        if let Some(found) = buckets.get(name) {
            return Err(StoreError::BucketExists { bucket: name.to_owned(), by_caller: found.owner == mount.owner });
        }
        self.inner.mounts.write().insert(name.to_owned(), mount);
        Ok(())
    }

    /// Shows the directory no more.
    pub fn unmount(&self, name: &str) {
        self.inner.mounts.write().remove(name);
    }

    pub(crate) fn mounted(&self, name: &str) -> Option<Mount> {
        self.inner.mounts.read().get(name).cloned()
    }

    /// All buckets, by name.
    pub fn buckets(&self) -> Vec<Bucket> {
        self.inner.buckets.read().values().cloned().collect()
    }

    pub(crate) fn require_bucket(&self, name: &str) -> Result<Bucket, StoreError> {
        self.bucket(name)?.ok_or_else(|| no_such_bucket(name))
    }

    /// Creates a bucket.
    ///
    /// Blocks while the disk syncs.
    ///
    /// # Errors
    /// When the name is bad or taken, or the disk fails.
    pub fn create_bucket(&self, name: &str, owner: AccountId, region: Region) -> Result<Bucket, StoreError> {
        self.create(name, owner, region, None)
    }

    /// Creates a bucket with Object Lock, and so with versions.
    ///
    /// # Errors
    /// As [`Self::create_bucket`].
    pub fn create_locking_bucket(&self, name: &str, owner: AccountId, region: Region) -> Result<Bucket, StoreError> {
        self.create(name, owner, region, Some(ObjectLock::default()))
    }

    fn create(
        &self,
        name: &str,
        owner: AccountId,
        region: Region,
        object_lock: Option<ObjectLock>,
    ) -> Result<Bucket, StoreError> {
        bucket::check_name(name)?;
        let mut buckets = self.inner.buckets.write();
        if let Some(found) = buckets.get(name) {
            return Err(StoreError::BucketExists { bucket: name.to_owned(), by_caller: found.owner == owner });
        }
        if let Some(mount) = self.mounted(name) {
            return Err(StoreError::BucketExists { bucket: name.to_owned(), by_caller: mount.owner == owner });
        }
        let created = self.inner.clock.now().floor_secs();
        let versioning = object_lock.is_some().then_some(Versioning::Enabled);
        let default_key = None;
        let bucket = Bucket {
            name: name.to_owned(),
            owner,
            region,
            policy: None,
            created,
            versioning,
            object_lock,
            default_key,
        };
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
        let found = buckets.get(name).ok_or_else(|| no_such_bucket(name))?;
        let directory = self.inner.root.join(name);
        let uploads = self.inner.uploads(name);
        let unfinished = paths_in(&uploads)?.iter().any(|upload| upload.join("upload.json").exists());
        let has_versions = found.versioning.is_some() && self.has_versions(name)?;
        if unfinished || has_versions || listing::has_any(&directory).at(&directory)? {
            return Err(StoreError::BucketNotEmpty { bucket: name.to_owned() });
        }
        // From here on the bucket is gone, also if a crash leaves its empty directories.
        self.inner.scratch.remove_durably(&self.inner.document(name)).at(&directory)?;
        buckets.remove(name);
        let (versions, hidden) = (self.inner.versions(name), self.inner.hidden(name));
        for leftover in [directory, self.inner.sidecars(name), uploads, versions, hidden] {
            if let Err(error) = self.inner.scratch.remove_tree(&leftover) {
                tracing::warn!(path = %leftover.display(), error = %error, "leftover of a deleted bucket stays");
            }
        }
        Ok(())
    }

    /// Whether any key has a version, be it a delete marker. Reads every sidecar.
    fn has_versions(&self, bucket: &str) -> Result<bool, StoreError> {
        for shard in paths_in(&self.inner.sidecars(bucket))? {
            for path in paths_in(&shard)? {
                let Some(sidecar) = Sidecar::read(&path)? else { continue };
                let history = History::read(&self.inner.place(bucket, &sidecar.key), Damaged::Refuse)?;
                if !history.entries.is_empty() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Sets the retention that what is put into the bucket gets by default, and Object Lock with it.
    pub(crate) fn put_object_lock(&self, bucket: &str, default: Option<DefaultRetention>) -> Result<(), StoreError> {
        default.map_or(Ok(()), |default| default.period.check())?;
        self.change_bucket(bucket, |found| {
            if found.versioning != Some(Versioning::Enabled) {
                let reason = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
                return Err(StoreError::BucketState { reason });
            }
            found.object_lock = Some(ObjectLock { default });
            Ok(())
        })
    }

    /// Changes a bucket's document, durably.
    pub(crate) fn change_bucket(
        &self,
        bucket: &str,
        change: impl FnOnce(&mut Bucket) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut buckets = self.inner.buckets.write();
        let found = buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?;
        let mut changed = found.clone();
        change(&mut changed)?;
        self.inner.write_bucket(&changed)?;
        *found = changed;
        Ok(())
    }

    /// Puts the bucket's policy, or removes it.
    ///
    /// # Errors
    /// When there is no such bucket, the text is no JSON object with statements, or the disk fails.
    pub fn put_policy(&self, bucket: &str, policy: Option<&str>) -> Result<(), StoreError> {
        policy.map_or(Ok(()), bucket::check_policy)?;
        self.change_bucket(bucket, |found| {
            found.policy = policy.map(str::to_owned);
            Ok(())
        })
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
        let found = buckets.get(bucket).ok_or_else(|| no_such_bucket(bucket))?;
        let _alone = self.inner.lock(bucket, key).lock();

        let (history, version) = self.before_put(&place, found)?;
        conditions.check_write(bucket, key, history.object())?;
        if let Some(current) = history.object().filter(|current| details.repeats(current, &staged, found)) {
            return Ok(current.clone());
        }
        let lock = self.new_lock(found, details.lock)?;

        // A time of modification that no other version of this object has, even within the same millisecond.
        let stamp = self.stamp_after(&history, staged.size);
        staged.unseen.set_modified(stamp.system_time()).at(&place.data)?;
        staged.unseen.sync().at(&place.data)?;
        CrashPoint::ObjectsStaged.reach();

        // An object that stays as an older version gets a name of its own; until the rename it has both.
        let replaced = self.inner.outdated(&place, &history, &version)?;

        // The description comes first. A crash after this line leaves the old object, which stays described.
        let Details { etag, checksum, headers, upload, parts, .. } = details;
        let stored_md5 = (!parts.is_empty()).then(|| hex::encode(staged.stored_md5));
        let seal = staged.seal.take().map(|key| Seal { key, plain_bytes: staged.plain, stored_md5, bound: None });
        let marker = false;
        let description = Description { stamp, etag, checksum, headers, upload, parts, seal, version, marker, lock };
        let versions = history.entries.into_iter().chain([description.clone()]).collect();
        self.inner.describe(&place, key, versions)?;
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
        if found.versioning.is_some() {
            self.inner.unhide(&place, bucket);
            self.inner.remove_kept(&place, &replaced);
        }
        Ok(description)
    }

    /// The object's bytes, as they are now, and its description.
    pub(crate) fn open_object(&self, bucket: &str, key: &str) -> Result<(File, Description), StoreError> {
        check_key(key)?;
        let place = self.inner.place(bucket, key);
        match sidecar::open(&place.data, &place.sidecar)? {
            Some((file, mut description)) => {
                if let Some(mount) = self.mounted(bucket) {
                    mount.describe(key, &file, &mut description)?;
                }
                Ok((file, description))
            }
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

    /// Removes the object, durably; where versions are kept, it is hidden by a delete marker.
    pub(crate) fn delete(&self, bucket: &str, key: &str, conditions: &Conditions) -> Result<Deleted, StoreError> {
        check_key(key)?;
        let place = self.inner.place(bucket, key);
        let buckets = self.inner.buckets.read();
        let found = buckets.get(bucket).ok_or_else(|| no_such_bucket(bucket))?;
        let _alone = self.inner.lock(bucket, key).lock();
        if found.versioning.is_some() {
            return self.put_marker(&place, key, found, conditions);
        }
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
        Ok(Deleted::default())
    }

    /// One page of a listing.
    pub(crate) fn list(&self, bucket: &str, query: &Query<'_>) -> Result<Page, StoreError> {
        self.require_bucket(bucket)?;
        if let Some(Mount { directory, .. }) = self.mounted(bucket) {
            // Its changes are not told to us.
            return Listings::default().page(&directory, query).at(&directory);
        }
        let directory = self.inner.root.join(bucket);
        self.inner.listings.page(&directory, query).at(&directory)
    }

    /// The descriptions of `keys`, less those that are gone.
    pub(crate) fn describe(&self, bucket: &str, keys: Vec<String>) -> Result<Vec<(String, Description)>, StoreError> {
        let mut described = Vec::with_capacity(keys.len());
        let mount = self.mounted(bucket);
        for key in keys {
            let place = self.inner.place(bucket, &key);
            if let Some((file, mut description)) = sidecar::open(&place.data, &place.sidecar)? {
                if let Some(mount) = &mount {
                    mount.describe(&key, &file, &mut description)?;
                }
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
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) sidecar: PathBuf,
    /// The directory of versions that are not current.
    pub(crate) versions: PathBuf,
    /// Is there while the current version is a delete marker.
    pub(crate) hidden: PathBuf,
}

impl Place {
    /// Where the bytes of a version are that is not current.
    pub(crate) fn kept(&self, stamp: Stamp) -> PathBuf {
        self.versions.join(stamp.modified_ns.to_string())
    }
}

impl Inner {
    pub(crate) fn place(&self, bucket: &str, key: &str) -> Place {
        let path = path_of(key);
        let mounted = self.mounts.read().get(bucket).map(|mount| mount.directory.clone());
        let data = mounted.unwrap_or_else(|| self.root.join(bucket)).join(&path);
        let directory = data.parent().unwrap_or(&self.root).to_owned();
        let versions = Sidecar::path(&self.versions(bucket), key).with_extension("");
        let hidden = self.hidden(bucket).join(path);
        Place { directory, data, sidecar: Sidecar::path(&self.sidecars(bucket), key), versions, hidden }
    }

    /// What the store keeps of a bucket beside the objects.
    pub(crate) fn own(&self, kind: &str, bucket: &str) -> PathBuf {
        self.root.join(OWN_DIRECTORY).join(kind).join(bucket)
    }

    fn document(&self, bucket: &str) -> PathBuf {
        self.root.join(OWN_DIRECTORY).join("buckets").join(format!("{bucket}.json"))
    }

    fn sidecars(&self, bucket: &str) -> PathBuf {
        self.own("meta", bucket)
    }

    pub(crate) fn uploads(&self, bucket: &str) -> PathBuf {
        self.own("uploads", bucket)
    }

    fn write_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        let path = self.document(&bucket.name);
        let bytes = serde_json::to_vec_pretty(bucket).expect("a bucket has only strings for keys");
        self.scratch.replace(&path, &bytes).at(&path)
    }

    pub(crate) fn lock(&self, bucket: &str, key: &str) -> &Mutex<()> {
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

#[cfg(test)]
#[path = "versions_tests.rs"]
mod versions_tests;
