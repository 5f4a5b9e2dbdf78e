//! The one who commits log events: all requests that wait, in one transaction.
//!
//! # Promises
//! 1. A request is answered once its events are on stable storage.
//! 2. Sequence numbers grow strictly over the whole file, also over restarts and deletions.
//! 3. Followers see chunks in the order of their sequence numbers, and only when they are durable.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use opentrail_runtime::{CrashPoint, Shutdown};
use tokio::sync::{mpsc, oneshot};

use crate::chunk::{Events, Run};
use crate::error::{LogsError, no_group, no_stream};
use crate::follow::Chunk;
use crate::place::GroupPlace;
use crate::service::Shared;
use crate::store::{Writing, advance, create_stream, insert_chunk, note_events, set_sequence, stream_in};

/// How many requests wait before the next one has to.
pub(crate) const MOST_WAITING: usize = 64;

/// Events that become one chunk.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) events: Arc<Events>,
    pub(crate) packed: Vec<u8>,
    pub(crate) raw: usize,
}

/// What to do about a stream that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfAbsent {
    Refuse,
    Create,
}

/// Events for one stream.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) group: GroupPlace,
    pub(crate) stream: String,
    pub(crate) if_absent: IfAbsent,
    pub(crate) chunks: Vec<Encoded>,
}

/// A request that waits to be committed.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) parts: Vec<Part>,
    /// Who feeds, and the position after this; nothing is written when it is there already.
    pub(crate) source: Option<(String, u64)>,
    pub(crate) done: oneshot::Sender<Result<Committed, LogsError>>,
}

/// What was committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed {
    pub(crate) events: usize,
    /// Groups that are not there; what was for them is not written.
    pub(crate) missing: Vec<GroupPlace>,
    /// The position was there already, so that nothing was written.
    pub(crate) repeated: bool,
}

/// Commits log events; [`Self::run`] it for as long as there are to be any.
#[derive(Debug)]
pub struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: mpsc::Receiver<Pending>,
    /// The sequence number of the last commit.
    pub(crate) sequence: u64,
}

/// What is to be written, and the source that it moves.
type Request = (Vec<Part>, Option<(String, u64)>);

/// What a transaction finds of groups and streams, for the next part that asks for the same.
type Targets = HashMap<(GroupPlace, String), (i64, i64)>;

impl Writer {
    /// Commits what comes, until the shutdown begins and everything that waits is committed.
    ///
    /// # Errors
    /// None: what fails is told to those who wait for it.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = self.inbox.recv_many(&mut batch, MOST_WAITING) => {
                    if received == 0 {
                        return Ok(());
                    }
                }
                () = shutdown.begun() => {
                    self.shared.closing.begin();
                    self.inbox.close();
                    while self.inbox.recv_many(&mut batch, MOST_WAITING).await > 0 {
                        self.commit(std::mem::take(&mut batch)).await;
                    }
                    return Ok(());
                }
            }
            self.commit(std::mem::take(&mut batch)).await;
        }
    }

    async fn commit(&mut self, batch: Vec<Pending>) {
        let (mut waiting, mut requests) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for Pending { parts, source, done } in batch {
            waiting.push(done);
            requests.push((parts, source));
        }
        match self.write(requests).await {
            Ok((outcomes, chunks)) => {
                CrashPoint::LogsCommitted.reach();
                self.shared.publish(chunks);
                for (done, outcome) in waiting.into_iter().zip(outcomes) {
                    let _ = done.send(outcome);
                }
            }
            Err(error) => {
                // What the file says counts, whatever was given out meanwhile.
                if let Ok(sequence) = self.shared.store.last_sequence().await {
                    self.sequence = self.sequence.max(sequence);
                }
                waiting.into_iter().for_each(|done| drop(done.send(Err(error.clone()))));
            }
        }
    }

    /// Writes all requests in one transaction; what each comes to, and the new chunks.
    async fn write(
        &mut self,
        requests: Vec<Request>,
    ) -> Result<(Vec<Result<Committed, LogsError>>, Vec<Arc<Chunk>>), LogsError> {
        let shared = Arc::clone(&self.shared);
        let mut writing = shared.store.write().await?;
        let ingested = shared.clock.now().as_millis();
        let (mut targets, mut outcomes, mut chunks) = (Targets::new(), Vec::new(), Vec::new());
        let mut sequence = self.sequence;
        for (parts, source) in requests {
            if let Some((name, position)) = &source
                && !advance(&mut writing, name, *position).await?
            {
                outcomes.push(Ok(Committed { repeated: true, ..Committed::default() }));
                continue;
            }
            let mut committed = Committed::default();
            let mut refused = None;
            for part in parts {
                match self.target(&mut writing, &part, &mut targets, ingested).await? {
                    Target::There(ids) => {
                        for encoded in part.chunks {
                            sequence += 1;
                            committed.events += encoded.events.len();
                            let place = (&part.group, part.stream.as_str());
                            chunks.push(put_chunk(&mut writing, ids, place, encoded, sequence, ingested).await?);
                        }
                    }
                    Target::NoGroup if part.if_absent == IfAbsent::Create => committed.missing.push(part.group),
                    Target::NoGroup => refused = Some(no_group()),
                    Target::NoStream => refused = Some(no_stream()),
                }
            }
            outcomes.push(refused.map_or(Ok(committed), Err));
        }
        if sequence > self.sequence {
            set_sequence(&mut writing, sequence).await?;
        }
        CrashPoint::LogsCommit.reach();
        writing.commit().await?;
        self.sequence = sequence;
        Ok((outcomes, chunks))
    }

    async fn target(
        &self,
        writing: &mut Writing<'_>,
        part: &Part,
        targets: &mut Targets,
        now: i64,
    ) -> Result<Target, LogsError> {
        let key = (part.group.clone(), part.stream.clone());
        if let Some(ids) = targets.get(&key) {
            return Ok(Target::There(*ids));
        }
        let group: Option<i64> =
            sqlx::query_scalar("SELECT id FROM log_group WHERE account = ? AND region = ? AND name = ?")
                .bind(part.group.account.to_string())
                .bind(part.group.region.as_str())
                .bind(&part.group.name)
                .fetch_optional(&mut *writing.transaction)
                .await?;
        let Some(group) = group else { return Ok(Target::NoGroup) };
        let stream = match stream_in(writing, group, &part.stream).await? {
            Some(stream) => stream.id,
            None if part.if_absent == IfAbsent::Refuse => return Ok(Target::NoStream),
            None => create_stream(writing, group, &part.stream, now).await?.ok_or_else(no_stream)?,
        };
        targets.insert(key, (group, stream));
        Ok(Target::There((group, stream)))
    }
}

enum Target {
    There((i64, i64)),
    NoGroup,
    NoStream,
}

async fn put_chunk(
    writing: &mut Writing<'_>,
    ids: (i64, i64),
    (group, stream): (&GroupPlace, &str),
    encoded: Encoded,
    sequence: u64,
    ingested: i64,
) -> Result<Arc<Chunk>, LogsError> {
    let Encoded { events, packed, raw } = encoded;
    let run = Run { sequence, ingested, count: events.len() };
    let span = events.span();
    insert_chunk(writing, ids, span, &[run], packed, raw).await?;
    note_events(writing, ids, span, ingested, raw).await?;
    let (group_id, stream_id) = ids;
    Ok(Arc::new(Chunk { sequence, group_id, stream_id, group: group.clone(), stream: stream.into(), ingested, events }))
}
