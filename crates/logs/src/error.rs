//! What can go wrong, and how CloudWatch Logs names it.

use opentrail_wire::{Exception, logs as wire};

/// Why a request was not done. The texts are those of CloudWatch Logs where they are known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogsError {
    /// A value, or values together, that are refused.
    #[error("{0}")]
    InvalidParameter(String),
    /// There is no such group, stream, filter, query or policy.
    #[error("{0}")]
    NotFound(String),
    /// It is there already.
    #[error("{0}")]
    AlreadyExists(String),
    /// Too many of something.
    #[error("{0}")]
    LimitExceeded(String),
    /// Too many tags.
    #[error("{0}")]
    TooManyTags(String),
    /// Somebody else changed the same thing meanwhile, or its state does not allow it.
    #[error("{0}")]
    Aborted(String),
    /// The operation does not fit what it is asked for.
    #[error("{0}")]
    InvalidOperation(String),
    /// The state of a resource forbids it.
    #[error("{0}")]
    Validation(String),
    /// A query that cannot be read.
    #[error("{0}")]
    MalformedQuery(String),
    /// The policies do not allow it.
    #[error("{0}")]
    AccessDenied(String),
    /// The file failed, or the server is stopping; trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

impl From<sqlx::Error> for LogsError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<LogsError> for Exception {
    fn from(error: LogsError) -> Self {
        let message = error.to_string();
        match error {
            LogsError::InvalidParameter(_) => wire::invalid_parameter(message),
            LogsError::NotFound(_) => wire::resource_not_found(message),
            LogsError::AlreadyExists(_) => wire::resource_already_exists(message),
            LogsError::LimitExceeded(_) => wire::limit_exceeded(message),
            LogsError::TooManyTags(_) => wire::too_many_tags(message),
            LogsError::Aborted(_) => wire::operation_aborted(message),
            LogsError::InvalidOperation(_) => wire::invalid_operation(message),
            LogsError::Validation(_) => Self::validation(message),
            LogsError::MalformedQuery(_) => wire::malformed_query(message),
            LogsError::AccessDenied(_) => Self::access_denied(message),
            LogsError::Unavailable(cause) => {
                tracing::error!(error = cause, "the file of log events failed");
                wire::service_unavailable("The service cannot complete the request. Try again later.")
            }
        }
    }
}

pub(crate) fn no_group() -> LogsError {
    LogsError::NotFound("The specified log group does not exist.".to_owned())
}

pub(crate) fn no_stream() -> LogsError {
    LogsError::NotFound("The specified log stream does not exist.".to_owned())
}

pub(crate) fn invalid(message: impl Into<String>) -> LogsError {
    LogsError::InvalidParameter(message.into())
}
