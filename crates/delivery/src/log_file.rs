//! The bytes of a log file: `{"Records":[…]}` around untouched records, as one gzip member.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};
use opentrail_event::Event;
use opentrail_model::{MAX_RECORD_BYTES, Position, Timestamp};

use crate::layout::Group;

const HEAD: &[u8] = br#"{"Records":["#;
const TAIL: &[u8] = b"]}";
/// The largest log file, uncompressed, in bytes. (User Guide, "CloudTrail log files".)
const LARGEST_BYTES: usize = 50_000_000;
/// A file that holds this much is closed, since the next record may not fit.
const FULL_BYTES: usize = LARGEST_BYTES - MAX_RECORD_BYTES - 1 - TAIL.len();
/// A file that holds this much becomes a full one soon; until then its room doubles.
const LARGE_BYTES: usize = 1 << 20;
/// How much of a file tells how well it compresses; deflate looks back 32 KiB only, so that more says little more.
const SAMPLE_BYTES: usize = 256 << 10;

/// A log file that is being filled.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) group: Group,
    /// [`HEAD`] and the records with commas between them.
    body: Vec<u8>,
    pub(crate) first: Position,
    pub(crate) last: Position,
    pub(crate) count: u64,
    pub(crate) oldest_event: Option<Timestamp>,
    pub(crate) newest_event: Option<Timestamp>,
    /// When the server received the oldest record.
    pub(crate) oldest_received: Timestamp,
    /// When the server received the newest record.
    pub(crate) newest_received: Timestamp,
    /// When the first record was put in here.
    pub(crate) opened: Timestamp,
}

/// A log file that is closed.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    /// One gzip member.
    pub(crate) gzip: Bytes,
    /// Lower-case hex of the SHA-256 of what is inside.
    pub(crate) sha256: String,
    /// Bytes inside.
    pub(crate) size_bytes: usize,
}

impl Buffer {
    /// A file with `event` as its first record.
    pub(crate) fn open(group: Group, event: Event<'_>, now: Timestamp) -> Self {
        let mut buffer = Self {
            group,
            body: HEAD.to_vec(),
            first: event.position(),
            last: event.position(),
            count: 0,
            oldest_event: None,
            newest_event: None,
            oldest_received: event.received(),
            newest_received: event.received(),
            opened: now,
        };
        buffer.push(event);
        buffer
    }

    pub(crate) fn push(&mut self, event: Event<'_>) {
        let raw = event.raw();
        let length = self.body.len() + 1 + raw.len();
        if length > self.body.capacity() && length >= LARGE_BYTES {
            // All at once: room that grows by doubling is moved and paged in several times, which showed in profiles.
            // What is never written takes no memory.
            self.body.reserve(LARGEST_BYTES - self.body.len());
        }
        if self.count > 0 {
            self.body.push(b',');
        }
        self.body.extend_from_slice(raw);
        self.count += 1;
        self.last = event.position();
        if let Some(time) = event.time() {
            self.oldest_event = Some(self.oldest_event.map_or(time, |oldest| oldest.min(time)));
            self.newest_event = Some(self.newest_event.map_or(time, |newest| newest.max(time)));
        }
        self.oldest_received = self.oldest_received.min(event.received());
        self.newest_received = self.newest_received.max(event.received());
    }

    /// Bytes so far, uncompressed.
    pub(crate) fn size_bytes(&self) -> usize {
        self.body.len()
    }

    /// Whether the file cannot take any record more.
    pub(crate) fn is_full(&self) -> bool {
        self.body.len() >= FULL_BYTES
    }

    /// Compressed bytes by bytes, measured on the last part of the file. Takes about 2 ms at most.
    pub(crate) fn sample_ratio(&self) -> f64 {
        let sample = &self.body[self.body.len().saturating_sub(SAMPLE_BYTES)..];
        gzip(sample, Effort::Usual).len() as f64 / sample.len() as f64
    }

    /// Closes the file. What is inside is a pure function of its records: after a crash the journal gives the same
    /// again. Takes milliseconds per megabyte: not for the async threads.
    pub(crate) fn seal(mut self, effort: Effort) -> Sealed {
        self.body.extend_from_slice(TAIL);
        Sealed::of(&self.body, effort)
    }
}

/// How hard to compress. Readers, digests and hashes see no difference: they speak of what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// libdeflate's level 6: about 140 MB/s per core, twice zlib's.
    Usual,
    /// Level 1: twice as quick for files a fifth larger, while a trail has much to catch up with.
    Hurried,
}

impl Sealed {
    /// Compresses and hashes `body`.
    pub(crate) fn of(body: &[u8], effort: Effort) -> Self {
        Self { gzip: gzip(body, effort).into(), sha256: hex::encode(digest(&SHA256, body)), size_bytes: body.len() }
    }
}

/// One gzip member without name or time.
fn gzip(bytes: &[u8], effort: Effort) -> Vec<u8> {
    let level = match effort {
        Effort::Usual => CompressionLvl::default(),
        // Not `fastest()`, which does not compress at all.
        Effort::Hurried => CompressionLvl::new(1).unwrap_or_default(),
    };
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).expect("the output is as large as the bound asks for");
    out.truncate(length);
    out.shrink_to_fit();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hurried_file_is_compressed_and_holds_the_same() {
        let body: Vec<u8> =
            (0..20_000).flat_map(|n| format!(r#"{{"eventName":"E{}"}},"#, n % 7).into_bytes()).collect();
        let (usual, hurried) = (Sealed::of(&body, Effort::Usual), Sealed::of(&body, Effort::Hurried));
        assert_eq!((&usual.sha256, usual.size_bytes), (&hurried.sha256, hurried.size_bytes));
        assert!(hurried.gzip.len() < body.len() / 10, "{} of {} bytes", hurried.gzip.len(), body.len());
        let mut inside = vec![0; body.len()];
        libdeflater::Decompressor::new().gzip_decompress(&hurried.gzip, &mut inside).unwrap();
        assert!(inside == body);
    }
}
