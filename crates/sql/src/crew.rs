//! Threads of statements.
//!
//! A function may work on one batch for seconds, and no other task has its thread meanwhile. So each statement has threads of
//! its own, a crew, and the kernel divides the processors among statements. Their priority is low and none is a worker of the
//! server's runtime: however much statements compute, records are taken and calls answered. A crew whose statement has ended
//! works for the next one, unless there is still work of the ended one on it.

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

/// Crews that are kept for the next statements: their threads have memory at hand.
const IDLE: usize = 2;

/// Makes crews, and keeps a few.
#[derive(Debug)]
pub(crate) struct Crews {
    threads: usize,
    room: Arc<Room>,
    idle: Arc<Idle>,
}

#[derive(Debug, Default)]
struct Idle(Mutex<Vec<Runtime>>);

impl Crews {
    /// Crews of so many threads, whose values have this room.
    pub(crate) fn new(threads: usize, room: Room) -> io::Result<Self> {
        let crews = Self { threads: threads.max(1), room: Arc::new(room), idle: Arc::default() };
        let first = crews.start()?;
        crews.idle.0.lock().push(first);
        Ok(crews)
    }

    /// Does `work` on threads of its own, the tasks that it spawns included.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> io::Result<AbortHandle> {
        let idle = self.idle.0.lock().pop();
        let runtime = idle.map_or_else(|| self.start(), Ok)?;
        let handle = runtime.handle().clone();
        let crew = Crew { runtime: Some(runtime), idle: Arc::downgrade(&self.idle) };
        let task = handle.spawn(async move {
            // Dropped last.
            let _crew = crew;
            work.await;
        });
        Ok(task.abort_handle())
    }

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
}

impl Drop for Idle {
    /// A runtime must not be waited for in async code.
    fn drop(&mut self) {
        self.0.get_mut().drain(..).for_each(Runtime::shutdown_background);
    }
}

/// Puts this thread below everything else of the process.
pub(crate) fn lower_priority() {
    // On Linux this is the calling thread's. Without it statements still run, only less politely.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a query thread keeps its priority");
    }
}

/// The threads of a statement that runs.
struct Crew {
    runtime: Option<Runtime>,
    idle: Weak<Idle>,
}

impl Drop for Crew {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // One task is what drops this. Another may be at work for long.
        let is_free = runtime.metrics().num_alive_tasks() <= 1;
        if let Some(idle) = self.idle.upgrade().filter(|_| is_free) {
            let mut idle = idle.0.lock();
            if idle.len() < IDLE {
                idle.push(runtime);
                return;
            }
        }
        // Tasks that are left end where they yield.
        runtime.shutdown_background();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use tokio::runtime::Handle;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn crews() -> Crews {
        Crews::new(1, Room::new(usize::MAX, || 0)).unwrap()
    }

    /// The thread that does this work, once the crew is back.
    fn thread_of(crews: &Crews) -> thread::ThreadId {
        let (sender, receiver) = mpsc::channel();
        let idle = crews.idle.0.lock().len();
        crews.spawn(async move { sender.send(thread::current().id()).unwrap() }).unwrap();
        let thread = receiver.recv_timeout(SOON).unwrap();
        while crews.idle.0.lock().len() < idle {
            thread::yield_now();
        }
        thread
    }

    #[test]
    fn a_crew_works_for_the_next_statement() {
        let crews = crews();
        assert_eq!(thread_of(&crews), thread_of(&crews));
    }

    #[test]
    fn a_crew_with_work_left_is_not_used_again() {
        let crews = crews();
        let (sender, receiver) = mpsc::channel::<()>();
        let statement = async move {
            // Dropped with the threads.
            let sender = sender;
            Handle::current().spawn(async move {
                let _sender = sender;
                std::future::pending::<()>().await;
            });
        };
        crews.spawn(statement).unwrap();
        assert_eq!(receiver.recv_timeout(SOON), Err(mpsc::RecvTimeoutError::Disconnected));
        assert!(crews.idle.0.lock().is_empty());
        thread_of(&crews);
    }
}
