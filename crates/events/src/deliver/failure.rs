//! Why a delivery failed, and whether trying again may help.

use std::time::Duration;

use opentrail_outbound::OutboundError;
use opentrail_outbound::aws::AwsError;

/// A delivery that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct DeliveryFailure {
    /// Whether it is tried again.
    pub retry: Retry,
    /// What a dead letter says, one of EventBridge's words, e.g. `NO_PERMISSIONS`. (EventBridge User Guide, "Using
    /// dead-letter queues to process undelivered events".)
    pub code: &'static str,
    /// What happened. It must hold no secret: dead letters and logs show it.
    pub message: String,
}

/// Whether a delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It is, by the target's retry policy.
    Later,
    /// It is, and not before this time has passed.
    After(Duration),
    /// It is not: it cannot succeed.
    Never,
}

impl DeliveryFailure {
    /// A failure that may pass.
    pub fn later(code: &'static str, message: impl Into<String>) -> Self {
        Self { retry: Retry::Later, code, message: message.into() }
    }

    /// A failure that trying again does not mend.
    pub fn never(code: &'static str, message: impl Into<String>) -> Self {
        Self { retry: Retry::Never, code, message: message.into() }
    }
}

impl From<OutboundError> for DeliveryFailure {
    fn from(error: OutboundError) -> Self {
        let code = match error {
            OutboundError::TimedOut => "TIMEOUT",
            OutboundError::InvalidUrl { .. } => "INVALID_PARAMETER",
            _ => "CONNECTION_FAILURE",
        };
        let retry = if error.is_retryable() { Retry::Later } else { Retry::Never };
        Self { retry, code, message: error.to_string() }
    }
}

impl From<AwsError> for DeliveryFailure {
    fn from(error: AwsError) -> Self {
        let retry = if error.is_retryable() { Retry::Later } else { Retry::Never };
        let message = error.to_string();
        let code = match &error {
            AwsError::Outbound(error) => return error.clone().into(),
            AwsError::Request(_) => "INVALID_PARAMETER",
            AwsError::Refused { name, .. } if name.contains("Throttl") => "THROTTLING",
            AwsError::Refused { name, .. } if name.contains("AccessDenied") => "NO_PERMISSIONS",
            AwsError::Refused { name, .. }
                if ["NonExistent", "DoesNotExist", "NotFound"].iter().any(|none| name.contains(none)) =>
            {
                "NO_RESOURCE"
            }
            AwsError::Refused { .. } if retry == Retry::Later => "ERROR_FROM_TARGET",
            AwsError::Refused { .. } => "SDK_CLIENT_ERROR",
        };
        Self { retry, code, message }
    }
}
