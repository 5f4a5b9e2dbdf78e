use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_api::JournalChange;
use opentrail_gateway::{CallerLookup, RecordSink};
use opentrail_identity::Directory;
use opentrail_journal::{AppendError, Journal, NewEntry};
use opentrail_model::{Source, Timestamp};
use opentrail_recorder::{Caller, Recorded};
use opentrail_runtime::{Clock, CrashPoint, OnError, TaskGroup};
use tokio::sync::mpsc;
use tracing::{error, warn};

/// Records that wait for the journal before a gateway has to wait with them.
const QUEUE: usize = 4096;
/// Records appended in one batch at most.
const BATCH: usize = 512;
const RETRY: Duration = Duration::from_millis(200);

/// The way of recorded calls into the journal. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<NewEntry>,
    changes: mpsc::UnboundedSender<NewEntry>,
}

impl Recording {
    /// Starts the tasks that append. They end once every clone is dropped.
    pub(crate) fn start(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, tasks: &TaskGroup) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE);
        let (changes, changed) = mpsc::unbounded_channel();
        tasks.spawn("record calls", OnError::ShutDown, drain(queued, Arc::clone(&journal), Arc::clone(&clock)));
        tasks.spawn("repeat changes", OnError::Log, repeat(changed, Arc::clone(&journal), Arc::clone(&clock)));
        Self { journal, clock, queue, changes }
    }

    /// The journal's entry of a recorded call.
    pub(crate) fn entry(source: Source, recorded: Recorded, received: Timestamp) -> NewEntry {
        NewEntry { source, account: recorded.account, received, body: recorded.body }
    }

    /// A way into the queue that does not keep it open.
    pub(crate) fn late(&self) -> LateRecording {
        LateRecording(self.queue.downgrade())
    }

    /// Makes a call to our own API, by its records, durable together with the changes that it made and the events that it
    /// brought, in one batch.
    ///
    /// # Errors
    /// When the journal cannot take it. The catalog has the changes already, so they are appended later, as soon as
    /// the journal works again; the caller is told that the call failed, since its record is not durable.
    pub(crate) async fn append_call(
        &self,
        brought: Vec<NewEntry>,
        records: Vec<Recorded>,
        received: Timestamp,
        changes: Vec<JournalChange>,
        record_first: bool,
    ) -> Result<(), AppendError> {
        let records = records.into_iter().map(|recorded| Self::entry(Source::Api, recorded, received));
        let changes: Vec<_> = changes.iter().map(|change| control(change, received)).collect();
        let batch: Vec<_> = if record_first {
            brought.into_iter().chain(records).chain(changes.iter().cloned()).collect()
        } else {
            brought.into_iter().chain(changes.iter().cloned()).chain(records).collect()
        };
        if batch.is_empty() {
            return Ok(());
        }
        let changed = !changes.is_empty();
        CrashPoint::ServerCallAppend.reach();
        if changed {
            CrashPoint::ServerChangeAppend.reach();
        }
        let appended = self.journal.append(batch).await;
        CrashPoint::ServerCallAppended.reach();
        if changed {
            CrashPoint::ServerChangeAppended.reach();
        }
        if let Err(error) = &appended {
            error!(%error, "a call could not be recorded");
            for change in changes {
                // Its receiver lives as long as the server.
                let _ = self.changes.send(change);
            }
        }
        appended.map(drop)
    }

    /// Hands over the record of a call that was carried out although the journal takes nothing now, e.g. because the
    /// disk is full. It is appended once that is over; when more wait than memory may hold, it is lost, and
    /// counted.
    pub(crate) fn append_later(&self, source: Source, recorded: Recorded, received: Timestamp) {
        if self.queue.try_send(Self::entry(source, recorded, received)).is_err() {
            metrics::counter!("opentrail_server_records_lost_total", "reason" => "journal").increment(1);
            error!("the record of a call is lost, since the journal takes nothing");
        }
    }

    /// Appends changes that no call made: what the catalog has at start, and what time does.
    pub(crate) async fn append_changes(&self, changes: &[JournalChange]) -> Result<(), AppendError> {
        let now = self.clock.now();
        let batch: Vec<_> = changes.iter().map(|change| control(change, now)).collect();
        if batch.is_empty() { Ok(()) } else { self.journal.append(batch).await.map(drop) }
    }

    /// Makes a change durable that time has made, and that the catalog has. While the journal takes nothing it waits.
    pub(crate) async fn append_change(&self, change: JournalChange) {
        let entry = control(&change, self.clock.now());
        CrashPoint::ServerChangeAppend.reach();
        if let Err(error) = self.journal.append(vec![entry.clone()]).await {
            error!(%error, "a change could not be appended and will be tried again");
            // Its receiver lives as long as the server.
            let _ = self.changes.send(entry);
        }
    }

    /// Hands over the record of a call that crossed a gateway or the embedded store. Waits while the queue is full.
    pub(crate) async fn enqueue(&self, source: Source, recorded: Recorded, received: Timestamp) {
        if self.queue.send(Self::entry(source, recorded, received)).await.is_err() {
            metrics::counter!("opentrail_server_records_lost_total", "reason" => "stopped").increment(1);
            error!("a record came after the journal was closed and is lost");
        }
    }
}

/// The way into the queue for parts that outlive it: it does not keep the carriers from ending.
#[derive(Clone, Debug)]
pub(crate) struct LateRecording(mpsc::WeakSender<NewEntry>);

impl LateRecording {
    /// Like [`Recording::enqueue`].
    pub(crate) async fn enqueue(&self, source: Source, recorded: Recorded, received: Timestamp) {
        let entry = Recording::entry(source, recorded, received);
        let sent = match self.0.upgrade() {
            Some(queue) => queue.send(entry).await.is_ok(),
            None => false,
        };
        if !sent {
            metrics::counter!("opentrail_server_records_lost_total", "reason" => "stopped").increment(1);
            error!("a record came after the journal was closed and is lost");
        }
    }
}

fn control(change: &JournalChange, received: Timestamp) -> NewEntry {
    NewEntry { source: Source::Control, account: change.account(), received, body: change.to_bytes() }
}

/// Appends queued records in batches. A journal that cannot take them is asked again until it can: meanwhile the queue
/// fills and gateways wait, so that nothing is lost.
async fn drain(
    mut queued: mpsc::Receiver<NewEntry>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
) -> Result<(), AppendError> {
    let mut batch = Vec::with_capacity(BATCH);
    while queued.recv_many(&mut batch, BATCH).await > 0 {
        CrashPoint::ServerQueueAppend.reach();
        loop {
            match journal.append(batch.clone()).await {
                Ok(_) => break,
                Err(AppendError::Closed) => return Err(AppendError::Closed),
                Err(error) => {
                    warn!(%error, records = batch.len(), "records wait for the journal");
                    clock.sleep(RETRY).await;
                }
            }
        }
        CrashPoint::ServerQueueAppended.reach();
        batch.clear();
    }
    Ok(())
}

/// Appends changes whose own batch failed.
async fn repeat(
    mut changed: mpsc::UnboundedReceiver<NewEntry>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
) -> Result<(), AppendError> {
    while let Some(change) = changed.recv().await {
        loop {
            match journal.append(vec![change.clone()]).await {
                Ok(_) => break,
                Err(AppendError::Closed) => return Ok(()),
                Err(_) => clock.sleep(RETRY).await,
            }
        }
    }
    Ok(())
}

/// A gateway's way in: its records, and whose keys its callers use.
#[derive(Debug)]
pub(crate) struct GatewayPort {
    pub(crate) recording: Recording,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl RecordSink for GatewayPort {
    async fn record(&self, recorded: Recorded, received: Timestamp) {
        self.recording.enqueue(Source::Gateway, recorded, received).await;
    }
}

impl CallerLookup for GatewayPort {
    fn caller(&self, access_key_id: &str, session_token: Option<&str>) -> Caller {
        let session = session_token
            .and_then(|token| self.directory.find_key(access_key_id, Some(token), self.clock.now()).ok())
            .map(|credential| credential.principal);
        match session.or_else(|| self.directory.identity_of_key(access_key_id)) {
            Some(principal) => Caller::Identity(principal.user_identity()),
            None => Caller::UnknownKey { access_key_id: access_key_id.to_owned() },
        }
    }
}
