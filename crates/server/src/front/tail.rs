//! `POST /v1/tail`: events as they become durable, until the client hangs up.
//!
//! The answer is JSON, line by line: `{"Position":N,"Record":{…}}` is an event of the journal's entry N, the record as it came but
//! for line breaks between its members; `{"Position":N}`, at least every ten seconds, says that all up to N have been looked at;
//! `{"Error":{"Code":…,"Message":…}}` is the last line when the server ends the answer. Who calls again with
//! `After` set to the last position misses nothing, as far back as the journal reaches. Where a condition in SQL picks the events, they come
//! without positions, up to a hundred milliseconds later, and those of one time in any order; `{"Position":N}` follows them.
//!
//! A watcher holds nothing back and nobody up: one that does not read is waited for, then left; the journal is trimmed without it.

mod condition;
mod filter;

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::request::Parts as Head;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use opentrail_event::{Event, EventBatch};
use opentrail_gateway::Inbound;
use opentrail_journal::ReadError;
use opentrail_model::Position;
use opentrail_runtime::OnError;
use opentrail_wire::{Exception, rest};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::authenticate::{BodyHash, Caller, Claim, authenticate};
use super::own_call::{Operation, OwnCall};
use super::records::{authorize, refused, scope_service};
use super::{Body, Parts, Peer, answer, json_api};
use condition::EventCondition;
use filter::{Filter, TailInput};

/// Where events are watched.
pub(super) const PATH: &str = "/v1/tail";
const ACTION: &str = "opentrail:TailEvents";
/// So many may watch at once.
pub(crate) const MOST_WATCHERS: usize = 64;
/// How often a client hears at least, and how often it is asked again whether it may.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a client may leave a part of the answer unread.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of the answer sent at once.
const PART_BYTES: usize = 64 << 10;
/// Parts that a client has not read yet.
const PARTS_AHEAD: usize = 4;

/// Between two looks at what came, where a condition is asked of it: to plan it takes milliseconds.
const GATHERING: Duration = Duration::from_millis(100);

/// Answers once it is known who calls and what for; events follow for as long as the client reads.
pub(super) async fn answer(parts: &Arc<Parts>, peer: Peer, head: Head, body: Inbound) -> Response<Body> {
    let request_id = parts.services.random.uuid().to_string();
    let watching = parts.calls.shield(watch(Arc::clone(parts), peer, head, body, request_id.clone())).await;
    match watching.unwrap_or_else(|| Err(Exception::internal_failure())) {
        Ok(receiver) => respond(receiver, &request_id),
        Err(exception) => answer::whole(rest::respond_exception(&exception, &request_id)),
    }
}

fn respond(receiver: mpsc::Receiver<Bytes>, request_id: &str) -> Response<Body> {
    let parts = stream::unfold(receiver, async |mut receiver| {
        let part = receiver.recv().await?;
        Some((Ok(Frame::data(part)), receiver))
    });
    let mut response = Response::new(StreamBody::new(parts).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

async fn watch(
    parts: Arc<Parts>,
    peer: Peer,
    head: Head,
    body: Inbound,
    request_id: String,
) -> Result<mpsc::Receiver<Bytes>, Exception> {
    if head.method != Method::POST {
        let message = format!("{PATH} takes POST.");
        return Err(Exception::new("MethodNotAllowed", message, StatusCode::METHOD_NOT_ALLOWED));
    }
    let started = parts.services.clock.now();
    let body = json_api::collect(body, json_api::MAX_BODY).await?;
    let service = scope_service(&head);
    let caller = authenticate(&parts.services, &head, BodyHash::Of(&body), service).map_err(refused)?;
    let parameters = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let call = OwnCall {
        parts: &parts,
        peer: &peer,
        head: &head,
        caller: &caller,
        request_id: &request_id,
        started,
        operation: Operation { name: "TailEvents", read_only: true, management: true },
        parameters,
    };
    let allowed = authorize(&parts, &peer, &caller, ACTION).and_then(|()| {
        let input = TailInput::read(&body)?;
        let (filter, after) = (Filter::of(&input, &parts, &caller.principal)?, input.after);
        let condition = input.condition.as_deref().map(|text| EventCondition::of(text, &parts)).transpose()?;
        let place = Arc::clone(&parts.watchers).try_acquire_owned().map_err(|_| {
            let message = format!("{MOST_WATCHERS} clients watch events already; close one, or try again later.");
            Exception { message, ..Exception::throttling() }
        })?;
        Ok((filter, condition, after, place))
    });
    let (filter, condition, after, place) = match allowed {
        Ok(allowed) => allowed,
        Err(exception) => {
            call.record(Err(&exception)).await?;
            return Err(exception);
        }
    };
    call.record(Ok(Value::Null)).await?;
    // What is acknowledged from now on comes after.
    let after = after.map_or_else(|| parts.feed.journal().tail(), Position);
    let (sender, receiver) = mpsc::channel(PARTS_AHEAD);
    let calls = parts.calls.clone();
    let watcher = Watcher { parts, peer, head, caller, filter, condition, sender, after, _place: place };
    calls.spawn("tail", OnError::Log, watcher.run());
    Ok(receiver)
}

/// One client, being sent what comes.
struct Watcher {
    parts: Arc<Parts>,
    peer: Peer,
    /// Of the request: its key may be taken away.
    head: Head,
    caller: Caller,
    filter: Filter,
    condition: Option<EventCondition>,
    sender: mpsc::Sender<Bytes>,
    /// All up to here is sent.
    after: Position,
    _place: OwnedSemaphorePermit,
}

/// The client is gone, or does not read.
struct Gone;

impl Watcher {
    async fn run(mut self) -> Result<(), std::convert::Infallible> {
        // A client that is gone needs no last word.
        let _ = self.go_on().await;
        Ok(())
    }

    async fn go_on(&mut self) -> Result<(), Gone> {
        let (feed, clock) = (Arc::clone(&self.parts.feed), Arc::clone(&self.parts.services.clock));
        let shutdown = self.parts.calls.shutdown().clone();
        self.send(heartbeat(self.after)).await?;
        let mut beat = clock.sleep(HEARTBEAT);
        loop {
            let batch = tokio::select! {
                biased;
                () = shutdown.begun() => {
                    return self.end("ServiceUnavailable", "The server stops; call again.").await;
                }
                () = self.sender.closed() => return Err(Gone),
                () = &mut beat => None,
                batch = feed.next(self.after) => Some(batch),
            };
            match batch {
                None => {
                    if let Err(exception) = self.is_allowed() {
                        return self.end(&exception.name, &exception.message).await;
                    }
                    self.send(heartbeat(self.after)).await?;
                    beat = clock.sleep(HEARTBEAT);
                }
                Some(Ok(batch)) => self.send_events(&batch).await?,
                Some(Err(error @ ReadError::Trimmed { .. })) => {
                    return self.end("Trimmed", &format!("Events were missed: {error}.")).await;
                }
                Some(Err(error)) => return self.end("ServiceUnavailable", &error.to_string()).await,
            }
        }
    }

    /// Whether the client may still watch what it watches: keys, policies and organizations change.
    fn is_allowed(&mut self) -> Result<(), Exception> {
        Claim::of(&self.parts.services, &self.head).map_err(refused)?;
        authorize(&self.parts, &self.peer, &self.caller, ACTION)?;
        self.filter.renew(&self.parts, &self.caller.principal)
    }

    async fn send_events(&mut self, batch: &Arc<EventBatch>) -> Result<(), Gone> {
        if let Some(condition) = &self.condition {
            let rows = batch.events().filter(|event| self.filter.takes(*event)).map(Event::row).collect();
            match condition.meeting(Arc::clone(batch), rows, &self.parts).await {
                Ok(records) => self.send_records(&records).await?,
                Err(exception) => {
                    self.end(&exception.name, &exception.message).await?;
                    return Err(Gone);
                }
            }
            self.after = batch.through;
            self.send(heartbeat(self.after)).await?;
            self.parts.services.clock.sleep(GATHERING).await;
            return Ok(());
        }
        let mut part = BytesMut::new();
        for event in batch.events() {
            if self.filter.takes(event) {
                put_event(&mut part, Some(event.position()), event.raw());
                if part.len() >= PART_BYTES {
                    self.send(part.split().freeze()).await?;
                }
            }
        }
        self.after = batch.through;
        if part.is_empty() { Ok(()) } else { self.send(part.freeze()).await }
    }

    async fn send_records(&self, records: &[String]) -> Result<(), Gone> {
        let mut part = BytesMut::new();
        for record in records {
            put_event(&mut part, None, record.as_bytes());
            if part.len() >= PART_BYTES {
                self.send(part.split().freeze()).await?;
            }
        }
        if part.is_empty() { Ok(()) } else { self.send(part.freeze()).await }
    }

    async fn send(&self, part: Bytes) -> Result<(), Gone> {
        self.sender.send_timeout(part, PATIENCE).await.map_err(|_| Gone)
    }

    async fn end(&self, code: &str, message: &str) -> Result<(), Gone> {
        let line = format!("{}\n", json!({"Error": {"Code": code, "Message": message}}));
        self.send(line.into()).await
    }
}

fn heartbeat(position: Position) -> Bytes {
    format!("{}\n", json!({ "Position": position })).into()
}

/// A line of its own: what breaks lines in a record stands between its members and means nothing there.
fn put_event(part: &mut BytesMut, position: Option<Position>, record: &[u8]) {
    part.put_slice(b"{");
    if let Some(position) = position {
        part.put_slice(format!("\"Position\":{position},").as_bytes());
    }
    part.put_slice(b"\"Record\":");
    part.extend(record.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    part.put_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_its_record_is_what_came() {
        let mut part = BytesMut::new();
        put_event(&mut part, Some(Position(7)), b"{\"a\":\r\n \"b\\n\"}");
        assert_eq!(part, "{\"Position\":7,\"Record\":{\"a\":   \"b\\n\"}}\n");
        let line: Value = serde_json::from_slice(&part).unwrap();
        assert_eq!(line["Record"]["a"], "b\n");
    }
}
