//! Reads the journal's segments by their description (`crates/journal/src/segments/README.md`, `frame.rs`), not with
//! the journal's code.
//!
//! A segment `<position of its first entry>.log` is a head of 32 bytes, then frames, then zeroes. Each segment must
//! hold every position up to the first of the next one; what stands behind that was given up by the writer and does
//! not count. In the last segment a bad frame with nothing intact behind it is a torn write of a crash, which the next
//! start cuts off.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use opentrail_model::{AccountId, Source, Timestamp};

use super::report::{Notes, relative};
use super::{Cancelled, Pace};

const HEADER: u64 = 32;
const HEAD: usize = 32;
const META: usize = 24;
const ALIGN: u64 = 8;
/// The largest frame that the writer makes, without its head.
const MAX_PAYLOAD: u64 = 256 << 20;

/// What the journal turned out to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first position that is kept or, for an empty journal, that will be given next; 0 when there is no journal.
    pub(super) first: u64,
    /// The last position that was given out, as far as the files tell; 0 when there is none.
    pub(super) last: u64,
}

impl Extent {
    /// Checks a place in the journal from which entries are still to be read; findings name `path`.
    pub(super) fn check_position(self, position: u64, path: impl fmt::Display, notes: &mut Notes) {
        if position.saturating_add(1) < self.first {
            let first = self.first;
            let text = format_args!(
                "its position is {position}, but the journal begins at {first}: what lies between was never looked at"
            );
            notes.checked("positions", 1);
            notes.damage(path, text);
        } else {
            self.check_reached(position, path, notes);
        }
    }

    /// Checks a place in the journal up to which entries were read.
    pub(super) fn check_reached(self, position: u64, path: impl fmt::Display, notes: &mut Notes) {
        notes.checked("positions", 1);
        if position > self.last {
            let last = self.last;
            let text =
                format_args!("its position {position} is past the journal's end at {last}: the journal lost entries");
            notes.damage(path, text);
        }
    }
}

/// An entry as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) position: u64,
    pub(super) source: Source,
    pub(super) received: Timestamp,
    pub(super) body: &'a [u8],
}

/// Checks every segment below `root`/journal and shows every intact entry that counts to `visit`, in order.
pub(super) fn check(
    root: &Path,
    notes: &mut Notes,
    pace: &Pace,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), String>,
) -> Result<Extent, Cancelled> {
    let dir = root.join("journal");
    let firsts = match list(&dir, root, notes) {
        Ok(firsts) => firsts,
        Err(error) => {
            notes.damage(relative(root, &dir), format_args!("the journal cannot be read: {error}"));
            return Ok(Extent::default());
        }
    };
    let Some(first) = firsts.first().copied() else {
        notes.damage(relative(root, &dir), "the journal has no segments: every entry that it kept is lost");
        return Ok(Extent::default());
    };
    let mut last = first.saturating_sub(1);
    for (index, start) in firsts.iter().enumerate() {
        let path = dir.join(format!("{start:020}.log"));
        let name = relative(root, &path);
        let next = firsts.get(index + 1).copied();
        notes.checked("segments", 1);
        let mut segment = match Segment::open(path, name.clone(), *start) {
            Ok(segment) => segment,
            Err(problem) => {
                notes.damage_at(&name, 0, problem);
                last = last.max(next.map_or(*start, |next| next).saturating_sub(1));
                continue;
            }
        };
        last = last.max(segment.walk(next, notes, pace, visit)?);
    }
    Ok(Extent { first, last })
}

fn list(dir: &Path, root: &Path, notes: &mut Notes) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20);
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(first) => firsts.push(first),
            None if name == "next.tmp" => {
                notes.remark(
                    relative(root, &entry.path()),
                    "a segment that was never finished; the next start removes it",
                );
            }
            None => notes.remark(relative(root, &entry.path()), "no file of the journal"),
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

struct Segment {
    name: String,
    file: File,
    len: u64,
    /// The position that the next frame must begin with.
    next: u64,
}

/// A frame's head.
#[derive(Clone, Copy)]
struct Head {
    first: u64,
    count: u64,
    payload: usize,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        let (payload, count) = (u32_at(head, 4), u32_at(head, 16));
        let plausible = head.starts_with(b"OTFR")
            && u64::from(payload) <= MAX_PAYLOAD
            && u64::from(count) * META as u64 <= u64::from(payload);
        plausible.then(|| Self { first: u64_at(head, 8), count: count.into(), payload: payload as usize })
    }

    /// Bytes of the whole frame, padding included.
    fn len(self) -> u64 {
        (HEAD as u64 + self.payload as u64).next_multiple_of(ALIGN)
    }

    fn next(self) -> u64 {
        self.first.saturating_add(self.count)
    }
}

/// What stands at an offset.
enum Found {
    Frame(Head, Vec<u8>),
    /// Zeroes where a frame's head would be, or the end of the file.
    Nothing,
    Bad(&'static str),
}

impl Segment {
    fn open(path: PathBuf, name: String, first: u64) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("the segment cannot be read: {error}"))?;
        let len = file.metadata().map_err(|error| format!("the segment cannot be read: {error}"))?.len();
        let segment = Self { name, file, len, next: first };
        let head = segment.bytes(0, HEADER as usize).map_err(|error| format!("the segment cannot be read: {error}"))?;
        if head.len() < HEADER as usize || !head.starts_with(b"OTJOURNL") {
            return Err("the file does not begin as a journal segment".into());
        }
        if crc32fast::hash(&head[..28]) != u32_at(&head, 28) {
            return Err("the file's head fails its checksum".into());
        }
        if u32_at(&head, 8) != 1 {
            return Err(format!("the file has format {}, which this release cannot read", u32_at(&head, 8)));
        }
        if u64_at(&head, 16) != first {
            return Err(format!("the file's name and head tell different first positions ({})", u64_at(&head, 16)));
        }
        Ok(segment)
    }

    /// Checks every frame; `following` is the first position of the next segment. Returns the last position known.
    fn walk(
        &mut self,
        following: Option<u64>,
        notes: &mut Notes,
        pace: &Pace,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), String>,
    ) -> Result<u64, Cancelled> {
        let mut offset = HEADER;
        while following.is_none_or(|following| self.next < following) {
            let problem = match self.at(offset) {
                Err(error) => {
                    notes.damage_at(&self.name, offset, format_args!("the segment cannot be read: {error}"));
                    break;
                }
                Ok(Found::Frame(head, frame)) if self.fits(head, following) => {
                    notes.checked("frames", 1);
                    pace.advance(frame.len() as u64)?;
                    self.entries(head, &frame, offset, notes, visit);
                    self.next = head.next();
                    offset += head.len();
                    continue;
                }
                Ok(Found::Frame(head, _)) => {
                    format!("a frame begins with position {} where {} is due", head.first, self.next)
                }
                Ok(Found::Nothing) if following.is_none() && self.rest_is_zero(offset) => break,
                Ok(Found::Nothing) => "a frame's beginning is missing".to_owned(),
                Ok(Found::Bad(reason)) => reason.to_owned(),
            };
            // Everything intact behind the damage is still worth checking, and tells where the damage ends.
            let Some((later, head)) = self.find_later(offset, following) else {
                match following {
                    Some(following) => notes.damage_at(
                        &self.name,
                        offset,
                        format_args!("{problem}; entries {} to {} are lost", self.next, following.saturating_sub(1)),
                    ),
                    None => notes.remark_at(
                        &self.name,
                        offset,
                        format_args!("{problem}, and nothing intact follows: a write torn by a crash, which the next start cuts off"),
                    ),
                }
                break;
            };
            let lost = match head.first.checked_sub(self.next) {
                Some(0) | None => "no entry is missing between".to_owned(),
                Some(1) => format!("entry {} is lost", self.next),
                Some(_) => format!("entries {} to {} are lost", self.next, head.first - 1),
            };
            notes.damage_at(
                &self.name,
                offset,
                format_args!("{problem}; {lost}, an intact frame follows at offset {later}"),
            );
            self.next = head.first;
            offset = later;
        }
        Ok(following.unwrap_or(self.next).max(self.next).saturating_sub(1))
    }

    fn fits(&self, head: Head, following: Option<u64>) -> bool {
        head.first == self.next && following.is_none_or(|following| head.next() <= following)
    }

    fn entries(
        &self,
        head: Head,
        frame: &[u8],
        offset: u64,
        notes: &mut Notes,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), String>,
    ) {
        let end = HEAD + head.payload;
        let mut body_at = HEAD + usize::try_from(head.count).unwrap_or(usize::MAX) * META;
        for (position, meta) in (head.first..head.next()).zip(frame[HEAD..].chunks_exact(META)) {
            let body_end = body_at.saturating_add(u32_at(meta, 16) as usize);
            let Some(body) = frame.get(body_at..body_end).filter(|_| body_end <= end) else {
                notes.damage_at(&self.name, offset, format_args!("entry {position} ends after its frame"));
                return;
            };
            notes.checked("entries", 1);
            let source = Source::from_byte(meta[20]);
            if source.is_none() {
                notes.damage_at(
                    &self.name,
                    offset,
                    format_args!("entry {position} has the unknown source {}", meta[20]),
                );
            }
            if AccountId::from_u64(u64_at(meta, 0)).is_none() {
                notes.damage_at(&self.name, offset, format_args!("entry {position} belongs to an impossible account"));
            }
            if let Some(source) = source {
                let received = Timestamp::from_millis(u64_at(meta, 8).cast_signed());
                if let Err(problem) = visit(Entry { position, source, received, body }) {
                    notes.damage_at(&self.name, offset, format_args!("entry {position} is intact, but {problem}"));
                }
            }
            body_at = body_end;
        }
        if body_at != end {
            notes.damage_at(&self.name, offset, "a frame holds bytes that belong to no entry");
        }
    }

    fn at(&self, offset: u64) -> io::Result<Found> {
        let head = self.bytes(offset, HEAD)?;
        let Some(parsed) = Head::parse(&head) else {
            return Ok(match head.iter().all(|byte| *byte == 0) {
                true => Found::Nothing,
                false => Found::Bad("no frame begins here"),
            });
        };
        if parsed.len() > self.len.saturating_sub(offset) {
            return Ok(Found::Bad("the file ends within a frame"));
        }
        let frame = self.bytes(offset, usize::try_from(parsed.len()).unwrap_or(usize::MAX))?;
        Ok(if is_intact(&frame) { Found::Frame(parsed, frame) } else { Found::Bad("a frame fails its checksum") })
    }

    /// The next intact frame behind `offset` that can follow what is known.
    fn find_later(&self, offset: u64, following: Option<u64>) -> Option<(u64, Head)> {
        const WINDOW: usize = 1 << 20;
        let mut window_at = offset.next_multiple_of(ALIGN);
        if window_at == offset {
            window_at += ALIGN;
        }
        while window_at < self.len {
            let window = self.bytes(window_at, WINDOW + HEAD).ok()?;
            for at in (0..window.len().min(WINDOW)).step_by(ALIGN as usize) {
                let Some(head) = Head::parse(&window[at..]) else { continue };
                let place = window_at + at as u64;
                let possible = head.first >= self.next && following.is_none_or(|following| head.next() <= following);
                if possible && matches!(self.at(place), Ok(Found::Frame(..))) {
                    return Some((place, head));
                }
            }
            window_at += WINDOW as u64;
        }
        None
    }

    fn rest_is_zero(&self, mut offset: u64) -> bool {
        const WINDOW: usize = 1 << 20;
        while offset < self.len {
            match self.bytes(offset, WINDOW) {
                Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => offset += WINDOW as u64,
                _ => return false,
            }
        }
        true
    }

    /// `len` bytes at `offset`, fewer where the file ends.
    fn bytes(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(len.min(left));
        At { file: &self.file, offset }.take(len.min(left) as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A file, read from an offset on.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// The checksum covers everything but itself.
fn is_intact(frame: &[u8]) -> bool {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&frame[..28]);
    crc.update(&frame[HEAD..]);
    crc.finalize() == u32_at(frame, 28)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were cut out"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were cut out"))
}
