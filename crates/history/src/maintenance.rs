use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentrail_lake::DataFile;
use opentrail_model::Timestamp;
use opentrail_runtime::{CrashPoint, Shutdown};
use tracing::{info, warn};

use crate::history::{Shared, blocking};
use crate::row::{Row, day_of};
use crate::segment::Segment;
use crate::{History, HistoryError, file};

/// As many small files of one day are merged at once, or more. Merging more at once rewrites less and leaves more
/// files to search.
const MERGE_FROM: usize = 8;
/// How long a day must be over before its last few files are merged.
const SETTLED: Duration = Duration::from_secs(60 * 60);
/// How often files outside the table are looked for, or as often as they come of age if that is more often.
const VACUUM_EVERY: Duration = Duration::from_secs(10 * 60);

impl History {
    /// Merges small files and lets old ones go, until the shutdown begins. What fails is logged and tried again.
    pub async fn run_maintenance(self, shutdown: Shutdown) -> Result<(), HistoryError> {
        let clock = Arc::clone(&self.shared.clock);
        let vacuum_every = VACUUM_EVERY.min(self.shared.options.vacuum_age);
        let mut vacuumed = clock.now();
        loop {
            tokio::select! {
                () = shutdown.begun() => return Ok(()),
                () = clock.sleep(self.shared.options.maintenance_interval) => {}
            }
            if let Err(error) = self.maintain().await {
                metrics::counter!("opentrail_history_maintenance_failures_total").increment(1);
                warn!(%error, "event history maintenance failed and will be tried again");
            }
            let now = clock.now();
            if now.since(vacuumed) >= vacuum_every {
                vacuumed = now;
                if let Err(error) = self.vacuum().await {
                    warn!(%error, "files that left the event history could not be deleted");
                }
            }
        }
    }

    /// One round of maintenance: days past the retention go, files worth merging are merged.
    ///
    /// # Cancellation
    /// May be dropped: at worst a merged file is left that nothing names.
    pub async fn maintain(&self) -> Result<(), HistoryError> {
        self.expire().await?;
        let days: Vec<(String, Vec<Arc<Segment>>)> = {
            let view = self.shared.view.read();
            view.days.iter().map(|(day, segments)| (day.clone(), segments.clone())).collect()
        };
        for (day, segments) in days {
            let mergeable = {
                let (shared, segments) = (Arc::clone(&self.shared), segments.clone());
                let over = day < day_of(shared.clock.now() - SETTLED);
                blocking(move || mergeable(&shared, segments, over)).await?
            };
            for segments in mergeable {
                self.merge(&day, segments).await?;
            }
        }
        Ok(())
    }

    /// Deletes files that are no longer part of the table, and what a crash left. Returns how many went.
    pub async fn vacuum(&self) -> Result<usize, HistoryError> {
        let table = self.shared.table.lock().await;
        let deleted = table.vacuum(self.shared.options.vacuum_age, self.shared.clock.now()).await?;
        if deleted > 0 {
            info!(files = deleted, "deleted files that left the event history");
        }
        Ok(deleted)
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

    async fn merge(&self, day: &str, segments: Vec<Arc<Segment>>) -> Result<(), HistoryError> {
        let removed: Vec<DataFile> = segments.iter().map(|segment| segment.data.clone()).collect();
        // The version has grown since an earlier process committed a file of that name, the count since this one did.
        let count = self.shared.merges.fetch_add(1, Ordering::Relaxed);
        let name = format!("merge-{}-{count}", self.shared.table.lock().await.version() + 1);
        let (shared, of_day) = (Arc::clone(&self.shared), day.to_owned());
        let merged = blocking(move || {
            let mut rows = Vec::new();
            for segment in segments {
                rows.extend(segment.fetch_all(&shared.dir, &shared.footers)?.into_iter().map(Arc::<Row>::new));
            }
            Ok(file::write(&shared.dir, &of_day, &name, rows)?)
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
            shared.footers.forget(&data.path);
        }
        for data in added {
            view.add(data);
        }
        Ok(())
    }
}

/// Sets of files of one day to merge: those that together stay within a file's size, once there are
/// [`MERGE_FROM`] of a size class (each class is [`MERGE_FROM`] times the one below, so that a row is rewritten
/// only a few times), or any two once the day is over.
fn mergeable(shared: &Shared, segments: Vec<Arc<Segment>>, over: bool) -> Result<Vec<Vec<Arc<Segment>>>, HistoryError> {
    if segments.len() < if over { 2 } else { MERGE_FROM } {
        return Ok(Vec::new());
    }
    let limit = shared.options.flush_bytes as u64;
    let mut small = Vec::new();
    for segment in segments {
        let size = segment.raw_bytes(&shared.dir, &shared.footers)?;
        if size <= limit / 2 {
            small.push((size, segment));
        }
    }
    small.sort_by_key(|(size, _)| *size);
    let class = |size: u64| if over { 0 } else { (size / 4096).max(1).ilog(MERGE_FROM as u64) };
    let mut sets = Vec::new();
    for of_class in small.chunk_by(|(a, _), (b, _)| class(*a) == class(*b)) {
        let (mut set, mut total) = (Vec::new(), 0);
        for (size, segment) in of_class {
            if total + size > limit {
                sets.push(std::mem::take(&mut set));
                total = 0;
            }
            total += size;
            set.push(Arc::clone(segment));
        }
        if set.len() >= if over { 2 } else { MERGE_FROM } {
            sets.push(set);
        }
    }
    sets.retain(|set| set.len() > 1);
    Ok(sets)
}
