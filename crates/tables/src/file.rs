//! How rows lie in a Parquet file: of one day, sorted by time and position, in row groups of bounded size.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;
use opentrail_lake::{DataFile, write_sealed_file};
use opentrail_model::Timestamp;
use opentrail_stores::{DataKey, Kind};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::TableError;
use crate::columns::{DAY, EVENT_JSON, LAYOUT, POSITION, RAW, TIME, layout_suffix};
use crate::schema::Columns;

/// The key in a file's metadata that says which columns its writer knew, and what it says.
const LAYOUT_KEY: &str = "opentrail.store.layout";
/// Rows of a row group: what a reader skips by statistics, and what a writer holds in memory, compressed.
const GROUP_ROWS: usize = 128 << 10;
/// Rows written at once.
const BLOCK_ROWS: usize = 1024;
/// Fewer rows than these are not worth another file.
const LEAST_ROWS: usize = 4 << 10;
/// Raw records compressed together.
const RAW_PAGE_BYTES: usize = 256 << 10;

/// Columns that are asked for one of many values: a row group without it is known by its Bloom filter.
const BLOOMED: [&str; 8] =
    ["eventid", "requestid", "eventname", "errorcode", "sourceipaddress", "userarn", "accesskeyid", "sharedeventid"];

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// The file will be merged soon.
    Quick,
    /// The file will stay.
    Thorough,
}

const DAY_MICROS: i64 = 86_400_000_000;

/// Where a row stands in a file.
pub(crate) type Place = (i64, i64);

/// The places of a batch's rows; `None` when the columns are not a store's.
pub(crate) fn places(batch: &RecordBatch) -> Option<Vec<Place>> {
    let time = batch.column_by_name(TIME)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let position = batch.column_by_name(POSITION)?.as_primitive_opt::<Int64Type>()?;
    Some(time.values().iter().copied().zip(position.values().iter().copied()).collect())
}

/// The day of `time` in UTC, e.g. `2026-01-02`. Days compare as their times do.
pub(crate) fn day_of(time: Timestamp) -> String {
    time.format("%Y-%m-%d")
}

/// Rows by the day that they are of.
#[derive(Debug)]
pub(crate) struct Days {
    name: String,
    kind: Kind,
    batches: Vec<RecordBatch>,
    /// Each the rows of a day, in order, or some of them.
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    day: String,
    /// Which of the day's parts it is.
    number: usize,
    rows: Vec<RowOf>,
}

/// A batch and a row of it.
type RowOf = (usize, usize);

impl Days {
    /// The rows of some batches, whatever their order, for files called `name`.
    pub(crate) fn of(name: &str, kind: Kind, batches: Vec<RecordBatch>) -> Result<Self, TableError> {
        let reason = || "rows in memory have not a store's columns".to_owned();
        let of = |batch| places(batch).ok_or_else(|| TableError::Damaged { file: name.to_owned(), reason: reason() });
        let places = batches.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let mut days: BTreeMap<i64, Vec<RowOf>> = BTreeMap::new();
        for (batch, places) in places.iter().enumerate() {
            for (row, (time, _)) in places.iter().enumerate() {
                days.entry(time.div_euclid(DAY_MICROS)).or_default().push((batch, row));
            }
        }
        let part = |(day, mut rows): (i64, Vec<RowOf>)| {
            rows.sort_unstable_by_key(|(batch, row)| places[*batch][*row]);
            Part { day: day_of(Timestamp::from_millis(day * (DAY_MICROS / 1000))), number: 0, rows }
        };
        let parts = days.into_iter().map(part).collect();
        Ok(Self { name: name.to_owned(), kind, batches, parts })
    }

    /// Divides the days that have more than their share of rows, so that as many as `writers` have the same to do.
    pub(crate) fn divided(mut self, writers: usize) -> Self {
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let share = rows.div_ceil(writers).max(LEAST_ROWS);
        let divide = |Part { day, rows, .. }: Part| {
            let rows_of_part = rows.len().div_ceil(rows.len().div_ceil(share)).max(1);
            let parts = rows.chunks(rows_of_part).enumerate();
            parts.map(|(number, rows)| Part { day: day.clone(), number, rows: rows.to_vec() }).collect::<Vec<_>>()
        };
        self.parts = self.parts.into_iter().flat_map(divide).collect();
        self
    }

    /// How many files there are to be written.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Writes the file with this number, sealed if there is a key. Blocks.
    pub(crate) fn write(&self, dir: &Path, number: usize, key: Option<&DataKey>) -> Result<DataFile, TableError> {
        let Part { day, number, rows } = &self.parts[number];
        let name = if *number == 0 { self.name.clone() } else { format!("{}-{number}", self.name) };
        let blocks = rows.chunks(BLOCK_ROWS).map(|rows| {
            let failed = |error: ArrowError| TableError::Damaged { file: name.clone(), reason: error.to_string() };
            self.block(rows).map_err(failed)
        });
        write(dir, Named { day, name: &name, kind: self.kind, effort: Effort::Quick, key }, blocks)
    }

    fn block(&self, rows: &[RowOf]) -> Result<RecordBatch, ArrowError> {
        let (batch, start) = rows[0];
        // Events mostly come as they happened.
        if rows.iter().zip(start..).all(|(row, at)| *row == (batch, at)) {
            return Ok(self.batches[batch].slice(start, rows.len()));
        }
        if rows.iter().all(|row| row.0 == batch) {
            let rows: UInt32Array = rows.iter().map(|row| u32::try_from(row.1).ok()).collect();
            return take_record_batch(&self.batches[batch], &rows);
        }
        interleave_record_batch(&self.batches.iter().collect::<Vec<_>>(), rows)
    }
}

/// Writes the rows, whatever their order, to a file per day called `name`, sealed if there is a key. Blocks.
pub(crate) fn write_days(
    dir: &Path,
    name: &str,
    kind: Kind,
    batches: &[RecordBatch],
    key: Option<&DataKey>,
) -> Result<Vec<DataFile>, TableError> {
    let all = concat_batches(&Columns::of(kind).stored, batches);
    let all = all.map_err(|error| TableError::Damaged { file: name.to_owned(), reason: error.to_string() })?;
    let days = Days::of(name, kind, vec![all])?;
    (0..days.len()).map(|day| days.write(dir, day, key)).collect()
}

/// A file to be written: `event_date=<day>/<name>…`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) day: &'a str,
    pub(crate) name: &'a str,
    /// Of the store whose rows it has.
    pub(crate) kind: Kind,
    pub(crate) effort: Effort,
    /// What seals it.
    pub(crate) key: Option<&'a DataKey>,
}

/// Writes rows of one day, which come in order, to a file below `dir`. Blocks.
pub(crate) fn write(
    dir: &Path,
    Named { day, name, kind, effort, key }: Named<'_>,
    blocks: impl Iterator<Item = Result<RecordBatch, TableError>>,
) -> Result<DataFile, TableError> {
    let path = format!("{DAY}={day}/{name}{}.parquet", layout_suffix());
    let partition = BTreeMap::from([(DAY.to_owned(), day.to_owned())]);
    let columns = Arc::clone(&Columns::of(kind).stored);
    let properties = properties(&columns, effort);
    write_sealed_file(dir, path.clone(), partition, columns, properties, key, |file| {
        let mut bounds = Bounds::default();
        for block in blocks {
            let block = block?;
            bounds.take(&block).ok_or_else(|| TableError::Damaged {
                file: path.clone(),
                reason: "its rows come from one that holds what no writer put there".into(),
            })?;
            file.write(&block)?;
        }
        file.set_metadata(LAYOUT_KEY, LAYOUT.to_string());
        Ok(Some(bounds.stats()))
    })
}

/// What the commit says of a file's rows.
#[derive(Default)]
struct Bounds {
    rows: usize,
    positions: Option<(i64, i64)>,
    times: Option<(i64, i64)>,
}

impl Bounds {
    fn take(&mut self, block: &RecordBatch) -> Option<()> {
        self.rows += block.num_rows();
        for (time, position) in places(block)? {
            let wider = |bounds: Option<(i64, i64)>, value: i64| {
                bounds.map_or((value, value), |(least, most)| (least.min(value), most.max(value)))
            };
            self.times = Some(wider(self.times, time));
            self.positions = Some(wider(self.positions, position));
        }
        Some(())
    }

    fn stats(&self) -> String {
        let (first, last) = self.positions.unwrap_or_default();
        let (oldest, newest) = self.times.unwrap_or_default();
        let side = |position: i64, time: i64| {
            let time = Timestamp::from_millis(time.div_euclid(1000)).format("%Y-%m-%dT%H:%M:%S%.3fZ");
            serde_json::json!({ POSITION: position, TIME: time })
        };
        let (min, max, none) = (side(first, oldest), side(last, newest), serde_json::json!({ POSITION: 0, TIME: 0 }));
        serde_json::json!({ "numRecords": self.rows, "minValues": min, "maxValues": max, "nullCount": none })
            .to_string()
    }
}

fn properties(columns: &Schema, effort: Effort) -> WriterProperties {
    let zstd = |level| Compression::ZSTD(ZstdLevel::try_new(level).expect("levels 1 to 22 exist"));
    let (level, raw) = match effort {
        Effort::Quick => (zstd(1), zstd(1)),
        Effort::Thorough => (zstd(3), zstd(9)),
    };
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("opentrail ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(level)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for field in columns.fields().iter().filter(|field| field.data_type().is_nested()) {
        for leaf in leaves(field) {
            // Nobody looks for these by their bounds.
            properties = properties.set_column_statistics_enabled(leaf, EnabledStatistics::None);
        }
    }
    for json in [RAW, EVENT_JSON] {
        properties = properties
            .set_column_dictionary_enabled(json.into(), false)
            .set_column_data_page_size_limit(json.into(), RAW_PAGE_BYTES)
            .set_column_statistics_enabled(json.into(), EnabledStatistics::None)
            .set_column_compression(json.into(), raw)
            // Lengths apart from the texts cost nearly nothing and leave only what differs.
            .set_column_encoding(json.into(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    for number in [POSITION, TIME, "received"] {
        properties = properties
            // Rows are sorted by time; every other column has all of its values on every page.
            .set_column_statistics_enabled(number.into(), EnabledStatistics::Page)
            .set_column_dictionary_enabled(number.into(), false)
            .set_column_encoding(number.into(), Encoding::DELTA_BINARY_PACKED);
    }
    for id in ["eventid", "requestid"] {
        properties = properties
            .set_column_dictionary_enabled(id.into(), false)
            .set_column_encoding(id.into(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    for name in BLOOMED {
        // Sized for a row group's rows, and folded to what is there.
        properties = properties
            .set_column_bloom_filter_enabled(name.into(), true)
            .set_column_bloom_filter_max_ndv(name.into(), GROUP_ROWS as u64)
            .set_column_bloom_filter_fpp(name.into(), 0.01);
    }
    properties.build()
}

/// The paths of what Parquet stores of a field.
fn leaves(field: &Field) -> Vec<ColumnPath> {
    fn walk(field: &Field, mut path: Vec<String>, found: &mut Vec<ColumnPath>) {
        path.push(field.name().clone());
        match field.data_type() {
            DataType::Struct(fields) => fields.iter().for_each(|field| walk(field, path.clone(), found)),
            DataType::Map(entries, _) => walk(entries, path, found),
            DataType::List(element) => {
                path.push("list".into());
                walk(element, path, found);
            }
            _ => found.push(ColumnPath::new(path)),
        }
    }
    let mut found = Vec::new();
    walk(field, Vec::new(), &mut found);
    found
}
