//! The file of results before it is put: sealed if the rows are.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use opentrail_keys::chunks::ChunkOpener;
use opentrail_keys::{SealedHeader, SealingWriter};

use crate::seal::Seal;

/// What the file is bound to: nothing else is sealed with the same key as a stream.
const BOUND: &[u8] = b"results";

/// The file being written.
pub(crate) enum ResultWriter {
    Plain(BufWriter<File>),
    Sealed(Box<SealingWriter<BufWriter<File>>>),
}

impl ResultWriter {
    pub(crate) fn create(path: &Path, seal: Option<&Seal>) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        Ok(match seal {
            None => Self::Plain(file),
            Some(seal) => Self::Sealed(Box::new(SealingWriter::begin(file, &seal.file_key(), BOUND)?)),
        })
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Sealed(sealing) => sealing.finish()?.0.flush(),
        }
    }
}

impl Write for ResultWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Sealed(sealing) => sealing.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Sealed(sealing) => sealing.flush(),
        }
    }
}

/// The file being read, in parts.
pub(crate) struct ResultReader {
    file: File,
    part_bytes: usize,
    /// Where the next part begins, for a sealed one.
    at: u64,
    opened: Option<(SealedHeader, ChunkOpener)>,
}

impl ResultReader {
    pub(crate) fn open(path: &Path, seal: Option<&Seal>, part_bytes: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        let open = |seal: &Seal| {
            let header = SealedHeader::read(&file)?;
            let opener = header.opener(&seal.file_key().material, BOUND)?;
            Ok::<_, io::Error>((header, opener))
        };
        let opened = seal.map(open).transpose()?;
        Ok(Self { file, part_bytes, at: 0, opened })
    }

    /// The next part; an empty one at the end. Blocks.
    pub(crate) fn part(&mut self) -> io::Result<Vec<u8>> {
        if let Some((header, opener)) = &self.opened {
            let end = header.plain_bytes.min(self.at + self.part_bytes as u64);
            let bytes = header.text(&self.file, opener, self.at..end)?;
            self.at = end;
            return Ok(bytes);
        }
        let mut bytes = Vec::with_capacity(self.part_bytes);
        (&mut self.file).take(self.part_bytes as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
