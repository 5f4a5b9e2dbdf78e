use std::collections::BTreeMap;

use opentrail_model::AccountId;
use opentrail_organizations::{
    Addressed, Edit, Handshake, HandshakeAction, HandshakeState, Joined, Member, MemberStatus, Organization,
    new_handshake_id,
};
use opentrail_wire::organizations::{
    HandshakeParty, InviteAccountToOrganizationInput, InviteAccountToOrganizationOutput,
};

use super::asked::{Asked, Circumstances};
use super::change::{Beside, Committed};
use super::{Outcome, error, features, quota, shapes, tag};

/// Asks an account of this server to join.
pub(super) async fn invite_account(
    asked: Asked<'_>,
    input: InviteAccountToOrganizationInput,
) -> Outcome<(InviteAccountToOrganizationOutput, Committed)> {
    let tags = input.tags.unwrap_or_default();
    asked.authorize_on_account(&input.target.id, &Circumstances { tags: &tags, ..Circumstances::default() })?;
    let organization = asked.managed()?;
    let now = asked.now();
    if features::pending(&asked, &organization).is_some() {
        let message = "No account can be invited while the organization is on its way to all features.";
        return Err(error::handshake_constraint("INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES", message));
    }
    let tags = tag::put(BTreeMap::new(), tags)?;
    let (account, addressed) = target(&asked, &input.target)?;
    if asked.view.of(account).is_some() {
        return Err(already_in_one());
    }
    let same = |handshake: &&std::sync::Arc<Handshake>| {
        let invited = matches!(&handshake.action, HandshakeAction::Invite { account: other, .. } if *other == account);
        invited && handshake.organization == organization.id && handshake.is_pending(now)
    };
    if asked.view.handshakes(now).any(|handshake| same(&handshake)) {
        return Err(error::duplicate_handshake());
    }
    require_room(&organization)?;
    let handshake = Handshake {
        id: new_handshake_id(&*asked.cx.services.random),
        organization: organization.id.clone(),
        management: organization.management,
        action: HandshakeAction::Invite { account, addressed, notes: input.notes, tags },
        state: HandshakeState::Open,
        requested: now,
        expires: now + Handshake::INVITATION,
        changed: now,
    };
    let output = InviteAccountToOrganizationOutput { handshake: Some(shapes::handshake(&asked, &handshake)) };
    let edits = asked.view.sweep(now).chain([Edit::PutHandshake(Box::new(handshake))]).collect();
    Ok((output, asked.keep(edits).await?))
}

/// The account that is invited. Only accounts of this server can be; which error tells so is a choice.
fn target(asked: &Asked<'_>, target: &HandshakeParty) -> Outcome<(AccountId, Addressed)> {
    let identities = asked.cx.services.directory.identities();
    let mut accounts = identities.accounts().filter(|account| !account.is_closed());
    match target.r#type.as_str() {
        "ACCOUNT" => {
            let found = accounts.find(|account| account.id.to_string() == target.id);
            let id = found.map(|account| account.id).ok_or_else(|| {
                let message = format!("There is no account {} on this server.", target.id);
                error::handshake_constraint("TARGET_ACCOUNT_VALIDATION_FAILURE", message)
            })?;
            Ok((id, Addressed::Account))
        }
        "EMAIL" => {
            let found = accounts.find(|account| asked.contact(account.id).1.eq_ignore_ascii_case(&target.id));
            let unknown = "There is no account with this address on this server.";
            let id = found.map(|account| account.id);
            Ok((id.ok_or_else(|| error::invalid("INVALID_EMAIL_ADDRESS_TARGET", unknown))?, Addressed::Email))
        }
        _ => Err(error::invalid("INVALID_PARTY_TYPE_TARGET", "Only an ACCOUNT or an EMAIL can be invited.")),
    }
}

/// Has the account that was asked join.
pub(super) async fn join(asked: Asked<'_>, accepted: Handshake) -> Outcome<Committed> {
    let HandshakeAction::Invite { account, tags, .. } = &accepted.action else { return Err(error::no_handshake()) };
    let (account, tags) = (*account, tags.clone());
    if asked.view.of(account).is_some() {
        return Err(already_in_one());
    }
    // An organization that ends calls its invitations back, so it is there.
    let organization = asked.view.of(accepted.management).filter(|found| found.id == accepted.organization);
    let before = organization.cloned().ok_or_else(error::no_handshake)?;
    require_room(&before)?;
    let (name, email) = asked.contact(account);
    let member = Member {
        name,
        email,
        status: MemberStatus::Active,
        joined: Joined::Invited,
        since: asked.now(),
        parent: before.root.clone(),
    };
    let mut after = Organization::clone(&before);
    after.members.insert(account, member);
    if !tags.is_empty() {
        after.tags.insert(account.to_string(), tags);
    }
    let edits = vec![Edit::PutHandshake(Box::new(accepted))];
    asked.commit(Some(before), Some(after), Beside { edits, identities: None }).await
}

fn already_in_one() -> super::Refusal {
    let message = "The account is a member of an organization already.";
    error::handshake_constraint("ALREADY_IN_AN_ORGANIZATION", message)
}

fn require_room(organization: &Organization) -> Outcome<()> {
    if organization.members.len() < quota::ACCOUNTS {
        return Ok(());
    }
    let message = format!("An organization has at most {} accounts.", quota::ACCOUNTS);
    Err(error::handshake_constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED", message))
}
