use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::request::Parts as Head;
use http::{HeaderMap, Method, Response};
use http_body::Frame;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use opentrail_api::{Audited, CallResult, RecordOrder, Reply};
use opentrail_gateway::Inbound;
use opentrail_identity::Call;
use opentrail_journal::NewEntry;
use opentrail_model::{Source, Timestamp};
use opentrail_recorder::{Captured, Endpoint, Exchange, ServiceEvent};
use opentrail_wire::sigv4::QueryError;
use opentrail_wire::{CodedError, Exception, json, query, rest, sigv4};

use super::authenticate::{BodyHash, Caller, Refusal, authenticate};
use super::{Body, Parts, Peer, answer};

/// The largest request of the API, far above what its operations need.
pub(super) const MAX_BODY: usize = 1 << 20;
/// The largest of CloudWatch Logs: what PutLogEvents takes is counted without JSON's escapes.
const MAX_LOGS_BODY: usize = 8 << 20;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether an unsigned request is meant for the API rather than for S3.
pub(super) fn looks_like_one(head: &Head) -> bool {
    let form = head.headers.get(http::header::CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        value.starts_with(b"application/x-www-form-urlencoded") || value.starts_with(b"application/x-amz-json")
    });
    head.headers.contains_key("x-amz-target") || (form && head.method == Method::POST && head.uri.path() == "/")
}

/// Authenticates, lets the API answer, makes the event durable, answers.
pub(super) async fn answer(parts: &Arc<Parts>, peer: Peer, head: Head, body: Inbound) -> Response<Body> {
    let services = &parts.services;
    let request_id = services.random.uuid().to_string();
    let service = sigv4::credential(&head).map_or_else(String::new, |credential| credential.service);
    let framing = Framing::of(&service, &head);

    let most = if service == "logs" { MAX_LOGS_BODY } else { MAX_BODY };
    let body = match collect(body, most).await {
        Ok(body) => body,
        Err(exception) => return answer::whole(framing.refuse(&exception, &head, &request_id)),
    };
    let Caller { principal, region } = match authenticate(services, &head, BodyHash::Of(&body), &service) {
        Ok(caller) => caller,
        Err(refusal) => {
            // Not recorded: without a valid signature nobody is known to have called.
            refusal.count();
            return answer::whole(framing.refuse_signature(&refusal, &head, &request_id));
        }
    };
    let call = Call {
        principal,
        region,
        request_id,
        source_ip: peer.ip,
        secure_transport: peer.tls.is_some(),
        user_agent: head.headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned),
    };
    // A change that is in the catalog must reach the journal even when the client hangs up meanwhile.
    let headers = head.headers.clone();
    let answered = parts.calls.shield(perform(Arc::clone(parts), call, service, framing, peer, head, body)).await;
    answered.unwrap_or_else(|| answer::whole(framing.refuse_headers(&Exception::internal_failure(), &headers, "")))
}

async fn perform(
    parts: Arc<Parts>,
    call: Call,
    service: String,
    framing: Framing,
    peer: Peer,
    head: Head,
    body: Bytes,
) -> Response<Body> {
    let services = &parts.services;
    let started = services.clock.now();
    let mut resources = Vec::new();
    // An answer that goes on: its record has none of it.
    let mut frames = None;
    let reply = match service.as_str() {
        "cloudtrail" => opentrail_api::cloudtrail(services, &call, &head.headers, &body).await,
        "cloudtrail-data" => opentrail_api::cloudtrail_data(services, &call, &head, &body).await,
        "sts" => opentrail_api::sts(services, &call, &head, &body).await,
        "iam" => opentrail_api::iam(services, &call, &head, &body).await,
        "organizations" => opentrail_api::organizations(services, &call, &head.headers, &body).await,
        "kms" if parts.kms_elsewhere.is_some() && target(&head.headers) == "TrentService.CreateKey" => {
            // Those that there are can be looked after still: what they sealed stays readable.
            let endpoint = parts.kms_elsewhere.as_deref().unwrap_or_default();
            let message = format!("Keys are at {endpoint} (kms.endpoint of the configuration); create the key there.");
            let exception = opentrail_wire::kms::unsupported_operation(message);
            return answer::whole(framing.refuse(&exception, &head, &call.request_id));
        }
        "kms" => {
            let answered = opentrail_kms::api(&parts.kms, &call, &head.headers, &body).await;
            resources = answered.resources;
            Reply::answer(answered.response)
        }
        "sns" => {
            let answered = opentrail_sns::api(&parts.watch.sns, &call, &head, &body).await;
            resources = answered.resources;
            Reply::answer(answered.response)
        }
        "monitoring" => {
            let monitoring = &parts.watch.monitoring;
            let answered = opentrail_monitoring::api(monitoring, &call, &head.uri, &head.headers, &body).await;
            resources = answered.resources;
            Reply::answer(answered.response)
        }
        "events" => {
            let answered = opentrail_events::api(&parts.watch.events, &call, &head.headers, &body).await;
            resources = answered.resources;
            Reply::answer(answered.response)
        }
        "logs" => {
            let answered = opentrail_logs::api(&parts.watch.logs, &call, &head.headers, &body).await;
            resources = answered.resources;
            let (response, going_on) = split(answered.response);
            // A stop waits for answers to end.
            let shutdown = parts.calls.shutdown().clone();
            frames = going_on.map(|frames| frames.take_until(async move { shutdown.begun().await }).boxed());
            Reply::answer(response)
        }
        other => {
            let exception = Exception::unknown_operation(format!(
                "This endpoint serves cloudtrail, cloudtrail-data, events, iam, kms, logs, monitoring, organizations, s3, \
                 sns and sts, not '{other}'."
            ));
            return answer::whole(framing.refuse(&exception, &head, &call.request_id));
        }
    };
    // `turn` is held until the batch is durable: changes reach the journal in the order of the catalog.
    let Reply { response, changes, order, turn, results, audited } = reply;
    let headers = head.headers.clone();
    let exchange = Exchange {
        endpoint: Endpoint {
            account: call.principal.account,
            region: call.region.clone(),
            service: Some(service),
            s3_hosts: Vec::new(),
        },
        started,
        peer: peer.ip,
        tls: peer.tls,
        method: head.method,
        uri: head.uri,
        version: head.version,
        request_headers: head.headers,
        bytes_in: body.len() as u64,
        request_body: Captured::Complete(body),
        status: Some(response.status()),
        response_headers: response.headers().clone(),
        bytes_out: response.body().len() as u64,
        response_body: Captured::Complete(response.body().clone()),
        caller: opentrail_recorder::Caller::Identity(call.principal.user_identity()),
        event_id: services.random.uuid(),
    };
    let record = opentrail_recorder::record_about(&exchange, resources);
    let record_first = order == RecordOrder::RecordFirst;
    let only_read = record.clone().filter(|record| changes.is_empty() && reads(&record.operation));
    let records = record.map(|record| opentrail_recorder::shared(record, || services.random.uuid()));
    let mut records = records.unwrap_or_default();
    records.extend(results.into_iter().map(|CallResult { name, details }| {
        let event_source = "organizations.amazonaws.com";
        let (account, region) = (call.principal.account, call.region.clone());
        ServiceEvent { at: started, account, region, event_source, name, details }.record(services.random.uuid())
    }));
    // What was carried out is recorded even when the client is told that it failed, since its record was not durable.
    // Of events that are not durable nothing was carried out.
    let carried_out = response.status().is_success() && audited.is_none();
    let done = if carried_out { records.clone() } else { Vec::new() };
    let brought = audited.as_ref().map(|audited| entries(audited, started)).unwrap_or_default();
    let appended = parts.recording.append_call(brought, records, started, changes, record_first).await;
    drop(turn);
    match (appended, only_read) {
        (Ok(()), _) => {
            if let Some(audited) = audited {
                opentrail_api::note_audited(services, audited).await;
            }
            joined(response, frames)
        }
        (Err(_), Some(record)) => {
            // A full disk must not keep anybody from looking at what happened.
            parts.recording.append_later(Source::Api, record, started);
            joined(response, frames)
        }
        (Err(error), None) => {
            done.into_iter().for_each(|record| parts.recording.append_later(Source::Api, record, started));
            let exception = Exception::service_unavailable(format!("The call could not be recorded: {error}."));
            answer::whole(framing.refuse_headers(&exception, &headers, &call.request_id))
        }
    }
}

/// What goes on after an answer's head.
type Frames = futures::stream::BoxStream<'static, Bytes>;

/// An answer's head with what is known of its body, and what goes on.
fn split(response: Response<opentrail_logs::Body>) -> (Response<Bytes>, Option<Frames>) {
    let (head, body) = response.into_parts();
    match body {
        opentrail_logs::Body::Whole(bytes) => (Response::from_parts(head, bytes), None),
        opentrail_logs::Body::Frames(frames) => (Response::from_parts(head, Bytes::new()), Some(frames)),
    }
}

fn joined(response: Response<Bytes>, frames: Option<Frames>) -> Response<Body> {
    match frames {
        None => answer::whole(response),
        Some(frames) => response.map(|_| StreamBody::new(frames.map(|bytes| Ok(Frame::data(bytes)))).boxed_unsync()),
    }
}

/// The events of an application as entries of the journal.
fn entries(audited: &Audited, received: Timestamp) -> Vec<NewEntry> {
    let entry =
        |body: &Bytes| NewEntry { source: Source::Channel, account: audited.account(), received, body: body.clone() };
    audited.records.iter().map(entry).collect()
}

fn target(headers: &http::HeaderMap) -> &str {
    headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether an operation only reads, by its verb. GetSessionToken gives credentials out.
fn reads(operation: &str) -> bool {
    let verb = ["Describe", "Get", "List", "Lookup"].iter().any(|verb| operation.starts_with(verb));
    verb && operation != "GetSessionToken"
}

pub(super) async fn collect(body: Inbound, most: usize) -> Result<Bytes, Exception> {
    let collected = Limited::new(body, most).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Exception::request_entity_too_large(format!("The request has more than {most} bytes.")))
        }
        Ok(Err(error)) => Err(Exception::serialization(format!("the body broke off: {error}"))),
        Err(_) => Err(Exception::request_timeout("The request did not arrive in time.")),
    }
}

/// How errors are told to the client of a service.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Json,
    Rest,
    /// In the namespace of the service.
    Query(&'static str),
    /// One of CloudWatch's, as the headers say.
    CloudWatch,
}

impl Framing {
    fn of(service: &str, head: &Head) -> Self {
        match service {
            "iam" => Self::Query(query::IAM_NAMESPACE),
            "sns" => Self::Query(query::SNS_NAMESPACE),
            "sts" => Self::Query(query::STS_NAMESPACE),
            "monitoring" => Self::CloudWatch,
            "cloudtrail-data" => Self::Rest,
            "" if !head.headers.contains_key("x-amz-target") => Self::Query(query::STS_NAMESPACE),
            _ => Self::Json,
        }
    }

    fn refuse(self, exception: &Exception, head: &Head, request_id: &str) -> Response<Bytes> {
        self.refuse_headers(exception, &head.headers, request_id)
    }

    fn refuse_headers(self, exception: &Exception, headers: &HeaderMap, request_id: &str) -> Response<Bytes> {
        match self {
            Self::Json => json::respond_exception(exception, request_id),
            Self::Rest => rest::respond_exception(exception, request_id),
            Self::Query(namespace) => query::respond_error(namespace, &as_query(exception), request_id),
            Self::CloudWatch => {
                opentrail_monitoring::refuse(headers, &CodedError::from(as_query(exception)), request_id)
            }
        }
    }

    fn refuse_signature(self, refusal: &Refusal, head: &Head, request_id: &str) -> Response<Bytes> {
        match self {
            Self::Json => json::respond_exception(&refusal.0.exception(), request_id),
            Self::Rest => rest::respond_exception(&refusal.0.rest_exception(), request_id),
            Self::Query(namespace) => query::respond_error(namespace, &refusal.0.query(), request_id),
            Self::CloudWatch => {
                opentrail_monitoring::refuse(&head.headers, &CodedError::from(refusal.0.query()), request_id)
            }
        }
    }
}

/// The front's own errors as the Query protocol names them.
fn as_query(exception: &Exception) -> QueryError {
    let code = match &exception.name {
        Cow::Borrowed(name) => name,
        Cow::Owned(_) => "InternalFailure",
    };
    QueryError::new(code, exception.message.clone(), exception.status)
}
