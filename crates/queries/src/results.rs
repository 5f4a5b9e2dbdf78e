//! A query's rows on disk.
//!
//! A directory holds `rows`, blocks of rows, each a zstd frame of JSON lines with a checksum; and `index.json`, which
//! says what the blocks hold, so that a page is found without reading those before it. The directory is written under
//! another name and gets its own when it is whole and durable. Frames of rows of event data stores with KMS keys are
//! sealed, and the index says with which data keys.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use opentrail_runtime::CrashPoint;
use opentrail_stores::StoreKeyError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Row;
use crate::seal::{Seal, SealedBy};

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
    /// They are of an event data store whose KMS key cannot be used now.
    #[error(transparent)]
    Key(#[from] StoreKeyError),
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
    /// The keys of all of which a key of the blocks was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sealed_by: Vec<SealedBy>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Block {
    rows: u64,
    /// Compressed, and sealed if they are.
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

    fn kept(&self, id: Uuid) -> PathBuf {
        self.0.join(id.to_string())
    }

    fn staged(&self, id: Uuid) -> PathBuf {
        self.0.join(format!("{id}.part"))
    }

    /// Removes everything that is kept for a query; nothing to do when nothing is.
    pub(crate) fn remove(&self, id: Uuid) -> Result<(), ResultsError> {
        for path in [self.staged(id), self.kept(id)] {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(&path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Begins a query's results, in the place of whatever an interrupted run left.
    pub(crate) fn write(
        &self,
        id: Uuid,
        columns: Vec<String>,
        limit: u64,
        seal: Option<Seal>,
    ) -> Result<Writer, ResultsError> {
        self.remove(id)?;
        let staged = self.staged(id);
        fs::create_dir(&staged).map_err(disk(&staged))?;
        let path = staged.join(ROWS);
        let file = File::create_new(&path).map_err(disk(&path))?;
        let sealed_by = seal.as_ref().map(|seal| seal.by().to_vec()).unwrap_or_default();
        Ok(Writer {
            id,
            seal,
            parent: self.0.clone(),
            staged,
            kept: self.kept(id),
            file,
            index: Index { columns, sealed_by, ..Index::default() },
            block: Vec::new(),
            block_rows: 0,
            bytes: 0,
            limit,
        })
    }

    /// Opens a query's results.
    pub(crate) fn read(&self, id: Uuid) -> Result<Reader, ResultsError> {
        let dir = self.kept(id);
        let path = dir.join(INDEX);
        let text = fs::read(&path).map_err(disk(&path))?;
        let damaged = |error: serde_json::Error| ResultsError::Damaged { path, reason: error.to_string() };
        let index = serde_json::from_slice(&text).map_err(damaged)?;
        Ok(Reader { id, rows: dir.join(ROWS), index, dir, seal: None })
    }
}

/// Writes a query's rows. Dropped before [`Self::finish`], it leaves what [`ResultsDir::write`] and
/// [`ResultsDir::remove`] take away.
#[derive(Debug)]
pub(crate) struct Writer {
    id: Uuid,
    seal: Option<Seal>,
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
        let mut frame = encoder.finish().map_err(disk(&path))?;
        if let Some(seal) = &self.seal {
            frame = seal.seal(self.id, self.index.blocks.len(), &frame);
        }
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
    id: Uuid,
    rows: PathBuf,
    index: Index,
    seal: Option<Seal>,
}

impl Reader {
    /// With which data keys the rows are sealed: none for those that are not.
    pub(crate) fn sealed_by(&self) -> &[SealedBy] {
        &self.index.sealed_by
    }

    /// The same, opening its rows with these keys.
    pub(crate) fn with(self, seal: Seal) -> Self {
        Self { seal: Some(seal), ..self }
    }

    /// What opens its rows, if they are sealed and it is known.
    pub(crate) fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

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
        for (number, block) in self.index.blocks.iter().enumerate() {
            if first + block.rows > from {
                file.seek(SeekFrom::Start(offset)).map_err(disk(&self.rows))?;
                let rows = self.block(&mut file, number, *block)?;
                if !take(first, rows)? {
                    return Ok(());
                }
            }
            first += block.rows;
            offset += block.bytes;
        }
        Ok(())
    }

    fn block(&self, file: &mut File, number: usize, block: Block) -> Result<Vec<Row>, ResultsError> {
        let damaged = |reason: String| ResultsError::Damaged { path: self.rows.clone(), reason };
        let mut frame = vec![0; usize::try_from(block.bytes).map_err(|error| damaged(error.to_string()))?];
        file.read_exact(&mut frame).map_err(|error| damaged(error.to_string()))?;
        if let Some(seal) = &self.seal {
            let opened = seal.unseal(self.id, number, &frame);
            frame = opened.ok_or_else(|| damaged("a block does not open with its keys".to_owned()))?;
        }
        let text = zstd::decode_all(&*frame).map_err(|error| damaged(error.to_string()))?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let rows: Result<Vec<Row>, _> = lines.map(serde_json::from_slice).collect();
        let rows = rows.map_err(|error| damaged(error.to_string()))?;
        if rows.len() as u64 == block.rows { Ok(rows) } else { Err(damaged("a block lacks rows".to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use opentrail_keys::Material;
    use opentrail_model::Timestamp;
    use opentrail_runtime::{ManualClock, Random, SystemRandom};
    use opentrail_stores::{DataKeys, SealedDataKey, StoreKey, StoreKms};

    use super::*;

    fn row(number: usize) -> Row {
        vec![Some(format!("row {number}")), number.is_multiple_of(2).then(|| "a \"text\"\nof two lines".to_owned())]
    }

    fn written(dir: &ResultsDir, count: usize) -> Uuid {
        let id = Uuid::from_u128(count as u128);
        let mut writer = dir.write(id, vec!["a".into(), "b".into()], u64::MAX, None).unwrap();
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
        let mut writer = dir.write(id, vec!["a".into()], u64::MAX, None).unwrap();
        writer.push(vec![vec![None]; 3000]).unwrap();
        assert!(dir.read(id).is_err());
        drop(writer);
        for rows in [2, 1] {
            let mut writer = dir.write(id, vec!["a".into()], u64::MAX, None).unwrap();
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

    #[tokio::test]
    async fn sealed_rows_are_read_with_every_key_they_were_made_with() {
        let temp = tempfile::tempdir().unwrap();
        let dir = ResultsDir::open(temp.path().to_owned()).unwrap();
        let (kms, random): (_, Arc<dyn Random>) = (Arc::new(TestKms::default()), Arc::new(SystemRandom));
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let keys = DataKeys::new(kms.clone(), Duration::ZERO, clock, random.clone());
        let stores = [1, 2].map(|id| (store(id), format!("key-{id}")));
        let seal = Seal::new(&keys, stores.to_vec(), &random).await.unwrap();
        let id = Uuid::from_u128(7);
        let mut writer = dir.write(id, vec!["a".into()], u64::MAX, seal).unwrap();
        writer.push((0..2500).map(row).collect()).unwrap();
        writer.finish().unwrap();
        let read = async || {
            let reader = dir.read(id)?;
            let by = reader.sealed_by().to_vec();
            assert_eq!(by.len(), 2);
            reader.with(Seal::open(&keys, by, &random).await?).page(1500, 10, usize::MAX)
        };
        assert_eq!(read().await.unwrap().rows, (1500..1510).map(row).collect::<Vec<_>>());
        assert!(dir.read(id).unwrap().page(0, 1, 1).is_err(), "sealed rows are not taken for others");
        for store in [1, 2].map(store) {
            kms.off.lock().replace(store);
            assert!(matches!(read().await, Err(ResultsError::Key(_))));
        }
        kms.off.lock().take();
        // Blocks in each other's place do not open.
        let path = temp.path().join(id.to_string()).join(ROWS);
        let whole = fs::read(&path).unwrap();
        let mut altered = whole.clone();
        altered[3] ^= 1;
        fs::write(&path, altered).unwrap();
        let all = async || {
            let reader = dir.read(id)?;
            let by = reader.sealed_by().to_vec();
            reader.with(Seal::open(&keys, by, &random).await?).each_block(0, |_, _| Ok(true))
        };
        assert!(matches!(all().await, Err(ResultsError::Damaged { .. })));
        fs::write(&path, whole).unwrap();
        all().await.unwrap();
    }

    /// Keys by their stores' ids, of which one can be off.
    #[derive(Debug, Default)]
    struct TestKms {
        off: parking_lot::Mutex<Option<StoreKey>>,
    }

    impl TestKms {
        fn material(&self, store: &StoreKey) -> Result<Material, StoreKeyError> {
            if self.off.lock().as_ref() == Some(store) {
                return Err(StoreKeyError::AccessDenied { key: "off".into() });
            }
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(store.id.as_bytes());
            Ok(Material::from_bytes(&bytes).unwrap())
        }
    }

    #[async_trait]
    impl StoreKms for TestKms {
        async fn check(&self, _: &StoreKey, text: &str) -> Result<String, StoreKeyError> {
            Ok(text.to_owned())
        }

        async fn make(&self, store: &StoreKey, key: &str) -> Result<(Material, SealedDataKey), StoreKeyError> {
            let sealed = SealedDataKey { kms_key: key.to_owned(), data_key: String::new() };
            Ok((self.material(store)?, sealed))
        }

        async fn open(&self, store: &StoreKey, _: &SealedDataKey) -> Result<Material, StoreKeyError> {
            self.material(store)
        }
    }

    fn store(id: u128) -> StoreKey {
        StoreKey {
            account: "111122223333".parse().unwrap(),
            home_region: "us-east-1".parse().unwrap(),
            id: Uuid::from_u128(id),
        }
    }

    #[test]
    fn too_many_rows_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let dir = ResultsDir::open(temp.path().to_owned()).unwrap();
        let mut writer = dir.write(Uuid::nil(), vec!["a".into()], 10, None).unwrap();
        assert!(matches!(writer.push(vec![row(1); 1000]), Err(ResultsError::TooLarge)));
    }
}
