//! Files and directories that survive a crash.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use opentrail_runtime::{Random, SystemRandom};
use parking_lot::Mutex;

/// A file that nobody sees yet. Dropped, it is removed; a crash leaves it for [`Scratch::open`] to remove.
#[derive(Debug)]
pub(crate) struct Unseen {
    pub(crate) file: File,
    path: PathBuf,
    kept: bool,
}

impl Unseen {
    /// Puts the file in `place`, over what is there. The directory is not yet synced.
    pub(crate) fn rename(&mut self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if !self.kept {
            // A leftover is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The directory in which files are written before they are seen.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: PathBuf,
    /// Held while directories are made durable or removed, so that nobody builds on one that a crash could still take.
    directories: Mutex<()>,
}

impl Scratch {
    /// Opens the directory and removes what a crash left in it.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        let scratch = Self { directory, directories: Mutex::new(()) };
        scratch.create_dirs(&scratch.directory)?;
        for entry in fs::read_dir(&scratch.directory)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(scratch)
    }

    /// A new empty file.
    pub(crate) fn create(&self) -> io::Result<Unseen> {
        let path = self.directory.join(SystemRandom.uuid().simple().to_string());
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Unseen { file, path, kept: false })
    }

    /// Makes `bytes` the content of `place`, durably; a crash leaves the old content or the new.
    pub(crate) fn replace(&self, place: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut unseen = self.create()?;
        unseen.file.write_all(bytes)?;
        unseen.file.sync_all()?;
        unseen.rename(place)?;
        sync_parent(place)
    }

    /// Creates `directory` and those above it, each durable once this returns.
    pub(crate) fn create_dirs(&self, directory: &Path) -> io::Result<()> {
        let _guard = self.directories.lock();
        let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.is_dir()).collect();
        for path in missing.into_iter().rev() {
            fs::create_dir(path)?;
            sync_parent(path)?;
        }
        Ok(())
    }

    /// Removes `directory` and those above it, up to `root`, as far as they are empty.
    pub(crate) fn prune(&self, directory: &Path, root: &Path) {
        let _guard = self.directories.lock();
        for path in directory.ancestors().take_while(|path| *path != root && path.starts_with(root)) {
            // Not empty, or gone: either way there is nothing more to remove above it.
            if fs::remove_dir(path).is_err() {
                return;
            }
        }
    }
}

/// Makes the names in `directory` durable.
pub(crate) fn sync_dir(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes the name of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

/// Removes a file, durably. `false` when there was none.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the system says that there is nothing at a path.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
