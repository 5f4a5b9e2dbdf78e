//! The objects that an import reads, in the order of their keys.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use opentrail_runtime::Clock;
use serde::{Deserialize, Serialize};

use crate::entry::Patience;
use crate::folders::{Folders, Place, is_above_logs};
use crate::window::LOGS;
use crate::{EntryError, Window};

/// So many folders are listed ahead of the one that is read.
const AHEAD: usize = 8;
/// Keys listed at once: what S3 answers at once.
const PAGE: usize = 1000;

/// An object to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its stored size.
    pub size: u64,
}

/// What a walk has come to. Objects come in the order of their keys, whole folders of them between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next object.
    Object(Object),
    /// All objects of this folder have come.
    Done(String),
    /// This folder cannot be listed, behind the key `after` if there is one. The walk goes on behind the folder.
    Failed {
        /// The folder.
        folder: String,
        /// The last of its keys that came.
        after: Option<String>,
        /// Why.
        error: EntryError,
    },
    /// A folder of folders cannot be listed, so that what follows is unknown. The last step.
    Lost {
        /// The folder.
        folder: String,
        /// Why.
        error: EntryError,
    },
}

/// How far a walk has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// All up to this key.
    Key(String),
    /// All up to the end of this folder.
    Folder(String),
}

impl Cursor {
    pub(crate) fn passes_key(&self, key: &str) -> bool {
        match self {
            Self::Key(last) => key <= last.as_str(),
            Self::Folder(last) => key < last.as_str() || key.starts_with(last.as_str()),
        }
    }

    /// Whether nothing in the folder, whose name ends with `/`, is left.
    pub(crate) fn passes_folder(&self, folder: &str) -> bool {
        match self {
            Self::Key(last) => folder < last.as_str() && !last.starts_with(folder),
            Self::Folder(last) => {
                folder.starts_with(last.as_str()) || (folder < last.as_str() && !last.starts_with(folder))
            }
        }
    }
}

/// Below a folder, what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// What lies in folders called `CloudTrail`, where trails put log files.
    Logs,
    /// Everything: somebody keeps log files elsewhere.
    Everything,
}

/// Finds the objects of a bucket that are to be read.
#[derive(Clone, Debug)]
pub struct Walk {
    store: Arc<dyn ObjectStore>,
    window: Window,
    patience: Patience,
}

impl Walk {
    /// A walk through what `store` has for `window`. A bucket that fails is asked again for as long as `patience`.
    pub fn new(store: Arc<dyn ObjectStore>, window: Window, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self { store, window, patience: Patience { clock, limit: patience } }
    }

    /// What is to be read below `root`, which is empty or ends with `/`. Only of a folder that is neither in nor above one
    /// called `CloudTrail` that is everything. (User Guide, "Copying trail events to an event data store", which asks to
    /// give such a folder; how CloudTrail knows one is a choice.)
    ///
    /// # Errors
    /// A folder that cannot be listed, and why.
    pub async fn scope(&self, root: &str) -> Result<Scope, (String, EntryError)> {
        if root.is_empty() || root.split('/').any(|part| part == LOGS) || is_above_logs(root) {
            return Ok(Scope::Logs);
        }
        let mut folders = self.folders(root, Window::default(), None);
        Ok(if folders.next().await?.is_some() { Scope::Logs } else { Scope::Everything })
    }

    fn folders(&self, root: &str, window: Window, after: Option<Cursor>) -> Folders {
        Folders::of_logs(Arc::clone(&self.store), self.patience.clone(), root, window, after)
    }

    /// All below `root`, behind `after`. Folders are counted in `found` when it is known that they are to be read.
    pub fn steps(
        &self,
        root: &str,
        scope: Scope,
        after: Option<Cursor>,
        found: Arc<AtomicU64>,
    ) -> BoxStream<'static, Step> {
        if scope == Scope::Everything {
            if after.as_ref().is_some_and(|after| after.passes_folder(root)) {
                return stream::empty().boxed();
            }
            found.fetch_add(1, Ordering::Relaxed);
            return self.folder(root, after);
        }
        let places = stream::unfold(Some(self.folders(root, self.window.clone(), after.clone())), |folders| async {
            let mut folders = folders?;
            match folders.next().await {
                Ok(Some(place)) => Some((Ok(place), Some(folders))),
                Ok(None) => None,
                Err(lost) => Some((Err(lost), None)),
            }
        });
        let this = self.clone();
        let listed = places.map(move |place| {
            if matches!(place, Ok(Place::Folder(_))) {
                found.fetch_add(1, Ordering::Relaxed);
            }
            let (this, after) = (this.clone(), after.clone());
            async move {
                match place {
                    Ok(Place::Folder(folder)) => this.begun(folder, after).await,
                    Ok(Place::Files(files)) => stream::iter(this.wanted(files).into_iter().map(Step::Object)).boxed(),
                    Err((folder, error)) => stream::iter([Step::Lost { folder, error }]).boxed(),
                }
            }
        });
        listed.buffered(AHEAD).flatten().boxed()
    }

    /// All below `folder`, behind `after`.
    pub fn folder(&self, folder: &str, after: Option<Cursor>) -> BoxStream<'static, Step> {
        Listing::new(self.clone(), folder.to_owned(), after).steps().boxed()
    }

    /// The same with the first page listed already.
    async fn begun(&self, folder: String, after: Option<Cursor>) -> BoxStream<'static, Step> {
        let mut listing = Listing::new(self.clone(), folder, after);
        listing.page().await;
        listing.steps().boxed()
    }

    fn wanted(&self, mut objects: Vec<Object>) -> Vec<Object> {
        objects.retain(|object| self.window.may_hold_file(&object.key));
        objects
    }
}

/// A folder while it is listed, page by page.
struct Listing {
    walk: Walk,
    folder: String,
    /// The last key that was listed.
    after: Option<String>,
    steps: VecDeque<Step>,
    ended: bool,
}

impl Listing {
    fn new(walk: Walk, folder: String, after: Option<Cursor>) -> Self {
        let after = match after {
            Some(Cursor::Key(key)) if key.starts_with(&folder) => Some(key),
            _ => None,
        };
        Self { walk, folder, after, steps: VecDeque::new(), ended: false }
    }

    fn steps(self) -> impl Stream<Item = Step> + Send {
        stream::unfold(self, |mut listing| async {
            while listing.steps.is_empty() && !listing.ended {
                listing.page().await;
            }
            listing.steps.pop_front().map(|step| (step, listing))
        })
    }

    /// Lists some more.
    async fn page(&mut self) {
        let list = || async {
            let folder = Path::parse(self.folder.trim_end_matches('/'))?;
            let folder = (!self.folder.is_empty()).then_some(&folder);
            let listed = match &self.after {
                Some(after) => self.walk.store.list_with_offset(folder, &Path::parse(after)?),
                None => self.walk.store.list(folder),
            };
            listed.take(PAGE).try_collect::<Vec<_>>().await
        };
        match self.walk.patience.ask(list).await {
            Ok(listed) => {
                self.ended = listed.len() < PAGE;
                let objects = listed.into_iter();
                let mut objects: Vec<Object> =
                    objects.map(|meta| Object { key: meta.location.to_string(), size: meta.size }).collect();
                objects.sort_by(|a, b| a.key.cmp(&b.key));
                if let Some(last) = objects.last() {
                    self.after = Some(last.key.clone());
                }
                self.steps.extend(self.walk.wanted(objects).into_iter().map(Step::Object));
                if self.ended {
                    self.steps.push_back(Step::Done(self.folder.clone()));
                }
            }
            Err(error) => {
                let (folder, after) = (self.folder.clone(), self.after.clone());
                self.steps.push_back(Step::Failed { folder, after, error });
                self.ended = true;
            }
        }
    }
}
