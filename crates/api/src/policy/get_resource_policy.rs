use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{GetResourcePolicyInput, GetResourcePolicyOutput};

use crate::context::{Context, Outcome};

/// A resource's policy, as it was put.
pub(crate) async fn get_resource_policy(
    cx: Context<'_>,
    input: GetResourcePolicyInput,
) -> Outcome<GetResourcePolicyOutput> {
    let target = cx.policy_target("GetResourcePolicy", &input.resource_arn).await?;
    let none = || Exception::resource_policy_not_found(format!("{} has no resource policy.", target.arn));
    let stored = target.stored.ok_or_else(none)?;
    Ok(GetResourcePolicyOutput {
        resource_arn: Some(target.arn.to_string()),
        resource_policy: Some(stored.value.text),
        delegated_admin_resource_policy: None,
    })
}
