//! Whether a client still takes what it asked for. In HTTP/2 the socket does not tell: a client may answer pings and
//! leave an answer's window shut. So each answer's body notes when it gave a piece away, and the stream's task ends,
//! which resets the stream, when nobody asks for the next piece in time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::debug;

tokio::task_local! {
    /// How the answer stands whose stream this task carries.
    static PROGRESS: Arc<Progress>;
}

/// The calls under way on a connection.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<Counted>);

#[derive(Debug)]
struct Counted {
    calls: usize,
    /// When the last call ended, or the connection began.
    since: Instant,
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct ActiveCall(Arc<Activity>);

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Counted { calls: 0, since: Instant::now() }))
    }

    pub(crate) fn begin(self: &Arc<Self>) -> ActiveCall {
        self.0.lock().calls += 1;
        ActiveCall(Arc::clone(self))
    }

    /// Returns once there has been no call for `limit`, counted from now at the earliest.
    pub(crate) async fn idle(&self, limit: Duration) {
        let begun = Instant::now();
        loop {
            let left = {
                let counted = self.0.lock();
                let since = if counted.calls == 0 { counted.since.max(begun) } else { Instant::now() };
                limit.saturating_sub(since.elapsed())
            };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

impl Drop for ActiveCall {
    fn drop(&mut self) {
        let mut counted = self.0.0.lock();
        counted.calls -= 1;
        counted.since = Instant::now();
    }
}

/// When an answer's latest piece was given away, if nobody has asked for more since.
#[derive(Debug, Default)]
struct Progress(Mutex<Option<Instant>>);

impl Progress {
    /// Returns once nobody has asked for the next piece for `limit`.
    async fn stalled(&self, limit: Duration) {
        loop {
            let given = *self.0.lock();
            let left = given.map_or(limit, |given| limit.saturating_sub(given.elapsed()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// The body of an answer, which notes how it is taken.
#[derive(Debug)]
pub(crate) struct Taken<B> {
    body: B,
    /// In HTTP/2 only: the socket tells it in HTTP/1.1.
    progress: Option<Arc<Progress>>,
    _call: ActiveCall,
}

impl<B> Taken<B> {
    /// To be made in the task that carries the stream.
    pub(crate) fn new(body: B, call: ActiveCall) -> Self {
        Self { body, progress: PROGRESS.try_with(Arc::clone).ok(), _call: call }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Taken<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(progress) = &self.progress {
            let given = matches!(&polled, Poll::Ready(Some(Ok(_))));
            *progress.0.lock() = given.then(Instant::now);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs the streams of HTTP/2 connections, and ends those whose clients take no more.
#[derive(Clone, Debug)]
pub(crate) struct PatientExecutor {
    limit: Duration,
}

impl PatientExecutor {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<F> hyper::rt::Executor<F> for PatientExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (progress, limit) = (Arc::new(Progress::default()), self.limit);
        let carried = PROGRESS.scope(Arc::clone(&progress), stream);
        hyper::rt::Executor::execute(&TokioExecutor::new(), async move {
            tokio::select! {
                () = carried => {}
                () = progress.stalled(limit) => {
                    metrics::counter!("opentrail_gateway_stalled_clients_total").increment(1);
                    debug!("an HTTP/2 client takes no more of its answer");
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test(start_paused = true)]
    async fn an_answer_stalls_only_while_a_piece_is_out_and_nobody_asks_for_more() {
        let (progress, limit) = (Arc::new(Progress::default()), Duration::from_secs(60));
        let activity = Arc::new(Activity::new());
        let body = Full::new(Bytes::from("x"));
        let mut body = PROGRESS.sync_scope(Arc::clone(&progress), || Taken::new(body, activity.begin()));
        let waited = || tokio::time::timeout(limit * 10, progress.stalled(limit));
        assert!(waited().await.is_err(), "nothing is out yet");
        body.frame().await;
        let begun = Instant::now();
        assert!(waited().await.is_ok());
        assert!(begun.elapsed() >= limit && begun.elapsed() < limit * 2);
        assert!(body.frame().await.is_none());
        assert!(waited().await.is_err(), "all of it was taken");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_while_no_call_is_under_way() {
        let activity = Arc::new(Activity::new());
        let limit = Duration::from_secs(60);
        let call = activity.begin();
        assert!(tokio::time::timeout(limit * 10, activity.idle(limit)).await.is_err());
        drop(call);
        let begun = Instant::now();
        activity.idle(limit).await;
        assert_eq!(begun.elapsed(), limit);
    }
}
