use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{Catalog, Change, Expect, SqliteCatalog};
use opentrail_journal::{Journal, SegmentsJournal, SegmentsOptions};
use opentrail_model::{AdvancedEventSelector, FieldSelector, Region, SelectorField, Source};
use opentrail_projection::Feed;
use opentrail_runtime::{ManualClock, Shutdown, SystemRandom, TaskGroup};
use opentrail_stores::{DataKeys, EventDataStore, StoreChange, StoreKey, Stores};
use opentrail_tables::{ImportChunk, ImportedEvent, PrincipalTags, Tables, TablesDeps, TablesOptions};
use opentrail_verify::Area;
use serde_json::json;
use uuid::Uuid;

use crate::world::{LAST, NOW, OWNER, World, append, damage, damaged, record, remark, world};

const RECORDS: u64 = 20;

#[derive(Debug)]
struct NoTags;

impl PrincipalTags for NoTags {
    fn of(&self, _: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

fn store() -> EventDataStore {
    let management =
        FieldSelector { equals: vec!["Management".into()], ..FieldSelector::of(SelectorField::EventCategory) };
    let key = StoreKey { account: OWNER.parse().unwrap(), home_region: Region::us_east_1(), id: Uuid::from_u128(9) };
    let selectors = vec![AdvancedEventSelector { name: None, field_selectors: vec![management] }];
    EventDataStore { retention_days: 30, ..EventDataStore::new(key, "store", selectors, NOW) }
}

/// The directory with an event data store that has come to the end of the journal.
async fn with_store() -> World {
    with_imported(0).await
}

/// `ImportId`.
const IMPORT: Uuid = Uuid::from_u128(11);

fn import_key() -> String {
    format!("{OWNER}/us-east-1/{IMPORT}")
}

/// The same with so many events in one chunk of an import, if there are any, of which the catalog knows.
async fn with_imported(events: u32) -> World {
    let world = world().await;
    let catalog = Arc::new(SqliteCatalog::open(&world.path("catalog.sqlite")).await.unwrap());
    let segments = SegmentsOptions { segment_bytes: 64 << 10, ..SegmentsOptions::default() };
    let journal: Arc<dyn Journal> = Arc::new(SegmentsJournal::open(&world.path("journal"), segments).unwrap());
    let tasks = TaskGroup::new(Shutdown::new());
    let tables = Tables::start(TablesDeps {
        catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
        feed: Feed::new(Arc::clone(&journal)),
        clock: Arc::new(ManualClock::new(NOW)),
        tags: Arc::new(NoTags),
        keys: DataKeys::none(Arc::new(ManualClock::new(NOW)), Arc::new(SystemRandom)),
        dir: world.path("tables/stores"),
        options: TablesOptions::default(),
        tasks: tasks.clone(),
    })
    .await
    .unwrap();
    Stores::new(Arc::clone(&catalog) as Arc<dyn Catalog>).create(&store()).await.unwrap();
    append(&*journal, Source::Control, vec![StoreChange::PutEventDataStore(Box::new(store())).to_bytes()]).await;
    append(&*journal, Source::Records, (0..RECORDS).map(|number| record(5000 + number)).collect()).await;
    while tables.stores().is_empty() {
        tokio::task::yield_now().await;
    }
    if events > 0 {
        let event = |n| ImportedEvent {
            account: "444455556666".parse().unwrap(),
            raw: format!(r#"{{"eventTime":"2026-01-01T00:00:00Z","eventID":"imported-{n}"}}"#).into(),
        };
        let events = (0..events).map(event).collect();
        let chunk = ImportChunk { import: IMPORT, number: 1, received: NOW, events };
        tables.import(&store().key, chunk).await.unwrap();
        let named = json!({ "account": OWNER, "region": "us-east-1", "id": IMPORT });
        let import = json!({ "key": named, "destination": store().key, "progress": { "chunk": 1 }, "intent": null });
        catalog.commit(vec![Change::put("imports", import_key(), Expect::Absent, &import)]).await.unwrap();
    }
    tasks.shutdown().begin();
    tasks.join(Duration::from_secs(60)).await;
    journal.close().await;
    catalog.close().await;
    world
}

fn table() -> String {
    format!("tables/stores/{}", store().key.id)
}

#[tokio::test]
async fn a_sound_store_is_compared_row_by_row() {
    let world = with_store().await;
    let report = world.check().await;
    assert_eq!(report.findings, []);
    let checked = &report.areas[Area::Stores as usize].checked;
    assert_eq!((checked["tables"], checked["rows"], checked["files"]), (1, RECORDS, checked["checksums of files"]));
}

#[tokio::test]
async fn damage_of_a_file_is_named() {
    let world = with_store().await;
    let [file] = &world.files(&table(), "flush-")[..] else { panic!("one file") };
    world.flip(file, 1000);
    let report = world.check().await;
    assert_eq!(&damage(&report, Area::Stores, "its bytes are not those that were written").path, file);
    assert_eq!(damaged(&report), [Area::Stores]);
    world.remove(file);
    damage(&world.check().await, Area::Stores, "cannot be read");
}

#[tokio::test]
async fn rows_that_are_not_the_journals_are_damage() {
    let world = with_store().await;
    let key = store().key.to_string();
    // As if the store had been made later: some of its rows came before it.
    world
        .edit("store-tables", &key, |mut state| {
            state["begin"] = json!(LAST + 3);
            state
        })
        .await;
    damage(&world.check().await, Area::Stores, "where the table begins");
    world
        .edit("store-tables", &key, |mut state| {
            state["begin"] = json!(LAST + 1000);
            state
        })
        .await;
    damage(&world.check().await, Area::Stores, "but the journal ends at");
}

#[tokio::test]
async fn imported_rows_are_compared_with_the_count_and_the_import_with_the_table() {
    let world = with_imported(5).await;
    let report = world.check().await;
    assert_eq!(report.findings, [], "rows of any account are right");
    let checked = &report.areas[Area::Stores as usize].checked;
    assert_eq!((checked["imports"], checked["rows"]), (1, RECORDS + 5));
    let at = |settled: u64, intended: Option<u64>| {
        move |mut import: serde_json::Value| {
            import["progress"]["chunk"] = json!(settled);
            import["intent"] = json!(intended.map(|chunk| json!({ "progress": { "chunk": chunk } })));
            import
        }
    };
    world.edit("imports", &import_key(), at(0, Some(1))).await;
    assert_eq!(world.check().await.findings, [], "a crash came before the import knew of its chunk");
    world.edit("imports", &import_key(), at(1, Some(2))).await;
    assert_eq!(world.check().await.findings, [], "a crash came before the chunk");
    world.edit("imports", &import_key(), at(2, Some(3))).await;
    damage(&world.check().await, Area::Stores, "2 chunks of the import are done, and the table has 1");
    world.edit("imports", &import_key(), at(0, None)).await;
    damage(&world.check().await, Area::Stores, "0 chunks of the import are done, and the table has 1");
}

#[tokio::test]
async fn what_a_crash_leaves_is_only_worth_a_remark() {
    let world = with_store().await;
    fs::remove_dir_all(world.path(&table())).unwrap();
    fs::create_dir_all(world.path("tables/stores/stray")).unwrap();
    let report = world.check().await;
    remark(&report, Area::Stores, "the next start makes it from the journal");
    remark(&report, Area::Stores, "the table of no store");
    assert!(report.is_sound());
    let dropped = |mut state: serde_json::Value| {
        state["dropped"] = json!(true);
        state
    };
    world.edit("store-tables", &store().key.to_string(), dropped).await;
    remark(&world.check().await, Area::Stores, "removes what is left of its table");
}
