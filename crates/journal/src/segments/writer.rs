//! The one thread that writes: gathers the batches that wait, writes them as one frame, syncs, acknowledges.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use metrics::{counter, gauge, histogram};
use opentrail_model::Position;
use opentrail_runtime::CrashPoint;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tracing::{error, info};

use super::disk::DiskFile;
use super::frame::{self, Head};
use super::segment::{self, Extent, HEADER};
use super::{SegmentsOptions, Shared};
use crate::{AppendError, Appended, NewEntry};

/// A batch that waits to be written.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) batch: Vec<NewEntry>,
    pub(crate) reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// The batch's share of the queue, given back when it is dropped.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// The writer's state. It alone changes files.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    options: SegmentsOptions,
    /// The file of the last extent; `None` when it must not be written again and the next one could not be made yet.
    active: Option<Box<dyn DiskFile>>,
    /// The position of the next entry.
    next: Position,
    /// Where the next frame goes.
    end: u64,
    /// Whether the journal works, to log only changes.
    working: bool,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        options: SegmentsOptions,
        active: Box<dyn DiskFile>,
        extent: &Extent,
    ) -> Self {
        Self { shared, options, active: Some(active), next: extent.next, end: extent.end, working: true }
    }

    /// Serves the queue until it is closed and empty.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut overhang = None;
        while let Some(request) = overhang.take().or_else(|| queue.blocking_recv()) {
            let mut size = frame::size_of(&request.batch);
            let mut group = vec![request];
            while size < self.options.max_batch_bytes {
                let Ok(request) = queue.try_recv() else { break };
                size += frame::size_of(&request.batch);
                if size > self.options.max_batch_bytes {
                    overhang = Some(request);
                    break;
                }
                group.push(request);
            }
            self.commit(group);
        }
        self.mark_close();
    }

    /// Makes the group durable and answers each of its batches.
    fn commit(&mut self, group: Vec<Request>) {
        let first = self.next;
        let frame = frame::encode(first, group.iter().map(|request| request.batch.as_slice()));
        match self.write(&frame) {
            Ok(()) => {
                CrashPoint::JournalSynced.reach();
                self.heard_from_disk(None);
                let head = Head::parse(&frame).expect("a frame that was just made has a head");
                self.shared.publish(head, frame);
                CrashPoint::JournalPublished.reach();
                self.end += head.len as u64;
                self.next = head.next();
                counter!("opentrail_journal_appended_entries_total").increment(u64::from(head.count));
                counter!("opentrail_journal_appended_bytes_total").increment(head.len as u64);
                histogram!("opentrail_journal_commit_batches").record(group.len() as f64);
                gauge!("opentrail_journal_tail_position").set(self.next.0 as f64 - 1.0);
                let mut at = first;
                for request in group {
                    let next = Position(at.0 + request.batch.len() as u64);
                    // Who no longer waits for the answer has it in the journal all the same.
                    let _ = request.reply.send(Ok(Appended { first: at, last: Position(next.0 - 1) }));
                    at = next;
                }
            }
            Err(reason) => {
                self.heard_from_disk(Some(&reason));
                counter!("opentrail_journal_failed_batches_total").increment(group.len() as u64);
                for request in group {
                    let _ = request.reply.send(Err(AppendError::Unavailable { reason: reason.clone() }));
                }
            }
        }
    }

    /// Writes a frame at the end and makes it durable. When that fails, the frame is out of the way before the
    /// failure is reported: its positions will be another's.
    fn write(&mut self, frame: &Bytes) -> Result<(), String> {
        if self.active.is_some() && self.end > HEADER && self.end + frame.len() as u64 > self.options.segment_bytes {
            self.active = None;
        }
        if self.active.is_none() {
            self.begin_segment().map_err(|error| format!("no new segment could be made: {error}"))?;
        }
        let file = self.active.as_ref().expect("a segment was begun above");
        CrashPoint::JournalWrite.reach();
        if let Err(error) = file.write_at(frame, self.end) {
            // Part of the frame may be in the file. Cut off, the file is as before and is used again (a full disk
            // may have room later); else it is given up, and the next segment's first position makes whatever it
            // holds from there on not count.
            let size = self.options.segment_bytes.max(self.end);
            if file.set_len(self.end).and_then(|()| file.set_len(size)).is_err() {
                self.active = None;
            }
            return Err(format!("writing failed: {error}"));
        }
        // A crash before the sync ends leaves the frame whole, torn or missing; nobody was told that it is there.
        CrashPoint::JournalWritten.reach();
        let started = std::time::Instant::now();
        let synced = file.sync();
        histogram!("opentrail_journal_sync_seconds").record(started.elapsed().as_secs_f64());
        if let Err(error) = synced {
            // What a failed sync left on disk is unknown, and another sync of the same pages may succeed without
            // having written them. This file is never written again; its durable part stays readable.
            let _ = file.set_len(self.end);
            self.active = None;
            return Err(format!("syncing failed: {error}"));
        }
        Ok(())
    }

    /// From here on until a segment is made, the previous one must not be written: the new one may be there already,
    /// though reported as failed, and recovery would let it win.
    fn begin_segment(&mut self) -> io::Result<()> {
        let file = segment::create(&*self.shared.disk, self.next, self.options.segment_bytes)?;
        self.shared.begin_segment(self.next);
        self.end = HEADER;
        self.active = Some(file);
        Ok(())
    }

    /// Writes a mark, so that damage to the frame before it is told from a torn end.
    fn mark_close(&mut self) {
        let Some(file) = self.active.as_ref().filter(|_| self.working) else { return };
        CrashPoint::JournalClose.reach();
        let mark = frame::encode(self.next, std::iter::empty());
        if let Err(error) = file.write_at(&mark, self.end).and_then(|()| file.sync()) {
            error!(%error, "the journal's closing mark could not be written; nothing is lost");
        }
        CrashPoint::JournalClosed.reach();
    }

    fn heard_from_disk(&mut self, failure: Option<&str>) {
        match failure {
            Some(reason) if self.working => error!(reason, position = self.next.0, "the journal takes no records"),
            None if !self.working => info!(position = self.next.0, "the journal takes records again"),
            _ => {}
        }
        self.working = failure.is_none();
    }
}
