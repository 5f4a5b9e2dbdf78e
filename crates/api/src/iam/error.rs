//! What a client of IAM is told when something cannot be done: AWS's errors, with its texts where they are known.

use std::fmt::Display;

use opentrail_identity::PolicyError;
use opentrail_wire::iam::errors;
use opentrail_wire::sigv4::QueryError;

pub(super) fn no_user(name: &str) -> QueryError {
    errors::no_such_entity(format!("The user with name {name} cannot be found."))
}

pub(super) fn no_group(name: &str) -> QueryError {
    errors::no_such_entity(format!("The group with name {name} cannot be found."))
}

pub(super) fn no_role(name: &str) -> QueryError {
    errors::no_such_entity(format!("The role with name {name} cannot be found."))
}

pub(super) fn no_policy(arn: &str) -> QueryError {
    errors::no_such_entity(format!("Policy {arn} was not found."))
}

pub(super) fn not_attachable(arn: &str) -> QueryError {
    errors::no_such_entity(format!("Policy {arn} does not exist or is not attachable."))
}

pub(super) fn no_boundary(arn: &str) -> QueryError {
    errors::no_such_entity(format!("Scope ARN: {arn} does not exist or is not attachable."))
}

pub(super) fn no_inline_policy(kind: &str, name: &str) -> QueryError {
    errors::no_such_entity(format!("The {kind} policy with name {name} cannot be found."))
}

pub(super) fn no_version(arn: &str, version: &str) -> QueryError {
    errors::no_such_entity(format!("Policy {arn} version {version} does not exist or is not attachable."))
}

pub(super) fn no_access_key(id: &str) -> QueryError {
    errors::no_such_entity(format!("The Access Key with id {id} cannot be found."))
}

pub(super) fn no_login_profile(user: &str) -> QueryError {
    errors::no_such_entity(format!("Login Profile for User {user} cannot be found."))
}

pub(super) fn no_alias(alias: &str) -> QueryError {
    errors::no_such_entity(format!("The account alias {alias} cannot be found."))
}

pub(super) fn not_a_member(user: &str, group: &str) -> QueryError {
    errors::no_such_entity(format!("The user with name {user} is not in the group with name {group}."))
}

/// `what` is `User`, `Group` or `Role`.
pub(super) fn exists(what: &str, name: &str) -> QueryError {
    errors::entity_already_exists(format!("{what} with name {name} already exists."))
}

pub(super) fn policy_exists(name: &str) -> QueryError {
    let message = format!("A policy called {name} already exists. Duplicate names are not allowed.");
    errors::entity_already_exists(message)
}

pub(super) fn login_profile_exists(user: &str) -> QueryError {
    errors::entity_already_exists(format!("Login Profile for user {user} already exists."))
}

pub(super) fn alias_exists(alias: &str) -> QueryError {
    errors::entity_already_exists(format!("The account alias {alias} already exists."))
}

/// `quota` is its name, e.g. `AccessKeysPerUser`.
pub(super) fn quota(quota: &str, most: usize) -> QueryError {
    errors::limit_exceeded(format!("Cannot exceed quota for {quota}: {most}"))
}

pub(super) fn inline_too_long(kind: &str, name: &str, most: usize) -> QueryError {
    errors::limit_exceeded(format!("Maximum policy size of {most} bytes exceeded for {kind} {name}"))
}

pub(super) fn too_many_versions(most: usize) -> QueryError {
    errors::limit_exceeded(format!(
        "A managed policy can have up to {most} versions. Before you create a new version, you must delete an existing \
         version."
    ))
}

/// `first` is what must be done before, e.g. "delete access keys".
pub(super) fn conflict(first: &str) -> QueryError {
    errors::delete_conflict(format!("Cannot delete entity, must {first} first."))
}

pub(super) fn attached_policy() -> QueryError {
    errors::delete_conflict("Cannot delete a policy attached to entities.")
}

pub(super) fn policy_with_versions() -> QueryError {
    errors::delete_conflict(
        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The \
         default version is deleted with the policy.",
    )
}

pub(super) fn default_version() -> QueryError {
    errors::delete_conflict("Cannot delete the default version of a policy.")
}

pub(super) fn malformed(error: &PolicyError) -> QueryError {
    errors::malformed_policy_document(error.to_string())
}

pub(super) fn invalid(message: impl Display) -> QueryError {
    errors::invalid_input(message.to_string())
}

pub(super) fn weak_password() -> QueryError {
    errors::password_policy_violation("Password does not conform to the account password policy.")
}

pub(super) fn wrong_password() -> QueryError {
    QueryError::access_denied("The old password was incorrect.")
}

pub(super) fn only_users_change_passwords() -> QueryError {
    errors::invalid_user_type("Only IAM Users can change their own password.")
}

/// The configuration file is not the API's to change; that it has this error is a choice.
pub(super) fn configured(what: &str, name: &str) -> QueryError {
    errors::unmodifiable_entity(format!(
        "The {what} {name} is defined in the server's configuration file, which the API cannot change. Change it there \
         and restart the server."
    ))
}

/// The root's keys are the server's and the configuration's; a choice.
pub(super) fn root_keys() -> QueryError {
    errors::unmodifiable_entity(
        "The access keys of the root user are made by the server and in its configuration file, not through the API. \
         Create a user with administrator access instead.",
    )
}

pub(super) fn root_is_no_user() -> QueryError {
    QueryError::validation("Must specify userName: the root user is no IAM user.")
}

pub(super) fn service_failure() -> QueryError {
    errors::service_failure("The identities could not be stored. Try again later.")
}
