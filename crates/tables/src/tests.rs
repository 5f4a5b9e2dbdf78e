use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BinaryArray, RecordBatch, new_null_array};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use opentrail_catalog::{Catalog, CatalogExt, MemoryCatalog};
use opentrail_event::EventBatch;
use opentrail_journal::{Entry, MemoryJournal};
use opentrail_lake::{FileWriter, LakeError, Table, write_file};
use opentrail_model::{AdvancedEventSelector, FieldSelector, Position, SelectorField, Source, Timestamp};
use opentrail_projection::{Feed, Projection};
use opentrail_runtime::{Clock, ManualClock, SystemRandom};
use opentrail_stores::{
    ChannelKey, ContextKeySelector, ContextKeyType, DataKeys, EventConfiguration, EventDataStore, Kind, MaxEventSize,
    OrganizationScope, StoreChange, StoreKey,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::Snapshot;
use crate::budget::Budget;
use crate::columns::{Kept, LAYOUT, Rows, table_spec};
use crate::maintenance::maintain;
use crate::projection::{StoreProjection, Surroundings};
use crate::schema;
use crate::selection::time_of;
use crate::state::{TABLES, TableState};
use crate::table::StoreTable;
use crate::tables::TablesOptions;
use crate::{ImportChunk, ImportedEvent, PrincipalTags, TableError};

#[cfg(debug_assertions)]
mod failing_disk;
mod sealed;

const ACCOUNT: &str = "111122223333";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
struct NoTags;

impl PrincipalTags for NoTags {
    fn of(&self, _: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// A store's projection over entries that the test makes.
struct World {
    dir: tempfile::TempDir,
    catalog: Arc<dyn Catalog>,
    clock: Arc<ManualClock>,
    entries: Vec<Entry>,
    options: TablesOptions,
    keys: DataKeys,
}

fn store(version: u64, categories: &[&str]) -> EventDataStore {
    let selector = |category: &&str| AdvancedEventSelector {
        name: None,
        field_selectors: vec![FieldSelector {
            equals: vec![(*category).to_owned()],
            ..FieldSelector::of(SelectorField::EventCategory)
        }],
    };
    let key = StoreKey {
        account: ACCOUNT.parse().unwrap(),
        home_region: "us-east-1".parse().unwrap(),
        id: Uuid::from_u128(7),
    };
    let selectors = categories.iter().map(selector).collect();
    EventDataStore {
        version,
        multi_region: false,
        retention_days: 30,
        ..EventDataStore::new(key, "store", selectors, Timestamp::EPOCH)
    }
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-03-10T12:00:00Z".parse().unwrap()));
        let dir = tempfile::tempdir().unwrap();
        let catalog = Arc::new(MemoryCatalog::default());
        let keys = DataKeys::none(clock.clone(), Arc::new(SystemRandom));
        Self { dir, catalog, clock, entries: Vec::new(), options: TablesOptions::default(), keys }
    }

    fn entry(&mut self, source: Source, account: &str, body: Bytes) -> u64 {
        let position = self.entries.len() as u64 + 1;
        let (account, received) = (account.parse().unwrap(), self.clock.now());
        self.entries.push(Entry { position: Position(position), source, account, received, body });
        position
    }

    /// A record of now; returns its position.
    fn record(&mut self, category: &str) -> u64 {
        self.record_with(category, json!({}))
    }

    fn record_with(&mut self, category: &str, more: serde_json::Value) -> u64 {
        let mut record = json!({
            "eventTime": self.clock.now().to_iso(), "awsRegion": "us-east-1", "eventCategory": category,
            "eventID": format!("id-{}", self.entries.len()), "eventName": "Probe",
            "resources": [{ "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::b/k" }],
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.entry(Source::Records, ACCOUNT, record.to_string().into())
    }

    fn change(&mut self, store: EventDataStore) -> u64 {
        let body = StoreChange::PutEventDataStore(Box::new(store)).to_bytes();
        self.entry(Source::Control, ACCOUNT, body)
    }

    /// A new process's projection, and where its table comes to be known.
    async fn open(&self) -> (StoreProjection, watch::Receiver<Option<Arc<StoreTable>>>) {
        let key = store(1, &[]).key;
        let stored = self.catalog.find::<TableState>(TABLES, &key.to_string()).await.unwrap();
        // Of the kind that the creation says, as the supervisor makes it.
        let kind = self.entries.iter().find_map(|entry| match StoreChange::from_bytes(&entry.body) {
            Some(StoreChange::PutEventDataStore(store)) => Some(store.kind()),
            _ => None,
        });
        let fresh = TableState { begin: Position::START, kind, settings: None, dropped: false };
        let state = stored.map_or(fresh, |document| document.value);
        let feed = Feed::new(Arc::new(MemoryJournal::default()));
        let (sender, receiver) = watch::channel(None);
        let around = Surroundings {
            catalog: Arc::clone(&self.catalog),
            clock: self.clock.clone(),
            options: self.options.clone(),
            dir: self.dir.path().join("table"),
            share: Arc::new(Budget::new(self.options.memory_bytes)).share(),
            tags: Arc::new(NoTags),
            keys: self.keys.clone(),
            opened: sender,
            tail: Position(self.entries.len() as u64),
            starting: Some(feed.follow("starting", Position::START)),
        };
        (StoreProjection::new(key, state, around), receiver)
    }

    fn batch(&self, after: Position) -> Arc<EventBatch> {
        Arc::new(EventBatch::decode(after, &self.entries[usize::try_from(after.0).unwrap()..]))
    }

    /// Applies all entries that the projection has not, and ends it as a stop does.
    async fn run(&self) -> Position {
        let (mut projection, _) = self.open().await;
        let from = projection.resume().await.unwrap();
        projection.apply(&self.batch(from)).await.unwrap();
        projection.finish().await.unwrap()
    }

    /// The table's rows as position and raw record, in the order of positions; each file is in order itself.
    async fn rows(&self) -> Vec<(u64, Bytes)> {
        let (mut projection, opened) = self.open().await;
        projection.resume().await.unwrap();
        let table = opened.borrow().clone().unwrap();
        let files = table.table.lock().await.files().unwrap();
        let mut rows = Vec::new();
        for file in files {
            file.verify(&table.dir).unwrap();
            let mut places = Vec::new();
            for batch in read(&table.dir.join(&file.path)) {
                places.extend(crate::file::places(&batch).unwrap());
                let positions = batch.column_by_name("position").unwrap().as_primitive::<Int64Type>().clone();
                let raw = batch.column_by_name("raw").unwrap().as_binary::<i32>().clone();
                for (position, raw) in positions.iter().zip(raw.iter()) {
                    rows.push((position.unwrap().cast_unsigned(), Bytes::copy_from_slice(raw.unwrap())));
                }
            }
            assert!(places.is_sorted(), "rows of {} are in order", file.path);
        }
        rows.sort();
        rows
    }

    /// The column `eventjson`, in the order of positions.
    async fn shown(&self) -> Vec<Option<Bytes>> {
        let (mut projection, opened) = self.open().await;
        projection.resume().await.unwrap();
        let table = opened.borrow().clone().unwrap();
        let files = table.table.lock().await.files().unwrap();
        let mut shown = Vec::new();
        for batch in files.iter().flat_map(|file| read(&table.dir.join(&file.path))) {
            let positions = batch.column_by_name("position").unwrap().as_primitive::<Int64Type>().clone();
            let texts = batch.column_by_name("eventjson").unwrap().as_string::<i32>().clone();
            let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
            shown.extend(positions.iter().zip(texts.iter()).map(|(at, text)| (at, text.map(bytes))));
        }
        shown.sort();
        shown.into_iter().map(|(_, text)| text).collect()
    }

    async fn positions(&self) -> Vec<u64> {
        self.rows().await.into_iter().map(|(position, _)| position).collect()
    }
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn what_the_selectors_take_comes_into_the_table_byte_for_byte() {
    let mut world = World::new();
    world.record("Management");
    world.change(store(1, &["Management"]));
    let kept = world.record("Management");
    world.record("Data");
    world.record_with("Management", json!({ "awsRegion": "eu-west-1" }));
    world.entry(Source::Records, "444455556666", Bytes::from_static(br#"{"eventCategory":"Management"}"#));
    world.entry(Source::Import, ACCOUNT, Bytes::from_static(br#"{"eventCategory":"Management"}"#));
    let odd = world.entry(Source::Api, ACCOUNT, Bytes::from_static(b"{ \"eventTime\": 7, \"eventName\": [1] }"));
    assert_eq!(world.run().await, Position(world.entries.len() as u64));
    let expected: Vec<(u64, Bytes)> = [kept, odd].map(|at| (at, world.entries[at as usize - 1].body.clone())).to_vec();
    assert_eq!(world.rows().await, expected);
}

#[tokio::test]
async fn a_store_of_an_organization_takes_the_events_of_its_members() {
    let mut world = World::new();
    let scope = |members: &[&str]| OrganizationScope {
        id: "o-exampleorgid".parse().unwrap(),
        members: members.iter().map(|account| account.parse().unwrap()).collect(),
    };
    let shared = |version, members: &[&str]| {
        let mut store = store(version, &["Management"]);
        store.set_organization(Some(scope(members)));
        store
    };
    let event = || Bytes::from_static(br#"{"eventCategory":"Management","awsRegion":"us-east-1"}"#);
    world.change(shared(1, &[ACCOUNT, "444455556666"]));
    let own = world.entry(Source::Api, ACCOUNT, event());
    let member = world.entry(Source::Api, "444455556666", event());
    world.entry(Source::Api, "777788889999", event());
    world.change(shared(2, &[ACCOUNT, "777788889999"]));
    world.entry(Source::Api, "444455556666", event());
    let joined = world.entry(Source::Api, "777788889999", event());
    world.change(store(3, &["Management"]));
    world.entry(Source::Api, "777788889999", event());
    world.run().await;
    assert_eq!(world.positions().await, [own, member, joined]);
}

#[tokio::test]
async fn a_store_of_audit_logs_takes_what_its_channels_lead_to_it() {
    let mut world = World::new();
    let key = |id| ChannelKey {
        account: ACCOUNT.parse().unwrap(),
        home_region: "us-east-1".parse().unwrap(),
        id: Uuid::from_u128(id),
    };
    let event = |channel: &ChannelKey| -> Bytes {
        let metadata = json!({ "channelARN": channel.arn().to_string() });
        let event = json!({ "eventCategory": "ActivityAuditLog", "awsRegion": "us-east-1", "metadata": metadata });
        event.to_string().into()
    };
    let (first, second) = (key(1), key(2));
    let by = |channels: &[&ChannelKey]| channels.iter().map(|&key| key.clone()).collect();
    let audits = |version, channels| EventDataStore { channels, ..store(version, &["ActivityAuditLog"]) };
    world.change(audits(1, by(&[&first])));
    let one = world.entry(Source::Channel, ACCOUNT, event(&first));
    world.entry(Source::Channel, ACCOUNT, event(&second));
    // Whoever may put records cannot make one of a channel.
    world.entry(Source::Records, ACCOUNT, event(&first));
    world.entry(Source::Channel, ACCOUNT, Bytes::from_static(br#"{"eventCategory":"ActivityAuditLog"}"#));
    world.change(audits(2, by(&[&second])));
    world.entry(Source::Channel, ACCOUNT, event(&first));
    let two = world.entry(Source::Channel, ACCOUNT, event(&second));
    world.run().await;
    assert_eq!(world.positions().await, [one, two]);
}

#[tokio::test]
async fn a_store_of_insights_takes_those_of_its_sources_and_those_made_elsewhere() {
    let mut world = World::new();
    let key = |id| StoreKey {
        account: ACCOUNT.parse().unwrap(),
        home_region: "us-east-1".parse().unwrap(),
        id: Uuid::from_u128(id),
    };
    let insight = |source: &StoreKey| -> Bytes {
        let source = source.arn().to_string();
        json!({ "eventCategory": "Insight", "awsRegion": "eu-west-1", "insightSource": source }).to_string().into()
    };
    let (first, second) = (key(1), key(2));
    let mut destination = store(1, &["Insight"]);
    destination.multi_region = false;
    destination.insight_sources = [first.clone()].into();
    world.change(destination);
    let one = world.entry(Source::StoreInsights, ACCOUNT, insight(&first));
    world.entry(Source::StoreInsights, ACCOUNT, insight(&second));
    // What trails get is another record of the same.
    let of_trails = Bytes::from_static(br#"{"eventCategory":"Insight","awsRegion":"us-east-1","insightDetails":{}}"#);
    world.entry(Source::Insights, ACCOUNT, of_trails.clone());
    let two = world.entry(Source::Records, ACCOUNT, of_trails);
    world.run().await;
    assert_eq!(world.positions().await, [one, two]);
}

#[tokio::test]
async fn settings_hold_from_their_position_on_and_over_a_restart() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    let first = world.record("Management");
    world.change(store(2, &["Data"]));
    world.record("Management");
    let second = world.record("Data");
    world.run().await;
    world.change(EventDataStore { ingesting: false, ..store(3, &["Data"]) });
    world.record("Data");
    world.change(store(2, &["Data"]));
    world.record("Data");
    world.run().await;
    world.change(store(4, &["Data", "Management"]));
    let last = [world.record("Data"), world.record("Management")];
    world.change(EventDataStore { gone_at: Some(world.clock.now() + DAY), ..store(5, &["Data"]) });
    world.record("Data");
    world.run().await;
    assert_eq!(world.positions().await, [&[first, second][..], &last].concat());
}

#[tokio::test]
async fn what_a_kill_leaves_undone_is_done_again_and_nothing_twice() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    let mut all: Vec<u64> = (0..5).map(|_| world.record("Management")).collect();
    let (mut projection, _) = world.open().await;
    let from = projection.resume().await.unwrap();
    projection.apply(&world.batch(from)).await.unwrap();
    // Killed with rows in memory: only the settings are durable.
    drop(projection);
    all.push(world.record("Management"));
    world.run().await;
    // Offered once more from the start, as after an error.
    let (mut projection, _) = world.open().await;
    projection.resume().await.unwrap();
    projection.apply(&world.batch(Position::START)).await.unwrap();
    projection.finish().await.unwrap();
    assert_eq!(world.positions().await, all);
}

#[tokio::test]
async fn a_flush_comes_with_age_with_rows_and_when_memory_is_used_up() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    world.record("Management");
    let (mut projection, opened) = world.open().await;
    let from = projection.resume().await.unwrap();
    let applied = projection.apply(&world.batch(from)).await.unwrap();
    assert!(applied < Position(2), "in memory");
    assert_eq!(opened.borrow().clone().unwrap().recent.read().rows(), 1);
    world.clock.advance(world.options.flush_age);
    assert_eq!(projection.idle(world.clock.now()).await.unwrap(), Position(2));
    assert_eq!(opened.borrow().clone().unwrap().recent.read().rows(), 0);
    // Nothing for the store: its position alone waits longer.
    world.record("Data");
    projection.apply(&world.batch(Position(2))).await.unwrap();
    world.clock.advance(world.options.flush_age);
    assert_eq!(projection.idle(world.clock.now()).await.unwrap(), Position(2));
    world.clock.advance(world.options.position_age);
    assert_eq!(projection.idle(world.clock.now()).await.unwrap(), Position(3));
    drop(projection);
    for options in [
        TablesOptions { flush_rows: 2, ..TablesOptions::default() },
        TablesOptions { flush_bytes: 1, ..TablesOptions::default() },
        TablesOptions { memory_bytes: 1, ..TablesOptions::default() },
    ] {
        world.options = options;
        let after = Position(world.entries.len() as u64);
        for _ in 0..2 {
            world.record("Management");
        }
        let (mut projection, _) = world.open().await;
        projection.resume().await.unwrap();
        let flushed = projection.apply(&world.batch(after)).await.unwrap();
        assert_eq!(flushed, Position(world.entries.len() as u64), "{:?}", world.options);
    }
}

#[tokio::test]
async fn small_files_are_merged_and_old_days_go() {
    let mut world = World::new();
    world.options.vacuum_age = Duration::ZERO;
    world.change(store(1, &["Management"]));
    let old = world.record_with("Management", json!({ "eventTime": "2026-02-09T23:00:00Z" }));
    let mut kept = Vec::new();
    for _ in 0..10 {
        world.clock.advance(Duration::from_secs(60));
        kept.push(world.record("Management"));
        world.run().await;
    }
    assert_eq!(world.positions().await, [&[old][..], &kept].concat());
    let (mut projection, opened) = world.open().await;
    projection.resume().await.unwrap();
    let table = opened.borrow().clone().unwrap();
    let count = async || table.table.lock().await.files().unwrap().len();
    assert_eq!(count().await, 11);
    maintain(&table, &world.options, &*world.clock, false).await.unwrap();
    assert_eq!(count().await, 2, "a day's ten are one, and the old day's file is there");
    world.clock.advance(DAY * 2);
    maintain(&table, &world.options, &*world.clock, true).await.unwrap();
    assert_eq!(count().await, 1, "the day is over, and the old one past its retention");
    assert_eq!(world.positions().await, kept);
    let partitions = std::fs::read_dir(&table.dir).unwrap().count();
    assert_eq!(partitions, 2, "the log and one day: the vacuum took the rest");
}

#[tokio::test]
async fn events_past_the_retention_do_not_come_in() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    world.record_with("Management", json!({ "eventTime": "2026-01-01T00:00:00Z" }));
    let early = world.record_with("Management", json!({ "eventTime": "2999-01-01T00:00:00Z" }));
    world.run().await;
    assert_eq!(world.positions().await, [early], "a time that cannot be is that of the arrival");
}

#[tokio::test]
async fn what_is_shown_otherwise_than_it_came_is_kept_beside_it() {
    let mut world = World::new();
    let configuration = EventConfiguration {
        max_event_size: MaxEventSize::Large,
        context_key_selectors: vec![ContextKeySelector {
            kind: ContextKeyType::RequestContext,
            equals: vec!["aws:RequestedRegion".into()],
        }],
    };
    world.change(store(1, &["Management"]));
    world.record_with("Management", json!({ "requestParameters": { "a": "x".repeat(300_000) } }));
    world.record("Management");
    world.change(EventDataStore { event_configuration: configuration, ..store(2, &["Management"]) });
    world.record("Management");
    world.run().await;
    let raw: Vec<Bytes> = world.rows().await.into_iter().map(|(_, raw)| raw).collect();
    let sent: Vec<Bytes> = [1, 2, 4].map(|at: usize| world.entries[at].body.clone()).to_vec();
    assert_eq!(raw, sent, "the evidence is untouched");
    let shown = world.shown().await;
    assert!(shown[0].as_ref().unwrap().len() < 1000, "cut");
    assert_eq!(shown[1], None);
    let event: serde_json::Value = serde_json::from_slice(shown[2].as_ref().unwrap()).unwrap();
    assert_eq!(event["eventContext"], json!({ "requestContext": { "aws:RequestedRegion": "us-east-1" } }));
}

/// A table as servers of the first layout wrote it: a file with the batch's events of now, the second shown as `{}`.
async fn write_first_layout(world: &World, batch: &EventBatch) {
    let time = |name: &str| Field::new(name, schema::time_type(), true);
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let resource = ["type", "arn"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec();
    let mut fields = vec![Field::new("position", DataType::Int64, true), time("received"), time("eventtime")];
    let texts =
        ["recipientaccountid", "awsregion", "eventcategory", "eventtype", "eventid", "eventname", "eventsource"];
    fields.extend(texts.map(text));
    fields.extend(["readonly", "sessioncredentialfromconsole"].map(|name| Field::new(name, DataType::Boolean, true)));
    fields.extend(["errorcode", "vpcendpointid", "userarn", "accesskeyid", "username"].map(text));
    fields.push(Field::new_list("resources", Field::new_struct("element", resource, true), true));
    fields.extend(["eventjson", "raw"].map(|name| Field::new(name, DataType::Binary, true)));
    let columns = Arc::new(Schema::new(fields.clone()));
    let mut spec = table_spec(&Uuid::from_u128(7).to_string(), Kind::CloudTrail);
    fields.push(Field::new("event_date", DataType::Date32, true));
    spec.schema = Arc::new(Schema::new(fields));
    let dir = world.dir.path().join("table");
    let mut table = Table::open_or_create(&dir, &spec).await.unwrap();
    let kept: Vec<Kept> =
        (0..batch.len()).map(|row| Kept { row, time: time_of(batch.event(row)), shown: None }).collect();
    let Rows { batch: rows, .. } = crate::columns::rows(Kind::CloudTrail, batch, &kept).unwrap();
    let column = |field: &Arc<Field>| match (field.name().as_str(), field.data_type()) {
        ("eventjson", _) => {
            let texts = (0..rows.num_rows()).map(|row| (row == 1).then_some(&b"{}"[..]));
            Arc::new(texts.collect::<BinaryArray>()) as ArrayRef
        }
        ("sessioncredentialfromconsole" | "resources", kind) => new_null_array(kind, rows.num_rows()),
        (name, _) => rows.column_by_name(name).unwrap().clone(),
    };
    let old = RecordBatch::try_new(columns.clone(), columns.fields().iter().map(column).collect()).unwrap();
    let day = world.clock.now().format("%Y-%m-%d");
    let partition = BTreeMap::from([("event_date".to_owned(), day.clone())]);
    let path = format!("event_date={day}/flush-0-{}.parquet", batch.through);
    let fill = |file: &mut FileWriter<'_>| file.write(&old).map(|()| None);
    let file = write_file::<LakeError>(&dir, path, partition, columns, WriterProperties::default(), fill).unwrap();
    table.append(vec![file], batch.through, world.clock.now()).await.unwrap();
}

#[tokio::test]
async fn files_of_the_first_layout_are_read_and_rewritten() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    for _ in 0..3 {
        world.record_with("Management", json!({ "requestParameters": { "a": { "b": 1 } }, "userAgent": "agent" }));
    }
    let old = world.batch(Position::START);
    write_first_layout(&world, &old).await;
    let settings = Some(store(1, &["Management"]));
    let state = TableState { begin: Position::START, kind: None, settings, dropped: false };
    world.catalog.commit(vec![state.put(&store(1, &[]).key)]).await.unwrap();
    world.record("Management");
    assert_eq!(world.run().await, Position(5), "the table goes on where it was");
    assert_eq!(world.positions().await, [2, 3, 4, 5]);
    let (mut projection, opened) = world.open().await;
    projection.resume().await.unwrap();
    let table = opened.borrow().clone().unwrap();
    maintain(&table, &world.options, &*world.clock, false).await.unwrap();
    let files = table.table.lock().await.files().unwrap();
    assert!(files.iter().all(|file| crate::columns::layout_of(file) == LAYOUT), "{files:?}");
    let [old] = &files.iter().filter(|file| file.path.contains("merge-")).collect::<Vec<_>>()[..] else { panic!() };
    let [rows] = &read(&table.dir.join(&old.path))[..] else { panic!("one batch") };
    let agents = rows.column_by_name("useragent").unwrap().as_string::<i32>();
    assert_eq!(agents.iter().collect::<Vec<_>>(), [Some("agent"), None, Some("agent")], "the second is shown as {{}}");
    let parameters = rows.column_by_name("requestparameters").unwrap().as_map().value(2);
    assert_eq!(parameters.column(1).as_string::<i32>().value(0), r#"{"b":1}"#);
    assert_eq!(world.shown().await, [None, Some(Bytes::from_static(b"{}")), None, None]);
    let sent: Vec<Bytes> = world.entries[1..].iter().map(|entry| entry.body.clone()).collect();
    assert_eq!(world.rows().await.into_iter().map(|(_, raw)| raw).collect::<Vec<_>>(), sent);
}

/// The positions of all rows that a snapshot has, sorted.
fn positions_of(snapshot: &Snapshot) -> Vec<u64> {
    let files = snapshot.files().iter().flat_map(|file| read(&file.path));
    let mut positions: Vec<u64> = files
        .chain(snapshot.recent().iter().cloned())
        .flat_map(|batch| batch["position"].as_primitive::<Int64Type>().values().to_vec())
        .map(i64::cast_unsigned)
        .collect();
    positions.sort_unstable();
    positions
}

#[tokio::test]
async fn snapshots_have_every_row_once_while_rows_are_flushed_and_files_merged() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    for _ in 0..400 {
        world.record("Management");
    }
    let (mut projection, opened) = world.open().await;
    projection.resume().await.unwrap();
    let table = opened.borrow().clone().unwrap();
    let written = Cell::new(false);
    let writing = async {
        for (number, entries) in world.entries.chunks(5).enumerate() {
            let after = Position(entries[0].position.0 - 1);
            projection.apply(&Arc::new(EventBatch::decode(after, entries))).await.unwrap();
            if number % 4 == 3 {
                projection.finish().await.unwrap();
            }
        }
        written.set(true);
    };
    let upkeep = async {
        while !written.get() {
            maintain(&table, &world.options, &*world.clock, true).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        let (mut seen, mut last) = (0, false);
        while !last {
            last = written.get();
            let snapshot = Snapshot::take(&table, world.clock.now()).await.unwrap();
            tokio::task::yield_now().await;
            let positions = positions_of(&snapshot);
            assert_eq!(snapshot.rows(), positions.len() as u64);
            let expected: Vec<u64> = (2..).take(positions.len()).collect();
            assert_eq!(positions, expected, "every row once, in order");
            assert!(positions.len() >= seen, "what was seen is seen");
            seen = positions.len();
        }
        seen
    };
    assert_eq!(tokio::join!(writing, upkeep, reading).2, 400);
}

#[tokio::test]
async fn a_snapshot_keeps_its_files_for_the_vacuum_age_and_hides_days_past_the_retention() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    let old = world.record_with("Management", json!({ "eventTime": "2026-02-09T23:00:00Z" }));
    let mut kept = Vec::new();
    for _ in 0..8 {
        kept.push(world.record("Management"));
        world.run().await;
    }
    let (mut projection, opened) = world.open().await;
    projection.resume().await.unwrap();
    let table = opened.borrow().clone().unwrap();
    let snapshot = Snapshot::take(&table, world.clock.now()).await.unwrap();
    let all = [&[old][..], &kept].concat();
    assert_eq!((positions_of(&snapshot), snapshot.rows()), (all.clone(), 9));
    assert_eq!(snapshot.oldest(), Some("2026-02-08T12:00:00Z".parse().unwrap()));
    let first = snapshot.files().iter().find(|file| file.day == "2026-02-09").unwrap();
    let time = "2026-02-09T23:00:00Z".parse().unwrap();
    assert_eq!((first.rows, first.times, first.is_current()), (1, Some((time, time)), true));
    assert_eq!(snapshot.size_bytes(), snapshot.files().iter().map(|file| read_size(&file.path)).sum::<u64>());
    // The files of today are merged away, and the old day goes; whoever reads them still can.
    world.clock.advance(DAY * 2);
    maintain(&table, &world.options, &*world.clock, true).await.unwrap();
    assert_eq!(positions_of(&snapshot), all);
    let later = Snapshot::take(&table, world.clock.now()).await.unwrap();
    assert_eq!((positions_of(&later), later.files().len()), (kept, 1));
    let file = &later.files()[0];
    file.verify().unwrap();
    let mut bytes = std::fs::read(&file.path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file.path, bytes).unwrap();
    let error = file.verify().unwrap_err().to_string();
    assert!(error.contains(file.path.to_str().unwrap()), "{error}");
}

fn read_size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[tokio::test]
async fn rows_that_a_doubtful_commit_left_in_the_table_are_not_seen_twice() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    let position = world.record("Management");
    let (mut projection, opened) = world.open().await;
    let from = projection.resume().await.unwrap();
    projection.apply(&world.batch(from)).await.unwrap();
    let table = opened.borrow().clone().unwrap();
    // A commit that lands and is reported failed: another process's, here, with the same rows.
    world.run().await;
    let before = Snapshot::take(&table, world.clock.now()).await.unwrap();
    assert_eq!((positions_of(&before), before.files().len()), (vec![position], 0));
    table.reload(&mut *table.table.lock().await).await.unwrap();
    let after = Snapshot::take(&table, world.clock.now()).await.unwrap();
    assert_eq!((positions_of(&after), after.files().len()), (vec![position], 1));
}

/// Real records, one JSON document each; none, with a message, where they are not.
pub(crate) fn real_records() -> Vec<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("OPENTRAIL_SHARED_DATA").map_or(beside, std::path::PathBuf::from);
    let Ok(files) = std::fs::read_dir(&dir) else {
        eprintln!("skipped: no real records in {} (set OPENTRAIL_SHARED_DATA)", dir.display());
        return Vec::new();
    };
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "ndjson"));
    paths
        .flat_map(|path| std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// A table's rows that were imported, as their positions and raw records, and how many came from the journal.
async fn imported(world: &World) -> (Vec<(i64, Bytes)>, usize) {
    let all = world.rows().await.into_iter().map(|(position, raw)| (position.cast_signed(), raw));
    let (mut imported, live): (Vec<_>, Vec<_>) = all.partition(|(position, _)| *position < 0);
    imported.sort();
    (imported, live.len())
}

#[tokio::test]
async fn a_chunk_of_an_import_comes_once_with_numbers_of_its_own_between_flushes() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    world.record("Management");
    let (mut projection, opened) = world.open().await;
    let from = projection.resume().await.unwrap();
    projection.apply(&world.batch(from)).await.unwrap();
    let table = opened.borrow().clone().unwrap();
    let budget = Arc::new(Budget::new(1 << 30));
    let event = |n: u32| {
        let (day, account) = (1 + n % 3, "444455556666".parse().unwrap());
        let raw = format!(r#"{{ "eventTime":"2026-03-0{day}T00:00:00Z", "n": {n} }}"#).into();
        ImportedEvent { account, raw }
    };
    let chunk = |number: u64, events: std::ops::Range<u32>| ImportChunk {
        import: Uuid::from_u128(9),
        number,
        received: world.clock.now(),
        events: events.map(event).collect(),
    };
    let import = async |chunk| {
        table.import(chunk, Arc::new(NoTags), budget.share(), world.clock.now()).await.unwrap();
    };
    assert_eq!(table.imported(Uuid::from_u128(9)).await.unwrap(), 0);
    import(chunk(1, 0..3000)).await;
    assert_eq!(table.imported(Uuid::from_u128(9)).await.unwrap(), 1);
    projection.finish().await.unwrap();
    import(chunk(2, 3000..3007)).await;
    let other = ImportChunk { import: Uuid::from_u128(10), ..chunk(1, 3007..3010) };
    import(other).await;
    assert_eq!(table.imported(Uuid::from_u128(9)).await.unwrap(), 2);
    let (rows, live) = imported(&world).await;
    assert_eq!(live, 1);
    let positions: Vec<i64> = rows.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, (-3010..0).collect::<Vec<_>>(), "each number below zero is given once");
    let mut raws: Vec<Bytes> = rows.iter().map(|(_, raw)| raw.clone()).collect();
    raws.sort();
    let mut expected: Vec<Bytes> = (0..3010).map(|n| event(n).raw).collect();
    expected.sort();
    assert_eq!(raws, expected, "byte for byte");
    // A new process finds the same numbers, the same journal position, and merges what there is.
    let (mut projection, opened) = world.open().await;
    assert_eq!(projection.resume().await.unwrap(), Position(world.entries.len() as u64));
    let table = opened.borrow().clone().unwrap();
    assert_eq!(table.imported(Uuid::from_u128(9)).await.unwrap(), 2);
    maintain(&table, &world.options, &*world.clock, false).await.unwrap();
    let files = table.table.lock().await.files().unwrap();
    assert!(files.iter().any(|file| file.path.contains("/merge-")), "{files:?}");
    assert_eq!(imported(&world).await, (rows, 1));
    table.imports.lock().await.over = true;
    let over = table.import(chunk(3, 0..1), Arc::new(NoTags), budget.share(), world.clock.now()).await;
    assert!(matches!(over, Err(TableError::Missing { .. })));
}

#[tokio::test]
async fn a_commit_of_a_chunk_that_failed_is_looked_for_before_the_next() {
    let mut world = World::new();
    world.change(store(1, &["Management"]));
    let (mut projection, opened) = world.open().await;
    projection.resume().await.unwrap();
    let table = opened.borrow().clone().unwrap();
    let log = table.dir.join("_delta_log");
    let budget = Arc::new(Budget::new(1 << 30));
    let chunk = |number| ImportChunk {
        import: Uuid::from_u128(9),
        number,
        received: world.clock.now(),
        events: vec![ImportedEvent {
            account: ACCOUNT.parse().unwrap(),
            raw: Bytes::from_static(br#"{"eventTime":"2026-03-01T00:00:00Z"}"#),
        }],
    };
    let import = |number| table.import(chunk(number), Arc::new(NoTags), budget.share(), world.clock.now());
    import(1).await.unwrap();
    // Somebody is in the way of the next commit: it fails, and nothing of it is there.
    let next = log.join(format!("{:020}.json", table.table.lock().await.version() + 1));
    std::fs::create_dir(&next).unwrap();
    import(2).await.unwrap_err();
    std::fs::remove_dir(&next).unwrap();
    assert_eq!(table.imported(Uuid::from_u128(9)).await.unwrap(), 1);
    // The next commit lands, though nobody was told: as if the answer were lost.
    import(2).await.unwrap();
    table.imports.lock().await.doubtful = true;
    assert_eq!(table.imported(Uuid::from_u128(9)).await.unwrap(), 2);
    assert_eq!(imported(&world).await.0.len(), 2);
}
