//! Disks that fail and processes that die, for tests.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The step fails as on a full disk; those after it succeed.
    DiskFull,
    /// The process dies before the step: it is not made, nor is any after it.
    Death,
}

/// Counts the changes of one store's disk, and makes one of them go wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    steps: usize,
    planned: Option<(usize, Fault)>,
}

impl Faults {
    /// From now on, the step after the next `steps` goes wrong.
    pub(crate) fn plan(&self, steps: usize, fault: Fault) {
        *self.0.lock() = State { steps: 0, planned: Some((steps, fault)) };
    }

    /// Whether the planned step was reached; nothing goes wrong from now on.
    pub(crate) fn clear(&self) -> bool {
        let State { steps, planned } = std::mem::take(&mut *self.0.lock());
        planned.is_some_and(|(at, _)| steps > at)
    }

    pub(crate) fn step(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        let step = state.steps;
        state.steps += 1;
        match state.planned {
            Some((at, Fault::DiskFull)) if step == at => Err(io::ErrorKind::StorageFull.into()),
            Some((at, Fault::Death)) if step >= at => Err(io::Error::other("the process is dead")),
            _ => Ok(()),
        }
    }
}
