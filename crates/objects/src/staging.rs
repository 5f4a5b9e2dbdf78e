//! Bodies on their way to disk: summed and written as they arrive, seen by nobody until they are whole.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::StoreError;
use crate::checksums::{Algorithm, Checksum, Summer};
use crate::durable::{Scratch, Unseen};
use crate::error::At;

/// Bytes gathered before they are handed to a thread that may block. Two such blocks are in memory per upload.
const BLOCK_BYTES: usize = 1 << 20;

/// A body that is whole on disk (its data is synced, its name is not yet anybody's).
pub(crate) struct Staged {
    pub(crate) unseen: Unseen,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) checksums: Vec<Checksum>,
}

struct Writer {
    unseen: Unseen,
    summer: Summer,
    size: u64,
}

impl Writer {
    fn write(&mut self, block: &[Bytes]) -> io::Result<()> {
        for bytes in block {
            self.summer.update(bytes);
            self.size += bytes.len() as u64;
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
    mut body: S,
    wanted: Vec<Algorithm>,
    limit: u64,
) -> Result<Staged, StoreError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut writing = {
        let scratch = Arc::clone(scratch);
        tokio::task::spawn_blocking(move || {
            scratch.create().map(|unseen| Writer { unseen, summer: Summer::new(&wanted), size: 0 })
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
        if writer.size > BLOCK_BYTES as u64 {
            writer.unseen.sync()?;
        }
        let (md5, checksums) = writer.summer.finish();
        Ok(Staged { unseen: writer.unseen, size: writer.size, md5, checksums })
    })
    .await
    .unwrap_or_else(|panic| Err(io::Error::other(panic)))
    .at(std::path::Path::new("objects"))
}

fn joined<T>(result: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    result.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}
