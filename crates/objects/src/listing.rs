//! Keys in order, out of directories.
//!
//! A directory's names, unescaped, with `/` after those that are prefixes, sort as the keys below them do: every key
//! under `a/` compares with any key elsewhere as `a/` itself does. So a walk that sorts each directory yields keys in
//! the order of their bytes, and can pass over whole directories that lie before the marker or outside the prefix.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::durable::is_absence;
use crate::key::{Kind, Name, names_of, read_name};

/// Directories with fewer names are read anew for each page.
const SMALLEST_REMEMBERED: usize = 512;
/// Names remembered of all directories together.
const MOST_REMEMBERED: usize = 500_000;

/// What to list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'a> {
    /// Only keys that begin with it.
    pub(crate) prefix: &'a str,
    /// Keys that share what comes up to the first one behind the prefix become one common prefix. Not empty.
    pub(crate) delimiter: Option<&'a str>,
    /// Only what comes after it; empty for all.
    pub(crate) after: &'a str,
    /// At most so many keys and common prefixes.
    pub(crate) limit: usize,
}

/// Part of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) keys: Vec<String>,
    pub(crate) common_prefixes: Vec<String>,
    /// The last key or common prefix of the page when there is more.
    pub(crate) next: Option<String>,
}

impl Page {
    /// Keys and common prefixes in their order; whether each is a prefix.
    pub(crate) fn in_order(self) -> impl Iterator<Item = (String, bool)> {
        let keys = self.keys.into_iter().map(|key| (key, false));
        let mut items: Vec<_> = keys.chain(self.common_prefixes.into_iter().map(|prefix| (prefix, true))).collect();
        items.sort_unstable();
        items.into_iter()
    }

    /// This page and `other`, which is one of another directory for the same query.
    pub(crate) fn merged(self, other: Self, limit: usize) -> Self {
        let mut more = self.next.is_some() || other.next.is_some();
        let mut items: Vec<_> = self.in_order().chain(other.in_order()).collect();
        items.sort_unstable();
        items.dedup();
        // Each page has all up to its last item, and is full if there is more: so is what is left here.
        more |= items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|(name, _)| name.clone());
        let (prefixes, keys): (Vec<_>, Vec<_>) = items.into_iter().partition(|(_, is_prefix)| *is_prefix);
        let names = |items: Vec<(String, bool)>| items.into_iter().map(|(name, _)| name).collect();
        Self { keys: names(keys), common_prefixes: names(prefixes), next }
    }
}

/// A name in a directory. Ordered as the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    segment: String,
    kind: Kind,
}

impl Entry {
    fn sort_key(&self) -> impl Iterator<Item = u8> {
        let slash = matches!(self.kind, Kind::Prefix).then_some(b'/');
        self.segment.bytes().chain(slash)
    }
}

/// Lists directories, remembering large ones between the pages of a listing.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    remembered: Mutex<HashMap<PathBuf, Remembered>>,
    /// Counts this process's changes of the directories that share a slot; a directory's own time, too coarse for
    /// that, shows what other processes change.
    changes: Slots,
}

#[derive(Debug)]
struct Slots(Vec<AtomicU64>);

impl Default for Slots {
    fn default() -> Self {
        Self((0..256).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Slots {
    fn of(&self, directory: &Path) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        directory.hash(&mut hasher);
        &self.0[hasher.finish() as usize % self.0.len()]
    }
}

#[derive(Debug)]
struct Remembered {
    modified: SystemTime,
    changes: u64,
    entries: Arc<[Entry]>,
}

impl Listings {
    /// Says that a name came or went in `directory`, or in those above it up to `root`. Called after the change and
    /// before it is acknowledged.
    pub(crate) fn changed(&self, directory: &Path, root: &Path) {
        for directory in directory.ancestors().take_while(|path| path.starts_with(root)) {
            self.changes.of(directory).fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One page of what is below `directory`.
    pub(crate) fn page(&self, directory: &Path, query: &Query<'_>) -> io::Result<Page> {
        let mut walk = Walk { listings: self, query, page: Page::default(), last: None };
        if query.limit > 0 {
            // Whether it broke off is in the page.
            let _ = walk.directory(directory, "")?;
        }
        Ok(walk.page)
    }

    fn entries(&self, directory: &Path) -> io::Result<Arc<[Entry]>> {
        let changes = self.changes.of(directory).load(Ordering::SeqCst);
        let modified = match fs::metadata(directory) {
            Ok(metadata) => metadata.modified()?,
            Err(error) if is_absence(&error) => return Ok(Arc::new([])),
            Err(error) => return Err(error),
        };
        if let Some(found) = self.remembered.lock().get(directory)
            && found.modified == modified
            && found.changes == changes
        {
            return Ok(Arc::clone(&found.entries));
        }
        let mut entries = Vec::new();
        let continued = read_entries(directory, &mut entries)?;
        entries.sort_unstable_by(|a, b| a.sort_key().cmp(b.sort_key()));
        let entries: Arc<[Entry]> = entries.into();
        // What is inside a continued name can change without this directory's time showing it.
        if !continued && (SMALLEST_REMEMBERED..=MOST_REMEMBERED).contains(&entries.len()) {
            let mut remembered = self.remembered.lock();
            let total: usize = remembered.values().map(|found| found.entries.len()).sum();
            if total + entries.len() > MOST_REMEMBERED {
                remembered.clear();
            }
            let found = Remembered { modified, changes, entries: Arc::clone(&entries) };
            remembered.insert(directory.to_owned(), found);
        }
        Ok(entries)
    }
}

/// Reads the names of a directory, whole segments also where they are continued. Says whether any was.
fn read_entries(directory: &Path, entries: &mut Vec<Entry>) -> io::Result<bool> {
    let mut continued = false;
    let mut visit = |name: &str, kind, path: &Path| {
        match read_name(name, kind) {
            // Names that no key has are somebody else's files.
            Some(Name::Segment(segment)) if names_of(&segment, kind) == [name] => entries.push(Entry { segment, kind }),
            Some(Name::Continued(start)) => {
                continued = true;
                continue_segment(path, &start, &[name], entries)?;
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    };
    // It never breaks off.
    let _ = each_name(directory, &mut visit)?;
    Ok(continued)
}

fn continue_segment(directory: &Path, start: &str, names: &[&str], entries: &mut Vec<Entry>) -> io::Result<()> {
    each_name(directory, &mut |name, kind, path| {
        let all: Vec<&str> = names.iter().copied().chain([name]).collect();
        match read_name(name, kind) {
            Some(Name::Segment(rest)) => {
                let segment = format!("{start}{rest}");
                if names_of(&segment, kind) == all {
                    entries.push(Entry { segment, kind });
                }
            }
            // A key has 1024 bytes; whatever goes on longer is nobody's.
            Some(Name::Continued(more)) if all.len() < 16 => {
                continue_segment(path, &format!("{start}{more}"), &all, entries)?;
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    })
    .map(|_| ())
}

/// What is done with each name: the name, what it is, and its path.
type Visit<'a> = dyn FnMut(&str, Kind, &Path) -> io::Result<ControlFlow<()>> + 'a;

/// Calls `visit` with every UTF-8 name of a file or directory; nothing when the directory is gone.
fn each_name(directory: &Path, visit: &mut Visit<'_>) -> io::Result<ControlFlow<()>> {
    let found = match fs::read_dir(directory) {
        Ok(found) => found,
        Err(error) if is_absence(&error) => return Ok(ControlFlow::Continue(())),
        Err(error) => return Err(error),
    };
    for entry in found {
        let entry = entry?;
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_file() => Kind::Object,
            Ok(kind) if kind.is_dir() => Kind::Prefix,
            Ok(_) => continue,
            Err(error) if is_absence(&error) => continue,
            Err(error) => return Err(error),
        };
        if let Some(name) = entry.file_name().to_str()
            && visit(name, kind, &entry.path())?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Whether there is any file below `directory`.
pub(crate) fn has_any(directory: &Path) -> io::Result<bool> {
    let mut visit = |_: &str, kind, path: &Path| {
        let found = kind == Kind::Object || has_any(path)?;
        Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    Ok(each_name(directory, &mut visit)?.is_break())
}

struct Walk<'a> {
    listings: &'a Listings,
    query: &'a Query<'a>,
    page: Page,
    last: Option<String>,
}

impl Walk<'_> {
    /// Walks the keys below `directory`, all of which begin with `above`.
    fn directory(&mut self, directory: &Path, above: &str) -> io::Result<ControlFlow<()>> {
        let entries = self.listings.entries(directory)?;
        // Everything before the marker and before the prefix in this directory is passed over at once.
        let from = self.query.after.max(self.query.prefix);
        let start = match from.strip_prefix(above).map(|from| (from, from.split_once('/'))) {
            None => 0,
            Some((_, Some((segment, _)))) => {
                entries.partition_point(|e| e.sort_key().lt(segment.bytes().chain([b'/'])))
            }
            Some((from, None)) => entries.partition_point(|e| e.sort_key().lt(from.bytes())),
        };
        for entry in &entries[start..] {
            let mut key = format!("{above}{}", entry.segment);
            let flow = match entry.kind {
                Kind::Object if self.is_past(&key) => ControlFlow::Break(()),
                Kind::Object => self.key(key),
                Kind::Prefix => {
                    key.push('/');
                    let below: PathBuf = names_of(&entry.segment, Kind::Prefix).iter().collect();
                    self.prefix(&directory.join(below), &key)?
                }
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn prefix(&mut self, directory: &Path, prefix: &str) -> io::Result<ControlFlow<()>> {
        let Query { prefix: wanted, after, .. } = *self.query;
        if !prefix.starts_with(wanted) && !wanted.starts_with(prefix) {
            return Ok(if self.is_past(prefix) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        if after > prefix && !after.starts_with(prefix) {
            return Ok(ControlFlow::Continue(()));
        }
        let Some(common) = self.common_prefix(prefix) else { return self.directory(directory, prefix) };
        if self.is_listed(common) {
            return Ok(ControlFlow::Continue(()));
        }
        // All keys below share this common prefix, so one that is after the marker is enough.
        if !after.starts_with(prefix) {
            // A directory that was emptied is no prefix of anything.
            return Ok(if has_any(directory)? { self.common(common.to_owned()) } else { ControlFlow::Continue(()) });
        }
        self.directory(directory, prefix)
    }

    fn key(&mut self, key: String) -> ControlFlow<()> {
        if !key.starts_with(self.query.prefix) || (!self.query.after.is_empty() && *key <= *self.query.after) {
            return ControlFlow::Continue(());
        }
        match self.common_prefix(&key) {
            Some(common) if self.is_listed(common) => ControlFlow::Continue(()),
            Some(common) => {
                let common = common.to_owned();
                self.common(common)
            }
            None => self.add(key, |page, key| page.keys.push(key)),
        }
    }

    fn common(&mut self, common: String) -> ControlFlow<()> {
        self.add(common, |page, common| page.common_prefixes.push(common))
    }

    fn add(&mut self, item: String, push: impl FnOnce(&mut Page, String)) -> ControlFlow<()> {
        if self.page.keys.len() + self.page.common_prefixes.len() == self.query.limit {
            self.page.next = self.last.take();
            return ControlFlow::Break(());
        }
        self.last = Some(item.clone());
        push(&mut self.page, item);
        ControlFlow::Continue(())
    }

    /// The common prefix that `key` (or every key below the prefix `key`) is listed under.
    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.query.delimiter?;
        let rest = key.strip_prefix(self.query.prefix)?;
        let at = rest.find(delimiter)?;
        Some(&key[..self.query.prefix.len() + at + delimiter.len()])
    }

    /// Whether it is on this page already, or was the last on the page before.
    fn is_listed(&self, common: &str) -> bool {
        self.page.common_prefixes.last().is_some_and(|last| last == common) || self.query.after == common
    }

    /// Whether nothing from `key` on begins with the prefix any more.
    fn is_past(&self, key: &str) -> bool {
        key > self.query.prefix && !key.starts_with(self.query.prefix)
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
