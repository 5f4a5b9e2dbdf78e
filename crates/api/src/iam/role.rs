use std::time::Duration;

use opentrail_identity::{Edit, Origin, Rights, Role, RoleSpec, new_entity_id};
use opentrail_wire::iam::{
    CreateRoleInput, CreateRoleOutput, DeleteRoleInput, DeleteRoleOutput, GetRoleInput, GetRoleOutput,
    ListInstanceProfilesForRoleInput, ListInstanceProfilesForRoleOutput, ListRolesInput, ListRolesOutput,
    UpdateAssumeRolePolicyInput, UpdateAssumeRolePolicyOutput, UpdateRoleDescriptionInput, UpdateRoleDescriptionOutput,
    UpdateRoleInput, UpdateRoleOutput,
};

use super::asked::{Asked, Circumstances};
use super::document::trust_policy;
use super::page::{Page, page};
use super::{Outcome, boundary, error, quota, shapes, tag};

/// Makes a role, which may do nothing yet.
pub(super) async fn create_role(asked: Asked<'_>, input: CreateRoleInput) -> Outcome<CreateRoleOutput> {
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    let tags = input.tags.unwrap_or_default();
    let bound = input.permissions_boundary;
    let circumstances = Circumstances { boundary: bound.as_deref(), tags: &tags, ..Circumstances::default() };
    asked.authorize(&asked.arn("role", &path, &input.role_name), None, &circumstances)?;
    let account = asked.account()?;
    if account.role(&input.role_name).is_some() {
        return Err(error::exists("Role", &input.role_name));
    }
    if account.roles.len() >= quota::ROLES {
        return Err(error::quota("RolesPerAccount", quota::ROLES));
    }
    bound.as_deref().map_or(Ok(()), |arn| boundary::check(account, arn))?;
    let role = Role {
        account: asked.account_id(),
        name: input.role_name,
        path,
        id: new_entity_id("AROA", &*asked.cx.services.random),
        created: asked.now(),
        description: input.description,
        tags: tag::new_tags(&tags)?,
        max_session: input.max_session_duration.map_or(RoleSpec::DEFAULT_MAX_SESSION, seconds),
        trust: trust_policy(&input.assume_role_policy_document)?,
        rights: Rights::default(),
        boundary: bound,
        origin: Origin::Api,
    };
    // Without MaxSessionDuration and RoleLastUsed, as in genuine records of CreateRole.
    let mut told = shapes::role(&role);
    told.role_last_used = None;
    told.max_session_duration = input.max_session_duration;
    asked.commit(&[Edit::PutRole(Box::new(role))]).await?;
    Ok(CreateRoleOutput { role: told })
}

/// A role.
pub(super) fn get_role(asked: &Asked<'_>, input: &GetRoleInput) -> Outcome<GetRoleOutput> {
    Ok(GetRoleOutput { role: shapes::role(&*asked.role(&input.role_name)?) })
}

/// The account's roles.
pub(super) fn list_roles(asked: &Asked<'_>, input: &ListRolesInput) -> Outcome<ListRolesOutput> {
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    asked.authorize(&asked.arn("role", prefix, ""), None, &Circumstances::default())?;
    let roles = asked.account()?.roles.iter().filter(|(_, role)| role.path.starts_with(prefix));
    let items = roles.map(|(key, role)| (key.clone(), shapes::listed_role(role)));
    let Page { items, is_truncated, marker } = page(asked, items, input.marker.as_deref(), input.max_items)?;
    Ok(ListRolesOutput { roles: items, is_truncated, marker })
}

/// Changes a role's description and longest session. What is not given goes back to its default.
/// (IAM API Reference, `UpdateRole`, `MaxSessionDuration`.)
pub(super) async fn update_role(asked: Asked<'_>, input: UpdateRoleInput) -> Outcome<UpdateRoleOutput> {
    let mut role = asked.changeable_role(&input.role_name, &Circumstances::default())?;
    role.max_session = input.max_session_duration.map_or(RoleSpec::DEFAULT_MAX_SESSION, seconds);
    if let Some(description) = input.description {
        role.description = Some(description);
    }
    asked.commit(&[Edit::PutRole(role)]).await?;
    Ok(UpdateRoleOutput {})
}

/// Changes a role's description.
pub(super) async fn update_role_description(
    asked: Asked<'_>,
    input: UpdateRoleDescriptionInput,
) -> Outcome<UpdateRoleDescriptionOutput> {
    let mut role = asked.changeable_role(&input.role_name, &Circumstances::default())?;
    role.description = Some(input.description);
    let told = shapes::role(&role);
    asked.commit(&[Edit::PutRole(role)]).await?;
    Ok(UpdateRoleDescriptionOutput { role: Some(told) })
}

/// Changes who may assume a role.
pub(super) async fn update_assume_role_policy(
    asked: Asked<'_>,
    input: UpdateAssumeRolePolicyInput,
) -> Outcome<UpdateAssumeRolePolicyOutput> {
    let mut role = asked.changeable_role(&input.role_name, &Circumstances::default())?;
    role.trust = trust_policy(&input.policy_document)?;
    asked.commit(&[Edit::PutRole(role)]).await?;
    Ok(UpdateAssumeRolePolicyOutput {})
}

/// Takes a role away, once nothing is attached to it. Its sessions end.
pub(super) async fn delete_role(asked: Asked<'_>, input: DeleteRoleInput) -> Outcome<DeleteRoleOutput> {
    let role = asked.changeable_role(&input.role_name, &Circumstances::default())?;
    if !role.rights.attached.is_empty() {
        return Err(error::conflict("detach all policies"));
    }
    if !role.rights.inline.is_empty() {
        return Err(error::conflict("delete policies"));
    }
    asked.commit(&[Edit::DeleteRole(role.account, role.name)]).await?;
    Ok(DeleteRoleOutput {})
}

/// No role has instance profiles here: there are no instances.
pub(super) fn list_instance_profiles_for_role(
    asked: &Asked<'_>,
    input: &ListInstanceProfilesForRoleInput,
) -> Outcome<ListInstanceProfilesForRoleOutput> {
    asked.role(&input.role_name)?;
    Ok(ListInstanceProfilesForRoleOutput { is_truncated: Some(false), ..Default::default() })
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::from(seconds.unsigned_abs()))
}
