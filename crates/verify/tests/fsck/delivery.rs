use std::fs;

use opentrail_verify::Area;

use crate::world::{BUCKET, World, damage, damaged, remark, world};

const WORKER: &str = "111122223333/us-east-1/main";

/// The first is in a digest, the second is not.
fn logs(world: &World) -> [String; 2] {
    let mut logs = world.files(&format!("objects/{BUCKET}"), "_CloudTrail_us-east-1_");
    // By time, which a name tells in whole minutes.
    logs.sort_by_key(|name| name.split("_us-east-1_").nth(1).unwrap().to_owned());
    logs.try_into().unwrap()
}

fn digest(world: &World) -> String {
    world.files(&format!("objects/{BUCKET}"), "_CloudTrail-Digest_").remove(0)
}

fn sidecar_of(world: &World, object: &str) -> String {
    let name = object.rsplit('/').next().unwrap();
    let mut all = world.files("objects/.opentrail/meta", ".json");
    all.retain(|path| fs::read_to_string(world.path(path)).unwrap().contains(name));
    all.remove(0)
}

#[tokio::test]
async fn altered_log_files_are_named_in_a_digest_or_not() {
    let world = world().await;
    for log in logs(&world) {
        let size = fs::metadata(world.path(&log)).unwrap().len();
        world.flip(&log, size / 2);
    }
    let report = world.check().await;
    assert_eq!(damaged(&report), [Area::Objects, Area::Delivery]);
    damage(&report, Area::Objects, "their MD5 differs");
    damage(&report, Area::Delivery, "log file: ");
    damage(&report, Area::Delivery, "not what was delivered");
}

#[tokio::test]
async fn deleted_log_files_are_named() {
    let world = world().await;
    for log in logs(&world) {
        world.remove(&log);
    }
    let report = world.check().await;
    damage(&report, Area::Delivery, "log file: not found");
    damage(&report, Area::Delivery, "a delivered log file is missing");
    remark(&report, Area::Objects, "there is metadata, but no bytes");
}

#[tokio::test]
async fn swapped_log_files_are_named() {
    let world = world().await;
    let [one, other] = logs(&world);
    world.swap(&one, &other);
    let report = world.check().await;
    damage(&report, Area::Delivery, "hash value doesn't match");
    damage(&report, Area::Delivery, "the hash differs");
}

#[tokio::test]
async fn a_digest_altered_or_deleted_is_named() {
    let world = world().await;
    let digest = digest(&world);
    world.flip(&digest, 60);
    damage(&world.check().await, Area::Delivery, "digest: ");
    world.remove(&digest);
    damage(&world.check().await, Area::Delivery, "the last digest of a chain is missing");
}

#[tokio::test]
async fn an_exchanged_signature_is_named() {
    let world = world().await;
    let sidecar = world.path(&sidecar_of(&world, &digest(&world)));
    let mut document: serde_json::Value = serde_json::from_slice(&fs::read(&sidecar).unwrap()).unwrap();
    document["versions"][0]["headers"]["user"]["signature"] = "00".repeat(256).into();
    fs::write(&sidecar, document.to_string()).unwrap();
    let report = world.check().await;
    damage(&report, Area::Delivery, "signature verification failed");
    damage(&report, Area::Delivery, "the signature in its metadata is not the one");
}

#[tokio::test]
async fn a_catalog_that_went_back_in_time_is_named() {
    let world = world().await;
    world
        .edit("trails", WORKER, |mut trail| {
            trail["version"] = 0.into();
            trail
        })
        .await;
    let report = world.check().await;
    damage(&report, Area::Delivery, "but the journal has version 1");
    damage(&report, Area::Delivery, "its delivery obeys version 1");
}

#[tokio::test]
async fn a_bucket_elsewhere_is_a_remark() {
    let world = world().await;
    fs::remove_dir_all(world.path("objects")).unwrap();
    let report = world.check().await;
    remark(&report, Area::Delivery, "which is not in the embedded store: not checked");
    assert!(report.is_sound());
}

#[tokio::test]
async fn what_lies_loosely_in_the_store_is_a_remark() {
    let world = world().await;
    world.remove(&sidecar_of(&world, &logs(&world)[0]));
    fs::write(world.path("objects/.opentrail/tmp/1"), "half").unwrap();
    fs::create_dir(world.path("objects/nobodys")).unwrap();
    let report = world.check().await;
    remark(&report, Area::Objects, "it has no metadata");
    remark(&report, Area::Objects, "1 files left half-written");
    remark(&report, Area::Objects, "belongs to no bucket");
    assert_eq!(report.areas[Area::Objects as usize].damage, 0);
}

#[tokio::test]
async fn damaged_metadata_is_named() {
    let world = world().await;
    let sidecar = sidecar_of(&world, &logs(&world)[0]);
    world.cut(&sidecar, 3);
    let report = world.check().await;
    assert_eq!(damage(&report, Area::Objects, "metadata cannot be understood").path, sidecar);
}
