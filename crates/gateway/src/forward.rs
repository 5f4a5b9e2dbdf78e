//! Carrying one call to the upstream and its answer back.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use opentrail_recorder::tap::{self, Ending, Tapped};
use opentrail_recorder::wanted_capture;
use tracing::{debug, warn};

use crate::answer::{Framing, Refusal};
use crate::call::Call;
use crate::connection::Peer;
use crate::gateway::Shared;
use crate::inbound::Inbound;
use crate::stall::{Prompt, Stalled};
use crate::upstream::{RequestBody, SendError, Slot};
use crate::{headers, vpc_endpoint};

/// A response's body on its way: the upstream's, or one of ours.
pub(crate) type ResponseBody = Tapped<Either<Prompt<Incoming>, Full<Bytes>>>;

/// Carries a call over and its answer back. Its record is made once the answer has been sent, or as soon as this future
/// or the answer's body is dropped.
pub(crate) async fn carry(shared: Arc<Shared>, peer: Peer, request: Request<Inbound>) -> Response<ResponseBody> {
    // Never closed: it lives as long as the gateway, which never closes it.
    let permit = Arc::clone(&shared.calls).acquire_owned().await.expect("the semaphore of calls is never closed");
    let started = shared.clock.now();
    let (mut head, body) = request.into_parts();
    let capture = wanted_capture(&head, &shared.endpoint);
    let framing = Framing::of(&head, &shared.endpoint);
    let asks_for_head = head.method == Method::HEAD;
    let client_timeout = shared.config.client_timeout;
    let (body, watch) = tap::watched(Prompt::new(body, client_timeout), capture.request.for_request());
    let mut call = Call::begin(Arc::clone(&shared), peer, started, &head, watch, permit);

    let admitted = vpc_endpoint::admit(&shared, &head, call.peer(), body).await;
    let sent = match admitted {
        Ok(body) => {
            headers::for_upstream(&mut head);
            head.extensions.clear();
            let body = if body.is_end_stream() { Either::Right(Empty::new()) } else { Either::Left(body) };
            send(&shared, head, body, &call).await
        }
        Err(refusal) => Err(refusal),
    };
    let (head, body, slot) = match sent {
        Ok((response, slot)) => {
            let (mut head, body) = response.into_parts();
            headers::for_client(&mut head.headers);
            // The client's connection speaks its own version.
            head.version = Version::default();
            head.extensions.clear();
            (head, Either::Left(Prompt::new(body, shared.config.upstream_timeout)), slot)
        }
        Err(refusal) => {
            metrics::counter!("opentrail_gateway_refusals_total", "reason" => refusal.reason()).increment(1);
            if matches!(refusal, Refusal::Denied(_)) {
                call.denied();
            }
            let (head, body) = refusal.answer(framing, &shared.random.uuid().to_string()).into_parts();
            // The answer to HEAD has no body, and none that nobody reads.
            (head, Either::Right(Full::new(if asks_for_head { Bytes::new() } else { body })), None)
        }
    };
    call.answered(head.status, &head.headers);
    let limit = capture.response.for_status(head.status);
    let ended = move |seen| {
        drop(slot);
        call.ended(seen);
    };
    Response::from_parts(head, tap::tapped(body, limit, ended))
}

/// Sends a request and waits for the head of its answer.
async fn send(
    shared: &Shared,
    head: Parts,
    body: RequestBody,
    call: &Call,
) -> Result<(Response<Incoming>, Option<Slot>), Refusal> {
    match tokio::time::timeout(shared.config.upstream_timeout, shared.upstream.send(head, body)).await {
        Ok(Ok((response, _))) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(Refusal::Broken),
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(error @ SendError::Connect(_))) => {
            warn!(error = %chain(&error), upstream = %shared.config.upstream, "cannot reach the upstream");
            Err(Refusal::Unreachable)
        }
        Ok(Err(error)) => {
            let client_failed = call.request_seen().is_some_and(|seen| seen.ending == Some(Ending::Failed));
            debug!(error = %chain(&error), upstream = %shared.config.upstream, client_failed, "a call broke off");
            Err(if client_failed || is_stalled(&error) { Refusal::SlowClient } else { Refusal::Broken })
        }
        Err(_) => Err(Refusal::Silent),
    }
}

fn is_stalled(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<Stalled>())
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<_> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    texts.join(": ")
}
