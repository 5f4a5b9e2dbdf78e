//! What survives: crashes at each step of a flush and of a merge, restarts, retention.

#![allow(clippy::unwrap_used, reason = "a test whose preparation fails has failed")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::*;
use opentrail_history::{History, HistoryOptions};
use opentrail_journal::Entry;
use opentrail_model::Position;
use opentrail_projection::Projection;
use opentrail_runtime::Clock;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn minutes(n: u64) -> Vec<Entry> {
    (1..=n).map(|i| event(i, MINUTE * (n - i) as u32, "alice")).collect()
}

fn parquet_files(dir: &Path) -> Vec<PathBuf> {
    let days = std::fs::read_dir(dir).unwrap().map(|day| day.unwrap().path());
    let days = days.filter(|day| day.is_dir() && !day.ends_with("_delta_log"));
    let mut files: Vec<PathBuf> =
        days.flat_map(|day| std::fs::read_dir(day).unwrap().map(|file| file.unwrap().path())).collect();
    files.sort();
    files
}

/// Puts a file in the way of the next commit, so that it fails.
fn block_next_commit(dir: &Path) -> PathBuf {
    let log = dir.join("_delta_log");
    let commits = std::fs::read_dir(&log).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let next = commits.filter(|name| name.ends_with(".json")).filter_map(|name| name[..20].parse::<u64>().ok()).max();
    let path = log.join(format!("{:020}.json", next.unwrap() + 1));
    std::fs::create_dir(&path).unwrap();
    path
}

#[tokio::test]
async fn an_event_is_found_when_apply_returns_and_only_memory_needs_the_journal_again() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let events = minutes(6);
    {
        let (mut projection, history) = open(dir.path(), &clock).await;
        assert_eq!(projection.resume().await.unwrap(), Position::START);
        assert_eq!(projection.apply(&batch(&events[..3])).await.unwrap(), Position::START);
        assert_eq!(ids(&history, query()).await, names([3, 2, 1]));
        assert_eq!(projection.finish().await.unwrap(), Position(3));
        projection.apply(&batch(&events[3..])).await.unwrap();
        assert_eq!(ids(&history, query()).await, names([6, 5, 4, 3, 2, 1]));
        // Killed here: three events were in memory only.
    }
    let (mut projection, history) = open(dir.path(), &clock).await;
    assert_eq!(ids(&history, query()).await, names([3, 2, 1]));
    let resumed = projection.resume().await.unwrap();
    assert_eq!(resumed, Position(3));
    projection.apply(&batch(&events[resumed.0 as usize..])).await.unwrap();
    assert_eq!(ids(&history, query()).await, names([6, 5, 4, 3, 2, 1]));
}

#[tokio::test]
async fn a_batch_offered_again_is_not_taken_twice() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let events = minutes(6);
    let (mut projection, history) = open(dir.path(), &clock).await;
    projection.apply(&batch(&events[..4])).await.unwrap();
    projection.apply(&batch(&events)).await.unwrap();
    projection.finish().await.unwrap();
    projection.apply(&batch(&events)).await.unwrap();
    assert_eq!(ids(&history, query()).await, names([6, 5, 4, 3, 2, 1]));
}

#[tokio::test]
async fn a_crash_between_file_and_commit_loses_and_repeats_nothing() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let events = minutes(5);
    {
        let (mut projection, history) = open(dir.path(), &clock).await;
        projection.apply(&batch(&events)).await.unwrap();
        let obstacle = block_next_commit(dir.path());
        projection.finish().await.unwrap_err();
        assert_eq!(parquet_files(dir.path()).len(), 1, "the file was written");
        assert_eq!(ids(&history, query()).await, names([5, 4, 3, 2, 1]), "memory still answers");
        std::fs::remove_dir(obstacle).unwrap();
    }
    let (mut projection, history) = open(dir.path(), &clock).await;
    assert_eq!(projection.resume().await.unwrap(), Position::START);
    assert!(ids(&history, query()).await.is_empty(), "no commit names the file");
    projection.apply(&batch(&events)).await.unwrap();
    projection.finish().await.unwrap();
    assert_eq!(ids(&history, query()).await, names([5, 4, 3, 2, 1]));
}

#[tokio::test]
async fn a_failed_commit_is_tried_again_without_a_restart() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let events = minutes(5);
    let (mut projection, history) = open(dir.path(), &clock).await;
    projection.apply(&batch(&events[..2])).await.unwrap();
    let obstacle = block_next_commit(dir.path());
    projection.finish().await.unwrap_err();
    std::fs::remove_dir(obstacle).unwrap();
    assert_eq!(projection.resume().await.unwrap(), Position::START);
    projection.apply(&batch(&events)).await.unwrap();
    assert_eq!(projection.finish().await.unwrap(), Position(5));
    assert_eq!(ids(&history, query()).await, names([5, 4, 3, 2, 1]));
}

#[tokio::test]
async fn records_of_other_categories_move_the_position_and_leave_no_row() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    {
        let (mut projection, history) = open(dir.path(), &clock).await;
        let data = entry(1, ACCOUNT, r#"{"eventCategory":"Data","eventID":"id-1","awsRegion":"us-east-1"}"#);
        let network = entry(2, ACCOUNT, r#"{"eventCategory":"NetworkActivity","awsRegion":"us-east-1"}"#);
        projection.apply(&batch(&[data, network])).await.unwrap();
        assert_eq!(projection.finish().await.unwrap(), Position(2));
        assert!(ids(&history, query()).await.is_empty());
    }
    let (mut projection, _) = open(dir.path(), &clock).await;
    assert_eq!(projection.resume().await.unwrap(), Position(2));
    assert!(parquet_files(dir.path()).is_empty());
}

#[tokio::test]
async fn age_flushes_when_idle() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let options = opentrail_history::HistoryOptions { flush_age: MINUTE, ..options() };
    let (mut projection, _) = History::open(dir.path(), options, Arc::clone(&clock) as _).await.unwrap();
    projection.apply(&batch(&minutes(2))).await.unwrap();
    clock.advance(MINUTE - Duration::from_secs(1));
    assert_eq!(projection.idle(NOW + (MINUTE - Duration::from_secs(1))).await.unwrap(), Position::START);
    clock.advance(Duration::from_secs(1));
    assert_eq!(projection.idle(NOW + MINUTE).await.unwrap(), Position(2));
}

#[tokio::test]
async fn merging_changes_nothing_that_is_found_and_survives_a_restart() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let events = minutes(40);
    let expected = names((1..=40).rev());
    {
        let (mut projection, history) = open(dir.path(), &clock).await;
        for event in &events {
            projection.apply(&batch(std::slice::from_ref(event))).await.unwrap();
            projection.finish().await.unwrap();
        }
        let before = walk(&history, query()).await;
        assert_eq!(parquet_files(dir.path()).len(), 40);
        history.maintain().await.unwrap();
        assert_eq!(walk(&history, query()).await, before);
        assert_eq!(ids(&history, query()).await, expected);
        assert!(parquet_files(dir.path()).len() > 40, "the parts stay for readers under way");
    }
    let (mut projection, history) = open(dir.path(), &clock).await;
    assert_eq!(projection.resume().await.unwrap(), Position(40), "a merge keeps the position");
    assert_eq!(ids(&history, query()).await, expected);
}

#[tokio::test]
async fn a_crash_between_merged_file_and_commit_leaves_the_parts() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let (mut projection, history) = open(dir.path(), &clock).await;
    for event in minutes(8) {
        projection.apply(&batch(&[event])).await.unwrap();
        projection.finish().await.unwrap();
    }
    let obstacle = block_next_commit(dir.path());
    history.maintain().await.unwrap_err();
    assert_eq!(parquet_files(dir.path()).len(), 9);
    std::fs::remove_dir(obstacle).unwrap();
    drop((projection, history));
    let (_projection, history) = open(dir.path(), &clock).await;
    assert_eq!(ids(&history, query()).await, names((1..=8).rev()));
    history.maintain().await.unwrap();
    assert_eq!(ids(&history, query()).await, names((1..=8).rev()));
}

#[tokio::test]
async fn events_past_the_retention_are_not_found_and_their_day_goes() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let (mut projection, history) = open(dir.path(), &clock).await;
    let events = [event(1, DAY * 95, "a"), event(2, DAY * 90, "a"), event(3, DAY * 89, "a"), event(4, MINUTE, "a")];
    projection.apply(&batch(&events)).await.unwrap();
    assert_eq!(ids(&history, query()).await, names([4, 3, 2]));
    projection.finish().await.unwrap();
    assert_eq!(ids(&history, query()).await, names([4, 3, 2]));
    clock.advance(Duration::from_millis(1));
    assert_eq!(ids(&history, query()).await, names([4, 3]));
    clock.advance(DAY * 2);
    history.maintain().await.unwrap();
    assert_eq!(ids(&history, query()).await, names([4]));
    assert_eq!(parquet_files(dir.path()).len(), 3, "the bytes stay for readers under way");
    let modified = |path: &PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
    let modified = parquet_files(dir.path()).iter().map(modified).max().unwrap();
    let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    // Counted from when they left the table, which no clock puts before they were written.
    let left = clock.now().max(opentrail_model::Timestamp::EPOCH + modified);
    let age = HistoryOptions::default().vacuum_age;
    clock.set(left + age - Duration::from_secs(1));
    assert_eq!(history.vacuum().await.unwrap(), 0);
    clock.set(left + age + Duration::from_secs(1));
    assert_eq!(history.vacuum().await.unwrap(), 2);
    assert_eq!(parquet_files(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_changed_byte_is_named_and_hides_nothing_nor_gets_a_new_checksum() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let events = minutes(6);
    {
        let (mut projection, _) = open(dir.path(), &clock).await;
        for n in [2, 4, 6] {
            projection.apply(&batch(&events[..n])).await.unwrap();
            projection.finish().await.unwrap();
        }
    }
    let files = parquet_files(dir.path());
    // Just before the footer, where indexes and filters lie: Parquet has no checksum over them.
    let mut bytes = std::fs::read(&files[1]).unwrap();
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let at = bytes.len() - 8 - footer - 20;
    bytes[at] ^= 1;
    std::fs::write(&files[1], bytes).unwrap();
    let (_, history) = open(dir.path(), &clock).await;
    let error = history.lookup(&query()).await.unwrap_err().to_string();
    assert!(error.contains(files[1].file_name().unwrap().to_str().unwrap()), "{error}");
    clock.advance(DAY);
    history.maintain().await.unwrap();
    let left = parquet_files(dir.path());
    assert!(files.iter().all(|file| left.contains(file)), "nothing is vacuumed yet");
    assert_eq!(left.len(), files.len() + 1, "the two whole files are merged: {left:?}");
}

#[tokio::test]
async fn a_table_with_other_columns_is_refused() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    drop(open(dir.path(), &clock).await);
    let commit = dir.path().join("_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&commit).unwrap();
    assert!(text.contains("access_key_id"));
    std::fs::write(&commit, text.replace("access_key_id", "other_column_")).unwrap();
    let error = History::open(dir.path(), options(), clock).await.unwrap_err();
    assert!(error.to_string().contains("its column other_column_ is unknown"), "{error}");
}
