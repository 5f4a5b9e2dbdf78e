//! A segment: one file, named by the position of its first entry, with a checksummed head and then frames.

use std::io;

use bytes::{Bytes, BytesMut};
use opentrail_model::Position;
use opentrail_runtime::CrashPoint;

use super::disk::{Disk, DiskFile};
use super::frame::{self, Head};

/// Bytes before the first frame: magic (8), format version (4), zero (4), first position (8), zero (4), CRC-32 (4).
pub(crate) const HEADER: u64 = 32;
/// The format that is written.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"OTJOURNL";
/// One entry of the index for so many bytes of frames.
const INDEX_STEP: u64 = 64 << 10;

/// The name of the segment that begins with `first`.
pub(crate) fn name(first: Position) -> String {
    format!("{:020}.log", first.0)
}

/// The first position that a file's name tells; `None` for names that are no segment's.
pub(crate) fn first_of(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Position)
}

/// The head of the segment that begins with `first`.
pub(crate) fn header(first: Position) -> [u8; HEADER as usize] {
    let mut out = [0; HEADER as usize];
    out[..8].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[16..24].copy_from_slice(&first.0.to_le_bytes());
    let crc = crc32fast::hash(&out[..28]);
    out[28..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// What is wrong with a segment's head.
#[derive(Debug)]
pub(crate) enum HeaderError {
    Damaged(&'static str),
    Version(u32),
}

/// Checks the head of the segment named for `first`.
pub(crate) fn check_header(bytes: &[u8], first: Position) -> Result<(), HeaderError> {
    if bytes.len() < HEADER as usize || bytes[..8] != MAGIC {
        return Err(HeaderError::Damaged("the file does not begin as a journal segment"));
    }
    if crc32fast::hash(&bytes[..28]).to_le_bytes() != bytes[28..32] {
        return Err(HeaderError::Damaged("the file's head fails its checksum"));
    }
    let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes were cut out"));
    if version != VERSION {
        return Err(HeaderError::Version(version));
    }
    if bytes[16..24] != first.0.to_le_bytes() {
        return Err(HeaderError::Damaged("the file's name and head tell different first positions"));
    }
    Ok(())
}

/// Makes the segment that begins with `first`, with room for `size` bytes.
///
/// It is written under another name first: a file that is named as a segment has a durable head. One that has the
/// name already holds nothing durable (an earlier attempt failed half-way) and is replaced.
pub(crate) fn create(disk: &dyn Disk, first: Position, size: u64) -> io::Result<Box<dyn DiskFile>> {
    let file = disk.create(TEMPORARY)?;
    // Room is claimed as a hole: measured on ext4, writing zeroes first makes small commits no faster than this and
    // halves the throughput of large ones.
    file.set_len(size)?;
    file.write_at(&header(first), 0)?;
    file.sync()?;
    CrashPoint::JournalSegmentStaged.reach();
    disk.rename(TEMPORARY, &name(first))?;
    CrashPoint::JournalSegmentNamed.reach();
    // A crash before this line may leave no such segment: nothing in it was acknowledged.
    disk.sync_names()?;
    Ok(file)
}

/// The name of a segment that is being made.
pub(crate) const TEMPORARY: &str = "next.tmp";

/// What is known of a segment while it is in use.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    /// Of its first entry, whether there is one or not.
    pub(crate) first: Position,
    /// The position after its last durable entry.
    pub(crate) next: Position,
    /// Where its durable frames end.
    pub(crate) end: u64,
    /// First position and offset of some frames, in order.
    index: Vec<(Position, u64)>,
}

impl Extent {
    /// A segment without frames.
    pub(crate) fn empty(first: Position) -> Self {
        Self { first, next: first, end: HEADER, index: Vec::new() }
    }

    /// Notes that a frame is durable at the end.
    pub(crate) fn push(&mut self, head: Head) {
        if self.index.last().is_none_or(|(_, offset)| self.end - offset >= INDEX_STEP) {
            self.index.push((head.first, self.end));
        }
        self.end += head.len as u64;
        self.next = head.next();
    }

    /// Where to start looking for `position`.
    pub(crate) fn offset_before(&self, position: Position) -> u64 {
        let after = self.index.partition_point(|(first, _)| *first <= position);
        after.checked_sub(1).map_or(HEADER, |at| self.index[at].1)
    }
}

/// What stands at an offset of a segment.
#[derive(Debug)]
pub(crate) enum Found {
    /// A frame whose checksum is right.
    Frame(Head, Bytes),
    /// No frame: zeroes, or the end of the file.
    Nothing,
    /// No whole, intact frame, but not nothing either.
    Bad(&'static str),
}

/// Reads a segment's frames through a window, so that small frames do not cost a system call each.
pub(crate) struct Frames<'a> {
    file: &'a dyn DiskFile,
    /// No byte at or after this offset is looked at.
    end: u64,
    window: Bytes,
    window_at: u64,
}

impl<'a> Frames<'a> {
    /// The frames of `file` before the offset `end`.
    pub(crate) fn new(file: &'a dyn DiskFile, end: u64) -> Self {
        Self { file, end, window: Bytes::new(), window_at: 0 }
    }

    /// What stands at `offset`.
    pub(crate) fn at(&mut self, offset: u64) -> io::Result<Found> {
        let head = self.bytes(offset, frame::HEAD)?;
        let Some(parsed) = Head::parse(&head) else {
            return Ok(match head.iter().all(|byte| *byte == 0) {
                true => Found::Nothing,
                false => Found::Bad("no frame begins here"),
            });
        };
        let whole = self.bytes(offset, parsed.len)?;
        Ok(if whole.len() < parsed.len {
            Found::Bad("the file ends within a frame")
        } else if frame::is_intact(&whole) {
            Found::Frame(parsed, whole)
        } else {
            Found::Bad("a frame fails its checksum")
        })
    }

    /// The offset of the first intact frame after `offset` whose first position is `least` or later.
    pub(crate) fn find_later(&mut self, offset: u64, least: Position) -> io::Result<Option<u64>> {
        let mut at = offset.next_multiple_of(frame::ALIGN);
        while at < self.end {
            at += frame::ALIGN;
            let head = self.bytes(at, frame::HEAD)?;
            if Head::parse(&head).is_some_and(|head| head.first >= least) && matches!(self.at(at)?, Found::Frame(..)) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Whether every byte from `offset` on is zero.
    pub(crate) fn rest_is_zero(&mut self, mut offset: u64) -> io::Result<bool> {
        while offset < self.end {
            let bytes = self.bytes(offset, WINDOW)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if bytes.is_empty() {
                break;
            }
            offset += bytes.len() as u64;
        }
        Ok(true)
    }

    /// `len` bytes at `offset`, fewer where the segment ends.
    pub(crate) fn bytes(&mut self, offset: u64, len: usize) -> io::Result<Bytes> {
        let len = len.min(usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX));
        let inside = offset.checked_sub(self.window_at).and_then(|at| usize::try_from(at).ok());
        if let Some(at) = inside.filter(|at| at + len <= self.window.len()) {
            return Ok(self.window.slice(at..at + len));
        }
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut window = BytesMut::zeroed(len.max(WINDOW).min(left));
        let read = self.file.read_at(&mut window, offset)?;
        window.truncate(read);
        self.window = window.freeze();
        self.window_at = offset;
        Ok(self.window.slice(..len.min(read)))
    }
}

const WINDOW: usize = 1 << 20;
