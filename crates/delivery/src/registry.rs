//! Which workers run, and what the supervisor tells them.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentrail_model::Position;
use opentrail_trails::{Trail, TrailKey};
use parking_lot::Mutex;
use tokio::sync::watch;

/// The workers of the process.
#[derive(Debug)]
pub(crate) struct Registry {
    entries: Mutex<BTreeMap<TrailKey, Entry>>,
    /// Changes whenever a worker has ended.
    ended: watch::Sender<u64>,
    /// Changes whenever everything is to be delivered now.
    flush: watch::Sender<u64>,
}

#[derive(Debug)]
struct Entry {
    post: Arc<Post>,
    /// The worker may not end before it has read up to here: a change before may bring the trail back.
    claimed: Position,
    ending: bool,
}

/// What one worker and the rest of the process tell each other.
#[derive(Debug)]
pub(crate) struct Post {
    /// What the supervisor, which nothing holds up, has seen of the trail.
    pub(crate) seen: watch::Sender<Seen>,
    /// The last [`Registry::flush`] that the worker has done.
    pub(crate) flushed: watch::Sender<u64>,
}

/// The trail as the supervisor knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Durably seen up to here.
    pub(crate) through: Position,
    /// The latest settings and the position from which they hold; `None` when deleted or not seen since the start.
    pub(crate) latest: Option<(Position, Box<Trail>)>,
}

/// What [`Registry::claim`] found.
#[derive(Debug)]
pub(crate) enum Claim {
    /// A worker runs and will see the change itself.
    Running,
    /// A worker is about to end: wait for it.
    Ending,
    /// There is none.
    Absent,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::default(), ended: watch::Sender::new(0), flush: watch::Sender::new(0) }
    }

    /// Adds a worker that is about to start.
    pub(crate) fn add(&self, key: TrailKey, through: Position) -> Arc<Post> {
        let seen = Seen { through, latest: None };
        let post = Arc::new(Post { seen: watch::Sender::new(seen), flushed: watch::Sender::new(*self.flush.borrow()) });
        let entry = Entry { post: Arc::clone(&post), claimed: through, ending: false };
        self.entries.lock().insert(key, entry);
        post
    }

    /// Makes sure that a running worker does not end before it has seen the change at `position`.
    pub(crate) fn claim(&self, key: &TrailKey, position: Position) -> Claim {
        match self.entries.lock().get_mut(key) {
            None => Claim::Absent,
            Some(entry) if entry.ending => Claim::Ending,
            Some(entry) => {
                entry.claimed = position;
                Claim::Running
            }
        }
    }

    /// The trails that have a worker.
    pub(crate) fn keys(&self) -> Vec<TrailKey> {
        self.entries.lock().keys().cloned().collect()
    }

    /// The worker's post, if there is one.
    pub(crate) fn post(&self, key: &TrailKey) -> Option<Arc<Post>> {
        self.entries.lock().get(key).map(|entry| Arc::clone(&entry.post))
    }

    /// Whether the worker that has read up to `read` of a trail that was deleted at `deleted` may remove its documents:
    /// only when the supervisor has durably passed the deletion (so that it never starts the old trail anew) and has
    /// seen no trail of the name that the worker has not.
    pub(crate) fn begin_end(&self, key: &TrailKey, deleted: Position, read: Position) -> bool {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(key) else { return false };
        let may = entry.claimed <= read && entry.post.seen.borrow().through >= deleted;
        entry.ending |= may;
        may
    }

    /// Removes a worker whose documents are gone.
    pub(crate) fn end(&self, key: &TrailKey) {
        self.entries.lock().remove(key);
        self.ended.send_modify(|count| *count += 1);
    }

    pub(crate) fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Asks all workers to deliver everything now; returns their posts and the number to wait for.
    pub(crate) fn flush(&self) -> (u64, Vec<Arc<Post>>) {
        let entries = self.entries.lock();
        let posts = entries.values().map(|entry| Arc::clone(&entry.post)).collect();
        self.flush.send_modify(|number| *number += 1);
        (*self.flush.borrow(), posts)
    }

    pub(crate) fn flushes(&self) -> watch::Receiver<u64> {
        self.flush.subscribe()
    }
}
