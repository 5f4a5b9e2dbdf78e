//! Watching a body stream past: bytes are counted, the beginning is kept, nothing is held up.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use crate::Captured;

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its last byte passed.
    Complete,
    /// Its source broke off.
    Failed,
    /// Whoever took it stopped taking.
    Dropped,
}

/// What was seen of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Bytes that passed.
    pub bytes: u64,
    /// What was kept: all, or nothing.
    pub captured: Captured,
    /// How it ended; `None` while it goes on.
    pub ending: Option<Ending>,
}

/// A look at a body that streams elsewhere. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Mutex<State>>);

struct State {
    bytes: u64,
    limit: usize,
    /// `None` once more than `limit` has passed.
    kept: Option<BytesMut>,
    ending: Option<Ending>,
}

/// What happens when a body has ended.
type OnEnd = Box<dyn FnOnce(Seen) + Send>;

/// A body with a [`Watch`] on it.
pub struct Tapped<B> {
    body: Pin<Box<B>>,
    watch: Watch,
    on_end: Option<OnEnd>,
}

/// Watches `body`, keeping it if it is at most `limit` bytes long (with 0, nothing is kept).
pub fn watched<B: Body<Data = Bytes>>(body: B, limit: usize) -> (Tapped<B>, Watch) {
    let kept = (limit > 0).then(BytesMut::new);
    // An empty body is complete though nobody may ever read it.
    let ending = body.is_end_stream().then_some(Ending::Complete);
    let watch = Watch(Arc::new(Mutex::new(State { bytes: 0, limit, kept, ending })));
    (Tapped { body: Box::pin(body), watch: watch.clone(), on_end: None }, watch)
}

/// Watches `body` and calls `on_end` exactly once: when the body has ended or failed, or is dropped before.
pub fn tapped<B>(body: B, limit: usize, on_end: impl FnOnce(Seen) + Send + 'static) -> Tapped<B>
where
    B: Body<Data = Bytes>,
{
    let (mut body, _) = watched(body, limit);
    body.on_end = Some(Box::new(on_end));
    body
}

impl Watch {
    /// What was seen so far. A body that has not ended is not kept.
    pub fn seen(&self) -> Seen {
        let state = self.0.lock();
        let captured = match (&state.kept, state.ending) {
            (Some(kept), Some(Ending::Complete)) => Captured::Complete(Bytes::copy_from_slice(kept)),
            (None, _) if state.limit == 0 => Captured::None,
            _ => Captured::Truncated,
        };
        Seen { bytes: state.bytes, captured, ending: state.ending }
    }
}

impl State {
    fn pass(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        if let Some(kept) = &mut self.kept {
            if kept.len() + data.len() <= self.limit {
                kept.extend_from_slice(data);
            } else {
                self.kept = None;
            }
        }
    }
}

impl<B> Tapped<B> {
    fn end(&mut self, ending: Ending) {
        self.watch.0.lock().ending.get_or_insert(ending);
        if let Some(on_end) = self.on_end.take() {
            on_end(self.watch.seen());
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Tapped<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let polled = this.body.as_mut().poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.watch.0.lock().pass(data);
                }
                // Who knows a body's length may never ask for the frame after the last.
                if this.body.is_end_stream() {
                    this.watch.0.lock().ending = Some(Ending::Complete);
                }
            }
            Poll::Ready(Some(Err(_))) => this.end(Ending::Failed),
            Poll::Ready(None) => this.end(Ending::Complete),
            Poll::Pending => {}
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

impl<B> Drop for Tapped<B> {
    fn drop(&mut self) {
        self.end(Ending::Dropped);
    }
}

impl<B> fmt::Debug for Tapped<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tapped").field("watch", &self.watch).finish_non_exhaustive()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("bytes", &self.bytes).field("ending", &self.ending).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Empty, Full, StreamBody};

    #[tokio::test]
    async fn a_body_is_counted_and_kept_up_to_its_limit() {
        for (limit, captured) in
            [(5, Captured::Complete(Bytes::from("12345"))), (4, Captured::Truncated), (0, Captured::None)]
        {
            let (body, watch) = watched(Full::new(Bytes::from("12345")), limit);
            assert_eq!(watch.seen().ending, None);
            assert_eq!(body.collect().await.unwrap().to_bytes(), "12345");
            assert_eq!(watch.seen(), Seen { bytes: 5, captured, ending: Some(Ending::Complete) });
        }
    }

    #[tokio::test]
    async fn the_end_is_told_once_also_when_the_last_frame_was_the_last_asked_for() {
        let (told, ends) = std::sync::mpsc::channel();
        let mut body = tapped(Full::new(Bytes::from("12345")), 0, move |seen| told.send(seen.ending).unwrap());
        body.frame().await;
        assert!(body.is_end_stream());
        drop(body);
        assert_eq!(ends.iter().collect::<Vec<_>>(), [Some(Ending::Complete)]);
    }

    #[test]
    fn an_empty_body_that_nobody_reads_is_complete() {
        let (body, watch) = watched(Empty::<Bytes>::new(), 0);
        drop(body);
        assert_eq!(watch.seen().ending, Some(Ending::Complete));
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_on_the_way_says_so_and_keeps_nothing() {
        let frames = [Ok::<_, std::io::Error>(Frame::data(Bytes::from("1"))), Ok(Frame::data(Bytes::from("2")))];
        let (mut body, watch) = watched(StreamBody::new(futures::stream::iter(frames)), 10);
        body.frame().await;
        drop(body);
        assert_eq!(watch.seen(), Seen { bytes: 1, captured: Captured::Truncated, ending: Some(Ending::Dropped) });
    }
}
