//! Reads the catalog's write-ahead log by SQLite's file format, to tell a damaged one from a torn one.
//!
//! SQLite stops at the first frame that does not fit its checksum and takes neither it nor what follows. That is right
//! for the end that a crash has torn off, and hides that a byte of an older commit has changed, which loses this commit
//! and all after it. What tells them apart: each checksum is over the frame and the checksum before it, and a
//! transaction is begun only when the one before it is on stable storage (`synchronous=FULL`). So a bad frame before a
//! whole commit that another transaction follows was whole once. In the last commits the two look the same.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::report::Notes;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// Checks the log at `log`, which findings call `name`, of the database at `database`.
///
/// # Errors
/// When the system refuses to read.
pub(super) fn check(name: &str, log: &Path, database: &Path, notes: &mut Notes) -> io::Result<()> {
    let mut file = BufReader::new(File::open(log)?);
    let mut bytes = [0; HEADER_BYTES];
    if !fill(&mut file, &mut bytes)? {
        notes.remark(name, "the log is shorter than its header, as a crash leaves it; it holds nothing");
        return Ok(());
    }
    let Some(header) = Header::read(&bytes) else {
        if begins_with_frames(log, database)? {
            notes.damage_at(name, 0, "the log's header is damaged, and SQLite ignores the commits that follow it");
        } else {
            notes.remark(name, "the log's header does not fit its checksum; SQLite ignores the log");
        }
        return Ok(());
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES + header.page_bytes];
    let mut before = Link { told: header.sum, computed: header.sum };
    let mut offset = HEADER_BYTES as u64;
    let mut bad: Option<Bad> = None;
    while fill(&mut file, &mut frame)? {
        let own = Frame::of(&frame);
        let link = Link { told: own.sum, computed: header.order.frame(before.told, &frame) };
        // Behind a bad frame the sum may go on from what that frame tells, or, if that is what is bad, from what it
        // should tell.
        let follows = [link.computed, header.order.frame(before.computed, &frame)].contains(&own.sum);
        let fits = follows && own.salts == header.salts;
        match &mut bad {
            None if fits => notes.checked("frames of the log", 1),
            None => {
                let of_this_log = follows || own.salts == header.salts;
                bad = Some(Bad { offset, of_this_log, frames_after: 0, commit_before: false, followed: false });
            }
            Some(bad) if fits => {
                bad.frames_after += 1;
                bad.followed |= bad.commit_before;
                bad.commit_before = own.ends_a_commit;
            }
            Some(bad) => bad.commit_before = false,
        }
        before = link;
        offset += frame.len() as u64;
    }
    if let Some(bad) = bad {
        bad.report(name, notes);
    }
    Ok(())
}

/// The first frame that SQLite does not take, and what was seen behind it.
struct Bad {
    offset: u64,
    /// Whether it was written since the log began anew: older frames lie behind the end of every log.
    of_this_log: bool,
    /// Frames that fit the one before them.
    frames_after: u64,
    /// The frame just before is one of those and ends a commit.
    commit_before: bool,
    /// Such a frame was followed by another: that commit was on stable storage, and all before it.
    followed: bool,
}

impl Bad {
    fn report(&self, name: &str, notes: &mut Notes) {
        if self.followed {
            let text = "the frame does not fit its checksum, and commits follow it: SQLite ignores it and the";
            notes.damage_at(name, self.offset, format_args!("{text} {} frames after it", self.frames_after));
        } else if self.of_this_log || self.frames_after > 0 {
            let text = "from here on the log does not fit its checksums and SQLite ignores it: a crash has torn off \
                        what nobody was told of, or the last commits are damaged, which cannot be told apart";
            notes.remark_at(name, self.offset, text);
        }
    }
}

/// A running checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

/// A frame's checksum, as it tells it and as it follows from the one before.
#[derive(Clone, Copy)]
struct Link {
    told: Sum,
    computed: Sum,
}

/// How the words under a checksum are read.
#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn sum(self, mut sum: Sum, bytes: &[u8]) -> Sum {
        let word = |bytes: &[u8]| {
            let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
            match self {
                Self::Big => u32::from_be_bytes(bytes),
                Self::Little => u32::from_le_bytes(bytes),
            }
        };
        for pair in bytes.chunks_exact(8) {
            sum.0 = sum.0.wrapping_add(word(&pair[..4])).wrapping_add(sum.1);
            sum.1 = sum.1.wrapping_add(word(&pair[4..])).wrapping_add(sum.0);
        }
        sum
    }

    /// The checksum of a frame: over its page number, the size of the database after it, and the page.
    fn frame(self, before: Sum, frame: &[u8]) -> Sum {
        self.sum(self.sum(before, &frame[..8]), &frame[FRAME_HEADER_BYTES..])
    }
}

struct Header {
    order: Order,
    page_bytes: usize,
    salts: [u8; 8],
    sum: Sum,
}

impl Header {
    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let order = match be(&bytes[0..]) {
            0x377f_0682 => Order::Little,
            0x377f_0683 => Order::Big,
            _ => return None,
        };
        let page_bytes = be(&bytes[8..]) as usize;
        let salts = bytes[16..24].try_into().expect("eight bytes");
        let sum = Sum(be(&bytes[24..]), be(&bytes[28..]));
        let fits = order.sum(Sum(0, 0), &bytes[..24]) == sum && is_page_size(page_bytes);
        fits.then_some(Self { order, page_bytes, salts, sum })
    }
}

struct Frame {
    ends_a_commit: bool,
    salts: [u8; 8],
    sum: Sum,
}

impl Frame {
    fn of(bytes: &[u8]) -> Self {
        let salts = bytes[8..16].try_into().expect("eight bytes");
        Self { ends_a_commit: be(&bytes[4..]) != 0, salts, sum: Sum(be(&bytes[16..]), be(&bytes[20..])) }
    }
}

/// Whether two frames that belong together follow the header, whatever that says.
fn begins_with_frames(log: &Path, database: &Path) -> io::Result<bool> {
    let mut head = [0; 18];
    if !fill(&mut File::open(database)?, &mut head)? {
        return Ok(false);
    }
    // One stands for 65536.
    let page_bytes = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 1 << 16,
        size => usize::from(size),
    };
    let mut file = File::open(log)?;
    let mut frames = [vec![0; FRAME_HEADER_BYTES + page_bytes], vec![0; FRAME_HEADER_BYTES + page_bytes]];
    if !is_page_size(page_bytes) || !fill(&mut file, &mut [0; HEADER_BYTES])? {
        return Ok(false);
    }
    for frame in &mut frames {
        if !fill(&mut file, frame)? {
            return Ok(false);
        }
    }
    let [first, second] = [Frame::of(&frames[0]), Frame::of(&frames[1])];
    let follows = |order: Order| order.frame(first.sum, &frames[1]) == second.sum;
    Ok(first.salts == second.salts && (follows(Order::Little) || follows(Order::Big)))
}

fn is_page_size(bytes: usize) -> bool {
    bytes.is_power_of_two() && (512..=1 << 16).contains(&bytes)
}

fn be(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Fills the buffer; `false` when the file ends before that.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
