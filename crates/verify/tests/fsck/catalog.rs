use std::fs;

use opentrail_catalog::{Catalog, Change, Expect, SqliteCatalog};
use opentrail_verify::Area;

use crate::world::{damage, damaged, remark, world};

const WORKER: &str = "111122223333/us-east-1/main";

#[tokio::test]
async fn a_damaged_page_is_named() {
    let world = world().await;
    let size = fs::metadata(world.path("catalog.sqlite")).unwrap().len();
    // The second page is the table's; its header tells what kind of page it is.
    assert!(size > 4096);
    for offset in 4096..4104 {
        world.flip("catalog.sqlite", offset);
    }
    let report = world.check().await;
    assert!(damaged(&report).contains(&Area::Catalog), "{report:#?}");
    remark(&report, Area::Delivery, "deliveries were not checked");
}

#[tokio::test]
async fn a_missing_or_foreign_file_is_named() {
    let world = world().await;
    fs::write(world.path("catalog.sqlite"), "no database").unwrap();
    damage(&world.check().await, Area::Catalog, "cannot be read");
    world.remove("catalog.sqlite");
    damage(&world.check().await, Area::Catalog, "the catalog is missing");
}

#[tokio::test]
async fn a_document_that_cannot_be_understood_is_named() {
    let world = world().await;
    world.edit("delivery-workers", WORKER, |_| serde_json::json!({ "cursor": "far" })).await;
    let report = world.check().await;
    let found = damage(&report, Area::Catalog, "cannot be understood");
    assert_eq!(found.path, format!("catalog.sqlite:delivery-workers/{WORKER}"));
}

#[tokio::test]
async fn a_digest_key_with_the_fingerprint_of_another_is_named() {
    let world = world().await;
    let catalog = SqliteCatalog::open(&world.path("catalog.sqlite")).await.unwrap();
    let key = catalog.list("digest-keys", "", "", 1).await.unwrap().remove(0).key;
    catalog.close().await;
    world
        .edit("digest-keys", &key, |mut key| {
            key["fingerprint"] = "0".repeat(32).into();
            key
        })
        .await;
    damage(&world.check().await, Area::Catalog, "is not that of its public key");
}

#[tokio::test]
async fn a_kind_of_a_later_release_is_a_remark() {
    let world = world().await;
    let catalog = SqliteCatalog::open(&world.path("catalog.sqlite")).await.unwrap();
    catalog.commit(vec![Change::put("dashboards", "one", Expect::Absent, &1)]).await.unwrap();
    catalog.close().await;
    let report = world.check().await;
    remark(&report, Area::Catalog, "a kind that this release does not know");
    assert!(report.is_sound());
}

#[tokio::test]
async fn commits_that_only_the_log_has_are_read_and_the_log_is_left_alone() {
    let world = world().await;
    let catalog = SqliteCatalog::open(&world.path("catalog.sqlite")).await.unwrap();
    catalog.commit(vec![Change::put("delivery-supervisor", "position", Expect::Anything, &1_000_000)]).await.unwrap();
    // As a kill would leave them: the file without the commit, the log with it.
    let names = ["catalog.sqlite", "catalog.sqlite-wal"];
    let killed = names.map(|name| fs::read(world.path(name)).unwrap());
    catalog.close().await;
    for (name, bytes) in names.iter().zip(&killed) {
        fs::write(world.path(name), bytes).unwrap();
    }
    let before = world.files("", "catalog");
    let report = world.check().await;
    let found = damage(&report, Area::Delivery, "its position 1000000 is past the journal's end");
    assert_eq!(found.path, "catalog.sqlite:delivery-supervisor/position");
    assert_eq!(world.files("", "catalog"), before);
    assert_eq!(names.map(|name| fs::read(world.path(name)).unwrap()), killed);
}
