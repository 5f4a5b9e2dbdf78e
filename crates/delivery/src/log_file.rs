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
        if self.count > 0 {
            self.body.push(b',');
        }
        self.body.extend_from_slice(event.raw());
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
        gzip(sample).len() as f64 / sample.len() as f64
    }

    /// Closes the file. A pure function of its records: after a crash the journal gives the same bytes again.
    /// Takes milliseconds per megabyte: not for the async threads.
    pub(crate) fn seal(mut self) -> Sealed {
        self.body.extend_from_slice(TAIL);
        Sealed::of(&self.body)
    }
}

impl Sealed {
    /// Compresses and hashes `body`.
    pub(crate) fn of(body: &[u8]) -> Self {
        Self { gzip: gzip(body).into(), sha256: hex::encode(digest(&SHA256, body)), size_bytes: body.len() }
    }
}

/// One gzip member without name or time. Level 6 of libdeflate: about 140 MB/s per core, twice zlib's.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).expect("the output is as large as the bound asks for");
    out.truncate(length);
    out.shrink_to_fit();
    out
}
