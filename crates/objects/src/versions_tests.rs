//! Versions: what each change makes of them, also when it is broken off at any of its steps.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::ManualClock;

use super::crash_tests::{BUCKET, End, KEY, NEW, OLD, at_every_step, open, put};
use super::*;
use crate::condition::Conditions;
use crate::listing::Query;
use crate::locks::{Bypass, DefaultRetention, Mode, Period};
use crate::versions::VersionQuery;

const THIRD: &[u8] = b"and a third";

fn bucket(store: &Store) -> Result<(), StoreError> {
    store.create_bucket(BUCKET, AccountId::from_u64(1).unwrap(), Region::us_east_1())?;
    store.put_versioning(BUCKET, Versioning::Enabled)
}

/// The versions of all keys, the newest first, each read by its id: its bytes, or `None` of a delete marker.
fn versions(store: &Store) -> Vec<(String, Option<Vec<u8>>)> {
    let query = VersionQuery { keys: Query { limit: 100, ..Query::default() }, after_version: None };
    let page = store.list_versions(BUCKET, &query).unwrap();
    let current = store.open_object(BUCKET, KEY).ok().map(|(_, description)| description);
    let shown = store.list(BUCKET, &Query { limit: 100, ..Query::default() }).unwrap().keys;
    assert_eq!(shown.len(), usize::from(current.is_some()));
    if let Some((_, first, latest)) = page.versions.first() {
        assert!(latest, "the newest is current");
        assert_eq!(Some(first).filter(|first| !first.marker), current.as_ref());
    } else {
        assert_eq!(current, None);
    }
    assert_eq!(page.versions.iter().filter(|(_, _, latest)| *latest).count(), usize::from(!page.versions.is_empty()));
    let read = |(key, entry, _): (String, Description, bool)| {
        assert_eq!(key, KEY);
        let id = entry.version_id().to_owned();
        if entry.marker {
            let refused = store.open_version(BUCKET, KEY, &id).unwrap_err();
            assert!(matches!(refused, StoreError::IsMarker { .. }), "{refused}");
            return (id, None);
        }
        let (mut file, found) = store.open_version(BUCKET, KEY, &id).unwrap();
        assert_eq!(found, entry);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(found.headers.user.get("size"), Some(&bytes.len().to_string()));
        (id, Some(bytes))
    };
    page.versions.into_iter().map(read).collect()
}

fn bytes(store: &Store) -> Vec<Option<Vec<u8>>> {
    versions(store).into_iter().map(|(_, bytes)| bytes).collect()
}

fn list(of: &[Option<&[u8]>]) -> Vec<Option<Vec<u8>>> {
    of.iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect()
}

fn delete(store: &Store) -> Result<(), StoreError> {
    store.delete(BUCKET, KEY, &Conditions::default()).map(|_| ())
}

/// Deletes the version with `index` in the order of listings for good.
fn delete_version(store: &Store, index: usize) -> Result<(), StoreError> {
    let history = store.history(BUCKET, KEY)?;
    let id = history.entries.iter().rev().nth(index).unwrap().version_id().to_owned();
    store.delete_version(BUCKET, KEY, &id, Bypass::No).map(|_| ())
}

/// Every change leaves what was before it or what comes after it, and then everything can be deleted.
fn leaves(
    prepare: impl Fn(&Store) -> Result<(), StoreError>,
    work: impl Fn(&Store) -> Result<(), StoreError>,
    before: &[Option<&[u8]>],
    after: &[Option<&[u8]>],
) {
    let check = |store: &Store, end| {
        let found = bytes(store);
        assert!(found == list(after) || (found == list(before) && end == End::Failed), "{found:?} after {end:?}");
        // The next change finds nothing in its way.
        put(store, KEY, THIRD).unwrap();
        assert_eq!(bytes(store)[0].as_deref(), Some(THIRD));
        assert!(matches!(store.delete_bucket(BUCKET), Err(StoreError::BucketNotEmpty { .. })));
        while !versions(store).is_empty() {
            delete_version(store, 0).unwrap();
        }
        store.delete_bucket(BUCKET).unwrap();
        for kind in ["versions", "hidden", "meta"] {
            assert!(!store.inner.own(kind, BUCKET).exists(), "{kind}");
        }
    };
    at_every_step(|store| bucket(store).and_then(|()| prepare(store)), work, check);
}

#[test]
fn a_put_leaves_the_versions_from_before_or_one_more() {
    leaves(|_| Ok(()), |store| put(store, KEY, NEW), &[], &[Some(NEW)]);
    leaves(|store| put(store, KEY, OLD), |store| put(store, KEY, NEW), &[Some(OLD)], &[Some(NEW), Some(OLD)]);
    leaves(
        |store| put(store, KEY, OLD).and_then(|()| delete(store)),
        |store| put(store, KEY, NEW),
        &[None, Some(OLD)],
        &[Some(NEW), None, Some(OLD)],
    );
}

#[test]
fn a_delete_leaves_the_object_or_a_marker_before_it() {
    leaves(|store| put(store, KEY, OLD), delete, &[Some(OLD)], &[None, Some(OLD)]);
    leaves(|_| Ok(()), delete, &[], &[None]);
    leaves(delete, delete, &[None], &[None, None]);
}

#[test]
fn deleting_a_version_leaves_all_or_the_others() {
    let two = |store: &Store| put(store, KEY, OLD).and_then(|()| put(store, KEY, NEW));
    leaves(two, |store| delete_version(store, 0), &[Some(NEW), Some(OLD)], &[Some(OLD)]);
    leaves(two, |store| delete_version(store, 1), &[Some(NEW), Some(OLD)], &[Some(NEW)]);
    let marked = |store: &Store| put(store, KEY, OLD).and_then(|()| delete(store));
    leaves(marked, |store| delete_version(store, 0), &[None, Some(OLD)], &[Some(OLD)]);
    leaves(marked, |store| delete_version(store, 1), &[None, Some(OLD)], &[None]);
    let over = |store: &Store| delete(store).and_then(|()| put(store, KEY, NEW));
    leaves(over, |store| delete_version(store, 0), &[Some(NEW), None], &[None]);
    leaves(|store| put(store, KEY, OLD), |store| delete_version(store, 0), &[Some(OLD)], &[]);
    // What was brought back once can be replaced and deleted again.
    let back = |store: &Store| two(store).and_then(|()| delete_version(store, 0));
    leaves(back, |store| put(store, KEY, NEW), &[Some(OLD)], &[Some(NEW), Some(OLD)]);
    leaves(back, |store| delete_version(store, 0), &[Some(OLD)], &[]);
}

#[test]
fn a_bucket_with_suspended_versions_replaces_the_null_version_only() {
    let null_and_one = |store: &Store| {
        store.put_versioning(BUCKET, Versioning::Suspended)?;
        put(store, KEY, OLD)?;
        store.put_versioning(BUCKET, Versioning::Enabled)?;
        put(store, KEY, NEW)?;
        store.put_versioning(BUCKET, Versioning::Suspended)
    };
    let before = [Some(NEW), Some(OLD)];
    leaves(null_and_one, |store| put(store, KEY, THIRD), &before, &[Some(THIRD), Some(NEW)]);
    leaves(null_and_one, delete, &before, &[None, Some(NEW)]);
    let null = |store: &Store| {
        store.put_versioning(BUCKET, Versioning::Suspended)?;
        put(store, KEY, OLD)
    };
    leaves(null, |store| put(store, KEY, NEW), &[Some(OLD)], &[Some(NEW)]);
    leaves(null, delete, &[Some(OLD)], &[None]);
}

#[test]
fn what_was_put_before_versions_were_kept_is_the_null_version() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.create_bucket(BUCKET, AccountId::from_u64(1).unwrap(), Region::us_east_1()).unwrap();
    put(&store, KEY, OLD).unwrap();
    put(&store, KEY, THIRD).unwrap();
    store.put_versioning(BUCKET, Versioning::Enabled).unwrap();
    assert_eq!(versions(&store), [("null".to_owned(), Some(THIRD.to_vec()))]);
    put(&store, KEY, NEW).unwrap();
    assert_eq!(bytes(&store), list(&[Some(NEW), Some(THIRD)]));
    assert_eq!(versions(&store)[1].0, "null");
    // A copy of the directory, with other times, has the same versions.
    let kept = store.inner.place(BUCKET, KEY).versions;
    let file = fs::read_dir(kept).unwrap().next().unwrap().unwrap().path();
    let text = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, text).unwrap();
    assert_eq!(bytes(&store), list(&[Some(NEW), Some(THIRD)]));
}

#[test]
fn a_damaged_description_stops_changes_where_versions_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    bucket(&store).unwrap();
    put(&store, KEY, OLD).unwrap();
    fs::write(store.inner.place(BUCKET, KEY).sidecar, "{").unwrap();
    for refused in [put(&store, KEY, NEW), delete(&store)] {
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    }
    assert!(store.open_object(BUCKET, KEY).is_ok(), "it can be read");
}

#[test]
fn listings_of_versions_go_on_where_they_ended() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    bucket(&store).unwrap();
    for (key, count) in [("a/1", 3), ("a/2", 1), ("b", 2), ("c/d/e", 1)] {
        (0..count).for_each(|_| put(&store, key, OLD).unwrap());
    }
    for hidden in ["a/2", "c/d/e"] {
        store.delete(BUCKET, hidden, &Conditions::default()).unwrap();
    }
    let all = |prefix, delimiter, limit| {
        let (mut found, mut after, mut version) = (Vec::new(), String::new(), None::<String>);
        loop {
            let keys = Query { prefix, delimiter, after: &after, limit };
            let query = VersionQuery { keys, after_version: version.as_deref() };
            let page = store.list_versions(BUCKET, &query).unwrap();
            let names = page.versions.iter().map(|(key, entry, latest)| {
                format!("{key}{}{}", if entry.marker { " deleted" } else { "" }, if *latest { " *" } else { "" })
            });
            let mut names: Vec<String> = names.chain(page.common_prefixes.iter().cloned()).collect();
            assert!(names.len() <= limit);
            found.append(&mut names);
            match page.next {
                Some((key, id)) => (after, version) = (key, id),
                None => return found,
            }
        }
    };
    let every = ["a/1 *", "a/1", "a/1", "a/2 deleted *", "a/2", "b *", "b", "c/d/e deleted *", "c/d/e"];
    for limit in 1..12 {
        assert_eq!(all("", None, limit), every, "{limit}");
        assert_eq!(all("a/", None, limit), every[..5]);
        let mut folded = all("", Some("/"), limit);
        folded.sort_unstable();
        assert_eq!(folded, ["a/", "b", "b *", "c/"], "{limit}");
    }
}

#[test]
fn locked_versions_outlast_whatever_the_clock_does() {
    let root = tempfile::tempdir().unwrap();
    let start = Timestamp::from_secs(1_800_000_000);
    let clock = Arc::new(ManualClock::new(start));
    let store = Store::open(root.path(), Arc::clone(&clock) as _).unwrap();
    let owner = AccountId::from_u64(1).unwrap();
    store.create_locking_bucket(BUCKET, owner, Region::us_east_1()).unwrap();
    let default = DefaultRetention { mode: Mode::Compliance, period: Period::Days(1) };
    store.put_object_lock(BUCKET, Some(default)).unwrap();
    put(&store, KEY, OLD).unwrap();

    // Set back by years, the clock makes no lock that is over when it is right again.
    clock.set(Timestamp::from_secs(1_000_000_000));
    put(&store, KEY, NEW).unwrap();
    let ends: Vec<_> = store.history(BUCKET, KEY).unwrap().entries;
    let ends: Vec<_> = ends.iter().map(|entry| entry.lock.retention.unwrap().until).collect();
    assert_eq!(ends, [start + Duration::from_secs(86_400); 2]);
    for index in [0, 1] {
        assert!(matches!(delete_version(&store, index), Err(StoreError::Locked { .. })));
    }
    clock.set(start + Duration::from_millis(86_399_999));
    assert!(delete_version(&store, 0).is_err());
    assert!(matches!(store.put_versioning(BUCKET, Versioning::Suspended), Err(StoreError::BucketState { .. })));
    clock.set(start + Duration::from_secs(86_400));
    delete_version(&store, 0).unwrap();
    assert_eq!(bytes(&store), list(&[Some(OLD)]));
}

#[test]
fn a_locked_put_broken_off_leaves_no_version_without_its_lock() {
    let lock = DefaultRetention { mode: Mode::Compliance, period: Period::Days(1) };
    at_every_step(
        |store| {
            store.create_locking_bucket(BUCKET, AccountId::from_u64(1).unwrap(), Region::us_east_1())?;
            store.put_object_lock(BUCKET, Some(lock))?;
            put(store, KEY, OLD)
        },
        |store| put(store, KEY, NEW),
        |store, _| {
            for (id, _) in versions(store) {
                let refused = store.delete_version(BUCKET, KEY, &id, Bypass::Allowed).unwrap_err();
                assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
            }
            assert_eq!(bytes(store).last().unwrap().as_deref(), Some(OLD));
        },
    );
}

#[test]
fn a_repeated_delivery_makes_no_second_version() {
    use object_store::ObjectStoreExt;
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    bucket(&store).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let objects = store.object_store(BUCKET);
    let path = object_store::path::Path::from(KEY);
    let put = |bytes: &'static [u8]| runtime.block_on(objects.put(&path, bytes.into())).unwrap().version.unwrap();
    let first = put(OLD);
    assert_eq!(put(OLD), first);
    let second = put(NEW);
    assert_ne!(second, first);
    assert_eq!(put(NEW), second);
    assert_ne!(put(OLD), first, "what was put before is not current");
    assert_eq!(store.history(BUCKET, KEY).unwrap().entries.len(), 3);

    // A version that is not kept as long as the bucket says is put again.
    let current = put(OLD);
    let default = DefaultRetention { mode: Mode::Governance, period: Period::Years(1) };
    store.put_object_lock(BUCKET, Some(default)).unwrap();
    let locked = put(OLD);
    assert_ne!(locked, current);
    assert_eq!(put(OLD), locked);
}
