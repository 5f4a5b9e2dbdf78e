//! How chunks are filled: what was taken of files and folders, in their order, since the last one.

use opentrail_model::{AccountId, Timestamp};

use crate::import::{Intent, Progress, Subject};
use crate::reader::account_of;
use crate::{Cursor, EntryError, Event, Failure, FailureStatus, LogEvent};

/// So many failures go into one chunk at most: its intent has them all.
const MOST_FAILURES: usize = 500;

/// Whose turn it is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// An object that the walk has come to.
    Walked(String),
    /// The walk has come to a folder's end.
    Passed(String),
    /// A folder that the walk could not list.
    Unlisted { folder: String, after: Option<String>, error: EntryError },
    /// A folder of folders that the walk could not list. Nothing follows.
    Lost { folder: String, error: EntryError },
    /// The walk is over.
    Walk,
    /// A file that failed before.
    Again(Failure),
    /// An object of a folder that could not be listed before.
    Found { failure: Failure, key: String },
    /// The end of such a folder.
    Listed(Failure),
    /// A folder that could not be listed before, and cannot be behind `after`.
    UnlistedAgain { failure: Failure, after: Option<String>, error: EntryError },
    /// All that failed before was tried again.
    Retry,
}

/// What has been taken since the last chunk.
#[derive(Debug)]
pub(crate) struct Filling {
    /// Where the import is with it.
    pub(crate) progress: Progress,
    pub(crate) events: Vec<Event>,
    pub(crate) bytes: usize,
    pub(crate) failures: Vec<Failure>,
    /// A folder that is tried again, in the middle of it.
    folder: Option<Failure>,
    /// When the first was taken.
    pub(crate) since: Option<Timestamp>,
    owner: AccountId,
}

/// A chunk that is full.
#[derive(Clone, Debug)]
pub(crate) struct Full {
    pub(crate) intent: Intent,
    pub(crate) events: Vec<Event>,
    pub(crate) taken: Timestamp,
}

impl Filling {
    /// Nothing yet. Events that do not say whose they are, and lie in no account's folder, are the `owner`'s.
    pub(crate) fn new(progress: Progress, owner: AccountId) -> Self {
        let (events, failures) = (Vec::new(), Vec::new());
        Self { progress, events, bytes: 0, failures, folder: None, since: None, owner }
    }

    /// Takes what has its turn. `read` is what the file has.
    pub(crate) fn take(&mut self, turn: Turn, read: Result<Vec<LogEvent>, EntryError>, now: Timestamp) {
        self.since.get_or_insert(now);
        let statistics = &mut self.progress.statistics;
        match turn {
            Turn::Walked(key) => {
                match read {
                    Ok(events) => self.add(&key, events),
                    Err(error) => self.fail(Failure::of(&key, Subject::File, error, now)),
                }
                self.progress.cursor = Some(Cursor::Key(key));
            }
            Turn::Passed(folder) => {
                statistics.prefixes_completed += 1;
                self.progress.passed += 1;
                self.progress.cursor = Some(Cursor::Folder(folder));
            }
            Turn::Unlisted { folder, after, error } => {
                self.fail(Failure::of(&folder, Subject::Folder { after }, error, now));
                self.progress.passed += 1;
                self.progress.cursor = Some(Cursor::Folder(folder));
            }
            Turn::Walk => self.progress.walked = true,
            Turn::Again(failure) => {
                self.progress.retried = Some(failure.location.clone());
                match read {
                    Ok(events) => {
                        // Of the import itself nothing is read.
                        if failure.subject == Subject::File {
                            self.add(&failure.location, events);
                        }
                        self.succeed(failure, now);
                    }
                    Err(error) => self.failures.push(Failure { error, updated: now, ..failure }),
                }
            }
            Turn::Found { failure, key } => {
                match read {
                    Ok(events) => self.add(&key, events),
                    Err(error) => self.fail(Failure::of(&key, Subject::File, error, now)),
                }
                self.folder = Some(Failure { subject: Subject::Folder { after: Some(key) }, ..failure });
            }
            Turn::Listed(failure) => {
                statistics.prefixes_completed += 1;
                self.folder = None;
                self.progress.retried = Some(failure.location.clone());
                self.succeed(failure, now);
            }
            Turn::UnlistedAgain { failure, after, error } => {
                self.folder = None;
                self.progress.retried = Some(failure.location.clone());
                self.failures.push(Failure { subject: Subject::Folder { after }, error, updated: now, ..failure });
            }
            Turn::Retry => self.progress.retried = None,
            // Where the walk goes on is where it is.
            Turn::Lost { .. } => {}
        }
        self.progress.statistics.prefixes_found = self.progress.statistics.prefixes_found.max(self.progress.passed);
    }

    fn add(&mut self, key: &str, events: Vec<LogEvent>) {
        self.progress.statistics.files_completed += 1;
        self.progress.statistics.events_completed += events.len() as u64;
        let of_key = account_of(key).unwrap_or(self.owner);
        for LogEvent { raw, account, .. } in events {
            self.bytes += raw.len();
            self.events.push(Event { account: account.unwrap_or(of_key), raw });
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.progress.statistics.failed_entries += 1;
        self.failures.push(failure);
    }

    fn succeed(&mut self, failure: Failure, updated: Timestamp) {
        let failed = &mut self.progress.statistics.failed_entries;
        *failed = failed.saturating_sub(1);
        self.failures.push(Failure { status: FailureStatus::Succeeded, updated, ..failure });
    }

    /// Whether there is enough for a chunk.
    pub(crate) fn is_full(&self, chunk_bytes: usize) -> bool {
        self.bytes >= chunk_bytes || self.failures.len() >= MOST_FAILURES
    }

    /// All of it as a chunk; `None` when nothing was taken.
    pub(crate) fn cut(&mut self, now: Timestamp) -> Option<Full> {
        self.since.take()?;
        let events = std::mem::take(&mut self.events);
        let mut failures = std::mem::take(&mut self.failures);
        failures.extend(self.folder.clone());
        self.bytes = 0;
        if !events.is_empty() {
            self.progress.chunk += 1;
        }
        Some(Full { intent: Intent { progress: self.progress.clone(), failures }, events, taken: now })
    }
}
