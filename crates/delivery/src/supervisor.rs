use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_event::Control;
use opentrail_journal::ReadError;
use opentrail_keys::KeyRing;
use opentrail_model::Position;
use opentrail_projection::{Feed, Progress};
use opentrail_runtime::{Clock, CrashPoint, OnError, Random, Shutdown, TaskGroup};
use opentrail_trails::{Buckets, LogGroups, Topics, Trail, TrailChange, TrailKey};

use crate::log_groups::{self, LogFeeds};
use crate::notifier::{self, Notifier};
use crate::put::Putter;
use crate::registry::{Claim, Registry};
use crate::settings::DeliverySettings;
use crate::signing::SigningKeys;
use crate::state::{SUPERVISOR, SUPERVISOR_KEY, WORKERS, WorkerState};
use crate::worker::{self, Worker};

/// What delivery works with.
#[derive(Debug)]
pub struct DeliveryDeps {
    /// Where intents, chains, keys and statuses are kept.
    pub catalog: Arc<dyn Catalog>,
    /// The journal's batches.
    pub feed: Arc<Feed>,
    /// Where files go.
    pub buckets: Arc<dyn Buckets>,
    /// What is told of files.
    pub topics: Arc<dyn Topics>,
    /// Where events go, too.
    pub log_groups: Arc<dyn LogGroups>,
    /// Seals the digest keys.
    pub keys: Arc<KeyRing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Spreads retries.
    pub random: Arc<dyn Random>,
    /// The pace.
    pub settings: DeliverySettings,
    /// Runs the workers; its shutdown makes them deliver what was received and end.
    pub tasks: TaskGroup,
}

/// Why delivery did not start.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The catalog cannot be read.
    #[error("delivery cannot start: {0}")]
    Catalog(#[from] CatalogError),
    /// The journal has lost entries that were delivered, so that new ones would get their positions and be passed over.
    #[error(
        "delivery cannot start: {trail} was delivered through position {cursor}, but the journal ends at {tail}; \
         restore the journal that belongs to this catalog"
    )]
    JournalBehind {
        /// The trail's key in the catalog.
        trail: String,
        /// How far it was delivered.
        cursor: Position,
        /// The journal's last position.
        tail: Position,
    },
}

/// Delivery as a whole. Cheap to clone.
///
/// A supervisor follows the journal for changes of trails and starts a worker for each trail that it first sees; the
/// worker begins at that very entry. Nothing holds the supervisor up, so that it can tell a worker whose bucket fails
/// that the trail has another bucket meanwhile. Each worker has its own place in the journal: a bucket that fails or
/// hangs holds up its own trail only.
#[derive(Clone, Debug)]
pub struct Delivery {
    context: Arc<Context>,
}

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) putter: Putter,
    pub(crate) signing: SigningKeys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) settings: DeliverySettings,
    pub(crate) registry: Registry,
    pub(crate) notifier: Notifier,
    pub(crate) log_feeds: LogFeeds,
    pub(crate) tasks: TaskGroup,
}

/// How often the supervisor's place is saved when no trail changes.
const SAVE_EVERY: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);

impl Delivery {
    /// Resumes every known trail and starts to follow the journal.
    ///
    /// # Errors
    /// [`DeliveryError::Catalog`] when the stored positions cannot be read, [`DeliveryError::JournalBehind`] when the
    /// journal is older than they are.
    pub async fn start(deps: DeliveryDeps) -> Result<Self, DeliveryError> {
        crate::metrics::describe();
        let DeliveryDeps { catalog, feed, buckets, topics, log_groups, keys, clock, random, settings, tasks } = deps;
        let stored = catalog.find::<Position>(SUPERVISOR, SUPERVISOR_KEY).await?;
        let seen = stored.map_or(Position::START, |document| document.value);
        let workers = catalog.all::<WorkerState>(WORKERS, "").await?;
        let tail = feed.journal().tail();
        if let Some(ahead) = workers.iter().find(|document| document.value.cursor > tail) {
            return Err(DeliveryError::JournalBehind { trail: ahead.key.clone(), cursor: ahead.value.cursor, tail });
        }
        let context = Arc::new(Context {
            putter: Putter { buckets, clock: Arc::clone(&clock), timeout: settings.put_timeout },
            signing: SigningKeys::new(Arc::clone(&catalog), keys),
            catalog,
            feed,
            clock,
            random,
            settings,
            registry: Registry::new(),
            notifier: Notifier::new(topics),
            log_feeds: LogFeeds::new(log_groups),
            tasks,
        });
        // Everybody's place is registered before this returns, so that the journal keeps what is needed.
        let progress = context.feed.follow("delivery", seen);
        for document in workers {
            let Some(key) = trail_key(&document.key) else {
                tracing::error!(key = document.key, "a delivery position names no trail and is left alone");
                continue;
            };
            spawn(&context, key, document.value.needs_from(), seen);
        }
        log_groups::resume(&context, seen).await?;
        notifier::resume(&context).await?;
        let supervisor = Supervisor { context: Arc::clone(&context), progress, seen };
        let shutdown = context.tasks.shutdown().clone();
        context.tasks.spawn("delivery-supervisor", OnError::ShutDown, async move {
            supervisor.run(shutdown).await;
            Ok::<(), ReadError>(())
        });
        Ok(Self { context })
    }

    /// Every trail that delivery works for, deleted ones included until their last digest is out.
    ///
    /// A trail that is here and no longer in the catalog, and for which the journal has no deletion (the server ended
    /// between the two), needs that deletion appended once more; one that delivery knows of already changes nothing.
    pub fn trails(&self) -> Vec<TrailKey> {
        self.context.registry.keys()
    }

    /// Delivers everything that is in the journal now, as far as the buckets take it, and returns when that is done.
    /// A trail whose bucket fails is tried once and then left to its retries.
    pub async fn flush(&self) {
        let (number, posts) = self.context.registry.flush();
        for post in posts {
            // The sender lives in the post.
            let _ = post.flushed.subscribe().wait_for(|done| *done >= number).await;
        }
    }
}

/// Reads a worker's document key, `account/region/name`.
pub(crate) fn trail_key(text: &str) -> Option<TrailKey> {
    let mut parts = text.split('/');
    let key = TrailKey {
        account: parts.next()?.parse().ok()?,
        home_region: parts.next()?.parse().ok()?,
        name: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(key)
}

fn spawn(context: &Arc<Context>, key: TrailKey, cursor: Position, seen: Position) {
    let post = context.registry.add(key.clone(), seen);
    let progress = context.feed.follow(format!("delivery/{key}"), cursor);
    let shutdown = context.tasks.shutdown().clone();
    let worker = Worker { key, context: Arc::clone(context), progress, post };
    context.tasks.spawn("delivery-worker", OnError::ShutDown, async move {
        worker::run(worker, shutdown).await;
        Ok::<(), ReadError>(())
    });
}

/// Starts workers and keeps them informed.
struct Supervisor {
    context: Arc<Context>,
    progress: Progress,
    /// Everything up to here is durably taken note of.
    seen: Position,
}

impl Supervisor {
    async fn run(mut self, shutdown: Shutdown) {
        while let Err(error) = self.follow(&shutdown).await {
            if shutdown.has_begun() {
                return;
            }
            tracing::warn!(%error, "following changes of trails failed and will be tried again");
            tokio::select! {
                () = self.context.clock.sleep(RETRY) => {}
                () = shutdown.begun() => return,
            }
        }
    }

    async fn follow(&mut self, shutdown: &Shutdown) -> Result<(), worker::WorkerError> {
        let mut read = self.seen;
        let mut saved = self.context.clock.now();
        loop {
            let batch = tokio::select! {
                biased;
                () = shutdown.begun() => return self.save(read).await,
                batch = self.progress.next(read) => batch,
            };
            let batch = match batch {
                Err(ReadError::Trimmed { after, trimmed }) => {
                    tracing::error!(%after, %trimmed, "changes of trails were trimmed away unseen; going on after them");
                    read = trimmed;
                    continue;
                }
                batch => batch?,
            };
            for control in &batch.controls {
                if let Some(change) = TrailChange::from_bytes(&control.body) {
                    self.note(control, change, shutdown).await?;
                }
            }
            read = batch.through;
            let now = self.context.clock.now();
            if now.since(saved) >= SAVE_EVERY {
                self.save(read).await?;
                saved = now;
            }
        }
    }

    /// Sees to it that a worker has or will have the change, durably, before the next is looked at.
    async fn note(
        &mut self,
        control: &Control,
        change: TrailChange,
        shutdown: &Shutdown,
    ) -> Result<(), worker::WorkerError> {
        let position = control.position;
        let key = change.key().clone();
        let TrailChange::PutTrail(trail) = change else {
            self.save(position).await?;
            self.inform(&key, position, None);
            return Ok(());
        };
        if trail.log_group.is_some() {
            log_groups::begin(&self.context, &key, position).await?;
        }
        let mut ended = self.context.registry.ended();
        loop {
            match self.context.registry.claim(&key, position) {
                Claim::Running => {
                    self.save(position).await?;
                    break;
                }
                Claim::Ending => tokio::select! {
                    _ = ended.changed() => {}
                    () = shutdown.begun() => return Err(worker::WorkerError::Stopping),
                },
                Claim::Absent => {
                    // The worker starts just before the entry and reads it itself. A crash before this commit sees
                    // the entry again; after it, the worker is known and resumes.
                    let cursor = Position(position.0.saturating_sub(1));
                    let catalog = &self.context.catalog;
                    match catalog.find::<WorkerState>(WORKERS, &key.to_string()).await? {
                        None => {
                            let worker = WorkerState::new(cursor).store(&key, 0);
                            CrashPoint::DeliveryWorker.reach();
                            catalog.commit(vec![worker, saved(position)]).await?;
                            CrashPoint::DeliveryWorkerMade.reach();
                            spawn(&self.context, key.clone(), cursor, position);
                        }
                        // The commit went through when it was last tried, only its answer was lost.
                        Some(known) => spawn(&self.context, key.clone(), known.value.needs_from(), position),
                    }
                    self.passed(position);
                    break;
                }
            }
        }
        self.inform(&key, position, Some(trail));
        Ok(())
    }

    fn inform(&self, key: &TrailKey, position: Position, trail: Option<Box<Trail>>) {
        if let Some(post) = self.context.registry.post(key) {
            post.seen.send_modify(|seen| {
                seen.through = position;
                seen.latest = trail.map(|trail| (position, trail));
            });
        }
    }

    async fn save(&mut self, position: Position) -> Result<(), worker::WorkerError> {
        if position > self.seen {
            self.context.catalog.commit(vec![saved(position)]).await?;
            self.passed(position);
        }
        Ok(())
    }

    fn passed(&mut self, position: Position) {
        self.seen = position;
        self.progress.advance(position);
    }
}

fn saved(position: Position) -> Change {
    Change::put(SUPERVISOR, SUPERVISOR_KEY, Expect::Anything, &position)
}
