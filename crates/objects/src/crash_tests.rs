//! Every write, broken off at each of its steps: by a full disk, and by the death of the process.

use std::io::Read;

use bytes::Bytes;
use futures::stream;
use opentrail_runtime::SystemClock;

use super::*;
use crate::checksums::Algorithm;
use crate::faults::Fault;
use crate::listing::Query;
use crate::multipart::{Completion, Named, Wishes};
use crate::staging::stage;

pub(super) const BUCKET: &str = "evidence";
pub(super) const KEY: &str = "AWSLogs/111122223333/x.json.gz";
pub(super) const OLD: &[u8] = b"what was there";
pub(super) const NEW: &[u8] = b"what came after it";

pub(super) fn open(root: &Path) -> Store {
    Store::open(root, Arc::new(SystemClock)).unwrap()
}

pub(super) fn staged(store: &Store, bytes: &'static [u8]) -> Result<Staged, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = stream::iter(bytes.chunks(8).map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece))));
    runtime.block_on(stage(&store.inner.scratch, body, vec![Algorithm::Crc32], u64::MAX))
}

pub(super) fn put(store: &Store, key: &str, bytes: &'static [u8]) -> Result<(), StoreError> {
    let mut headers = Headers::default();
    headers.user.insert("size".to_owned(), bytes.len().to_string());
    let staged = staged(store, bytes)?;
    let details = Details::of(&staged, headers);
    store.put(BUCKET, key, staged, details, &Conditions::default()).map(|_| ())
}

/// The object's bytes, once everything that is said of them fits them.
fn get(store: &Store, key: &str) -> Option<Vec<u8>> {
    let keys = store.list(BUCKET, &Query { limit: 10, ..Query::default() }).unwrap().keys;
    let (mut file, description) = match store.open_object(BUCKET, key) {
        Err(StoreError::NoSuchKey { .. }) => {
            assert!(!keys.iter().any(|listed| listed == key), "listed, but not there");
            return None;
        }
        found => found.unwrap(),
    };
    assert!(keys.iter().any(|listed| listed == key), "there, but not listed");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    if description.parts.is_empty() {
        let mut summer = crate::checksums::Summer::new(&[Algorithm::Crc32]);
        summer.update(&bytes);
        let (md5, sums) = summer.finish();
        assert_eq!(description.etag, hex::encode(md5));
        assert_eq!(description.checksum.as_ref(), sums.first());
    }
    assert_eq!(description.headers.user.get("size"), Some(&bytes.len().to_string()));
    Some(bytes)
}

/// How the broken work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Acknowledged,
    Failed,
}

/// Does `work` again and again, each time on a prepared store of its own and with another step going wrong, until none
/// is left. After a death the store is opened anew.
pub(super) fn at_every_step(
    prepare: impl Fn(&Store) -> Result<(), StoreError>,
    work: impl Fn(&Store) -> Result<(), StoreError>,
    check: impl Fn(&Store, End),
) {
    for fault in [Fault::DiskFull, Fault::Death] {
        for step in 0.. {
            let root = tempfile::tempdir().unwrap();
            let mut store = open(root.path());
            prepare(&store).unwrap();
            store.inner.scratch.faults.plan(step, fault);
            let done = work(&store);
            let reached = store.inner.scratch.faults.clear();
            if fault == Fault::Death {
                store = open(root.path());
            }
            let end = if done.is_ok() { End::Acknowledged } else { End::Failed };
            check(&store, end);
            let leftovers = fs::read_dir(root.path().join(OWN_DIRECTORY).join("tmp")).unwrap().count();
            assert_eq!(leftovers, 0, "{fault:?} at step {step}");
            if !reached {
                assert_eq!(end, End::Acknowledged);
                assert!(step > 3, "the work has only {step} steps");
                break;
            }
        }
    }
}

fn with_bucket(store: &Store) -> Result<(), StoreError> {
    store.create_bucket(BUCKET, AccountId::from_u64(1).unwrap(), Region::us_east_1()).map(|_| ())
}

#[test]
fn a_first_put_leaves_nothing_or_the_object() {
    at_every_step(
        with_bucket,
        |store| put(store, KEY, NEW),
        |store, end| {
            let found = get(store, KEY);
            assert!(found.as_deref() == Some(NEW) || (found.is_none() && end == End::Failed));
            put(store, KEY, OLD).unwrap();
            assert_eq!(get(store, KEY).as_deref(), Some(OLD));
        },
    );
}

#[test]
fn an_overwrite_leaves_the_old_object_or_the_new() {
    at_every_step(
        |store| with_bucket(store).and_then(|()| put(store, KEY, OLD)),
        |store| put(store, KEY, NEW),
        |store, end| {
            let found = get(store, KEY);
            assert!(found.as_deref() == Some(NEW) || (found.as_deref() == Some(OLD) && end == End::Failed));
            put(store, KEY, NEW).unwrap();
            assert_eq!(get(store, KEY).as_deref(), Some(NEW));
        },
    );
}

#[test]
fn a_delete_leaves_the_object_or_nothing() {
    at_every_step(
        |store| with_bucket(store).and_then(|()| put(store, KEY, OLD)),
        |store| store.delete(BUCKET, KEY, &Conditions::default()).map(|_| ()),
        |store, end| {
            let found = get(store, KEY);
            assert!(found.is_none() || (found.as_deref() == Some(OLD) && end == End::Failed));
            store.delete(BUCKET, KEY, &Conditions::default()).unwrap();
            assert_eq!(get(store, KEY), None);
            store.delete_bucket(BUCKET).unwrap();
        },
    );
}

#[test]
fn buckets_and_policies_are_there_or_not() {
    let policy = r#"{"Statement":[]}"#;
    at_every_step(
        |_| Ok(()),
        |store| with_bucket(store).and_then(|()| store.put_policy(BUCKET, Some(policy))),
        |store, end| {
            let found = store.bucket(BUCKET).unwrap();
            let done = found.as_ref().is_some_and(|bucket| bucket.policy.as_deref() == Some(policy));
            assert!(done || end == End::Failed);
            if found.is_none() {
                with_bucket(store).unwrap();
            }
            put(store, KEY, NEW).unwrap();
        },
    );
    at_every_step(
        with_bucket,
        |store| store.delete_bucket(BUCKET),
        |store, end| {
            assert!(store.bucket(BUCKET).unwrap().is_none() || end == End::Failed);
            if store.bucket(BUCKET).unwrap().is_none() {
                with_bucket(store).unwrap();
            }
            assert_eq!(get(store, KEY), None);
            store.delete_bucket(BUCKET).unwrap();
        },
    );
}

/// An upload with one part, and how to complete it.
fn upload(store: &Store) -> Result<(String, Named), StoreError> {
    let headers = Headers { user: BTreeMap::from([("size".to_owned(), NEW.len().to_string())]), ..Headers::default() };
    let wishes = Wishes { headers, ..Wishes::default() };
    let upload = store.create_upload(BUCKET, KEY, AccountId::from_u64(1).unwrap(), wishes)?;
    let part = store.put_part(BUCKET, KEY, &upload.id, 1, staged(store, NEW)?)?;
    Ok((upload.id, Named { number: 1, etag: Some(part.etag), checksum: None }))
}

fn complete(store: &Store, id: &str, part: &Named) -> Result<(), StoreError> {
    let completion = Completion { named: vec![part.clone()], ..Completion::default() };
    store.complete_upload(BUCKET, KEY, id, completion).map(|_| ())
}

fn uploads_on_disk(store: &Store) -> usize {
    fs::read_dir(store.inner.uploads(BUCKET)).map_or(0, |found| found.count())
}

#[test]
fn uploads_broken_off_can_be_aborted_or_were_never_there() {
    at_every_step(
        with_bucket,
        |store| upload(store).map(|_| ()),
        |store, _| {
            assert_eq!(get(store, KEY), None);
            for upload in store.uploads(BUCKET).unwrap() {
                let (_, parts) = store.parts(BUCKET, KEY, &upload.id).unwrap();
                assert!(parts.iter().all(|part| part.size == NEW.len() as u64));
                store.abort_upload(BUCKET, KEY, &upload.id).unwrap();
            }
            store.delete_bucket(BUCKET).unwrap();
        },
    );
}

#[test]
fn a_completion_broken_off_can_be_repeated() {
    let known = Mutex::new(None);
    at_every_step(
        |store| {
            with_bucket(store)?;
            put(store, KEY, OLD)?;
            *known.lock() = Some(upload(store)?);
            Ok(())
        },
        |store| {
            let known = known.lock();
            let (id, part) = known.as_ref().unwrap();
            complete(store, id, part)
        },
        |store, end| {
            let found = get(store, KEY);
            assert!(found.as_deref() == Some(NEW) || (found.as_deref() == Some(OLD) && end == End::Failed));
            let (id, part) = known.lock().take().unwrap();
            complete(store, &id, &part).unwrap();
            assert_eq!(get(store, KEY).as_deref(), Some(NEW));
            let _ = store.abort_upload(BUCKET, KEY, &id);
            assert_eq!(uploads_on_disk(&open(&store.inner.root)), 0);
        },
    );
}

#[test]
fn bytes_that_are_no_parts_are_swept_at_start() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    with_bucket(&store).unwrap();
    let (id, part) = upload(&store).unwrap();
    let uploads = store.inner.uploads(BUCKET);
    fs::create_dir(uploads.join("never")).unwrap();
    fs::write(uploads.join("never").join("00001-x"), NEW).unwrap();
    fs::write(uploads.join(&id).join("00002-x"), NEW).unwrap();
    drop(store);
    let store = open(root.path());
    assert_eq!(uploads_on_disk(&store), 1);
    assert!(!uploads.join(&id).join("00002-x").exists());
    complete(&store, &id, &part).unwrap();
    assert_eq!(get(&store, KEY).as_deref(), Some(NEW));
}

#[test]
fn a_full_disk_is_an_error_worth_a_retry() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    with_bucket(&store).unwrap();
    store.inner.scratch.faults.plan(1, Fault::DiskFull);
    let error = crate::s3::refused(put(&store, KEY, NEW).unwrap_err());
    assert_eq!(error.code().as_str(), "ServiceUnavailable");
    assert_eq!(error.status_code(), Some(http::StatusCode::SERVICE_UNAVAILABLE));
    assert!(!error.message().unwrap().contains(&root.path().display().to_string()));
    assert!(store.inner.scratch.faults.clear());
    put(&store, KEY, NEW).unwrap();
}
