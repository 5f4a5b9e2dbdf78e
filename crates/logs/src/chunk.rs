//! Chunks: log events of one stream, compressed together.
//!
//! The bytes of a chunk are a zstd frame of: the number of events, then for each the difference of its timestamp to the
//! one before and the length of its message, all as variable-length integers, then the messages one after the other.
//! Times and lengths lie together, since they compress better so. Whoever reads a chunk has the checksum of the frame and
//! the length of what it holds from the row beside it; nothing in the frame is trusted before.

use crate::error::LogsError;

/// The most bytes that the events of a chunk have together when uncompressed; a single event may lie above.
pub(crate) const MOST_BYTES: usize = 1 << 20;
/// The most events of a chunk.
pub(crate) const MOST_EVENTS: usize = 4096;
/// What each event counts beyond its message. (API Reference, PutLogEvents: "plus 26 bytes for each log event".)
pub(crate) const EVENT_OVERHEAD: usize = 26;

/// zstd's level: 1 keeps one core free at 20,000 events a second (see the bench `append`).
const LEVEL: i32 = 1;
/// More than any chunk is written with: a damaged length claims no more memory than this.
const MOST_RAW: usize = 4 << 20;

/// A log event as it comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    /// What it says.
    pub message: String,
}

/// The events of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    times: Vec<i64>,
    /// Where each message ends in `text`.
    ends: Vec<usize>,
    text: String,
}

impl Events {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Bytes of all messages.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Timestamp, in milliseconds, and message of each, in the order in which they were put.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &str)> {
        (0..self.len()).filter_map(|index| self.at(index))
    }

    /// Timestamp and message of the event at `index`.
    pub fn at(&self, index: usize) -> Option<(i64, &str)> {
        let begin = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        Some((*self.times.get(index)?, self.text.get(begin..*self.ends.get(index)?)?))
    }

    /// The earliest and the latest timestamp.
    pub(crate) fn span(&self) -> (i64, i64) {
        let first = self.times.iter().copied().min().unwrap_or_default();
        (first, self.times.iter().copied().max().unwrap_or_default())
    }

    /// What they count: messages, and 26 bytes for each event.
    pub(crate) fn counted_bytes(&self) -> usize {
        self.text.len() + EVENT_OVERHEAD * self.len()
    }

    pub(crate) fn push(&mut self, timestamp: i64, message: &str) {
        self.times.push(timestamp);
        self.text.push_str(message);
        self.ends.push(self.text.len());
    }

    /// Splits events into what becomes one chunk each.
    pub(crate) fn chunks<'e>(events: impl IntoIterator<Item = (i64, &'e str)>) -> Vec<Self> {
        let (mut chunks, mut current) = (Vec::new(), Self::default());
        for (timestamp, message) in events {
            let full = current.len() >= MOST_EVENTS || current.text.len() + message.len() > MOST_BYTES;
            if full && !current.is_empty() {
                chunks.push(std::mem::take(&mut current));
            }
            current.push(timestamp, message);
        }
        if !current.is_empty() {
            chunks.push(current);
        }
        chunks
    }

    /// The compressed bytes, and their length before.
    ///
    /// # Errors
    /// When zstd has no memory.
    pub(crate) fn encode(&self) -> Result<(Vec<u8>, usize), LogsError> {
        let mut raw = Vec::with_capacity(self.text.len() + self.len() * 6 + 8);
        put_varint(&mut raw, self.len() as u64);
        let (mut time, mut begin) = (0i64, 0);
        for (at, end) in self.times.iter().zip(&self.ends) {
            put_varint(&mut raw, zigzag(at.wrapping_sub(time)));
            put_varint(&mut raw, (end - begin) as u64);
            (time, begin) = (*at, *end);
        }
        raw.extend_from_slice(self.text.as_bytes());
        let packed = zstd::bulk::compress(&raw, LEVEL).map_err(|error| LogsError::Unavailable(error.to_string()))?;
        Ok((packed, raw.len()))
    }

    /// Reads what [`Self::encode`] wrote; `None` when it is something else.
    pub(crate) fn decode(packed: &[u8], raw: usize) -> Option<Self> {
        if raw > MOST_RAW {
            return None;
        }
        let bytes = zstd::bulk::decompress(packed, raw).ok()?;
        let mut rest = &bytes[..];
        let count = usize::try_from(take_varint(&mut rest)?).ok()?;
        // Each event takes two bytes at least.
        if count > rest.len() / 2 {
            return None;
        }
        let (mut times, mut ends) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut time, mut end) = (0i64, 0usize);
        for _ in 0..count {
            time = time.wrapping_add(unzigzag(take_varint(&mut rest)?));
            end = end.checked_add(usize::try_from(take_varint(&mut rest)?).ok()?)?;
            times.push(time);
            ends.push(end);
        }
        let text = std::str::from_utf8(rest).ok().filter(|text| text.len() == end)?.to_owned();
        ends.iter().all(|end| text.is_char_boundary(*end)).then_some(Self { times, ends, text })
    }
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn unzigzag(n: u64) -> i64 {
    ((n >> 1) as i64) ^ -((n & 1) as i64)
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, more) = rest.split_first()?;
        *rest = more;
        n |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// Events that were committed together, within a chunk. A fresh chunk has one run; merging puts several together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The sequence number that the events were committed with.
    pub(crate) sequence: u64,
    /// When, in milliseconds.
    pub(crate) ingested: i64,
    /// How many they are.
    pub(crate) count: usize,
}

/// The runs of a chunk as bytes.
pub(crate) fn encode_runs(runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in runs {
        put_varint(&mut out, run.sequence);
        put_varint(&mut out, zigzag(run.ingested));
        put_varint(&mut out, run.count as u64);
    }
    out
}

/// Reads what [`encode_runs`] wrote.
pub(crate) fn decode_runs(mut bytes: &[u8]) -> Option<Vec<Run>> {
    let mut runs = Vec::new();
    while !bytes.is_empty() {
        let sequence = take_varint(&mut bytes)?;
        let ingested = unzigzag(take_varint(&mut bytes)?);
        runs.push(Run { sequence, ingested, count: usize::try_from(take_varint(&mut bytes)?).ok()? });
    }
    Some(runs)
}

/// The checksum of a stored chunk: its frame, its runs and its length.
pub(crate) fn checksum(body: &[u8], runs: &[u8], raw: usize) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(runs);
    hasher.update(&(raw as u64).to_le_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(events in prop::collection::vec((any::<i64>(), ".{0,40}"), 0..60)) {
            let mut all = Events::default();
            events.iter().for_each(|(at, message)| all.push(*at, message));
            let (packed, raw) = all.encode().unwrap();
            let read = Events::decode(&packed, raw).unwrap();
            prop_assert_eq!(&read, &all);
            let listed: Vec<(i64, String)> = read.iter().map(|(at, message)| (at, message.to_owned())).collect();
            prop_assert_eq!(listed, events);
        }

        #[test]
        fn hostile_bytes_are_refused_or_read_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Events::decode(&bytes, 1000);
            let _ = decode_runs(&bytes);
            let packed = zstd::bulk::compress(&bytes, 1).unwrap();
            if let Some(events) = Events::decode(&packed, bytes.len()) {
                prop_assert_eq!(events.iter().count(), events.len());
            }
        }

        #[test]
        fn runs_are_read_as_written(runs in prop::collection::vec((any::<u64>(), any::<i64>(), 0usize..9999), 0..20)) {
            let runs: Vec<Run> =
                runs.into_iter().map(|(sequence, ingested, count)| Run { sequence, ingested, count }).collect();
            prop_assert_eq!(decode_runs(&encode_runs(&runs)), Some(runs));
        }
    }

    #[test]
    fn chunks_are_bounded_in_events_and_bytes() {
        let small = Events::chunks((0..10_000).map(|at| (at, "x")));
        assert_eq!(small.iter().map(Events::len).collect::<Vec<_>>(), [4096, 4096, 1808]);
        let big = "y".repeat(MOST_BYTES - 1);
        let chunks = Events::chunks([(1, &*big), (2, &*big), (3, "z")]);
        assert_eq!(chunks.iter().map(Events::len).collect::<Vec<_>>(), [1, 2]);
    }
}
