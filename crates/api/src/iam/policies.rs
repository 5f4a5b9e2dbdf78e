//! The operations on policies of users, groups and roles, by the names that they have for each.

use opentrail_wire::iam as wire;

use super::Outcome;
use super::asked::Asked;
use super::page::Page;
use super::rights::{self, Kind, Whose};

/// Puts a policy into a user.
pub(super) async fn put_user_policy(asked: Asked<'_>, input: wire::PutUserPolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::User, name: &input.user_name };
    rights::put(asked, whose, input.policy_name, &input.policy_document).await.map(done)
}

/// A policy that is in a user.
pub(super) fn get_user_policy(
    asked: &Asked<'_>,
    input: wire::GetUserPolicyInput,
) -> Outcome<wire::GetUserPolicyOutput> {
    let whose = Whose { kind: Kind::User, name: &input.user_name };
    let policy_document = rights::get(asked, whose, &input.policy_name)?;
    Ok(wire::GetUserPolicyOutput { user_name: input.user_name, policy_name: input.policy_name, policy_document })
}

/// The names of the policies in a user.
pub(super) fn list_user_policies(
    asked: &Asked<'_>,
    input: &wire::ListUserPoliciesInput,
) -> Outcome<wire::ListUserPoliciesOutput> {
    let whose = Whose { kind: Kind::User, name: &input.user_name };
    let page = rights::list(asked, whose, input.marker.as_deref(), input.max_items)?;
    let Page { items, is_truncated, marker } = page;
    Ok(wire::ListUserPoliciesOutput { policy_names: items, is_truncated, marker })
}

/// Takes a policy out of a user.
pub(super) async fn delete_user_policy(asked: Asked<'_>, input: wire::DeleteUserPolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::User, name: &input.user_name };
    rights::delete(asked, whose, &input.policy_name).await.map(done)
}

/// Attaches a managed policy to a user.
pub(super) async fn attach_user_policy(asked: Asked<'_>, input: wire::AttachUserPolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::User, name: &input.user_name };
    rights::attach(asked, whose, &input.policy_arn).await.map(done)
}

/// Detaches a managed policy from a user.
pub(super) async fn detach_user_policy(asked: Asked<'_>, input: wire::DetachUserPolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::User, name: &input.user_name };
    rights::detach(asked, whose, &input.policy_arn).await.map(done)
}

/// The managed policies that are attached to a user.
pub(super) fn list_attached_user_policies(
    asked: &Asked<'_>,
    input: &wire::ListAttachedUserPoliciesInput,
) -> Outcome<wire::ListAttachedUserPoliciesOutput> {
    let whose = Whose { kind: Kind::User, name: &input.user_name };
    let (prefix, marker) = (input.path_prefix.as_deref(), input.marker.as_deref());
    let Page { items, is_truncated, marker } = rights::list_attached(asked, whose, prefix, marker, input.max_items)?;
    Ok(wire::ListAttachedUserPoliciesOutput { attached_policies: Some(items), is_truncated, marker })
}

/// Puts a policy into a group.
pub(super) async fn put_group_policy(asked: Asked<'_>, input: wire::PutGroupPolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::Group, name: &input.group_name };
    rights::put(asked, whose, input.policy_name, &input.policy_document).await.map(done)
}

/// A policy that is in a group.
pub(super) fn get_group_policy(
    asked: &Asked<'_>,
    input: wire::GetGroupPolicyInput,
) -> Outcome<wire::GetGroupPolicyOutput> {
    let whose = Whose { kind: Kind::Group, name: &input.group_name };
    let policy_document = rights::get(asked, whose, &input.policy_name)?;
    Ok(wire::GetGroupPolicyOutput { group_name: input.group_name, policy_name: input.policy_name, policy_document })
}

/// The names of the policies in a group.
pub(super) fn list_group_policies(
    asked: &Asked<'_>,
    input: &wire::ListGroupPoliciesInput,
) -> Outcome<wire::ListGroupPoliciesOutput> {
    let whose = Whose { kind: Kind::Group, name: &input.group_name };
    let page = rights::list(asked, whose, input.marker.as_deref(), input.max_items)?;
    let Page { items, is_truncated, marker } = page;
    Ok(wire::ListGroupPoliciesOutput { policy_names: items, is_truncated, marker })
}

/// Takes a policy out of a group.
pub(super) async fn delete_group_policy(asked: Asked<'_>, input: wire::DeleteGroupPolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::Group, name: &input.group_name };
    rights::delete(asked, whose, &input.policy_name).await.map(done)
}

/// Attaches a managed policy to a group.
pub(super) async fn attach_group_policy(asked: Asked<'_>, input: wire::AttachGroupPolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::Group, name: &input.group_name };
    rights::attach(asked, whose, &input.policy_arn).await.map(done)
}

/// Detaches a managed policy from a group.
pub(super) async fn detach_group_policy(asked: Asked<'_>, input: wire::DetachGroupPolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::Group, name: &input.group_name };
    rights::detach(asked, whose, &input.policy_arn).await.map(done)
}

/// The managed policies that are attached to a group.
pub(super) fn list_attached_group_policies(
    asked: &Asked<'_>,
    input: &wire::ListAttachedGroupPoliciesInput,
) -> Outcome<wire::ListAttachedGroupPoliciesOutput> {
    let whose = Whose { kind: Kind::Group, name: &input.group_name };
    let (prefix, marker) = (input.path_prefix.as_deref(), input.marker.as_deref());
    let Page { items, is_truncated, marker } = rights::list_attached(asked, whose, prefix, marker, input.max_items)?;
    Ok(wire::ListAttachedGroupPoliciesOutput { attached_policies: Some(items), is_truncated, marker })
}

/// Puts a policy into a role.
pub(super) async fn put_role_policy(asked: Asked<'_>, input: wire::PutRolePolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::Role, name: &input.role_name };
    rights::put(asked, whose, input.policy_name, &input.policy_document).await.map(done)
}

/// A policy that is in a role.
pub(super) fn get_role_policy(
    asked: &Asked<'_>,
    input: wire::GetRolePolicyInput,
) -> Outcome<wire::GetRolePolicyOutput> {
    let whose = Whose { kind: Kind::Role, name: &input.role_name };
    let policy_document = rights::get(asked, whose, &input.policy_name)?;
    Ok(wire::GetRolePolicyOutput { role_name: input.role_name, policy_name: input.policy_name, policy_document })
}

/// The names of the policies in a role.
pub(super) fn list_role_policies(
    asked: &Asked<'_>,
    input: &wire::ListRolePoliciesInput,
) -> Outcome<wire::ListRolePoliciesOutput> {
    let whose = Whose { kind: Kind::Role, name: &input.role_name };
    let page = rights::list(asked, whose, input.marker.as_deref(), input.max_items)?;
    let Page { items, is_truncated, marker } = page;
    Ok(wire::ListRolePoliciesOutput { policy_names: items, is_truncated, marker })
}

/// Takes a policy out of a role.
pub(super) async fn delete_role_policy(asked: Asked<'_>, input: wire::DeleteRolePolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::Role, name: &input.role_name };
    rights::delete(asked, whose, &input.policy_name).await.map(done)
}

/// Attaches a managed policy to a role.
pub(super) async fn attach_role_policy(asked: Asked<'_>, input: wire::AttachRolePolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::Role, name: &input.role_name };
    rights::attach(asked, whose, &input.policy_arn).await.map(done)
}

/// Detaches a managed policy from a role.
pub(super) async fn detach_role_policy(asked: Asked<'_>, input: wire::DetachRolePolicyInput) -> Outcome<String> {
    let whose = Whose { kind: Kind::Role, name: &input.role_name };
    rights::detach(asked, whose, &input.policy_arn).await.map(done)
}

/// The managed policies that are attached to a role.
pub(super) fn list_attached_role_policies(
    asked: &Asked<'_>,
    input: &wire::ListAttachedRolePoliciesInput,
) -> Outcome<wire::ListAttachedRolePoliciesOutput> {
    let whose = Whose { kind: Kind::Role, name: &input.role_name };
    let (prefix, marker) = (input.path_prefix.as_deref(), input.marker.as_deref());
    let Page { items, is_truncated, marker } = rights::list_attached(asked, whose, prefix, marker, input.max_items)?;
    Ok(wire::ListAttachedRolePoliciesOutput { attached_policies: Some(items), is_truncated, marker })
}

/// The content of a result that there is none of.
fn done((): ()) -> String {
    String::new()
}
