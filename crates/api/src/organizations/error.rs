//! Where what Organizations refuses becomes its errors: the one place that decides what a client sees.
//!
//! Names and reasons are the service model's. Texts are AWS's where they are known, which is for those of access and of
//! accounts without an organization.

use http::StatusCode;
use opentrail_catalog::CatalogError;
use opentrail_wire::shape::{InputError, Violation};
use opentrail_wire::{Exception, organizations as wire};
use tracing::error;

use crate::page_token::PageTokenError;

/// An error of Organizations, some of which carry a reason beside the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) exception: Exception,
    pub(super) reason: Option<&'static str>,
}

impl From<Exception> for Refusal {
    fn from(exception: Exception) -> Self {
        Self { exception, reason: None }
    }
}

impl From<CatalogError> for Refusal {
    fn from(cause: CatalogError) -> Self {
        error!(%cause, "an organization could not be changed");
        service()
    }
}

impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        let message = error.to_string();
        match error {
            InputError::Serialization(_) => Exception::serialization(message).into(),
            InputError::Invalid(violations) => invalid(violations.first().map_or("INVALID_PATTERN", reason), message),
        }
    }
}

impl From<PageTokenError> for Refusal {
    fn from(error: PageTokenError) -> Self {
        match error {
            PageTokenError::Forged | PageTokenError::OtherRequest | PageTokenError::Expired => {
                invalid("INVALID_NEXT_TOKEN", error.to_string())
            }
        }
    }
}

/// The reason that Organizations gives for what its service model does not allow.
fn reason(violation: &Violation) -> &'static str {
    let reasons = [
        ("not be null", "INPUT_REQUIRED"),
        ("enum value set", "INVALID_ENUM"),
        ("length less", "MAX_LENGTH_EXCEEDED"),
        ("length greater", "MIN_LENGTH_EXCEEDED"),
        ("value less", "MAX_VALUE_EXCEEDED"),
        ("value greater", "MIN_VALUE_EXCEEDED"),
    ];
    let found = reasons.iter().find(|(text, _)| violation.constraint.contains(text));
    found.map_or("INVALID_PATTERN", |(_, reason)| reason)
}

pub(super) fn access_denied() -> Refusal {
    not_authorized("You don't have permissions to access this resource.")
}

pub(super) fn not_authorized(message: impl Into<String>) -> Refusal {
    wire::access_denied(message).into()
}

pub(super) fn not_in_use() -> Refusal {
    wire::aws_organizations_not_in_use("Your account is not a member of an organization.").into()
}

pub(super) fn already_in_organization() -> Refusal {
    wire::already_in_organization("The AWS account is already a member of an organization.").into()
}

pub(super) fn not_empty() -> Refusal {
    let message = "The organization is not empty: remove every account but the management account, and every \
                   organizational unit.";
    wire::organization_not_empty(message).into()
}

pub(super) fn master_cannot_leave() -> Refusal {
    wire::master_cannot_leave_organization("The management account cannot leave its organization.").into()
}

pub(super) fn no_account() -> Refusal {
    wire::account_not_found("You specified an account that doesn't exist.").into()
}

pub(super) fn closed_already() -> Refusal {
    wire::account_already_closed("The account is closed already.").into()
}

pub(super) fn no_request() -> Refusal {
    wire::create_account_status_not_found("There is no request for an account with this CreateAccountRequestId.").into()
}

pub(super) fn no_parent() -> Refusal {
    wire::parent_not_found("You specified parent that doesn't exist.").into()
}

pub(super) fn no_source_parent() -> Refusal {
    wire::source_parent_not_found("The account is not in a root or organizational unit with this SourceParentId.")
        .into()
}

pub(super) fn no_destination_parent() -> Refusal {
    wire::destination_parent_not_found("There is no root or organizational unit with this DestinationParentId.").into()
}

pub(super) fn already_there() -> Refusal {
    wire::duplicate_account("The account is in this root or organizational unit already.").into()
}

pub(super) fn no_child() -> Refusal {
    wire::child_not_found("You specified child that doesn't exist.").into()
}

pub(super) fn no_unit() -> Refusal {
    wire::organizational_unit_not_found("You specified an organizational unit that doesn't exist.").into()
}

pub(super) fn unit_exists(name: &str) -> Refusal {
    wire::duplicate_organizational_unit(format!("There is an organizational unit named {name:?} in this parent."))
        .into()
}

pub(super) fn unit_not_empty() -> Refusal {
    let message = "The organizational unit is not empty: move its accounts and delete the units in it first.";
    wire::organizational_unit_not_empty(message).into()
}

pub(super) fn no_target() -> Refusal {
    wire::target_not_found("You specified a target that doesn't exist.").into()
}

pub(super) fn no_handshake() -> Refusal {
    wire::handshake_not_found("You specified a handshake that doesn't exist.").into()
}

pub(super) fn duplicate_handshake() -> Refusal {
    wire::duplicate_handshake("There is an open invitation of this account to the organization already.").into()
}

pub(super) fn handshake_already(state: &str) -> Refusal {
    wire::handshake_already_in_state(format!("The handshake is {state} already.")).into()
}

pub(super) fn handshake_transition(state: &str) -> Refusal {
    let message = format!("The handshake is {state}, which does not allow this operation.");
    wire::invalid_handshake_transition(message).into()
}

pub(super) fn already_registered() -> Refusal {
    let message = "The account is a delegated administrator of this service already.";
    wire::account_already_registered(message).into()
}

pub(super) fn not_registered() -> Refusal {
    wire::account_not_registered("The account is not a delegated administrator of this service.").into()
}

/// `ConstraintViolationException` for one of its reasons.
pub(super) fn constraint(reason: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { exception: wire::constraint_violation(message), reason: Some(reason) }
}

/// `HandshakeConstraintViolationException` for one of its reasons.
pub(super) fn handshake_constraint(reason: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { exception: wire::handshake_constraint_violation(message), reason: Some(reason) }
}

/// `InvalidInputException` for one of its reasons.
pub(super) fn invalid(reason: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { exception: wire::invalid_input(message), reason: Some(reason) }
}

/// An operation of AWS that is not here.
pub(super) fn unsupported(operation: &str) -> Refusal {
    let message = format!("{operation} is not built yet in this version of OpenTrail.");
    Exception::new("UnsupportedAPIEndpointException", message, StatusCode::BAD_REQUEST).into()
}

/// A 5xx that SDKs retry; details stay in our log.
pub(super) fn service() -> Refusal {
    wire::service("Organizations can't complete your request because of an internal service error. Try again later.")
        .into()
}
