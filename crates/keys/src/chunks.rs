//! Long texts sealed as a stream: in chunks, so that neither side holds all of it and any part can be read alone.
//!
//! A stream is a header (a format byte and a random salt, from which the stream's own key comes) and chunks of
//! [`CHUNK_BYTES`] plaintext, each with its tag. A chunk's number and whether it is the last are in its nonce: chunks
//! can be neither exchanged, left out, nor cut off at the end. An empty text has one empty chunk.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use opentrail_runtime::Random;
use zeroize::Zeroizing;

use crate::material::SALT_BYTES;
use crate::{Material, UnsealError};

/// Bytes of plaintext in every chunk but the last.
pub const CHUNK_BYTES: u64 = 64 << 10;
/// Bytes before the first chunk.
pub const HEADER_BYTES: u64 = 1 + SALT_BYTES as u64;
/// Bytes that a sealed chunk is longer than its plaintext.
pub const TAG_BYTES: u64 = 16;

const FORMAT: u8 = 1;
const STREAM: &[u8] = b"opentrail stream of chunks";

/// The chunks of a text of `plain` bytes.
pub fn chunks_in(plain: u64) -> u64 {
    plain.div_ceil(CHUNK_BYTES).max(1)
}

/// How long a sealed stream of `plain` bytes is, or `None` when that is beyond counting.
pub fn sealed_bytes(plain: u64) -> Option<u64> {
    chunks_in(plain).checked_mul(TAG_BYTES)?.checked_add(plain)?.checked_add(HEADER_BYTES)
}

/// Seals one stream under a data key.
pub struct ChunkSealer {
    key: LessSafeKey,
    next: u64,
    /// The chunk being filled; sealed once more bytes come, since only then it is known not to be the last.
    pending: Zeroizing<Vec<u8>>,
}

impl ChunkSealer {
    /// A new stream; its header is put into `out`.
    pub fn new(data_key: &Material, random: &dyn Random, out: &mut Vec<u8>) -> Self {
        Self::bound(data_key, &[], random, out)
    }

    /// As [`Self::new`], for a stream that opens only with the same `bound` bytes.
    pub fn bound(data_key: &Material, bound: &[u8], random: &dyn Random, out: &mut Vec<u8>) -> Self {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt);
        out.push(FORMAT);
        out.extend_from_slice(&salt);
        let pending = Zeroizing::new(Vec::with_capacity((CHUNK_BYTES + TAG_BYTES) as usize));
        Self { key: data_key.derived(&salt, &purpose(bound)), next: 0, pending }
    }

    /// Takes more of the text in, and puts the chunks that became full into `out`.
    pub fn update(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.pending.len() as u64 == CHUNK_BYTES {
                self.seal(false, out);
            }
            let room = CHUNK_BYTES as usize - self.pending.len();
            let (taken, rest) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(taken);
            bytes = rest;
        }
    }

    /// Ends the stream: puts its last chunk into `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.seal(true, out);
    }

    fn seal(&mut self, last: bool, out: &mut Vec<u8>) {
        self.key
            .seal_in_place_append_tag(nonce(self.next, last), Aad::empty(), &mut *self.pending)
            .expect("a chunk is below 64 GiB");
        out.extend_from_slice(&self.pending);
        self.pending.clear();
        self.next += 1;
    }
}

/// Opens chunks of one stream, in any order.
pub struct ChunkOpener {
    key: LessSafeKey,
    chunks: u64,
}

impl ChunkOpener {
    /// The stream of `plain` bytes that begins with `header`.
    ///
    /// # Errors
    /// When that is no header.
    pub fn new(data_key: &Material, header: &[u8], plain: u64) -> Result<Self, UnsealError> {
        Self::bound(data_key, &[], header, plain)
    }

    /// As [`Self::new`], for a stream of [`ChunkSealer::bound`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn bound(data_key: &Material, bound: &[u8], header: &[u8], plain: u64) -> Result<Self, UnsealError> {
        let (format, salt) = header.split_first().ok_or(UnsealError)?;
        let salt = salt.try_into().map_err(|_| UnsealError)?;
        if *format != FORMAT {
            return Err(UnsealError);
        }
        Ok(Self { key: data_key.derived(salt, &purpose(bound)), chunks: chunks_in(plain) })
    }

    /// Opens chunk number `index` (from 0): what remains of `chunk` is its plaintext.
    ///
    /// # Errors
    /// When it was altered, or is not that chunk.
    pub fn open(&self, index: u64, chunk: &mut Vec<u8>) -> Result<(), UnsealError> {
        let length = self.open_in_place(index, chunk)?;
        chunk.truncate(length);
        Ok(())
    }

    /// As [`Self::open`]; the plaintext is at the beginning of `chunk`, and so long.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in_place(&self, index: u64, chunk: &mut [u8]) -> Result<usize, UnsealError> {
        let nonce = nonce(index, index + 1 == self.chunks);
        Ok(self.key.open_in_place(nonce, Aad::empty(), chunk).map_err(|_| UnsealError)?.len())
    }
}

impl std::fmt::Debug for ChunkSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkSealer({} chunks)", self.next)
    }
}

impl std::fmt::Debug for ChunkOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkOpener({} chunks)", self.chunks)
    }
}

/// What the key of a stream is derived for. No text is bound to what nothing is bound to.
fn purpose(bound: &[u8]) -> Vec<u8> {
    if bound.is_empty() { STREAM.to_vec() } else { [STREAM, b"\0", bound].concat() }
}

/// The stream has a key of its own, so that a counter makes every nonce unique.
fn nonce(index: u64, last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[0] = u8::from(last);
    nonce[4..].copy_from_slice(&index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentrail_runtime::SystemRandom;

    fn sealed(key: &Material, text: &[u8], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sealer = ChunkSealer::new(key, &SystemRandom, &mut out);
        text.chunks(piece).for_each(|piece| sealer.update(piece, &mut out));
        sealer.finish(&mut out);
        out
    }

    fn opened(key: &Material, sealed: &[u8], plain: u64) -> Result<Vec<u8>, UnsealError> {
        let (header, body) = sealed.split_at(HEADER_BYTES as usize);
        let opener = ChunkOpener::new(key, header, plain)?;
        let mut text = Vec::new();
        for (index, chunk) in body.chunks((CHUNK_BYTES + TAG_BYTES) as usize).enumerate() {
            let mut chunk = chunk.to_vec();
            opener.open(index as u64, &mut chunk)?;
            text.extend(chunk);
        }
        Ok(text)
    }

    #[test]
    fn texts_of_every_length_come_back_however_they_arrive() {
        let key = Material::generate(&SystemRandom);
        let c = CHUNK_BYTES as usize;
        for length in [0, 1, c - 1, c, c + 1, 2 * c, 2 * c + 7] {
            let text: Vec<u8> = (0..length).map(|i| i as u8).collect();
            for piece in [1000, c, 3 * c] {
                let sealed = sealed(&key, &text, piece);
                assert_eq!(sealed.len() as u64, sealed_bytes(length as u64).unwrap());
                assert_eq!(opened(&key, &sealed, length as u64).unwrap(), text, "{length} bytes");
            }
        }
    }

    #[test]
    fn a_bound_stream_opens_with_what_it_is_bound_to_only() {
        let key = Material::generate(&SystemRandom);
        let mut sealed = Vec::new();
        let mut sealer = ChunkSealer::bound(&key, b"here", &SystemRandom, &mut sealed);
        sealer.update(b"text", &mut sealed);
        sealer.finish(&mut sealed);
        let (header, body) = sealed.split_at(HEADER_BYTES as usize);
        let opened = |bound: &[u8]| {
            let mut chunk = body.to_vec();
            ChunkOpener::bound(&key, bound, header, 4)?.open(0, &mut chunk).map(|()| chunk)
        };
        assert_eq!(opened(b"here").unwrap(), b"text");
        assert_eq!([opened(b"there"), opened(b"")], [Err(UnsealError), Err(UnsealError)]);
    }

    #[test]
    fn chunks_are_neither_exchanged_nor_cut_off_nor_altered() {
        let key = Material::generate(&SystemRandom);
        let c = CHUNK_BYTES as usize;
        let text = vec![7; 2 * c];
        let whole = sealed(&key, &text, c);
        let body = HEADER_BYTES as usize;
        let chunk = c + TAG_BYTES as usize;
        assert!(opened(&key, &whole[..body + chunk], c as u64).is_err(), "the first is not the last");
        let exchanged = [&whole[..body], &whole[body + chunk..], &whole[body..body + chunk]].concat();
        assert!(opened(&key, &exchanged, text.len() as u64).is_err());
        for at in [0, 5, body, body + chunk, whole.len() - 1] {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            assert!(opened(&key, &altered, text.len() as u64).is_err(), "byte {at}");
        }
        assert!(opened(&Material::generate(&SystemRandom), &whole, text.len() as u64).is_err());
    }
}
