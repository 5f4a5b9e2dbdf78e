use opentrail_model::{AccountId, OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

/// A request for a new account, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRequest {
    /// `car-…`.
    pub id: String,
    /// Whose account it is to be.
    pub organization: OrganizationId,
    /// The account's name.
    pub account_name: String,
    /// What became of it.
    pub state: RequestState,
    /// When it came.
    pub requested: Timestamp,
    /// When it was decided.
    pub completed: Timestamp,
}

/// What became of a request. It is decided at once, in one transaction with the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// The account is there.
    Succeeded {
        /// Its digits.
        account: AccountId,
    },
    /// There is none.
    Failed {
        /// Why.
        reason: RequestFailure,
    },
}

/// Why there is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestFailure {
    /// Another account has the address.
    EmailAlreadyExists,
}

impl RequestState {
    /// `SUCCEEDED` or `FAILED`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "SUCCEEDED",
            Self::Failed { .. } => "FAILED",
        }
    }
}

impl RequestFailure {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmailAlreadyExists => "EMAIL_ALREADY_EXISTS",
        }
    }
}
