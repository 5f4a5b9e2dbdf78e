//! Checks a Delta table of events: its log, its files, its rows, and all of them against the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use opentrail_model::{AccountId, Timestamp};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use percent_encoding::percent_decode_str;

use super::delta::{self, Added, Stats};
use super::expected::{Expected, Members, hash};
use super::journal::Extent;
use super::report::{Notes, relative};
use super::{Cancelled, Pace};
use crate::seals::{DataKeyError, Keys, SealedFile};

/// Rows decoded at once: a record has at most 1 MiB.
const ROWS: usize = 256;
/// Bytes hashed at once.
const HASHED: usize = 1 << 20;

/// What kind of table it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'a> {
    /// Whose columns it has, for messages.
    pub(super) what: &'static str,
    /// Names the table's writer in its `txn` actions.
    pub(super) app_id: &'static str,
    /// Names the count of rows that did not come from the journal.
    pub(super) imported: &'static str,
    /// The columns of an event's account, time and id.
    pub(super) account: &'static str,
    /// See `account`.
    pub(super) time: &'static str,
    /// See `account`.
    pub(super) id: &'static str,
    /// Nothing up to this position is the table's.
    pub(super) begin: u64,
    /// Whose events alone it has; `None` for everybody's.
    pub(super) owner: Option<&'a str>,
    /// The ARN that its data keys were made for, and what opens them; `None` for a table that is never sealed.
    pub(super) seals: Option<Seals<'a>>,
}

/// What opens a table's sealed files.
#[derive(Clone, Copy)]
pub(super) struct Seals<'a> {
    /// The store's ARN.
    pub(super) arn: &'a str,
    /// The data directory's keys; why there are none otherwise.
    pub(super) keys: &'a Result<Keys, String>,
}

impl std::fmt::Debug for Seals<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seals").field("arn", &self.arn).finish_non_exhaustive()
    }
}

/// What the rows of a sound table are compared with next.
pub(super) struct Found {
    /// The position that the table reflects.
    pub(super) position: u64,
    /// For each of the expected records, whether the table has it.
    pub(super) found: Vec<bool>,
    /// What the log says of each application: of the table's writer, and of imports.
    pub(super) applications: BTreeMap<String, i64>,
}

/// Checks the table in `dir` by itself and against the journal; `None` when its content is unknown.
pub(super) fn check(
    root: &Path,
    dir: &Path,
    form: Form<'_>,
    journal: Extent,
    expected: &Expected,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<Option<Found>, Cancelled> {
    let name = relative(root, dir);
    let Some(state) = delta::read(root, dir, notes) else { return Ok(None) };
    let position = state.positions.get(form.app_id).and_then(|version| u64::try_from(*version).ok());
    let position = position.unwrap_or_default().max(form.begin);
    if position > journal.last {
        notes.damage(
            &name,
            format_args!(
                "the table reflects position {position}, but the journal ends at {}: it lost entries",
                journal.last
            ),
        );
    }
    if position.saturating_add(1) < journal.first {
        notes.damage(
            &name,
            format_args!(
                "the table reflects position {position}, but the journal begins at {}: what lies between is lost",
                journal.first
            ),
        );
    }
    let found = vec![false; expected.records().len()];
    let imported = state.positions.get(form.imported).and_then(|count| u64::try_from(*count).ok()).unwrap_or_default();
    let (seen, seen_imported) = (Positions::default(), Positions::default());
    let mut rows = Rows { form, position, imported, seen, seen_imported, expected, found, unopened: None };
    let mut active = BTreeSet::new();
    for (path, added) in &state.files {
        notes.checked("files", 1);
        let Some(place) = place(dir, path) else {
            notes.damage(&name, format_args!("the log names a file outside the table: {path}"));
            continue;
        };
        active.insert(place.clone());
        check_file(root, &place, added, &mut rows, notes, pace)?;
    }
    if let Some((files, problem)) = &rows.unopened {
        let text = "are sealed, and only their bytes were compared, not what is in them";
        notes.remark(&name, format_args!("{files} of its files {text}: {problem}"));
    }
    notes.checked("files outside the table", count_others(dir, &active));
    Ok(Some(Found { position, found: rows.found, applications: state.positions }))
}

/// What is known of the rows of all files.
struct Rows<'a> {
    form: Form<'a>,
    position: u64,
    /// How many rows were ever imported.
    imported: u64,
    seen: Positions,
    seen_imported: Positions,
    expected: &'a Expected,
    /// For each of the expected records.
    found: Vec<bool>,
    /// How many files could not be looked into, and why not the first.
    unopened: Option<(u64, String)>,
}

fn check_file(
    root: &Path,
    path: &Path,
    added: &Added,
    rows: &mut Rows<'_>,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<(), Cancelled> {
    let name = relative(root, path);
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) => {
            notes.damage(name, format_args!("a file of the table cannot be read: {error}"));
            return Ok(());
        }
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_sealed = stem.rsplit_once('-').is_some_and(|(stem, _)| stem.ends_with(".sealed"));
    let sealed = match is_sealed.then(|| SealedFile::read(path)).transpose() {
        Ok(sealed) => sealed,
        Err(problem) => {
            notes.damage(name, problem);
            return Ok(());
        }
    };
    // The log has the size of the plain bytes.
    let size = sealed.as_ref().map_or(size, |sealed| sealed.plain_bytes);
    if i64::try_from(size) != Ok(added.size) {
        notes.damage(&name, format_args!("the file has {size} bytes, and {} by the table's log", added.size));
    }
    check_bytes(path, &name, notes, pace)?;
    let text = match sealed.map(|sealed| opened(path, &sealed, rows, notes)).transpose() {
        Ok(None) => None,
        Ok(Some(Some(text))) => Some(text),
        // Nothing is known of its rows.
        Ok(Some(None)) => return Ok(()),
        Err(problem) => {
            notes.damage(name, problem);
            return Ok(());
        }
    };
    let stats = match added.stats.as_deref().map(serde_json::from_str::<Stats>).transpose() {
        Ok(stats) => stats.unwrap_or_default(),
        Err(error) => {
            notes.damage(&name, format_args!("the log's statistics of the file cannot be understood: {error}"));
            Stats::default()
        }
    };
    let day = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let day = day.strip_prefix("event_date=").unwrap_or_default().to_owned();
    let mut reader = match guarded(|| text.map_or_else(|| open(path), open_text)) {
        Ok(reader) => reader,
        Err(error) => {
            notes.damage(name, format_args!("the file is no readable Parquet file: {error}"));
            return Ok(());
        }
    };
    let mut number = 0;
    loop {
        // A damaged page can make the reader panic, which is one more way of saying that it is damaged.
        let batch = match guarded(|| reader.next().transpose().map_err(|error| error.to_string())) {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                notes.damage(&name, format_args!("rows from {number} on cannot be read: {error}"));
                return Ok(());
            }
        };
        let part = Part { name: &name, day: &day, stats: &stats, first: number };
        if rows.take(&batch, &part, notes).is_none() {
            notes.damage(&name, format_args!("the file has not the columns of {}", rows.form.what));
            return Ok(());
        }
        number += batch.num_rows() as u64;
        pace.advance(batch.get_array_memory_size() as u64)?;
    }
    notes.checked("rows", number);
    if let Some(told) = stats.num_records.filter(|told| *told != number) {
        notes.damage(name, format_args!("the file has {number} rows, and {told} by the table's log"));
    }
    Ok(())
}

/// Compares a file with the SHA-256 that its name ends with: rows hidden by a changed page index or Bloom filter are
/// noticed by nothing else.
fn check_bytes(path: &Path, name: &str, notes: &mut Notes, pace: &Pace) -> Result<(), Cancelled> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let told = stem.rsplit('-').next().filter(|told| told.len() == 64 && hex::decode(told).is_ok());
    let Some(told) = told else {
        notes.remark(name, "the file's name has no checksum: a part of it that only searches use may be damaged");
        return Ok(());
    };
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; HASHED];
    let hashed = File::open(path).and_then(|mut file| {
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(Ok(())),
                n => {
                    context.update(&buffer[..n]);
                    if let Err(Cancelled) = pace.advance(n as u64) {
                        return Ok(Err(Cancelled));
                    }
                }
            }
        }
    });
    match hashed {
        Ok(done) => done?,
        Err(error) => {
            notes.damage(name, format_args!("a file of the table cannot be read: {error}"));
            return Ok(());
        }
    }
    let found = hex::encode(context.finish());
    if found == told {
        notes.checked("checksums of files", 1);
    } else {
        notes.damage(name, format_args!("its bytes are not those that were written: their SHA-256 is {found}"));
    }
    Ok(())
}

/// The plain bytes of a sealed file; `None` when the directory has not the key. What is wrong otherwise.
fn opened(path: &Path, sealed: &SealedFile, rows: &mut Rows<'_>, notes: &mut Notes) -> Result<Option<Bytes>, String> {
    notes.checked("sealed files", 1);
    let Some(Seals { arn, keys }) = rows.form.seals else { return Err("a table as this one is never sealed".into()) };
    let seal = sealed.seal(arn);
    let mut unopened = |problem: String| {
        let (files, _) = rows.unopened.get_or_insert((0, problem));
        *files += 1;
        Ok(None)
    };
    let key = match keys.as_ref().map(|keys| keys.data_key(&seal)) {
        Ok(Ok(key)) => key,
        Ok(Err(DataKeyError::Wrong(problem))) => return Err(problem.to_owned()),
        Ok(Err(problem @ DataKeyError::NotHere(_))) => return unopened(problem.to_string()),
        Err(problem) => return Err(problem.clone()),
    };
    // It is bound to its path in the table, without the checksum.
    let part = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = part(path);
    let stem = file.rsplit_once('-').map_or(&*file, |(stem, _)| stem);
    let bound = format!("{}/{stem}", part(path.parent().unwrap_or(path)));
    let text = sealed.open(path, &key, &bound)?;
    notes.checked("opened files", 1);
    Ok(Some(text.into()))
}

fn open_text(text: Bytes) -> Result<ParquetRecordBatchReader, String> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchReaderBuilder::try_new_with_options(text, options)
        .and_then(|builder| builder.with_batch_size(ROWS).build())
        .map_err(|error| error.to_string())
}

fn open(path: &Path) -> Result<ParquetRecordBatchReader, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .and_then(|builder| builder.with_batch_size(ROWS).build())
        .map_err(|error| error.to_string())
}

/// Some rows of a file, and what they must fit.
struct Part<'a> {
    name: &'a str,
    day: &'a str,
    stats: &'a Stats,
    /// The number of the first row in its file.
    first: u64,
}

impl Rows<'_> {
    /// `None` when the columns are not the table's.
    fn take(&mut self, batch: &RecordBatch, part: &Part<'_>, notes: &mut Notes) -> Option<()> {
        let positions = batch.column_by_name("position")?.as_primitive_opt::<Int64Type>()?;
        let accounts = batch.column_by_name(self.form.account)?.as_string_opt::<i32>()?;
        let times = batch.column_by_name(self.form.time)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        let ids = batch.column_by_name(self.form.id)?.as_string_opt::<i32>()?;
        let raws = batch.column_by_name("raw")?.as_binary_opt::<i32>()?;
        for index in 0..batch.num_rows() {
            let number = part.first + index as u64;
            let mut damage = |problem: String| notes.damage(part.name, format_args!("row {number}: {problem}"));
            let place = positions.value(index);
            if positions.is_null(index) || place == 0 {
                damage("it has no position".into());
                continue;
            }
            let (least, greatest) = (part.stats.min_values.position, part.stats.max_values.position);
            if least.is_some_and(|least| place < least) || greatest.is_some_and(|greatest| place > greatest) {
                damage(format!("its position {place} lies outside what the table's log says of the file"));
            }
            // Rows of the journal have its positions; imported ones are numbered downwards from -1.
            let position = u64::try_from(place).ok();
            match position {
                None if place.unsigned_abs() > self.imported => {
                    damage(format!("its position is {place}, but only {} rows were ever imported", self.imported));
                }
                None if !self.seen_imported.insert(place.unsigned_abs()) => {
                    damage(format!("position {place} is in the table twice"));
                }
                Some(position) if position > self.position => {
                    damage(format!("its position {position} is after {}, which the table reflects", self.position));
                }
                Some(position) if position <= self.form.begin => {
                    damage(format!("its position {position} is not after {}, where the table begins", self.form.begin));
                }
                Some(position) if !self.seen.insert(position) => {
                    damage(format!("position {position} is in the table twice"));
                }
                _ => {}
            }
            if accounts.value(index).parse::<AccountId>().is_err() {
                damage(format!("{:?} is no account", accounts.value(index)));
            }
            // Any account's events can be imported.
            if position.is_some() && self.form.owner.is_some_and(|owner| owner != accounts.value(index)) {
                damage(format!("it is of the account {}, and the table of another", accounts.value(index)));
            }
            let day = Timestamp::from_millis(times.value(index) / 1000).format("%Y-%m-%d");
            if times.is_null(index) || day != part.day {
                damage(format!("its time is of {day}, and the file of {:?}", part.day));
            }
            let raw = raws.value(index);
            match Members::read(raw) {
                Err(error) => damage(format!("its record is no JSON object: {error}")),
                Ok(members) => {
                    let id = ids.is_valid(index).then(|| ids.value(index));
                    if members.event_id.is_some_and(|own| id != Some(&*own)) {
                        damage("its eventID is not the one in its record".into());
                    }
                }
            }
            if let Some(position) = position
                && let Ok(at) = self.expected.records().binary_search_by_key(&position, |(position, _)| *position)
            {
                self.found[at] = true;
                if self.expected.records()[at].1 != hash(raw) {
                    damage(format!("its record is not the one at position {position} of the journal"));
                }
            }
        }
        Some(())
    }
}

/// Runs a piece of the Parquet library, whose panics on damaged bytes become errors.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("the bytes make no sense to the reader".into()))
}

/// Where the file is that the log calls `path`; `None` when that is outside the table.
fn place(dir: &Path, path: &str) -> Option<PathBuf> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let inside = Path::new(&*path).components().all(|part| matches!(part, Component::Normal(_)));
    inside.then(|| dir.join(&*path))
}

/// Parquet files that the log does not name: left by a merge until nobody reads them any more, or by a crash.
fn count_others(dir: &Path, active: &BTreeSet<PathBuf>) -> u64 {
    let children = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let partitions = children(dir).filter(|path| path.is_dir() && !path.ends_with("_delta_log"));
    partitions.map(|partition| children(&partition).filter(|file| !active.contains(file)).count() as u64).sum()
}

/// A set of positions: bits in blocks, as they are dense.
#[derive(Default)]
struct Positions(HashMap<u64, Box<[u64; 64]>>);

impl Positions {
    /// Whether it is new.
    fn insert(&mut self, position: u64) -> bool {
        let block = self.0.entry(position / 4096).or_insert_with(|| Box::new([0; 64]));
        let (word, bit) = ((position % 4096 / 64) as usize, 1 << (position % 64));
        let new = block[word] & bit == 0;
        block[word] |= bit;
        new
    }
}
