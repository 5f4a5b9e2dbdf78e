//! Request bodies as they arrive, before `s3s` reads them.
//!
//! `s3s` waits for a body as long as the client likes, keeps each chunk of an `aws-chunked` one in memory, and takes the
//! end of the connection for the end of the chunks. Here a client that stops sending is given up, chunks of an unsigned
//! body are cut into small ones, and a body without its last chunk is an error. What went wrong is kept in a [`Fault`],
//! since `s3s` has other names for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use s3s::{S3Error, S3ErrorCode, StdError};
use tokio::time::{Instant, Sleep, sleep};

use crate::announced::Announced;

/// The largest signed chunk, which has to be in memory until its signature is known to hold (a choice; SDKs send 64 KiB
/// to 1 MiB).
const MOST_SIGNED_CHUNK_BYTES: u64 = 16 << 20;

/// Longer lines before a chunk are not of this protocol.
const LONGEST_CHUNK_LINE: usize = 1024;

/// Why a body did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the client stopped sending")]
    Idle,
    #[error("the body ended before its last chunk")]
    Truncated,
    #[error("a signed chunk has {size} bytes")]
    ChunkTooLarge { size: u64 },
    #[error("the body is not well-formed aws-chunked")]
    Malformed,
    #[error("the {algorithm} of the document is not the announced one")]
    BadDigest { algorithm: &'static str },
}

impl Fault {
    /// What the client reads.
    pub(crate) fn to_s3(self) -> S3Error {
        let (code, message) = match self {
            // The message is S3's. (API Reference, "Error responses", RequestTimeout.)
            Self::Idle => (
                S3ErrorCode::RequestTimeout,
                "Your socket connection to the server was not read from or written to within the timeout period."
                    .to_owned(),
            ),
            Self::Truncated => {
                (S3ErrorCode::IncompleteBody, "The request body terminated before its last chunk".to_owned())
            }
            Self::ChunkTooLarge { size } => (
                S3ErrorCode::InvalidRequest,
                format!("A signed chunk may have {MOST_SIGNED_CHUNK_BYTES} bytes at most, this one has {size}"),
            ),
            Self::BadDigest { algorithm } => {
                (S3ErrorCode::BadDigest, format!("The {algorithm} you specified did not match what we received."))
            }
            Self::Malformed => {
                (S3ErrorCode::InvalidRequest, "The body is not well-formed aws-chunked encoding".to_owned())
            }
        };
        let mut error = S3Error::with_message(code, message);
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        error
    }
}

/// A body that cannot keep the server waiting, nor fill its memory.
pub(crate) struct Arriving {
    inner: UnsyncBoxBody<Bytes, StdError>,
    patience: Duration,
    /// Ends when the client has been waited for so long; made at the first wait.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    chunks: Option<Chunks>,
    /// The sums to hold a document to.
    announced: Option<Announced>,
    fault: Arc<OnceLock<Fault>>,
    ended: bool,
}

impl Arriving {
    /// The body, and where its fault will be if it has one.
    pub(crate) fn new<B>(
        inner: B,
        headers: &HeaderMap,
        announced: Option<Announced>,
        patience: Duration,
    ) -> (Self, Arc<OnceLock<Fault>>)
    where
        B: Body<Data = Bytes> + Send + 'static,
        StdError: From<B::Error>,
    {
        let fault = Arc::new(OnceLock::new());
        let chunks = Chunks::of(headers);
        let body = Self {
            inner: inner.map_err(StdError::from).boxed_unsync(),
            patience,
            deadline: None,
            waiting: false,
            // No client sends a document in chunks; its sums would be those of what is in them.
            announced: announced.filter(|_| chunks.is_none()),
            chunks,
            fault: Arc::clone(&fault),
            ended: false,
        };
        (body, fault)
    }

    /// As `s3s` takes it.
    pub(crate) fn into_body(self) -> s3s::Body {
        s3s::Body::http_body_unsync(self)
    }

    fn fail(&mut self, fault: Fault) -> StdError {
        self.ended = true;
        // The first is the cause of the others.
        let _ = self.fault.set(fault);
        fault.into()
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(this.patience)));
            if !std::mem::replace(&mut this.waiting, true) {
                // The time that the disk took since the last bytes is not the client's.
                deadline.as_mut().reset(Instant::now() + this.patience);
            }
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Some(Err(this.fail(Fault::Idle))));
        };
        this.waiting = false;
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                this.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                let truncated = this.chunks.as_ref().is_some_and(|chunks| !chunks.has_last());
                this.ended = true;
                let verified = this.announced.take().map_or(Ok(()), Announced::verify);
                let fault = if truncated { Some(Fault::Truncated) } else { verified.err() };
                return Poll::Ready(fault.map(|fault| Err(this.fail(fault))));
            }
        };
        Poll::Ready(Some(match (frame.into_data(), &mut this.chunks) {
            (Ok(bytes), Some(chunks)) => match chunks.pass(bytes) {
                Ok(bytes) => Ok(Frame::data(bytes)),
                Err(fault) => Err(this.fail(fault)),
            },
            (Ok(bytes), None) => {
                if let Some(announced) = &mut this.announced {
                    announced.pass(&bytes);
                }
                Ok(Frame::data(bytes))
            }
            (Err(trailers), _) => Ok(trailers),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.chunks.is_none() && self.announced.is_none() && self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunks.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}

/// Follows the `aws-chunked` encoding. (S3 API Reference, "Signature Calculations for the Authorization Header:
/// Transferring Payload in Multiple Chunks".)
struct Chunks {
    signed: bool,
    state: State,
}

enum State {
    /// In the line before a chunk, as far as it has come.
    Line(Vec<u8>),
    Data {
        left: u64,
    },
    /// Behind a chunk's data, of whose line end so many bytes are missing.
    LineEnd {
        left: usize,
    },
    /// Behind the last chunk.
    Trailers,
}

impl Chunks {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let payload = headers.get("x-amz-content-sha256")?.to_str().ok()?;
        let kind = payload.strip_prefix("STREAMING-")?;
        Some(Self { signed: !kind.starts_with("UNSIGNED-"), state: State::Line(Vec::new()) })
    }

    fn has_last(&self) -> bool {
        matches!(self.state, State::Trailers)
    }

    /// What `s3s` gets to read in place of `bytes`: the same for signed chunks; for unsigned ones, as many chunks as
    /// there are pieces of data.
    fn pass(&mut self, bytes: Bytes) -> Result<Bytes, Fault> {
        let mut rest = bytes.clone();
        let mut out = BytesMut::with_capacity(if self.signed { 0 } else { bytes.len() + 32 });
        while !rest.is_empty() {
            match &mut self.state {
                State::Line(line) => {
                    let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
                    line.extend_from_slice(&rest.split_to(end));
                    if line.len() > LONGEST_CHUNK_LINE {
                        return Err(Fault::Malformed);
                    }
                    if !line.ends_with(b"\n") {
                        break;
                    }
                    let size = chunk_size(line).ok_or(Fault::Malformed)?;
                    if self.signed && size > MOST_SIGNED_CHUNK_BYTES {
                        return Err(Fault::ChunkTooLarge { size });
                    }
                    self.state = if size == 0 { State::Trailers } else { State::Data { left: size } };
                    if size == 0 {
                        out.extend_from_slice(b"0\r\n");
                    }
                }
                State::Data { left } => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let data = rest.split_to(count);
                    *left -= count as u64;
                    if !self.signed {
                        out.extend_from_slice(format!("{count:x}\r\n").as_bytes());
                        out.extend_from_slice(&data);
                        out.extend_from_slice(b"\r\n");
                    }
                    if *left == 0 {
                        self.state = State::LineEnd { left: 2 };
                    }
                }
                State::LineEnd { left } => {
                    let expected = if *left == 2 { b'\r' } else { b'\n' };
                    if rest.split_to(1)[..] != [expected] {
                        return Err(Fault::Malformed);
                    }
                    *left -= 1;
                    if *left == 0 {
                        self.state = State::Line(Vec::new());
                    }
                }
                State::Trailers => out.extend_from_slice(&std::mem::take(&mut rest)),
            }
        }
        Ok(if self.signed { bytes } else { out.freeze() })
    }
}

/// The size in a chunk's line: hexadecimal, up to a semicolon or the end of the line.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let size = line.split(';').next()?;
    let plain = !size.is_empty() && size.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(size, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(signed: bool) -> Chunks {
        Chunks { signed, state: State::Line(Vec::new()) }
    }

    /// What the chunks of `encoded` hold, however it is cut, and the trailers.
    fn decode(encoded: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut data, mut rest) = (Vec::new(), encoded);
        loop {
            let end = rest.iter().position(|b| *b == b'\n').unwrap() + 1;
            let size = usize::try_from(chunk_size(&rest[..end]).unwrap()).unwrap();
            if size == 0 {
                return (data, rest[end..].to_vec());
            }
            data.extend_from_slice(&rest[end..end + size]);
            assert_eq!(&rest[end + size..end + size + 2], b"\r\n");
            rest = &rest[end + size + 2..];
        }
    }

    #[test]
    fn unsigned_chunks_are_cut_as_they_arrive() {
        let body = b"5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        for piece in 1..body.len() {
            let mut chunks = chunks(false);
            let mut passed = Vec::new();
            for bytes in body.chunks(piece) {
                assert!(!chunks.has_last() || passed.windows(3).any(|w| w == b"0\r\n"));
                passed.extend_from_slice(&chunks.pass(Bytes::copy_from_slice(bytes)).unwrap());
            }
            assert!(chunks.has_last());
            let (data, trailers) = decode(&passed);
            assert_eq!(data, b"helloabcdefghijklmnopqrstuvwxyz");
            assert_eq!(trailers, b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        }
    }

    #[test]
    fn signed_chunks_pass_unless_too_large() {
        let line = Bytes::from_static(b"5;chunk-signature=ab\r\nhello\r\n");
        let mut some = chunks(true);
        assert_eq!(some.pass(line.clone()).unwrap(), line);
        assert!(!some.has_last());
        let large = chunks(true).pass(Bytes::from_static(b"1000001;chunk-signature=ab\r\n"));
        assert_eq!(large, Err(Fault::ChunkTooLarge { size: (16 << 20) + 1 }));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let endless = "a".repeat(LONGEST_CHUNK_LINE + 1);
        for bad in ["\r\n", "x\r\n", "+5\r\nhello\r\n", "5\nhello", "5\r\nhelloXX", "fffffffffffffffff\r\n", &endless] {
            let bytes = Bytes::copy_from_slice(bad.as_bytes());
            assert_eq!(chunks(false).pass(bytes).unwrap_err(), Fault::Malformed, "{bad:?}");
        }
    }
}
