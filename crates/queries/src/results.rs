//! A query's rows on disk.
//!
//! A directory holds `rows`, blocks of rows, each a zstd frame of JSON lines with a checksum; and `index.json`, which
//! says what the blocks hold, so that a page is found without reading those before it. The directory is written under
//! another name and gets its own when it is whole and durable.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use opentrail_runtime::CrashPoint;
use serde::{Deserialize, Serialize};

use crate::Row;

const ROWS: &str = "rows";
const INDEX: &str = "index.json";
/// A block is closed with so many rows …
const BLOCK_ROWS: usize = 1000;
/// … or bytes before compression.
const BLOCK_BYTES: usize = 1 << 20;
const LEVEL: i32 = 1;

/// Why rows were not written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// What is there was not written so.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There are more rows than a query may have. AWS's own text.
    #[error("Query response is too large")]
    TooLarge,
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> ResultsError + '_ {
    move |source| ResultsError::Disk { path: path.to_owned(), source }
}

/// What `index.json` says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    columns: Vec<String>,
    rows: u64,
    blocks: Vec<Block>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Block {
    rows: u64,
    /// Compressed.
    bytes: u64,
}

/// Where all queries' results are.
#[derive(Clone, Debug)]
pub(crate) struct ResultsDir(PathBuf);

impl ResultsDir {
    /// Makes the directory when it is absent.
    pub(crate) fn open(path: PathBuf) -> Result<Self, ResultsError> {
        fs::create_dir_all(&path).map_err(disk(&path))?;
        Ok(Self(path))
    }

    fn kept(&self, id: uuid::Uuid) -> PathBuf {
        self.0.join(id.to_string())
    }

    fn staged(&self, id: uuid::Uuid) -> PathBuf {
        self.0.join(format!("{id}.part"))
    }

    /// Removes everything that is kept for a query; nothing to do when nothing is.
    pub(crate) fn remove(&self, id: uuid::Uuid) -> Result<(), ResultsError> {
        for path in [self.staged(id), self.kept(id)] {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(&path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Begins a query's results, in the place of whatever an interrupted run left.
    pub(crate) fn write(&self, id: uuid::Uuid, columns: Vec<String>, limit: u64) -> Result<Writer, ResultsError> {
        self.remove(id)?;
        let staged = self.staged(id);
        fs::create_dir(&staged).map_err(disk(&staged))?;
        let path = staged.join(ROWS);
        let file = File::create_new(&path).map_err(disk(&path))?;
        Ok(Writer {
            parent: self.0.clone(),
            staged,
            kept: self.kept(id),
            file,
            index: Index { columns, ..Index::default() },
            block: Vec::new(),
            block_rows: 0,
            bytes: 0,
            limit,
        })
    }

    /// Opens a query's results.
    pub(crate) fn read(&self, id: uuid::Uuid) -> Result<Reader, ResultsError> {
        let dir = self.kept(id);
        let path = dir.join(INDEX);
        let text = fs::read(&path).map_err(disk(&path))?;
        let damaged = |error: serde_json::Error| ResultsError::Damaged { path, reason: error.to_string() };
        Ok(Reader { rows: dir.join(ROWS), index: serde_json::from_slice(&text).map_err(damaged)?, dir })
    }
}

/// Writes a query's rows. Dropped before [`Self::finish`], it leaves what [`ResultsDir::write`] and
/// [`ResultsDir::remove`] take away.
#[derive(Debug)]
pub(crate) struct Writer {
    parent: PathBuf,
    staged: PathBuf,
    kept: PathBuf,
    file: File,
    index: Index,
    block: Vec<u8>,
    block_rows: usize,
    bytes: u64,
    /// Of all blocks together, compressed.
    limit: u64,
}

impl Writer {
    /// Adds rows.
    pub(crate) fn push(&mut self, rows: Vec<Row>) -> Result<(), ResultsError> {
        for row in rows {
            serde_json::to_writer(&mut self.block, &row).expect("texts serialize to JSON");
            self.block.push(b'\n');
            self.block_rows += 1;
            if self.block_rows == BLOCK_ROWS || self.block.len() >= BLOCK_BYTES {
                self.close_block()?;
            }
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), ResultsError> {
        if self.block_rows == 0 {
            return Ok(());
        }
        let path = self.staged.join(ROWS);
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(disk(&path))?;
        encoder.include_checksum(true).map_err(disk(&path))?;
        encoder.write_all(&self.block).map_err(disk(&path))?;
        let frame = encoder.finish().map_err(disk(&path))?;
        let block = Block { rows: self.block_rows as u64, bytes: frame.len() as u64 };
        if self.bytes + block.bytes > self.limit {
            return Err(ResultsError::TooLarge);
        }
        self.file.write_all(&frame).map_err(disk(&path))?;
        self.bytes += block.bytes;
        self.index.rows += block.rows;
        self.index.blocks.push(block);
        self.block.clear();
        self.block_rows = 0;
        Ok(())
    }

    /// Makes the rows durable and gives them their name; how many there are.
    pub(crate) fn finish(mut self) -> Result<u64, ResultsError> {
        self.close_block()?;
        let path = self.staged.join(ROWS);
        self.file.sync_all().map_err(disk(&path))?;
        let path = self.staged.join(INDEX);
        let mut file = File::create_new(&path).map_err(disk(&path))?;
        let text = serde_json::to_vec(&self.index).expect("an index serializes to JSON");
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(disk(&path))?;
        sync_dir(&self.staged)?;
        CrashPoint::QueriesStaged.reach();
        fs::rename(&self.staged, &self.kept).map_err(disk(&self.kept))?;
        sync_dir(&self.parent)?;
        CrashPoint::QueriesPlaced.reach();
        Ok(self.index.rows)
    }
}

fn sync_dir(path: &Path) -> Result<(), ResultsError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(disk(path))
}

/// Some rows of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The headings.
    pub columns: Vec<String>,
    /// The rows asked for, or fewer where they are large.
    pub rows: Vec<Row>,
    /// The number of the row after them; `None` behind the last.
    pub next: Option<u64>,
    /// How many rows there are in all.
    pub total: u64,
}

/// Reads a query's rows.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) dir: PathBuf,
    rows: PathBuf,
    index: Index,
}

impl Reader {
    /// The headings.
    pub(crate) fn columns(&self) -> &[String] {
        &self.index.columns
    }

    /// Up to `max_rows` rows from number `from` on, and no more once they have `max_bytes` together, but one at least.
    pub(crate) fn page(&self, from: u64, max_rows: usize, max_bytes: usize) -> Result<Page, ResultsError> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        self.each_block(from, |first, block| {
            for row in block.into_iter().skip(usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX)) {
                if rows.len() == max_rows || bytes >= max_bytes {
                    return Ok(false);
                }
                bytes += row.iter().flatten().map(String::len).sum::<usize>();
                rows.push(row);
            }
            Ok(true)
        })?;
        let next = from + rows.len() as u64;
        let next = (next < self.index.rows).then_some(next);
        Ok(Page { columns: self.index.columns.clone(), rows, next, total: self.index.rows })
    }

    /// Hands each block from the one with row `from` on to `take`, with the number of its first row, until that has
    /// enough.
    pub(crate) fn each_block(
        &self,
        from: u64,
        mut take: impl FnMut(u64, Vec<Row>) -> Result<bool, ResultsError>,
    ) -> Result<(), ResultsError> {
        let mut file = File::open(&self.rows).map_err(disk(&self.rows))?;
        let (mut first, mut offset) = (0, 0);
        for block in &self.index.blocks {
            if first + block.rows > from {
                file.seek(SeekFrom::Start(offset)).map_err(disk(&self.rows))?;
                let rows = self.block(&mut file, *block)?;
                if !take(first, rows)? {
                    return Ok(());
                }
            }
            first += block.rows;
            offset += block.bytes;
        }
        Ok(())
    }

    fn block(&self, file: &mut File, block: Block) -> Result<Vec<Row>, ResultsError> {
        let damaged = |reason: String| ResultsError::Damaged { path: self.rows.clone(), reason };
        let mut frame = vec![0; usize::try_from(block.bytes).map_err(|error| damaged(error.to_string()))?];
        file.read_exact(&mut frame).map_err(|error| damaged(error.to_string()))?;
        let text = zstd::decode_all(&*frame).map_err(|error| damaged(error.to_string()))?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let rows: Result<Vec<Row>, _> = lines.map(serde_json::from_slice).collect();
        let rows = rows.map_err(|error| damaged(error.to_string()))?;
        if rows.len() as u64 == block.rows { Ok(rows) } else { Err(damaged("a block lacks rows".to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row(number: usize) -> Row {
        vec![Some(format!("row {number}")), number.is_multiple_of(2).then(|| "a \"text\"\nof two lines".to_owned())]
    }

    fn written(dir: &ResultsDir, count: usize) -> Uuid {
        let id = Uuid::from_u128(count as u128);
        let mut writer = dir.write(id, vec!["a".into(), "b".into()], u64::MAX).unwrap();
        let rows: Vec<Row> = (0..count).map(row).collect();
        for some in rows.chunks(300) {
            writer.push(some.to_vec()).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), count as u64);
        id
    }

    #[test]
    fn pages_of_any_size_give_all_rows_in_order() {
        let temp = tempfile::tempdir().unwrap();
        let dir = ResultsDir::open(temp.path().join("queries")).unwrap();
        for count in [0, 1, 999, 1000, 1001, 2500] {
            let id = written(&dir, count);
            let reader = dir.read(id).unwrap();
            for size in [1000, 700] {
                let (mut rows, mut from) = (Vec::new(), Some(0));
                while let Some(number) = from {
                    let page = reader.page(number, size, usize::MAX).unwrap();
                    assert_eq!((page.total, page.columns.len()), (count as u64, 2));
                    assert!(page.rows.len() == size || page.next.is_none());
                    rows.extend(page.rows);
                    from = page.next;
                }
                assert_eq!(rows, (0..count).map(row).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn large_rows_make_short_pages_of_one_row_at_least() {
        let temp = tempfile::tempdir().unwrap();
        let dir = ResultsDir::open(temp.path().to_owned()).unwrap();
        let reader = dir.read(written(&dir, 10)).unwrap();
        let page = reader.page(4, 1000, 1).unwrap();
        assert_eq!((page.rows, page.next), (vec![row(4)], Some(5)));
    }

    #[test]
    fn results_have_no_name_before_they_are_whole_and_a_new_run_replaces_them() {
        let temp = tempfile::tempdir().unwrap();
        let dir = ResultsDir::open(temp.path().to_owned()).unwrap();
        let id = Uuid::from_u128(7);
        let mut writer = dir.write(id, vec!["a".into()], u64::MAX).unwrap();
        writer.push(vec![vec![None]; 3000]).unwrap();
        assert!(dir.read(id).is_err());
        drop(writer);
        for rows in [2, 1] {
            let mut writer = dir.write(id, vec!["a".into()], u64::MAX).unwrap();
            writer.push(vec![vec![None]; rows]).unwrap();
            writer.finish().unwrap();
            assert_eq!(dir.read(id).unwrap().page(0, 10, 10).unwrap().rows.len(), rows);
        }
        dir.remove(id).unwrap();
        dir.remove(id).unwrap();
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_changed_byte_is_found() {
        let temp = tempfile::tempdir().unwrap();
        let dir = ResultsDir::open(temp.path().to_owned()).unwrap();
        let id = written(&dir, 1500);
        let path = temp.path().join(id.to_string()).join(ROWS);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let read = dir.read(id).unwrap().each_block(0, |_, _| Ok(true));
        assert!(matches!(read, Err(ResultsError::Damaged { .. })), "{read:?}");
    }

    #[test]
    fn too_many_rows_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let dir = ResultsDir::open(temp.path().to_owned()).unwrap();
        let mut writer = dir.write(Uuid::nil(), vec!["a".into()], 10).unwrap();
        assert!(matches!(writer.push(vec![row(1); 1000]), Err(ResultsError::TooLarge)));
    }
}
