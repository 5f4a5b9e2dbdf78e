use std::fs;
use std::io::Write;

use opentrail_verify::Area;

use crate::world::{damage, damaged, remark, world};

#[tokio::test]
async fn a_flipped_byte_is_named_by_file_and_offset_and_says_what_is_lost() {
    let world = world().await;
    let segments = world.files("journal", ".log");
    world.flip(&segments[1], 32 + 60);
    let report = world.check().await;
    let found = damage(&report, Area::Journal, "a frame fails its checksum");
    assert_eq!((&found.path, found.offset), (&segments[1], Some(32)));
    assert!(found.problem.contains("are lost"), "{}", found.problem);
    assert_eq!(damaged(&report), [Area::Journal], "what the other parts took from it before is still whole");
}

#[tokio::test]
async fn a_damaged_head_is_named() {
    let world = world().await;
    let segments = world.files("journal", ".log");
    world.flip(&segments[1], 20);
    let report = world.check().await;
    assert_eq!(damage(&report, Area::Journal, "head fails its checksum").path, segments[1]);
}

#[tokio::test]
async fn a_missing_segment_is_a_gap() {
    let world = world().await;
    let segments = world.files("journal", ".log");
    world.remove(&segments[1]);
    let report = world.check().await;
    assert_eq!(damage(&report, Area::Journal, "are lost").path, segments[0]);
}

#[tokio::test]
async fn swapped_segments_are_noticed() {
    let world = world().await;
    let segments = world.files("journal", ".log");
    world.swap(&segments[0], &segments[1]);
    let report = world.check().await;
    damage(&report, Area::Journal, "name and head tell different first positions");
}

#[tokio::test]
async fn a_journal_that_ends_before_the_others_lost_entries() {
    let world = world().await;
    let segments = world.files("journal", ".log");
    world.remove(segments.last().unwrap());
    let report = world.check().await;
    damage(&report, Area::History, "it lost entries");
    damage(&report, Area::Delivery, "the journal lost entries");
}

#[tokio::test]
async fn a_journal_that_begins_after_a_position_left_a_gap() {
    let world = world().await;
    let segments = world.files("journal", ".log");
    world.remove(&segments[0]);
    assert!(world.check().await.is_sound(), "everybody has passed the first segment");
    world
        .edit("delivery-workers", "111122223333/us-east-1/main", |mut worker| {
            worker["cursor"] = 3.into();
            worker
        })
        .await;
    let report = world.check().await;
    damage(&report, Area::Delivery, "what lies between was never looked at");
}

#[tokio::test]
async fn a_torn_end_is_a_remark() {
    let world = world().await;
    let last = world.files("journal", ".log").pop().unwrap();
    let bytes = fs::read(world.path(&last)).unwrap();
    let end = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let mut torn = bytes[..end.next_multiple_of(8)].to_vec();
    torn.write_all(b"OTFR\xff\0\0\0half a frame, the rest of which the disk never got").unwrap();
    fs::write(world.path(&last), torn).unwrap();
    let report = world.check().await;
    assert_eq!(remark(&report, Area::Journal, "torn by a crash").path, last);
    assert!(report.is_sound());
}

#[tokio::test]
async fn a_journal_without_segments_is_lost() {
    let world = world().await;
    for segment in world.files("journal", ".log") {
        world.remove(&segment);
    }
    let report = world.check().await;
    damage(&report, Area::Journal, "every entry that it kept is lost");
}
