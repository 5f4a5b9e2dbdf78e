use std::fs::{self, File};

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

#[tokio::test]
async fn flipped_bytes_of_records_and_their_ids_are_noticed() {
    let world = world().await;
    let file = data(&world).remove(0);
    let reader = SerializedFileReader::new(File::open(world.path(&file)).unwrap()).unwrap();
    let group = reader.metadata().row_group(0);
    let (mut flips, mut unnoticed) = (0, Vec::new());
    for name in ["event_id", "raw"] {
        let column = group.columns().iter().find(|column| column.column_path().string() == name).unwrap();
        let (start, length) = column.byte_range();
        // The values, behind the page's head, whose statistics nobody needs.
        for offset in (start + length / 2..start + length).step_by(7) {
            flips += 1;
            world.flip(&file, offset);
            if !world.check().await.findings.iter().any(|found| found.path == file) {
                unnoticed.push(offset);
            }
            world.flip(&file, offset);
        }
    }
    // A few bits of a compressed page are never read; without them the records are still the journal's.
    assert!(unnoticed.len() * 20 < flips, "of {flips} flips those at {unnoticed:?} went unnoticed");
    assert!(world.check().await.is_sound());
}

#[tokio::test]
async fn a_file_in_the_place_of_another_is_noticed() {
    let world = world().await;
    let files = data(&world);
    world.swap(&files[0], &files[1]);
    let report = world.check().await;
    damage(&report, Area::History, "lies outside what the table's log says of the file");
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
