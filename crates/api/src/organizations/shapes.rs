//! What there is, as the API shows it.

use opentrail_model::AccountId;
use opentrail_organizations::{
    AccountRequest, Addressed, Handshake, HandshakeAction, HandshakeState, Member, MemberStatus, Organization,
    RequestState,
};
use opentrail_wire::organizations as wire;
use opentrail_wire::organizations::{
    Account, CreateAccountStatus, DelegatedAdministrator, HandshakeParty, HandshakeResource, OrganizationalUnit, Root,
};

use super::asked::Asked;
use super::features::is_agreed_by_members;

/// An organization. There are no policies here, so that no type of them is available.
pub(super) fn organization(organization: &Organization) -> wire::Organization {
    let master = organization.members.get(&organization.management);
    wire::Organization {
        id: Some(organization.id.to_string()),
        arn: Some(organization.arn()),
        feature_set: Some(organization.feature_set.name().to_owned()),
        master_account_arn: Some(organization.account_arn(organization.management)),
        master_account_id: Some(organization.management.to_string()),
        master_account_email: master.map(|member| member.email.clone()),
        available_policy_types: Some(Vec::new()),
    }
}

pub(super) fn root(organization: &Organization) -> Root {
    Root {
        id: Some(organization.root.clone()),
        arn: Some(organization.parent_arn(&organization.root)),
        name: Some("Root".to_owned()),
        policy_types: Some(Vec::new()),
    }
}

pub(super) fn unit(organization: &Organization, id: &str) -> Option<OrganizationalUnit> {
    let unit = organization.units.get(id)?;
    Some(OrganizationalUnit {
        id: Some(id.to_owned()),
        arn: Some(organization.parent_arn(id)),
        name: Some(unit.name.clone()),
        path: Some(organization.path(id)),
    })
}

pub(super) fn account(organization: &Organization, id: AccountId, member: &Member) -> Account {
    Account {
        id: Some(id.to_string()),
        arn: Some(organization.account_arn(id)),
        email: Some(member.email.clone()),
        name: Some(member.name.clone()),
        status: Some(member.status.name().to_owned()),
        state: Some(state(member).to_owned()),
        paths: Some(vec![format!("{}{id}/", organization.path(&member.parent))]),
        joined_method: Some(member.joined.name().to_owned()),
        joined_timestamp: Some(member.since),
    }
}

pub(super) fn delegated(
    organization: &Organization,
    id: AccountId,
    since: opentrail_model::Timestamp,
) -> DelegatedAdministrator {
    let member = organization.members.get(&id);
    DelegatedAdministrator {
        id: Some(id.to_string()),
        arn: Some(organization.account_arn(id)),
        email: member.map(|member| member.email.clone()),
        name: member.map(|member| member.name.clone()),
        status: member.map(|member| member.status.name().to_owned()),
        state: member.map(|member| state(member).to_owned()),
        joined_method: member.map(|member| member.joined.name().to_owned()),
        joined_timestamp: member.map(|member| member.since),
        delegation_enabled_date: Some(since),
    }
}

/// `State`, which tells more apart than `Status`: an account that was closed is `CLOSED` there.
fn state(member: &Member) -> &'static str {
    match member.status {
        MemberStatus::Active => "ACTIVE",
        MemberStatus::Suspended => "CLOSED",
    }
}

pub(super) fn request(request: &AccountRequest) -> CreateAccountStatus {
    let (account, failure) = match request.state {
        RequestState::Succeeded { account } => (Some(account.to_string()), None),
        RequestState::Failed { reason } => (None, Some(reason.name().to_owned())),
    };
    CreateAccountStatus {
        id: Some(request.id.clone()),
        account_name: Some(request.account_name.clone()),
        state: Some(request.state.name().to_owned()),
        requested_timestamp: Some(request.requested),
        completed_timestamp: Some(request.completed),
        account_id: account,
        gov_cloud_account_id: None,
        failure_reason: failure,
    }
}

/// A handshake. (API Reference, the examples of InviteAccountToOrganization and EnableAllFeatures.)
pub(super) fn handshake(asked: &Asked<'_>, handshake: &Handshake) -> wire::Handshake {
    let organization = asked.view.of(handshake.management).filter(|found| found.id == handshake.organization);
    let id = handshake.organization.to_string();
    let mut parties = vec![party("ORGANIZATION", &id)];
    let mut resources = vec![HandshakeResource {
        resources: organization.map(|organization| of_organization(organization)),
        ..resource("ORGANIZATION", &id)
    }];
    match &handshake.action {
        HandshakeAction::Invite { account, addressed, notes, .. } => {
            let (kind, name) = match addressed {
                Addressed::Account => ("ACCOUNT", account.to_string()),
                Addressed::Email => ("EMAIL", asked.contact(*account).1),
            };
            parties.push(party(kind, &name));
            resources.push(resource(kind, &name));
            resources.extend(notes.iter().map(|notes| resource("NOTES", notes)));
        }
        HandshakeAction::EnableAllFeatures => {}
        HandshakeAction::ApproveAllFeatures { account, parent } => {
            parties.push(party("ACCOUNT", &account.to_string()));
            resources.push(resource("ACCOUNT", &account.to_string()));
            resources.push(resource("PARENT_HANDSHAKE", parent));
        }
    }
    wire::Handshake {
        id: Some(handshake.id.clone()),
        arn: Some(handshake.arn()),
        parties: Some(parties),
        state: Some(state_of(asked, handshake).name().to_owned()),
        requested_timestamp: Some(handshake.requested),
        expiration_timestamp: Some(handshake.expires),
        action: Some(handshake.action.name().to_owned()),
        resources: Some(resources),
    }
}

/// The state now: the move to all features is open once the members have agreed.
pub(super) fn state_of(asked: &Asked<'_>, handshake: &Handshake) -> HandshakeState {
    match handshake.state(asked.now()) {
        HandshakeState::Requested if is_agreed_by_members(asked, handshake) => HandshakeState::Open,
        state => state,
    }
}

fn of_organization(organization: &Organization) -> Vec<HandshakeResource> {
    let master = organization.members.get(&organization.management);
    let mut resources = Vec::new();
    if let Some(master) = master {
        resources.push(resource("MASTER_EMAIL", &master.email));
        resources.push(resource("MASTER_NAME", &master.name));
    }
    resources.push(resource("ORGANIZATION_FEATURE_SET", organization.feature_set.name()));
    resources
}

fn party(kind: &str, id: &str) -> HandshakeParty {
    HandshakeParty { id: id.to_owned(), r#type: kind.to_owned() }
}

fn resource(kind: &str, value: &str) -> HandshakeResource {
    HandshakeResource { value: Some(value.to_owned()), r#type: Some(kind.to_owned()), resources: None }
}
