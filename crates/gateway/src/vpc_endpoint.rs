//! A gateway as a VPC endpoint: its policy decides over each call before anything of it goes to the upstream.
//!
//! Most calls say in their head what they want, and their body streams on as ever. The documents of the other protocols
//! are read first: [`READ_AHEAD`] bytes of any call, up to [`LONGEST_DOCUMENT`] of [`LONG_DOCUMENTS`] calls at a time. What
//! was read is then sent on before the rest.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use opentrail_model::AccountId;
use opentrail_recorder::{Ask, Captured, Credential, asked, credential, is_asked_in_body};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::Refusal;
use crate::connection::Peer;
use crate::gateway::Shared;

/// What is read ahead of any call.
const READ_AHEAD: usize = 256 * 1024;
/// The longest document that can be judged: the largest request of DynamoDB. A longer one cannot, and is denied.
const LONGEST_DOCUMENT: usize = 16 << 20;
/// Calls that may hold more than [`READ_AHEAD`] at a time; more wait.
const LONG_DOCUMENTS: usize = 4;
/// How much of a denied call's body is taken off the connection, so that it can be used again.
const DRAINED: usize = 1 << 20;

/// The VPC endpoint that a gateway is.
#[derive(Clone, Debug)]
pub struct VpcEndpoint {
    /// `vpce-…`.
    pub id: String,
    /// Whose endpoint it is: receives the network activity events.
    pub owner: AccountId,
    /// Its policy; without one everything may pass, as AWS's default policy has it.
    pub policy: Option<Arc<dyn EndpointPolicy>>,
}

/// Decides who may do what through a VPC endpoint.
pub trait EndpointPolicy: fmt::Debug + Send + Sync + 'static {
    /// Whether the call may pass.
    ///
    /// # Errors
    /// What the caller is told when it may not.
    fn judge(&self, call: &EndpointCall<'_>) -> Result<(), String>;
}

/// A call that wants to pass.
#[derive(Debug)]
pub struct EndpointCall<'a> {
    /// Whose key signed it, unchecked: the upstream does that, and refuses what is not genuine.
    pub credential: Option<Credential>,
    /// All that it asks for; `None` when that cannot be told.
    pub asks: Option<Vec<Ask>>,
    /// Its head, for conditions.
    pub head: &'a Parts,
    /// Who sends it.
    pub peer: &'a Peer,
}

/// Bodies of long documents, at most so many at a time.
pub(crate) fn long_documents() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(LONG_DOCUMENTS))
}

/// Lets a call pass, with its body whole, or refuses it.
pub(crate) async fn admit<B>(shared: &Shared, head: &Parts, peer: &Peer, body: B) -> Result<Reread<B>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut body = Reread { read: VecDeque::new(), rest: body, room: None };
    let Some(policy) = shared.config.vpc_endpoint.as_ref().and_then(|endpoint| endpoint.policy.as_ref()) else {
        return Ok(body);
    };
    let document = if is_asked_in_body(head, &shared.endpoint) {
        body.read_ahead(&shared.long_documents).await?
    } else {
        Captured::None
    };
    let call = EndpointCall {
        credential: credential(&head.headers, &head.uri),
        asks: asked(head, document, &shared.endpoint),
        head,
        peer,
    };
    match policy.judge(&call) {
        Ok(()) => Ok(body),
        Err(message) => {
            // Whoever waits for "100 Continue" sends nothing more.
            if !head.headers.contains_key(http::header::EXPECT) {
                body.drain().await;
            }
            Err(Refusal::Denied(message))
        }
    }
}

/// A body part of which has been read already.
#[derive(Debug)]
pub(crate) struct Reread<B> {
    read: VecDeque<Frame<Bytes>>,
    rest: B,
    /// Held while `read` holds a long document.
    room: Option<OwnedSemaphorePermit>,
}

impl<B: Body<Data = Bytes> + Unpin> Reread<B> {
    /// The whole body, if it is no longer than a document may be.
    async fn read_ahead(&mut self, long: &Arc<Semaphore>) -> Result<Captured, Refusal> {
        let mut length = 0;
        while let Some(frame) = self.rest.frame().await {
            let Ok(frame) = frame else { return Err(Refusal::SlowClient) };
            length += frame.data_ref().map_or(0, Bytes::len);
            self.read.push_back(frame);
            if length > READ_AHEAD && self.room.is_none() {
                let room = Arc::clone(long).acquire_owned().await;
                // It lives as long as the gateway, which never closes it.
                self.room = Some(room.expect("the semaphore of documents is never closed"));
            }
            if length > LONGEST_DOCUMENT {
                return Ok(Captured::Truncated);
            }
        }
        let mut whole = BytesMut::with_capacity(length);
        self.read.iter().filter_map(Frame::data_ref).for_each(|data| whole.extend_from_slice(data));
        Ok(Captured::Complete(whole.freeze()))
    }

    /// Takes the rest off the connection, unless it is too much.
    async fn drain(&mut self) {
        self.read.clear();
        let mut length: usize = 0;
        while length < DRAINED
            && let Some(Ok(frame)) = self.rest.frame().await
        {
            length += frame.data_ref().map_or(1, Bytes::len);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Reread<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.read.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => {
                self.room = None;
                Pin::new(&mut self.rest).poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum::<u64>();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + read);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + read);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn what_was_read_ahead_is_read_again() {
        let mut body = Reread { read: VecDeque::new(), rest: Full::new(Bytes::from_static(b"document")), room: None };
        let long = long_documents();
        assert_eq!(body.read_ahead(&long).await.ok(), Some(Captured::Complete(Bytes::from_static(b"document"))));
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(8), false));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "document");
    }

    #[tokio::test]
    async fn a_document_that_is_too_long_is_not_held() {
        let bytes = Bytes::from(vec![b' '; LONGEST_DOCUMENT + 1]);
        let mut body = Reread { read: VecDeque::new(), rest: Full::new(bytes), room: None };
        let long = long_documents();
        assert_eq!(body.read_ahead(&long).await.ok(), Some(Captured::Truncated));
        assert_eq!(long.available_permits(), LONG_DOCUMENTS - 1);
        drop(body);
        assert_eq!(long.available_permits(), LONG_DOCUMENTS);
    }
}
