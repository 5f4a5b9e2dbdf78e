//! Stores with a KMS key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_keys::Material;
use opentrail_model::Position;
use opentrail_projection::Projection;
use opentrail_runtime::{Clock, SystemRandom};
use opentrail_stores::{DataKeys, EventDataStore, SealedDataKey, StoreKey, StoreKeyError, StoreKms};
use parking_lot::Mutex;
use serde_json::json;
use uuid::Uuid;

use super::{ACCOUNT, DAY, NoTags, World, store};
use crate::budget::Budget;
use crate::maintenance::maintain;
use crate::table::StoreTable;
use crate::{ImportChunk, ImportedEvent, Snapshot, TableError};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1";
const KEPT: Duration = Duration::from_secs(60);

/// Data keys by their numbers, each for one store; can be switched off.
#[derive(Debug, Default)]
struct TestKms {
    made: Mutex<BTreeMap<String, (StoreKey, Material)>>,
    off: AtomicBool,
}

impl TestKms {
    fn check_on(&self) -> Result<(), StoreKeyError> {
        let off = || StoreKeyError::Unusable { key: KEY.to_owned(), reason: "it is disabled".to_owned() };
        if self.off.load(Ordering::Relaxed) { Err(off()) } else { Ok(()) }
    }

    fn switch(&self, off: bool) {
        self.off.store(off, Ordering::Relaxed);
    }
}

#[async_trait]
impl StoreKms for TestKms {
    async fn check(&self, _: &StoreKey, text: &str) -> Result<String, StoreKeyError> {
        self.check_on().map(|()| text.to_owned())
    }

    async fn make(&self, store: &StoreKey, kms_key: &str) -> Result<(Material, SealedDataKey), StoreKeyError> {
        self.check_on()?;
        let material = Material::generate(&SystemRandom);
        let mut made = self.made.lock();
        let data_key = format!("{:04}", made.len());
        made.insert(data_key.clone(), (store.clone(), material.clone()));
        Ok((material, SealedDataKey { kms_key: kms_key.to_owned(), data_key }))
    }

    async fn open(&self, store: &StoreKey, key: &SealedDataKey) -> Result<Material, StoreKeyError> {
        self.check_on()?;
        let found = self.made.lock().get(&key.data_key).filter(|(of, _)| of == store).map(|(_, key)| key.clone());
        found.ok_or_else(|| StoreKeyError::AccessDenied { key: key.kms_key.clone() })
    }
}

fn world() -> (World, Arc<TestKms>) {
    let (mut world, kms) = (World::new(), Arc::new(TestKms::default()));
    world.keys = DataKeys::new(kms.clone(), KEPT, world.clock.clone(), Arc::new(SystemRandom));
    (world, kms)
}

fn sealed(version: u64) -> EventDataStore {
    EventDataStore { kms_key: Some(KEY.to_owned()), ..store(version, &["Management"]) }
}

/// The table as a new process finds it.
async fn table(world: &World) -> Arc<StoreTable> {
    let (mut projection, opened) = world.open().await;
    projection.resume().await.unwrap();
    opened.borrow().clone().unwrap()
}

/// The positions of all rows, in order, read with the key.
async fn positions(world: &World, table: &StoreTable) -> Result<Vec<i64>, TableError> {
    let snapshot = Snapshot::take(table, world.clock.now()).await?;
    let mut positions = Vec::new();
    for file in snapshot.files() {
        file.verify()?;
        for batch in file.rows(100).await? {
            let batch =
                batch.map_err(|error| TableError::Damaged { file: String::new(), reason: error.to_string() })?;
            positions.extend(crate::file::places(&batch).unwrap().into_iter().map(|(_, position)| position));
        }
    }
    for batch in snapshot.recent() {
        positions.extend(crate::file::places(batch).unwrap().into_iter().map(|(_, position)| position));
    }
    positions.sort_unstable();
    Ok(positions)
}

/// Files below `dir` that have `text` in them.
fn with_text(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(with_text(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn chunk(world: &World, number: u64) -> ImportChunk {
    let raw = Bytes::from_static(br#"{"eventTime":"2026-03-01T00:00:00Z","eventID":"id-imported"}"#);
    let events = vec![ImportedEvent { account: ACCOUNT.parse().unwrap(), raw }];
    ImportChunk { import: Uuid::from_u128(9), number, received: world.clock.now(), events }
}

#[tokio::test]
async fn everything_of_a_sealed_store_is_sealed_and_comes_back() {
    let (mut world, _) = world();
    world.change(sealed(1));
    let mut all = Vec::new();
    for _ in 0..9 {
        all.push(world.record("Management").cast_signed());
        world.run().await;
    }
    let found = table(&world).await;
    let share = Arc::new(Budget::new(1 << 20)).share();
    found.import(chunk(&world, 1), Arc::new(NoTags), share, world.clock.now()).await.unwrap();
    all.insert(0, -1);
    assert_eq!(positions(&world, &found).await.unwrap(), all);
    maintain(&found, &world.options, &*world.clock, false).await.unwrap();
    let files = found.table.lock().await.files().unwrap();
    assert!(files.iter().any(|file| file.path.contains("/merge-")), "{files:?}");
    assert!(files.iter().all(opentrail_lake::DataFile::is_sealed), "{files:?}");
    assert_eq!(positions(&world, &found).await.unwrap(), all);
    // Column names and texts of events alike: what is in the log's schema is all that there is.
    // Long enough texts that no sealed byte makes one by chance.
    for text in ["\"eventName\"", "id-imported", "opentrail.store.layout"] {
        assert_eq!(with_text(&found.dir, text), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_store_waits_for_its_key_without_memory_and_goes_on() {
    let (mut world, kms) = world();
    world.change(sealed(1));
    let mut all = vec![world.record("Management").cast_signed()];
    let before = world.run().await;
    kms.switch(true);
    world.clock.advance(KEPT);
    all.push(world.record("Management").cast_signed());
    let (mut projection, opened) = world.open().await;
    let from = projection.resume().await.unwrap();
    let table = opened.borrow().clone().unwrap();
    projection.apply(&world.batch(from)).await.unwrap();
    assert!(matches!(positions(&world, &table).await, Err(TableError::Key(_))), "what is in memory is not readable");
    world.clock.advance(world.options.flush_age);
    let refused = projection.idle(world.clock.now()).await.unwrap_err();
    assert!(refused.reason.contains("it is disabled") && !refused.fatal, "{refused}");
    assert_eq!(table.recent.read().rows(), 0);
    assert_eq!(projection.resume().await.unwrap(), before);
    // However much comes, nothing is taken.
    all.push(world.record("Management").cast_signed());
    projection.apply(&world.batch(before)).await.unwrap_err();
    assert_eq!(table.recent.read().rows(), 0);
    assert_eq!(projection.finish().await.unwrap(), before, "a stop is no error");
    kms.switch(false);
    projection.apply(&world.batch(before)).await.unwrap();
    assert_eq!(projection.finish().await.unwrap(), Position(world.entries.len() as u64));
    assert_eq!(positions(&world, &table).await.unwrap(), all);
}

#[tokio::test]
async fn without_its_key_old_days_go_and_nothing_is_merged() {
    let (mut world, kms) = world();
    world.change(sealed(1));
    for _ in 0..9 {
        world.record("Management");
        world.run().await;
    }
    world.clock.advance(DAY * 29);
    for _ in 0..9 {
        world.record("Management");
        world.run().await;
    }
    let found = table(&world).await;
    kms.switch(true);
    world.clock.advance(DAY * 2);
    maintain(&found, &world.options, &*world.clock, false).await.unwrap();
    let files = found.table.lock().await.files().unwrap();
    assert_eq!(files.len(), 9, "the first days are gone, the others wait to be merged: {files:?}");
    world.clock.advance(DAY);
    maintain(&found, &world.options, &*world.clock, true).await.unwrap();
    kms.switch(false);
    maintain(&found, &world.options, &*world.clock, false).await.unwrap();
    assert_eq!(found.table.lock().await.files().unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_there_before_the_key_is_sealed_by_the_upkeep() {
    let (mut world, kms) = world();
    world.change(store(1, &["Management"]));
    let mut all = vec![world.record("Management").cast_signed()];
    world.run().await;
    all.push(world.record("Management").cast_signed());
    world.change(sealed(2));
    all.push(world.record("Management").cast_signed());
    world.run().await;
    let found = table(&world).await;
    let seals = async || {
        let files = found.table.lock().await.files().unwrap();
        files.iter().map(opentrail_lake::DataFile::is_sealed).collect::<Vec<_>>()
    };
    assert_eq!(seals().await.iter().filter(|sealed| **sealed).count(), 1);
    assert_eq!(with_text(&found.dir, "opentrail.store.layout").len(), 2, "what tells a plain file");
    assert_eq!(positions(&world, &found).await.unwrap(), all, "both are read");
    maintain(&found, &world.options, &*world.clock, false).await.unwrap();
    assert_eq!(seals().await, [true, true]);
    assert_eq!(positions(&world, &found).await.unwrap(), all);
    kms.switch(true);
    world.clock.advance(KEPT);
    assert!(matches!(positions(&world, &found).await, Err(TableError::Key(_))));
}

#[tokio::test]
async fn a_file_of_another_store_or_of_other_bytes_is_an_error_and_no_row() {
    let (mut world, _) = world();
    world.change(sealed(1));
    world.record("Management");
    world.run().await;
    let theirs = StoreKey { id: Uuid::from_u128(8), ..sealed(1).key };
    let made = world.keys.to_seal(&theirs, KEY).await.unwrap();
    let found = table(&world).await;
    let snapshot = Snapshot::take(&found, world.clock.now()).await.unwrap();
    let [file] = snapshot.files() else { panic!("one file") };
    let whole = std::fs::read(&file.path).unwrap();
    // As if it had been sealed for the other store: the same length, the other's data key.
    let at = whole.windows(9).position(|bytes| bytes == b"data_key\"").unwrap() + 11;
    let mut swapped = whole.clone();
    swapped[at..at + 4].copy_from_slice(made.sealed.data_key.as_bytes());
    let read = async |bytes: &[u8]| {
        std::fs::write(&file.path, bytes).unwrap();
        // A snapshot of its own, as it keeps what files say of themselves.
        let found = table(&world).await;
        let snapshot = Snapshot::take(&found, world.clock.now()).await.unwrap();
        let mut rows = 0;
        for batch in snapshot.files()[0].rows(10).await? {
            let failed = |error: arrow_schema::ArrowError| TableError::Damaged {
                file: String::new(),
                reason: error.to_string(),
            };
            rows += batch.map_err(failed)?.num_rows();
        }
        Ok::<usize, TableError>(rows)
    };
    assert_eq!(read(&whole).await.unwrap(), 1);
    assert!(matches!(read(&swapped).await, Err(TableError::Key(StoreKeyError::AccessDenied { .. }))));
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    read(&flipped).await.unwrap_err();
    read(&whole[..whole.len() - 1]).await.unwrap_err();
    read(&whole[..whole.len() / 2]).await.unwrap_err();
}

#[tokio::test]
async fn a_key_that_is_off_does_not_keep_a_deleted_store() {
    let (mut world, kms) = world();
    world.change(sealed(1));
    world.record_with("Management", json!({ "eventName": "Last" }));
    let (mut projection, _) = world.open().await;
    let from = projection.resume().await.unwrap();
    projection.apply(&world.batch(from)).await.unwrap();
    kms.switch(true);
    world.clock.advance(KEPT);
    // What the end of a store's projection does: it fails once, and there is nothing more to be done.
    projection.finish().await.unwrap_err();
    projection.finish().await.unwrap();
}
