//! What the catalog knows of sources. (`fsck` has its own description of these.)

use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_imports::EntryError;
use opentrail_model::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Counts, Source};

/// By the source's name: where it began.
pub(crate) const SOURCES: &str = "follow-sources";
/// By the source's name: what was taken in all.
pub(crate) const TOTALS: &str = "follow-totals";
/// By the source's name and the folder's: up to when everything in it is taken.
pub(crate) const FOLDERS: &str = "follow-folders";
/// By the source's name and the key: a file that was taken.
pub(crate) const FILES: &str = "follow-files";
/// By the source's name and the key: a file that cannot be read.
pub(crate) const FAILURES: &str = "follow-failures";
/// The position up to which marks in the journal are documents.
pub(crate) const FOLD: &str = "follow-fold";
pub(crate) const FOLD_KEY: &str = "position";

/// Attempts before a file is set aside.
const ATTEMPTS: u32 = 6;
/// The pause after the first failed attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// How often a file that was set aside is tried again.
const SLOW: Duration = Duration::from_secs(6 * 60 * 60);

/// Where a source began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) start: Timestamp,
}

/// What was taken of a source in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    /// The latest minute in a name.
    pub(crate) newest: Option<Timestamp>,
}

/// A folder: files in it that were put before this time are taken, or set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub(crate) before: Timestamp,
}

/// A file of which records were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    pub(crate) modified: Timestamp,
    /// When its last records so far were taken.
    pub(crate) taken: Timestamp,
    pub(crate) records: u64,
    pub(crate) done: bool,
}

impl FileState {
    /// Whether it need not be remembered in a folder that is passed so far: [`Passed`] tells the same.
    pub(crate) fn is_passed(&self, before: Timestamp) -> bool {
        self.done && self.modified.max(self.taken) < before
    }
}

/// A file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailureState {
    pub(crate) error: EntryError,
    pub(crate) modified: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// When it is tried again.
    pub(crate) next: Timestamp,
}

impl FailureState {
    /// Another failed attempt, after those before.
    pub(crate) fn after(before: Option<&Self>, error: EntryError, modified: Timestamp, now: Timestamp) -> Self {
        let attempts = before.map_or(0, |before| before.attempts) + 1;
        let next = now + if attempts < ATTEMPTS { FIRST_PAUSE * 2_u32.pow(attempts - 1) } else { SLOW };
        let first = before.map_or(now, |before| before.first);
        Self { error, modified, attempts, first, last: now, next }
    }

    /// Whether it was tried often enough: an operator should look at it.
    pub(crate) fn is_set_aside(&self) -> bool {
        self.attempts >= ATTEMPTS
    }
}

/// The document's key of something of a source.
pub(crate) fn key_of(source: &str, what: &str) -> String {
    format!("{source}/{what}")
}

/// What `key_of` was given.
pub(crate) fn within<'a>(source: &str, key: &'a str) -> &'a str {
    key.strip_prefix(source).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key)
}

/// Where the source began, which is now if it is new.
///
/// # Errors
/// [`BeginError::Elsewhere`] when the name is that of another bucket's source.
pub(crate) async fn begin(catalog: &dyn Catalog, source: &Source, now: Timestamp) -> Result<Begun, BeginError> {
    if let Some(found) = catalog.find::<Begun>(SOURCES, &source.name).await? {
        let begun = found.value;
        let same = begun.bucket == source.bucket && begun.prefix == source.prefix;
        return if same { Ok(begun) } else { Err(BeginError::Elsewhere { begun }) };
    }
    let start = match source.start {
        crate::Start::Back(back) => now - back,
        crate::Start::At(time) => time,
    };
    let begun = Begun { bucket: source.bucket.clone(), prefix: source.prefix.clone(), start: start.floor_secs() };
    catalog.commit(vec![Change::put(SOURCES, &source.name, Expect::Absent, &begun)]).await?;
    Ok(begun)
}

/// Why a source cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error(
        "what was taken under this name is of the bucket {}, prefix {:?}: give another bucket or prefix another name",
        begun.bucket, begun.prefix
    )]
    Elsewhere { begun: Begun },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// The position that was folded; `None` before the first time.
pub(crate) async fn folded(catalog: &dyn Catalog) -> Result<Option<Position>, CatalogError> {
    Ok(catalog.find(FOLD, FOLD_KEY).await?.map(|found| found.value))
}

pub(crate) fn put_folded(position: Position) -> Change {
    Change::put(FOLD, FOLD_KEY, Expect::Anything, &position)
}
