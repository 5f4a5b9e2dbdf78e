//! Reads a Delta table's log by the Delta protocol: commits `<version>.json`, a line per action, and checkpoints
//! `<version>.checkpoint.parquet` that sum up everything before.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch, StructArray};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde::Deserialize;

use super::report::{Notes, relative};

/// What the log says at its last version.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The files that make up the table, by path as the log spells it.
    pub(super) files: BTreeMap<String, Added>,
    /// The last `txn` of each application.
    pub(super) positions: BTreeMap<String, i64>,
}

/// What the log says of a file.
#[derive(Debug, Default)]
pub(super) struct Added {
    pub(super) size: i64,
    pub(super) stats: Option<String>,
}

/// What a file's statistics say.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Stats {
    pub(super) num_records: Option<u64>,
    pub(super) min_values: Bounds,
    pub(super) max_values: Bounds,
}

/// One side of the statistics.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bounds {
    pub(super) position: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    add: Option<Add>,
    remove: Option<Remove>,
    txn: Option<Txn>,
}

#[derive(Deserialize)]
struct Add {
    path: String,
    size: i64,
    stats: Option<String>,
}

#[derive(Deserialize)]
struct Remove {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

/// A version of the log: its commit, its checkpoint, or both.
#[derive(Default)]
struct Version {
    commit: bool,
    checkpoint: bool,
}

/// Reads the log in `table`/_delta_log and reports what is wrong with it; `None` when the table's content is unknown.
pub(super) fn read(root: &Path, table: &Path, notes: &mut Notes) -> Option<State> {
    let log = table.join("_delta_log");
    let name = relative(root, &log);
    let versions = match list(root, &log, notes) {
        Ok(versions) => versions,
        Err(error) => {
            notes.damage(name, format_args!("the table's log cannot be read: {error}"));
            return None;
        }
    };
    let mut state: Option<State> = None;
    let mut before = None;
    for (number, version) in &versions {
        let commit = log.join(format!("{number:020}.json"));
        let checkpoint = log.join(format!("{number:020}.checkpoint.parquet"));
        let gap = before.map_or(*number != 0, |before| before + 1 != *number);
        if gap || !version.commit {
            if state.take().is_some() {
                let from = before.map_or(0, |before: u64| before + 1);
                let to = if version.commit { number - 1 } else { *number };
                notes.damage(&name, format_args!("commits {from} to {to} are missing"));
            }
        } else if before.is_none() {
            state = Some(State::default());
        }
        if version.commit {
            notes.checked("commits", 1);
            match lines(&commit) {
                Ok(lines) => {
                    if let Some(state) = &mut state {
                        lines.into_iter().for_each(|line| state.apply(line));
                    }
                }
                Err(problem) => {
                    notes.damage(relative(root, &commit), problem);
                    state = None;
                }
            }
        }
        if version.checkpoint {
            notes.checked("checkpoints", 1);
            match read_checkpoint(&checkpoint) {
                Ok(found) => match &state {
                    Some(known) if !known.agrees(&found) => {
                        notes.damage(
                            relative(root, &checkpoint),
                            "the checkpoint is not the sum of the commits before it",
                        );
                    }
                    Some(_) => {}
                    None => state = Some(found),
                },
                Err(problem) => notes.damage(relative(root, &checkpoint), problem),
            }
        }
        before = Some(*number);
    }
    check_hint(root, &log, &versions, notes);
    if state.is_none() {
        notes.damage(name, "the log does not tell what the table holds");
    }
    state
}

impl State {
    /// Whether both tell of the same files and positions. How statistics are spelled is left to each writer.
    fn agrees(&self, other: &Self) -> bool {
        let sizes =
            |state: &Self| state.files.iter().map(|(path, added)| (path.clone(), added.size)).collect::<Vec<_>>();
        self.positions == other.positions && sizes(self) == sizes(other)
    }

    fn apply(&mut self, line: Line) {
        if let Some(Add { path, size, stats }) = line.add {
            self.files.insert(path, Added { size, stats });
        }
        if let Some(remove) = line.remove {
            self.files.remove(&remove.path);
        }
        if let Some(txn) = line.txn {
            self.positions.insert(txn.app_id, txn.version);
        }
    }
}

fn list(root: &Path, log: &Path, notes: &mut Notes) -> io::Result<BTreeMap<u64, Version>> {
    let mut versions: BTreeMap<u64, Version> = BTreeMap::new();
    for entry in fs::read_dir(log)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = |digits: &str| (digits.len() == 20).then(|| digits.parse().ok()).flatten();
        if let Some(version) = name.strip_suffix(".json").and_then(number) {
            versions.entry(version).or_default().commit = true;
        } else if let Some(version) = name.strip_suffix(".checkpoint.parquet").and_then(number) {
            versions.entry(version).or_default().checkpoint = true;
        } else if name != "_last_checkpoint" {
            notes.remark(relative(root, &path), "no part of the table's log; a crash may have left it");
        }
    }
    Ok(versions)
}

fn lines(commit: &Path) -> Result<Vec<Line>, String> {
    let text = fs::read_to_string(commit).map_err(|error| format!("the commit cannot be read: {error}"))?;
    if text.trim().is_empty() {
        return Err("the commit is empty".into());
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line)
                .map_err(|error| format!("line {} of the commit is no action: {error}", index + 1))
        })
        .collect()
}

/// Readers begin at the checkpoint that `_last_checkpoint` names.
fn check_hint(root: &Path, log: &Path, versions: &BTreeMap<u64, Version>, notes: &mut Notes) {
    #[derive(Deserialize)]
    struct Hint {
        version: u64,
    }

    let path = log.join("_last_checkpoint");
    let problem = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => format!("it cannot be read: {error}"),
        Ok(bytes) => match serde_json::from_slice::<Hint>(&bytes) {
            Err(error) => format!("it names no checkpoint: {error}"),
            Ok(Hint { version }) if versions.get(&version).is_some_and(|version| version.checkpoint) => return,
            Ok(Hint { version }) => format!("the checkpoint {version} that it names is missing"),
        },
    };
    notes.damage(relative(root, &path), problem);
}

fn read_checkpoint(path: &Path) -> Result<State, String> {
    super::table::guarded(|| {
        let unreadable = |error: &dyn std::fmt::Display| format!("the checkpoint cannot be read: {error}");
        let file = File::open(path).map_err(|error| unreadable(&error))?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|error| unreadable(&error))?;
        let mut state = State::default();
        for batch in reader {
            let batch = batch.map_err(|error| unreadable(&error))?;
            take_batch(&mut state, &batch).ok_or("the checkpoint has not the columns that it must have")?;
        }
        Ok(state)
    })
}

fn take_batch(state: &mut State, batch: &RecordBatch) -> Option<()> {
    let structure = |name: &str| batch.column_by_name(name)?.as_struct_opt();
    let (add, txn) = (structure("add")?, structure("txn")?);
    let column = |of: &'_ StructArray, name: &str| of.column_by_name(name).cloned();
    let (path, size, stats) = (column(add, "path")?, column(add, "size")?, column(add, "stats")?);
    let (path, stats) = (path.as_string_opt::<i32>()?, stats.as_string_opt::<i32>()?);
    let size = size.as_primitive_opt::<Int64Type>()?;
    let (app, version) = (column(txn, "appId")?, column(txn, "version")?);
    let (app, version) = (app.as_string_opt::<i32>()?, version.as_primitive_opt::<Int64Type>()?);
    for row in 0..batch.num_rows() {
        if add.is_valid(row) {
            let stats = stats.is_valid(row).then(|| stats.value(row).to_owned());
            state.files.insert(path.value(row).to_owned(), Added { size: size.value(row), stats });
        }
        if txn.is_valid(row) {
            state.positions.insert(app.value(row).to_owned(), version.value(row));
        }
    }
    Some(())
}
