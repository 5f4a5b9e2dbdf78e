use std::collections::BTreeMap;
use std::time::Duration;

use opentrail_identity::{Document, Identities, Origin, PolicyUse, Registration, Rights, Role, new_entity_id};
use opentrail_model::{AccountId, Timestamp};
use opentrail_organizations::{
    AccountRequest, Edit, Joined, Member, MemberStatus, Organization, RequestFailure, RequestState, new_account_id,
    new_request_id,
};
use opentrail_runtime::Random;
use opentrail_wire::organizations::{
    CreateAccountInput, CreateAccountOutput, CreateAccountStatus, DescribeCreateAccountStatusInput,
    DescribeCreateAccountStatusOutput, ListCreateAccountStatusInput, ListCreateAccountStatusOutput,
};
use serde_json::json;

use super::asked::{Asked, Circumstances};
use super::change::{Beside, Committed};
use super::page::{Page, page, wanted};
use super::{Outcome, error, quota, shapes, tag};
use crate::context::CallResult;

/// The role by which the management account gets into a new account. (API Reference, CreateAccount, `RoleName`.)
const ROLE: &str = "OrganizationAccountAccessRole";
const ROLE_POLICY: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// Makes an account: a member of the organization, with a role by which those of the management account can act in it.
///
/// As in AWS the answer says that it is in progress; here account, role and the request's end are one transaction, so
/// that DescribeCreateAccountStatus says at once what became of it. `IamUserAccessToBilling` has nothing to act upon,
/// whatever it is: there is no billing information here.
pub(super) async fn create_account(
    asked: Asked<'_>,
    input: CreateAccountInput,
) -> Outcome<(CreateAccountOutput, Committed, CallResult)> {
    let tags = input.tags.unwrap_or_default();
    asked.authorize_on("*", &Circumstances { tags: &tags, ..Circumstances::default() })?;
    let before = asked.managed()?;
    let tags = tag::put(BTreeMap::new(), tags)?;
    if before.members.len() >= quota::ACCOUNTS {
        let message = format!("An organization has at most {} accounts.", quota::ACCOUNTS);
        return Err(error::constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED", message));
    }
    let (now, random) = (asked.now(), &*asked.cx.services.random);
    let identities = asked.cx.services.iam.changing().await;
    let mut request = AccountRequest {
        id: new_request_id(random),
        organization: before.id.clone(),
        account_name: input.account_name.clone(),
        state: RequestState::Failed { reason: RequestFailure::EmailAlreadyExists },
        requested: now,
        completed: now,
    };
    let output = CreateAccountOutput { create_account_status: Some(in_progress(&request)) };
    let edits = |request| vec![Edit::PutRequest(Box::new(request))];
    if is_address_taken(&asked, &identities.identities, &input.email) {
        let result = result(&request);
        return Ok((output, asked.keep(edits(request)).await?, result));
    }
    let account = new_account_id(random, |account| {
        identities.identities.account(account).is_some() || asked.view.of(account).is_some()
    });
    request.state = RequestState::Succeeded { account };
    let role = role(account, input.role_name.as_deref().unwrap_or(ROLE), before.management, now, random);
    let registration =
        Registration { name: Some(input.account_name.clone()), email: Some(input.email.clone()), closed: None };
    let mut after = Organization::clone(&before);
    let member = Member {
        name: input.account_name,
        email: input.email,
        status: MemberStatus::Active,
        joined: Joined::Created,
        since: now,
        parent: before.root.clone(),
    };
    after.members.insert(account, member);
    if !tags.is_empty() {
        after.tags.insert(account.to_string(), tags);
    }
    let made = vec![
        opentrail_identity::Edit::Register(account, registration),
        opentrail_identity::Edit::PutRole(Box::new(role)),
    ];
    let result = result(&request);
    let beside = Beside { edits: edits(request), identities: Some((identities, made)) };
    Ok((output, asked.commit(Some(before), Some(after), beside).await?, result))
}

/// Whether an account has the address, whatever the case.
fn is_address_taken(asked: &Asked<'_>, identities: &Identities, address: &str) -> bool {
    let same = |other: &str| other.eq_ignore_ascii_case(address);
    let registered = identities.accounts().filter_map(|account| account.registration.email.as_deref());
    let mut members = asked.view.organizations().flat_map(|organization| organization.members.values());
    registered.into_iter().any(same) || members.any(|member| same(&member.email))
}

fn role(account: AccountId, name: &str, trusted: AccountId, now: Timestamp, random: &dyn Random) -> Role {
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{trusted}:root") },
            "Action": "sts:AssumeRole",
        }],
    });
    Role {
        account,
        name: name.to_owned(),
        path: "/".to_owned(),
        id: new_entity_id("AROA", random),
        created: now.floor_secs(),
        description: None,
        tags: BTreeMap::new(),
        max_session: Duration::from_secs(3600),
        trust: Document::parse(&trust.to_string(), PolicyUse::Trust).expect("the trust policy is well-formed"),
        rights: Rights { inline: BTreeMap::new(), attached: vec![ROLE_POLICY.to_owned()] },
        boundary: None,
        origin: Origin::Api,
    }
}

/// What became of a request, as its event tells it.
fn result(request: &AccountRequest) -> CallResult {
    CallResult { name: "CreateAccountResult", details: json!({ "CreateAccountStatus": shapes::request(request) }) }
}

fn in_progress(request: &AccountRequest) -> CreateAccountStatus {
    CreateAccountStatus {
        id: Some(request.id.clone()),
        account_name: Some(request.account_name.clone()),
        state: Some("IN_PROGRESS".to_owned()),
        requested_timestamp: Some(request.requested),
        ..CreateAccountStatus::default()
    }
}

/// What became of a request.
pub(super) fn describe_status(
    asked: &Asked<'_>,
    input: &DescribeCreateAccountStatusInput,
) -> Outcome<DescribeCreateAccountStatusOutput> {
    asked.authorize()?;
    let organization = asked.administered()?;
    let found = asked.view.requests(&organization.id).find(|request| request.id == input.create_account_request_id);
    let status = shapes::request(found.ok_or_else(error::no_request)?);
    Ok(DescribeCreateAccountStatusOutput { create_account_status: Some(status) })
}

/// What became of all requests, or of those in some states.
pub(super) fn list_statuses(
    asked: &Asked<'_>,
    input: &ListCreateAccountStatusInput,
) -> Outcome<ListCreateAccountStatusOutput> {
    asked.authorize()?;
    let organization = asked.administered()?;
    let wanted_state = |state: RequestState| {
        input.states.as_ref().is_none_or(|states| states.is_empty() || states.iter().any(|one| one == state.name()))
    };
    let found = asked.view.requests(&organization.id).filter(|request| wanted_state(request.state));
    let items = found.map(|request| (request.id.clone(), shapes::request(request)));
    let Page { items, next_token } = page(asked, items, &input.states, &wanted!(input))?;
    Ok(ListCreateAccountStatusOutput { create_account_statuses: Some(items), next_token })
}
