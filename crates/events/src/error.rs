//! What can go wrong with buses, rules and what they lead to, and how EventBridge names it.

use opentrail_catalog::CatalogError;
use opentrail_wire::{Exception, events as wire};

use crate::outbox::OutboxError;

/// Why something was not found, changed or taken. The texts are those of EventBridge where they are known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EventsError {
    /// There is no such bus, rule, connection or API destination.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken.
    #[error("{0}")]
    AlreadyExists(String),
    /// The policies do not allow it.
    #[error("{0}")]
    AccessDenied(String),
    /// Too many of something.
    #[error("{0}")]
    LimitExceeded(String),
    /// No event pattern.
    #[error("Event pattern is not valid. Reason: {0}")]
    InvalidPattern(String),
    /// A replay whose state does not allow it.
    #[error("{0}")]
    IllegalStatus(String),
    /// The policy of a bus would be too long.
    #[error("{0}")]
    PolicyLengthExceeded(String),
    /// A value, or values together, that EventBridge refuses.
    #[error("{0}")]
    Validation(String),
    /// Something that is not built.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody else changed it meanwhile.
    #[error("it was changed by another request; try again")]
    Changed,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
    /// The outbox failed.
    #[error(transparent)]
    Outbox(OutboxError),
    /// A connection's secrets do not open with the key ring.
    #[error("the secrets of {arn} do not open with the key ring")]
    Damaged {
        /// The connection.
        arn: String,
    },
}

impl From<CatalogError> for EventsError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Conflict { .. } => Self::Changed,
            other => Self::Catalog(other),
        }
    }
}

impl From<OutboxError> for EventsError {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

impl From<EventsError> for Exception {
    fn from(error: EventsError) -> Self {
        let message = error.to_string();
        match error {
            EventsError::NotFound(_) => wire::resource_not_found(message),
            EventsError::AlreadyExists(_) => wire::resource_already_exists(message),
            EventsError::AccessDenied(_) => Self::access_denied(message),
            EventsError::LimitExceeded(_) => wire::limit_exceeded(message),
            EventsError::InvalidPattern(_) => wire::invalid_event_pattern(message),
            EventsError::IllegalStatus(_) => wire::illegal_status(message),
            EventsError::PolicyLengthExceeded(_) => wire::policy_length_exceeded(message),
            EventsError::Validation(_) | EventsError::Unavailable(_) => Self::validation(message),
            EventsError::Changed => wire::concurrent_modification(message),
            EventsError::Catalog(cause) => {
                tracing::error!(error = %cause, "the catalog failed");
                wire::internal("The catalog is unavailable. Try again later.")
            }
            EventsError::Outbox(cause) => {
                tracing::error!(error = %cause, "the outbox failed");
                wire::internal("What is to be delivered cannot be stored. Try again later.")
            }
            EventsError::Damaged { .. } => {
                tracing::error!(error = message, "a connection cannot be used");
                wire::internal("The connection's secrets cannot be read; the server's log says more.")
            }
        }
    }
}
