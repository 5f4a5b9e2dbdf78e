//! Operations on the accounts that administer CloudTrail for an organization. Organizations keeps them, and lists them.
//! (User Guide, "Organization delegated administrator".)

mod deregister_organization_delegated_admin;
mod register_organization_delegated_admin;

use std::sync::Arc;

use opentrail_identity::{AccessRequest, Decision};
use opentrail_model::AccountId;
use opentrail_organizations::{Changing, FeatureSet, Organization};

pub(crate) use deregister_organization_delegated_admin::deregister_organization_delegated_admin;
pub(crate) use register_organization_delegated_admin::register_organization_delegated_admin;

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::organizations::{CLOUDTRAIL, CLOUDTRAIL_DELEGATES};

/// Why an account does not begin or cease to administer CloudTrail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DelegationError {
    #[error("The account is not a member of an organization. Create one in Organizations first.")]
    NotInUse,
    #[error("Only the management account of the organization can do this.")]
    NotManagement,
    #[error("The organization has not all features. Enable them in Organizations first.")]
    NotAllFeatures,
    #[error("CloudTrail is not trusted with the organization: enable access for {CLOUDTRAIL} in Organizations first.")]
    AccessNotEnabled,
    #[error("{message}")]
    Dependency { message: String },
    #[error("The management account cannot be a delegated administrator.")]
    ManagementAccount,
    #[error("Account {account} is not a member of the organization.")]
    NoAccount { account: String },
    #[error("Account {account} is closed and cannot be a delegated administrator.")]
    Closed { account: AccountId },
    #[error("Account {account} is a delegated administrator already.")]
    Registered { account: AccountId },
    #[error("Account {account} is not a delegated administrator.")]
    NotRegistered { account: AccountId },
    #[error("There are {CLOUDTRAIL_DELEGATES} delegated administrators already. Deregister one first.")]
    TooMany,
}

/// The organization that the caller manages, with the right to change it, and the member that the call is about. The
/// order of the checks is a choice.
struct Delegation<'a> {
    organization: Arc<Organization>,
    changing: Changing<'a>,
    account: AccountId,
}

impl<'a> Delegation<'a> {
    /// `operation` is CloudTrail's, `dependency` what the caller needs the right to in Organizations, too.
    async fn new(cx: Context<'a>, operation: &str, dependency: &str, account: &str) -> Outcome<Self> {
        cx.authorize(Access::anywhere(operation))?;
        let changing = cx.services.organizations.changing().await;
        let organization = changing.view.of(cx.account()).cloned().ok_or(DelegationError::NotInUse)?;
        if organization.management != cx.account() {
            return Err(DelegationError::NotManagement.into());
        }
        if organization.feature_set != FeatureSet::All {
            return Err(DelegationError::NotAllFeatures.into());
        }
        if !organization.has_service_access(CLOUDTRAIL) {
            return Err(DelegationError::AccessNotEnabled.into());
        }
        let unknown = || DelegationError::NoAccount { account: account.to_owned() };
        let account: AccountId = account.parse().map_err(|_| unknown())?;
        require_right(cx, dependency, &organization.account_arn(account))?;
        if !organization.members.contains_key(&account) {
            return Err(unknown().into());
        }
        Ok(Self { organization, changing, account })
    }
}

fn require_right(cx: Context<'_>, action: &str, resource: &str) -> Outcome<()> {
    let context = cx.conditions(Access::anywhere(action)).with("organizations:ServicePrincipal", CLOUDTRAIL);
    let request = AccessRequest { action, resource, context: &context, resource_policy: None, resource_account: None };
    let principal = &cx.call.principal;
    match cx.services.directory.authorize(principal, &request) {
        Decision::Allowed => Ok(()),
        denied => {
            let message = denied.message(principal, action, resource, true);
            Err(DelegationError::Dependency { message }.into())
        }
    }
}
