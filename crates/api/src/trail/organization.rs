//! What an organization has, trails and event data stores: who may have and change it, and whose accounts it is about.
//!
//! Such a trail belongs to the management account, whoever made it. Every member sees it as a shadow that it can read and
//! not change. (User Guide, "Creating a trail for an organization".)

use std::sync::Arc;

use opentrail_identity::AccessRequest;
use opentrail_model::{AccountId, Arn, OrganizationId};
use opentrail_organizations::{FeatureSet, Organization};
use opentrail_trails::{OrganizationScope, Trail};

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::organizations::CLOUDTRAIL;

/// What whoever makes one must be allowed to beside it. (Service Authorization Reference, "Actions,
/// resources, and condition keys for AWS CloudTrail", dependent actions of CreateTrail and UpdateTrail.)
const DEPENDENT_ACTION: &str = "organizations:ListAWSServiceAccessForOrganization";

/// Why the caller cannot have, or change, what is an organization's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrganizationTrailError {
    #[error("Account {account} is not a member of an organization.")]
    NotInUse { account: AccountId },
    #[error(
        "Account {account} is neither the management account of organization {organization} nor a delegated administrator of CloudTrail in it."
    )]
    NotAdministrator { account: AccountId, organization: OrganizationId },
    /// Delegated administrators do everything but this. (User Guide, "Organization delegated administrator".)
    #[error("Only the management account can give to the organization what is an account's, or take it back.")]
    NotManagement,
    /// What a member is told that tries to change its shadow. AWS's error is not documented beyond that each operation
    /// that changes trails declares this one.
    #[error(
        "Trail {arn} is an organization trail: account {account} can see it, and only the management account or a delegated administrator can change it."
    )]
    Shadow { arn: Arn, account: AccountId },
    #[error("The caller is not authorized to perform {DEPENDENT_ACTION}, which is needed to log an organization.")]
    Dependency,
    #[error("Organization {organization} does not have all features enabled.")]
    NotAllFeatures { organization: OrganizationId },
    #[error(
        "Organization {organization} gives CloudTrail no trusted access: enable it for {CLOUDTRAIL} in AWS Organizations."
    )]
    NoAccess { organization: OrganizationId },
}

/// Whose accounts an organization's trails and event data stores log: all that can be used, the management account alone without trusted access.
pub(crate) fn scope_of(organization: &Organization) -> OrganizationScope {
    let members = match organization.has_service_access(CLOUDTRAIL) {
        true => organization.active_members().collect(),
        false => [organization.management].into(),
    };
    OrganizationScope { id: organization.id.clone(), members }
}

impl Context<'_> {
    /// The organization that the caller's account is in.
    fn organization(&self) -> Option<Arc<Organization>> {
        self.services.organizations.of(self.account())
    }

    /// The organization trails that the caller's account sees as shadows.
    pub(crate) async fn shadows(&self) -> Outcome<Vec<Trail>> {
        match self.organization() {
            Some(organization) if organization.management != self.account() => {
                Ok(self.services.trails.shadows(self.account(), organization.management).await?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whose the new trail or store will be: the management account's when the caller may make an organization's, otherwise
    /// the caller's. What is wrong with that is said later.
    pub(crate) fn owner_of_new(&self, of_organization: bool) -> AccountId {
        let organization = self.organization().filter(|_| of_organization);
        match organization.filter(|organization| self.administers(organization)) {
            Some(organization) => organization.management,
            None => self.account(),
        }
    }

    /// Whether the caller's account administers what belongs to `owner` for its organization.
    pub(crate) fn administers_for(&self, owner: AccountId) -> bool {
        self.organization().is_some_and(|found| found.management == owner && self.administers(&found))
    }

    /// Whether the caller's account makes and changes what is the organization's.
    fn administers(&self, organization: &Organization) -> bool {
        organization.management == self.account() || organization.is_delegated(self.account(), CLOUDTRAIL)
    }

    /// What a trail or store of the caller's organization logs, if the caller may have one. The order of the checks is a choice.
    pub(crate) fn require_organization(&self) -> Outcome<OrganizationScope> {
        let account = self.account();
        let organization = self.organization().ok_or(OrganizationTrailError::NotInUse { account })?;
        let id = || organization.id.clone();
        if !self.administers(&organization) {
            return Err(OrganizationTrailError::NotAdministrator { account, organization: id() }.into());
        }
        let context = self.conditions(Access::anywhere("CreateTrail"));
        let request = AccessRequest {
            action: DEPENDENT_ACTION,
            resource: "*",
            context: &context,
            resource_policy: None,
            resource_account: None,
        };
        if !self.services.directory.authorize(&self.call.principal, &request).is_allowed() {
            return Err(OrganizationTrailError::Dependency.into());
        }
        if organization.feature_set != FeatureSet::All {
            return Err(OrganizationTrailError::NotAllFeatures { organization: id() }.into());
        }
        if !organization.has_service_access(CLOUDTRAIL) {
            return Err(OrganizationTrailError::NoAccess { organization: id() }.into());
        }
        Ok(scope_of(&organization))
    }

    /// Checks that the caller's account may change the trail, which it sees.
    pub(crate) fn require_changeable(&self, trail: &Trail) -> Outcome<()> {
        let account = self.account();
        let delegated =
            || self.organization().is_some_and(|organization| organization.is_delegated(account, CLOUDTRAIL));
        if trail.is_shadow_in(account) && !delegated() {
            return Err(OrganizationTrailError::Shadow { arn: trail.arn(), account }.into());
        }
        Ok(())
    }

    /// What becomes of the trail or store of `owner` when the request says whether it is an organization's.
    pub(crate) fn converted(
        &self,
        owner: AccountId,
        current: &Option<OrganizationScope>,
        of_organization: Option<bool>,
    ) -> Outcome<Option<OrganizationScope>> {
        match (of_organization, current) {
            (Some(true), None) => {
                let scope = self.require_organization()?;
                let management = self.organization().is_some_and(|found| found.management == owner);
                if management { Ok(Some(scope)) } else { Err(OrganizationTrailError::NotManagement.into()) }
            }
            (Some(false), Some(_)) if owner != self.account() => Err(OrganizationTrailError::NotManagement.into()),
            (Some(false), Some(_)) => Ok(None),
            (_, unchanged) => Ok(unchanged.clone()),
        }
    }
}
