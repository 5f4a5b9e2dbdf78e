//! Disks that fail and processes that die, for tests. In release builds there is nothing of it.

use std::io;
use std::path::Path;

/// A step on the disk at `path`, unless a test has it fail.
#[inline(always)]
pub(crate) fn around<T>(path: &Path, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let at = At::step(path);
    at.before()?;
    let done = step()?;
    at.after()?;
    Ok(done)
}

/// A step that has begun.
pub(crate) struct At {
    #[cfg(debug_assertions)]
    outcome: Option<planned::Outcome>,
}

#[cfg(not(debug_assertions))]
impl At {
    #[inline(always)]
    pub(crate) fn step(_: &Path) -> Self {
        Self {}
    }

    #[inline(always)]
    pub(crate) fn before(&self) -> io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn after(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(debug_assertions)]
pub use planned::{Fault, Faults};

#[cfg(debug_assertions)]
mod planned {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError};

    use super::At;

    /// How a step goes wrong.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fault {
        /// It is not made, and fails as on a full disk. Those after it succeed.
        Refused,
        /// It is made, and reported failed. Those after it succeed.
        Doubtful,
        /// It fails as on a broken disk, and so do so many after it.
        Outage(usize),
        /// The process dies before it: neither it is made nor any after it, until [`Faults::clear`].
        Death,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Outcome {
        Refused,
        Doubtful,
        Broken,
    }

    #[derive(Debug, Default)]
    struct State {
        steps: usize,
        planned: Option<(usize, Fault)>,
    }

    static WATCHED: Mutex<Vec<(PathBuf, Arc<Mutex<State>>)>> = Mutex::new(Vec::new());

    fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the steps on the disk below one directory, and makes some of them go wrong.
    #[derive(Debug)]
    pub struct Faults {
        state: Arc<Mutex<State>>,
    }

    impl Faults {
        /// Those below `dir`, which is there already, until this is dropped.
        pub fn below(dir: &Path) -> Self {
            let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
            let state = Arc::default();
            locked(&WATCHED).push((dir, Arc::clone(&state)));
            Self { state }
        }

        /// From now on, the step after the next `steps` goes wrong.
        pub fn plan(&self, steps: usize, fault: Fault) {
            *locked(&self.state) = State { steps: 0, planned: Some((steps, fault)) };
        }

        /// Whether the planned step was reached. Nothing goes wrong from now on.
        pub fn clear(&self) -> bool {
            let State { steps, planned } = std::mem::take(&mut *locked(&self.state));
            planned.is_some_and(|(at, _)| steps > at)
        }

        /// Whether the process is dead.
        pub fn is_dead(&self) -> bool {
            let State { steps, planned } = &*locked(&self.state);
            matches!(planned, Some((at, Fault::Death)) if steps > at)
        }
    }

    impl Drop for Faults {
        fn drop(&mut self) {
            locked(&WATCHED).retain(|(_, state)| !Arc::ptr_eq(state, &self.state));
        }
    }

    impl At {
        pub(crate) fn step(path: &Path) -> Self {
            let found = |(dir, state): &(PathBuf, Arc<Mutex<State>>)| path.starts_with(dir).then(|| Arc::clone(state));
            let Some(state) = locked(&WATCHED).iter().find_map(found) else { return Self { outcome: None } };
            let mut state = locked(&state);
            let step = state.steps;
            state.steps += 1;
            let outcome = match state.planned {
                Some((at, Fault::Refused)) if step == at => Some(Outcome::Refused),
                Some((at, Fault::Doubtful)) if step == at => Some(Outcome::Doubtful),
                Some((at, Fault::Outage(more))) if (at..=at + more).contains(&step) => Some(Outcome::Broken),
                Some((at, Fault::Death)) if step >= at => Some(Outcome::Broken),
                _ => None,
            };
            Self { outcome }
        }

        pub(crate) fn before(&self) -> io::Result<()> {
            match self.outcome {
                Some(Outcome::Refused) => Err(io::ErrorKind::StorageFull.into()),
                Some(Outcome::Broken) => Err(io::Error::other("the disk fails")),
                Some(Outcome::Doubtful) | None => Ok(()),
            }
        }

        pub(crate) fn after(&self) -> io::Result<()> {
            match self.outcome {
                Some(Outcome::Doubtful) => Err(io::Error::other("the disk says that it failed")),
                _ => Ok(()),
            }
        }
    }
}
