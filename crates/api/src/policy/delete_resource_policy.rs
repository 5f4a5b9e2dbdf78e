use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{DeleteResourcePolicyInput, DeleteResourcePolicyOutput};

use super::target::lost;
use crate::context::{Context, Outcome};

/// Takes a resource's policy away.
pub(crate) async fn delete_resource_policy(
    cx: Context<'_>,
    input: DeleteResourcePolicyInput,
) -> Outcome<DeleteResourcePolicyOutput> {
    let target = cx.policy_target("DeleteResourcePolicy", &input.resource_arn).await?;
    let none = || Exception::resource_policy_not_found(format!("{} has no resource policy.", target.arn));
    let stored = target.stored.ok_or_else(none)?;
    cx.services.policies.delete(&target.arn, stored.revision).await.map_err(lost)?;
    Ok(DeleteResourcePolicyOutput {})
}
