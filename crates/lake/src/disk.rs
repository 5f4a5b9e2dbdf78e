//! The steps that this crate makes on the disk, each by a function of its own, so that a test can have any of them fail
//! (`faults`).

use std::fs::{self, DirEntry, File, ReadDir};
use std::io::{self, Write};
use std::path::Path;

use crate::{LakeError, faults};

pub(crate) fn create_dir_all(dir: &Path) -> io::Result<()> {
    faults::around(dir, || fs::create_dir_all(dir))
}

pub(crate) fn create(path: &Path) -> io::Result<File> {
    faults::around(path, || File::create(path))
}

pub(crate) fn open(path: &Path) -> io::Result<File> {
    faults::around(path, || File::open(path))
}

/// Writes to the file, which lies at `path`. Returns how many of the bytes it has taken.
pub(crate) fn write(mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<usize> {
    faults::around(path, || file.write(bytes))
}

pub(crate) fn write_all(mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    faults::around(path, || file.write_all(bytes))
}

pub(crate) fn sync(file: &File, path: &Path) -> io::Result<()> {
    faults::around(path, || file.sync_all())
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    faults::around(to, || fs::rename(from, to))
}

pub(crate) fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    faults::around(to, || fs::hard_link(from, to))
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    faults::around(path, || fs::remove_file(path))
}

pub(crate) fn remove_dir(dir: &Path) -> io::Result<()> {
    faults::around(dir, || fs::remove_dir(dir))
}

pub(crate) fn read_dir(dir: &Path) -> io::Result<ReadDir> {
    faults::around(dir, || fs::read_dir(dir))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LakeError> {
    open(dir).and_then(|file| sync(&file, dir)).map_err(LakeError::io(dir))
}

/// Deletes a table's directory: its log first, so that whoever looks meanwhile sees no table rather than one without its
/// files. One that is not there is deleted. Blocks.
///
/// # Errors
/// When the system refuses. What is left can be deleted by another call.
pub fn remove_table(dir: &Path) -> Result<(), LakeError> {
    let log = dir.join(crate::table::LOG);
    remove_tree(&log).map_err(LakeError::io(&log))?;
    remove_tree(dir).map_err(LakeError::io(dir))
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    let entries: Vec<DirEntry> = match read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?.collect::<Result<_, _>>()?,
    };
    for entry in entries {
        // A link is deleted, not followed.
        if entry.file_type()?.is_dir() { remove_tree(&entry.path())? } else { remove_file(&entry.path())? }
    }
    remove_dir(dir)
}
