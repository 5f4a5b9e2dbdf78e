//! The gateway's own answers, when the upstream gives none: AWS errors in the framing of the service that was meant.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

/// Why the gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The upstream does not take connections.
    Unreachable,
    /// It broke off, or sent what is no HTTP.
    Broken,
    /// It said nothing for too long.
    Silent,
    /// The client stopped sending its request.
    SlowClient,
}

/// How an error is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Xml,
    Json,
}

impl Framing {
    /// JSON for JSON services, XML for S3 and the query protocol.
    pub(crate) fn of(parts: &Parts) -> Self {
        let json = parts.headers.contains_key("x-amz-target")
            || parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if json { Self::Json } else { Self::Xml }
    }
}

impl Refusal {
    /// The answer. SDKs try again after each of these.
    pub(crate) fn answer(self, framing: Framing, request_id: &str) -> Response<Bytes> {
        let (status, code, message) = match self {
            Self::Unreachable => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "The gateway cannot reach its upstream.")
            }
            Self::Broken => {
                (StatusCode::BAD_GATEWAY, "ServiceUnavailable", "The upstream closed the connection during the call.")
            }
            Self::Silent => (StatusCode::GATEWAY_TIMEOUT, "ServiceUnavailable", "The upstream did not answer in time."),
            Self::SlowClient => (
                StatusCode::BAD_REQUEST,
                "RequestTimeout",
                "Your socket connection to the server was not read from or written to within the timeout period.",
            ),
        };
        let (kind, body) = match framing {
            Framing::Json => ("application/x-amz-json-1.1", json!({ "__type": code, "message": message }).to_string()),
            Framing::Xml => (
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
                     <RequestId>{request_id}</RequestId></Error>"
                ),
            ),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let name = if framing == Framing::Json { "x-amzn-requestid" } else { "x-amz-request-id" };
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(name, id);
        }
        response
    }
}
