//! Threads of statements.
//!
//! A function may work on one batch for seconds, and no other task has its thread meanwhile. So each statement has threads of
//! its own, a crew, and the kernel divides the processors among statements. Their priority is low and none is a worker of the
//! server's runtime: however much statements compute, records are taken and calls answered. A crew ends with its statement:
//! a thread that does not end its work in time keeps nobody else waiting.

use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use crate::functions::tally::Room;

/// Stack of a worker: expressions are evaluated as deep as they are nested.
const STACK_BYTES: usize = 32 << 20;

/// Below everything else of the process.
const NICENESS: i32 = 10;

/// Makes crews, one ahead.
#[derive(Debug)]
pub(crate) struct Crews(Arc<Crew>);

/// What crews are like.
#[derive(Debug)]
struct Crew {
    threads: usize,
    room: Arc<Room>,
    next: Mutex<Option<Runtime>>,
}

impl Crews {
    /// Crews of so many threads, whose values have this room.
    pub(crate) fn new(threads: usize, room: Room) -> io::Result<Self> {
        let crew = Crew { threads: threads.max(1), room: Arc::new(room), next: Mutex::default() };
        crew.prepare()?;
        Ok(Self(Arc::new(crew)))
    }

    /// Does `work` on threads of its own, the tasks that it spawns included.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> io::Result<AbortHandle> {
        let next = self.0.next.lock().take();
        let runtime = next.map_or_else(|| self.0.start(), Ok)?;
        let handle = runtime.handle().clone();
        let working = Working { runtime: Some(runtime), crew: Arc::downgrade(&self.0) };
        let task = handle.spawn(async move {
            // Dropped last.
            let _working = working;
            work.await;
        });
        Ok(task.abort_handle())
    }
}

impl Crew {
    fn start(&self) -> io::Result<Runtime> {
        let room = Arc::clone(&self.room);
        Builder::new_multi_thread()
            .worker_threads(self.threads)
            .max_blocking_threads(self.threads * 4)
            .thread_name("sql-query")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(move || {
                lower_priority();
                room.enter();
            })
            .enable_all()
            .build()
    }

    /// Starts the next one, unless it is there.
    fn prepare(&self) -> io::Result<()> {
        if self.next.lock().is_none() {
            let made = self.start()?;
            // Another may have come before.
            let surplus = self.next.lock().replace(made);
            surplus.into_iter().for_each(Runtime::shutdown_background);
        }
        Ok(())
    }
}

impl Drop for Crew {
    /// A runtime must not be waited for in async code.
    fn drop(&mut self) {
        self.next.get_mut().take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Puts this thread below everything else of the process.
pub(crate) fn lower_priority() {
    // On Linux this is the calling thread's. Without it statements still run, only less politely.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a query thread keeps its priority");
    }
}

/// The crew of a statement that runs.
struct Working {
    runtime: Option<Runtime>,
    crew: Weak<Crew>,
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.crew.upgrade().map(|crew| crew.prepare()) {
            tracing::debug!(%error, "no threads for the next statement yet");
        }
        // Tasks that are left end where they yield.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
