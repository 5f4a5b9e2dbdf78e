//! The upkeep of the stores' tables, one table after the other: merging, retention, vacuum.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentrail_lake::DataFile;
use opentrail_model::Timestamp;
use opentrail_runtime::{Clock, CrashPoint, Shutdown};
use tracing::{error, info, warn};

use crate::TableError;
use crate::columns::{DAY, LAYOUT, layout_of};
use crate::error::blocking;
use crate::file::{Effort, Named, day_of, write};
use crate::merge::{Merge, Part};
use crate::table::StoreTable;
use crate::tables::{Tables, TablesOptions};

/// As many small files of one day are merged at once, or more.
const MERGE_FROM: usize = 8;
/// No more files are merged at once: each keeps a few decoded pages in memory.
const MERGE_MOST: usize = 64;
/// How long a day must be over before its last few files are merged.
const SETTLED: Duration = Duration::from_secs(60 * 60);
/// How often files outside a table are looked for, or as often as they come of age if that is more often.
const VACUUM_EVERY: Duration = Duration::from_secs(10 * 60);

impl Tables {
    /// Keeps the tables up until the shutdown begins. What fails is logged and tried again.
    pub async fn run_maintenance(self, shutdown: Shutdown) -> Result<(), TableError> {
        let (clock, options) = (self.clock(), self.options());
        let vacuum_every = VACUUM_EVERY.min(options.vacuum_age);
        let mut vacuumed = clock.now();
        loop {
            tokio::select! {
                () = shutdown.begun() => return Ok(()),
                () = clock.sleep(options.maintenance_interval) => {}
            }
            self.forget_old_keys();
            let vacuum = clock.now().since(vacuumed) >= vacuum_every;
            for table in self.open_tables() {
                if shutdown.has_begun() {
                    return Ok(());
                }
                let kept_up = maintain(&table, &options, &*clock, vacuum).await;
                if let Err(error) = kept_up {
                    metrics::counter!("opentrail_tables_maintenance_failures_total").increment(1);
                    warn!(store.id = %table.key.id, %error, "the upkeep of a store's table failed and will be tried again");
                }
            }
            if vacuum {
                vacuumed = clock.now();
            }
        }
    }
}

/// Lets old days go, merges what is worth it, and, if `vacuum`, deletes what left the table.
pub(crate) async fn maintain(
    table: &StoreTable,
    options: &TablesOptions,
    clock: &dyn Clock,
    vacuum: bool,
) -> Result<(), TableError> {
    let wanted = table.upkeep.lock().await;
    if !*wanted {
        return Ok(());
    }
    table.settle().await?;
    expire(table, clock.now()).await?;
    while let Some(set) = mergeable(table, options, clock.now()).await? {
        match merge(table, set, clock).await {
            Ok(()) => {}
            Err(TableError::Key(error)) => {
                warn!(store.id = %table.key.id, %error, "files of a store wait for its KMS key to be merged");
                break;
            }
            Err(error) => {
                let file = error.damaged_file(&table.dir).ok_or(error)?;
                error!(store.id = %table.key.id, file, "a file of a store's table is damaged, and left out of merging");
                table.damaged.lock().insert(file);
            }
        }
    }
    if vacuum {
        let writer = table.table.lock().await;
        let deleted = writer.vacuum(options.vacuum_age, clock.now()).await?;
        if deleted > 0 {
            info!(store.id = %table.key.id, files = deleted, "deleted files that left a store's table");
        }
    }
    Ok(())
}

/// Takes out the days of which nothing is kept any more.
async fn expire(table: &StoreTable, now: Timestamp) -> Result<(), TableError> {
    let Some(oldest) = table.oldest(now).map(day_of) else { return Ok(()) };
    let mut writer = table.table.lock().await;
    let mut files = writer.files()?;
    files.retain(|file| file.partition.get(DAY).is_some_and(|day| *day < oldest));
    if files.is_empty() {
        return Ok(());
    }
    info!(store.id = %table.key.id, files = files.len(), "events past the retention leave a store");
    if let Err(error) = writer.delete(&files, now).await {
        // It may have landed: the next look sees what the log says.
        table.reload(&mut writer).await?;
        return Err(error.into());
    }
    CrashPoint::TablesExpired.reach();
    Ok(())
}

/// Files of one day to make one of.
struct MergeSet {
    day: String,
    files: Vec<DataFile>,
    effort: Effort,
}

/// Files of one day to merge: those that together stay within a file's size, once there are [`MERGE_FROM`] of a size class
/// (each class is [`MERGE_FROM`] times the one below, so that a row is rewritten only a few times), or any two once the day
/// is over. Those of an older layout come first, and those from before the store had a KMS key.
async fn mergeable(
    table: &StoreTable,
    options: &TablesOptions,
    now: Timestamp,
) -> Result<Option<MergeSet>, TableError> {
    let settled = day_of(now - SETTLED);
    let limit = options.file_bytes;
    let sealed = table.is_sealed();
    let outdated = |file: &DataFile| layout_of(file) < LAYOUT || (sealed && !file.is_sealed());
    let mut days: BTreeMap<String, Vec<DataFile>> = BTreeMap::new();
    for file in table.table.lock().await.files()? {
        let whole = !table.damaged.lock().contains(&file.path);
        let worth = file.size_bytes <= limit / 2 || outdated(&file);
        if let Some(day) = file.partition.get(DAY).filter(|_| whole && worth) {
            days.entry(day.clone()).or_default().push(file);
        }
    }
    for (day, mut files) in days {
        let over = day < settled;
        // Such files are rewritten even if each stays by itself.
        if let Some(first) = files.iter().position(outdated) {
            let mut total = 0;
            let together = |file: &&DataFile| {
                total += file.size_bytes;
                outdated(file) && total <= limit
            };
            let mut chosen: Vec<DataFile> = files[first..].iter().take_while(together).cloned().collect();
            chosen.truncate(MERGE_MOST);
            if chosen.is_empty() {
                chosen.push(files.swap_remove(first));
            }
            return Ok(Some(MergeSet { day, files: chosen, effort: Effort::Thorough }));
        }
        let least = if over { 2 } else { MERGE_FROM };
        files.sort_by_key(|file| file.size_bytes);
        let class = |file: &DataFile| if over { 0 } else { (file.size_bytes / 4096).max(1).ilog(MERGE_FROM as u64) };
        for of_class in files.chunk_by(|a, b| class(a) == class(b)) {
            let (mut chosen, mut total) = (Vec::new(), 0);
            for file in of_class.iter().take(MERGE_MOST) {
                if total + file.size_bytes > limit {
                    break;
                }
                total += file.size_bytes;
                chosen.push(file.clone());
            }
            // Fewer are enough when no more fit.
            if chosen.len() >= least || (chosen.len() > 1 && chosen.len() < of_class.len()) {
                // What will not be merged again is worth the time.
                let effort = if over || total > limit / 2 { Effort::Thorough } else { Effort::Quick };
                return Ok(Some(MergeSet { day, files: chosen, effort }));
            }
        }
    }
    Ok(None)
}

async fn merge(table: &StoreTable, set: MergeSet, clock: &dyn Clock) -> Result<(), TableError> {
    let MergeSet { day, files, effort } = set;
    let key = table.data_key().await?;
    let mut parts = Vec::with_capacity(files.len());
    for data in &files {
        parts.push(Part { data: data.clone(), sealed: table.unsealed(data).await? });
    }
    // The version has grown since an earlier process committed a file of that name, the count since this one did.
    let count = table.merges.fetch_add(1, Ordering::Relaxed);
    let name = format!("merge-{}-{count}", table.table.lock().await.version() + 1);
    let (dir, kind) = (table.dir.clone(), table.kind);
    let merged = blocking(move || {
        let named = Named { day: &day, name: &name, kind, effort, key: key.as_ref() };
        write(&dir, named, Merge::open(&dir, kind, &parts)?)
    });
    let merged = merged.await?;
    CrashPoint::TablesMerged.reach();
    let mut writer = table.table.lock().await;
    // Whoever commits holds the table, and only this task takes files out: they are there still.
    if let Err(error) = writer.replace(&files, vec![merged], clock.now()).await {
        table.reload(&mut writer).await?;
        return Err(error.into());
    }
    CrashPoint::TablesReplaced.reach();
    metrics::counter!("opentrail_tables_merged_files_total").increment(files.len() as u64);
    Ok(())
}
