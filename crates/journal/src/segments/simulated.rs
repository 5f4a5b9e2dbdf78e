//! A disk in memory that forgets what was not synced, and fails when it is told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use opentrail_runtime::{Random, SeededRandom};
use parking_lot::Mutex;

use super::disk::{Disk, DiskFile};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not done.
    Lost,
    /// It is done, but reported as failed.
    Kept,
}

/// The disk. A clone is the same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: SeededRandom,
    /// What a process sees.
    names: BTreeMap<String, Content>,
    /// What names a crash leaves.
    durable_names: BTreeMap<String, Content>,
    /// Operations that change something, so far.
    operations: u64,
    /// Which operations fail, and how.
    plan: Vec<(std::ops::Range<u64>, Fault)>,
    /// Every later operation fails: the process is as good as dead.
    dead_from: u64,
}

type Content = Arc<Mutex<File>>;

#[derive(Debug, Default)]
struct File {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Ranges written since the last sync.
    written: Vec<(usize, usize)>,
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: SeededRandom::new(seed),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            operations: 0,
            plan: Vec::new(),
            dead_from: u64::MAX,
        })))
    }

    /// From now on, these operations (counted from now) fail.
    pub(crate) fn fail(&self, operations: std::ops::Range<u64>, fault: Fault) {
        let mut state = self.0.lock();
        let now = state.operations;
        state.plan.push((now + operations.start..now.saturating_add(operations.end), fault));
    }

    /// From the operation `after` operations from now on, everything fails.
    pub(crate) fn die(&self, after: u64) {
        let mut state = self.0.lock();
        state.dead_from = state.operations + after;
    }

    /// Takes all faults away.
    pub(crate) fn heal(&self) {
        let mut state = self.0.lock();
        state.plan.clear();
        state.dead_from = u64::MAX;
    }

    /// What a process sees of a file.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.0.lock().names[name].lock().now.clone()
    }

    /// The machine loses power: of what was not synced, any part may be there or not, in pages of 512 bytes.
    pub(crate) fn lose_power(&self) {
        let mut state = self.0.lock();
        let state = &mut *state;
        state.names = state.durable_names.clone();
        for content in state.names.values() {
            let mut file = content.lock();
            let mut after = file.durable.clone();
            let chance = |random: &SeededRandom| {
                let mut byte = [0];
                random.fill(&mut byte);
                byte[0] < 128
            };
            if after.len() < file.now.len() || chance(&state.random) {
                let len = file.now.len();
                after.resize(len, 0);
            }
            for (start, end) in &file.written {
                for page in (*start..*end).step_by(512) {
                    let end = (page + 512).min(*end).min(after.len()).min(file.now.len());
                    if page < end && chance(&state.random) {
                        after[page..end].copy_from_slice(&file.now[page..end]);
                    }
                }
            }
            *file = File { now: after.clone(), durable: after, written: Vec::new() };
        }
        state.dead_from = u64::MAX;
        state.plan.clear();
    }

    /// Changes bytes behind everybody's back.
    pub(crate) fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let content = Arc::clone(&self.0.lock().names[name]);
        let mut file = content.lock();
        change(&mut file.now);
        file.durable = file.now.clone();
        file.written.clear();
    }

    fn change(&self, what: &'static str, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.0.lock();
        let number = state.operations;
        state.operations += 1;
        let fault = state.plan.iter().find(|(range, _)| range.contains(&number)).map(|(_, fault)| *fault);
        let fault = if number >= state.dead_from { Some(Fault::Lost) } else { fault };
        if fault != Some(Fault::Lost) {
            change(&mut state);
        }
        match fault {
            Some(fault) => Err(io::Error::other(format!("{what} failed on purpose ({fault:?})"))),
            None => Ok(()),
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let content = Content::default();
        self.change("create", |state| {
            state.names.insert(name.to_owned(), Arc::clone(&content));
        })?;
        Ok(Box::new(Handle { disk: self.clone(), content }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let content = self.0.lock().names.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Handle { disk: self.clone(), content }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change("rename", |state| {
            if let Some(content) = state.names.remove(from) {
                state.names.insert(to.to_owned(), content);
            }
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change("remove", |state| {
            state.names.remove(name);
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        self.change("sync names", |state| state.durable_names = state.names.clone())
    }

    fn path_of(&self, name: &str) -> String {
        format!("journal/{name}")
    }
}

#[derive(Debug)]
struct Handle {
    disk: SimulatedDisk,
    content: Content,
}

impl DiskFile for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.content.lock();
        let bytes = file.now.get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.change("write", |_| {
            let mut file = self.content.lock();
            let (start, end) = (offset as usize, offset as usize + bytes.len());
            if file.now.len() < end {
                file.now.resize(end, 0);
            }
            file.now[start..end].copy_from_slice(bytes);
            file.written.push((start, end));
        })
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change("set length", |_| self.content.lock().now.resize(len as usize, 0))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.change("sync", |_| {
            let mut file = self.content.lock();
            file.durable = file.now.clone();
            file.written.clear();
        })
    }
}
