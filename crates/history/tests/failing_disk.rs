//! Event history on a disk that fails: a flush, a merge, a day past the retention and a vacuum with every one of their steps
//! going wrong in every way, gone on with as the server does.

#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, reason = "a test whose preparation fails has failed")]

mod common;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use opentrail_history::{History, HistoryOptions, HistoryProjection};
use opentrail_journal::Entry;
use opentrail_lake::faults::{Fault, Faults};
use opentrail_projection::Projection;
use opentrail_runtime::ManualClock;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const FAULTS: [Fault; 4] = [Fault::Refused, Fault::Doubtful, Fault::Outage(5), Fault::Death];
/// Tries after which a change that does not succeed never will.
const TRIES: usize = 20;

/// What is done on the failing disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Flush,
    /// Merging and retention.
    Upkeep,
    Vacuum,
}

/// The first is of a day that is past the retention once the clock has moved.
fn entries(count: u64) -> Vec<Entry> {
    let old = event(1, DAY * 89, "alice");
    [old].into_iter().chain((2..=count).map(|position| event(position, MINUTE, "alice"))).collect()
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() { copy_dir(&from, &to) } else { fs::copy(from, &to).map(drop).unwrap() }
    }
}

/// A server, as far as Event history goes, on a disk that is to fail.
struct Case {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    faults: Faults,
    entries: Vec<Entry>,
    open: Option<(HistoryProjection, History)>,
    context: String,
}

impl Case {
    async fn attempt(&mut self, change: Change) -> Result<(), Box<dyn Error>> {
        if self.open.is_none() {
            let options = HistoryOptions { vacuum_age: Duration::ZERO, ..options() };
            self.open = Some(History::open(self.dir.path(), options, self.clock.clone()).await?);
        }
        let (projection, history) = self.open.as_mut().unwrap();
        let from = usize::try_from(projection.resume().await?.0)?;
        if from < self.entries.len() {
            projection.apply(&batch(&self.entries[from..])).await?;
        }
        match change {
            Change::Flush => drop(projection.finish().await?),
            Change::Upkeep => history.maintain().await?,
            Change::Vacuum => drop(history.vacuum().await?),
        }
        Ok(())
    }

    /// Makes the change, however often it takes. Whether something went wrong.
    async fn make(&mut self, change: Change) -> bool {
        let mut reached = false;
        for _ in 0..TRIES {
            let made = self.attempt(change).await;
            if self.faults.is_dead() {
                reached |= self.faults.clear();
                self.open = None;
                continue;
            }
            self.look(made.is_ok()).await;
            if made.is_ok() {
                return reached | self.faults.clear();
            }
        }
        panic!("{}: it is not done after {TRIES} tries", self.context);
    }

    /// What a lookup finds: nothing twice, and once `all` is taken all of it.
    async fn look(&self, all: bool) {
        let Some((_, history)) = &self.open else { return };
        let mut looked_up = history.lookup(&query()).await;
        // What goes wrong may do so here.
        for _ in 0..8 {
            if self.faults.is_dead() {
                return;
            }
            if looked_up.is_err() {
                looked_up = history.lookup(&query()).await;
            }
        }
        let page = looked_up.unwrap();
        let found: Vec<String> = page.events.into_iter().map(|event| event.event_id.unwrap()).collect();
        let set: BTreeSet<&String> = found.iter().collect();
        assert_eq!(set.len(), found.len(), "{}: something is twice in {found:?}", self.context);
        let recent = names(2..=self.entries.len() as u64);
        assert!(!all || recent.iter().all(|id| set.contains(id)), "{}: {found:?}", self.context);
    }

    /// The server goes on: everything is there once, and nothing else is left.
    async fn prove(&mut self, kept: impl Iterator<Item = u64>) {
        let next = self.entries.len() as u64 + 1;
        self.entries.push(event(next, MINUTE, "alice"));
        self.make(Change::Flush).await;
        self.make(Change::Vacuum).await;
        // As the next process finds it.
        self.open = None;
        let clock = Arc::clone(&self.clock);
        let (mut projection, history) = History::open(self.dir.path(), options(), clock).await.unwrap();
        assert_eq!(projection.resume().await.unwrap().0, next, "{}", self.context);
        let (mut found, mut expected) = (ids(&history, query()).await, names(kept.chain([next])));
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{}", self.context);
        // No file is there that the table does not name.
        let table = opentrail_lake_files(self.dir.path());
        assert_eq!(table.0, table.1, "{}", self.context);
        let log = fs::read_dir(self.dir.path().join("_delta_log")).unwrap();
        let staged = log.map(|file| file.unwrap().file_name().into_string().unwrap()).filter(|name| name.contains('#'));
        assert_eq!(staged.collect::<Vec<_>>(), Vec::<String>::new(), "{}", self.context);
    }
}

/// The files that lie in the table's directory, and those that its log adds and does not remove.
fn opentrail_lake_files(dir: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut found = BTreeSet::new();
    for day in fs::read_dir(dir).unwrap().map(|day| day.unwrap().path()).filter(|day| !day.ends_with("_delta_log")) {
        let files = fs::read_dir(&day).unwrap().map(|file| file.unwrap().path());
        found.extend(files.map(|file| file.strip_prefix(dir).unwrap().to_str().unwrap().to_owned()));
    }
    let log = fs::read_dir(dir.join("_delta_log")).unwrap().map(|file| file.unwrap().path());
    let mut commits: Vec<_> = log.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    commits.sort();
    let mut named = BTreeSet::new();
    for commit in commits {
        for action in fs::read_to_string(commit).unwrap().lines() {
            let action: serde_json::Value = serde_json::from_str(action).unwrap();
            if let Some(path) = action["add"]["path"].as_str() {
                named.insert(path.replace("%3D", "="));
            }
            if let Some(path) = action["remove"]["path"].as_str() {
                named.remove(&path.replace("%3D", "="));
            }
        }
    }
    (found, named)
}

/// Has every step of the change go wrong in every way, on a copy of what `flushed` flushes leave. `later` is how much the
/// clock has moved since, and `new` how many events have come.
async fn walk(change: Change, flushed: u64, new: u64, later: Duration) {
    let before = tempfile::tempdir().unwrap();
    let all = entries(flushed + new);
    {
        let (mut projection, history) = open(before.path(), &clock()).await;
        for count in 1..=usize::try_from(flushed).unwrap() {
            projection.apply(&batch(&all[count - 1..count])).await.unwrap();
            projection.finish().await.unwrap();
        }
        if change == Change::Vacuum {
            history.maintain().await.unwrap();
        }
    }
    let mut cases = 0;
    for fault in FAULTS {
        for step in 0.. {
            let dir = tempfile::tempdir().unwrap();
            copy_dir(before.path(), dir.path());
            let faults = Faults::below(dir.path());
            faults.plan(step, fault);
            let clock = clock();
            clock.advance(later);
            let context = format!("{change:?}, step {step}, {fault:?}");
            let mut case = Case { dir, clock, faults, entries: all.clone(), open: None, context };
            let reached = case.make(change).await;
            let first = if later > DAY { 2 } else { 1 };
            case.prove(first..=flushed + new).await;
            if !reached {
                break;
            }
            cases += 1;
        }
    }
    assert!(cases > 50, "{cases}");
}

#[tokio::test]
async fn history_is_made_and_flushed_to_on_a_failing_disk() {
    walk(Change::Flush, 0, 3, Duration::ZERO).await;
}

#[tokio::test]
async fn history_is_merged_on_a_failing_disk() {
    walk(Change::Upkeep, 9, 0, Duration::ZERO).await;
}

#[tokio::test]
async fn a_day_past_the_retention_goes_on_a_failing_disk() {
    walk(Change::Upkeep, 2, 0, DAY * 2).await;
}

#[tokio::test]
async fn what_left_history_is_deleted_on_a_failing_disk() {
    walk(Change::Vacuum, 9, 0, Duration::ZERO).await;
}
