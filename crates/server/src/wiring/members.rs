use std::sync::Arc;

use opentrail_identity::{Membership, Memberships};
use opentrail_model::AccountId;
use opentrail_organizations::Organizations;

/// Tells policies which organization a caller's account is in.
#[derive(Debug)]
pub(crate) struct OrganizationMembers(pub(crate) Arc<Organizations>);

impl Memberships for OrganizationMembers {
    fn of(&self, account: AccountId) -> Option<Membership> {
        let organization = self.0.of(account)?;
        let path = organization.path(&organization.members.get(&account)?.parent);
        Some(Membership { organization_id: organization.id.to_string(), path })
    }
}
