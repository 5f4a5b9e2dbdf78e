//! Files sealed under a data key that lies, sealed itself, at their beginning.
//!
//! A mark, the length of what follows as four bytes (the greatest first), a [`SealedDataKey`] as JSON, then a stream of
//! chunks ([`crate::chunks`]) up to the file's end. The stream is bound to what its owner says, such as the file's
//! name. How long the text is follows from how long the file is; a file that was cut does not open.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use opentrail_runtime::Random;
use serde::{Deserialize, Serialize};

use crate::Material;
use crate::chunks::{CHUNK_BYTES, ChunkOpener, ChunkSealer, HEADER_BYTES, TAG_BYTES, chunks_in};

const MARK: &[u8; 8] = b"OTSEAL1\n";
/// A sealed data key is at most a few kilobytes long.
const LONGEST_KEY: u32 = 64 << 10;

/// A data key as it lies on disk, sealed with a KMS key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SealedDataKey {
    /// The ARN of the KMS key.
    pub kms_key: String,
    /// What KMS made of the data key, in hexadecimal.
    pub data_key: String,
}

/// A data key to seal files with.
#[derive(Clone)]
pub struct DataKey {
    /// The key itself; forget it soon.
    pub material: Material,
    /// The same, as it is kept with what it seals.
    pub sealed: SealedDataKey,
    /// Chance: each file has a key of its own.
    pub random: Arc<dyn Random>,
}

/// Seals what is written to it as one file.
pub struct SealingWriter<W> {
    inner: W,
    sealer: ChunkSealer,
    sealed: Vec<u8>,
    plain_bytes: u64,
}

impl<W: Write> SealingWriter<W> {
    /// Begins a file, which opens only for who says the same `bound`.
    ///
    /// # Errors
    /// As `inner`'s.
    pub fn begin(mut inner: W, key: &DataKey, bound: &[u8]) -> io::Result<Self> {
        let json = serde_json::to_vec(&key.sealed).expect("texts serialize to JSON");
        let length = u32::try_from(json.len()).ok().filter(|length| *length <= LONGEST_KEY);
        let length = length.ok_or_else(|| invalid("the sealed data key is too long"))?;
        let mut sealed = [MARK, &length.to_be_bytes()[..], &json].concat();
        let sealer = ChunkSealer::bound(&key.material, bound, &*key.random, &mut sealed);
        inner.write_all(&sealed)?;
        sealed.clear();
        Ok(Self { inner, sealer, sealed, plain_bytes: 0 })
    }

    /// Ends the file; how long its text is, too.
    ///
    /// # Errors
    /// As `inner`'s.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.sealer.finish(&mut self.sealed);
        self.inner.write_all(&self.sealed)?;
        Ok((self.inner, self.plain_bytes))
    }
}

impl<W: Write> Write for SealingWriter<W> {
    /// After an error the file is of no use.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sealer.update(bytes, &mut self.sealed);
        self.inner.write_all(&self.sealed)?;
        self.sealed.clear();
        self.plain_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What a sealed file says before its text.
#[derive(Clone, Debug)]
pub struct SealedHeader {
    /// Its data key.
    pub key: SealedDataKey,
    /// The header of the stream.
    stream: [u8; HEADER_BYTES as usize],
    /// Where the first chunk is.
    start: u64,
    /// How long the text is.
    pub plain_bytes: u64,
}

impl SealedHeader {
    /// Reads it at the beginning of a file. Blocks.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the file is not a sealed one, or was cut; the system's.
    pub fn read(file: &File) -> io::Result<Self> {
        let stored = file.metadata()?.len();
        let mut reader = io::BufReader::with_capacity(4096, At { file, position: 0 });
        let (mut mark, mut length) = ([0; MARK.len()], [0; 4]);
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => invalid("it was cut"),
            _ => error,
        };
        reader.read_exact(&mut mark).map_err(cut)?;
        reader.read_exact(&mut length).map_err(cut)?;
        let length = u32::from_be_bytes(length);
        if mark != *MARK || length > LONGEST_KEY {
            return Err(invalid("it does not begin as a sealed file does"));
        }
        let mut json = vec![0; length as usize];
        reader.read_exact(&mut json).map_err(cut)?;
        let key = serde_json::from_slice(&json).map_err(|_| invalid("its data key cannot be understood"))?;
        let mut stream = [0; HEADER_BYTES as usize];
        reader.read_exact(&mut stream).map_err(cut)?;
        let start = (MARK.len() + 4) as u64 + u64::from(length) + HEADER_BYTES;
        let body = stored.saturating_sub(start);
        let chunks = body.div_ceil(CHUNK_BYTES + TAG_BYTES);
        let plain_bytes = chunks.checked_mul(TAG_BYTES).and_then(|tags| body.checked_sub(tags));
        let plain_bytes = plain_bytes.filter(|plain| chunks > 0 && chunks_in(*plain) == chunks);
        Ok(Self { key, stream, start, plain_bytes: plain_bytes.ok_or_else(|| invalid("it was cut"))? })
    }

    /// Opens the chunks of the file with its data key.
    ///
    /// # Errors
    /// When the file is of a format that is not known.
    pub fn opener(&self, data_key: &Material, bound: &[u8]) -> io::Result<ChunkOpener> {
        ChunkOpener::bound(data_key, bound, &self.stream, self.plain_bytes)
            .map_err(|_| invalid("it is sealed in a format that is not known"))
    }

    /// The text within `range`, of the file that this was read from. Blocks.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the bytes were altered, or sealed with another key or for another file;
    /// [`io::ErrorKind::UnexpectedEof`] for a range beyond the end; the system's.
    pub fn text(&self, file: &File, opener: &ChunkOpener, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        if range.end > self.plain_bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the range ends behind the file"));
        }
        let (first, last) = (range.start / CHUNK_BYTES, (range.end - 1) / CHUNK_BYTES);
        let sealed_chunk = CHUNK_BYTES + TAG_BYTES;
        let plain = (self.plain_bytes - first * CHUNK_BYTES).min((last + 1 - first) * CHUNK_BYTES);
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| invalid("it is too long"));
        let mut bytes = vec![0; size(plain + (last + 1 - first) * TAG_BYTES)?];
        file.read_exact_at(&mut bytes, self.start + first * sealed_chunk)?;
        let mut end = 0;
        for (index, from) in (first..=last).zip((0..bytes.len()).step_by(sealed_chunk as usize)) {
            let to = bytes.len().min(from + sealed_chunk as usize);
            let altered = |_| invalid("it was altered, or is not the file that was sealed so");
            let length = opener.open_in_place(index, &mut bytes[from..to]).map_err(altered)?;
            bytes.copy_within(from..from + length, end);
            end += length;
        }
        let from = size(range.start - first * CHUNK_BYTES)?;
        bytes.truncate(size(range.end - first * CHUNK_BYTES)?);
        bytes.drain(..from);
        Ok(bytes)
    }
}

/// Reads a file from a place of its own.
struct At<'a> {
    file: &'a File,
    position: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

impl<W> fmt::Debug for SealingWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingWriter").field("sealer", &self.sealer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use opentrail_runtime::SystemRandom;

    use super::*;

    fn key() -> DataKey {
        let sealed = SealedDataKey { kms_key: "arn".to_owned(), data_key: "00".repeat(200) };
        DataKey { material: Material::generate(&SystemRandom), sealed, random: Arc::new(SystemRandom) }
    }

    fn write(path: &Path, key: &DataKey, text: &[u8]) {
        let mut writer = SealingWriter::begin(File::create(path).unwrap(), key, b"a").unwrap();
        text.chunks(10_000).for_each(|piece| writer.write_all(piece).unwrap());
        assert_eq!(writer.finish().unwrap().1, text.len() as u64);
    }

    fn read(path: &Path, key: &DataKey, bound: &[u8], range: Option<Range<u64>>) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let header = SealedHeader::read(&file)?;
        assert_eq!(header.key, key.sealed);
        let opener = header.opener(&key.material, bound)?;
        header.text(&file, &opener, range.unwrap_or(0..header.plain_bytes))
    }

    #[test]
    fn every_range_of_a_file_is_that_of_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key, chunk) = (dir.path().join("f"), key(), CHUNK_BYTES);
        for length in [0, 1, chunk - 1, chunk, chunk + 1, 5 * chunk + 77] {
            let text: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            write(&path, &key, &text);
            assert_eq!(read(&path, &key, b"a", None).unwrap(), text);
            for start in [0, 1, chunk - 1, chunk, 4 * chunk + 5] {
                for end in [start, start + 1, start + chunk, length] {
                    if start <= end && end <= length {
                        let part = read(&path, &key, b"a", Some(start..end)).unwrap();
                        assert_eq!(part, text[start as usize..end as usize], "{start}..{end} of {length}");
                    }
                }
            }
            assert!(read(&path, &key, b"a", Some(0..length + 1)).is_err());
        }
    }

    #[test]
    fn a_file_that_was_altered_cut_renamed_or_sealed_with_another_key_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mine) = (dir.path().join("f"), key());
        write(&path, &mine, &vec![7; 2 * CHUNK_BYTES as usize + 9]);
        let whole = std::fs::read(&path).unwrap();
        assert!(read(&path, &mine, b"b", None).is_err(), "it is another file's");
        assert!(read(&path, &DataKey { material: key().material, ..mine.clone() }, b"a", None).is_err());
        let opens = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let file = File::open(&path)?;
            let header = SealedHeader::read(&file)?;
            let opener = header.opener(&mine.material, b"a")?;
            header.text(&file, &opener, header.plain_bytes - 1..header.plain_bytes)
        };
        assert!(opens(&whole).is_ok());
        let header = whole.len() - 2 * (CHUNK_BYTES + TAG_BYTES) as usize - 9 - TAG_BYTES as usize;
        for length in [0, 3, 20, header, header + 5, whole.len() - 9, whole.len() - 25, whole.len() - 1] {
            assert!(opens(&whole[..length]).is_err(), "cut to {length}");
        }
        for at in [0, 9, header - 3, whole.len() - 1] {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            assert!(opens(&altered).is_err(), "byte {at}");
        }
    }
}
