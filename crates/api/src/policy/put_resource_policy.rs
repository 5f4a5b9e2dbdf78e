use opentrail_wire::cloudtrail::{PutResourcePolicyInput, PutResourcePolicyOutput};

use super::rules;
use super::target::lost;
use crate::context::{Context, Outcome};

/// Gives a resource a policy, in the place of the one that it had.
pub(crate) async fn put_resource_policy(
    cx: Context<'_>,
    input: PutResourcePolicyInput,
) -> Outcome<PutResourcePolicyOutput> {
    let target = cx.policy_target("PutResourcePolicy", &input.resource_arn).await?;
    rules::check(&input.resource_policy, &target.arn)?;
    let revision = target.stored.map(|stored| stored.revision);
    cx.services.policies.put(&target.arn, input.resource_policy.clone(), revision).await.map_err(lost)?;
    Ok(PutResourcePolicyOutput {
        resource_arn: Some(target.arn.to_string()),
        resource_policy: Some(input.resource_policy),
        delegated_admin_resource_policy: None,
    })
}
