//! Searching one file: which of its rows a query wants, then those rows whole.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, StringArray};
use opentrail_lake::DataFile;
use opentrail_model::{Position, Timestamp};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::errors::ParquetError;

use crate::footer::{Footer, Footers};
use crate::row::{Group, Row};
use crate::{Cursor, HistoryError, LookupAttribute, file};

/// Rows looked at in one go.
const SCAN_ROWS: usize = 8192;

/// A file of the table.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) data: DataFile,
}

/// An event found: its place in the order, and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    pub(crate) cursor: Cursor,
    pub(crate) row: usize,
}

/// What a lookup wants of a file: the newest `limit` rows of a group in `start..end` with an attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    pub(crate) group: Group<'a>,
    pub(crate) attribute: Option<&'a LookupAttribute>,
    pub(crate) start: Cursor,
    pub(crate) end: Cursor,
    pub(crate) limit: usize,
}

impl Segment {
    /// The day of its rows.
    pub(crate) fn day(&self) -> &str {
        self.data.partition.get(file::DAY).map_or("", String::as_str)
    }

    /// The rows wanted, newest first.
    pub(crate) fn scan(&self, dir: &Path, footers: &Footers, scan: &Scan<'_>) -> Result<Vec<Hit>, HistoryError> {
        let (file, footer) = footers.open(dir, &self.data.path)?;
        let Some(range) = group_range(&footer, scan) else { return Ok(Vec::new()) };
        self.scan_range(&file, &footer, scan, range).map_err(|source| self.unreadable(source))
    }

    fn scan_range(
        &self,
        file: &File,
        footer: &Footer,
        scan: &Scan<'_>,
        range: Range<usize>,
    ) -> Result<Vec<Hit>, ParquetError> {
        if let Some((column, value)) = scan.attribute.and_then(bloom)
            && !footer.may_hold(file, column, value)?
        {
            return Ok(Vec::new());
        }
        let mut columns = vec!["position", "event_time"];
        columns.extend(scan.attribute.map(column));
        let selection = RowSelection::from_consecutive_ranges(std::iter::once(range.clone()), range.end);
        let mut hits = Vec::new();
        let mut row = range.start;
        for batch in read(file, footer, Some(&columns), Some(selection))? {
            let batch = batch?;
            let Some(columns) = Columns::of(&batch, scan.attribute) else {
                return Err(ParquetError::General("a column is missing or of another type".into()));
            };
            for i in 0..batch.num_rows() {
                let cursor = columns.cursor(i);
                if cursor < scan.start {
                    return Ok(hits);
                }
                if cursor < scan.end && columns.wanted(i) {
                    hits.push(Hit { cursor, row: row + i });
                    if hits.len() == scan.limit {
                        return Ok(hits);
                    }
                }
            }
            row += batch.num_rows();
        }
        Ok(hits)
    }

    /// The rows at `wanted`, which grow, whole.
    pub(crate) fn fetch(&self, dir: &Path, footers: &Footers, wanted: &[usize]) -> Result<Vec<Row>, HistoryError> {
        let (file, footer) = footers.open(dir, &self.data.path)?;
        let mut selectors = Vec::with_capacity(wanted.len() * 2);
        let mut next = 0;
        for row in wanted {
            selectors.push(RowSelector::skip(row - next));
            selectors.push(RowSelector::select(1));
            next = row + 1;
        }
        self.rows(&file, &footer, Some(selectors.into()))
    }

    /// All rows, whole.
    pub(crate) fn fetch_all(&self, dir: &Path, footers: &Footers) -> Result<Vec<Row>, HistoryError> {
        let (file, footer) = footers.open(dir, &self.data.path)?;
        self.rows(&file, &footer, None)
    }

    /// Bytes of raw records in the file.
    pub(crate) fn raw_bytes(&self, dir: &Path, footers: &Footers) -> Result<u64, HistoryError> {
        Ok(footers.open(dir, &self.data.path)?.1.layout.raw_bytes)
    }

    fn rows(&self, file: &File, footer: &Footer, selection: Option<RowSelection>) -> Result<Vec<Row>, HistoryError> {
        let mut rows = Vec::new();
        for batch in read(file, footer, None, selection).map_err(|source| self.unreadable(source))? {
            let batch = batch.map_err(|error| self.unreadable(error.into()))?;
            rows.extend(file::rows(&batch).ok_or_else(|| HistoryError::Damaged {
                file: self.data.path.clone(),
                reason: "a column is missing or holds what no writer put there".into(),
            })?);
        }
        Ok(rows)
    }

    fn unreadable(&self, source: ParquetError) -> HistoryError {
        HistoryError::Unreadable { file: self.data.path.clone(), source }
    }
}

/// Where the group's rows lie, if any of them is of the time wanted.
fn group_range(footer: &Footer, scan: &Scan<'_>) -> Option<Range<usize>> {
    let mut start = 0;
    for group in &footer.layout.groups {
        let range = start..start + group.rows;
        start = range.end;
        if (group.account, &*group.region, group.category)
            == (scan.group.account, scan.group.region, scan.group.category)
        {
            let overlaps = group.newest >= scan.start.event_time && group.oldest <= scan.end.event_time;
            return overlaps.then_some(range);
        }
    }
    None
}

fn read(
    file: &File,
    footer: &Footer,
    columns: Option<&[&str]>,
    selection: Option<RowSelection>,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.try_clone()?, footer.metadata.clone())
        .with_batch_size(SCAN_ROWS);
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(footer.metadata.parquet_schema(), columns.iter().copied());
        reader = reader.with_projection(mask);
    }
    if let Some(selection) = selection {
        reader = reader.with_row_selection(selection);
    }
    reader.build()
}

/// The leaf column that an attribute is about.
fn column(attribute: &LookupAttribute) -> &'static str {
    match attribute {
        LookupAttribute::EventId(_) => "event_id",
        LookupAttribute::EventName(_) => "event_name",
        LookupAttribute::ReadOnly(_) => "read_only",
        LookupAttribute::Username(_) => "username",
        LookupAttribute::ResourceType(_) => "resources.list.element.type",
        LookupAttribute::ResourceName(_) => "resources.list.element.name",
        LookupAttribute::EventSource(_) => "event_source",
        LookupAttribute::AccessKeyId(_) => "access_key_id",
    }
}

/// What to ask the Bloom filters; a truth value has none.
fn bloom(attribute: &LookupAttribute) -> Option<(&'static str, &str)> {
    let value = match attribute {
        LookupAttribute::ReadOnly(_) => return None,
        LookupAttribute::EventId(value)
        | LookupAttribute::EventName(value)
        | LookupAttribute::Username(value)
        | LookupAttribute::ResourceType(value)
        | LookupAttribute::ResourceName(value)
        | LookupAttribute::EventSource(value)
        | LookupAttribute::AccessKeyId(value) => value,
    };
    Some((column(attribute), value))
}

/// The columns of a scan, by type.
struct Columns<'a> {
    position: &'a arrow_array::Int64Array,
    time: &'a arrow_array::TimestampMicrosecondArray,
    wanted: Wanted<'a>,
}

enum Wanted<'a> {
    All,
    Text(&'a StringArray, &'a str),
    Truth(&'a arrow_array::BooleanArray, bool),
    AnyText(&'a arrow_array::ListArray, &'a StringArray, &'a str),
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch, attribute: Option<&'a LookupAttribute>) -> Option<Self> {
        let wanted = match attribute {
            None => Wanted::All,
            Some(LookupAttribute::ReadOnly(value)) => {
                Wanted::Truth(batch.column_by_name("read_only")?.as_boolean_opt()?, *value)
            }
            Some(LookupAttribute::ResourceType(value) | LookupAttribute::ResourceName(value)) => {
                let list = batch.column_by_name("resources")?.as_list_opt::<i32>()?;
                // The projection leaves the one field asked for.
                let texts = list.values().as_struct_opt()?.columns().first()?.as_string_opt::<i32>()?;
                Wanted::AnyText(list, texts, value)
            }
            Some(attribute) => {
                let (name, value) = bloom(attribute)?;
                Wanted::Text(batch.column_by_name(name)?.as_string_opt::<i32>()?, value)
            }
        };
        Some(Self {
            position: batch.column_by_name("position")?.as_primitive_opt::<Int64Type>()?,
            time: batch.column_by_name("event_time")?.as_primitive_opt::<TimestampMicrosecondType>()?,
            wanted,
        })
    }

    fn cursor(&self, i: usize) -> Cursor {
        Cursor {
            event_time: Timestamp::from_millis(self.time.value(i) / 1000),
            position: Position(self.position.value(i).cast_unsigned()),
        }
    }

    fn wanted(&self, i: usize) -> bool {
        let is = |texts: &StringArray, i: usize, value: &str| texts.is_valid(i) && texts.value(i) == value;
        match self.wanted {
            Wanted::All => true,
            Wanted::Text(texts, value) => is(texts, i, value),
            Wanted::Truth(truths, value) => truths.is_valid(i) && truths.value(i) == value,
            Wanted::AnyText(list, texts, value) => {
                let offsets = list.value_offsets();
                (offsets[i]..offsets[i + 1]).any(|j| is(texts, j.cast_unsigned() as usize, value))
            }
        }
    }
}
