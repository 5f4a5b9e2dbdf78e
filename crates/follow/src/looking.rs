//! What a look at a bucket does: folders, their new files, files that failed before.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use opentrail_catalog::{CatalogError, CatalogExt, Change, Expect, Versioned};
use opentrail_imports::Object;
use opentrail_model::Timestamp;
use opentrail_runtime::CrashPoint;
use tracing::{error, warn};

use crate::Source;
use crate::documents::{FAILURES, FILES, FOLDERS, FailureState, FileState, Passed, TOTALS, Totals, key_of, within};
use crate::follower::{Follower, LookError, Place};
use crate::key::{Folder, LogKey};
use crate::listing::{Bucket, Found, LISTING, Page, PageError, Problem, Tree};
use crate::taking::Taking;

/// Between sweeps it is looked only for files whose names say this long ago, or less.
const NEAR: Duration = Duration::from_secs(60 * 60);
/// Names may say a little less than the time at which a file is put: so much earlier a day's folder is looked at.
const SLACK: Duration = Duration::from_secs(60 * 60);
/// Files that are gathered from several folders before they are taken.
const ROUND: usize = 500;
/// What a file that failed is taken to have, compressed, until it is read.
pub(crate) const UNKNOWN_SIZE: u64 = 256 << 10;
/// A file that cannot be read for so long is given up, as deliveries of CloudTrail are. (User Guide,
/// "Troubleshooting".)
const GIVEN_UP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Follower {
    /// Finds out which folders there are. What cannot be listed does not stop the others.
    pub(crate) async fn survey(&mut self, bucket: &Bucket<'_>) -> Result<Option<Problem>, LookError> {
        let Tree { folders, unnamed, problems } = bucket.tree(self.inner.surroundings()).await?;
        for account in unnamed {
            if self.live.is_unnamed(account) {
                let source = &self.source.name;
                warn!(source, %account, "the bucket has events of an account of this server; `accounts` must name it");
            }
        }
        for folder in folders {
            if !self.folders.contains_key(&folder) {
                let key = key_of(&self.source.name, &folder.name);
                let passed = self.inner.catalog().find::<Passed>(FOLDERS, &key).await?;
                let passed = passed.map_or(self.start, |passed| passed.value.before);
                self.folders.insert(folder, Place { passed, listed: false });
            }
        }
        Ok(tell_all(&self.source, problems))
    }

    /// Takes what is new in every folder; `listed` gets those of which everything was listed.
    pub(crate) async fn take_new(
        &self,
        bucket: &Bucket<'_>,
        taking: &mut Taking<'_>,
        now: Timestamp,
        listed: &mut Vec<Folder>,
    ) -> Result<Option<Problem>, LookError> {
        let near = now - NEAR.min(self.source.look_back);
        let pages = stream::iter(self.folders.clone()).map(|(folder, Place { passed, listed })| {
            let after =
                if listed && near > passed { folder.before_minute(near) } else { folder.before_day(passed - SLACK) };
            async move {
                let page = bucket.page(&folder, &after, passed).await;
                (folder, passed, page)
            }
        });
        let mut pages = Box::pin(pages.buffered(LISTING));
        let (mut pending, mut problems) = (Vec::new(), Vec::new());
        while let Some((folder, passed, mut page)) = pages.next().await {
            loop {
                match page {
                    Err(PageError::Catalog(error)) => return Err(error.into()),
                    Err(PageError::Bucket(error)) => {
                        problems.push(Problem { folder: folder.name.clone(), error });
                        break;
                    }
                    Ok(Page { found, next }) => {
                        pending.extend(found);
                        if pending.len() >= ROUND {
                            taking.take(std::mem::take(&mut pending)).await?;
                        }
                        let Some(after) = next else {
                            listed.push(folder);
                            break;
                        };
                        page = bucket.page(&folder, &after, passed).await;
                    }
                }
            }
        }
        taking.take(pending).await?;
        Ok(tell_all(&self.source, problems))
    }

    /// Everything in the folder that was put before then is taken, or among the failures: it need not be remembered
    /// file by file.
    pub(crate) async fn pass(&mut self, folder: &Folder, before: Timestamp) -> Result<(), CatalogError> {
        let Some(Place { passed, listed }) = self.folders.get(folder).copied() else { return Ok(()) };
        if before.since(passed) < self.source.look_back / 24 || before <= passed {
            return Ok(());
        }
        let catalog = self.inner.catalog();
        let key = key_of(&self.source.name, &folder.name);
        let files: Vec<Versioned<FileState>> = catalog.all(FILES, &key).await?;
        let gone = files.into_iter().filter(|file| file.value.is_passed(before));
        let mut changes = vec![Change::put(FOLDERS, key, Expect::Anything, &Passed { before })];
        changes.extend(gone.map(|file| Change::delete(FILES, file.key, Expect::Anything)));
        // A commit that fails may have been kept: then the files are forgotten, and only the catalog knows that they
        // are passed.
        self.folders.remove(folder);
        CrashPoint::FollowPass.reach();
        catalog.commit(changes).await?;
        CrashPoint::FollowPassed.reach();
        self.folders.insert(folder.clone(), Place { passed: before, listed });
        Ok(())
    }

    /// Takes files that failed before and are due; at a start all of them.
    pub(crate) async fn try_again(
        &mut self,
        bucket: &Bucket<'_>,
        taking: &mut Taking<'_>,
        now: Timestamp,
    ) -> Result<(), LookError> {
        let name = &self.source.name;
        let failures: Vec<Versioned<FailureState>> = self.inner.catalog().all(FAILURES, &key_of(name, "")).await?;
        metrics::gauge!("opentrail_follow_failures", "source" => name.clone()).set(failures.len() as f64);
        let totals = self.inner.catalog().find::<Totals>(TOTALS, name).await?;
        if let Some(newest) = totals.and_then(|totals| totals.value.newest) {
            let lag = now.since(newest).as_secs_f64();
            metrics::gauge!("opentrail_follow_lag_seconds", "source" => name.clone()).set(lag);
        }
        let (mut due, mut given_up) = (Vec::new(), Vec::new());
        for Versioned { key: document, value: failure, .. } in failures {
            let key = within(name, &document).to_owned();
            let folder = LogKey::parse(&self.source.root(), &key);
            if failure.last.since(failure.first) >= GIVEN_UP {
                error!(source = name, key, reason = %failure.error, "a log file is given up after 30 days");
                metrics::counter!("opentrail_follow_files_total", "source" => name.clone(), "outcome" => "given-up")
                    .increment(1);
                given_up.push(Change::delete(FAILURES, document, Expect::Anything));
            } else if let Some(LogKey { folder, minute }) = folder
                && (!self.begun || failure.next <= now)
            {
                let state = bucket.state(&key).await?;
                let skip = state.filter(|state| state.modified == failure.modified).map_or(0, |state| state.records);
                let (object, account) = (Object { key, size: UNKNOWN_SIZE }, folder.account);
                due.push(Found { object, modified: failure.modified, minute, account, skip });
            }
        }
        if !given_up.is_empty() {
            self.inner.catalog().commit(given_up).await?;
        }
        taking.take(due).await?;
        self.begun = true;
        Ok(())
    }
}

/// Logs each problem, and gives the first.
fn tell_all(source: &Source, problems: Vec<Problem>) -> Option<Problem> {
    for Problem { folder, error } in &problems {
        warn!(source = source.name, folder, %error, "a folder of the bucket cannot be listed");
    }
    problems.into_iter().next()
}
