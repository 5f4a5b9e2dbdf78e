//! Operations of STS: who am I, and who else may I be. (AWS STS API Reference, version 2011-06-15.)
//!
//! The rules are `opentrail-identity`'s; here are the parameters and the XML.

mod assume_role;
mod get_caller_identity;
mod get_session_token;

use bytes::Bytes;
use http::request::Parts;
use opentrail_identity::{Call, Credentials, StsError};
use opentrail_wire::query::{self, Params, STS_NAMESPACE, element};
use opentrail_wire::sigv4::QueryError;
use tracing::error;

use crate::context::{Context, Reply, Services};

/// What an action answers: the content of its `…Result` element.
type Answer = Result<String, QueryError>;

const VERSION: &str = "2011-06-15";

/// Answers a call of `sts` (awsQuery): parameters in the body, or in the URL as in a presigned GET.
pub async fn sts(services: &Services, call: &Call, head: &Parts, body: &Bytes) -> Reply {
    let cx = Context { services, call };
    let (action, answer) = match parameters(head, body) {
        Ok(params) => run(cx, &params),
        Err(error) => ("unknown", Err(error)),
    };
    let error = answer.as_ref().err().map_or("", |error| error.code);
    metrics::counter!("opentrail_api_sts_calls_total", "action" => action, "error" => error).increment(1);
    let response = match answer {
        Ok(result) => query::respond_xml(STS_NAMESPACE, action, Some(&result), &call.request_id),
        Err(error) => query::respond_error(STS_NAMESPACE, &error, &call.request_id),
    };
    Reply::answer(response)
}

fn parameters(head: &Parts, body: &Bytes) -> Result<Params, QueryError> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    query::parse_form(if body.is_empty() { query } else { body })
}

fn run(cx: Context<'_>, params: &Params) -> (&'static str, Answer) {
    match params.find("Action") {
        Some("AssumeRole") => ("AssumeRole", assume_role::assume_role(cx, params)),
        Some("GetCallerIdentity") => ("GetCallerIdentity", Ok(get_caller_identity::get_caller_identity(cx))),
        Some("GetSessionToken") => ("GetSessionToken", get_session_token::get_session_token(cx, params)),
        Some(other) => {
            let version = params.find("Version").unwrap_or(VERSION);
            ("unknown", Err(QueryError::invalid_action(other, version)))
        }
        None => ("unknown", Err(missing_action())),
    }
}

/// `DurationSeconds`, which both kinds of session take.
fn duration_seconds(params: &Params) -> Result<Option<i64>, QueryError> {
    let Some(text) = params.find("DurationSeconds") else { return Ok(None) };
    let malformed = |_| QueryError::new("MalformedInput", "DurationSeconds must be a whole number", BAD_REQUEST);
    text.parse().map(Some).map_err(malformed)
}

fn credentials(out: &mut String, credentials: &Credentials) {
    out.push_str("<Credentials>");
    element(out, "AccessKeyId", &credentials.access_key_id);
    element(out, "SecretAccessKey", credentials.secret.expose());
    element(out, "SessionToken", &credentials.session_token);
    element(out, "Expiration", &credentials.expiration.to_iso());
    out.push_str("</Credentials>");
}

const BAD_REQUEST: http::StatusCode = http::StatusCode::BAD_REQUEST;

fn missing_action() -> QueryError {
    QueryError::new("MissingAction", "The request must name an action in the parameter Action.", BAD_REQUEST)
}

/// What a client of STS sees of each failure.
fn refusal(error: StsError) -> QueryError {
    let message = error.to_string();
    match error {
        StsError::Validation { .. } => QueryError::validation(message),
        StsError::AccessDenied { .. } => QueryError::access_denied(message),
        StsError::MalformedPolicy(_) => QueryError::new("MalformedPolicyDocument", message, BAD_REQUEST),
        StsError::PackedPolicyTooLarge { .. } => QueryError::new("PackedPolicyTooLarge", message, BAD_REQUEST),
        StsError::NoSealer => {
            error!("the directory has no sealer, so no sessions can be made");
            QueryError::internal_failure()
        }
    }
}
