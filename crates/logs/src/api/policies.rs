//! Operations on resource policies: documents of an account in a Region that let services write to its groups.

use opentrail_identity::{Policy, PolicyUse};
use opentrail_wire::logs::{
    DeleteResourcePolicyInput, DescribeResourcePoliciesInput, DescribeResourcePoliciesOutput, PutResourcePolicyInput,
    PutResourcePolicyOutput, ResourcePolicy,
};

use super::Cx;
use super::paging::{behind, limit, token};
use crate::error::{LogsError, invalid};
use crate::store::PolicyRow;

/// (API Reference, PutResourcePolicy: ten policies per account and Region, of 5120 characters.)
const MOST: usize = 10;
const MOST_CHARACTERS: usize = 5120;

pub(super) async fn put(cx: &Cx<'_>, input: PutResourcePolicyInput) -> Result<PutResourcePolicyOutput, LogsError> {
    cx.authorize_plainly("logs:PutResourcePolicy")?;
    refuse_resource(input.resource_arn.as_deref())?;
    let (Some(name), Some(document)) = (input.policy_name, input.policy_document) else {
        return Err(invalid("policyName and policyDocument are needed."));
    };
    if document.chars().count() > MOST_CHARACTERS {
        return Err(LogsError::LimitExceeded(format!("A resource policy has at most {MOST_CHARACTERS} characters.")));
    }
    Policy::parse(&document, PolicyUse::Resource)
        .map_err(|error| invalid(format!("The policy document cannot be used: {error}.")))?;
    let expected = input.expected_revision_id;
    let place = (cx.call.principal.account, &cx.call.region);
    let named = name.clone();
    let check = move |there: &[PolicyRow]| {
        let old = there.iter().find(|policy| policy.name == named);
        if expected.is_some_and(|expected| Some(expected) != old.map(|old| old.revision.to_string())) {
            return Err(changed());
        }
        if old.is_none() && there.len() >= MOST {
            return Err(LogsError::LimitExceeded(format!(
                "An account has at most {MOST} resource policies in a Region."
            )));
        }
        Ok(())
    };
    let put = cx.logs.shared.store.put_policy(place, (&name, &document), cx.logs.now(), check).await?;
    let revision = put.revision.to_string();
    Ok(PutResourcePolicyOutput { resource_policy: Some(shown(put)), revision_id: Some(revision) })
}

pub(super) async fn describe(
    cx: &Cx<'_>,
    input: DescribeResourcePoliciesInput,
) -> Result<DescribeResourcePoliciesOutput, LogsError> {
    cx.authorize_plainly("logs:DescribeResourcePolicies")?;
    refuse_resource(input.resource_arn.as_deref())?;
    let mut policies = match input.policy_scope.as_deref() {
        Some("RESOURCE") => Vec::new(),
        _ => cx.logs.shared.store.policies(cx.call.principal.account, &cx.call.region).await?,
    };
    if let Some(after) = behind("policies", input.next_token.as_deref())? {
        policies.retain(|policy| policy.name > after);
    }
    let limit = limit(input.limit, 50);
    let next_token = (policies.len() > limit).then(|| token("policies", &policies[limit - 1].name));
    policies.truncate(limit);
    let resource_policies = Some(policies.into_iter().map(shown).collect());
    Ok(DescribeResourcePoliciesOutput { resource_policies, next_token })
}

pub(super) async fn delete(cx: &Cx<'_>, input: DeleteResourcePolicyInput) -> Result<(), LogsError> {
    cx.authorize_plainly("logs:DeleteResourcePolicy")?;
    refuse_resource(input.resource_arn.as_deref())?;
    let name = input.policy_name.ok_or_else(|| invalid("policyName is needed."))?;
    let revision = match input.expected_revision_id {
        Some(text) => Some(text.parse().map_err(|_| changed())?),
        None => None,
    };
    let place = (cx.call.principal.account, &cx.call.region);
    let store = &cx.logs.shared.store;
    if store.delete_policy(place, &name, revision).await? {
        return Ok(());
    }
    let there = store.policies(place.0, place.1).await?;
    if there.iter().any(|policy| policy.name == name) {
        return Err(changed());
    }
    Err(LogsError::NotFound("Policy with name does not exist.".to_owned()))
}

fn refuse_resource(arn: Option<&str>) -> Result<(), LogsError> {
    match arn {
        Some(_) => Err(invalid("Policies of single log groups are not available here: leave resourceArn out.")),
        None => Ok(()),
    }
}

fn changed() -> LogsError {
    LogsError::Aborted("The policy is at another revision than expectedRevisionId. Read it again.".to_owned())
}

fn shown(policy: PolicyRow) -> ResourcePolicy {
    ResourcePolicy {
        policy_name: Some(policy.name),
        policy_document: Some(policy.document),
        last_updated_time: Some(policy.updated),
        policy_scope: Some("ACCOUNT".to_owned()),
        resource_arn: None,
        revision_id: Some(policy.revision.to_string()),
    }
}
