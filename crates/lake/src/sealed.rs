//! Sealed data files, read in any order.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use opentrail_keys::chunks::ChunkOpener;
use opentrail_keys::{Material, SealedDataKey, SealedHeader};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::{DataFile, LakeError};

/// A sealed data file of which is known what it says in the clear: by which data key it opens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SealedFile {
    path: PathBuf,
    bound: Arc<str>,
    header: SealedHeader,
}

impl SealedFile {
    /// Reads the beginning of the file below `dir`. Blocks.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when it is not sealed, or not as long as its commit says; [`LakeError::Io`].
    pub fn find(dir: &Path, data: &DataFile) -> Result<Self, LakeError> {
        let path = dir.join(&data.path);
        let file = File::open(&path).map_err(LakeError::io(&path))?;
        let header = SealedHeader::read(&file).map_err(told(&path))?;
        if header.plain_bytes != data.size_bytes {
            let reason = format!("it has {} bytes, and {} by its commit", header.plain_bytes, data.size_bytes);
            return Err(LakeError::Damaged { path, reason });
        }
        Ok(Self { path, bound: data.bound().into(), header })
    }

    /// Its data key, sealed.
    pub fn key(&self) -> &SealedDataKey {
        &self.header.key
    }

    /// Opens it with its data key. Blocks.
    ///
    /// # Errors
    /// When it is not there any more. That the key is another's, or the bytes are altered, shows where they are read.
    pub fn open(&self, data_key: &Material) -> Result<SealedReader, LakeError> {
        let file = File::open(&self.path).map_err(LakeError::io(&self.path))?;
        let opener = self.header.opener(data_key, self.bound.as_bytes()).map_err(told(&self.path))?;
        Ok(SealedReader(Arc::new(Opened { file, opener, of: self.clone() })))
    }
}

fn told(path: &Path) -> impl FnOnce(io::Error) -> LakeError {
    let path = path.to_owned();
    move |error| match error.kind() {
        io::ErrorKind::InvalidData => LakeError::Damaged { path, reason: error.to_string() },
        _ => LakeError::Io { path, source: error },
    }
}

/// A sealed file's plain bytes, for the Parquet library and others. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SealedReader(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    file: File,
    opener: ChunkOpener,
    of: SealedFile,
}

impl SealedReader {
    /// The bytes within `range`. Blocks.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when they do not open; [`LakeError::Io`].
    pub fn bytes(&self, range: Range<u64>) -> Result<Bytes, LakeError> {
        let Opened { file, opener, of } = &*self.0;
        of.header.text(file, opener, range).map(Bytes::from).map_err(told(&of.path))
    }
}

impl Length for SealedReader {
    fn len(&self) -> u64 {
        self.0.of.header.plain_bytes
    }
}

impl ChunkReader for SealedReader {
    type T = BufReader<Pieces>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Pieces { reader: self.clone(), piece: Bytes::new(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.bytes(start..start + length as u64).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Bytes read at once where nobody says how many are wanted.
const PIECE_BYTES: u64 = 64 << 10;

/// Reads on from a place.
#[derive(Debug)]
pub struct Pieces {
    reader: SealedReader,
    piece: Bytes,
    at: u64,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            // Up to the end of a chunk: no chunk is opened twice.
            let end = (self.at / PIECE_BYTES + 1) * PIECE_BYTES;
            let end = end.min(self.reader.len());
            self.piece = self.reader.bytes(self.at..end).map_err(io::Error::other)?;
            self.at = end.max(self.at);
        }
        let taken = buffer.len().min(self.piece.len());
        buffer[..taken].copy_from_slice(&self.piece.split_to(taken));
        Ok(taken)
    }
}
