//! `GET /v1/insights/<id>`: why an Insight was told.

use std::sync::Arc;

use http::request::Parts as Head;
use http::{Method, Response, StatusCode};
use opentrail_wire::{Exception, rest};
use serde_json::{Value, json};
use uuid::Uuid;

use super::own_call::{Operation, OwnCall};
use super::records::{authorize, identify};
use super::{Body, Parts, Peer, answer};

const FOLDER: &str = "/v1/insights/";
const ACTION: &str = "opentrail:ExplainInsight";

/// The id in the path of such a request.
pub(super) fn id_of(path: &str) -> Option<&str> {
    path.strip_prefix(FOLDER)
}

/// Answers with the explanation of the Insight whose `eventID` or `sharedEventID` is `id`, of the caller's account.
pub(super) async fn answer(parts: &Arc<Parts>, id: &str, peer: Peer, head: Head) -> Response<Body> {
    let request_id = parts.services.random.uuid().to_string();
    answer::whole(match explain(parts, id, &peer, &head, &request_id).await {
        Ok(output) => rest::respond(&output, &request_id),
        Err(exception) => rest::respond_exception(&exception, &request_id),
    })
}

async fn explain(parts: &Parts, id: &str, peer: &Peer, head: &Head, request_id: &str) -> Result<Value, Exception> {
    if head.method != Method::GET {
        let message = format!("{FOLDER} takes GET.");
        return Err(Exception::new("MethodNotAllowed", message, StatusCode::METHOD_NOT_ALLOWED));
    }
    let started = parts.services.clock.now();
    let caller = identify(parts, head)?;
    let output = match authorize(parts, peer, &caller, ACTION) {
        Ok(()) => find(parts, id, &caller).await,
        Err(denied) => Err(denied),
    };
    let operation = Operation { name: "ExplainInsight", read_only: true, management: true };
    let parameters = json!({ "id": id });
    let own = OwnCall { parts, peer, head, caller: &caller, request_id, started, operation, parameters };
    own.record(output.as_ref().map(|_| Value::Null)).await?;
    output
}

async fn find(parts: &Parts, id: &str, caller: &super::authenticate::Caller) -> Result<Value, Exception> {
    let id: Uuid = id.parse().map_err(|_| {
        Exception::new("InvalidParameterException", format!("{id} is no eventID."), StatusCode::BAD_REQUEST)
    })?;
    let insights = &parts.services.insights;
    let found = insights.explain(caller.principal.account, id, parts.services.clock.now()).await;
    let found = found.map_err(|error| Exception::service_unavailable(error.to_string()))?;
    let missing = || {
        let message = format!("Account {} has no Insights event {id}.", caller.principal.account);
        Exception::new("ResourceNotFoundException", message, StatusCode::NOT_FOUND)
    };
    serde_json::to_value(found.ok_or_else(missing)?).map_err(|_| Exception::internal_failure())
}
