use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;

use opentrail_verify::Area;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::world::{LAST, World, damage, damaged, remark, world};

const TABLE: &str = "tables/history";

fn data(world: &World) -> Vec<String> {
    world.files(TABLE, "flush-")
}

fn commits(world: &World) -> Vec<String> {
    let mut commits = world.files(TABLE, ".json");
    commits.retain(|name| name.contains("_delta_log"));
    commits
}

#[tokio::test]
async fn a_missing_or_cut_file_is_named_and_so_are_its_records() {
    let world = world().await;
    let files = data(&world);
    world.remove(&files[0]);
    world.cut(&files[1], 10);
    let report = world.check().await;
    let named = |file: &String| report.findings.iter().any(|found| found.path == *file && found.is_damage);
    assert!(named(&files[0]) && named(&files[1]));
    damage(&report, Area::History, "is in the journal, but not in the table");
    assert_eq!(damaged(&report), [Area::History]);
}

/// Where parts of a file's first row group lie.
fn parts(path: &Path) -> Vec<(&'static str, Range<u64>)> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let range = |offset: i64, length: i32| offset as u64..offset as u64 + length as u64;
    let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let layout = pairs.iter().find(|pair| pair.key == "opentrail.history.layout").unwrap().value.as_deref().unwrap();
    let layout: serde_json::Value = serde_json::from_str(layout).unwrap();
    let filter = &layout["filters"]["event_id"];
    let (offset, bits) = (filter["offset"].as_u64().unwrap(), filter["bits"].as_u64().unwrap());
    let blocks = layout["blocks"].as_array().unwrap().len() as u64;
    let group = reader.metadata().row_group(0);
    let column = |name: &str| group.columns().iter().find(|column| column.column_path().string() == name).unwrap();
    let values = |name: &str| {
        let (start, length) = column(name).byte_range();
        start..start + length
    };
    let id = column("event_id");
    vec![
        ("ids", values("event_id")),
        ("records", values("raw")),
        ("filter", offset..offset + (bits * blocks).div_ceil(8)),
        ("page index", range(id.offset_index_offset().unwrap(), id.offset_index_length().unwrap())),
    ]
}

#[tokio::test]
async fn a_flipped_byte_anywhere_in_a_file_is_noticed() {
    let world = world().await;
    let file = data(&world).remove(0);
    for (part, range) in parts(&world.path(&file)) {
        assert!(!range.is_empty());
        for offset in range.clone().step_by(range.clone().count().div_ceil(5)).chain([range.end - 1]) {
            world.flip(&file, offset);
            let report = world.check().await;
            let found = damage(&report, Area::History, "its bytes are not those that were written");
            assert_eq!(found.path, file, "{part}");
            if matches!(part, "filter" | "page index") {
                // Every row is still there for whoever reads them all.
                assert_eq!(report.areas[Area::History as usize].damage, 1, "{:#?}", report.findings);
            }
            world.flip(&file, offset);
        }
    }
    assert!(world.check().await.is_sound());
}

#[tokio::test]
async fn a_file_named_without_a_checksum_is_a_remark() {
    let world = world().await;
    let file = data(&world).remove(0);
    let (stem, checksum) = file.strip_suffix(".parquet").unwrap().rsplit_once('-').unwrap();
    fs::rename(world.path(&file), world.path(&format!("{stem}.parquet"))).unwrap();
    for name in commits(&world) {
        let text = fs::read_to_string(world.path(&name)).unwrap();
        fs::write(world.path(&name), text.replace(&format!("-{checksum}"), "")).unwrap();
    }
    let checkpoint = world.files(TABLE, ".checkpoint.parquet").remove(0);
    world.remove(&checkpoint);
    world.remove("tables/history/_delta_log/_last_checkpoint");
    let report = world.check().await;
    assert_eq!(remark(&report, Area::History, "has no checksum").path, format!("{stem}.parquet"));
    assert!(report.is_sound(), "{:#?}", report.findings);
}

#[tokio::test]
async fn a_file_in_the_place_of_another_is_noticed() {
    let world = world().await;
    let files = data(&world);
    world.swap(&files[0], &files[1]);
    let report = world.check().await;
    damage(&report, Area::History, "lies outside what the table's log says of the file");
    for file in &files[..2] {
        let says = |problem: &str| report.findings.iter().any(|f| f.path == *file && f.problem.contains(problem));
        assert!(says("not those that were written"));
    }
}

#[tokio::test]
async fn missing_and_damaged_commits_are_named() {
    let world = world().await;
    let commits = commits(&world);
    let (gone, torn) = (&commits[3], commits.last().unwrap());
    world.remove(gone);
    world.cut(torn, 5);
    let report = world.check().await;
    damage(&report, Area::History, "commits 3 to 3 are missing");
    assert_eq!(damage(&report, Area::History, "is no action").path, *torn);
}

#[tokio::test]
async fn a_damaged_checkpoint_is_named_and_the_commits_still_tell_the_table() {
    let world = world().await;
    let checkpoint = world.files(TABLE, ".checkpoint.parquet").remove(0);
    world.cut(&checkpoint, 20);
    let report = world.check().await;
    assert_eq!(damage(&report, Area::History, "the checkpoint cannot be read").path, checkpoint);
    assert_eq!(report.areas[Area::History as usize].damage, 1);
}

#[tokio::test]
async fn a_table_told_by_a_checkpoint_alone_is_read() {
    let world = world().await;
    let checkpoint = world.files(TABLE, ".checkpoint.parquet").remove(0);
    let number = checkpoint.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();
    for commit in commits(&world) {
        if *commit.rsplit('/').next().unwrap() < *number {
            world.remove(&commit);
        }
    }
    let report = world.check().await;
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn a_row_that_no_commit_names_is_missed() {
    let world = world().await;
    let commits = commits(&world);
    let last = world.path(commits.last().unwrap());
    let text = fs::read_to_string(&last).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with(r#"{"add""#)).collect();
    assert!(without.len() < text.lines().count());
    fs::write(&last, without.join("\n")).unwrap();
    let report = world.check().await;
    damage(&report, Area::History, "is in the journal, but not in the table");
}

#[tokio::test]
async fn a_position_past_the_journals_end_is_named() {
    let world = world().await;
    let commits = commits(&world);
    let last = world.path(commits.last().unwrap());
    let text = fs::read_to_string(&last).unwrap();
    fs::write(&last, text.replace(&format!(r#""version":{}"#, LAST - 4), r#""version":1000000"#)).unwrap();
    let report = world.check().await;
    damage(&report, Area::History, "the table reflects position 1000000, but the journal ends at");
}

#[tokio::test]
async fn a_missing_table_is_a_remark_as_long_as_the_journal_has_everything() {
    let world = world().await;
    fs::remove_dir_all(world.path(TABLE)).unwrap();
    let report = world.check().await;
    remark(&report, Area::History, "the next start makes it from the journal");
    let first = world.files("journal", ".log").remove(0);
    world.remove(&first);
    damage(&world.check().await, Area::History, "the journal begins only at position");
}
