use http::StatusCode;

use super::operation::Matched;
use crate::draft::Failure;
use crate::exchange::Exchange;
use crate::generated::s3_operations::Level;
use crate::xml;

/// Calls that send their head before they are done and may report an error after a status 200.
pub(super) fn may_come_with_success(event_name: &str) -> bool {
    matches!(event_name, "CompleteMultipartUpload" | "CopyObject" | "UploadPartCopy")
}

/// The error of a response: from its document, or from the status where there is none, as for HEAD.
pub(super) fn of(exchange: &Exchange, matched: &Matched) -> Option<Failure> {
    let status = exchange.status?;
    let failed = status.is_client_error() || status.is_server_error();
    if !failed && !may_come_with_success(&matched.event_name) {
        return None;
    }
    let document = exchange.response_body.bytes().and_then(xml::parse).filter(|(root, _)| root == "Error");
    if let Some((_, error)) = document
        && let Some(code) = xml::text(&error, &["Code"])
    {
        let message = xml::text(&error, &["Message"]).map(str::to_owned);
        return Some(Failure { code: code.to_owned(), message });
    }
    failed.then(|| by_status(status, matched.level))
}

/// S3's codes and words for a status, from the S3 API reference's page on error responses.
fn by_status(status: StatusCode, level: Level) -> Failure {
    let (code, message) = match status.as_u16() {
        400 => ("BadRequest", "Bad Request"),
        403 => ("AccessDenied", "Access Denied"),
        404 if level == Level::Object => ("NoSuchKey", "The specified key does not exist."),
        404 => ("NoSuchBucket", "The specified bucket does not exist"),
        405 => ("MethodNotAllowed", "The specified method is not allowed against this resource."),
        412 => ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
        416 => ("InvalidRange", "The requested range is not satisfiable"),
        503 => ("ServiceUnavailable", "Service is unable to handle request."),
        500..=599 => ("InternalError", "We encountered an internal error. Please try again."),
        _ => ("InvalidRequest", status.canonical_reason().unwrap_or("Invalid Request")),
    };
    Failure { code: code.to_owned(), message: Some(message.to_owned()) }
}
