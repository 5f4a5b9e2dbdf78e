//! What is in a bucket: folders of log files, and the files in them that were not taken yet.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use object_store::path::Path;
use object_store::{ListResult, ObjectStore};
use opentrail_catalog::{Catalog, CatalogError, CatalogExt};
use opentrail_imports::{EntryError, Object, Patience};
use opentrail_model::{AccountId, OrganizationId, Timestamp};

use crate::documents::{FAILURES, FILES, FailureState, FileState, key_of, within};
use crate::key::{Folder, KINDS, LogKey};
use crate::{Source, Surroundings};

/// Keys listed at once: what S3 answers at once.
const PAGE: usize = 1000;
/// So many folders are listed at once.
pub(crate) const LISTING: usize = 8;

/// A bucket while it is looked at.
pub(crate) struct Bucket<'a> {
    pub(crate) source: &'a Source,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) patience: Patience,
}

/// A log file that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) object: Object,
    pub(crate) modified: Timestamp,
    /// The minute in its name.
    pub(crate) minute: Timestamp,
    /// In whose folder it lies.
    pub(crate) account: AccountId,
    /// So many of its records were taken before.
    pub(crate) skip: u64,
}

/// Some of a folder's files.
pub(crate) struct Page {
    pub(crate) found: Vec<Found>,
    /// Behind which key the next page begins; `None` after the last.
    pub(crate) next: Option<String>,
}

/// What could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) folder: String,
    pub(crate) error: EntryError,
}

/// The folders of a bucket.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) folders: Vec<Folder>,
    /// Accounts of this server that the source does not name: their folders are left alone.
    pub(crate) unnamed: BTreeSet<AccountId>,
    pub(crate) problems: Vec<Problem>,
}

/// Why a page cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error(transparent)]
    Bucket(#[from] EntryError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl Bucket<'_> {
    /// Every folder that the source wants.
    ///
    /// # Errors
    /// When the folder of all cannot be listed.
    pub(crate) async fn tree(&self, around: &dyn Surroundings) -> Result<Tree, Problem> {
        let mut tree = Tree::default();
        let root = self.source.root();
        let mut accounts = Vec::new();
        for name in self.subfolders(&root).await? {
            if let Ok(account) = name.parse::<AccountId>() {
                accounts.push((format!("{root}{name}/"), account));
            } else if let Ok(organization) = name.parse::<OrganizationId>()
                && self.source.organization.as_ref().is_none_or(|wanted| *wanted == organization)
            {
                let folder = format!("{root}{name}/");
                match self.subfolders(&folder).await {
                    Ok(names) => accounts
                        .extend(names.iter().filter_map(|name| Some((format!("{folder}{name}/"), name.parse().ok()?)))),
                    Err(problem) => tree.problems.push(problem),
                }
            }
        }
        accounts.retain(|(_, account)| self.source.wants_account(*account));
        let mut wanted = Vec::new();
        for (folder, account) in accounts {
            match self.source.whose(account, around.is_here(account)) {
                Some(_) => wanted.push(folder),
                None => {
                    tree.unnamed.insert(account);
                }
            }
        }
        let mut listed = stream::iter(wanted).map(|folder| self.of_account(folder)).buffered(LISTING);
        while let Some((folders, problems)) = listed.next().await {
            tree.folders.extend(folders);
            tree.problems.extend(problems);
        }
        tree.folders.retain(|folder| self.source.wants(folder));
        Ok(tree)
    }

    async fn of_account(&self, account: String) -> (Vec<Folder>, Vec<Problem>) {
        let (mut folders, mut problems) = (Vec::new(), Vec::new());
        let kinds = match self.subfolders(&account).await {
            Ok(kinds) => kinds,
            Err(problem) => return (folders, vec![problem]),
        };
        for kind in kinds.iter().filter(|kind| KINDS.contains(&kind.as_str())) {
            let folder = format!("{account}{kind}/");
            match self.subfolders(&folder).await {
                Ok(regions) => folders.extend(
                    regions
                        .iter()
                        .filter_map(|region| Folder::parse(&self.source.root(), &format!("{folder}{region}/"))),
                ),
                Err(problem) => problems.push(problem),
            }
        }
        (folders, problems)
    }

    async fn subfolders(&self, folder: &str) -> Result<Vec<String>, Problem> {
        let list = || async {
            let path = Path::parse(folder.trim_end_matches('/'))?;
            self.store.list_with_delimiter(Some(&path)).await
        };
        let ListResult { common_prefixes, .. } =
            self.patience.ask(list).await.map_err(|error| Problem { folder: folder.to_owned(), error })?;
        Ok(common_prefixes.iter().filter_map(|prefix| prefix.filename().map(str::to_owned)).collect())
    }

    /// What a folder has behind the key `after` that is not taken, nor among the failures, and was not put before
    /// `passed`.
    ///
    /// # Errors
    /// When bucket or catalog fails.
    pub(crate) async fn page(&self, folder: &Folder, after: &str, passed: Timestamp) -> Result<Page, PageError> {
        let list = || async {
            let path = Path::parse(folder.name.trim_end_matches('/'))?;
            let listed = self.store.list_with_offset(Some(&path), &Path::parse(after)?);
            listed.take(PAGE).try_collect::<Vec<_>>().await
        };
        let listed = self.patience.ask(list).await?;
        let full = listed.len() == PAGE;
        let mut files = Vec::new();
        let mut last = None;
        for meta in listed {
            let key = meta.location.to_string();
            last = last.max(Some(key.clone()));
            let Some(LogKey { minute, .. }) = LogKey::parse(&self.source.root(), &key) else {
                metrics::counter!("opentrail_follow_foreign_objects_total", "source" => self.source.name.clone())
                    .increment(1);
                continue;
            };
            let modified = Timestamp::from_millis(meta.last_modified.timestamp_millis()).floor_secs();
            if modified >= passed {
                let (object, account) = (Object { key, size: meta.size }, folder.account);
                files.push(Found { object, modified, minute, account, skip: 0 });
            }
        }
        files.sort_by(|a, b| a.object.key.cmp(&b.object.key));
        let found = self.unknown(files).await?;
        Ok(Page { found, next: if full { last } else { None } })
    }

    /// Of files in the order of their keys those that are not taken yet, nor failed.
    pub(crate) async fn unknown(&self, mut files: Vec<Found>) -> Result<Vec<Found>, CatalogError> {
        let (Some(first), Some(last)) = (files.first(), files.last()) else { return Ok(files) };
        let (first, last) = (first.object.key.clone(), last.object.key.clone());
        let known: HashMap<String, FileState> = self.between(FILES, &first, &last).await?;
        let failed: HashMap<String, FailureState> = self.between(FAILURES, &first, &last).await?;
        let failed: HashSet<String> = failed.into_keys().collect();
        files.retain_mut(|found| {
            if let Some(state) = known.get(&found.object.key) {
                if state.done {
                    return false;
                }
                // Another object under the same key is read from its beginning: what is known of it comes once all the
                // same.
                found.skip = if state.modified == found.modified { state.records } else { 0 };
            }
            !failed.contains(&found.object.key)
        });
        Ok(files)
    }

    /// The documents of keys from `first` to `last`.
    async fn between<T: serde::de::DeserializeOwned + Send>(
        &self,
        kind: &'static str,
        first: &str,
        last: &str,
    ) -> Result<HashMap<String, T>, CatalogError> {
        let name = &self.source.name;
        let prefix = key_of(name, "");
        // The first itself is to be among them: what it begins with comes before it.
        let mut after = key_of(name, &first[..first.len().saturating_sub(1)]);
        let mut found = HashMap::new();
        loop {
            let page = self.catalog.list(kind, &prefix, &after, PAGE).await?;
            let full = page.len() == PAGE;
            for document in page {
                let key = within(name, &document.key);
                if key > last {
                    return Ok(found);
                }
                let value = serde_json::from_slice(&document.value).map_err(|error| CatalogError::Malformed {
                    kind: kind.to_owned(),
                    key: document.key.clone(),
                    reason: error.to_string(),
                })?;
                found.insert(key.to_owned(), value);
                after = document.key;
            }
            if !full {
                return Ok(found);
            }
        }
    }

    /// How far a file was taken, if it was.
    pub(crate) async fn state(&self, key: &str) -> Result<Option<FileState>, CatalogError> {
        let found = self.catalog.find::<FileState>(FILES, &key_of(&self.source.name, key)).await?;
        Ok(found.map(|found| found.value))
    }
}
