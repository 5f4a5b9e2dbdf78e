//! A store's table on a disk that fails: each change of it with one of its steps going wrong, gone on with as the server does,
//! and compared with what was put in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use deltalake_core::DeltaTableBuilder;
use opentrail_catalog::{Catalog, CatalogExt, MemoryCatalog};
use opentrail_lake::faults::{Fault, Faults};
use opentrail_lake::remove_table;
use opentrail_model::{Position, Source};
use opentrail_projection::Projection;
use opentrail_runtime::{Clock, ManualClock};
use opentrail_stores::{EventDataStore, Kind};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use url::Url;
use uuid::Uuid;

use super::{ACCOUNT, NoTags, World, read, store};
use crate::budget::Budget;
use crate::columns::table_spec;
use crate::maintenance::maintain;
use crate::projection::StoreProjection;
use crate::state::{TABLES, TableState};
use crate::table::StoreTable;
use crate::{ImportChunk, ImportedEvent, Snapshot};

const FAULTS: [Fault; 4] = [Fault::Refused, Fault::Doubtful, Fault::Outage(5), Fault::Death];
const IMPORT: Uuid = Uuid::from_u128(9);
const CHUNK_EVENTS: i64 = 3;
/// Tries after which a change that does not succeed never will.
const TRIES: usize = 20;

/// What is done on the failing disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// What came in is taken and flushed; the first time this makes the table.
    Flush,
    /// Files are merged, and days past the retention go.
    Upkeep,
    /// Two chunks of an import.
    Import,
    /// Files that left the table are deleted.
    Vacuum,
}

/// A table on disk, and what it holds.
struct Before {
    world: World,
    state: Option<TableState>,
    version: Option<u64>,
}

impl Before {
    /// A store without a table yet.
    fn nothing() -> Self {
        let mut world = World::new();
        world.change(store(1, &["Management"]));
        Self { world, state: None, version: None }
    }

    /// A table with a file of twenty days ago and so many of today.
    async fn files(count: usize) -> Self {
        let Self { mut world, .. } = Self::nothing();
        world.record_with("Management", json!({ "eventTime": "2026-02-18T12:00:00Z" }));
        for _ in 0..count {
            world.run().await;
            world.record("Management");
        }
        world.run().await;
        Self::of(world).await
    }

    async fn of(world: World) -> Self {
        let stored = world.catalog.find::<TableState>(TABLES, &store(1, &[]).key.to_string()).await.unwrap();
        let version = versions(&world.dir.path().join("table")).last().copied();
        Self { world, state: stored.map(|document| document.value), version }
    }

    /// The same on a disk of its own.
    async fn copy(&self) -> World {
        let World { dir, clock, entries, options, .. } = &self.world;
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let catalog = MemoryCatalog::default();
        if let Some(state) = &self.state {
            catalog.commit(vec![state.put(&store(1, &[]).key)]).await.unwrap();
        }
        let clock = Arc::new(ManualClock::new(clock.now()));
        let (entries, options, keys) = (entries.clone(), options.clone(), self.world.keys.clone());
        World { dir: copy, catalog: Arc::new(catalog), clock, entries, options, keys }
    }

    /// Has each `stride`-th step of the change go wrong in each way, other ones in every way. `more` is what comes in before;
    /// gives the positions that are not kept any more once the change is made. Returns how often something went wrong.
    async fn walk(&self, change: Change, stride: usize, more: impl Fn(&mut World) -> Vec<u64>) -> usize {
        let seen = Seen::default();
        let mut cases = 0;
        for (number, fault) in FAULTS.into_iter().enumerate() {
            for step in (number % stride..).step_by(stride) {
                let mut world = self.copy().await;
                let gone = more(&mut world);
                let mut case = Case::new(world, &seen, gone, self.version).await;
                case.context = format!("{change:?}, step {step}, {fault:?}");
                case.faults.plan(step, fault);
                let reached = case.make(change).await;
                case.prove(change).await;
                if !reached {
                    break;
                }
                cases += 1;
            }
        }
        cases
    }
}

/// A log file's time, of long ago.
const LONG_AGO: Duration = Duration::from_secs(1_700_000_000);

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&from, &to);
        } else {
            fs::copy(from, &to).unwrap();
            let file = fs::File::options().write(true).open(&to).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + LONG_AGO).unwrap();
        }
    }
}

/// The versions that the table's log has.
fn versions(table: &Path) -> Vec<u64> {
    let names = names(&table.join("_delta_log"));
    let mut versions: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
    versions.sort_unstable();
    versions
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default()
}

/// The positions in each file: its name has its checksum.
#[derive(Default)]
struct Seen(Mutex<HashMap<PathBuf, Vec<i64>>>);

impl Seen {
    fn positions(&self, dir: &Path, path: &Path) -> Vec<i64> {
        let of_table = path.strip_prefix(dir).unwrap_or(path).to_owned();
        let mut known = self.0.lock();
        known.entry(of_table).or_insert_with_key(|of_table| positions(&read(&dir.join(of_table)))).clone()
    }
}

fn positions(batches: &[arrow_array::RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch["position"].as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// A server, as far as a store's table goes, on a disk that is to fail.
struct Case<'a> {
    world: World,
    faults: Faults,
    seen: &'a Seen,
    projection: StoreProjection,
    opened: watch::Receiver<Option<Arc<StoreTable>>>,
    /// The positions that are not kept any more when all is done.
    gone: Vec<u64>,
    /// The table's version before.
    version: Option<u64>,
    context: String,
}

impl<'a> Case<'a> {
    async fn new(world: World, seen: &'a Seen, gone: Vec<u64>, version: Option<u64>) -> Self {
        let faults = Faults::below(world.dir.path());
        let (projection, opened) = world.open().await;
        Self { world, faults, seen, projection, opened, gone, version, context: String::new() }
    }

    /// Makes the change, however often it takes. Whether something went wrong.
    async fn make(&mut self, change: Change) -> bool {
        let mut reached = false;
        for _ in 0..TRIES {
            let made = self.attempt(change).await;
            if self.faults.is_dead() {
                reached |= self.faults.clear();
                (self.projection, self.opened) = self.world.open().await;
                continue;
            }
            self.look(made.is_ok()).await;
            if made.is_ok() {
                return reached | self.faults.clear();
            }
        }
        panic!("{}: it is not done after {TRIES} tries", self.context);
    }

    async fn attempt(&mut self, change: Change) -> Result<(), Box<dyn Error>> {
        let from = self.projection.resume().await?;
        self.projection.apply(&self.world.batch(from)).await?;
        let table = self.opened.borrow().clone().unwrap();
        let (options, clock) = (&self.world.options, &*self.world.clock);
        match change {
            Change::Flush => drop(self.projection.finish().await?),
            Change::Upkeep => maintain(&table, options, clock, false).await?,
            Change::Vacuum => maintain(&table, options, clock, true).await?,
            Change::Import => {
                for number in table.imported(IMPORT).await? + 1..=2 {
                    let share = Arc::new(Budget::new(1 << 30)).share();
                    table.import(chunk(number, clock), Arc::new(NoTags), share, clock.now()).await?;
                }
            }
        }
        Ok(())
    }

    /// What came in and is the store's.
    fn taken(&self) -> BTreeSet<i64> {
        let is_taken = |body: &Bytes| body.windows(12).any(|word| word == br#""Management""#);
        let records = self.world.entries.iter().filter(|entry| entry.source == Source::Records);
        let taken = records.filter(|entry| is_taken(&entry.body));
        taken.map(|entry| entry.position.0.cast_signed()).collect()
    }

    fn gone(&self) -> BTreeSet<i64> {
        self.gone.iter().map(|position| position.cast_signed()).collect()
    }

    /// What readers see now: nothing twice, no part of a chunk, and once `all` is taken all of it.
    async fn look(&self, all: bool) {
        let Some(table) = self.opened.borrow().clone() else { return };
        let snapshot = Snapshot::take(&table, self.world.clock.now()).await.unwrap();
        let files = snapshot.files().iter().map(|file| self.seen.positions(snapshot.dir(), &file.path));
        let rows: Vec<i64> = files.flatten().chain(positions(snapshot.recent())).collect();
        let live = self.whole(&rows, "a snapshot");
        if all {
            let kept: BTreeSet<i64> = self.taken().difference(&self.gone()).copied().collect();
            assert!(live.is_superset(&kept), "{}: {kept:?} are not all seen in {live:?}", self.context);
        }
    }

    /// The rows of the journal among these, of which none is there twice, and whole chunks besides.
    fn whole(&self, rows: &[i64], what: &str) -> BTreeSet<i64> {
        let set: BTreeSet<i64> = rows.iter().copied().collect();
        assert_eq!(set.len(), rows.len(), "{}: something is twice in {what}: {rows:?}", self.context);
        let (imported, live): (BTreeSet<i64>, BTreeSet<i64>) = set.into_iter().partition(|position| *position < 0);
        let count = i64::try_from(imported.len()).unwrap();
        assert!(count % CHUNK_EVENTS == 0, "{}: a part of a chunk is in {what}: {imported:?}", self.context);
        assert_eq!(imported, (-count..0).collect(), "{}", self.context);
        assert!(live.is_subset(&self.taken()), "{}: {what} has {live:?}", self.context);
        live
    }

    /// The server goes on: everything is there once, at every version what its position says, and nothing else is left.
    async fn prove(&mut self, change: Change) {
        self.world.record("Management");
        self.make(Change::Flush).await;
        if change != Change::Vacuum {
            for version in versions(&self.dir()) {
                if self.version.is_none_or(|before| version > before) {
                    self.prove_version(version).await;
                }
            }
        }
        self.world.options.vacuum_age = Duration::ZERO;
        self.make(Change::Vacuum).await;
        // As the next process finds it.
        let rows = self.world.rows().await;
        let live: Vec<(u64, Bytes)> = rows.iter().filter(|(at, _)| at.cast_signed() > 0).cloned().collect();
        let kept = self.taken().into_iter().map(i64::cast_unsigned).filter(|at| !self.gone.contains(at));
        let kept = kept.map(|at| (at, self.world.entries[usize::try_from(at).unwrap() - 1].body.clone()));
        assert_eq!(live, kept.collect::<Vec<_>>(), "{}", self.context);
        let mut imported: Vec<Bytes> = rows[live.len()..].iter().map(|(_, raw)| raw.clone()).collect();
        imported.sort();
        let chunks = (1..=2).filter(|_| change == Change::Import);
        let mut expected: Vec<Bytes> =
            chunks.flat_map(|number| chunk(number, &*self.world.clock).events).map(|e| e.raw).collect();
        expected.sort();
        assert_eq!(imported, expected, "{}", self.context);
        self.prove_clean().await;
    }

    fn dir(&self) -> PathBuf {
        self.world.dir.path().join("table")
    }

    /// As another reader of Delta tables sees this version.
    async fn prove_version(&self, version: u64) {
        let url = Url::from_directory_path(self.dir().canonicalize().unwrap()).unwrap();
        let table = DeltaTableBuilder::from_url(url).unwrap().with_version(version).load().await.unwrap();
        let state = table.snapshot().unwrap();
        let log = table.log_store();
        let files = state.log_data().into_iter().map(|file| self.seen.positions(&self.dir(), Path::new(&*file.path())));
        let rows: Vec<i64> = files.flatten().collect();
        let live = self.whole(&rows, "a version");
        let app_id = table_spec(&store(1, &[]).key.id.to_string(), Kind::CloudTrail).app_id;
        let position = state.transaction_version(log.as_ref(), &app_id).await.unwrap().unwrap_or_default();
        let taken: BTreeSet<i64> = self.taken().into_iter().filter(|at| *at <= position).collect();
        let kept: BTreeSet<i64> = taken.difference(&self.gone()).copied().collect();
        assert!(live == taken || live == kept, "{}: version {version}, position {position}: {live:?}", self.context);
        let chunks = state.transaction_version(log.as_ref(), format!("opentrail-import/{IMPORT}")).await.unwrap();
        let imported = rows.iter().filter(|at| **at < 0).count();
        let by_mark = usize::try_from(chunks.unwrap_or_default() * CHUNK_EVENTS).unwrap();
        assert_eq!(imported, by_mark, "{}: version {version}", self.context);
    }

    /// No file is there that the table does not name.
    async fn prove_clean(&self) {
        let table = self.opened.borrow().clone().unwrap();
        let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in table.table.lock().await.files().unwrap() {
            let (day, name) = file.path.split_once('/').unwrap();
            named.entry(day.to_owned()).or_default().insert(name.to_owned());
        }
        let dir = self.dir();
        let days = names(&dir).into_iter().filter(|name| name != "_delta_log");
        let found: BTreeMap<_, _> =
            days.map(|day| (day.clone(), names(&dir.join(day)).into_iter().collect())).collect();
        assert_eq!(found, named, "{}", self.context);
        let staged: Vec<String> =
            names(&dir.join("_delta_log")).into_iter().filter(|name| name.contains('#')).collect();
        assert!(staged.is_empty(), "{}: {staged:?}", self.context);
    }
}

/// A chunk of an import, with events of two days.
fn chunk(number: u64, clock: &dyn Clock) -> ImportChunk {
    let event = |n: i64| {
        let raw = format!(r#"{{"eventTime":"2026-03-0{}T00:00:00Z","chunk":{number},"n":{n}}}"#, 8 + n % 2);
        ImportedEvent { account: ACCOUNT.parse().unwrap(), raw: raw.into() }
    };
    let mut events: Vec<ImportedEvent> = (0..CHUNK_EVENTS).map(event).collect();
    events.sort_by(|a, b| a.raw.cmp(&b.raw));
    ImportChunk { import: IMPORT, number, received: clock.now(), events }
}

/// Nothing more comes in, and everything is kept.
fn nothing(_: &mut World) -> Vec<u64> {
    Vec::new()
}

/// Events of two days, and one that is not the store's.
fn events(world: &mut World) -> Vec<u64> {
    world.record("Management");
    world.record("Data");
    world.record_with("Management", json!({ "eventTime": "2026-03-09T12:00:00Z" }));
    Vec::new()
}

#[tokio::test]
async fn a_table_is_made_and_flushed_to_on_a_failing_disk() {
    let cases = Before::nothing().walk(Change::Flush, 2, events).await;
    assert!(cases > 50, "{cases}");
}

#[tokio::test]
async fn a_flush_with_a_checkpoint_that_cleans_up_the_log_on_a_failing_disk() {
    let Before { mut world, .. } = Before::files(1).await;
    let (mut projection, _) = world.open().await;
    projection.resume().await.unwrap();
    // Positions alone, until the next commit is the fiftieth.
    while versions(&world.dir.path().join("table")).len() < 49 {
        world.record("Data");
        let after = Position(world.entries.len() as u64 - 1);
        projection.apply(&world.batch(after)).await.unwrap();
        projection.finish().await.unwrap();
    }
    drop(projection);
    let before = Before::of(world).await;
    let cases = before.walk(Change::Flush, 7, events).await;
    assert!(cases > 25, "{cases}");
    let mut world = before.copy().await;
    events(&mut world);
    world.run().await;
    let log = world.dir.path().join("table/_delta_log");
    assert!(names(&log).iter().any(|name| name.ends_with(".parquet")), "there was a checkpoint");
    assert!(versions(&world.dir.path().join("table"))[0] > 0, "the log was cleaned up");
}

#[tokio::test]
async fn files_are_merged_on_a_failing_disk() {
    let cases = Before::files(8).await.walk(Change::Upkeep, 5, nothing).await;
    assert!(cases > 25, "{cases}");
}

#[tokio::test]
async fn events_past_the_retention_go_on_a_failing_disk() {
    let shorter = |world: &mut World| {
        world.change(EventDataStore { retention_days: 7, ..store(2, &["Management"]) });
        vec![2]
    };
    let cases = Before::files(1).await.walk(Change::Upkeep, 3, shorter).await;
    assert!(cases > 25, "{cases}");
}

#[tokio::test]
async fn chunks_are_imported_on_a_failing_disk() {
    let cases = Before::files(1).await.walk(Change::Import, 5, nothing).await;
    assert!(cases > 25, "{cases}");
}

#[tokio::test]
async fn what_left_the_table_is_deleted_on_a_failing_disk() {
    let Before { mut world, .. } = Before::files(8).await;
    let (mut projection, opened) = world.open().await;
    projection.resume().await.unwrap();
    let table = opened.borrow().clone().unwrap();
    maintain(&table, &world.options, &*world.clock, false).await.unwrap();
    // What deaths leave.
    fs::create_dir(table.dir.join("event_date=2026-01-01")).unwrap();
    fs::write(table.dir.join("event_date=2026-01-01/flush-1-2.parquet"), b"PAR1").unwrap();
    fs::write(table.dir.join("_delta_log/00000000000000000099.json#7"), b"{").unwrap();
    drop((projection, opened, table));
    world.options.vacuum_age = Duration::ZERO;
    let cases = Before::of(world).await.walk(Change::Vacuum, 3, nothing).await;
    assert!(cases > 25, "{cases}");
}

#[tokio::test]
async fn a_table_is_removed_on_a_failing_disk() {
    let before = Before::files(2).await;
    for fault in FAULTS {
        for step in 0.. {
            let world = before.copy().await;
            let (faults, table) = (Faults::below(world.dir.path()), world.dir.path().join("table"));
            faults.plan(step, fault);
            let mut reached = false;
            let removed = (0..TRIES).any(|_| {
                let removed = remove_table(&table).is_ok();
                if faults.is_dead() {
                    reached |= faults.clear();
                }
                // As the supervisor's next look, or the next process's.
                removed && !table.exists()
            });
            assert!(removed, "step {step}, {fault:?}");
            if !(reached | faults.clear()) {
                assert!(step > 5, "there are files to delete");
                break;
            }
        }
    }
}
