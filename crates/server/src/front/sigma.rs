//! `POST /v1/sigma/…`: Sigma rules and what they found.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts as Head;
use http::{Method, Response, StatusCode};
use opentrail_gateway::Inbound;
use opentrail_identity::Call;
use opentrail_sigma::{MOST_BODY_BYTES, Operation as SigmaOperation, Reply, api};
use opentrail_wire::{Exception, rest};

use super::authenticate::{BodyHash, authenticate};
use super::own_call::{Operation, OwnCall};
use super::records::{refused, scope_service};
use super::{Body, Parts, Peer, answer, json_api};

/// Answers a call of `operation`.
pub(super) async fn answer(
    parts: &Arc<Parts>,
    operation: SigmaOperation,
    peer: Peer,
    head: Head,
    body: Inbound,
) -> Response<Body> {
    let request_id = parts.services.random.uuid().to_string();
    let called = perform(Arc::clone(parts), operation, peer, head, body, request_id.clone());
    let answered = parts.calls.shield(called).await;
    answer::whole(match answered.unwrap_or_else(|| Err(Exception::internal_failure())) {
        Ok(response) => response,
        Err(exception) => rest::respond_exception(&exception, &request_id),
    })
}

async fn perform(
    parts: Arc<Parts>,
    operation: SigmaOperation,
    peer: Peer,
    head: Head,
    body: Inbound,
    request_id: String,
) -> Result<Response<Bytes>, Exception> {
    if head.method != Method::POST {
        let message = format!("{} takes POST.", operation.path());
        return Err(Exception::new("MethodNotAllowed", message, StatusCode::METHOD_NOT_ALLOWED));
    }
    let started = parts.services.clock.now();
    let body = json_api::collect(body, MOST_BODY_BYTES).await?;
    let caller = authenticate(&parts.services, &head, BodyHash::Of(&body), scope_service(&head)).map_err(refused)?;
    let call = Call {
        principal: caller.principal.clone(),
        region: caller.region.clone(),
        request_id: request_id.clone(),
        source_ip: peer.ip,
        secure_transport: peer.tls.is_some(),
        user_agent: head.headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned),
    };
    let Reply { output, parameters } = api(&parts.watch.findings, &call, operation, &body).await;
    let own = OwnCall {
        parts: &parts,
        peer: &peer,
        head: &head,
        caller: &caller,
        request_id: &request_id,
        started,
        operation: Operation { name: operation.name(), read_only: operation.is_read_only(), management: true },
        parameters,
    };
    // Of an answer that lists findings the record has nothing: it would hold the records again.
    own.record(output.as_ref().map(|_| serde_json::Value::Null)).await?;
    output.map(|output| rest::respond(&output, &request_id))
}
