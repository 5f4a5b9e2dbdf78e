//! What is done with handshakes: accepted or declined by those who are asked, called back by who began them, shown.

use std::sync::Arc;

use opentrail_organizations::{Edit, Handshake, HandshakeAction, HandshakeState};
use opentrail_wire::organizations as wire;
use opentrail_wire::organizations::{
    AcceptHandshakeInput, AcceptHandshakeOutput, CancelHandshakeInput, CancelHandshakeOutput, DeclineHandshakeInput,
    DeclineHandshakeOutput, DescribeHandshakeInput, DescribeHandshakeOutput, HandshakeFilter,
    ListHandshakesForAccountInput, ListHandshakesForAccountOutput, ListHandshakesForOrganizationInput,
    ListHandshakesForOrganizationOutput,
};

use super::asked::Asked;
use super::change::Committed;
use super::page::{Page, page, wanted};
use super::{Outcome, error, features, invitation, shapes};

/// Agrees: an account that was invited joins; a member is content with all features; the management account makes them
/// final.
pub(super) async fn accept_handshake(
    asked: Asked<'_>,
    input: AcceptHandshakeInput,
) -> Outcome<(AcceptHandshakeOutput, Committed)> {
    let handshake = answered(&asked, &input.handshake_id, HandshakeState::Accepted, who_agrees)?;
    let accepted = handshake.with_state(HandshakeState::Accepted, asked.now());
    let output = AcceptHandshakeOutput { handshake: Some(shapes::handshake(&asked, &accepted)) };
    let committed = match &accepted.action {
        HandshakeAction::Invite { .. } => invitation::join(asked, accepted).await?,
        HandshakeAction::ApproveAllFeatures { .. } => asked.keep(vec![Edit::PutHandshake(Box::new(accepted))]).await?,
        HandshakeAction::EnableAllFeatures => features::finish(asked, accepted).await?,
    };
    Ok((output, committed))
}

/// Turns down what the caller's account was asked.
pub(super) async fn decline_handshake(
    asked: Asked<'_>,
    input: DeclineHandshakeInput,
) -> Outcome<(DeclineHandshakeOutput, Committed)> {
    let handshake = answered(&asked, &input.handshake_id, HandshakeState::Declined, |handshake| handshake.asked())?;
    let declined = handshake.with_state(HandshakeState::Declined, asked.now());
    let output = DeclineHandshakeOutput { handshake: Some(shapes::handshake(&asked, &declined)) };
    Ok((output, asked.keep(vec![Edit::PutHandshake(Box::new(declined))]).await?))
}

/// Calls back what the caller's account began. What a member is asked for a move to all features is called back with
/// the move, and not by itself.
pub(super) async fn cancel_handshake(
    asked: Asked<'_>,
    input: CancelHandshakeInput,
) -> Outcome<(CancelHandshakeOutput, Committed)> {
    let began = |handshake: &Handshake| match &handshake.action {
        HandshakeAction::Invite { .. } | HandshakeAction::EnableAllFeatures => Some(handshake.management),
        HandshakeAction::ApproveAllFeatures { .. } => None,
    };
    let handshake = answered(&asked, &input.handshake_id, HandshakeState::Canceled, began)?;
    let canceled = handshake.with_state(HandshakeState::Canceled, asked.now());
    let output = CancelHandshakeOutput { handshake: Some(shapes::handshake(&asked, &canceled)) };
    let mut edits = features::call_back(&asked, &canceled.id);
    edits.push(Edit::PutHandshake(Box::new(canceled)));
    Ok((output, asked.keep(edits).await?))
}

/// The account whose agreement it takes.
fn who_agrees(handshake: &Handshake) -> Option<opentrail_model::AccountId> {
    Some(handshake.asked().unwrap_or(handshake.management))
}

/// The handshake of that id, which the caller, who is the one that `who` says, may bring into the `next` state.
fn answered(
    asked: &Asked<'_>,
    id: &str,
    next: HandshakeState,
    who: impl Fn(&Handshake) -> Option<opentrail_model::AccountId>,
) -> Outcome<Arc<Handshake>> {
    asked.authorize_on_handshake(id)?;
    let handshake = asked.handshake(id)?;
    if who(&handshake) != Some(asked.account()) {
        return Err(error::access_denied());
    }
    match (shapes::state_of(asked, &handshake), next) {
        (HandshakeState::Open, _) | (HandshakeState::Requested, HandshakeState::Canceled) => Ok(handshake),
        (state, next) if state == next => Err(error::handshake_already(state.name())),
        (state, _) => Err(error::handshake_transition(state.name())),
    }
}

/// A handshake, for the accounts that take part in it.
pub(super) fn describe_handshake(
    asked: &Asked<'_>,
    input: &DescribeHandshakeInput,
) -> Outcome<DescribeHandshakeOutput> {
    asked.authorize_on_handshake(&input.handshake_id)?;
    let handshake = asked.handshake(&input.handshake_id)?;
    Ok(DescribeHandshakeOutput { handshake: Some(shapes::handshake(asked, &handshake)) })
}

/// What the caller's account is or was asked.
pub(super) fn list_for_account(
    asked: &Asked<'_>,
    input: &ListHandshakesForAccountInput,
) -> Outcome<ListHandshakesForAccountOutput> {
    asked.authorize()?;
    let account = asked.account();
    let items = found(asked, input.filter.as_ref(), |handshake| handshake.asked() == Some(account))?;
    let Page { items, next_token } = page(asked, items, &input.filter, &wanted!(input))?;
    Ok(ListHandshakesForAccountOutput { handshakes: Some(items), next_token })
}

/// What the organization seeks or sought.
pub(super) fn list_for_organization(
    asked: &Asked<'_>,
    input: &ListHandshakesForOrganizationInput,
) -> Outcome<ListHandshakesForOrganizationOutput> {
    asked.authorize()?;
    let organization = asked.administered()?;
    let items = found(asked, input.filter.as_ref(), |handshake| handshake.organization == organization.id)?;
    let Page { items, next_token } = page(asked, items, &input.filter, &wanted!(input))?;
    Ok(ListHandshakesForOrganizationOutput { handshakes: Some(items), next_token })
}

fn found(
    asked: &Asked<'_>,
    filter: Option<&HandshakeFilter>,
    belongs: impl Fn(&Handshake) -> bool,
) -> Outcome<Vec<(String, wire::Handshake)>> {
    let action = filter.and_then(|filter| filter.action_type.as_deref());
    let parent = filter.and_then(|filter| filter.parent_handshake_id.as_deref());
    if action.is_some() && parent.is_some() {
        let message = "Filter by ActionType or by ParentHandshakeId, not by both.";
        return Err(error::invalid("MAX_LIMIT_EXCEEDED_FILTER", message));
    }
    let passes = |handshake: &Handshake| {
        let child = |whole: &str| matches!(&handshake.action, HandshakeAction::ApproveAllFeatures { parent, .. } if *parent == *whole);
        action.is_none_or(|action| handshake.action.name() == action) && parent.is_none_or(child)
    };
    let found = asked.view.handshakes(asked.now()).filter(|handshake| belongs(handshake) && passes(handshake));
    Ok(found.map(|handshake| (handshake.id.clone(), shapes::handshake(asked, handshake))).collect())
}
