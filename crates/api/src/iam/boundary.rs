use opentrail_identity::{Account, Edit};
use opentrail_wire::iam::{
    DeleteRolePermissionsBoundaryInput, DeleteRolePermissionsBoundaryOutput, DeleteUserPermissionsBoundaryInput,
    DeleteUserPermissionsBoundaryOutput, PutRolePermissionsBoundaryInput, PutRolePermissionsBoundaryOutput,
    PutUserPermissionsBoundaryInput, PutUserPermissionsBoundaryOutput,
};

use super::asked::{Asked, Circumstances};
use super::{Outcome, error};

/// Checks that there is such a managed policy.
pub(super) fn check(account: &Account, arn: &str) -> Outcome<()> {
    account.policy(arn).map(|_| ()).ok_or_else(|| error::no_boundary(arn))
}

/// Bounds what a user's policies may give.
pub(super) async fn put_user_permissions_boundary(
    asked: Asked<'_>,
    input: PutUserPermissionsBoundaryInput,
) -> Outcome<PutUserPermissionsBoundaryOutput> {
    let circumstances = Circumstances { boundary: Some(&input.permissions_boundary), ..Circumstances::default() };
    let mut user = asked.changeable_user(&input.user_name, &circumstances)?;
    check(asked.account()?, &input.permissions_boundary)?;
    user.boundary = Some(input.permissions_boundary);
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(PutUserPermissionsBoundaryOutput {})
}

/// Takes a user's boundary away.
pub(super) async fn delete_user_permissions_boundary(
    asked: Asked<'_>,
    input: DeleteUserPermissionsBoundaryInput,
) -> Outcome<DeleteUserPermissionsBoundaryOutput> {
    let bound = asked.account()?.user(&input.user_name).and_then(|user| user.boundary.clone());
    let circumstances = Circumstances { boundary: bound.as_deref(), ..Circumstances::default() };
    let mut user = asked.changeable_user(&input.user_name, &circumstances)?;
    user.boundary = None;
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(DeleteUserPermissionsBoundaryOutput {})
}

/// Bounds what a role's policies may give.
pub(super) async fn put_role_permissions_boundary(
    asked: Asked<'_>,
    input: PutRolePermissionsBoundaryInput,
) -> Outcome<PutRolePermissionsBoundaryOutput> {
    let circumstances = Circumstances { boundary: Some(&input.permissions_boundary), ..Circumstances::default() };
    let mut role = asked.changeable_role(&input.role_name, &circumstances)?;
    check(asked.account()?, &input.permissions_boundary)?;
    role.boundary = Some(input.permissions_boundary);
    asked.commit(&[Edit::PutRole(role)]).await?;
    Ok(PutRolePermissionsBoundaryOutput {})
}

/// Takes a role's boundary away.
pub(super) async fn delete_role_permissions_boundary(
    asked: Asked<'_>,
    input: DeleteRolePermissionsBoundaryInput,
) -> Outcome<DeleteRolePermissionsBoundaryOutput> {
    let bound = asked.account()?.role(&input.role_name).and_then(|role| role.boundary.clone());
    let circumstances = Circumstances { boundary: bound.as_deref(), ..Circumstances::default() };
    let mut role = asked.changeable_role(&input.role_name, &circumstances)?;
    role.boundary = None;
    asked.commit(&[Edit::PutRole(role)]).await?;
    Ok(DeleteRolePermissionsBoundaryOutput {})
}
