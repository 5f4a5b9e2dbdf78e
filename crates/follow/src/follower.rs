//! The life of one source: look, take, remember how far everything is taken, wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::CatalogError;
use opentrail_imports::{Patience, Reader, Window};
use opentrail_model::Timestamp;
use opentrail_runtime::Shutdown;
use tracing::{error, info};

use crate::documents::{BeginError, begin};
use crate::follow::{Followed, Inner, Live, Phase};
use crate::key::Folder;
use crate::listing::{Bucket, Problem};
use crate::taking::{TakeError, Taking};
use crate::{OpenError, Queue, QueueError, Source};

/// A source that fails is looked at again after its interval, doubled each time, but after this long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// How often a queue is asked that has nothing.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Follows one source.
pub(crate) struct Follower {
    pub(crate) inner: Arc<Inner>,
    pub(crate) source: Source,
    /// What tells of new files, if anything does.
    queue: Option<Arc<dyn Queue>>,
    pub(crate) live: Arc<Live>,
    pub(crate) start: Timestamp,
    /// Whether the start is known, and all that failed before was tried again.
    pub(crate) begun: bool,
    /// The folders that are known.
    pub(crate) folders: BTreeMap<Folder, Place>,
    /// When it was swept last.
    swept: Option<Timestamp>,
    failed_polls: u32,
}

/// How far a folder is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Everything that was put before is taken.
    pub(crate) passed: Timestamp,
    /// Whether all of it was listed since the last sweep began: until then only the newest files are not enough.
    pub(crate) listed: bool,
}

/// Why a look at a source ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{folder} cannot be listed: {reason}")]
    List { folder: String, reason: String },
    #[error(transparent)]
    Take(#[from] TakeError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("{0}")]
    Begin(String),
}

impl From<Problem> for LookError {
    fn from(problem: Problem) -> Self {
        Self::List { folder: problem.folder, reason: problem.error.to_string() }
    }
}

impl Follower {
    pub(crate) fn new(inner: Arc<Inner>, followed: Followed) -> Self {
        let Followed { source, queue, live } = followed;
        let (start, folders) = (Timestamp::EPOCH, BTreeMap::new());
        Self { inner, source, queue, live, start, begun: false, folders, swept: None, failed_polls: 0 }
    }

    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            () = self.follow(&shutdown) => {}
            // Whatever is under way may be dropped: what is being appended is appended to its end.
            () = shutdown.begun() => {}
        }
        info!(source = self.source.name, "no longer followed");
    }

    /// Waits until what was taken before the start is known as taken.
    pub(crate) async fn caught_up(&self) {
        self.inner.caught_up().await;
    }

    async fn follow(&mut self, shutdown: &Shutdown) {
        self.caught_up().await;
        match self.queue.clone() {
            None => {
                while !shutdown.has_begun() {
                    let looked = self.look().await;
                    let pause = self.note(looked.as_ref().err());
                    self.inner.clock().sleep(pause).await;
                }
            }
            Some(queue) => self.follow_queue(&*queue, shutdown).await,
        }
    }

    /// With a queue it is looked for what that has missed only.
    async fn follow_queue(&mut self, queue: &dyn Queue, shutdown: &Shutdown) {
        let clock = Arc::clone(self.inner.clock());
        let (mut next, mut looks_well) = (clock.now(), true);
        while !shutdown.has_begun() {
            if clock.now() >= next {
                let looked = self.look().await;
                looks_well = looked.is_ok();
                let pause = self.note(looked.as_ref().err());
                next = clock.now() + if looks_well { self.source.sweep } else { pause };
            }
            // A bucket that may not be listed can be told of all the same.
            let began = clock.now();
            let pause = match self.listen(queue).await {
                Ok(heard) => {
                    if looks_well {
                        self.note(None);
                    }
                    // A queue that does not wait for messages is not asked all the time.
                    if heard > 0 || clock.now().since(began) >= AT_MOST_EVERY { Duration::ZERO } else { AT_MOST_EVERY }
                }
                Err(error) => self.note(Some(&error)),
            };
            clock.sleep(pause).await;
        }
    }

    /// Says how the last look went, and how long to wait.
    pub(crate) fn note(&mut self, error: Option<&LookError>) -> Duration {
        let (now, name) = (self.inner.clock().now(), self.source.name.clone());
        let Some(error) = error else {
            if std::mem::take(&mut self.failed_polls) > 0 {
                info!(source = name, bucket = self.source.bucket, "the bucket is followed again");
            }
            self.live.set(Phase::Following, now);
            return self.source.poll;
        };
        metrics::counter!("opentrail_follow_failed_polls_total", "source" => name.clone()).increment(1);
        let refused = matches!(error, LookError::Open(OpenError::Loop { .. }) | LookError::Begin(_));
        let phase = if refused { Phase::Refused } else { Phase::Failing };
        if self.live.fail(phase, error.to_string(), now) {
            error!(source = name, bucket = self.source.bucket, %error, "the bucket is not followed; it is tried again");
        }
        self.failed_polls = self.failed_polls.saturating_add(1);
        (self.source.poll * 2_u32.saturating_pow(self.failed_polls.min(16))).min(LONGEST_PAUSE).max(self.source.poll)
    }

    /// One look at the bucket: what failed before, then what is new.
    pub(crate) async fn look(&mut self) -> Result<(), LookError> {
        let inner = Arc::clone(&self.inner);
        let began = inner.clock().now();
        self.begin(began).await?;
        let source = self.source.clone();
        let (bucket, mut taking) = equip(&inner, &source).await?;
        self.try_again(&bucket, &mut taking, began).await?;
        let sweeps = self.swept.is_none_or(|swept| began.since(swept) >= source.sweep);
        let mut problem = None;
        if sweeps {
            self.folders.values_mut().for_each(|place| place.listed = false);
            problem = self.survey(&bucket).await?;
        }
        let mut listed = Vec::new();
        let missed = self.take_new(&bucket, &mut taking, began, &mut listed).await?;
        for folder in &listed {
            self.folders.entry(folder.clone()).and_modify(|place| place.listed = true);
        }
        if sweeps {
            let before = (began - source.look_back).floor_secs();
            for folder in listed {
                self.pass(&folder, before).await?;
            }
            self.swept = Some(began);
        }
        self.live.looked(self.folders.len(), began);
        problem = problem.or(missed);
        problem.map_or(Ok(()), |problem| Err(problem.into()))
    }

    /// Finds out where the source began, once.
    pub(crate) async fn begin(&mut self, now: Timestamp) -> Result<(), LookError> {
        if self.begun {
            return Ok(());
        }
        let begun = begin(self.inner.catalog(), &self.source, now).await;
        self.start = begun
            .map_err(|error| match error {
                BeginError::Catalog(error) => LookError::Catalog(error),
                elsewhere @ BeginError::Elsewhere { .. } => LookError::Begin(elsewhere.to_string()),
            })?
            .start;
        Ok(())
    }
}

/// What a look works with.
pub(crate) async fn equip<'a>(inner: &'a Inner, source: &'a Source) -> Result<(Bucket<'a>, Taking<'a>), LookError> {
    let (options, clock) = (inner.options(), inner.clock());
    let store = inner.surroundings().open(source).await?;
    let patience = Patience { clock: Arc::clone(clock), limit: options.patience };
    let (window, decoding) = (Window::default(), Arc::clone(inner.decoding()));
    let reader =
        Reader::new(Arc::clone(&store), window, patience.clone(), options.window_bytes, options.file_bytes, decoding);
    let bucket = Bucket { source, store, catalog: inner.catalog(), patience };
    let taking = Taking {
        source,
        catalog: inner.catalog(),
        ingest: inner.ingest(),
        around: inner.surroundings(),
        reader,
        clock,
        chunk_bytes: options.chunk_bytes,
        folded: inner.folded(),
    };
    Ok((bucket, taking))
}
