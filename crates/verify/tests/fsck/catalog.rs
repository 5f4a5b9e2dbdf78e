use std::fs;

use opentrail_catalog::{Catalog, Change, Expect, SqliteCatalog};
use opentrail_verify::{Area, FsckReport};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::world::{World, damage, damaged, remark, world};

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
    catalog.commit(vec![Change::put("of-a-later-release", "one", Expect::Absent, &1)]).await.unwrap();
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

const LOG: &str = "catalog.sqlite-wal";
const COMMITS: usize = 6;

/// The catalog as a kill leaves it after some commits: the file without them, its log with them.
async fn killed_after(world: &World, changes: impl AsyncFnOnce(&SqliteCatalog)) {
    let catalog = SqliteCatalog::open(&world.path("catalog.sqlite")).await.unwrap();
    changes(&catalog).await;
    let names = ["catalog.sqlite", LOG];
    let killed = names.map(|name| fs::read(world.path(name)).unwrap());
    catalog.close().await;
    for (name, bytes) in names.iter().zip(&killed) {
        fs::write(world.path(name), bytes).unwrap();
    }
}

async fn put(catalog: &SqliteCatalog, number: usize) {
    // More than a page, so that a commit has several frames.
    let body = format!("{number}").repeat(10_000);
    catalog.commit(vec![Change::put("dashboards", "one", Expect::Anything, &body)]).await.unwrap();
}

async fn with_log() -> World {
    let world = world().await;
    killed_after(&world, async |catalog| {
        for number in 0..COMMITS {
            put(catalog, number).await;
        }
    })
    .await;
    world
}

/// Where the log's frames begin, by commit.
fn frames(world: &World) -> Vec<Vec<u64>> {
    let bytes = fs::read(world.path(LOG)).unwrap();
    let mut commits = vec![Vec::new()];
    for (index, frame) in bytes[32..].chunks_exact(24 + 4096).enumerate() {
        commits.last_mut().unwrap().push(32 + index as u64 * (24 + 4096));
        if frame[4..8] != [0; 4] {
            commits.push(Vec::new());
        }
    }
    assert_eq!(commits.pop().unwrap(), [0; 0], "the log ends with a commit");
    assert!(commits.len() >= COMMITS && commits.iter().all(|commit| commit.len() > 1));
    commits
}

fn of_log(report: &FsckReport) -> Vec<(bool, Option<u64>)> {
    let of_log = report.findings.iter().filter(|found| found.path == LOG);
    of_log.map(|found| (found.is_damage, found.offset)).collect()
}

#[tokio::test]
async fn a_damaged_frame_of_the_log_is_named_when_commits_follow_it() {
    let world = with_log().await;
    assert_eq!(of_log(&world.check().await), []);
    let commits = frames(&world);
    // The page's number, its salts, its checksum, the page itself.
    let bytes = [3, 8, 15, 16, 23, 24, 2000, 4119];
    for (commit, frames) in commits.iter().enumerate() {
        let all = bytes.map(|byte| (frames[0], byte));
        for (frame, byte) in all.into_iter().chain(frames[1..].iter().map(|frame| (*frame, 2000))) {
            world.flip(LOG, frame + byte);
            let found = of_log(&world.check().await);
            world.flip(LOG, frame + byte);
            match commit {
                _ if commit + 2 < commits.len() => assert_eq!(found, [(true, Some(frame))], "{frame} {byte}"),
                // A crash could have left the same.
                _ if commit + 1 == commits.len() => assert_eq!(found, [(false, Some(frame))], "{frame} {byte}"),
                _ => assert!(found.len() == 1 && found[0].1 == Some(frame), "{frame} {byte}: {found:?}"),
            }
        }
    }
    world.flip(LOG, commits[0][0] + 1000);
    assert_eq!(damage(&world.check().await, Area::Catalog, "SQLite ignores it and the").path, LOG);
}

#[tokio::test]
async fn a_damaged_header_of_the_log_is_named() {
    let world = with_log().await;
    for byte in (0..32).step_by(3) {
        world.flip(LOG, byte);
        assert_eq!(of_log(&world.check().await), [(true, Some(0))], "{byte}");
        world.flip(LOG, byte);
    }
}

#[tokio::test]
async fn what_a_crash_leaves_of_the_log_is_no_damage() {
    let world = with_log().await;
    let whole = fs::read(world.path(LOG)).unwrap();
    let last = frames(&world).pop().unwrap();
    let (first, end) = (last[0] as usize, whole.len());
    // Cut off, and with holes of a disk that wrote the last commit's pages in an order of its own.
    for cut in [0, 31, 32, 40, first, first + 1, first + 5000, end - 1] {
        fs::write(world.path(LOG), &whole[..cut]).unwrap();
        assert!(!damaged(&world.check().await).contains(&Area::Catalog), "cut at {cut}");
    }
    let mut remarks = 0;
    for hole in (first..end).step_by(1024) {
        let mut torn = whole.clone();
        torn[hole..end.min(hole + 512)].fill(0);
        fs::write(world.path(LOG), torn).unwrap();
        let report = world.check().await;
        assert!(!damaged(&report).contains(&Area::Catalog), "a hole at {hole}: {:#?}", report.findings);
        remarks += of_log(&report).len();
    }
    assert!(remarks > 5);
    fs::write(world.path(LOG), whole).unwrap();
    world.flip(LOG, last[0] + 2000);
    remark(&world.check().await, Area::Catalog, "cannot be told apart");
}

#[tokio::test]
async fn frames_of_an_earlier_round_behind_the_logs_end_are_nothing() {
    let world = world().await;
    killed_after(&world, async |catalog| {
        for number in 0..COMMITS {
            put(catalog, number).await;
        }
        let options = SqliteConnectOptions::new().filename(world.path("catalog.sqlite"));
        let mut other = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(RESTART)").execute(&mut other).await.unwrap();
        other.close().await.unwrap();
        put(catalog, 7).await;
    })
    .await;
    let bytes = fs::read(world.path(LOG)).unwrap();
    let salts: Vec<&[u8]> = bytes[32..].chunks_exact(24 + 4096).map(|frame| &frame[8..16]).collect();
    assert!(salts[0] == &bytes[16..24] && salts[0] != *salts.last().unwrap(), "old frames lie behind the new");
    let report = world.check().await;
    assert_eq!(of_log(&report), []);
    assert!(report.is_sound());
}
