//! The service: what everything else of this crate hangs on, and what other parts of the process ask it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use opentrail_identity::{Context, Directory, Policy, PolicyUse};
use opentrail_model::{AccountId, Region};
use opentrail_runtime::{Clock, Random, Shutdown, TaskGroup};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use crate::chunk::{Events, LogEvent};
use crate::error::{LogsError, invalid, no_group};
use crate::follow::{Chunk, Follower, Ring};
use crate::incoming::Incoming;
use crate::insights::Queries;
use crate::metric_filters::check_transformation;
use crate::place::{GroupPlace, is_group_name, is_stream_name};
use crate::store::{MetricFilter, MetricTransformation, Store};
use crate::writer::{Committed, Encoded, IfAbsent, MOST_WAITING, Part, Pending, Writer};

/// The most bytes of a message: an event has 1 MB with its 26 bytes beyond the message. (CloudWatch Logs User Guide,
/// "CloudWatch Logs quotas", event size.)
pub const MOST_MESSAGE_BYTES: usize = (1 << 20) - crate::chunk::EVENT_OVERHEAD;

/// Beyond this many bytes, reading and compressing are not done between other requests.
pub(crate) const INLINE_BYTES: usize = 32 << 10;

/// CloudWatch Logs. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) ring: Mutex<Ring>,
    /// The sequence number of the last chunk in the ring.
    pub(crate) last: watch::Sender<u64>,
    /// Grows with every change of a metric filter.
    pub(crate) filters: watch::Sender<u64>,
    inbox: mpsc::Sender<Pending>,
    /// Who follows and must miss nothing, and how far they are.
    followers: Mutex<BTreeMap<String, u64>>,
    /// Streams with chunks that may be merged, by id; `None` until the file was looked through.
    pub(crate) fragmented: Mutex<Option<BTreeSet<i64>>>,
    /// Live tails by account and Region.
    pub(crate) tails: Mutex<HashMap<(AccountId, Region), usize>>,
    pub(crate) queries: Queries,
    /// Begins with the writer's: answers that go on end then.
    pub(crate) closing: Shutdown,
    /// Queries that run.
    pub(crate) tasks: TaskGroup,
}

/// Log events that a service of this process delivers to one stream.
#[derive(Clone, Debug)]
pub struct ServiceBatch {
    /// The group, which must be there.
    pub group: GroupPlace,
    /// The stream, which is made when it is not there.
    pub stream: String,
    /// The events, of any age.
    pub events: Vec<LogEvent>,
}

/// What became of what a service delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many events are durable now.
    pub events: usize,
    /// How many were left out since their message has more than [`MOST_MESSAGE_BYTES`], or none.
    pub refused: usize,
    /// Groups that are not there; their events were left out.
    pub missing: Vec<GroupPlace>,
    /// The position was reached before, so that nothing was written.
    pub repeated: bool,
}

impl Logs {
    /// Opens the file at `path`, creating it when absent. Nothing is written before the [`Writer`] runs.
    ///
    /// # Errors
    /// When the file cannot be opened or is none of ours.
    pub async fn open(
        path: &Path,
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<(Self, Writer), LogsError> {
        let store = Store::open(path).await?;
        let sequence = store.last_sequence().await?;
        let closing = Shutdown::new();
        let (inbox, outbox) = mpsc::channel(MOST_WAITING);
        let shared = Arc::new(Shared {
            store,
            directory,
            clock,
            random,
            ring: Mutex::new(Ring::new(sequence)),
            last: watch::Sender::new(sequence),
            filters: watch::Sender::new(0),
            inbox,
            followers: Mutex::default(),
            fragmented: Mutex::default(),
            tails: Mutex::default(),
            queries: Queries::default(),
            tasks: TaskGroup::new(closing.clone()),
            closing,
        });
        Ok((Self { shared: Arc::clone(&shared) }, Writer { shared, inbox: outbox, sequence }))
    }

    /// Checkpoints the write-ahead log and closes the file.
    pub async fn close(&self) {
        self.shared.store.close().await;
    }

    /// Makes a group that is not there yet, for a service of this process; `false` when it is.
    ///
    /// # Errors
    /// When its name can be no group's, or the file fails.
    pub async fn create_group(&self, place: &GroupPlace) -> Result<bool, LogsError> {
        if !is_group_name(&place.name) {
            return Err(invalid(format!("{:?} cannot be the name of a log group.", place.name)));
        }
        self.shared.store.create_group(place, self.now(), false, &BTreeMap::new()).await
    }

    /// Puts a metric filter that counts 1 for each match, for a service of this process.
    ///
    /// # Errors
    /// When the group is not there, the pattern cannot be read, or the file fails.
    pub async fn put_filter(
        &self,
        place: &GroupPlace,
        name: &str,
        pattern: &str,
        namespace: &str,
        metric: &str,
    ) -> Result<(), LogsError> {
        let group = self.shared.store.find_group(place).await?.ok_or_else(no_group)?;
        let transformation = MetricTransformation {
            namespace: namespace.to_owned(),
            metric: metric.to_owned(),
            value: "1".to_owned(),
            default: None,
            dimensions: BTreeMap::new(),
            unit: None,
        };
        check_transformation(pattern, &transformation)?;
        let (name, pattern) = (name.to_owned(), pattern.to_owned());
        let filter = MetricFilter { name, pattern, created: self.now(), transformation };
        self.shared.store.put_metric_filter(group.id, &filter, |_| Ok(())).await?;
        self.shared.filters.send_modify(|version| *version += 1);
        Ok(())
    }

    /// Whether the group is there.
    ///
    /// # Errors
    /// When the file fails.
    pub async fn has_group(&self, place: &GroupPlace) -> Result<bool, LogsError> {
        Ok(self.shared.store.find_group(place).await?.is_some())
    }

    /// How far `source` has come, by its last [`Self::append`].
    ///
    /// # Errors
    /// When the file fails.
    pub async fn position(&self, source: &str) -> Result<Option<u64>, LogsError> {
        self.shared.store.position(source).await
    }

    /// Delivers events of `source` and moves it to `position`, both in one transaction. A position that was reached before
    /// changes nothing, so that a repetition after a crash is safe. Events are taken whatever their age; retention
    /// removes them like others.
    ///
    /// # Errors
    /// When nothing was written, or that is not known: repeat it.
    ///
    /// # Cancellation
    /// Leaves the outcome unknown.
    pub async fn append(&self, source: &str, position: u64, batches: Vec<ServiceBatch>) -> Result<Appended, LogsError> {
        self.write(Some((source.to_owned(), position)), batches).await
    }

    /// Delivers events whose source keeps no position: as [`Self::append`], but that a repetition puts them twice.
    ///
    /// # Errors
    /// When nothing was written, or that is not known.
    ///
    /// # Cancellation
    /// Leaves the outcome unknown.
    pub async fn deliver(&self, batches: Vec<ServiceBatch>) -> Result<Appended, LogsError> {
        self.write(None, batches).await
    }

    async fn write(&self, source: Option<(String, u64)>, batches: Vec<ServiceBatch>) -> Result<Appended, LogsError> {
        if let Some(batch) = batches.iter().find(|batch| !is_stream_name(&batch.stream)) {
            return Err(invalid(format!("{:?} cannot be the name of a log stream.", batch.stream)));
        }
        let compress = move || {
            let (mut parts, mut refused) = (Vec::with_capacity(batches.len()), 0);
            for ServiceBatch { group, stream, events } in batches {
                let fits = |event: &&LogEvent| (1..=MOST_MESSAGE_BYTES).contains(&event.message.len());
                let fitting = events.iter().filter(fits).count();
                refused += events.len() - fitting;
                let all = events.iter().filter(fits).map(|event| (event.timestamp, event.message.as_str()));
                let chunks = encode(Events::chunks(all))?;
                parts.push(Part { group, stream, if_absent: IfAbsent::Create, chunks });
            }
            Ok((parts, refused))
        };
        let (parts, refused) = aside(compress).await?;
        let committed = self.commit(parts, source).await?;
        let Committed { events, missing, repeated } = committed;
        Ok(Appended { events, refused, missing, repeated })
    }

    /// Puts events into a stream that is there.
    pub(crate) async fn put(&self, group: GroupPlace, stream: String, events: Events) -> Result<(), LogsError> {
        let bytes = events.counted_bytes();
        let compress = move || encode(Events::chunks(events.iter()));
        let chunks = if bytes > INLINE_BYTES { aside(compress).await? } else { compress()? };
        self.commit(vec![Part { group, stream, if_absent: IfAbsent::Refuse, chunks }], None).await?;
        Ok(())
    }

    async fn commit(&self, parts: Vec<Part>, source: Option<(String, u64)>) -> Result<Committed, LogsError> {
        let stopping = || LogsError::Unavailable("the server is stopping".to_owned());
        let incoming: Vec<Incoming> = parts.iter().map(Incoming::of).collect();
        let (done, outcome) = oneshot::channel();
        self.shared.inbox.send(Pending { parts, source, done }).await.map_err(|_| stopping())?;
        let committed = outcome.await.map_err(|_| stopping())??;
        incoming.iter().for_each(|incoming| incoming.count(&committed));
        Ok(committed)
    }

    /// Whether the resource policies of the group's account let the service `principal` (e.g. `delivery.logs.amazonaws.com`)
    /// do `action` (`logs:CreateLogStream`, `logs:PutLogEvents`) with a stream of the group. (API Reference, PutResourcePolicy.)
    ///
    /// # Errors
    /// When the file fails.
    pub async fn service_may(
        &self,
        principal: &str,
        action: &str,
        group: &GroupPlace,
        stream: &str,
        conditions: &Context,
    ) -> Result<bool, LogsError> {
        let policies = self.shared.store.policies(group.account, &group.region).await?;
        let arn = group.stream_arn(stream);
        // A policy that cannot be read allows nothing.
        let policies = policies.iter().filter_map(|row| Policy::parse(&row.document, PolicyUse::Resource).ok());
        Ok(policies.into_iter().any(|policy| policy.allows_service(principal, action, &arn, conditions)))
    }

    /// Follows what is committed after the sequence number `after`.
    pub fn follow(&self, after: u64) -> Follower {
        Follower::new(Arc::clone(&self.shared), after)
    }

    /// The sequence number of the last commit.
    pub fn last_sequence(&self) -> u64 {
        *self.shared.last.borrow()
    }

    /// Notes that the follower `name` has come to `position` and will not ask for what is before. Until then, chunks are
    /// not merged.
    pub fn hold(&self, name: &str, position: u64) {
        self.shared.followers.lock().insert(name.to_owned(), position);
    }

    pub(crate) fn now(&self) -> i64 {
        self.shared.clock.now().as_millis()
    }
}

impl Shared {
    /// Shows committed chunks to followers.
    pub(crate) fn publish(&self, chunks: Vec<Arc<Chunk>>) {
        let Some(last) = chunks.last().map(|chunk| chunk.sequence) else { return };
        if let Some(fragmented) = self.fragmented.lock().as_mut() {
            fragmented.extend(chunks.iter().map(|chunk| chunk.stream_id));
        }
        let mut ring = self.ring.lock();
        chunks.into_iter().for_each(|chunk| ring.push(chunk));
        drop(ring);
        self.last.send_replace(last);
    }

    /// Everybody who must miss nothing has come at least this far.
    pub(crate) fn passed_by_all(&self) -> u64 {
        self.followers.lock().values().copied().min().unwrap_or(u64::MAX)
    }
}

fn encode(chunks: Vec<Events>) -> Result<Vec<Encoded>, LogsError> {
    let one = |events: Events| {
        let (packed, raw) = events.encode()?;
        Ok(Encoded { events: Arc::new(events), packed, raw })
    };
    chunks.into_iter().map(one).collect()
}

/// Does work that takes a while on a thread where nobody waits.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogsError> + Send + 'static,
) -> Result<T, LogsError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(LogsError::Unavailable(format!("work was given up: {error}"))),
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("last", &*self.last.borrow()).finish_non_exhaustive()
    }
}
