//! A frame: what one write puts into a segment, i.e. one or more batches that were committed together.
//!
//! All numbers are little-endian; a frame is padded with zeroes to a multiple of 8 bytes.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 4 | `OTFR` |
//! | 4 | 4 | length of what follows the head, without padding |
//! | 8 | 8 | position of the first entry |
//! | 16 | 4 | number of entries; 0 is a mark: the journal was closed in good order here |
//! | 20 | 8 | zero |
//! | 28 | 4 | CRC-32 of bytes 0–27 and of everything after the head, padding included |
//! | 32 | 24 each | per entry: account (8), received (8, milliseconds), body length (4), source (1), flags (1), zero (2) |
//! | … | … | the bodies, one after the other |

use bytes::{BufMut, Bytes, BytesMut};
use opentrail_model::{AccountId, Position, Source, Timestamp};

use crate::{Entry, NewEntry};

/// Bytes before the entries.
pub(crate) const HEAD: usize = 32;
/// Frames begin at multiples of this.
pub(crate) const ALIGN: u64 = 8;
/// The largest frame that is written or believed, in bytes.
pub(crate) const MAX_FRAME_BYTES: usize = 256 << 20;

pub(crate) const MAGIC: [u8; 4] = *b"OTFR";
const META: usize = 24;
const CRC_AT: usize = 28;
/// Flag of an entry: it is the first of its batch.
const BEGINS_BATCH: u8 = 1;

/// What a frame's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) first: Position,
    pub(crate) count: u32,
    /// Bytes of the whole frame, head and padding included.
    pub(crate) len: usize,
}

impl Head {
    /// Reads a head; `None` when these bytes cannot begin a frame.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        let (payload, count) = (u32_at(head, 4) as usize, u32_at(head, 16));
        let plausible = head[..4] == MAGIC && payload <= MAX_FRAME_BYTES && count as usize <= payload / META;
        plausible.then(|| Self {
            first: Position(u64_at(head, 8)),
            count,
            len: (HEAD + payload).next_multiple_of(ALIGN as usize),
        })
    }

    /// The position after the frame's last entry.
    pub(crate) fn next(self) -> Position {
        Position(self.first.0.saturating_add(u64::from(self.count)))
    }
}

/// Bytes that a batch takes in a frame.
pub(crate) fn size_of(batch: &[NewEntry]) -> usize {
    batch.iter().map(|entry| META + entry.body.len()).sum()
}

/// The frame of these batches. Their size is at most [`MAX_FRAME_BYTES`].
pub(crate) fn encode<'a>(first: Position, batches: impl Iterator<Item = &'a [NewEntry]> + Clone) -> Bytes {
    let payload: usize = batches.clone().map(size_of).sum();
    let count: usize = batches.clone().map(<[NewEntry]>::len).sum();
    let len = (HEAD + payload).next_multiple_of(ALIGN as usize);
    let mut out = BytesMut::with_capacity(len);
    out.put_slice(&MAGIC);
    out.put_u32_le(u32::try_from(payload).expect("the writer keeps frames below MAX_FRAME_BYTES"));
    out.put_u64_le(first.0);
    out.put_u32_le(u32::try_from(count).expect("an entry takes more than one byte of a frame"));
    out.put_bytes(0, HEAD - out.len());
    for batch in batches.clone() {
        for (index, entry) in batch.iter().enumerate() {
            out.put_u64_le(entry.account.as_u64());
            out.put_i64_le(entry.received.as_millis());
            out.put_u32_le(u32::try_from(entry.body.len()).expect("a body is smaller than its frame"));
            out.put_u8(entry.source as u8);
            out.put_u8(if index == 0 { BEGINS_BATCH } else { 0 });
            out.put_u16_le(0);
        }
    }
    for entry in batches.flatten() {
        out.put_slice(&entry.body);
    }
    out.put_bytes(0, len - out.len());
    let crc = checksum(&out);
    out[CRC_AT..HEAD].copy_from_slice(&crc.to_le_bytes());
    out.freeze()
}

/// Whether the bytes of a whole frame are those that were written.
pub(crate) fn is_intact(frame: &[u8]) -> bool {
    frame.len() >= HEAD && u32_at(frame, CRC_AT) == checksum(frame)
}

/// Entries of an intact frame after `after`, up to the batch that reaches `max_bytes` of bodies.
///
/// # Errors
/// What is wrong with the frame, which its checksum did not tell.
pub(crate) fn entries(frame: &Bytes, after: Position, max_bytes: usize) -> Result<Vec<Entry>, &'static str> {
    let head = Head::parse(frame).filter(|head| head.len == frame.len()).ok_or("the frame has no head")?;
    let mut body_at = HEAD + head.count as usize * META;
    let mut out = Vec::new();
    let mut size = 0;
    for index in 0..head.count as usize {
        let meta = &frame[HEAD + index * META..][..META];
        let position = Position(head.first.0 + index as u64);
        let body_end = body_at + u32_at(meta, 16) as usize;
        if body_end > frame.len() {
            return Err("an entry ends after its frame");
        }
        if meta[21] & BEGINS_BATCH != 0 && size >= max_bytes && !out.is_empty() {
            break;
        }
        if position > after {
            size += body_end - body_at;
            out.push(Entry {
                position,
                source: Source::from_byte(meta[20]).ok_or("an entry has an unknown source")?,
                account: AccountId::from_u64(u64_at(meta, 0)).ok_or("an entry has an impossible account")?,
                received: Timestamp::from_millis(u64_at(meta, 8).cast_signed()),
                body: frame.slice(body_at..body_end),
            });
        }
        body_at = body_end;
    }
    Ok(out)
}

fn checksum(frame: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&frame[..CRC_AT]);
    crc.update(&frame[HEAD..]);
    crc.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were cut out"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were cut out"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::batch;

    #[test]
    fn a_frame_comes_back_as_it_was_with_its_batches_apart() {
        let (one, two) = (batch(1, 3, 50), batch(2, 2, 7));
        let frame = encode(Position(10), [one.as_slice(), two.as_slice()].into_iter());
        assert!(is_intact(&frame) && frame.len().is_multiple_of(8));
        let all = entries(&frame, Position::START, usize::MAX).unwrap();
        let bodies: Vec<_> = all.iter().map(|entry| entry.body.clone()).collect();
        assert_eq!(bodies, one.iter().chain(&two).map(|entry| entry.body.clone()).collect::<Vec<_>>());
        assert_eq!(all.last().unwrap().position, Position(14));
        assert_eq!(entries(&frame, Position::START, 1).unwrap().len(), 3);
        assert_eq!(entries(&frame, Position(11), 1).unwrap().len(), 1);
    }

    #[test]
    fn any_flipped_byte_is_noticed() {
        let frame = encode(Position(1), std::iter::once(batch(1, 2, 21).as_slice()));
        for at in 0..frame.len() {
            let mut bad = frame.to_vec();
            bad[at] ^= 0x10;
            assert!(!is_intact(&bad), "byte {at}");
        }
    }
}
