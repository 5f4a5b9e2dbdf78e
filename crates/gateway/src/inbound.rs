//! A request's body, and what becomes of it when the request is answered before it is read.
//!
//! HTTP/1.1 has the next request after this one's body. Whoever refuses a call does not read that far, and hyper then closes the
//! connection without a word: a client that sends its next call meanwhile gets no answer. So a short rest is read and
//! thrown away before the answer leaves; where there is more, the answer says that the connection closes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::oneshot;

/// The longest rest that is read.
const REST_BYTES: u64 = 256 << 10;
/// How long it is waited for.
const REST_TIME: Duration = Duration::from_secs(1);

/// The body of a client's request. One that is dropped before its end goes back to the connection.
#[derive(Debug)]
pub struct Inbound {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let Some((rest, back)) = rest.zip(self.back.take()) {
            // The connection may be gone.
            let _ = back.send(rest);
        }
    }
}

/// Where the rest of a request's body comes back to.
#[derive(Debug)]
pub(crate) struct Rest {
    rest: oneshot::Receiver<Incoming>,
    /// Whether the next request comes after it.
    in_line: bool,
    /// The client sends nothing before it is told to, which reading would do.
    waits: bool,
}

/// The request with a body that is not lost.
pub(crate) fn watched(request: Request<Incoming>) -> (Request<Inbound>, Rest) {
    let (back, rest) = oneshot::channel();
    let in_line = request.version() < Version::HTTP_2;
    let waits = request.headers().contains_key(header::EXPECT);
    let request = request.map(|body| Inbound { body: Some(body), back: Some(back) });
    (request, Rest { rest, in_line, waits })
}

impl Rest {
    /// Makes room for the next request on the connection, or has the answer say that there is none.
    pub(crate) async fn settle<B>(mut self, answer: &mut Response<B>) {
        let Ok(rest) = self.rest.try_recv() else { return };
        if self.in_line && (self.waits || !is_read(rest).await) {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

async fn is_read(mut rest: Incoming) -> bool {
    if rest.size_hint().lower() > REST_BYTES {
        return false;
    }
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = rest.frame().await {
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            if bytes > REST_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(REST_TIME, read).await.unwrap_or(false)
}
