use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use aws_lc_rs::digest::{Context, SHA256};
use opentrail_keys::{DataKey, SealedHeader, SealingWriter};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::LakeError;
use crate::disk::{self, sync_dir};

const SUFFIX: &str = ".parquet";
/// Ends the name, before the checksum, of a file that is sealed.
const SEALED: &str = ".sealed";
/// Hexadecimal digits of a SHA-256.
const CHECKSUM_DIGITS: usize = 64;
/// Bytes read at once to be hashed.
const READ_BYTES: usize = 1 << 20;
/// How often a file's directory is made again.
const CREATED_AGAIN: u32 = 10;

/// One Parquet file of a table: what its commit says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its path below the table's directory, `/` between the parts, e.g.
    /// `event_date=2026-01-02/flush-1-9-<checksum>.parquet`.
    pub path: String,
    /// The value of each partition column.
    pub partition: BTreeMap<String, String>,
    /// Its size; that of its plain bytes if it is sealed.
    pub size_bytes: u64,
    /// Statistics as Delta spells them: JSON with `numRecords`, `minValues`, `maxValues`, `nullCount`.
    pub stats: Option<String>,
}

impl DataFile {
    /// The SHA-256 of the file's bytes as they were written, in hexadecimal, which its name ends with. `None` for a
    /// file that [`write_file`] has not named.
    pub fn checksum(&self) -> Option<&str> {
        Some(self.parts()?.1)
    }

    /// The path before the checksum, and the checksum.
    fn parts(&self) -> Option<(&str, &str)> {
        let (path, checksum) = self.path.strip_suffix(SUFFIX)?.rsplit_once('-')?;
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (checksum.len() == CHECKSUM_DIGITS && checksum.bytes().all(is_digit)).then_some((path, checksum))
    }

    /// Whether its bytes are sealed, which its name says.
    pub fn is_sealed(&self) -> bool {
        self.parts().is_some_and(|(path, _)| path.ends_with(SEALED))
    }

    /// What a sealed file is bound to: its path without the checksum. So no file can be put in the place of another.
    pub(crate) fn bound(&self) -> &str {
        self.parts().map_or(&self.path, |(path, _)| path)
    }

    /// Compares the file below `dir` with its size and its checksum, reading it whole. Blocks.
    ///
    /// Parquet covers none of a file's page indexes and Bloom filters by a checksum: a bit that has changed there
    /// hides rows, and nothing but this notices. A file whose name has no checksum is only measured.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when the bytes are not those that were written, [`LakeError::Io`] when there are none.
    pub fn verify(&self, dir: &Path) -> Result<(), LakeError> {
        let path = dir.join(&self.path);
        let damaged = |reason| Err(LakeError::Damaged { path: path.clone(), reason });
        let mut file = disk::open(&path).map_err(LakeError::io(&path))?;
        let size = match self.is_sealed() {
            true => match SealedHeader::read(&file) {
                Ok(header) => header.plain_bytes,
                Err(error) => return damaged(error.to_string()),
            },
            false => file.metadata().map_err(LakeError::io(&path))?.len(),
        };
        if size != self.size_bytes {
            return damaged(format!("it has {size} bytes, and {} by its commit", self.size_bytes));
        }
        let Some(checksum) = self.checksum() else { return Ok(()) };
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => context.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(LakeError::io(&path)(error)),
            }
        }
        let found = hex::encode(context.finish());
        if found == checksum { Ok(()) } else { damaged(format!("the SHA-256 of its bytes is {found}")) }
    }
}

/// The file that [`write_file`] makes, while it is filled.
pub struct FileWriter<'a> {
    path: &'a Path,
    writer: ArrowWriter<Target>,
}

impl std::fmt::Debug for FileWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileWriter<'_> {
    /// Adds rows. Their encoded pages stay in memory until the row group ends.
    ///
    /// # Errors
    /// When the system or the Parquet library refuses.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.writer.write(batch).map_err(parquet(self.path))
    }

    /// Ends the row group and puts bytes behind it that no other reader looks at. Returns where in the file they lie.
    ///
    /// # Errors
    /// When the system or the Parquet library refuses.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64, LakeError> {
        self.writer.flush().map_err(parquet(self.path))?;
        let offset = self.writer.bytes_written() as u64;
        self.writer.write_all(bytes).map_err(LakeError::io(self.path))?;
        Ok(offset)
    }

    /// Puts a pair into the footer.
    pub fn set_metadata(&mut self, key: &str, value: String) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
}

/// Writes a file below `dir` and returns once the file and its name are on stable storage. `fill` gives its rows, and
/// returns the statistics. The name is `path`, which ends in `.parquet`, with the checksum of the bytes before that.
/// Blocks.
///
/// A crash leaves no file, a part of one or the whole one, under `path` or under its own name; no commit names it
/// before this returns.
///
/// # Errors
/// When `fill` fails, or the system or the Parquet library refuses; the part written is deleted.
pub fn write_file<E: From<LakeError>>(
    dir: &Path,
    path: String,
    partition: BTreeMap<String, String>,
    schema: SchemaRef,
    properties: WriterProperties,
    fill: impl FnOnce(&mut FileWriter<'_>) -> Result<Option<String>, E>,
) -> Result<DataFile, E> {
    write_sealed_file(dir, path, partition, schema, properties, None, fill)
}

/// As [`write_file`], with the file sealed under `key`, if one is given: its name has `.sealed` before the checksum,
/// which is that of the sealed bytes. A table's log has the size of the plain ones, as readers who are shown those need
/// it.
///
/// # Errors
/// As [`write_file`]'s.
pub fn write_sealed_file<E: From<LakeError>>(
    dir: &Path,
    path: String,
    partition: BTreeMap<String, String>,
    schema: SchemaRef,
    properties: WriterProperties,
    key: Option<&DataKey>,
    fill: impl FnOnce(&mut FileWriter<'_>) -> Result<Option<String>, E>,
) -> Result<DataFile, E> {
    let stem = path.strip_suffix(SUFFIX).unwrap_or(&path);
    let stem = if key.is_some() { format!("{stem}{SEALED}") } else { stem.to_owned() };
    let seal = key.map(|key| (key, &*stem));
    let unnamed = dir.join(format!("{stem}{SUFFIX}"));
    let parent = unnamed.parent().unwrap_or(dir);
    let file = create(dir, parent, &unnamed)?;
    let written = write(file, &unnamed, seal, schema, properties, fill).and_then(|(size_bytes, checksum, stats)| {
        let path = format!("{stem}-{checksum}{SUFFIX}");
        disk::rename(&unnamed, &dir.join(&path)).map_err(LakeError::io(&unnamed))?;
        Ok(DataFile { path, partition, size_bytes, stats })
    });
    if written.is_err() {
        // Nothing names it; what cannot be deleted now the vacuum deletes later.
        let _ = disk::remove_file(&unnamed);
    }
    let file = written?;
    sync_dir(parent)?;
    Ok(file)
}

/// Makes the file, and the directory that it lies in.
fn create(dir: &Path, parent: &Path, target: &Path) -> Result<File, LakeError> {
    let mut tries = 0;
    loop {
        if !parent.exists() {
            disk::create_dir_all(parent).map_err(LakeError::io(parent))?;
            sync_dir(dir)?;
        }
        match disk::create(target) {
            // A vacuum may have taken the directory away while it was empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < CREATED_AGAIN => tries += 1,
            created => return created.map_err(LakeError::io(target)),
        }
    }
}

/// Size and checksum of what this writes to the new file, and its statistics.
fn write<E: From<LakeError>>(
    file: File,
    target: &Path,
    seal: Option<(&DataKey, &str)>,
    schema: SchemaRef,
    properties: WriterProperties,
    fill: impl FnOnce(&mut FileWriter<'_>) -> Result<Option<String>, E>,
) -> Result<(u64, String, Option<String>), E> {
    let hashing = Hashing { file, path: target.to_owned(), context: Context::new(&SHA256), size_bytes: 0 };
    let io = LakeError::io(target);
    let to = match seal {
        None => Target::Plain(hashing),
        Some((key, bound)) => {
            Target::Sealed(Box::new(SealingWriter::begin(hashing, key, bound.as_bytes()).map_err(io)?))
        }
    };
    let writer = ArrowWriter::try_new(to, schema, Some(properties)).map_err(parquet(target))?;
    let mut writer = FileWriter { path: target, writer };
    let stats = fill(&mut writer)?;
    let (Hashing { file, context, size_bytes, .. }, plain_bytes) =
        match writer.writer.into_inner().map_err(parquet(target))? {
            Target::Plain(hashing) => (hashing, None),
            Target::Sealed(sealing) => {
                let (hashing, plain_bytes) = sealing.finish().map_err(LakeError::io(target))?;
                (hashing, Some(plain_bytes))
            }
        };
    disk::sync(&file, target).map_err(LakeError::io(target))?;
    Ok((plain_bytes.unwrap_or(size_bytes), hex::encode(context.finish()), stats))
}

fn parquet(path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> LakeError {
    move |source| LakeError::Parquet { path: path.to_owned(), source }
}

/// Where Parquet's bytes go.
enum Target {
    Plain(Hashing),
    Sealed(Box<SealingWriter<Hashing>>),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(hashing) => hashing.write(bytes),
            Self::Sealed(sealing) => sealing.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(hashing) => hashing.flush(),
            Self::Sealed(sealing) => sealing.flush(),
        }
    }
}

/// A file, and the checksum of what it was given: of what was meant, not of what came to lie on the disk.
struct Hashing {
    file: File,
    path: PathBuf,
    context: Context,
    size_bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = disk::write(&self.file, &self.path, bytes)?;
        self.context.update(&bytes[..n]);
        self.size_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
