use std::sync::Arc;

use http::request::Parts as Head;
use http::{Method, Response, StatusCode};
use opentrail_wire::{Exception, rest};
use serde_json::{Value, json};

use super::records::{authorize, identify};
use super::{Body, Parts, Peer, answer};

/// Where it is told how followed buckets are doing.
pub(super) const PATH: &str = "/v1/follow";
const ACTION: &str = "opentrail:ListFollowedBuckets";

/// `GET /v1/follow`: the followed buckets whose `account` is the caller's. It is not recorded, a choice, as `/metrics`
/// is not.
pub(super) async fn answer(parts: &Arc<Parts>, peer: Peer, head: Head) -> Response<Body> {
    let request_id = parts.services.random.uuid().to_string();
    answer::whole(match list(parts, &peer, &head).await {
        Ok(output) => rest::respond(&output, &request_id),
        Err(exception) => rest::respond_exception(&exception, &request_id),
    })
}

async fn list(parts: &Parts, peer: &Peer, head: &Head) -> Result<Value, Exception> {
    if head.method != Method::GET {
        let message = format!("{PATH} takes GET.");
        return Err(Exception::new("MethodNotAllowed", message, StatusCode::METHOD_NOT_ALLOWED));
    }
    let caller = identify(parts, head)?;
    authorize(parts, peer, &caller, ACTION)?;
    let sources = parts.follow.report(caller.principal.account).await;
    Ok(json!({ "Sources": sources.map_err(|error| Exception::service_unavailable(error.to_string()))? }))
}
