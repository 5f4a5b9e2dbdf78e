//! The promises of a table, each seen after opening it again.

#![allow(clippy::unwrap_used, reason = "a test whose preparation fails has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use opentrail_lake::{DataFile, Table, TableSpec, write_file};
use opentrail_model::{Position, Timestamp};
use parquet::file::properties::WriterProperties;

const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);

fn spec() -> TableSpec {
    TableSpec {
        name: "numbers".into(),
        app_id: "test".into(),
        schema: Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("day", DataType::Utf8, true),
        ])),
        partition_columns: vec!["day".into()],
    }
}

async fn open(dir: &Path) -> Table {
    Table::open_or_create(dir, &spec()).await.unwrap()
}

fn file(dir: &Path, name: &str) -> DataFile {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let partition = BTreeMap::from([("day".to_owned(), "monday".to_owned())]);
    let stats = Some(r#"{"numRecords":3}"#.to_owned());
    let path = format!("day=monday/{name}.parquet");
    write_file(dir, path, partition, stats, &batch, WriterProperties::default()).unwrap()
}

fn names(table: &Table) -> Vec<String> {
    let mut names: Vec<String> = table.files().unwrap().into_iter().map(|file| file.path).collect();
    names.sort();
    names
}

#[tokio::test]
async fn rows_and_position_come_back_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = open(dir.path()).await;
    assert_eq!(table.position().await.unwrap(), Position::START);
    let (a, b) = (file(dir.path(), "a"), file(dir.path(), "b"));
    table.append(vec![a.clone(), b], Position(7), NOW).await.unwrap();
    table.append(Vec::new(), Position(9), NOW).await.unwrap();
    drop(table);
    let table = open(dir.path()).await;
    assert_eq!(table.position().await.unwrap(), Position(9));
    assert_eq!(names(&table), ["day=monday/a.parquet", "day=monday/b.parquet"]);
    let found = table.files().unwrap().into_iter().find(|file| file.path == a.path).unwrap();
    assert_eq!((found.partition, found.size_bytes), (a.partition, a.size_bytes));
    assert!(found.stats.unwrap().contains("numRecords"));
}

#[tokio::test]
async fn replacing_and_deleting_keep_the_position() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = open(dir.path()).await;
    let (a, b) = (file(dir.path(), "a"), file(dir.path(), "b"));
    table.append(vec![a.clone(), b.clone()], Position(7), NOW).await.unwrap();
    let c = file(dir.path(), "c");
    table.replace(&[a, b], vec![c.clone()], NOW).await.unwrap();
    let reopened = open(dir.path()).await;
    assert_eq!(names(&reopened), ["day=monday/c.parquet"]);
    assert_eq!(reopened.position().await.unwrap(), Position(7));
    table.delete(&[c], NOW).await.unwrap();
    let reopened = open(dir.path()).await;
    assert!(names(&reopened).is_empty());
    assert_eq!(reopened.position().await.unwrap(), Position(7));
}

#[tokio::test]
async fn a_table_outlives_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = open(dir.path()).await;
    for i in 1..=120 {
        table.append(vec![file(dir.path(), &format!("f{i}"))], Position(i), NOW).await.unwrap();
    }
    assert!(dir.path().join("_delta_log/_last_checkpoint").exists());
    let reopened = open(dir.path()).await;
    assert_eq!(reopened.files().unwrap().len(), 120);
    assert_eq!(reopened.position().await.unwrap(), Position(120));
}

#[tokio::test]
async fn a_commit_by_another_writer_makes_this_one_fail() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (open(dir.path()).await, open(dir.path()).await);
    one.append(vec![file(dir.path(), "a")], Position(1), NOW).await.unwrap();
    other.append(vec![file(dir.path(), "b")], Position(1), NOW).await.unwrap_err();
    other.reload().await.unwrap();
    assert_eq!(names(&other), ["day=monday/a.parquet"]);
    assert_eq!(other.position().await.unwrap(), Position(1));
}

#[tokio::test]
async fn vacuum_deletes_only_old_files_that_nothing_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = open(dir.path()).await;
    let (active, stray) = (file(dir.path(), "active"), file(dir.path(), "stray"));
    table.append(vec![active.clone()], Position(1), NOW).await.unwrap();
    let modified = dir.path().join(&stray.path).metadata().unwrap().modified().unwrap();
    let written = Timestamp::EPOCH + modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    let hour = Duration::from_secs(3600);
    assert_eq!(table.vacuum(hour, written + hour / 2).await.unwrap(), 0);
    assert_eq!(table.vacuum(hour, written + hour * 2).await.unwrap(), 1);
    assert!(dir.path().join(&active.path).exists());
    assert!(!dir.path().join(&stray.path).exists());
}
