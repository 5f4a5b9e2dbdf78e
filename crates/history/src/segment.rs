//! Searching one file: which of its rows a query wants, then those rows' records.

use std::ops::Range;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, StringArray};
use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_journal::Entry;
use opentrail_lake::DataFile;
use opentrail_model::{AccountId, Position, Source, Timestamp};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::errors::ParquetError;

use crate::footer::{Footer, Footers};
use crate::layout::BLOCK_ROWS;
use crate::row::Group;
use crate::{Cursor, HistoryError, LookupAttribute, LookupEvent, file};

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
        let footer = footers.get(dir, &self.data)?;
        let Some(range) = footer.layout.range(scan.group, scan.start, scan.end) else { return Ok(Vec::new()) };
        let ranges = match scan.attribute.and_then(filter) {
            None => vec![range],
            Some((column, value)) => {
                let among = range.start / BLOCK_ROWS..range.end.div_ceil(BLOCK_ROWS);
                let blocks = footers.blocks(&footer, column, value, among);
                rows_of(&blocks.map_err(|source| self.unreadable(source))?, &range)
            }
        };
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        scan_ranges(&footer, scan, &ranges).map_err(|source| self.unreadable(source))
    }

    /// The events of the hits, whose rows grow. All but time comes from the records themselves, decoded again: that
    /// is less to read than their columns.
    pub(crate) fn fetch(
        &self,
        dir: &Path,
        footers: &Footers,
        account: AccountId,
        hits: &[Hit],
    ) -> Result<Vec<(Cursor, LookupEvent)>, HistoryError> {
        let footer = footers.get(dir, &self.data)?;
        let rows = hits.iter().map(|hit| hit.row..hit.row + 1);
        let selection = RowSelection::from_consecutive_ranges(rows, footer.layout.rows());
        let batches = footer.read(Some(&["raw"]), Some(selection), hits.len());
        let mut entries: Vec<Entry> = Vec::with_capacity(hits.len());
        for batch in batches.map_err(|source| self.unreadable(source))? {
            let batch = batch.map_err(|error| self.unreadable(error.into()))?;
            let raw = batch.column(0).as_binary_opt::<i32>().ok_or_else(|| self.damaged())?;
            for (raw, hit) in raw.iter().zip(&hits[entries.len()..]) {
                entries.push(Entry {
                    position: hit.cursor.position,
                    source: Source::Records,
                    account,
                    received: hit.cursor.event_time,
                    body: Bytes::copy_from_slice(raw.ok_or_else(|| self.damaged())?),
                });
            }
        }
        if entries.len() != hits.len() {
            return Err(self.damaged());
        }
        let events = EventBatch::decode(Position::START, &entries);
        let found = hits.iter().zip(events.events()).zip(entries);
        Ok(found.map(|((hit, event), entry)| (hit.cursor, LookupEvent::of(event, hit.cursor, entry.body))).collect())
    }

    /// Bytes of raw records in the file.
    pub(crate) fn raw_bytes(&self, dir: &Path, footers: &Footers) -> Result<u64, HistoryError> {
        Ok(footers.get(dir, &self.data)?.layout.raw_bytes)
    }

    pub(crate) fn unreadable(&self, source: ParquetError) -> HistoryError {
        HistoryError::Unreadable { file: self.data.path.clone(), source }
    }

    pub(crate) fn damaged(&self) -> HistoryError {
        let reason = "a column is missing or holds what no writer put there".into();
        HistoryError::Damaged { file: self.data.path.clone(), reason }
    }
}

/// The rows of `within` that lie in the blocks, as few ranges as can be.
fn rows_of(blocks: &[usize], within: &Range<usize>) -> Vec<Range<usize>> {
    let runs = blocks.chunk_by(|a, b| a + 1 == *b).map(|run| {
        let (first, end) = (run[0] * BLOCK_ROWS, (run[run.len() - 1] + 1) * BLOCK_ROWS);
        first.max(within.start)..end.min(within.end)
    });
    runs.filter(|rows| !rows.is_empty()).collect()
}

fn scan_ranges(footer: &Footer, scan: &Scan<'_>, ranges: &[Range<usize>]) -> Result<Vec<Hit>, ParquetError> {
    let mut columns = vec!["position", "event_time"];
    columns.extend(scan.attribute.map(column));
    let selection = RowSelection::from_consecutive_ranges(ranges.iter().cloned(), footer.layout.rows());
    let mut rows = ranges.iter().cloned().flatten();
    let mut hits = Vec::new();
    for batch in footer.read(Some(&columns), Some(selection), BLOCK_ROWS)? {
        let batch = batch?;
        let Some(columns) = Columns::of(&batch, scan.attribute) else {
            return Err(ParquetError::General("a column is missing or of another type".into()));
        };
        for (i, row) in (0..batch.num_rows()).zip(&mut rows) {
            if !columns.wanted(i) {
                continue;
            }
            let cursor = columns.cursor(i);
            if cursor < scan.start {
                return Ok(hits);
            }
            if cursor < scan.end {
                hits.push(Hit { cursor, row });
                if hits.len() == scan.limit {
                    return Ok(hits);
                }
            }
        }
    }
    Ok(hits)
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

/// What to ask the filters; a truth value has none.
fn filter(attribute: &LookupAttribute) -> Option<(&'static str, &str)> {
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
                let (name, value) = filter(attribute)?;
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
