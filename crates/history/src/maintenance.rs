use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentrail_lake::DataFile;
use opentrail_model::Timestamp;
use opentrail_runtime::{CrashPoint, Shutdown};
use tracing::{error, info, warn};

use crate::file::Effort;
use crate::history::{Shared, blocking};
use crate::merge::Merge;
use crate::row::day_of;
use crate::segment::Segment;
use crate::{History, HistoryError, file};

/// As many small files of one day are merged at once, or more. Merging more at once rewrites less and leaves more
/// files to search.
const MERGE_FROM: usize = 8;
/// No more files are merged at once: each keeps a few decoded pages in memory.
const MERGE_MOST: usize = 64;
/// How long a day must be over before its last few files are merged.
const SETTLED: Duration = Duration::from_secs(60 * 60);
/// How often files outside the table are looked for, or as often as they come of age if that is more often.
const VACUUM_EVERY: Duration = Duration::from_secs(10 * 60);

impl History {
    /// Merges small files and lets old ones go, until the shutdown begins. What fails is logged and tried again.
    ///
    /// Merging takes at most half of the time, so that it leaves the rest to what comes in.
    pub async fn run_maintenance(self, shutdown: Shutdown) -> Result<(), HistoryError> {
        let clock = Arc::clone(&self.shared.clock);
        let vacuum_every = VACUUM_EVERY.min(self.shared.options.vacuum_age);
        let (mut vacuumed, mut pause) = (clock.now(), self.shared.options.maintenance_interval);
        if let Err(error) = self.warm().await {
            warn!(%error, "the event history could not be read ahead");
        }
        loop {
            tokio::select! {
                () = shutdown.begun() => return Ok(()),
                () = clock.sleep(pause) => {}
            }
            let begun = clock.now();
            let merged = match self.maintain_once().await {
                Ok(merged) => merged,
                Err(error) => {
                    metrics::counter!("opentrail_history_maintenance_failures_total").increment(1);
                    warn!(%error, "event history maintenance failed and will be tried again");
                    false
                }
            };
            let now = clock.now();
            pause = if merged { now.since(begun) } else { self.shared.options.maintenance_interval };
            if now.since(vacuumed) >= vacuum_every {
                vacuumed = now;
                if let Err(error) = self.vacuum().await {
                    warn!(%error, "files that left the event history could not be deleted");
                }
            }
        }
    }

    /// Maintenance until nothing is left to do: days past the retention go, files worth merging are merged.
    ///
    /// # Cancellation
    /// May be dropped: at worst a merged file is left that nothing names.
    pub async fn maintain(&self) -> Result<(), HistoryError> {
        while self.maintain_once().await? {}
        Ok(())
    }

    /// Lets old days go and merges one set of files; false when there is none.
    async fn maintain_once(&self) -> Result<bool, HistoryError> {
        self.settle().await?;
        self.expire().await?;
        let days: Vec<(String, Vec<Arc<Segment>>)> = {
            let view = self.shared.view.read();
            view.days.iter().map(|(day, segments)| (day.clone(), segments.clone())).collect()
        };
        let shared = Arc::clone(&self.shared);
        let found = blocking(move || {
            let settled = day_of(shared.clock.now() - SETTLED);
            for (day, segments) in days {
                if let Some(set) = mergeable(&shared, segments, day < settled)? {
                    return Ok(Some((day, set)));
                }
            }
            Ok(None)
        });
        let Some((day, set)) = found.await? else { return Ok(false) };
        self.merge(&day, set).await?;
        Ok(true)
    }

    /// Reads the footers of the newest files, as many as are kept, so that the first lookups need not.
    async fn warm(&self) -> Result<(), HistoryError> {
        let files: Vec<DataFile> = {
            let view = self.shared.view.read();
            view.days.values().rev().flatten().map(|segment| segment.data.clone()).collect()
        };
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            for data in files.iter().take_while(|_| !shared.footers.is_full()) {
                if let Err(error) = shared.footers.get(&shared.dir, data) {
                    warn!(%error, "a file of the event history could not be read ahead");
                }
            }
            Ok(())
        })
        .await
    }

    /// Deletes files that are no longer part of the table, and what a crash left. Returns how many went.
    pub async fn vacuum(&self) -> Result<usize, HistoryError> {
        self.settle().await?;
        let table = self.shared.table.lock().await;
        let deleted = table.vacuum(self.shared.options.vacuum_age, self.shared.clock.now()).await?;
        if deleted > 0 {
            info!(files = deleted, "deleted files that left the event history");
        }
        Ok(deleted)
    }

    /// Shows what the log says, if a commit may have landed.
    async fn settle(&self) -> Result<(), HistoryError> {
        let mut table = self.shared.table.lock().await;
        if table.is_doubtful() {
            table.reload().await?;
            self.shared.show(&table).await?;
        }
        Ok(())
    }

    /// Takes out the days of which no event is found any more.
    async fn expire(&self) -> Result<(), HistoryError> {
        let oldest_day = day_of(self.shared.oldest());
        let expired: Vec<DataFile> = {
            let view = self.shared.view.read();
            view.days.range(..oldest_day).flat_map(|(_, files)| files.iter().map(|f| f.data.clone())).collect()
        };
        if expired.is_empty() {
            return Ok(());
        }
        info!(files = expired.len(), "events past the retention leave the event history");
        self.change(expired, Vec::new()).await
    }

    async fn merge(&self, day: &str, set: MergeSet) -> Result<(), HistoryError> {
        let MergeSet { segments, effort } = set;
        let removed: Vec<DataFile> = segments.iter().map(|segment| segment.data.clone()).collect();
        // The version has grown since an earlier process committed a file of that name, the count since this one did.
        let count = self.shared.merges.fetch_add(1, Ordering::Relaxed);
        let name = format!("merge-{}-{count}", self.shared.table.lock().await.version() + 1);
        let (shared, of_day) = (Arc::clone(&self.shared), day.to_owned());
        let merged = blocking(move || {
            let rows = Merge::open(&shared.dir, &shared.footers, segments)?;
            file::write(&shared.dir, &of_day, &name, effort, rows)
        })
        .await?;
        CrashPoint::HistoryMerged.reach();
        metrics::counter!("opentrail_history_merged_files_total").increment(removed.len() as u64);
        self.change(removed, vec![merged]).await
    }

    /// Commits the change, then shows it in one step.
    async fn change(&self, removed: Vec<DataFile>, added: Vec<DataFile>) -> Result<(), HistoryError> {
        let shared = &self.shared;
        let now: Timestamp = shared.clock.now();
        let mut table = shared.table.lock().await;
        let committed = if added.is_empty() {
            table.delete(&removed, now).await
        } else {
            table.replace(&removed, added.clone(), now).await
        };
        if let Err(error) = committed {
            // It may have landed: show what the log says.
            table.reload().await?;
            shared.show(&table).await?;
            return Err(error.into());
        }
        CrashPoint::HistoryReplaced.reach();
        let mut view = shared.view.write();
        for data in &removed {
            view.remove(data);
            shared.footers.forget(data);
        }
        for data in added {
            shared.footers.trust(&data);
            view.add(data);
        }
        Ok(())
    }
}

/// Files of one day to make one of.
struct MergeSet {
    segments: Vec<Arc<Segment>>,
    effort: Effort,
}

/// Files of one day to merge: those that together stay within a file's size, once there are [`MERGE_FROM`] of a size
/// class (each class is [`MERGE_FROM`] times the one below, so that a row is rewritten only a few times), or any two
/// once the day is over.
fn mergeable(shared: &Shared, segments: Vec<Arc<Segment>>, over: bool) -> Result<Option<MergeSet>, HistoryError> {
    let least = if over { 2 } else { MERGE_FROM };
    if segments.len() < least {
        return Ok(None);
    }
    let limit = shared.options.file_bytes as u64;
    let mut small = Vec::new();
    for segment in segments {
        let size = match segment.raw_bytes(&shared.dir, &shared.footers) {
            Ok(size) => size,
            Err(error) if error.is_damage() => {
                error!(%error, "a file of the event history is left out of merging");
                continue;
            }
            Err(error) => return Err(error),
        };
        if size <= limit / 2 {
            small.push((size, segment));
        }
    }
    small.sort_by_key(|(size, _)| *size);
    let class = |size: u64| if over { 0 } else { (size / 4096).max(1).ilog(MERGE_FROM as u64) };
    for of_class in small.chunk_by(|(a, _), (b, _)| class(*a) == class(*b)) {
        let (mut segments, mut total) = (Vec::new(), 0);
        for (size, segment) in of_class.iter().take(MERGE_MOST) {
            if total + size > limit {
                break;
            }
            total += size;
            segments.push(Arc::clone(segment));
        }
        // Fewer are enough when no more fit.
        if segments.len() >= least || (segments.len() > 1 && segments.len() < of_class.len()) {
            // What will not be merged again is worth the time.
            let effort = if over || total > limit / 2 { Effort::Thorough } else { Effort::Quick };
            return Ok(Some(MergeSet { segments, effort }));
        }
    }
    Ok(None)
}
