//! What can go wrong, and how SNS names it.

use opentrail_catalog::CatalogError;
use opentrail_wire::sigv4::QueryError;
use opentrail_wire::sns::errors;

use crate::outbox::OutboxError;

/// Why a call was not done. The texts are those of SNS where they are known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SnsError {
    /// A value that SNS refuses.
    #[error("Invalid parameter: {0}")]
    InvalidParameter(String),
    /// A message attribute's value is not of its type.
    #[error("{0}")]
    ParameterValueInvalid(String),
    /// There is no such topic or subscription.
    #[error("{0}")]
    NotFound(String),
    /// There is no such resource to tag.
    #[error("Resource does not exist")]
    ResourceNotFound,
    /// The policies do not allow it.
    #[error("{0}")]
    AuthorizationError(String),
    /// The account has too many topics.
    #[error("{0}")]
    TopicLimitExceeded(String),
    /// The topic or the account has too many subscriptions.
    #[error("{0}")]
    SubscriptionLimitExceeded(String),
    /// Too many filter policies.
    #[error("{0}")]
    FilterPolicyLimitExceeded(String),
    /// The topic has too many tags.
    #[error("Could not complete request: tag quota of per resource exceeded")]
    TagLimitExceeded,
    /// Two entries of a batch have one id.
    #[error("Two or more batch entries in the request have the same Id: {0}")]
    BatchEntryIdsNotDistinct(String),
    /// The messages of a batch are too large together.
    #[error("The length of all the messages put together is more than the limit of 262144 bytes.")]
    BatchRequestTooLong,
    /// A batch of nothing.
    #[error("The batch request doesn't contain any entries.")]
    EmptyBatchRequest,
    /// An entry's id is not as ids are.
    #[error("The Id {0:?} of a batch entry must have 1 to 80 letters, digits, hyphens and underscores.")]
    InvalidBatchEntryId(String),
    /// More entries than a batch may have.
    #[error("The batch request contains more entries than permissible: {0}, at most 10.")]
    TooManyEntriesInBatchRequest(usize),
    /// Somebody else changed it meanwhile.
    #[error("it was changed by another request; try again")]
    Changed,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
    /// The outbox failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The server's key for signatures cannot be had.
    #[error("messages cannot be signed: {0}")]
    Signing(String),
}

impl SnsError {
    /// `Invalid parameter: <name> Reason: <why>`.
    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::InvalidParameter(format!("{name} Reason: {why}"))
    }

    pub(crate) fn no_topic() -> Self {
        Self::NotFound("Topic does not exist".to_owned())
    }

    pub(crate) fn no_subscription() -> Self {
        Self::NotFound("Subscription does not exist".to_owned())
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Changed | Self::Catalog(_) | Self::Outbox(_) | Self::Signing(_))
    }
}

impl From<CatalogError> for SnsError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Conflict { .. } => Self::Changed,
            other => Self::Catalog(other),
        }
    }
}

impl From<SnsError> for QueryError {
    fn from(error: SnsError) -> Self {
        let message = error.to_string();
        match error {
            SnsError::InvalidParameter(_) => errors::invalid_parameter(message),
            SnsError::ParameterValueInvalid(_) => errors::invalid_parameter_value(message),
            SnsError::NotFound(_) => errors::not_found(message),
            SnsError::ResourceNotFound => errors::resource_not_found(message),
            SnsError::AuthorizationError(_) => errors::authorization_error(message),
            SnsError::TopicLimitExceeded(_) => errors::topic_limit_exceeded(message),
            SnsError::SubscriptionLimitExceeded(_) => errors::subscription_limit_exceeded(message),
            SnsError::FilterPolicyLimitExceeded(_) => errors::filter_policy_limit_exceeded(message),
            SnsError::TagLimitExceeded => errors::tag_limit_exceeded(message),
            SnsError::BatchEntryIdsNotDistinct(_) => errors::batch_entry_ids_not_distinct(message),
            SnsError::BatchRequestTooLong => errors::batch_request_too_long(message),
            SnsError::EmptyBatchRequest => errors::empty_batch_request(message),
            SnsError::InvalidBatchEntryId(_) => errors::invalid_batch_entry_id(message),
            SnsError::TooManyEntriesInBatchRequest(_) => errors::too_many_entries_in_batch_request(message),
            SnsError::Changed => errors::internal_error(message),
            SnsError::Catalog(_) | SnsError::Outbox(_) | SnsError::Signing(_) => {
                tracing::error!(error = message, "a call of sns failed");
                errors::internal_error("The service's storage is unavailable. Try again later.")
            }
        }
    }
}
