use std::sync::Arc;

use opentrail_identity::Registration;
use opentrail_model::AccountId;
use opentrail_organizations::{Member, MemberStatus, Organization};
use opentrail_wire::organizations::{
    CloseAccountInput, DescribeAccountInput, DescribeAccountOutput, ListAccountsForParentInput,
    ListAccountsForParentOutput, ListAccountsInput, ListAccountsOutput, MoveAccountInput,
    RemoveAccountFromOrganizationInput,
};
use serde_json::json;

use super::asked::{Asked, Circumstances};
use super::change::{Beside, Committed};
use super::organization::refuse_delegate;
use super::page::{Page, page, wanted};
use super::{Outcome, error, features, shapes};
use crate::context::CallResult;

/// The member of those digits.
pub(super) fn member<'a>(organization: &'a Organization, account: &str) -> Outcome<(AccountId, &'a Member)> {
    let id: AccountId = account.parse().map_err(|_| error::no_account())?;
    Ok((id, organization.members.get(&id).ok_or_else(error::no_account)?))
}

impl Asked<'_> {
    /// Name and address of an account. One that was not made here has said neither: its alias or digits stand for the
    /// name, and an address that no mail reaches (RFC 2606) for the other, which are choices.
    pub(super) fn contact(&self, id: AccountId) -> (String, String) {
        let found = self.cx.services.directory.account(id);
        let Registration { name, email, .. } =
            found.as_ref().map(|account| account.registration.clone()).unwrap_or_default();
        let alias = found.and_then(|account| account.alias.clone());
        let name = name.or(alias).unwrap_or_else(|| id.to_string());
        (name, email.unwrap_or_else(|| format!("{id}@accounts.invalid")))
    }
}

pub(super) fn describe_account(asked: &Asked<'_>, input: &DescribeAccountInput) -> Outcome<DescribeAccountOutput> {
    asked.authorize_on_account(&input.account_id, &Circumstances::default())?;
    let organization = asked.administered()?;
    let (id, member) = member(&organization, &input.account_id)?;
    Ok(DescribeAccountOutput { account: Some(shapes::account(&organization, id, member)) })
}

pub(super) fn list_accounts(asked: &Asked<'_>, input: &ListAccountsInput) -> Outcome<ListAccountsOutput> {
    asked.authorize()?;
    let organization = asked.administered()?;
    let all = organization.members.iter().map(|(id, member)| (id.to_string(), (*id, member)));
    let Page { items, next_token } = page(asked, all, &(), &wanted!(input))?;
    let items = items.into_iter().map(|(id, member)| shapes::account(&organization, id, member)).collect();
    Ok(ListAccountsOutput { accounts: Some(items), next_token })
}

/// The accounts right below a root or unit.
pub(super) fn list_accounts_for_parent(
    asked: &Asked<'_>,
    input: &ListAccountsForParentInput,
) -> Outcome<ListAccountsForParentOutput> {
    asked.authorize_on_parent(&input.parent_id, &Circumstances::default())?;
    let organization = asked.administered()?;
    if !organization.has_parent(&input.parent_id) {
        return Err(error::no_parent());
    }
    let members = organization.members_in(&input.parent_id).map(|(id, member)| (id.to_string(), (id, member)));
    let Page { items, next_token } = page(asked, members, &input.parent_id, &wanted!(input))?;
    let items = items.into_iter().map(|(id, member)| shapes::account(&organization, id, member)).collect();
    Ok(ListAccountsForParentOutput { accounts: Some(items), next_token })
}

/// Closes an account: nobody in it can do anything any more. What it holds stays, and so does it in the organization,
/// suspended. (AWS deletes it after 90 days; here the management account takes it out.)
pub(super) async fn close_account(asked: Asked<'_>, input: CloseAccountInput) -> Outcome<(Committed, CallResult)> {
    asked.authorize_on_account(&input.account_id, &Circumstances::default())?;
    let before = asked.managed()?;
    let (id, found) = member(&before, &input.account_id)?;
    if id == before.management {
        let message = "The management account cannot be closed while it has an organization.";
        return Err(error::constraint("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", message));
    }
    if found.status == MemberStatus::Suspended {
        return Err(error::closed_already());
    }
    let mut after = Organization::clone(&before);
    after.members.insert(id, Member { status: MemberStatus::Suspended, ..found.clone() });
    let identities = asked.cx.services.iam.changing().await;
    let registration = identities.identities.account(id).map(|account| account.registration.clone());
    let now = asked.now();
    let closed = Registration { closed: Some(now), ..registration.unwrap_or_default() };
    let status = json!({
        "AccountId": id,
        "State": "SUCCEEDED",
        "RequestedTimestamp": now.as_secs(),
        "CompletedTimestamp": now.as_secs(),
    });
    let result = CallResult { name: "CloseAccountResult", details: json!({ "CloseAccountStatus": status }) };
    let beside = Beside {
        edits: features::without(&asked, id),
        identities: Some((identities, vec![opentrail_identity::Edit::Register(id, closed)])),
    };
    Ok((asked.commit(Some(before), Some(after), beside).await?, result))
}

/// Takes an account out of the organization, which it survives.
pub(super) async fn remove_account(asked: Asked<'_>, input: RemoveAccountFromOrganizationInput) -> Outcome<Committed> {
    asked.authorize_on_account(&input.account_id, &Circumstances::default())?;
    let before = asked.managed()?;
    let (id, _) = member(&before, &input.account_id)?;
    if id == before.management {
        return Err(error::master_cannot_leave());
    }
    refuse_delegate(&before, id)?;
    let mut after = Organization::clone(&before);
    after.remove(id);
    let edits = features::without(&asked, id);
    asked.commit(Some(before), Some(after), Beside { edits, identities: None }).await
}

/// Puts an account into another root or unit.
pub(super) async fn move_account(asked: Asked<'_>, input: MoveAccountInput) -> Outcome<Committed> {
    asked.authorize_on_account(&input.account_id, &Circumstances::default())?;
    asked.authorize_on_parent(&input.source_parent_id, &Circumstances::default())?;
    asked.authorize_on_parent(&input.destination_parent_id, &Circumstances::default())?;
    let before: Arc<Organization> = asked.managed()?;
    let (id, found) = member(&before, &input.account_id)?;
    if found.parent != input.source_parent_id {
        return Err(error::no_source_parent());
    }
    if !before.has_parent(&input.destination_parent_id) {
        return Err(error::no_destination_parent());
    }
    if found.parent == input.destination_parent_id {
        return Err(error::already_there());
    }
    let mut after = Organization::clone(&before);
    after.members.insert(id, Member { parent: input.destination_parent_id, ..found.clone() });
    asked.replace(before, after).await
}
