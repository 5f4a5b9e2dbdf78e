use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::FsckError;

/// Holds the data directory so that no server starts on it; several checks may hold it at once. `None` for a directory
/// without a `LOCK` (a copy, say), where nobody can be running.
pub(super) fn take(data_dir: &Path) -> Result<Option<File>, FsckError> {
    let path = data_dir.join("LOCK");
    let mut lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FsckError::Io { path, source }),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            lock.read_to_string(&mut holder).unwrap_or_default();
            Err(FsckError::InUse { path: data_dir.to_owned(), holder: holder.trim().to_owned() })
        }
        Err(TryLockError::Error(source)) => Err(FsckError::Io { path, source }),
    }
}
