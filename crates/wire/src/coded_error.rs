use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

use crate::Exception;
use crate::shape::InputError;
use crate::sigv4::QueryError;

/// An error of a service that speaks the Query protocol and others beside it: it has a name in each. SDKs that came from
/// the Query protocol match on its code, which the others tell them in a header. (Smithy, "AWS Query compatible".)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodedError {
    /// The name of the error's shape, e.g. `InvalidParameterValueException`.
    pub shape: Cow<'static, str>,
    /// Its code in the Query protocol, e.g. `InvalidParameterValue`.
    pub code: Cow<'static, str>,
    /// The HTTP status.
    pub status: StatusCode,
    /// What to tell the person; says what to change.
    pub message: String,
}

impl CodedError {
    /// An error of that shape, code, status and text.
    pub fn new(shape: &'static str, code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self { shape: shape.into(), code: code.into(), status, message: message.into() }
    }

    /// The caller lacks a permission: `AccessDenied`, status 403.
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new("AccessDeniedException", "AccessDenied", StatusCode::FORBIDDEN, message)
    }

    /// A value breaks a constraint: `ValidationError`, status 400.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", "ValidationError", StatusCode::BAD_REQUEST, message)
    }

    /// The request cannot be read: `MalformedInput`, status 400.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new("SerializationException", "MalformedInput", StatusCode::BAD_REQUEST, message)
    }

    /// There is no such operation: `InvalidAction`, status 400.
    pub fn unknown_operation(message: impl Into<String>) -> Self {
        Self::new("UnknownOperationException", "InvalidAction", StatusCode::BAD_REQUEST, message)
    }

    /// Something failed here: status 500, which SDKs retry. What went wrong stays in our log.
    pub fn internal() -> Self {
        let Exception { message, status, .. } = Exception::internal_failure();
        Self::new("InternalServiceFault", "InternalServiceError", status, message)
    }

    /// Cannot be done now: `ServiceUnavailable`, status 503, which SDKs retry.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new("ServiceUnavailableException", "ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<InputError> for CodedError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Serialization(message) => Self::malformed(message),
            InputError::Invalid(_) => Self::validation(error.to_string()),
        }
    }
}

impl From<QueryError> for CodedError {
    fn from(QueryError { code, message, status }: QueryError) -> Self {
        Self::new(code, code, status, message)
    }
}

impl fmt::Display for CodedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for CodedError {}
