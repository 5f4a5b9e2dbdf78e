use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

use crate::modelled::MODELLED;

/// An AWS error on its way to a client: the name that SDKs match on, a text for people, an HTTP status.
///
/// One constructor for each error that CloudTrail's service model defines, e.g. [`Exception::trail_not_found`], and
/// for each that AWS's front layer answers with. All modelled errors have status 400: the Smithy model's `httpError`
/// trait gives some 403, 404, 409 or 429, but the API Reference prints 400 for all, and so do captured answers
/// ("… (Service: CloudTrail, Status Code: 400 …)" for `InsufficientS3BucketPolicyException`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The error's name, e.g. `TrailNotFoundException`.
    pub name: Cow<'static, str>,
    /// What to tell the person; says what to change.
    pub message: String,
    /// The HTTP status.
    pub status: StatusCode,
}

impl Exception {
    /// An error of that name, text and status.
    pub fn new(name: impl Into<Cow<'static, str>>, message: impl Into<String>, status: StatusCode) -> Self {
        Self { name: name.into(), message: message.into(), status }
    }

    /// An error of a service model: status 400.
    pub fn modelled(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, message, StatusCode::BAD_REQUEST)
    }

    /// `AccessDeniedException`: the caller lacks a permission. [`not_authorized`](Self::not_authorized) has AWS's text.
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::modelled("AccessDeniedException", message)
    }

    /// `AccessDeniedException` in AWS's words: who may not do what, on what, and why, e.g. "because no
    /// identity-based policy allows the cloudtrail:GetTrail action".
    pub fn not_authorized(caller_arn: &str, action: &str, resource: Option<&str>, why: &str) -> Self {
        let on = resource.map(|arn| format!(" on resource: {arn}")).unwrap_or_default();
        Self::access_denied(format!("User: {caller_arn} is not authorized to perform: {action}{on} {why}"))
    }

    /// `ThrottlingException`: "Rate exceeded".
    pub fn throttling() -> Self {
        Self::modelled("ThrottlingException", "Rate exceeded")
    }

    /// `UnknownOperationException`: the target names no operation of the service.
    pub fn unknown_operation(message: impl Into<String>) -> Self {
        Self::modelled("UnknownOperationException", message)
    }

    /// `SerializationException`: the body is not JSON, or a value has the wrong JSON type.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::modelled("SerializationException", message)
    }

    /// `ValidationException`: a value breaks a constraint of the service model.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::modelled("ValidationException", message)
    }

    /// `UnrecognizedClientException`: no such access key, or a session token that does not belong to it.
    pub fn unrecognized_client() -> Self {
        Self::modelled("UnrecognizedClientException", "The security token included in the request is invalid.")
    }

    /// `InvalidSignatureException`: the signature, its scope or its time is not valid.
    pub fn invalid_signature(message: impl Into<String>) -> Self {
        Self::modelled("InvalidSignatureException", message)
    }

    /// `IncompleteSignatureException`: the authorization header cannot be read.
    pub fn incomplete_signature(message: impl Into<String>) -> Self {
        Self::modelled("IncompleteSignatureException", message)
    }

    /// `MissingAuthenticationTokenException`: the request is not signed.
    pub fn missing_authentication_token() -> Self {
        Self::modelled("MissingAuthenticationTokenException", "Missing Authentication Token")
    }

    /// `ExpiredTokenException`: temporary credentials past their end.
    pub fn expired_token() -> Self {
        Self::modelled("ExpiredTokenException", "The security token included in the request is expired")
    }

    /// `InternalFailure`, status 500, which SDKs retry. What went wrong stays in our log.
    pub fn internal_failure() -> Self {
        let message = "The request processing has failed because of an unknown error, exception or failure.";
        Self::new("InternalFailure", message, StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// `ServiceUnavailable`, status 503, which SDKs retry: e.g. the disk is full or the server is stopping.
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::new("ServiceUnavailable", message, StatusCode::SERVICE_UNAVAILABLE)
    }

    /// `RequestEntityTooLargeException`, status 413.
    pub fn request_entity_too_large(message: impl Into<String>) -> Self {
        Self::new("RequestEntityTooLargeException", message, StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// `RequestTimeoutException`, status 408: the body did not arrive in time.
    pub fn request_timeout(message: impl Into<String>) -> Self {
        Self::new("RequestTimeoutException", message, StatusCode::REQUEST_TIMEOUT)
    }

    /// `MalformedHttpRequestException`: the request cannot be read as HTTP with an AWS protocol in it.
    pub fn malformed_http_request(message: impl Into<String>) -> Self {
        Self::modelled("MalformedHttpRequestException", message)
    }

    /// The member that carries the text in awsJson: `Message` for errors of CloudTrail's service model, `message`
    /// for those of the front layer.
    pub(crate) fn text_member(&self) -> &'static str {
        if MODELLED.binary_search(&&*self.name).is_ok() { "Message" } else { "message" }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for Exception {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modelled_names_are_sorted_so_that_they_can_be_searched() {
        assert!(MODELLED.is_sorted());
        assert_eq!(Exception::trail_not_found("x").text_member(), "Message");
        assert_eq!(Exception::unsupported_operation("x").text_member(), "Message");
        assert_eq!(Exception::access_denied("x").text_member(), "message");
        assert_eq!(Exception::validation("x").text_member(), "message");
    }

    #[test]
    fn not_authorized_speaks_as_aws_does() {
        let why = "because no identity-based policy allows the cloudtrail:GetTrail action";
        let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/a";
        let told =
            Exception::not_authorized("arn:aws:iam::111122223333:user/bob", "cloudtrail:GetTrail", Some(arn), why);
        assert_eq!(
            told.message,
            "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: cloudtrail:GetTrail on resource: \
             arn:aws:cloudtrail:us-east-1:111122223333:trail/a because no identity-based policy allows the \
             cloudtrail:GetTrail action"
        );
    }
}
