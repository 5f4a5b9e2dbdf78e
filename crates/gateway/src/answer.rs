//! The gateway's own answers, when the upstream gives none: AWS errors in the framing of the service that was meant.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use opentrail_recorder::{Endpoint, credential};
use serde_json::json;

/// Why the gateway answers by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The upstream does not take connections.
    Unreachable,
    /// It broke off, or sent what is no HTTP.
    Broken,
    /// It said nothing for too long.
    Silent,
    /// The client stopped sending its request.
    SlowClient,
    /// The policy of the VPC endpoint does not allow the call; with what the caller is told.
    Denied(String),
}

/// How an error is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// S3's XML.
    S3,
    /// The query protocol's XML, and that of other services with paths.
    Query,
    /// EC2's XML.
    Ec2,
    /// JSON 1.0 and 1.1.
    Json,
    /// JSON over paths: the error's name is in a header.
    RestJson,
    /// RPC v2 in CBOR.
    Cbor,
}

/// Services with paths whose errors are XML.
const REST_XML: [&str; 3] = ["cloudfront", "route53", "s3-control"];

impl Framing {
    /// By the headers that tell protocols, else by the service of the signature or of the endpoint.
    pub(crate) fn of(parts: &Parts, endpoint: &Endpoint) -> Self {
        let credential = credential(&parts.headers, &parts.uri);
        let scoped = credential.as_ref().and_then(|credential| credential.service.as_deref());
        let service = scoped.or(endpoint.service.as_deref()).unwrap_or("s3");
        let kind = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let in_query = parts.uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("Action=")));
        match service {
            _ if parts.headers.contains_key("smithy-protocol") => Self::Cbor,
            _ if parts.headers.contains_key("x-amz-target") => Self::Json,
            "ec2" => Self::Ec2,
            _ if kind.starts_with(b"application/x-www-form-urlencoded") => Self::Query,
            "s3" | "s3express" | "s3-object-lambda" | "s3-outposts" => Self::S3,
            _ if in_query || REST_XML.contains(&service) => Self::Query,
            _ => Self::RestJson,
        }
    }
}

impl Refusal {
    /// For the metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Broken => "Broken",
            Self::Silent => "Silent",
            Self::SlowClient => "SlowClient",
            Self::Denied(_) => "Denied",
        }
    }

    /// The answer. SDKs try again after each of these but a denial.
    pub(crate) fn answer(self, framing: Framing, request_id: &str) -> Response<Bytes> {
        let unavailable = |status, message: &str| (status, "ServiceUnavailable", message.to_owned());
        let documents = matches!(framing, Framing::Json | Framing::Cbor);
        let (status, code, message) = match self {
            Self::Unreachable => unavailable(StatusCode::SERVICE_UNAVAILABLE, "The gateway cannot reach its upstream."),
            Self::Broken => unavailable(StatusCode::BAD_GATEWAY, "The upstream closed the connection during the call."),
            Self::Silent => unavailable(StatusCode::GATEWAY_TIMEOUT, "The upstream did not answer in time."),
            Self::SlowClient => (
                StatusCode::BAD_REQUEST,
                "RequestTimeout",
                "Your socket connection to the server was not read from or written to within the timeout period."
                    .to_owned(),
            ),
            Self::Denied(message) if documents => (StatusCode::BAD_REQUEST, "AccessDeniedException", message),
            Self::Denied(message) if framing == Framing::RestJson => {
                (StatusCode::FORBIDDEN, "AccessDeniedException", message)
            }
            Self::Denied(message) if framing == Framing::Ec2 => {
                (StatusCode::FORBIDDEN, "UnauthorizedOperation", message)
            }
            Self::Denied(message) => (StatusCode::FORBIDDEN, "AccessDenied", message),
        };
        let (kind, body) = written(framing, status, code, &message, request_id);
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if framing == Framing::RestJson {
            headers.insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(code));
        }
        if framing == Framing::Cbor {
            headers.insert(HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor"));
        }
        let name = if framing == Framing::S3 { "x-amz-request-id" } else { "x-amzn-requestid" };
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(name, id);
        }
        response
    }
}

/// The document of an error, and its type.
fn written(framing: Framing, status: StatusCode, code: &str, message: &str, id: &str) -> (&'static str, Bytes) {
    const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let text = escaped(message);
    let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
    let xml = match framing {
        Framing::Json => {
            let document = json!({ "__type": code, "message": message }).to_string();
            return ("application/x-amz-json-1.1", document.into());
        }
        Framing::RestJson => return ("application/json", json!({ "message": message }).to_string().into()),
        Framing::Cbor => return ("application/cbor", cbor(&[("__type", code), ("message", message)])),
        Framing::S3 => {
            format!("<Error><Code>{code}</Code><Message>{text}</Message><RequestId>{id}</RequestId></Error>")
        }
        Framing::Query => format!(
            "<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{text}</Message></Error>\
             <RequestId>{id}</RequestId></ErrorResponse>"
        ),
        Framing::Ec2 => format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors>\
             <RequestID>{id}</RequestID></Response>"
        ),
    };
    ("application/xml", format!("{DECLARATION}{xml}").into())
}

/// A message may have the resource in it, which is the caller's text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // XML has no place for these.
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A map of texts. (RFC 8949, 3.1.)
fn cbor(members: &[(&str, &str)]) -> Bytes {
    let mut out = vec![0xa0 | members.len() as u8];
    for text in members.iter().flat_map(|(name, value)| [*name, *value]) {
        out.push(0x7a);
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn endpoint() -> Endpoint {
        Endpoint {
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            service: None,
            s3_hosts: Vec::new(),
        }
    }

    fn framing(service: &str, header: Option<(&str, &str)>, target: &str) -> Framing {
        let scope = format!("AWS4-HMAC-SHA256 Credential=A/20260102/us-east-1/{service}/aws4_request, Signature=0");
        let mut request = Request::builder().uri(target).header("authorization", scope);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        Framing::of(&request.body(()).unwrap().into_parts().0, &endpoint())
    }

    #[test]
    fn errors_are_framed_as_the_service_would() {
        let form = Some(("content-type", "application/x-www-form-urlencoded; charset=utf-8"));
        for (service, header, target, expected) in [
            ("s3", None, "/b/k", Framing::S3),
            ("dynamodb", Some(("x-amz-target", "DynamoDB_20120810.GetItem")), "/", Framing::Json),
            ("iam", form, "/", Framing::Query),
            ("sts", None, "/?Action=GetCallerIdentity", Framing::Query),
            ("ec2", form, "/", Framing::Ec2),
            ("monitoring", Some(("smithy-protocol", "rpc-v2-cbor")), "/service/X/operation/Y", Framing::Cbor),
            ("lambda", None, "/2015-03-31/functions", Framing::RestJson),
            ("route53", None, "/2013-04-01/hostedzone", Framing::Query),
        ] {
            assert_eq!(framing(service, header, target), expected, "{service}");
        }
    }

    #[test]
    fn a_denial_says_what_was_asked_for_without_breaking_its_document() {
        let denied = |framing| {
            let answer = Refusal::Denied("no <&> \u{1}".to_owned()).answer(framing, "id-1");
            (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
        };
        let (status, body) = denied(Framing::S3);
        assert_eq!(status, 403);
        assert!(body.contains("<Code>AccessDenied</Code><Message>no &lt;&amp;&gt; \u{fffd}</Message>"), "{body}");
        assert_eq!(denied(Framing::Json).0, 400);
        assert_eq!(denied(Framing::Ec2).1.matches("UnauthorizedOperation").count(), 1);
        assert_eq!(cbor(&[("a", "bc")]), Bytes::from_static(b"\xa1\x7a\x00\x00\x00\x01a\x7a\x00\x00\x00\x02bc"));
    }
}
