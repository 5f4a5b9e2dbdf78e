//! Versions of objects: which there are, and how they come and go.
//!
//! The bytes of the current version lie at the key's path, those of the others in a directory of the key's, named by
//! their time of modification. The sidecar describes all, the oldest first. What is at the path says how far that list
//! is true: it ends with the description that fits the file, or with the last delete marker when there is no file; what
//! comes after it was never put, or is deleted. So one rename or removal at the path is what makes each change, and a
//! crash leaves the versions from before it or those from after it. `README.md` tells the steps.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use opentrail_runtime::{CrashPoint, Random, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;
use crate::condition::Conditions;
use crate::durable::is_absence;
use crate::error::At;
use crate::listing::{Page, Query};
use crate::locks::{Bypass, Lock, Retention, invalid};
use crate::sidecar::{Description, NULL_VERSION, Sidecar, Stamp};
use crate::store::{Inner, Place, check_key, no_such_bucket};
use crate::{Store, StoreError};

/// Whether a bucket keeps versions. A bucket that never did has none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Versioning {
    /// Each put and delete makes a version.
    Enabled,
    /// Versions stay; puts and deletes replace the version `null`.
    Suspended,
}

/// The length of a version id. S3's are opaque texts; these are of letters and digits.
const VERSION_ID_LENGTH: usize = 32;

/// The versions of one key.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The oldest first; the current version, if there is one, last.
    pub(crate) entries: Vec<Description>,
    pub(crate) has_current: bool,
}

/// What to do about a sidecar that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damaged {
    /// Fail: it may hold versions and locks that a change would forget.
    Refuse,
    /// Go on without it.
    Forget,
}

impl History {
    /// The versions of the key at `place`, as they are at one moment.
    pub(crate) fn read(place: &Place, damaged: Damaged) -> Result<Self, StoreError> {
        let mut unknown = None;
        loop {
            let stamp = stamp_of(&place.data)?;
            let sidecar = match Sidecar::read(&place.sidecar) {
                Err(StoreError::Damaged { path, source }) if damaged == Damaged::Forget => {
                    tracing::warn!(path = %path.display(), error = %source, "sidecar cannot be read");
                    None
                }
                found => found?,
            };
            let entries = sidecar.map(|sidecar| sidecar.versions).unwrap_or_default();
            // Replaced between the two reads, unless a second look shows the same.
            let described = stamp.is_none_or(|stamp| entries.iter().any(|entry| fits(entry, stamp)));
            if stamp != stamp_of(&place.data)? || (!described && unknown != Some(stamp)) {
                unknown = Some(stamp);
                continue;
            }
            return Ok(Self::of(entries, stamp, |entry| place.kept(entry.stamp).is_file()));
        }
    }

    /// What is true of `entries` when the bytes at the key's path are those of `stamp`.
    fn of(mut entries: Vec<Description>, stamp: Option<Stamp>, is_kept: impl Fn(&Description) -> bool) -> Self {
        let current = match stamp {
            Some(stamp) => entries.iter().position(|entry| fits(entry, stamp)).unwrap_or_else(|| {
                let latest = entries.pop_if(|entry| !entry.marker);
                entries.push(Sidecar::by_hand(latest.as_ref(), stamp));
                entries.len() - 1
            }),
            None => match entries.iter().rposition(|entry| entry.marker) {
                Some(at) => at,
                // Never put, deleted, or removed by hand: older versions are still there then.
                None => {
                    entries.retain(is_kept);
                    return Self { entries, has_current: false };
                }
            },
        };
        entries.truncate(current + 1);
        // A put or delete with the version id null takes the place of the one before.
        let mut newest_null = true;
        let mut kept: Vec<Description> = entries.into_iter().rev().collect();
        kept.retain(|entry| entry.version.is_some() || std::mem::take(&mut newest_null));
        kept.reverse();
        Self { entries: kept, has_current: true }
    }

    /// The current version, if there is one; it may be a delete marker.
    pub(crate) fn current(&self) -> Option<&Description> {
        self.entries.last().filter(|_| self.has_current)
    }

    /// The current object.
    pub(crate) fn object(&self) -> Option<&Description> {
        self.current().filter(|current| !current.marker)
    }

    /// The place in the list of the object with the id `version`; of the current object, if there is one, without.
    fn find(&self, version: Option<&str>) -> Result<Option<usize>, StoreError> {
        let Some(version) = version else { return Ok(self.object().map(|_| self.entries.len() - 1)) };
        check_version_id(version)?;
        let at = self.entries.iter().position(|entry| entry.version_id() == version);
        match at.ok_or_else(|| StoreError::NoSuchVersion { version: version.to_owned() })? {
            at if self.entries[at].marker => Err(StoreError::IsMarker { version: version.to_owned() }),
            at => Ok(Some(at)),
        }
    }

    /// A time of modification that no version has.
    fn new_stamp(&self, size: u64, now_ms: i64) -> Stamp {
        let mut modified_ns = u64::try_from(now_ms).unwrap_or(0) * 1_000_000;
        while self.entries.iter().any(|entry| entry.stamp.modified_ns == modified_ns) {
            modified_ns += 1;
        }
        Stamp { size, modified_ns }
    }
}

fn fits(entry: &Description, stamp: Stamp) -> bool {
    !entry.marker && entry.stamp == stamp
}

fn stamp_of(path: &Path) -> Result<Option<Stamp>, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then(|| Stamp::of(&metadata))),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error).at(path),
    }
}

/// What a delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Whether it made a delete marker, or removed one.
    pub(crate) marker: bool,
    /// The version that it made or removed, where the bucket has versions.
    pub(crate) version: Option<String>,
}

/// What to list of a bucket's versions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VersionQuery<'a> {
    pub(crate) keys: Query<'a>,
    /// With it, the versions of the key `keys.after` that are older than it come first.
    pub(crate) after_version: Option<&'a str>,
}

/// Part of a listing of versions: the newest version of each key first.
#[derive(Debug, Default)]
pub(crate) struct VersionPage {
    /// Key, version, and whether it is the current one.
    pub(crate) versions: Vec<(String, Description, bool)>,
    pub(crate) common_prefixes: Vec<String>,
    /// The last key and version, or the last common prefix, when there is more.
    pub(crate) next: Option<(String, Option<String>)>,
    last: Option<(String, Option<String>)>,
}

impl VersionPage {
    fn len(&self) -> usize {
        self.versions.len() + self.common_prefixes.len()
    }

    /// Adds versions of `key`; `false` when there is no room for all.
    fn add(&mut self, key: &str, entries: impl Iterator<Item = (Description, bool)>, limit: usize) -> bool {
        for (entry, current) in entries {
            if self.len() == limit {
                return false;
            }
            self.last = Some((key.to_owned(), Some(entry.version_id().to_owned())));
            self.versions.push((key.to_owned(), entry, current));
        }
        true
    }

    /// Adds a common prefix; `false` when there is no room.
    fn add_prefix(&mut self, prefix: String, limit: usize) -> bool {
        if self.len() == limit {
            return false;
        }
        self.last = Some((prefix.clone(), None));
        self.common_prefixes.push(prefix);
        true
    }

    /// The page when there is more.
    fn cut(mut self) -> Self {
        self.next = self.last.take();
        self
    }
}

impl Store {
    /// Sets whether the bucket keeps versions.
    ///
    /// # Errors
    /// When there is no such bucket, versions are to be suspended in one with Object Lock, or the disk fails.
    pub fn put_versioning(&self, bucket: &str, versioning: Versioning) -> Result<(), StoreError> {
        self.change_bucket(bucket, |found| {
            if found.object_lock.is_some() && versioning != Versioning::Enabled {
                let reason = "An Object Lock configuration is present on this bucket, so the versioning state cannot be \
                              changed.";
                return Err(StoreError::BucketState { reason });
            }
            found.versioning = Some(versioning);
            Ok(())
        })
    }

    /// The versions of a key.
    pub(crate) fn history(&self, bucket: &str, key: &str) -> Result<History, StoreError> {
        check_key(key)?;
        self.require_bucket(bucket)?;
        History::read(&self.inner.place(bucket, key), Damaged::Refuse)
    }

    /// One version, as it is described.
    pub(crate) fn version(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Description, StoreError> {
        let history = self.history(bucket, key)?;
        let no_key = || StoreError::NoSuchKey { bucket: bucket.to_owned(), key: key.to_owned() };
        Ok(history.entries[history.find(version)?.ok_or_else(no_key)?].clone())
    }

    /// The bytes of one version and its description.
    pub(crate) fn open_version(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
    ) -> Result<(File, Description), StoreError> {
        let place = self.inner.place(bucket, key);
        // A version that was current when it was looked up may have got its other name meanwhile, or the other way.
        for _ in 0..16 {
            let description = self.version(bucket, key, Some(version))?;
            for path in [place.data.clone(), place.kept(description.stamp)] {
                match File::open(&path) {
                    Ok(file) => {
                        let metadata = file.metadata().at(&path)?;
                        // Kept bytes are known by their name; copied back from a backup, they have another time.
                        let same = match path == place.data {
                            true => Stamp::of(&metadata) == description.stamp,
                            false => metadata.len() == description.stamp.size,
                        };
                        if metadata.is_file() && same {
                            return Ok((file, description));
                        }
                    }
                    Err(error) if is_absence(&error) => {}
                    Err(error) => return Err(error).at(&path),
                }
            }
        }
        Err(StoreError::Altered { reason: format!("the bytes of version {version} of {key} are not there") })
    }

    /// Changes the lock of a version, durably.
    pub(crate) fn change_lock(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        change: impl FnOnce(&mut Lock) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        check_key(key)?;
        let place = self.inner.place(bucket, key);
        let buckets = self.inner.buckets.read();
        if !buckets.contains_key(bucket) {
            return Err(no_such_bucket(bucket));
        }
        let _alone = self.inner.lock(bucket, key).lock();
        let mut history = History::read(&place, Damaged::Refuse)?;
        let no_key = || StoreError::NoSuchKey { bucket: bucket.to_owned(), key: key.to_owned() };
        let at = history.find(version)?.ok_or_else(no_key)?;
        change(&mut history.entries[at].lock)?;
        self.inner.describe(&place, key, history.entries)
    }

    /// A retention as asked for, which must end in the future.
    pub(crate) fn check_future(&self, retention: Option<Retention>) -> Result<(), StoreError> {
        let Some(retention) = retention else { return Ok(()) };
        if retention.until > self.inner.lock_time.reckon(self.inner.clock.now(), &self.inner.scratch)? {
            return Ok(());
        }
        Err(invalid("The retain until date must be in the future!"))
    }

    /// The lock of a version that is put into `bucket` and asks for `asked`.
    pub(crate) fn new_lock(&self, bucket: &Bucket, asked: Lock) -> Result<Lock, StoreError> {
        let default = bucket.object_lock.as_ref().and_then(|lock| lock.default);
        match default.filter(|_| asked.retention.is_none()) {
            None => Ok(asked),
            Some(default) => {
                let now = self.inner.lock_time.reckon(self.inner.clock.now(), &self.inner.scratch)?;
                Ok(Lock { retention: Some(default.from(now)), ..asked })
            }
        }
    }

    /// What a put needs to know of the versions that are there, and the version id of the new one.
    pub(crate) fn before_put(&self, place: &Place, bucket: &Bucket) -> Result<(History, Option<String>), StoreError> {
        let damaged = if bucket.versioning.is_some() { Damaged::Refuse } else { Damaged::Forget };
        let history = History::read(place, damaged)?;
        let version = (bucket.versioning == Some(Versioning::Enabled)).then(new_version_id);
        // Only a bucket without Object Lock comes here without a new version id.
        let replaced = history.entries.iter().filter(|entry| entry.version == version);
        let now = self.inner.clock.now();
        replaced.map(|entry| &entry.lock).try_for_each(|lock| lock.check_removal(now, Bypass::No))?;
        Ok((history, version))
    }

    /// The stamp of a version of `size` bytes that is made now.
    pub(crate) fn stamp_after(&self, history: &History, size: u64) -> Stamp {
        history.new_stamp(size, self.inner.clock.now().as_millis())
    }

    /// Puts a delete marker, durably. Holds the key's lock already.
    pub(crate) fn put_marker(
        &self,
        place: &Place,
        key: &str,
        bucket: &Bucket,
        conditions: &Conditions,
    ) -> Result<Deleted, StoreError> {
        let (history, version) = self.before_put(place, bucket)?;
        conditions.check_write(&bucket.name, key, history.object())?;
        let marker = Description::marker(self.stamp_after(&history, 0), version.clone());
        let current = history.object().cloned();
        let outdated = self.inner.outdated(place, &history, &version)?;
        // What hides is found by listings of versions in another directory. Too many names there do no harm.
        self.inner.hide(place)?;
        let entries = history.entries.into_iter().chain([marker]).collect();
        self.inner.describe(place, key, entries)?;
        if current.is_some() {
            CrashPoint::ObjectsMarked.reach();
            // From here on the key has no object.
            self.inner.scratch.remove_durably(&place.data).at(&place.data)?;
            self.inner.scratch.prune(&place.directory, &self.inner.root.join(&bucket.name));
            self.inner.listings.changed(&place.directory, &self.inner.root);
        }
        self.inner.remove_kept(place, &outdated);
        Ok(Deleted { marker: true, version: Some(version.unwrap_or_else(|| NULL_VERSION.to_owned())) })
    }

    /// Deletes a version for good, durably. One that is not there is deleted already.
    pub(crate) fn delete_version(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
        bypass: Bypass,
    ) -> Result<Deleted, StoreError> {
        check_key(key)?;
        check_version_id(version)?;
        let place = self.inner.place(bucket, key);
        let buckets = self.inner.buckets.read();
        if !buckets.contains_key(bucket) {
            return Err(no_such_bucket(bucket));
        }
        let _alone = self.inner.lock(bucket, key).lock();
        let mut history = History::read(&place, Damaged::Refuse)?;
        let deleted = Deleted { marker: false, version: Some(version.to_owned()) };
        let Some(at) = history.entries.iter().position(|entry| entry.version_id() == version) else {
            return Ok(deleted);
        };
        history.entries[at].lock.check_removal(self.inner.clock.now(), bypass)?;
        let was_current = history.has_current && at + 1 == history.entries.len();
        let removed = history.entries.remove(at);
        if was_current {
            self.inner.bring_back(&place, bucket, &removed, history.entries.last())?;
        }
        if history.entries.is_empty() {
            self.inner.scratch.remove_durably(&place.sidecar).at(&place.sidecar)?;
        } else {
            self.inner.describe(&place, key, history.entries)?;
        }
        CrashPoint::ObjectsVersionDeleted.reach();
        self.inner.remove_kept(&place, &[removed.stamp]);
        // After a crash before this, bytes lie there that no description names: `fsck` tells of them.
        self.inner.scratch.prune(&place.versions, &self.inner.versions(bucket));
        Ok(Deleted { marker: removed.marker, ..deleted })
    }

    /// One page of a listing of versions.
    pub(crate) fn list_versions(&self, bucket: &str, query: &VersionQuery<'_>) -> Result<VersionPage, StoreError> {
        self.require_bucket(bucket)?;
        let limit = query.keys.limit;
        let mut page = VersionPage::default();
        if limit == 0 {
            return Ok(page);
        }
        let newest_first = |history: History| {
            let has_current = history.has_current;
            let entries = history.entries.into_iter().rev().enumerate();
            entries.map(move |(index, entry)| (entry, has_current && index == 0))
        };
        // A damaged sidecar must not keep all others from being listed.
        let read = |key: &str| History::read(&self.inner.place(bucket, key), Damaged::Forget).map(newest_first);
        if let Some(version) = query.after_version.filter(|_| query.keys.after.starts_with(query.keys.prefix)) {
            let key = query.keys.after;
            let older = read(key)?.skip_while(|(entry, _)| entry.version_id() != version).skip(1);
            if !page.add(key, older, limit) {
                return Ok(page.cut());
            }
        }
        let mut after = query.keys.after.to_owned();
        loop {
            let keys = self.keys_with_versions(bucket, &Query { after: &after, ..query.keys })?;
            let next = keys.next.clone();
            for (name, is_prefix) in keys.in_order() {
                let fits = if is_prefix { page.add_prefix(name, limit) } else { page.add(&name, read(&name)?, limit) };
                if !fits {
                    return Ok(page.cut());
                }
            }
            match next {
                Some(next) => after = next,
                None => return Ok(page),
            }
        }
    }

    /// One page of the keys that have a version, whether or not it is hidden by a delete marker.
    fn keys_with_versions(&self, bucket: &str, query: &Query<'_>) -> Result<Page, StoreError> {
        let (shown, hidden) = (self.inner.root.join(bucket), self.inner.hidden(bucket));
        let shown = self.inner.listings.page(&shown, query).at(&shown)?;
        let hidden = self.inner.listings.page(&hidden, query).at(&hidden)?;
        Ok(shown.merged(hidden, query.limit))
    }
}

impl Inner {
    /// The bytes of versions that are not current.
    pub(crate) fn versions(&self, bucket: &str) -> PathBuf {
        self.own("versions", bucket)
    }

    /// Names, spelled as the keys' paths, of keys whose current version is a delete marker.
    pub(crate) fn hidden(&self, bucket: &str) -> PathBuf {
        self.own("hidden", bucket)
    }

    /// Writes the sidecar of a key, durably.
    pub(crate) fn describe(&self, place: &Place, key: &str, versions: Vec<Description>) -> Result<(), StoreError> {
        Sidecar { key: key.to_owned(), versions }.write(&self.scratch, &place.sidecar)
    }

    /// Gives the bytes of the current object their other name, durably, if it is to stay as an older version beside one
    /// with the id `new`. Those of versions that `new` replaces are returned.
    pub(crate) fn outdated(
        &self,
        place: &Place,
        history: &History,
        new: &Option<String>,
    ) -> Result<Vec<Stamp>, StoreError> {
        if let Some(current) = history.object().filter(|current| current.version != *new) {
            self.keep(place, current.stamp)?;
            CrashPoint::ObjectsKept.reach();
        }
        let replaced = history.entries.iter().filter(|entry| entry.version == *new && !entry.marker);
        Ok(replaced.map(|entry| entry.stamp).collect())
    }

    fn keep(&self, place: &Place, stamp: Stamp) -> Result<(), StoreError> {
        let kept = place.kept(stamp);
        self.scratch.create_dirs(&place.versions).at(&place.versions)?;
        self.scratch.link(&place.data, &kept).at(&kept)
    }

    /// Removes bytes of versions that no description names any more. What cannot be removed stays.
    pub(crate) fn remove_kept(&self, place: &Place, stamps: &[Stamp]) {
        for stamp in stamps {
            if let Err(error) = self.scratch.remove(&place.kept(*stamp)) {
                tracing::warn!(path = %place.kept(*stamp).display(), error = %error, "bytes of a deleted version stay");
            }
        }
    }

    /// Notes durably that the key has versions and no current object.
    fn hide(&self, place: &Place) -> Result<(), StoreError> {
        let Some(directory) = place.hidden.parent().filter(|_| !place.hidden.exists()) else { return Ok(()) };
        self.scratch.create_dirs(directory).at(directory)?;
        self.scratch.replace(&place.hidden, b"").at(&place.hidden)?;
        self.listings.changed(directory, &self.root);
        Ok(())
    }

    /// The key has a current object again, or no version at all. A name that stays hides nothing.
    pub(crate) fn unhide(&self, place: &Place, bucket: &str) {
        if !place.hidden.exists() {
            return;
        }
        if let Err(error) = self.scratch.remove(&place.hidden) {
            tracing::warn!(path = %place.hidden.display(), error = %error, "name of a key that has an object stays");
        }
        if let Some(directory) = place.hidden.parent() {
            self.scratch.prune(directory, &self.hidden(bucket));
            self.listings.changed(directory, &self.root);
        }
    }

    /// Makes `next` what the key's path shows, in place of the current version `removed`. This is what deletes it.
    fn bring_back(
        &self,
        place: &Place,
        bucket: &str,
        removed: &Description,
        next: Option<&Description>,
    ) -> Result<(), StoreError> {
        if !removed.marker {
            // Else a crash could leave it as an older version.
            self.scratch.remove_durably(&place.kept(removed.stamp)).at(&place.versions)?;
        }
        match next {
            Some(object) if !object.marker => {
                let kept = place.kept(object.stamp);
                self.scratch.create_dirs(&place.directory).at(&place.directory)?;
                self.scratch.link_over(&kept, &place.data).at(&kept)?;
                self.unhide(place, bucket);
            }
            next => {
                if next.is_some() {
                    self.hide(place)?;
                }
                if !removed.marker {
                    self.scratch.remove_durably(&place.data).at(&place.data)?;
                    self.scratch.prune(&place.directory, &self.root.join(bucket));
                }
                if next.is_none() {
                    self.unhide(place, bucket);
                }
            }
        }
        CrashPoint::ObjectsBroughtBack.reach();
        self.listings.changed(&place.directory, &self.root);
        Ok(())
    }
}

fn new_version_id() -> String {
    SystemRandom.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", VERSION_ID_LENGTH)
}

/// Refuses what cannot be a version's id.
pub(crate) fn check_version_id(version: &str) -> Result<(), StoreError> {
    let ours = version.len() == VERSION_ID_LENGTH && version.bytes().all(|b| b.is_ascii_alphanumeric());
    if ours || version == NULL_VERSION { Ok(()) } else { Err(invalid("Invalid version id specified")) }
}
