//! AWS-compatible services at configured endpoints, called by awsJson or awsQuery with Signature Version 4.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use opentrail_model::Region;
use opentrail_runtime::Clock;
use opentrail_wire::sigv4::{Credentials, hex_sha256, sign_headers};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded;

use crate::error::OutboundError;
use crate::{Answer, Outbound};

/// A service at an endpoint, and whose calls these are.
#[derive(Clone)]
pub struct AwsEndpoint {
    /// `http://` or `https://`, with a host.
    pub endpoint: Uri,
    /// The Region that calls are signed for.
    pub region: Region,
    /// Who calls.
    pub credentials: Credentials,
}

impl fmt::Debug for AwsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsEndpoint").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Why a call did nothing that is known of.
///
/// One without an answer may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AwsError {
    /// The service refused it.
    #[error("{status} {name} {message}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its name for it, without a namespace; may be empty.
        name: String,
        /// What it says.
        message: String,
    },
    /// No answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The request cannot be made.
    #[error("the request cannot be made: {0}")]
    Request(String),
}

impl AwsError {
    /// Whether the same call may succeed later: what is no fault of the caller's, and throttling.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { status, name, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS || name.contains("Throttl")
            }
            Self::Outbound(error) => error.is_retryable(),
            Self::Request(_) => false,
        }
    }

    /// The service's name for its refusal; empty where there is none.
    pub fn name(&self) -> &str {
        match self {
            Self::Refused { name, .. } => name,
            _ => "",
        }
    }
}

/// Calls services.
#[derive(Clone)]
pub struct AwsCalls {
    outbound: Outbound,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for AwsCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCalls").finish_non_exhaustive()
    }
}

impl AwsCalls {
    /// Calls through this client, signed with this clock's time.
    pub fn new(outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, clock }
    }

    /// An operation of an awsJson service: `version` is `1.0` or `1.1`, `target` e.g. `AmazonSQS.SendMessage`.
    ///
    /// # Errors
    /// As [`AwsError`] says.
    pub async fn json(
        &self,
        at: &AwsEndpoint,
        service: &str,
        version: &str,
        target: &str,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", base(&at.endpoint)))
            .header(header::CONTENT_TYPE, format!("application/x-amz-json-{version}"))
            .header("x-amz-target", target)
            .body(Bytes::from(input.to_string()))
            .map_err(|error| AwsError::Request(error.to_string()))?;
        let answer = self.signed(at, service, request).await?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(whole(&answer)?).map_err(unreadable)
    }

    /// An operation of an awsQuery service, e.g. `Publish` of SNS's `2010-03-31`, with its parameters. `T` is the XML
    /// answer's root element.
    ///
    /// # Errors
    /// As [`AwsError`] says.
    pub async fn query<T: DeserializeOwned>(
        &self,
        at: &AwsEndpoint,
        service: &str,
        version: &str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, AwsError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", base(&at.endpoint)))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(Bytes::from(form(operation, version, parameters)))
            .map_err(|error| AwsError::Request(error.to_string()))?;
        let answer = self.signed(at, service, request).await?;
        let text = String::from_utf8_lossy(whole(&answer)?);
        quick_xml::de::from_str(&text).map_err(unreadable)
    }

    /// Signs a request and sends it to the endpoint; its URI is absolute. An answer that is no success is an error.
    ///
    /// # Errors
    /// As [`AwsError`] says.
    pub async fn signed(&self, at: &AwsEndpoint, service: &str, request: Request<Bytes>) -> Result<Answer, AwsError> {
        let (mut head, body) = request.into_parts();
        let authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
        let host = header::HeaderValue::try_from(authority).map_err(|error| AwsError::Request(error.to_string()))?;
        head.headers.insert(header::HOST, host);
        sign_headers(&mut head, &at.credentials, at.region.as_str(), service, &hex_sha256(&body), self.clock.now())
            .map_err(|error| AwsError::Request(error.to_string()))?;
        let answer = self.outbound.send_to_configured(Request::from_parts(head, body)).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(refusal(&answer))
    }
}

fn form(operation: &str, version: &str, parameters: &[(&str, &str)]) -> String {
    let named = [("Action", operation), ("Version", version)];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(named).extend_pairs(parameters).finish()
}

fn whole(answer: &Answer) -> Result<&[u8], AwsError> {
    if answer.is_cut { Err(unreadable("it is too long")) } else { Ok(&answer.body) }
}

/// The answer says that it was done, but not what came of it.
fn unreadable(reason: impl fmt::Display) -> AwsError {
    OutboundError::Broken { reason: format!("the answer cannot be read: {reason}") }.into()
}

/// What an error of awsJson, restJson or awsQuery says. Some services put a namespace before the name, or a location behind it.
fn refusal(answer: &Answer) -> AwsError {
    let status = answer.status;
    let text = String::from_utf8_lossy(&answer.body);
    if let Ok(ErrorResponse { error: ErrorElement { code, message } }) = quick_xml::de::from_str(&text) {
        return AwsError::Refused { status, name: code, message };
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // awsJson says it in the body, restJson in a header.
    let header = answer.headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
    let name = said["__type"].as_str().or(header).unwrap_or_default();
    let name = name.rsplit('#').next().and_then(|name| name.split(':').next()).unwrap_or_default().to_owned();
    let message = said["message"].as_str().or(said["Message"].as_str()).unwrap_or_default().to_owned();
    AwsError::Refused { status, name, message }
}

/// An error of awsQuery.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorResponse {
    error: ErrorElement,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorElement {
    code: String,
    #[serde(default)]
    message: String,
}

/// An endpoint without a slash at its end.
pub fn base(endpoint: &Uri) -> String {
    endpoint.to_string().trim_end_matches('/').to_owned()
}
