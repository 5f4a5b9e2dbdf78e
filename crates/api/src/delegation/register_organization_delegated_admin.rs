use opentrail_organizations::{MemberStatus, Organization};
use opentrail_wire::cloudtrail::{RegisterOrganizationDelegatedAdminInput, RegisterOrganizationDelegatedAdminOutput};

use super::{Delegation, DelegationError};
use crate::context::{Context, Outcome};
use crate::organizations::change::{Beside, Committed, commit};
use crate::organizations::{CLOUDTRAIL, CLOUDTRAIL_DELEGATES};

/// Has a member account administer CloudTrail for the organization.
pub(crate) async fn register_organization_delegated_admin(
    cx: Context<'_>,
    input: RegisterOrganizationDelegatedAdminInput,
) -> Outcome<(RegisterOrganizationDelegatedAdminOutput, Committed)> {
    let (operation, dependency) =
        ("RegisterOrganizationDelegatedAdmin", "organizations:RegisterDelegatedAdministrator");
    let Delegation { organization, changing, account } =
        Delegation::new(cx, operation, dependency, &input.member_account_id).await?;
    if account == organization.management {
        return Err(DelegationError::ManagementAccount.into());
    }
    if organization.members.get(&account).is_some_and(|member| member.status == MemberStatus::Suspended) {
        return Err(DelegationError::Closed { account }.into());
    }
    if organization.is_delegated(account, CLOUDTRAIL) {
        return Err(DelegationError::Registered { account }.into());
    }
    if organization.delegates(CLOUDTRAIL).count() >= CLOUDTRAIL_DELEGATES {
        return Err(DelegationError::TooMany.into());
    }
    let mut after = Organization::clone(&organization);
    after.delegated.entry(account).or_default().insert(CLOUDTRAIL.to_owned(), cx.now());
    let committed = commit(cx, changing, Some(organization), Some(after), Beside::default()).await?;
    Ok((RegisterOrganizationDelegatedAdminOutput {}, committed))
}
