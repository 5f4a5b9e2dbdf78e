//! Files and directories that survive a crash.
//!
//! Every change of the disk goes through [`Scratch`] and [`Unseen`], so that tests can make any single one fail.

use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use opentrail_runtime::{Random, SystemRandom};
use parking_lot::Mutex;

#[cfg(test)]
use crate::faults::Faults;

/// A file that nobody sees yet. Dropped, it is removed; a crash leaves it for [`Scratch::open`] to remove.
#[derive(Debug)]
pub(crate) struct Unseen {
    file: File,
    path: PathBuf,
    kept: bool,
    #[cfg(test)]
    faults: Faults,
}

impl Unseen {
    /// Sets the time of modification. Not durable before [`Unseen::sync`].
    pub(crate) fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.step()?;
        self.file.set_modified(time)
    }

    /// Makes bytes, size and times durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.step()?;
        self.file.sync_all()
    }

    /// Appends what is left of `source`, copied by the system where it can; the number of bytes.
    pub(crate) fn append(&self, source: &mut File) -> io::Result<u64> {
        self.step()?;
        io::copy(source, &mut &self.file)
    }

    /// Puts the file in `place`, over what is there. The directory is not yet synced.
    pub(crate) fn rename(&mut self, place: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(&self.path, place)?;
        self.kept = true;
        Ok(())
    }

    /// One change of the disk is about to be made; tests make it fail here.
    fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.step()?;
        Ok(())
    }
}

impl Write for Unseen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.step()?;
        self.file.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.step()?;
        self.file.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if !self.kept && self.step().is_ok() {
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
    #[cfg(test)]
    pub(crate) faults: Faults,
}

impl Scratch {
    /// Opens the directory and removes what a crash left in it.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        let scratch = Self {
            directory,
            directories: Mutex::new(()),
            #[cfg(test)]
            faults: Faults::default(),
        };
        scratch.create_dirs(&scratch.directory)?;
        for entry in fs::read_dir(&scratch.directory)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(scratch)
    }

    /// A new empty file.
    pub(crate) fn create(&self) -> io::Result<Unseen> {
        let path = self.directory.join(SystemRandom.uuid().simple().to_string());
        self.step()?;
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Unseen {
            file,
            path,
            kept: false,
            #[cfg(test)]
            faults: self.faults.clone(),
        })
    }

    /// Makes `bytes` the content of `place`, durably; a crash leaves the old content or the new.
    pub(crate) fn replace(&self, place: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut unseen = self.create()?;
        unseen.write_all(bytes)?;
        unseen.sync()?;
        unseen.rename(place)?;
        self.sync_parent(place)
    }

    /// Gives the file at `from` the further name `to`, durably. A stranger that has the name is removed.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        match fs::hard_link(from, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::metadata(from)?.ino() == fs::metadata(to)?.ino() {
                    return self.sync_parent(to);
                }
                fs::remove_file(to)?;
                fs::hard_link(from, to)?;
            }
            linked => linked?,
        }
        self.sync_parent(to)
    }

    /// Makes the file at `from` what is at `place` too, durably, in one step over what is there.
    pub(crate) fn link_over(&self, from: &Path, place: &Path) -> io::Result<()> {
        let path = self.directory.join(SystemRandom.uuid().simple().to_string());
        self.step()?;
        fs::hard_link(from, &path)?;
        let placed = self.step().and_then(|()| fs::rename(&path, place));
        // Two names of one file are no rename: the first stays.
        if self.step().is_ok() {
            let _ = fs::remove_file(&path);
        }
        placed?;
        self.sync_parent(place)
    }

    /// Creates `directory` and those above it, each durable once this returns.
    pub(crate) fn create_dirs(&self, directory: &Path) -> io::Result<()> {
        let _guard = self.directories.lock();
        let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.is_dir()).collect();
        for path in missing.into_iter().rev() {
            self.step()?;
            fs::create_dir(path)?;
            self.sync_parent(path)?;
        }
        Ok(())
    }

    /// Removes `directory` and those above it, up to `root`, as far as they are empty.
    pub(crate) fn prune(&self, directory: &Path, root: &Path) {
        let _guard = self.directories.lock();
        for path in directory.ancestors().take_while(|path| *path != root && path.starts_with(root)) {
            // Not empty, or gone: either way there is nothing more to remove above it.
            if self.step().is_err() || fs::remove_dir(path).is_err() {
                return;
            }
        }
    }

    /// Removes a file. `false` when there was none. A crash may bring it back until its directory is synced.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<bool> {
        self.step()?;
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a file, durably. `false` when there was none.
    pub(crate) fn remove_durably(&self, path: &Path) -> io::Result<bool> {
        if !self.remove(path)? {
            return Ok(false);
        }
        // Whoever removed the last file beside this one may have pruned the directories meanwhile. Then what lacks
        // them is made durable, which is where their removal shows.
        for directory in path.ancestors().skip(1) {
            match self.sync_dir(directory) {
                Err(error) if is_absence(&error) => {}
                synced => return synced.map(|()| true),
            }
        }
        Ok(true)
    }

    /// Removes a directory and all in it, if it is there.
    pub(crate) fn remove_tree(&self, directory: &Path) -> io::Result<()> {
        self.step()?;
        match fs::remove_dir_all(directory) {
            Err(error) if !is_absence(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes the names in `directory` durable.
    pub(crate) fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.step()?;
        File::open(directory)?.sync_all()
    }

    /// Makes the name of `path` durable.
    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.sync_dir(parent),
            _ => self.sync_dir(Path::new(".")),
        }
    }

    /// See [`Unseen::step`].
    fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.step()?;
        Ok(())
    }
}

/// Whether the system says that there is nothing at a path.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
