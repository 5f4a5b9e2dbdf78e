use std::fs::{self, File};

use opentrail_model::Position;
use opentrail_verify::{Area, FsckError};

use crate::world::{LAST, World, world};

fn listing(world: &World) -> Vec<(String, Vec<u8>)> {
    let names = world.files("", "");
    names.into_iter().map(|name| (name.clone(), fs::read(world.path(&name)).unwrap())).collect()
}

#[tokio::test]
async fn a_sound_directory_is_clean_and_left_as_it_is() {
    let world = world().await;
    let before = listing(&world);
    let report = world.check().await;
    assert_eq!(report.findings, []);
    assert!(report.is_sound());
    assert_eq!((report.first_position, report.last_position), (Some(Position(1)), Position(LAST)));
    assert!(listing(&world) == before, "nothing was written");

    let checked = |area: Area, what: &str| report.areas[area as usize].checked.get(what).copied().unwrap_or_default();
    assert_eq!(checked(Area::Journal, "entries"), LAST);
    assert!(checked(Area::Journal, "segments") > 2);
    assert_eq!(checked(Area::Catalog, "documents"), 7);
    assert!(checked(Area::History, "checkpoints") > 0);
    assert_eq!(checked(Area::History, "records compared with the journal"), checked(Area::History, "rows"));
    assert!(checked(Area::History, "rows") > 200);
    assert_eq!(checked(Area::History, "checksums of files"), checked(Area::History, "files"));
    assert_eq!(checked(Area::Objects, "buckets"), 1);
    assert_eq!(checked(Area::Delivery, "digests"), 1);
    assert_eq!(checked(Area::Delivery, "log files in digests"), 1);
    assert_eq!(checked(Area::Delivery, "files that the catalog names"), 2);
}

#[tokio::test]
async fn a_directory_that_a_server_holds_is_refused_by_process() {
    let world = world().await;
    let lock = File::open(world.path("LOCK")).unwrap();
    lock.lock().unwrap();
    let refused = world.try_check().await.unwrap_err();
    assert!(matches!(&refused, FsckError::InUse { holder, .. } if holder == "4242"), "{refused}");
    lock.unlock().unwrap();
    assert!(world.check().await.is_sound());
}

#[tokio::test]
async fn something_else_than_a_data_directory_is_refused() {
    let world = world().await;
    fs::remove_dir_all(world.path("journal")).unwrap();
    world.remove("catalog.sqlite");
    assert!(matches!(world.try_check().await, Err(FsckError::NotADataDirectory { .. })));
}
