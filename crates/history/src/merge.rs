//! The rows of several files as one stream in a file's order, with a batch of each file in memory.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use crate::HistoryError;
use crate::footer::Footers;
use crate::layout::{BLOCK_ROWS, GroupRows};
use crate::segment::Segment;

/// Rows of all files together that are decoded ahead.
const ROWS_AHEAD: usize = 8192;

/// Where a row stands in the merged file: its group's number, then the newest first.
type Place = (usize, Reverse<i64>, Reverse<i64>);

/// A file being read.
struct Input {
    segment: Arc<Segment>,
    reader: ParquetRecordBatchReader,
    /// Where each of the file's groups ends, and its number among all groups.
    groups: Vec<(usize, usize)>,
    /// The rows in hand, of which those before `at` are taken.
    batch: RecordBatch,
    at: usize,
    /// The number of the next row in the file.
    row: usize,
}

impl Input {
    /// Puts the next rows in hand; false when there are none.
    fn load(&mut self) -> Result<bool, HistoryError> {
        let Some(batch) = self.reader.next() else { return Ok(false) };
        self.batch = batch.map_err(|error| self.segment.unreadable(error.into()))?;
        self.at = 0;
        Ok(true)
    }

    /// Where the next row in hand stands.
    fn place(&self) -> Option<Place> {
        let time = self.batch.column_by_name("event_time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        let position = self.batch.column_by_name("position")?.as_primitive_opt::<Int64Type>()?;
        let (_, group) = self.groups.get(self.groups.partition_point(|(end, _)| *end <= self.row))?;
        Some((*group, Reverse(time.value(self.at)), Reverse(position.value(self.at))))
    }
}

/// The rows of files, each in order, in the order of all of them.
pub(crate) struct Merge {
    inputs: Vec<Input>,
    /// The next row in hand of each file that has one.
    heads: BinaryHeap<Reverse<(Place, usize)>>,
    failed: bool,
}

impl Merge {
    pub(crate) fn open(dir: &Path, footers: &Footers, segments: Vec<Arc<Segment>>) -> Result<Self, HistoryError> {
        // Compared again, however long ago they were: the merged file's checksum will vouch for what is read here.
        let whole = |segment: &Arc<Segment>| segment.data.verify(dir).map_err(HistoryError::from);
        segments.iter().try_for_each(whole)?;
        let opened: Vec<_> =
            segments.iter().map(|segment| footers.get(dir, &segment.data)).collect::<Result<_, _>>()?;
        let groups: BTreeSet<_> =
            opened.iter().flat_map(|footer| footer.layout.groups.iter().map(GroupRows::group)).collect();
        let groups: Vec<_> = groups.into_iter().collect();
        let batch_rows = (ROWS_AHEAD / segments.len().max(1)).clamp(32, BLOCK_ROWS);
        let mut merge = Self { inputs: Vec::new(), heads: BinaryHeap::new(), failed: false };
        for (segment, footer) in segments.into_iter().zip(&opened) {
            let reader = footer.read(None, None, batch_rows).map_err(|source| segment.unreadable(source))?;
            let mut end = 0;
            let ends = footer.layout.groups.iter().map(|group| {
                end += group.rows;
                (end, groups.binary_search(&group.group()).unwrap_or_default())
            });
            let batch = RecordBatch::new_empty(Arc::clone(footer.metadata.schema()));
            merge.inputs.push(Input { segment, reader, groups: ends.collect(), batch, at: 0, row: 0 });
        }
        for input in 0..merge.inputs.len() {
            merge.refill(input)?;
        }
        Ok(merge)
    }

    fn refill(&mut self, input: usize) -> Result<(), HistoryError> {
        if self.inputs[input].load()? {
            self.push(input)?;
        }
        Ok(())
    }

    fn push(&mut self, input: usize) -> Result<(), HistoryError> {
        let place = self.inputs[input].place().ok_or_else(|| self.inputs[input].segment.damaged())?;
        self.heads.push(Reverse((place, input)));
        Ok(())
    }

    /// The next rows, at most a block of them and none that is not in hand.
    fn take(&mut self) -> Result<Option<RecordBatch>, HistoryError> {
        let (mut picked, mut used_up) = (Vec::new(), None);
        while picked.len() < BLOCK_ROWS
            && used_up.is_none()
            && let Some(Reverse((_, number))) = self.heads.pop()
        {
            let input = &mut self.inputs[number];
            picked.push((number, input.at));
            input.at += 1;
            input.row += 1;
            if input.at == input.batch.num_rows() {
                used_up = Some(number);
            } else {
                self.push(number)?;
            }
        }
        let Some((first, _)) = picked.first().copied() else { return Ok(None) };
        let batches: Vec<&RecordBatch> = self.inputs.iter().map(|input| &input.batch).collect();
        let rows = interleave_record_batch(&batches, &picked)
            .map_err(|error| self.inputs[first].segment.unreadable(error.into()))?;
        if let Some(input) = used_up {
            self.refill(input)?;
        }
        Ok(Some(rows))
    }
}

impl Iterator for Merge {
    type Item = Result<RecordBatch, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let taken = self.take();
        self.failed = taken.is_err();
        taken.transpose()
    }
}
