//! The promises of a table, each seen after opening it again.

#![allow(clippy::unwrap_used, reason = "a test whose preparation fails has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use aws_lc_rs::digest::{SHA256, digest};
use opentrail_keys::{DataKey, Material, SealedDataKey};
use opentrail_lake::{DataFile, FileWriter, LakeError, SealedFile, Table, TableSpec, write_file, write_sealed_file};
use opentrail_model::{Position, Timestamp};
use opentrail_runtime::SystemRandom;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
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
        retyped_columns: Vec::new(),
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
    let fill = |file: &mut FileWriter<'_>| file.write(&batch).map(|()| stats);
    write_file::<LakeError>(dir, path, partition, batch.schema(), WriterProperties::default(), fill).unwrap()
}

/// The files' paths without their checksums.
fn names(table: &Table) -> Vec<String> {
    let named = |file: DataFile| file.path.replace(&format!("-{}", file.checksum().unwrap()), "");
    let mut names: Vec<String> = table.files().unwrap().into_iter().map(named).collect();
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
async fn checksums_outlive_checkpoints_replacements_and_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = open(dir.path()).await;
    let mut first = file(dir.path(), "f0");
    for i in 1..=60 {
        let next = file(dir.path(), &format!("f{i}"));
        table.append(vec![next.clone()], Position(i), NOW).await.unwrap();
        if i == 40 {
            table.replace(&[first, next.clone()], vec![file(dir.path(), "merged")], NOW).await.unwrap();
        }
        first = next;
    }
    assert!(dir.path().join("_delta_log/_last_checkpoint").exists());
    let files = open(dir.path()).await.files().unwrap();
    assert!(files.iter().any(|file| file.path.contains("merged")));
    for file in files {
        let bytes = fs::read(dir.path().join(&file.path)).unwrap();
        assert_eq!(file.checksum().unwrap(), hex::encode(digest(&SHA256, &bytes)));
        file.verify(dir.path()).unwrap();
    }
}

#[test]
fn every_flipped_missing_or_added_byte_is_reported_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path(), "a");
    let path = dir.path().join(&file.path);
    let whole = fs::read(&path).unwrap();
    let assert_damaged = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        let error = file.verify(dir.path()).unwrap_err();
        assert!(matches!(&error, LakeError::Damaged { path: named, .. } if *named == path), "{what}: {error}");
        assert!(error.to_string().contains(&file.path), "{error}");
    };
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        assert_damaged(&flipped, &format!("byte {at}"));
    }
    assert_damaged(&whole[..whole.len() - 1], "a missing byte");
    assert_damaged(&[&whole[..], b"x"].concat(), "one byte more");
    assert_damaged(b"", "nothing");
    fs::write(&path, &whole).unwrap();
    file.verify(dir.path()).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(file.verify(dir.path()), Err(LakeError::Io { path: named, .. }) if named == path));
}

#[test]
fn a_larger_file_than_is_read_at_once_is_hashed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values((0..400_000).map(|n: i64| n.wrapping_mul(n << 20))));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let fill = |file: &mut FileWriter<'_>| file.write(&batch).map(|()| None);
    let partition = BTreeMap::new();
    let file = write_file::<LakeError>(dir.path(), "big.parquet".into(), partition, batch.schema(), properties, fill);
    let file = file.unwrap();
    assert!(file.size_bytes > 2 << 20);
    assert_eq!(file.size_bytes, fs::metadata(dir.path().join(&file.path)).unwrap().len());
    file.verify(dir.path()).unwrap();
    let mut bytes = fs::read(dir.path().join(&file.path)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(dir.path().join(&file.path), bytes).unwrap();
    file.verify(dir.path()).unwrap_err();
}

#[test]
fn only_a_checksum_at_the_end_of_the_name_is_one() {
    let named = |path: &str| DataFile { path: path.into(), partition: BTreeMap::new(), size_bytes: 0, stats: None };
    let digits = "0123456789abcdef".repeat(4);
    assert_eq!(named(&format!("day=1/f-2-{digits}.parquet")).checksum(), Some(&*digits));
    for path in ["day=1/f-2.parquet", "f.parquet", "f"] {
        assert_eq!(named(path).checksum(), None);
    }
    assert_eq!(named(&format!("f-{}.parquet", digits.to_uppercase())).checksum(), None);
    assert_eq!(named(&format!("f-{digits}0.parquet")).checksum(), None);
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
async fn columns_are_added_to_a_table_and_others_refused() {
    let dir = tempfile::tempdir().unwrap();
    let nested = |parts: &[&str]| {
        let parts: Vec<Field> = parts.iter().map(|part| Field::new(*part, DataType::Utf8, true)).collect();
        DataType::List(Arc::new(Field::new("element", DataType::Struct(parts.into()), true)))
    };
    let with = |columns: &[(&str, DataType)]| {
        let mut fields: Vec<Field> = spec().schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.extend(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)));
        TableSpec { schema: Arc::new(Schema::new(fields)), retyped_columns: vec!["odd".into()], ..spec() }
    };
    let first = with(&[("odd", DataType::Boolean), ("list", nested(&["a"]))]);
    let mut table = Table::open_or_create(dir.path(), &first).await.unwrap();
    table.append(vec![file(dir.path(), "a")], Position(7), NOW).await.unwrap();
    let second = with(&[("odd", DataType::Utf8), ("list", nested(&["b", "a"])), ("new", DataType::Int32)]);
    let mut altered = Table::open_or_create(dir.path(), &second).await.unwrap();
    assert_eq!((names(&altered), altered.version()), (vec!["day=monday/a.parquet".into()], table.version() + 1));
    altered.append(vec![file(dir.path(), "b")], Position(8), NOW).await.unwrap();
    let reopened = Table::open_or_create(dir.path(), &second).await.unwrap();
    assert_eq!((reopened.version(), reopened.position().await.unwrap()), (altered.version(), Position(8)), "once");
    for (columns, culprit) in [
        (vec![("odd", DataType::Utf8), ("list", nested(&["b", "a"]))], "new"),
        (vec![("odd", DataType::Utf8), ("list", nested(&["a"])), ("new", DataType::Int32)], "list"),
        (vec![("odd", DataType::Utf8), ("list", nested(&["a", "b"])), ("new", DataType::Utf8)], "new"),
    ] {
        let error = Table::open_or_create(dir.path(), &with(&columns)).await.unwrap_err();
        assert!(error.to_string().contains(&format!("its column {culprit}")), "{error}");
    }
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

#[tokio::test]
async fn vacuum_counts_from_when_a_file_left_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = open(dir.path()).await;
    let (old, new) = (file(dir.path(), "old"), file(dir.path(), "new"));
    table.append(vec![old.clone()], Position(1), NOW).await.unwrap();
    let modified = dir.path().join(&old.path).metadata().unwrap().modified().unwrap();
    let written = Timestamp::EPOCH + modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    let hour = Duration::from_secs(3600);
    table.replace(std::slice::from_ref(&old), vec![new], written + hour * 2).await.unwrap();
    let table = open(dir.path()).await;
    assert_eq!(
        table.vacuum(hour, written + hour * 3 - Duration::from_secs(1)).await.unwrap(),
        0,
        "somebody may read it"
    );
    assert_eq!(table.vacuum(hour, written + hour * 3).await.unwrap(), 1);
    assert!(!dir.path().join(&old.path).exists());
}

/// A sealed file with the numbers, its data key and its commit's word of it.
fn sealed_file(dir: &Path, name: &str, key: &DataKey) -> DataFile {
    let column: ArrayRef = Arc::new(Int64Array::from((0..50_000).collect::<Vec<i64>>()));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let partition = BTreeMap::from([("day".to_owned(), "monday".to_owned())]);
    let fill = |file: &mut FileWriter<'_>| file.write(&batch).map(|()| None);
    let path = format!("day=monday/{name}.parquet");
    let properties = WriterProperties::default();
    write_sealed_file::<LakeError>(dir, path, partition, batch.schema(), properties, Some(key), fill).unwrap()
}

fn data_key() -> DataKey {
    let sealed = SealedDataKey { kms_key: "arn".into(), data_key: "00".into() };
    DataKey { material: Material::generate(&SystemRandom), sealed, random: Arc::new(SystemRandom) }
}

fn numbers(dir: &Path, file: &DataFile, key: &DataKey) -> Result<usize, String> {
    let found = SealedFile::find(dir, file).map_err(|error| error.to_string())?;
    assert_eq!(found.key(), &key.sealed);
    let reader = found.open(&key.material).map_err(|error| error.to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(reader).and_then(|builder| builder.build());
    let batches = reader.map_err(|error| error.to_string())?;
    batches.map(|batch| batch.map(|batch| batch.num_rows()).map_err(|error| error.to_string())).sum()
}

#[test]
fn a_sealed_file_is_read_with_its_key_and_verified_without() {
    let dir = tempfile::tempdir().unwrap();
    let key = data_key();
    let file = sealed_file(dir.path(), "a", &key);
    assert!(file.is_sealed() && file.path.starts_with("day=monday/a.sealed-"), "{}", file.path);
    let path = dir.path().join(&file.path);
    let stored = fs::read(&path).unwrap();
    assert!(stored.len() as u64 > file.size_bytes && !stored.windows(4).any(|bytes| bytes == b"PAR1"));
    assert_eq!(numbers(dir.path(), &file, &key), Ok(50_000));
    file.verify(dir.path()).unwrap();
    for at in [0, 30, stored.len() / 2, stored.len() - 1] {
        let mut altered = stored.clone();
        altered[at] ^= 1;
        fs::write(&path, altered).unwrap();
        assert!(matches!(file.verify(dir.path()), Err(LakeError::Damaged { .. })), "byte {at}");
    }
    fs::write(&path, &stored[..stored.len() - 40]).unwrap();
    assert!(file.verify(dir.path()).is_err() && numbers(dir.path(), &file, &key).is_err());
}

#[test]
fn a_sealed_file_is_no_other_and_opens_with_no_other_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = data_key();
    let (a, b) = (sealed_file(dir.path(), "a", &key), sealed_file(dir.path(), "b", &key));
    let other = DataKey { material: data_key().material, ..key.clone() };
    assert!(numbers(dir.path(), &a, &other).unwrap_err().contains("altered"));
    // The same rows, the same data key, the same length: only the name differs.
    fs::copy(dir.path().join(&b.path), dir.path().join(&a.path)).unwrap();
    assert!(numbers(dir.path(), &a, &key).unwrap_err().contains("altered"));
    assert_eq!(numbers(dir.path(), &b, &key), Ok(50_000));
}
