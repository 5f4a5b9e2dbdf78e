//! What is found in the directory at start, and what of it counts.
//!
//! Segments form a chain: each must hold every position up to the first of the next one. What stands in a segment
//! after that was written but reported as failed, and does not count. Only the end of the last segment may be torn:
//! one frame is in flight at a time, so that a bad frame before an intact one was once durable and is damage.

use std::collections::VecDeque;
use std::io;

use opentrail_model::Position;
use tracing::{info, warn};

use super::disk::{Disk, DiskFile};
use super::segment::{self, Extent, Found, Frames, HEADER, HeaderError};

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Stored bytes are damaged: restore the file from a copy, or move it and all later ones away to go on without
    /// what they hold.
    #[error("journal file {file} is damaged at offset {offset}: {reason}")]
    Corrupt {
        /// The file's path.
        file: String,
        /// The byte at which the damage begins.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A later release wrote this file.
    #[error("journal file {file} has format {version}, which this release cannot read: start a later release")]
    Version {
        /// The file's path.
        file: String,
        /// The format's number.
        version: u32,
    },
    /// The system refused.
    #[error("the journal in {path} cannot be opened: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// The system's word.
        source: io::Error,
    },
}

/// What was found, ready to be written on.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Every segment, oldest first; at least one.
    pub(crate) extents: VecDeque<Extent>,
    /// The last one.
    pub(crate) active: Box<dyn DiskFile>,
}

/// Reads everything that is stored, cuts off a torn end, and makes sure that what is left is durable.
pub(crate) fn recover(disk: &dyn Disk, segment_bytes: u64) -> Result<Recovered, OpenError> {
    let directory_error = |source| OpenError::Io { path: disk.path_of(""), source };
    let names = disk.list().map_err(directory_error)?;
    if names.iter().any(|name| name == segment::TEMPORARY) {
        // A segment that was never finished: nothing in it was acknowledged.
        disk.remove(segment::TEMPORARY).map_err(directory_error)?;
    }
    // A process that was killed may have left a segment whose name the disk does not have yet.
    disk.sync_names().map_err(directory_error)?;
    let mut firsts: Vec<Position> = names.iter().filter_map(|name| segment::first_of(name)).collect();
    firsts.sort_unstable();
    if firsts.is_empty() {
        let first = Position::START.next();
        let active = segment::create(disk, first, segment_bytes).map_err(directory_error)?;
        return Ok(Recovered { extents: VecDeque::from([Extent::empty(first)]), active });
    }
    let mut extents = VecDeque::with_capacity(firsts.len());
    for pair in firsts.windows(2) {
        extents.push_back(Walk::open(disk, pair[0])?.sealed(pair[1])?);
    }
    let last = *firsts.last().expect("there is at least one segment");
    let (extent, active) = Walk::open(disk, last)?.active(segment_bytes)?;
    info!(segments = firsts.len(), position = extent.next.0 - 1, "journal opened");
    extents.push_back(extent);
    Ok(Recovered { extents, active })
}

/// A walk over one segment's frames.
struct Walk {
    path: String,
    file: Box<dyn DiskFile>,
    len: u64,
    extent: Extent,
}

impl Walk {
    fn open(disk: &dyn Disk, first: Position) -> Result<Self, OpenError> {
        let name = segment::name(first);
        let path = disk.path_of(&name);
        let io = |source| OpenError::Io { path: path.clone(), source };
        let file = disk.open(&name).map_err(io)?;
        let len = file.len().map_err(io)?;
        let header = Frames::new(&*file, len).bytes(0, HEADER as usize).map_err(io)?;
        match segment::check_header(&header, first) {
            Ok(()) => Ok(Self { path, file, len, extent: Extent::empty(first) }),
            Err(HeaderError::Version(version)) => Err(OpenError::Version { file: path, version }),
            Err(HeaderError::Damaged(reason)) => {
                Err(OpenError::Corrupt { file: path, offset: 0, reason: reason.to_owned() })
            }
        }
    }

    fn io(&self, source: io::Error) -> OpenError {
        OpenError::Io { path: self.path.clone(), source }
    }

    fn corrupt(&self, reason: impl Into<String>) -> OpenError {
        OpenError::Corrupt { file: self.path.clone(), offset: self.extent.end, reason: reason.into() }
    }

    /// A segment that a later one, beginning with `next`, follows.
    fn sealed(mut self, next: Position) -> Result<Extent, OpenError> {
        let mut frames = Frames::new(&*self.file, self.len);
        while self.extent.next < next {
            let reason = match frames.at(self.extent.end).map_err(|source| self.io(source))? {
                Found::Frame(head, _) if head.first == self.extent.next && head.next() <= next => {
                    self.extent.push(head);
                    continue;
                }
                Found::Frame(head, _) => format!("position {} follows {}", head.first, self.extent.next.0 - 1),
                Found::Nothing => format!("entries {} to {} are missing", self.extent.next, next.0 - 1),
                Found::Bad(reason) => reason.to_owned(),
            };
            return Err(self.corrupt(reason));
        }
        Ok(self.extent)
    }

    /// The last segment, which is written on.
    fn active(mut self, segment_bytes: u64) -> Result<(Extent, Box<dyn DiskFile>), OpenError> {
        let mut frames = Frames::new(&*self.file, self.len);
        let torn = loop {
            match frames.at(self.extent.end).map_err(|source| self.io(source))? {
                Found::Frame(head, _) if head.first == self.extent.next => self.extent.push(head),
                Found::Frame(head, _) => {
                    return Err(self.corrupt(format!("position {} follows {}", head.first, self.extent.next.0 - 1)));
                }
                // Zeroes all the way are room for later frames. A frame's first page may be lost by a crash while
                // later ones were written, so that zeroes alone do not tell.
                Found::Nothing if frames.rest_is_zero(self.extent.end).map_err(|source| self.io(source))? => {
                    break None;
                }
                Found::Nothing => break Some("a frame's beginning is missing"),
                Found::Bad(reason) => break Some(reason),
            }
        };
        if let Some(reason) = torn {
            let later = frames.find_later(self.extent.end, self.extent.next).map_err(|source| self.io(source))?;
            if let Some(later) = later {
                return Err(self.corrupt(format!("{reason}, and an intact frame follows at offset {later}")));
            }
            warn!(file = self.path, offset = self.extent.end, reason, "cut off the torn end of the journal");
            self.file.set_len(self.extent.end).map_err(|source| self.io(source))?;
        }
        if torn.is_some() || self.len < segment_bytes {
            self.file.set_len(segment_bytes.max(self.extent.end)).map_err(|source| self.io(source))?;
        }
        // A process that was killed may have left an intact frame that the disk does not have yet. It is about to be
        // shown to readers, so it must become durable first.
        self.file.sync().map_err(|source| self.io(source))?;
        Ok((self.extent, self.file))
    }
}
