use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::TableProvider;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};
use opentrail_catalog::MemoryCatalog;
use opentrail_journal::{Journal, MemoryJournal, NewEntry};
use opentrail_model::{AdvancedEventSelector, FieldSelector, SelectorField, Source, Timestamp};
use opentrail_projection::Feed;
use opentrail_runtime::{Clock, ManualClock, Shutdown, SystemRandom, TaskGroup};
use opentrail_stores::{DataKeys, EventDataStore, StoreChange, StoreKey};
use opentrail_tables::{PrincipalTags, Tables, TablesDeps, TablesOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use super::StoreTable;
use crate::functions;
use crate::statistics::ScanStatistics;
use crate::{Engine, EngineOptions, Statement};

const ACCOUNT: &str = "111122223333";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// So many rows are flushed at once.
const FLUSHED: usize = 50;

#[derive(Debug)]
struct NoTags;

impl PrincipalTags for NoTags {
    fn of(&self, _: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// A store that takes management events.
struct World {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    journal: Arc<MemoryJournal>,
    tables: Tables,
    tasks: TaskGroup,
    rows: u64,
}

fn store() -> EventDataStore {
    let management =
        FieldSelector { equals: vec!["Management".to_owned()], ..FieldSelector::of(SelectorField::EventCategory) };
    let key = StoreKey {
        account: ACCOUNT.parse().unwrap(),
        home_region: "us-east-1".parse().unwrap(),
        id: Uuid::from_u128(7),
    };
    let selectors = vec![AdvancedEventSelector { name: None, field_selectors: vec![management] }];
    EventDataStore { retention_days: 3653, ..EventDataStore::new(key, "store", selectors, Timestamp::EPOCH) }
}

impl World {
    async fn new(store: EventDataStore) -> Self {
        Self::flushing(store, FLUSHED).await
    }

    async fn flushing(store: EventDataStore, flush_rows: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-03-10T12:00:00Z".parse().unwrap()));
        let journal = Arc::new(MemoryJournal::default());
        let tasks = TaskGroup::new(Shutdown::new());
        let keys = DataKeys::none(clock.clone(), Arc::new(SystemRandom));
        let deps = TablesDeps {
            catalog: Arc::new(MemoryCatalog::default()),
            feed: Feed::new(Arc::clone(&journal) as Arc<dyn Journal>),
            clock: clock.clone(),
            tags: Arc::new(NoTags),
            keys,
            dir: dir.path().to_owned(),
            options: TablesOptions { flush_rows, ..TablesOptions::default() },
            tasks: tasks.clone(),
        };
        let tables = Tables::start(deps).await.unwrap();
        let mut world = Self { dir, clock, journal, tables, tasks, rows: 0 };
        let change = StoreChange::PutEventDataStore(Box::new(store)).to_bytes();
        world.append(Source::Control, vec![change]).await;
        world
    }

    async fn append(&mut self, source: Source, bodies: Vec<Bytes>) {
        let (account, received) = (ACCOUNT.parse().unwrap(), self.clock.now());
        let entries = bodies.into_iter().map(|body| NewEntry { source, account, received, body });
        self.journal.append(entries.collect()).await.unwrap();
    }

    /// Takes the events, in one batch, and returns once the store has them.
    async fn take(&mut self, events: impl IntoIterator<Item = impl Into<Bytes>>) {
        let events: Vec<Bytes> = events.into_iter().map(Into::into).collect();
        self.rows += events.len() as u64;
        self.append(Source::Records, events).await;
        loop {
            let snapshot = self.tables.snapshot(&store().key).await;
            // Until the supervisor has seen the store there is no table.
            if snapshot.unwrap().is_some_and(|snapshot| snapshot.rows() == self.rows) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn table(&self) -> StoreTable {
        StoreTable::new(self.tables.snapshot(&store().key).await.unwrap().unwrap())
    }

    /// The result as texts, and how many events were read for it.
    async fn ask(&self, sql: &str) -> (Vec<Vec<String>>, u64) {
        let statistics = Arc::new(ScanStatistics::default());
        let context = context(&statistics);
        context.register_table("t", Arc::new(self.table().await)).unwrap();
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let mut rows = Vec::new();
        for batch in batches {
            let texts = |row| batch.columns().iter().map(move |column| array_value_to_string(column, row).unwrap());
            rows.extend((0..batch.num_rows()).map(|row| texts(row).collect::<Vec<_>>()));
        }
        (rows, statistics.events())
    }

    async fn one(&self, sql: &str) -> String {
        self.ask(sql).await.0[0][0].clone()
    }

    async fn end(self) {
        self.tasks.shutdown().begin();
        drop(self.dir);
    }
}

fn context(statistics: &Arc<ScanStatistics>) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2).with_extension(Arc::clone(statistics));
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    // DataFusion's own way into a map knows no views.
    context.register_udf(functions::all().scalar[functions::planner_name("element_at")].as_ref().clone());
    context
}

fn event(number: usize, time: &str, more: Value) -> String {
    let mut event = json!({
        "eventTime": time, "awsRegion": "us-east-1", "eventCategory": "Management", "eventID": format!("id-{number}"),
        "eventName": if number.is_multiple_of(2) { "Even" } else { "Odd" }, "readOnly": number.is_multiple_of(3),
        "userIdentity": { "type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/u{}", number % 5) },
        "requestParameters": { "bucketName": format!("b{}", number % 7), "nested": { "a": [number] } },
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event.to_string()
}

/// Three days of events in files, the last with a few in memory.
async fn three_days() -> World {
    let mut world = World::new(store()).await;
    for day in 0..3 {
        let time = format!("2026-03-0{}T10:00:00Z", day + 7);
        world.take((0..FLUSHED).map(|n| event(day * FLUSHED + n, &time, json!({})))).await;
    }
    world.take((150..153).map(|n| event(n, "2026-03-10T11:00:00Z", json!({})))).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_files_and_memory_are_there_once() {
    let world = three_days().await;
    let (files, recent) = {
        let snapshot = world.tables.snapshot(&store().key).await.unwrap().unwrap();
        (snapshot.files().len(), snapshot.recent().len())
    };
    assert_eq!((files, recent), (3, 1));
    assert_eq!(world.one("SELECT count(*) FROM t").await, "153");
    assert_eq!(world.one("SELECT count(DISTINCT eventid) FROM t").await, "153");
    let (rows, read) = world.ask("SELECT eventname, count(*) FROM t GROUP BY 1 ORDER BY 1").await;
    assert_eq!((rows, read), (vec![vec!["Even".into(), "77".into()], vec!["Odd".into(), "76".into()]], 153));
    let nested =
        "SELECT useridentity['arn'], element_at(requestparameters, 'nested'), readonly FROM t WHERE eventid = 'id-151'";
    let expected = ["arn:aws:iam::111122223333:user/u1", r#"{"a":[151]}"#, "false"].map(str::to_owned);
    assert_eq!(world.ask(nested).await.0, [expected]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_leave_out_files_and_row_groups() {
    let world = three_days().await;
    for (condition, rows, read) in [
        ("eventtime >= '2026-03-08' AND eventtime < '2026-03-09'", 50, 53),
        ("eventtime > '2026-03-10 00:00:00'", 3, 3),
        ("eventtime < '2026-03-01'", 0, 3),
        ("eventid = 'id-60'", 1, 53),
        ("eventid = 'id-none'", 0, 3),
        ("useridentity['arn'] = 'arn:aws:iam::111122223333:user/none'", 0, 3),
        ("useridentity['arn'] IN ('nobody', 'nor he')", 0, 3),
        ("'nobody' = useridentity['arn'] AND readonly", 0, 3),
        ("useridentity['arn'] = 'arn:aws:iam::111122223333:user/u1' AND eventtime > '2026-03-09'", 11, 53),
        ("useridentity['arn'] = ''", 0, 153),
        ("eventname = 'Even' AND readonly AND element_at(requestparameters, 'bucketName') IS NOT NULL", 26, 153),
    ] {
        let (found, events) = world.ask(&format!("SELECT eventid FROM t WHERE {condition}")).await;
        assert_eq!((found.len(), events), (rows, read), "{condition}");
    }
    let statistics = Arc::default();
    let context = context(&statistics);
    context.register_table("t", Arc::new(world.table().await)).unwrap();
    let wide =
        context.sql("SELECT eventjson FROM t WHERE eventname = 'Even' AND eventtime < '2026-03-09'").await.unwrap();
    let plan = wide.create_physical_plan().await.unwrap();
    let plan = displayable(plan.as_ref()).indent(true).to_string();
    let scan = plan.lines().find(|line| line.contains("DataSourceExec") && line.contains("parquet")).unwrap();
    assert!(
        scan.contains("predicate=") && scan.contains("eventname"),
        "files are filtered where they are read:\n{plan}"
    );
    assert!(!scan.contains("responseelements"), "only what is asked for is read:\n{plan}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_file_with_several_row_groups_those_without_a_value_are_not_read() {
    const GROUP: usize = 128 << 10;
    let rows = GROUP + FLUSHED;
    let mut world = World::flushing(store(), rows).await;
    let id =
        |n| format!(r#"{{"eventTime":"2026-03-09T10:00:00Z","eventCategory":"Management","eventID":"id-{n:06}"}}"#);
    world.take((0..rows).map(id)).await;
    while world.tables.snapshot(&store().key).await.unwrap().unwrap().files().is_empty() {
        tokio::task::yield_now().await;
    }
    let count = async |ids: &str| {
        let (rows, read) = world.ask(&format!("SELECT count(*), min(eventid) FROM t WHERE eventid IN ({ids})")).await;
        (rows[0][0].parse::<usize>().unwrap(), read as usize)
    };
    assert_eq!(count("'id-000000'").await, (1, GROUP));
    assert_eq!(count("'id-131100'").await, (1, FLUSHED));
    assert_eq!(count("'id-000000', 'id-131100'").await, (2, rows));
    assert_eq!(count("'id-200000'").await, (0, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_past_the_retention_are_hidden_in_files_and_in_memory() {
    let mut world = World::new(EventDataStore { retention_days: 30, ..store() }).await;
    let half = |n: usize| if n.is_multiple_of(2) { "2026-02-10T06:00:00Z" } else { "2026-02-10T18:00:00Z" };
    world.take((0..FLUSHED).map(|n| event(n, half(n), json!({})))).await;
    world.take((FLUSHED..FLUSHED + 4).map(|n| event(n, half(n), json!({})))).await;
    assert_eq!(world.one("SELECT count(*) FROM t").await, "54");
    world.clock.advance(DAY * 2);
    assert_eq!(world.one("SELECT count(*) FROM t").await, "27", "12 o'clock of that day is past");
    assert_eq!(world.one("SELECT count(*) FROM t WHERE eventname = 'Even'").await, "0");
    assert_eq!(world.ask("SELECT eventid FROM t LIMIT 100").await.0.len(), 27);
    world.clock.advance(DAY);
    assert_eq!(world.one("SELECT count(*) FROM t").await, "0");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_is_given_as_the_store_shows_it_with_its_checksum() {
    let mut world = World::new(store()).await;
    let large = event(0, "2026-03-10T10:00:00Z", json!({ "additionalEventData": { "a": "x".repeat(300_000) } }));
    let plain: Vec<String> = (1..FLUSHED).map(|n| event(n, "2026-03-10T10:00:00Z", json!({}))).collect();
    world.take([large].into_iter().chain(plain.clone())).await;
    let (rows, _) = world.ask("SELECT eventjson, eventjsonchecksum, eventid FROM t ORDER BY eventtime, eventid").await;
    let found: BTreeMap<&str, &str> = rows.iter().map(|row| (&*row[2], &*row[0])).collect();
    assert!(found["id-0"].len() < 1000 && !found["id-0"].contains("additionalEventData"), "cut");
    for (n, event) in (1..).zip(&plain) {
        assert_eq!(found[&*format!("id-{n}")], event, "byte for byte");
    }
    for row in &rows {
        assert_eq!(row[1], hex::encode(digest(&SHA256, row[0].as_bytes())));
    }
    let search = "SELECT eventid FROM t WHERE eventjson LIKE '%\"nested\":{\"a\":[7]}%'";
    assert_eq!(world.ask(search).await.0, [["id-7"]]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_orders_give_what_they_should() {
    let world = three_days().await;
    assert_eq!(world.ask("SELECT eventid FROM t LIMIT 7").await.0.len(), 7);
    let last = "SELECT eventid FROM t WHERE eventname = 'Odd' ORDER BY eventtime DESC, eventid DESC LIMIT 2";
    assert_eq!(world.ask(last).await.0, [["id-151"], ["id-149"]].map(|row| row.map(str::to_owned).to_vec()).to_vec());
    let all = world.ask("SELECT * FROM t LIMIT 1").await.0;
    assert_eq!(all[0].len(), 35, "Lake's columns and no others");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_named() {
    let world = three_days().await;
    let table = world.table().await;
    assert_eq!(table.damaged_file(), None);
    let snapshot = world.tables.snapshot(&store().key).await.unwrap().unwrap();
    let file = &snapshot.files()[0].path;
    std::fs::write(file, &std::fs::read(file).unwrap()[..1000]).unwrap();
    assert_eq!(table.damaged_file(), Some(file.display().to_string()));
    let context = context(&Arc::default());
    context.register_table("t", Arc::new(table)).unwrap();
    let failed = context.sql("SELECT count(eventname) FROM t").await.unwrap().collect().await.unwrap_err().to_string();
    assert!(failed.contains(file.file_name().unwrap().to_str().unwrap()), "{failed}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_of_lake_read_no_more_than_they_must() {
    let world = three_days().await;
    let directory = tempfile::tempdir().unwrap();
    let spill_directory = directory.path().to_owned();
    let options = EngineOptions {
        memory_bytes: 64 << 20,
        spill_directory,
        spill_bytes: 1 << 20,
        threads: 2,
        process_bytes: usize::MAX,
        in_use: || 0,
    };
    let engine = Engine::new(&options).unwrap();
    let id = store().key.id;
    for (condition, expected, read) in [
        ("eventTime > '2026-03-09 00:00:00' AND eventTime < '2026-03-10'", 50, 53),
        ("eventTime > date_add('day', -1, current_timestamp)", 3, 3),
        ("eventName = 'Even' AND readOnly = true", 26, 153),
        ("eventId IN ('id-60', 'id-151')", 2, 53),
        ("userIdentity.arn = 'arn:aws:iam::111122223333:user/none'", 0, 3),
        ("userIdentity.arn = 'arn:aws:iam::111122223333:user/u1' AND eventTime > '2026-03-09'", 11, 53),
        ("element_at(requestParameters, 'bucketName') = 'b3'", 22, 153),
    ] {
        let statement = Statement::parse(&format!("SELECT eventId, eventJson FROM {id} WHERE {condition}")).unwrap();
        let table: Arc<dyn TableProvider> = Arc::new(world.table().await);
        let query = engine.plan(&statement, BTreeMap::from([(id, table)]), world.clock.now()).unwrap();
        let (mut rows, mut found) = (query.run(), 0);
        while let Some(some) = rows.next().await.unwrap() {
            found += some.len();
            assert!(some.iter().all(|row| row[1].as_ref().unwrap().contains(row[0].as_ref().unwrap())));
        }
        let statistics = rows.statistics();
        assert_eq!((found, statistics.events_scanned), (expected, read), "{condition}");
        assert_eq!(statistics.bytes_scanned > 0, read > 3, "{condition}");
    }
    world.end().await;
}

/// Real records, one JSON document each; none, with a message, where they are not.
fn real_records() -> Vec<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("OPENTRAIL_SHARED_DATA").map_or(beside, std::path::PathBuf::from);
    let Ok(files) = std::fs::read_dir(&dir) else {
        eprintln!("skipped: no real records in {} (set OPENTRAIL_SHARED_DATA)", dir.display());
        return Vec::new();
    };
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "ndjson"));
    let lines = |path| std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    paths.flat_map(lines).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_records_return_byte_for_byte_and_are_counted_as_a_plain_reading_does() {
    let records: Vec<String> = real_records()
        .into_iter()
        .filter(|record| {
            let value: Value = serde_json::from_str(record).unwrap();
            // The oldest are past the longest retention.
            let kept = value["eventTime"].as_str().is_some_and(|time| time > "2016-04");
            let category = value["eventCategory"].as_str();
            kept && category.unwrap_or(if value["managementEvent"] == false { "Data" } else { "Management" })
                == "Management"
        })
        .collect();
    if records.is_empty() {
        return;
    }
    let mut world = World::new(store()).await;
    for part in records.chunks(120) {
        world.take(part.to_vec()).await;
    }
    let (found, _) = world.ask("SELECT eventjson FROM t").await;
    let mut found: Vec<String> = found.into_iter().map(|mut row| row.remove(0)).collect();
    let mut expected = records.clone();
    found.sort();
    expected.sort();
    assert!(found == expected, "every record returns byte for byte");
    let values: Vec<Value> = records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
    for (column, path) in [
        ("eventname", "/eventName"),
        ("eventsource", "/eventSource"),
        ("errorcode", "/errorCode"),
        ("useragent", "/userAgent"),
        ("sourceipaddress", "/sourceIPAddress"),
        ("useridentity['arn']", "/userIdentity/arn"),
        (
            "useridentity['sessioncontext']['sessionissuer']['username']",
            "/userIdentity/sessionContext/sessionIssuer/userName",
        ),
        ("tlsdetails['tlsversion']", "/tlsDetails/tlsVersion"),
        ("element_at(requestparameters, 'bucketName')", "/requestParameters/bucketName"),
    ] {
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for text in values.iter().filter_map(|value| value.pointer(path)?.as_str()) {
            *counts.entry(text).or_default() += 1;
        }
        let context = context(&Arc::default());
        context.register_table("t", Arc::new(world.table().await)).unwrap();
        let sql = format!("SELECT {column} AS c, count(*) FROM t WHERE {column} IS NOT NULL GROUP BY 1");
        let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
        let mut found: BTreeMap<String, i64> = BTreeMap::new();
        for batch in &batches {
            let texts = cast(batch.column(0), &DataType::Utf8).unwrap();
            let texts = texts.as_string::<i32>().iter().map(|text| text.unwrap().to_owned());
            found.extend(texts.zip(batch.column(1).as_primitive::<Int64Type>().values().iter().copied()));
        }
        let counts: BTreeMap<String, i64> = counts.into_iter().map(|(text, n)| (text.to_owned(), n)).collect();
        assert_eq!(found, counts, "{column}");
    }
    world.end().await;
}
