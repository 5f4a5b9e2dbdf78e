use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use http::request::Parts as Head;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, LengthLimitError, Limited};
use hyper::body::Incoming;
use opentrail_catalog::{Change, Expect};
use opentrail_identity::{AccessRequest, Context, Decision, Principal};
use opentrail_ingest::{AccountRule, Encoding, IngestError, Report, Whose};
use opentrail_model::{AccountId, Source, Timestamp};
use opentrail_recorder::Recorded;
use opentrail_wire::sigv4::{self, UNSIGNED_PAYLOAD};
use opentrail_wire::{Exception, rest};
use serde_json::json;

use super::authenticate::{BodyHash, Caller, authenticate};
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
pub(super) async fn answer(parts: &Arc<Parts>, peer: Peer, head: Head, body: Incoming) -> Response<Body> {
    let request_id = parts.services.random.uuid().to_string();
    let answered = match head.method {
        Method::POST => put(parts, &peer, &head, body, &request_id).await.map(|report| json!(report)),
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
    parts: &Arc<Parts>,
    peer: &Peer,
    head: &Head,
    body: Incoming,
    request_id: &str,
) -> Result<Report, Exception> {
    let encoding = encoding(head)?;
    let source = if head.headers.contains_key(IMPORT) { Source::Import } else { Source::Records };
    let started = parts.services.clock.now();
    let service = scope_service(head);
    import_id(head)?;
    let streamed = head.headers.get("x-amz-content-sha256").is_some_and(|hash| hash == UNSIGNED_PAYLOAD);
    let (principal, report) = if streamed {
        let principal = admit(parts, peer, head, BodyHash::Unsigned, service)?;
        let frames = BodyStream::new(body).try_filter_map(|frame| async move { Ok(frame.into_data().ok()) });
        let report = ingest(parts, frames, encoding, source, principal.account).await;
        (principal, report)
    } else {
        let body = collect(body).await?;
        let principal = admit(parts, peer, head, BodyHash::Of(&body), service)?;
        let once = futures::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
        let report = ingest(parts, once, encoding, source, principal.account).await;
        (principal, report)
    };
    record(parts, peer, head, &principal, request_id, started, &report).await?;
    if let Some(file) = import_id(head)?
        && report.is_ok()
    {
        let key = format!("{}/{file}", principal.account);
        let done = Change::put(IMPORTED, key, Expect::Anything, &started);
        let stored = parts.services.catalog.commit(vec![done]).await;
        stored.map_err(|error| Exception::service_unavailable(error.to_string()))?;
    }
    report
}

/// `GET /v1/records?import=ID`: whether the file of that id was put to its end.
async fn is_imported(parts: &Parts, peer: &Peer, head: &Head) -> Result<bool, Exception> {
    let principal = admit(parts, peer, head, BodyHash::Unsigned, scope_service(head))?;
    let id = head.uri.query().and_then(|query| query.strip_prefix("import=")).unwrap_or_default();
    let key = format!("{}/{}", principal.account, checked_id(id)?);
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
fn scope_service(head: &Head) -> &'static str {
    match sigv4::credential(head) {
        Some(credential) if credential.service == "opentrail" => "opentrail",
        _ => "cloudtrail",
    }
}

/// Who calls, and that they may.
fn admit(parts: &Parts, peer: &Peer, head: &Head, body: BodyHash<'_>, service: &str) -> Result<Principal, Exception> {
    let Caller { principal, region } = authenticate(&parts.services, head, body, service).map_err(|refusal| {
        refusal.count();
        refusal.0.rest_exception()
    })?;
    let context = Context::new()
        .with("aws:SourceIp", peer.ip.to_string())
        .with("aws:SecureTransport", peer.tls.is_some().to_string())
        .with("aws:RequestedRegion", region.as_str());
    let request = AccessRequest {
        action: ACTION,
        resource: "*",
        context: &context,
        resource_policy: None,
        resource_account: Some(principal.account),
    };
    match parts.services.directory.authorize(&principal, &request) {
        Decision::Allowed => Ok(principal),
        denied => {
            let message = denied.message(&principal, ACTION, "*", false);
            Err(Exception { status: StatusCode::FORBIDDEN, ..Exception::access_denied(message) })
        }
    }
}

async fn ingest<E: std::fmt::Display>(
    parts: &Parts,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
    encoding: Encoding,
    source: Source,
    caller: AccountId,
) -> Result<Report, Exception> {
    let directory = Arc::clone(&parts.services.directory);
    let whose = move |named: AccountId| match directory.account(named) {
        Some(_) => Whose::Refused,
        None => Whose::Callers,
    };
    let rule = AccountRule::new(caller, whose);
    let body = std::pin::pin!(body);
    parts.ingest.put_records(body, encoding, source, rule).await.map_err(|error| match error {
        IngestError::Unavailable { .. } => Exception::service_unavailable(error.to_string()),
        _ => Exception::validation(error.to_string()),
    })
}

async fn collect(body: Incoming) -> Result<Bytes, Exception> {
    let collected = Limited::new(body, MAX_SIGNED_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Exception::request_entity_too_large(format!(
            "A body with a signature over it may have {MAX_SIGNED_BODY} bytes; sign a longer one as {UNSIGNED_PAYLOAD}."
        ))),
        Ok(Err(error)) => Err(Exception::malformed_http_request(format!("The body broke off: {error}."))),
        Err(_) => Err(Exception::request_timeout("The body did not arrive in time.")),
    }
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

/// The event of the call itself: a data event of OpenTrail, since records come as often as data events do.
async fn record(
    parts: &Parts,
    peer: &Peer,
    head: &Head,
    principal: &Principal,
    request_id: &str,
    started: Timestamp,
    report: &Result<Report, Exception>,
) -> Result<(), Exception> {
    let agent = head.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let region = sigv4::credential(head).map(|credential| credential.region);
    let mut event = json!({
        "eventVersion": "1.11",
        "userIdentity": principal.user_identity(),
        "eventTime": started.to_iso(),
        "eventSource": "opentrail.amazonaws.com",
        "eventName": "PutRecords",
        "awsRegion": region,
        "sourceIPAddress": peer.ip.to_string(),
        "userAgent": agent.unwrap_or_default(),
    });
    let fields = event.as_object_mut().expect("the event is an object");
    if let Err(exception) = report {
        fields.insert("errorCode".into(), json!(exception.name));
        fields.insert("errorMessage".into(), json!(exception.message.chars().take(1000).collect::<String>()));
    }
    let elements = report.as_ref().ok().map(
        |report| json!({"accepted": report.accepted, "duplicates": report.duplicates, "refused": report.refused_count}),
    );
    let rest = json!({
        "requestParameters": {"import": head.headers.contains_key(IMPORT)},
        "responseElements": elements,
        "requestID": request_id,
        "eventID": parts.services.random.uuid(),
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": false,
        "recipientAccountId": principal.account,
        "eventCategory": "Data",
    });
    fields.extend(rest.as_object().cloned().unwrap_or_default());
    let recorded = Recorded {
        account: principal.account,
        body: serde_json::to_vec(&event).expect("the event serializes to JSON").into(),
        management: false,
        operation: "PutRecords".into(),
        event_source: "opentrail.amazonaws.com".into(),
    };
    let appended = parts.recording.append_call(Source::Api, Some(recorded), started, Vec::new(), true).await;
    appended.map_err(|error| Exception::service_unavailable(format!("The call could not be recorded: {error}.")))
}
