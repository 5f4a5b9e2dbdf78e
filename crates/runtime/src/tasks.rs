use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, error_span, info, warn};

/// Tells tasks to finish. Cheap to clone; once begun it cannot be taken back.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins it.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns once it has begun.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }

    /// A shutdown that begins with this one or on its own.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}

/// What to do when a task ends with an error or a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Log it and let the others go on.
    Log,
    /// Log it and shut the process down: the rest cannot be right without this task.
    ShutDown,
}

/// The tasks of one process or component, each with a name.
#[derive(Clone, Debug, Default)]
pub struct TaskGroup {
    tracker: TaskTracker,
    shutdown: Shutdown,
}

impl TaskGroup {
    /// A group whose tasks are told to finish by `shutdown`.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { tracker: TaskTracker::new(), shutdown }
    }

    /// What tells this group's tasks to finish.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Starts a task. It is expected to end by itself soon after the shutdown begins.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts tasks")]
    pub fn spawn<F, E>(&self, name: &'static str, on_error: OnError, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        let guarded = async move {
            let failure = match tokio::spawn(task.in_current_span()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(join) if join.is_cancelled() => return,
                Err(join) => join.to_string(),
            };
            error!(task = name, error = failure, "task failed");
            if on_error == OnError::ShutDown {
                shutdown.begin();
            }
        };
        self.tracker.spawn(guarded.instrument(error_span!("task", name)));
    }

    /// Runs `work` to its end even when the caller stops waiting for it. `None` when it panicked, which is logged.
    ///
    /// # Cancellation
    /// Dropping the returned future leaves the work running; [`Self::join`] waits for it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts tasks")]
    pub async fn shield<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        match tokio::spawn(self.tracker.track_future(work.in_current_span())).await {
            Ok(value) => Some(value),
            Err(join) => {
                error!(error = %join, "work panicked");
                None
            }
        }
    }

    /// Waits until every task has ended, at most for `deadline`. Call after the shutdown has begun.
    pub async fn join(&self, deadline: Duration) {
        self.tracker.close();
        let count = self.tracker.len();
        if tokio::time::timeout(deadline, self.tracker.wait()).await.is_err() {
            warn!(tasks = self.tracker.len(), "tasks still running at the deadline");
        } else if count > 0 {
            info!(tasks = count, "tasks finished");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shielded_work_goes_on_without_its_caller() {
        let group = TaskGroup::new(Shutdown::new());
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let work = group.shield(async move {
            gone.await.unwrap();
            tell.send("done").await.unwrap();
        });
        assert!(tokio::time::timeout(Duration::ZERO, work).await.is_err());
        go.send(()).unwrap();
        assert_eq!(told.recv().await, Some("done"));
        group.join(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_vital_task_that_fails_begins_the_shutdown() {
        let group = TaskGroup::new(Shutdown::new());
        group.spawn("doomed", OnError::ShutDown, async { Err("no") });
        group.shutdown().begun().await;
        group.join(Duration::from_secs(5)).await;
    }
}
