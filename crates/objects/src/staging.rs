//! Bodies on their way to disk: summed and written as they arrive, seen by nobody until they are whole.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use opentrail_keys::Material;
use opentrail_keys::chunks::ChunkSealer;
use opentrail_runtime::SystemRandom;
use s3s::crypto::{Checksum as _, Md5};

use crate::StoreError;
use crate::checksums::{Algorithm, Checksum, Summer};
use crate::durable::{Scratch, Unseen};
use crate::error::At;
use crate::sealing::SealedKey;

/// Bytes gathered before they are handed to a thread that may block. Two such blocks are in memory per upload.
const BLOCK_BYTES: usize = 1 << 20;

/// A body that is whole on disk (its data is synced, its name is not yet anybody's).
pub(crate) struct Staged {
    pub(crate) unseen: Unseen,
    /// The bytes on disk.
    pub(crate) size: u64,
    /// The bytes that arrived, which are fewer when they are sealed on disk.
    pub(crate) plain: u64,
    /// Of what arrived.
    pub(crate) md5: [u8; 16],
    /// Of the bytes on disk.
    pub(crate) stored_md5: [u8; 16],
    pub(crate) checksums: Vec<Checksum>,
    /// The key of sealed bytes.
    pub(crate) seal: Option<SealedKey>,
}

/// The data key that a body is sealed with, and the same as the object keeps it.
pub(crate) type NewKey = (Material, SealedKey);

/// Writes a body as it comes.
pub(crate) struct Writer {
    unseen: Unseen,
    summer: Summer,
    plain: u64,
    sealer: Option<Sealing>,
}

/// A body that is sealed as it is written.
struct Sealing {
    sealer: ChunkSealer,
    /// The MD5 of what was written.
    md5: Md5,
    size: u64,
    seal: SealedKey,
    /// Sealed, not written yet.
    out: Vec<u8>,
}

impl Sealing {
    fn new((data_key, seal): NewKey) -> Self {
        let mut out = Vec::new();
        let sealer = ChunkSealer::new(&data_key, &SystemRandom, &mut out);
        Self { sealer, md5: Md5::new(), size: 0, seal, out }
    }

    /// Writes what is left. The MD5 and the number of all bytes written.
    fn finish(self, unseen: &mut Unseen) -> io::Result<([u8; 16], u64, SealedKey)> {
        let Self { sealer, mut md5, size, seal, mut out } = self;
        sealer.finish(&mut out);
        unseen.write_all(&out)?;
        md5.update(&out);
        Ok((md5.finalize(), size + out.len() as u64, seal))
    }

    fn write_out(&mut self, unseen: &mut Unseen) -> io::Result<()> {
        unseen.write_all(&self.out)?;
        self.md5.update(&self.out);
        self.size += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }
}

impl Writer {
    /// Writes into `unseen`, sealing with `key`; nothing but the bytes on disk is summed.
    pub(crate) fn sealing(unseen: Unseen, key: NewKey) -> Self {
        Self { unseen, summer: Summer::new(&[]), plain: 0, sealer: Some(Sealing::new(key)) }
    }

    /// What was written, when nothing more comes.
    pub(crate) fn finish(self) -> io::Result<Staged> {
        let Self { mut unseen, summer, plain, sealer } = self;
        let (md5, checksums) = summer.finish();
        let Some(sealing) = sealer else {
            return Ok(Staged { unseen, size: plain, plain, md5, stored_md5: md5, checksums, seal: None });
        };
        let (stored_md5, size, seal) = sealing.finish(&mut unseen)?;
        Ok(Staged { unseen, size, plain, md5, stored_md5, checksums, seal: Some(seal) })
    }

    pub(crate) fn write(&mut self, block: &[Bytes]) -> io::Result<()> {
        for bytes in block {
            self.summer.update(bytes);
            self.plain += bytes.len() as u64;
        }
        if let Some(sealing) = &mut self.sealer {
            block.iter().for_each(|bytes| sealing.sealer.update(bytes, &mut sealing.out));
            return sealing.write_out(&mut self.unseen);
        }
        let mut slices: Vec<IoSlice<'_>> = block.iter().map(|bytes| IoSlice::new(bytes)).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            match self.unseen.write_vectored(left) {
                Ok(0) if left.iter().any(|slice| !slice.is_empty()) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => IoSlice::advance_slices(&mut left, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // Empty slices at the end are not written by anybody.
            if left.iter().all(|slice| slice.is_empty()) {
                break;
            }
        }
        Ok(())
    }
}

/// Writes `body` to a file of its own and sums it. At most `limit` bytes are taken.
///
/// # Cancellation
/// Dropped, the file is removed.
pub(crate) async fn stage<S, E>(
    scratch: &Arc<Scratch>,
    body: S,
    wanted: Vec<Algorithm>,
    limit: u64,
) -> Result<Staged, StoreError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    stage_sealed(scratch, body, wanted, limit, None).await
}

/// Like [`stage`], sealing what is written when there is a key.
///
/// # Cancellation
/// Dropped, the file is removed.
pub(crate) async fn stage_sealed<S, E>(
    scratch: &Arc<Scratch>,
    mut body: S,
    wanted: Vec<Algorithm>,
    limit: u64,
    key: Option<NewKey>,
) -> Result<Staged, StoreError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut writing = {
        let scratch = Arc::clone(scratch);
        tokio::task::spawn_blocking(move || {
            let sealer = key.map(Sealing::new);
            scratch.create().map(|unseen| Writer { unseen, summer: Summer::new(&wanted), plain: 0, sealer })
        })
    };
    let mut block = Vec::new();
    let mut block_bytes = 0;
    let mut total = 0;
    let scratch_error = |source| StoreError::Disk { path: "objects".into(), source };
    let broken = |error: E| {
        let source = error.into();
        StoreError::Body { reason: source.to_string(), source: Some(source) }
    };
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(broken)?;
        total += bytes.len() as u64;
        if total > limit {
            return Err(StoreError::TooLarge { limit });
        }
        block_bytes += bytes.len();
        block.push(bytes);
        // Many tiny pieces cost more than their bytes.
        if block_bytes >= BLOCK_BYTES || block.len() >= 1024 {
            let mut writer = joined(writing.await).map_err(scratch_error)?;
            let full = std::mem::take(&mut block);
            block_bytes = 0;
            writing = tokio::task::spawn_blocking(move || writer.write(&full).map(|()| writer));
        }
    }
    let mut writer = joined(writing.await).map_err(scratch_error)?;
    tokio::task::spawn_blocking(move || {
        writer.write(&block)?;
        // The larger part of syncing happens here, outside any lock; what is left is the file's time.
        if writer.plain > BLOCK_BYTES as u64 {
            writer.unseen.sync()?;
        }
        writer.finish()
    })
    .await
    .unwrap_or_else(|panic| Err(io::Error::other(panic)))
    .at(std::path::Path::new("objects"))
}

fn joined<T>(result: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    result.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}
