use opentrail_organizations::{
    Edit, FeatureSet, HandshakeState, Joined, Member, MemberStatus, Organization, new_organization_id, new_root_id,
};
use opentrail_wire::organizations::{
    CreateOrganizationInput, CreateOrganizationOutput, DescribeOrganizationOutput, ListRootsInput, ListRootsOutput,
};

use super::asked::Asked;
use super::change::{Beside, Committed};
use super::page::{Page, page, wanted};
use super::{Outcome, error, features, shapes};

/// Makes an organization that the caller's account manages.
pub(super) async fn create_organization(
    asked: Asked<'_>,
    input: CreateOrganizationInput,
) -> Outcome<(CreateOrganizationOutput, Committed)> {
    asked.authorize()?;
    if asked.view.of(asked.account()).is_some() {
        return Err(error::already_in_organization());
    }
    let feature_set = match input.feature_set.as_deref() {
        Some("CONSOLIDATED_BILLING") => FeatureSet::ConsolidatedBilling,
        _ => FeatureSet::All,
    };
    let random = &*asked.cx.services.random;
    let (id, root) = (new_organization_id(random), new_root_id(random));
    let (name, email) = asked.contact(asked.account());
    // The management account is said to have been invited. (API Reference, the example of ListAccounts.)
    let joined = Joined::Invited;
    let member = Member { name, email, status: MemberStatus::Active, joined, since: asked.now(), parent: root.clone() };
    let organization = Organization::new(id, root, (asked.account(), member), feature_set);
    let output = CreateOrganizationOutput { organization: Some(shapes::organization(&organization)) };
    Ok((output, asked.commit(None, Some(organization), Beside::default()).await?))
}

/// The caller's organization, which every member may see.
pub(super) fn describe_organization(asked: &Asked<'_>) -> Outcome<DescribeOrganizationOutput> {
    asked.authorize()?;
    let organization = asked.organization()?;
    Ok(DescribeOrganizationOutput { organization: Some(shapes::organization(&organization)) })
}

/// Ends an organization that has no other accounts and no units. What it seeks is called back.
pub(super) async fn delete_organization(asked: Asked<'_>) -> Outcome<Committed> {
    asked.authorize()?;
    let organization = asked.managed()?;
    if organization.members.len() > 1 || !organization.units.is_empty() {
        return Err(error::not_empty());
    }
    let now = asked.now();
    let sought = asked.view.handshakes(now).filter(|handshake| handshake.organization == organization.id);
    let pending = sought.filter(|handshake| handshake.is_pending(now));
    let called_back = pending.map(|handshake| handshake.with_state(HandshakeState::Canceled, now));
    let requests = asked.view.requests(&organization.id).map(|request| Edit::DeleteRequest(request.id.clone()));
    let edits = called_back.map(|handshake| Edit::PutHandshake(Box::new(handshake))).chain(requests).collect();
    asked.commit(Some(organization), None, Beside { edits, identities: None }).await
}

/// Takes the caller's account out of its organization.
///
/// An account that was made in the organization has no way to pay for itself, without which AWS lets none leave; so it
/// cannot get away from what the organization records. The management account can let it go.
pub(super) async fn leave_organization(asked: Asked<'_>) -> Outcome<Committed> {
    asked.authorize()?;
    let before = asked.organization()?;
    let account = asked.account();
    if before.management == account {
        return Err(error::master_cannot_leave());
    }
    if before.members.get(&account).is_some_and(|member| member.joined == Joined::Created) {
        let message = "This account was created in the organization and cannot leave it by itself. Its management \
                       account can remove it with RemoveAccountFromOrganization.";
        return Err(error::constraint("MEMBER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED", message));
    }
    refuse_delegate(&before, account)?;
    let mut after = Organization::clone(&before);
    after.remove(account);
    let edits = features::without(&asked, account);
    asked.commit(Some(before), Some(after), Beside { edits, identities: None }).await
}

/// Refuses to let an account go that administers a service for all.
pub(super) fn refuse_delegate(organization: &Organization, account: opentrail_model::AccountId) -> Outcome<()> {
    if !organization.is_delegate(account) {
        return Ok(());
    }
    let message = "The account is a delegated administrator of a service. Deregister it first.";
    Err(error::constraint("CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG", message))
}

/// The root, of which there is one.
pub(super) fn list_roots(asked: &Asked<'_>, input: &ListRootsInput) -> Outcome<ListRootsOutput> {
    asked.authorize()?;
    let organization = asked.administered()?;
    let roots = [(organization.root.clone(), shapes::root(&organization))];
    let Page { items, next_token } = page(asked, roots, &(), &wanted!(input))?;
    Ok(ListRootsOutput { roots: Some(items), next_token })
}
