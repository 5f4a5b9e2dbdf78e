use opentrail_organizations::Organization;
use opentrail_wire::cloudtrail::{
    DeregisterOrganizationDelegatedAdminInput, DeregisterOrganizationDelegatedAdminOutput,
};

use super::{Delegation, DelegationError};
use crate::context::{Context, Outcome};
use crate::organizations::CLOUDTRAIL;
use crate::organizations::change::{Beside, Committed, commit};

/// Has a member account administer CloudTrail no longer. The trails that it made stay.
pub(crate) async fn deregister_organization_delegated_admin(
    cx: Context<'_>,
    input: DeregisterOrganizationDelegatedAdminInput,
) -> Outcome<(DeregisterOrganizationDelegatedAdminOutput, Committed)> {
    let (operation, dependency) =
        ("DeregisterOrganizationDelegatedAdmin", "organizations:DeregisterDelegatedAdministrator");
    let Delegation { organization, changing, account } =
        Delegation::new(cx, operation, dependency, &input.delegated_admin_account_id).await?;
    if !organization.is_delegated(account, CLOUDTRAIL) {
        return Err(DelegationError::NotRegistered { account }.into());
    }
    let mut after = Organization::clone(&organization);
    after.deregister(account, CLOUDTRAIL);
    let committed = commit(cx, changing, Some(organization), Some(after), Beside::default()).await?;
    Ok((DeregisterOrganizationDelegatedAdminOutput {}, committed))
}
