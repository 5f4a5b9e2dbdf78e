//! The move of an organization to all features: begun by the management account, agreed upon by every member that was
//! invited, made final by the management account. (User Guide, "Enabling all features for an organization".)

use std::sync::Arc;

use opentrail_model::AccountId;
use opentrail_organizations::{
    Edit, FeatureSet, Handshake, HandshakeAction, HandshakeState, Joined, MemberStatus, Organization, new_handshake_id,
};
use opentrail_wire::organizations::EnableAllFeaturesOutput;

use super::asked::Asked;
use super::change::{Beside, Committed};
use super::{Outcome, error, shapes};

/// Begins the move.
pub(super) async fn enable_all_features(asked: Asked<'_>) -> Outcome<(EnableAllFeaturesOutput, Committed)> {
    asked.authorize()?;
    let organization = asked.managed()?;
    if organization.feature_set == FeatureSet::All {
        let message = "The organization has all features already.";
        return Err(error::handshake_constraint("ORGANIZATION_ALREADY_HAS_ALL_FEATURES", message));
    }
    if pending(&asked, &organization).is_some() {
        let message = "The organization is on its way to all features already.";
        let reason = "ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION";
        return Err(error::handshake_constraint(reason, message));
    }
    let asked_members: Vec<AccountId> = to_agree(&organization).collect();
    let state = if asked_members.is_empty() { HandshakeState::Open } else { HandshakeState::Requested };
    let parent = begun(&asked, &organization, HandshakeAction::EnableAllFeatures, state);
    let output = EnableAllFeaturesOutput { handshake: Some(shapes::handshake(&asked, &parent)) };
    let children = asked_members.into_iter().map(|account| {
        let action = HandshakeAction::ApproveAllFeatures { account, parent: parent.id.clone() };
        begun(&asked, &organization, action, HandshakeState::Open)
    });
    let handshakes: Vec<Handshake> = children.chain([parent.clone()]).collect();
    let edits = handshakes.into_iter().map(|handshake| Edit::PutHandshake(Box::new(handshake)));
    let edits = asked.view.sweep(asked.now()).chain(edits).collect();
    Ok((output, asked.keep(edits).await?))
}

fn begun(asked: &Asked<'_>, organization: &Organization, action: HandshakeAction, state: HandshakeState) -> Handshake {
    let now = asked.now();
    Handshake {
        id: new_handshake_id(&*asked.cx.services.random),
        organization: organization.id.clone(),
        management: organization.management,
        action,
        state,
        requested: now,
        expires: now + Handshake::ALL_FEATURES,
        changed: now,
    }
}

/// The members that have to agree: those that came by invitation. Accounts that were made in the organization agree by
/// themselves.
fn to_agree(organization: &Organization) -> impl Iterator<Item = AccountId> {
    let management = organization.management;
    let invited = organization.members.iter().filter(move |(account, member)| {
        **account != management && member.joined == Joined::Invited && member.status == MemberStatus::Active
    });
    invited.map(|(account, _)| *account)
}

/// The move that is under way.
pub(super) fn pending<'a>(asked: &'a Asked<'_>, organization: &Organization) -> Option<&'a Arc<Handshake>> {
    let now = asked.now();
    let moves = |handshake: &&Arc<Handshake>| {
        handshake.action == HandshakeAction::EnableAllFeatures
            && handshake.organization == organization.id
            && handshake.is_pending(now)
    };
    asked.view.handshakes(now).find(moves)
}

/// The members' parts of a move.
fn parts<'a>(asked: &'a Asked<'_>, whole: &'a str) -> impl Iterator<Item = (AccountId, &'a Arc<Handshake>)> {
    asked.view.handshakes(asked.now()).filter_map(move |handshake| match &handshake.action {
        HandshakeAction::ApproveAllFeatures { account, parent } if *parent == *whole => Some((*account, handshake)),
        _ => None,
    })
}

/// Whether every member that has to agree with the move has done so.
pub(super) fn is_agreed_by_members(asked: &Asked<'_>, whole: &Handshake) -> bool {
    let Some(organization) = asked.view.of(whole.management) else { return false };
    let agreed =
        |account| parts(asked, &whole.id).any(|(one, part)| one == account && part.state == HandshakeState::Accepted);
    to_agree(organization).all(agreed)
}

/// Makes a move final.
pub(super) async fn finish(asked: Asked<'_>, accepted: Handshake) -> Outcome<Committed> {
    let before = asked.managed()?;
    let after = Organization { feature_set: FeatureSet::All, ..Organization::clone(&before) };
    let edits = vec![Edit::PutHandshake(Box::new(accepted))];
    asked.commit(Some(before), Some(after), Beside { edits, identities: None }).await
}

/// What calls the members' parts of a move back, with the move.
pub(super) fn call_back(asked: &Asked<'_>, whole: &str) -> Vec<Edit> {
    let now = asked.now();
    let pending = parts(asked, whole).filter(|(_, part)| part.is_pending(now));
    pending.map(|(_, part)| canceled(part, now)).collect()
}

/// What calls an account's part of a move back, since the account leaves or is closed.
pub(super) fn without(asked: &Asked<'_>, account: AccountId) -> Vec<Edit> {
    let now = asked.now();
    let part = |handshake: &&Arc<Handshake>| {
        let approves =
            matches!(handshake.action, HandshakeAction::ApproveAllFeatures { account: one, .. } if one == account);
        approves && handshake.is_pending(now)
    };
    asked.view.handshakes(now).filter(part).map(|handshake| canceled(handshake, now)).collect()
}

fn canceled(handshake: &Handshake, now: opentrail_model::Timestamp) -> Edit {
    Edit::PutHandshake(Box::new(handshake.with_state(HandshakeState::Canceled, now)))
}
