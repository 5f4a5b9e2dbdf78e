//! What can go wrong with keys, and how KMS names it.

use opentrail_catalog::CatalogError;
use opentrail_wire::{Exception, kms as wire};

/// Why a key was not used or changed. The texts are those of KMS where they are known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KmsError {
    /// There is no such key or alias.
    #[error("{0}")]
    NotFound(String),
    /// The key is switched off.
    #[error("{arn} is disabled.")]
    Disabled {
        /// The key.
        arn: String,
    },
    /// The key's state does not allow it.
    #[error("{arn} {problem}.")]
    InvalidState {
        /// The key.
        arn: String,
        /// What it is, e.g. `is pending deletion`.
        problem: &'static str,
    },
    /// The ciphertext is damaged, of another context, or none.
    #[error("the ciphertext is damaged, or was not made with this encryption context")]
    InvalidCiphertext,
    /// The ciphertext is another key's than the request says.
    #[error("The key ID in the request does not identify a CMK that can perform this operation.")]
    IncorrectKey,
    /// The policies do not allow it.
    #[error("{0}")]
    AccessDenied(String),
    /// The alias is there already.
    #[error("An alias with the name {arn} already exists")]
    AlreadyExists {
        /// The alias.
        arn: String,
    },
    /// Too many of something.
    #[error("{0}")]
    LimitExceeded(String),
    /// The key policy cannot be used.
    #[error("{0}")]
    MalformedPolicy(String),
    /// The name of an alias that nobody may have.
    #[error("{0}")]
    InvalidAliasName(String),
    /// No ARN of a key or alias.
    #[error("{0}")]
    InvalidArn(String),
    /// The marker is not one that the operation returned.
    #[error("The marker is not one that this operation returned for the same request.")]
    InvalidMarker,
    /// Grant tokens, of which there are none.
    #[error("There are no grants here, so that no grant token is valid.")]
    InvalidGrantToken,
    /// The algorithm or use is not the key's.
    #[error("{0}")]
    InvalidKeyUsage(String),
    /// Tags that cannot be.
    #[error("{0}")]
    Tag(String),
    /// Not built, or not for this kind of key.
    #[error("{0}")]
    Unsupported(String),
    /// A value, or values together, that KMS refuses.
    #[error("{0}")]
    Validation(String),
    /// It would have been done, had it not been asked only whether.
    #[error("The request would have succeeded, but the DryRun option is set.")]
    DryRun,
    /// Somebody else changed the key meanwhile.
    #[error("the key was changed by another request; try again")]
    Changed,
    /// Another KMS, which has the key, failed or refused.
    #[error("{message}")]
    External {
        /// Its name for it.
        name: String,
        /// What it says.
        message: String,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
    /// The key's material does not open with the key ring.
    #[error("the material of {arn} does not open with the key ring")]
    Damaged {
        /// The key.
        arn: String,
    },
}

impl From<CatalogError> for KmsError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Conflict { .. } => Self::Changed,
            other => Self::Catalog(other),
        }
    }
}

impl KmsError {
    /// KMS's name for it, as S3 puts `KMS.` before.
    pub fn name(&self) -> String {
        if let Self::External { name, .. } = self {
            return name.clone();
        }
        Exception::from(self.clone()).name.into_owned()
    }
}

impl From<KmsError> for Exception {
    fn from(error: KmsError) -> Self {
        let message = error.to_string();
        match error {
            KmsError::NotFound(_) => wire::not_found(message),
            KmsError::Disabled { .. } => wire::disabled(message),
            KmsError::InvalidState { .. } => wire::kms_invalid_state(message),
            KmsError::InvalidCiphertext => wire::invalid_ciphertext(message),
            KmsError::IncorrectKey => wire::incorrect_key(message),
            KmsError::AccessDenied(_) => Self::access_denied(message),
            KmsError::AlreadyExists { .. } => wire::already_exists(message),
            KmsError::LimitExceeded(_) => wire::limit_exceeded(message),
            KmsError::MalformedPolicy(_) => wire::malformed_policy_document(message),
            KmsError::InvalidAliasName(_) => wire::invalid_alias_name(message),
            KmsError::InvalidArn(_) => wire::invalid_arn(message),
            KmsError::InvalidMarker => wire::invalid_marker(message),
            KmsError::InvalidGrantToken => wire::invalid_grant_token(message),
            KmsError::InvalidKeyUsage(_) => wire::invalid_key_usage(message),
            KmsError::Tag(_) => wire::tag(message),
            KmsError::Unsupported(_) => wire::unsupported_operation(message),
            KmsError::Validation(_) => Self::validation(message),
            KmsError::DryRun => wire::dry_run_operation(message),
            KmsError::External { .. } => wire::dependency_timeout(message),
            KmsError::Changed => wire::dependency_timeout(message),
            KmsError::Catalog(cause) => {
                tracing::error!(error = %cause, "the catalog failed");
                wire::dependency_timeout("The catalog is unavailable. Try again later.")
            }
            KmsError::Damaged { .. } => {
                tracing::error!(error = message, "a key cannot be used");
                wire::kms_internal("The key's material cannot be read; the server's log says more.")
            }
        }
    }
}
