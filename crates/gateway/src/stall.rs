//! Limits on how long a peer may keep us waiting: for the next frame of a body, and to take bytes that are written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Any error.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whoever sends a body has sent nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("no data for {0:?}")]
pub(crate) struct Stalled(pub(crate) Duration);

/// A body whose next frame must come within a time.
#[derive(Debug)]
pub(crate) struct Prompt<B> {
    body: B,
    limit: Limit,
}

impl<B> Prompt<B> {
    pub(crate) fn new(body: B, limit: Duration) -> Self {
        Self { body, limit: Limit::new(limit) }
    }
}

impl<B> Body for Prompt<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.limit.clear();
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                ready!(this.limit.poll_over(cx));
                Poll::Ready(Some(Err(Stalled(this.limit.duration).into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose peer must take what is written within a time.
#[derive(Debug)]
pub(crate) struct PromptWrites<S> {
    stream: S,
    limit: Limit,
}

impl<S> PromptWrites<S> {
    pub(crate) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit: Limit::new(limit) }
    }

    fn bounded<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.limit.clear();
            return polled;
        }
        ready!(self.limit.poll_over(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no more")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PromptWrites<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PromptWrites<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(polled, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded(polled, cx)
    }
}

/// A time that runs while somebody waits. The timer is made when first needed: most waits are none.
#[derive(Debug)]
struct Limit {
    duration: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Limit {
    fn new(duration: Duration) -> Self {
        Self { duration, timer: None, running: false }
    }

    fn clear(&mut self) {
        self.running = false;
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.duration)));
        if !self.running {
            timer.as_mut().reset(Instant::now() + self.duration);
            self.running = true;
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::io::AsyncWriteExt;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_fails_after_its_limit() {
        let frames = futures::stream::pending::<Result<Frame<Bytes>, io::Error>>();
        let mut body = Prompt::new(StreamBody::new(frames), Duration::from_secs(60));
        let begun = Instant::now();
        assert!(body.frame().await.unwrap().unwrap_err().is::<Stalled>());
        assert!(begun.elapsed() >= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_fails_the_write() {
        let (near, _far) = tokio::io::duplex(4);
        let mut near = PromptWrites::new(near, Duration::from_secs(60));
        let error = near.write_all(b"12345").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
