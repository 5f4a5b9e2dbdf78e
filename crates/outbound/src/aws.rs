//! AWS-compatible services at configured endpoints, called by awsJson with Signature Version 4.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use opentrail_model::Region;
use opentrail_runtime::Clock;
use opentrail_wire::sigv4::{Credentials, hex_sha256, sign_headers};
use serde_json::Value;

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
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
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
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        // awsJson says it in the body, restJson in a header, perhaps with a URL behind.
        let header = answer.headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
        let name = said["__type"].as_str().or(header).unwrap_or_default();
        let name = name.rsplit('#').next().and_then(|name| name.split(':').next()).unwrap_or_default().to_owned();
        let message = said["message"].as_str().or(said["Message"].as_str()).unwrap_or_default().to_owned();
        Err(AwsError::Refused { status: answer.status, name, message })
    }
}

/// An endpoint without a slash at its end.
pub fn base(endpoint: &Uri) -> String {
    endpoint.to_string().trim_end_matches('/').to_owned()
}
