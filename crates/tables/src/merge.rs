//! The rows of several files as one stream in a file's order and of this server's layout, with a batch of each file in
//! memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_select::interleave::interleave_record_batch;
use opentrail_lake::{DataFile, LakeError, SealedReader};
use opentrail_stores::Kind;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::TableError;
use crate::columns::{LAYOUT, layout_of, upgrade};
use crate::file::{Place, places};
use crate::schema::Columns;

/// Rows of all files together that are decoded ahead.
const ROWS_AHEAD: usize = 4096;
/// Rows given at once.
const BLOCK_ROWS: usize = 1024;

/// A file to be read.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) data: DataFile,
    /// Its plain bytes, if it is sealed.
    pub(crate) sealed: Option<SealedReader>,
}

/// A file being read.
struct Input {
    file: String,
    kind: Kind,
    layout: u32,
    reader: ParquetRecordBatchReader,
    /// The rows in hand, and their places, of which those before `at` are taken.
    batch: RecordBatch,
    places: Vec<Place>,
    at: usize,
}

impl Input {
    fn open(dir: &Path, Part { data, sealed }: &Part, kind: Kind, rows: usize) -> Result<Self, TableError> {
        // Compared again, however long ago they were: the merged file's checksum will vouch for what is read here.
        data.verify(dir)?;
        let path = dir.join(&data.path);
        let unreadable = |source| TableError::Unreadable { file: data.path.clone(), source };
        let reader = match sealed {
            Some(reader) => ParquetRecordBatchReaderBuilder::try_new(reader.clone())
                .and_then(|builder| builder.with_batch_size(rows).build()),
            None => {
                let file = File::open(&path).map_err(|source| LakeError::Io { path: path.clone(), source })?;
                ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.with_batch_size(rows).build())
            }
        };
        let reader = reader.map_err(unreadable)?;
        let batch = RecordBatch::new_empty(Arc::clone(&Columns::of(kind).stored));
        let (file, layout) = (data.path.clone(), layout_of(data));
        Ok(Self { file, kind, layout, reader, batch, places: Vec::new(), at: 0 })
    }

    /// Puts the next rows in hand; false when there are none.
    fn load(&mut self) -> Result<bool, TableError> {
        let Some(batch) = self.reader.next() else { return Ok(false) };
        let damaged = |reason: String| TableError::Damaged { file: self.file.clone(), reason };
        let batch = batch.map_err(|error| damaged(error.to_string()))?;
        let batch = match self.layout {
            LAYOUT => RecordBatch::try_new(Arc::clone(&Columns::of(self.kind).stored), batch.columns().to_vec()),
            older if older < LAYOUT => upgrade(self.kind, &batch).map(|rows| rows.batch),
            newer => Err(ArrowError::SchemaError(format!("a newer server wrote it, in its layout {newer}"))),
        };
        let batch = batch.map_err(|error| damaged(format!("its columns are not a store's: {error}")))?;
        self.places = places(&batch).ok_or_else(|| damaged("its rows have no place".into()))?;
        (self.batch, self.at) = (batch, 0);
        Ok(true)
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
    pub(crate) fn open(dir: &Path, kind: Kind, files: &[Part]) -> Result<Self, TableError> {
        let rows = (ROWS_AHEAD / files.len().max(1)).clamp(32, BLOCK_ROWS);
        let inputs = files.iter().map(|part| Input::open(dir, part, kind, rows)).collect::<Result<_, _>>()?;
        let mut merge = Self { inputs, heads: BinaryHeap::new(), failed: false };
        for input in 0..merge.inputs.len() {
            merge.refill(input)?;
        }
        Ok(merge)
    }

    fn refill(&mut self, number: usize) -> Result<(), TableError> {
        while self.inputs[number].load()? {
            if self.push(number) {
                break;
            }
        }
        Ok(())
    }

    /// False when no row is in hand.
    fn push(&mut self, number: usize) -> bool {
        let input = &self.inputs[number];
        let Some(place) = input.places.get(input.at) else { return false };
        self.heads.push(Reverse((*place, number)));
        true
    }

    /// The next rows, at most a block of them and none that is not in hand.
    fn take(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let (mut picked, mut used_up) = (Vec::new(), None);
        while picked.len() < BLOCK_ROWS
            && used_up.is_none()
            && let Some(Reverse((_, number))) = self.heads.pop()
        {
            picked.push((number, self.inputs[number].at));
            self.inputs[number].at += 1;
            if !self.push(number) {
                used_up = Some(number);
            }
        }
        let Some((first, _)) = picked.first().copied() else { return Ok(None) };
        let batches: Vec<&RecordBatch> = self.inputs.iter().map(|input| &input.batch).collect();
        let rows = interleave_record_batch(&batches, &picked).map_err(|error| TableError::Damaged {
            file: self.inputs[first].file.clone(),
            reason: error.to_string(),
        })?;
        if let Some(number) = used_up {
            self.refill(number)?;
        }
        Ok(Some(rows))
    }
}

impl Iterator for Merge {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let taken = self.take();
        self.failed = taken.is_err();
        taken.transpose()
    }
}
