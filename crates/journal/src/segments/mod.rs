//! The embedded backend: segments in a directory, checksummed, synced before anything is acknowledged.
//!
//! `README.md` beside this file tells a record's life step by step and what a crash at each one means.

mod disk;
mod frame;
mod recovery;
mod segment;
mod writer;

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_model::Position;
use opentrail_runtime::CrashPoint;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub use recovery::OpenError;

use crate::{AppendError, Appended, Entry, Journal, NewEntry, ReadError, TrimError};
use disk::{Directory, Disk};
use frame::Head;
use segment::{Extent, Found, Frames};
use writer::{Request, Writer};

/// How a [`SegmentsJournal`] uses disk and memory.
#[derive(Clone, Debug)]
pub struct SegmentsOptions {
    /// The size of one file; a larger batch gets a larger file of its own. Default 64 MiB.
    pub segment_bytes: u64,
    /// Batches that wait are committed together up to this size. Default 4 MiB.
    pub max_batch_bytes: usize,
    /// The most batches that wait; further appends wait for room. Default 1,024.
    pub queue_batches: usize,
    /// The most bytes that wait; further appends wait for room. Default 32 MiB.
    pub queue_bytes: usize,
    /// The newest frames are kept in memory for readers at the tail, up to this size. Default 32 MiB.
    pub cache_bytes: usize,
}

impl Default for SegmentsOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_batch_bytes: 4 << 20,
            queue_batches: 1024,
            queue_bytes: 32 << 20,
            cache_bytes: 32 << 20,
        }
    }
}

/// A journal in a directory of this machine. One process may have it open at a time; the caller sees to that.
#[derive(Debug)]
pub struct SegmentsJournal {
    shared: Arc<Shared>,
    /// `None` once closed: the writer ends when nobody can send any more.
    queue: Mutex<Option<mpsc::Sender<Request>>>,
    room: Arc<Semaphore>,
    room_bytes: usize,
    writer_ended: watch::Receiver<()>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    cache_bytes: usize,
    /// Held for moments only, never over I/O.
    stored: Mutex<Stored>,
    /// The last durable position, sent after `stored` knows of it.
    tail: watch::Sender<Position>,
    /// One trim at a time.
    trimming: Mutex<()>,
}

/// What is durable.
#[derive(Debug)]
struct Stored {
    /// Oldest first; never empty.
    extents: VecDeque<Extent>,
    /// The newest frames, oldest first, without a gap up to the tail.
    recent: VecDeque<(Head, Bytes)>,
    recent_bytes: usize,
}

impl SegmentsJournal {
    /// Opens the journal in `dir`, made if it is missing. Everything stored is read and checked, a torn end is cut
    /// off. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] names the file and offset of damage anywhere but at the torn end.
    pub fn open(dir: &Path, options: SegmentsOptions) -> Result<Self, OpenError> {
        let disk = Directory::open(dir).map_err(|source| OpenError::Io { path: dir.display().to_string(), source })?;
        Self::open_on(Arc::new(disk), options)
    }

    fn open_on(disk: Arc<dyn Disk>, options: SegmentsOptions) -> Result<Self, OpenError> {
        let recovered = recovery::recover(&*disk, options.segment_bytes)?;
        let last = recovered.extents.back().expect("recovery finds or makes a segment").clone();
        let shared = Arc::new(Shared {
            disk,
            cache_bytes: options.cache_bytes,
            stored: Mutex::new(Stored { extents: recovered.extents, recent: VecDeque::new(), recent_bytes: 0 }),
            tail: watch::Sender::new(Position(last.next.0 - 1)),
            trimming: Mutex::new(()),
        });
        let (sender, queue) = mpsc::channel(options.queue_batches.max(1));
        let room_bytes = options.queue_bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (ending, writer_ended) = watch::channel(());
        let writer = Writer::new(Arc::clone(&shared), options, recovered.active, &last);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            writer.run(queue);
            drop(ending);
        });
        let thread = thread.map_err(|source| OpenError::Io { path: shared.disk.path_of(""), source })?;
        Ok(Self {
            shared,
            queue: Mutex::new(Some(sender)),
            room: Arc::new(Semaphore::new(room_bytes)),
            room_bytes,
            writer_ended,
            writer: Mutex::new(Some(thread)),
        })
    }
}

impl Drop for SegmentsJournal {
    /// Waits for the writer, so that the directory can be opened again at once.
    fn drop(&mut self) {
        self.queue.lock().take();
        if let Some(thread) = self.writer.lock().take() {
            // A writer that panicked has nothing more to say here: its appends failed.
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Journal for SegmentsJournal {
    async fn append(&self, batch: Vec<NewEntry>) -> Result<Appended, AppendError> {
        let size = frame::size_of(&batch);
        if size > frame::MAX_FRAME_BYTES || batch.is_empty() {
            let reason = format!("a batch of {} entries and {size} bytes cannot be written at once", batch.len());
            return Err(AppendError::Unavailable { reason });
        }
        let queue = self.queue.lock().clone().ok_or(AppendError::Closed)?;
        let share = u32::try_from(size.min(self.room_bytes)).expect("the room is below u32::MAX");
        let room = Arc::clone(&self.room).acquire_many_owned(share).await.map_err(|_| AppendError::Closed)?;
        let (reply, answer) = oneshot::channel();
        queue.send(Request { batch, reply, _room: room }).await.map_err(|_| AppendError::Closed)?;
        drop(queue);
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    async fn read(&self, after: Position, max_bytes: usize) -> Result<Vec<Entry>, ReadError> {
        if after >= self.tail() {
            return Ok(Vec::new());
        }
        if let Some(entries) = self.shared.read_recent(after, max_bytes)? {
            return Ok(entries);
        }
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.read_stored(after, max_bytes)).await;
        read.unwrap_or_else(|error| Err(ReadError::Io { reason: error.to_string() }))
    }

    fn tail(&self) -> Position {
        *self.shared.tail.borrow()
    }

    async fn wait_past(&self, position: Position) {
        // The sender lives in `self`, so waiting cannot fail while this future is polled.
        let _ = self.shared.tail.subscribe().wait_for(|tail| *tail > position).await;
    }

    fn trimmed(&self) -> Position {
        self.shared.stored.lock().trimmed()
    }

    async fn trim(&self, through: Position) -> Result<(), TrimError> {
        let shared = Arc::clone(&self.shared);
        let trimmed = tokio::task::spawn_blocking(move || shared.trim(through)).await;
        trimmed.unwrap_or_else(|error| Err(TrimError { reason: error.to_string() }))
    }

    async fn close(&self) {
        self.queue.lock().take();
        // Ends with an error once the writer has dropped its side: that is what is waited for.
        while self.writer_ended.clone().changed().await.is_ok() {}
    }
}

impl Shared {
    /// Notes that the frame at the end of the last segment is durable.
    fn publish(&self, head: Head, frame: Bytes) {
        let tail = {
            let mut stored = self.stored.lock();
            let extent = stored.extents.back_mut().expect("there is always a segment");
            extent.push(head);
            let tail = Position(extent.next.0 - 1);
            stored.recent_bytes += frame.len();
            stored.recent.push_back((head, frame));
            while stored.recent_bytes > self.cache_bytes {
                let Some((_, oldest)) = stored.recent.pop_front() else { break };
                stored.recent_bytes -= oldest.len();
            }
            tail
        };
        self.tail.send_replace(tail);
    }

    /// Notes that the segment beginning with `first` is durable and empty.
    fn begin_segment(&self, first: Position) {
        let mut stored = self.stored.lock();
        // A segment that never got a durable frame was replaced by this one.
        if stored.extents.back().is_some_and(|last| last.first == first) {
            stored.extents.pop_back();
        }
        stored.extents.push_back(Extent::empty(first));
    }

    /// Reads from memory; `None` when what follows `after` is no longer there.
    fn read_recent(&self, after: Position, max_bytes: usize) -> Result<Option<Vec<Entry>>, ReadError> {
        let frames: Vec<(Head, Bytes)> = {
            let stored = self.stored.lock();
            stored.check_kept(after)?;
            if stored.recent.front().is_none_or(|(head, _)| head.first > after.next()) {
                return Ok(None);
            }
            let from = stored.recent.partition_point(|(head, _)| head.next() <= after.next());
            // Bodies are smaller than their frames: these frames may be more than are needed, never fewer, but for
            // the bytes around the bodies, which only make the answer shorter.
            let mut size = 0;
            let wanted = stored.recent.range(from..).take_while(|(_, frame)| {
                let more = size < max_bytes.max(1);
                size += frame.len();
                more
            });
            wanted.cloned().collect()
        };
        let mut out = Vec::new();
        let mut size = 0;
        for (head, frame) in frames {
            let entries = frame::entries(&frame, after, max_bytes.saturating_sub(size)).map_err(|reason| {
                ReadError::Corrupt { file: "(memory)".into(), offset: head.first.0, reason: reason.into() }
            })?;
            size += entries.iter().map(|entry| entry.body.len()).sum::<usize>();
            let whole = entries.last().is_some_and(|entry| entry.position.next() == head.next());
            out.extend(entries);
            if size >= max_bytes || !whole {
                break;
            }
        }
        Ok(Some(out))
    }

    /// Reads from the file that holds the position after `after`; to its end at most.
    fn read_stored(&self, after: Position, max_bytes: usize) -> Result<Vec<Entry>, ReadError> {
        let extent = {
            let stored = self.stored.lock();
            stored.check_kept(after)?;
            let behind = stored.extents.partition_point(|extent| extent.first <= after.next());
            let Some(extent) = behind.checked_sub(1).map(|at| &stored.extents[at]) else { return Ok(Vec::new()) };
            extent.clone()
        };
        let name = segment::name(extent.first);
        let io = |error: std::io::Error| ReadError::Io { reason: format!("{}: {error}", self.disk.path_of(&name)) };
        let file = match self.disk.open(&name) {
            Ok(file) => file,
            // Trimmed since the lock was given back, or taken away by a stranger.
            Err(error) => return Err(self.stored.lock().check_kept(after).err().unwrap_or_else(|| io(error))),
        };
        let mut frames = Frames::new(&*file, extent.end);
        let mut offset = extent.offset_before(after.next());
        let (mut out, mut size) = (Vec::new(), 0);
        while offset < extent.end && size < max_bytes.max(1) {
            let at = offset;
            let corrupt = |reason: &str| ReadError::Corrupt {
                file: self.disk.path_of(&name),
                offset: at,
                reason: reason.to_owned(),
            };
            let (head, frame) = match frames.at(offset).map_err(io)? {
                Found::Frame(head, frame) => (head, frame),
                Found::Nothing => return Err(corrupt("zeroes stand where a frame was")),
                Found::Bad(reason) => return Err(corrupt(reason)),
            };
            offset += head.len as u64;
            if head.next() <= after.next() {
                continue;
            }
            let entries = frame::entries(&frame, after, max_bytes.saturating_sub(size)).map_err(corrupt)?;
            size += entries.iter().map(|entry| entry.body.len()).sum::<usize>();
            let whole = entries.last().is_some_and(|entry| entry.position.next() == head.next());
            out.extend(entries);
            if !whole {
                break;
            }
        }
        Ok(out)
    }

    /// Deletes whole segments, oldest first, so that a crash leaves no hole.
    fn trim(&self, through: Position) -> Result<(), TrimError> {
        let _one_at_a_time = self.trimming.lock();
        loop {
            let oldest = {
                let stored = self.stored.lock();
                // The last segment stays: its name keeps the next position.
                match stored.extents.iter().take(2).collect::<Vec<_>>()[..] {
                    [oldest, next] if next.first <= through.next() => oldest.first,
                    _ => return Ok(()),
                }
            };
            let name = segment::name(oldest);
            let reason = |error: std::io::Error| TrimError { reason: format!("{}: {error}", self.disk.path_of(&name)) };
            // Readers are told first: one that comes now is refused, not surprised.
            let gone = self.stored.lock().extents.pop_front();
            CrashPoint::JournalTrim.reach();
            let removed = match self.disk.remove(&name) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                other => other,
            };
            if let Err(error) = removed {
                self.stored.lock().extents.push_front(gone.expect("the oldest was there"));
                return Err(reason(error));
            }
            CrashPoint::JournalTrimmed.reach();
            // A crash before this line may bring the file back: it is trimmed again.
            self.disk.sync_names().map_err(reason)?;
        }
    }
}

impl Stored {
    fn trimmed(&self) -> Position {
        self.extents.front().map_or(Position::START, |oldest| Position(oldest.first.0 - 1))
    }

    fn check_kept(&self, after: Position) -> Result<(), ReadError> {
        let trimmed = self.trimmed();
        if after < trimmed { Err(ReadError::Trimmed { after, trimmed }) } else { Ok(()) }
    }
}
