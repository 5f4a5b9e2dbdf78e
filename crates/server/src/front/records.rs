use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::request::Parts as Head;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyStream, LengthLimitError};
use hyper::body::Body as _;
use opentrail_catalog::{Change, Expect};
use opentrail_gateway::Inbound;
use opentrail_identity::{AccessRequest, Context, Decision};
use opentrail_ingest::{AccountRule, Arrival, Encoding, IngestError, Report, Room, Whose};
use opentrail_model::{AccountId, Source};
use opentrail_runtime::CrashPoint;
use opentrail_wire::sigv4::{self, UNSIGNED_PAYLOAD};
use opentrail_wire::{Exception, rest};
use serde_json::json;

use super::authenticate::{BodyHash, Caller, Claim, Refusal, authenticate};
use super::gather::{Gathered, gather};
use super::own_call::{Operation, OwnCall};
use super::{Body, Parts, Peer, answer};

/// Where records are put.
pub(super) const PATH: &str = "/v1/records";
/// The header by which `opentrail import` says which file the records are a copy of: they go to Event history and not
/// to trails, and the server remembers that the file is done.
const IMPORT: &str = "x-opentrail-import";
/// The catalog's documents of files that are done, by account and id.
const IMPORTED: &str = "imported-files";
const ACTION: &str = "opentrail:PutRecords";
/// The largest body that is taken with a signature over it; longer ones are streamed and signed as `UNSIGNED-PAYLOAD`.
const MAX_SIGNED_BODY: usize = 64 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// `POST /v1/records`: takes records that exist already.
///
/// A record belongs to the account it names (`recipientAccountId`, else `userIdentity.accountId`) if that is the caller's.
/// One that names another account of this server is refused; one that names an account this server does not hold is taken
/// as the caller's, so that log files of AWS accounts can be brought in.
pub(super) async fn answer(parts: &Arc<Parts>, peer: Peer, head: Head, body: Inbound) -> Response<Body> {
    let request_id = parts.services.random.uuid().to_string();
    let answered = match head.method {
        Method::POST => {
            // What is in the journal is to have its event there even when the client hangs up meanwhile.
            let call = put(Arc::clone(parts), peer, head, body, request_id.clone());
            let put = parts.calls.shield(call).await;
            put.unwrap_or_else(|| Err(Exception::internal_failure())).map(|report| json!(report))
        }
        Method::GET => is_imported(parts, &peer, &head).await.map(|done| json!({"Done": done})),
        _ => {
            let message = format!("{PATH} takes POST, and GET with ?import=.");
            Err(Exception::new("MethodNotAllowed", message, StatusCode::METHOD_NOT_ALLOWED))
        }
    };
    answer::whole(match answered {
        Ok(output) => rest::respond(&output, &request_id),
        Err(exception) => rest::respond_exception(&exception, &request_id),
    })
}

async fn put(
    parts: Arc<Parts>,
    peer: Peer,
    head: Head,
    body: Inbound,
    request_id: String,
) -> Result<Report, Exception> {
    let encoding = encoding(&head)?;
    let source = if head.headers.contains_key(IMPORT) { Source::Import } else { Source::Records };
    let started = parts.services.clock.now();
    let import = import_id(&head)?;
    let streamed = head.headers.get("x-amz-content-sha256").is_some_and(|hash| hash == UNSIGNED_PAYLOAD);
    let (caller, body, _room) = if streamed {
        let caller = identify(&parts, &head)?;
        let room = room(&parts, Arrival::Streamed, encoding).await?;
        let frames = BodyStream::new(body).try_filter_map(|frame| async move { Ok(frame.into_data().ok()) });
        (caller, frames.left_stream(), room)
    } else {
        let claim = Claim::of(&parts.services, &head).map_err(refused)?;
        let bytes = most(&body)?;
        let room = room(&parts, Arrival::Whole { bytes }, encoding).await?;
        let body = collect(body).await?;
        let hash = BodyHash::Sha256(body.sha256);
        let caller = claim.verify(&parts.services, &head, hash, scope_service(&head)).map_err(refused)?;
        (caller, futures::stream::iter(body.pieces).map(Ok).right_stream(), room)
    };
    let account = caller.principal.account;
    let authorized = authorize(&parts, &peer, &caller, ACTION);
    let call = OwnCall {
        parts: &parts,
        peer: &peer,
        head: &head,
        caller: &caller,
        request_id: &request_id,
        started,
        // Records come as often as data events do.
        operation: Operation { name: "PutRecords", read_only: false, management: false },
        parameters: json!({"import": head.headers.contains_key(IMPORT)}),
    };
    if let Err(denied) = authorized {
        call.record(Err(&denied)).await?;
        return Err(denied);
    }
    let rule = account_rule(&parts, account);
    let event = |outcome: &Result<Report, IngestError>| match outcome {
        Ok(report) => call.entry(Ok(json!({
            "accepted": report.accepted, "duplicates": report.duplicates, "refused": report.refused_count,
        }))),
        Err(error) => call.entry(Err(&exception(error))),
    };
    let report = match parts.ingest.put_records_of_call(body, encoding, source, rule, event).await {
        Ok(report) => report,
        Err(error) => {
            let exception = exception(&error);
            if matches!(error, IngestError::Unavailable { .. }) {
                // The event went the way of the records: perhaps there is room for it alone.
                call.record(Err(&exception)).await?;
            }
            return Err(exception);
        }
    };
    if let Some(file) = import {
        let done = Change::put(IMPORTED, format!("{account}/{file}"), Expect::Anything, &started);
        CrashPoint::ServerImportMark.reach();
        let stored = parts.services.catalog.commit(vec![done]).await;
        stored.map_err(|error| Exception::service_unavailable(error.to_string()))?;
        CrashPoint::ServerImportMarked.reach();
    }
    Ok(report)
}

/// `GET /v1/records?import=ID`: whether the file of that id was put to its end.
async fn is_imported(parts: &Parts, peer: &Peer, head: &Head) -> Result<bool, Exception> {
    let caller = identify(parts, head)?;
    authorize(parts, peer, &caller, ACTION)?;
    let id = head.uri.query().and_then(|query| query.strip_prefix("import=")).unwrap_or_default();
    let key = format!("{}/{}", caller.principal.account, checked_id(id)?);
    let found = parts.services.catalog.get(IMPORTED, &key).await;
    Ok(found.map_err(|error| Exception::service_unavailable(error.to_string()))?.is_some())
}

/// The id of the file that is imported, if this is an import.
fn import_id(head: &Head) -> Result<Option<String>, Exception> {
    let id = head.headers.get(IMPORT).map(|id| id.to_str().unwrap_or_default());
    id.map(checked_id).transpose()
}

fn checked_id(id: &str) -> Result<String, Exception> {
    if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(id.to_owned())
    } else {
        Err(Exception::validation(format!("The id of an imported file is a SHA-256 in hexadecimal, not {id:?}.")))
    }
}

/// Requests may be signed for OpenTrail's own service or, as clients know that one, for CloudTrail.
pub(super) fn scope_service(head: &Head) -> &'static str {
    match sigv4::credential(head) {
        Some(credential) if credential.service == "opentrail" => "opentrail",
        _ => "cloudtrail",
    }
}

/// Who calls with a body that is not signed.
pub(super) fn identify(parts: &Parts, head: &Head) -> Result<Caller, Exception> {
    authenticate(&parts.services, head, BodyHash::Unsigned, scope_service(head)).map_err(refused)
}

pub(super) fn refused(refusal: Refusal) -> Exception {
    refusal.count();
    refusal.0.rest_exception()
}

/// That the caller may.
pub(super) fn authorize(
    parts: &Parts,
    peer: &Peer,
    Caller { principal, region }: &Caller,
    action: &str,
) -> Result<(), Exception> {
    let context = Context::new()
        .with("aws:SourceIp", peer.ip.to_string())
        .with("aws:SecureTransport", peer.tls.is_some().to_string())
        .with("aws:RequestedRegion", region.as_str());
    let request = AccessRequest {
        action,
        resource: "*",
        context: &context,
        resource_policy: None,
        resource_account: Some(principal.account),
    };
    match parts.services.directory.authorize(principal, &request) {
        Decision::Allowed => Ok(()),
        denied => {
            let message = denied.message(principal, action, "*", false);
            Err(Exception { status: StatusCode::FORBIDDEN, ..Exception::access_denied(message) })
        }
    }
}

fn account_rule(parts: &Parts, caller: AccountId) -> AccountRule {
    let directory = Arc::clone(&parts.services.directory);
    AccountRule::new(caller, move |named| match directory.account(named) {
        Some(_) => Whose::Refused,
        None => Whose::Callers,
    })
}

fn exception(error: &IngestError) -> Exception {
    match error {
        IngestError::Unavailable { .. } => Exception::service_unavailable(error.to_string()),
        _ => Exception::validation(error.to_string()),
    }
}

async fn room(parts: &Parts, arrival: Arrival, encoding: Encoding) -> Result<Room, Exception> {
    let room = parts.ingest.room(arrival, encoding).await;
    room.map_err(|error| Exception::service_unavailable(error.to_string()))
}

/// The most that a body with a signature over it may turn out to have.
fn most(body: &Inbound) -> Result<usize, Exception> {
    let announced =
        body.size_hint().upper().map_or(MAX_SIGNED_BODY, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced > MAX_SIGNED_BODY { Err(too_large()) } else { Ok(announced) }
}

async fn collect(body: Inbound) -> Result<Gathered, Exception> {
    match tokio::time::timeout(BODY_TIMEOUT, gather(body, MAX_SIGNED_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Exception::malformed_http_request(format!("The body broke off: {error}."))),
        Err(_) => Err(Exception::request_timeout("The body did not arrive in time.")),
    }
}

fn too_large() -> Exception {
    Exception::request_entity_too_large(format!(
        "A body with a signature over it may have {MAX_SIGNED_BODY} bytes; sign a longer one as {UNSIGNED_PAYLOAD}."
    ))
}

fn encoding(head: &Head) -> Result<Encoding, Exception> {
    match head.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(Encoding::Identity),
        Some(b"gzip" | b"x-gzip") => Ok(Encoding::Gzip),
        Some(b"zstd") => Ok(Encoding::Zstd),
        Some(other) => Err(Exception::validation(format!(
            "Content-Encoding {:?} is not one of gzip, zstd, identity.",
            String::from_utf8_lossy(other)
        ))),
    }
}
