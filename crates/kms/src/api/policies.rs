//! Operations on key policies. A key has one, called `default`.

use opentrail_wire::kms::{
    GetKeyPolicyInput, GetKeyPolicyOutput, ListKeyPoliciesInput, ListKeyPoliciesOutput, PutKeyPolicyInput,
};

use super::keys::{refuse_alias, require_not_pending};
use super::{Cx, Reach, require_customers};
use crate::error::KmsError;
use crate::key::Key;
use crate::policy;
use crate::repository::Found;

const DEFAULT: &str = "default";

pub(super) async fn get(cx: &Cx<'_>, input: GetKeyPolicyInput) -> Result<GetKeyPolicyOutput, KmsError> {
    refuse_alias(&input.key_id)?;
    let found = cx.key(&input.key_id, "kms:GetKeyPolicy", Reach::OwnAccount).await?;
    if input.policy_name.is_some_and(|name| name != DEFAULT) {
        return Err(KmsError::NotFound("No such policy exists".to_owned()));
    }
    Ok(GetKeyPolicyOutput { policy: Some(found.key.policy), policy_name: Some(DEFAULT.to_owned()) })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListKeyPoliciesInput) -> Result<ListKeyPoliciesOutput, KmsError> {
    refuse_alias(&input.key_id)?;
    cx.key(&input.key_id, "kms:ListKeyPolicies", Reach::OwnAccount).await?;
    if input.marker.is_some() {
        return Err(KmsError::InvalidMarker);
    }
    Ok(ListKeyPoliciesOutput {
        policy_names: Some(vec![DEFAULT.to_owned()]),
        truncated: Some(false),
        ..ListKeyPoliciesOutput::default()
    })
}

pub(super) async fn put(cx: &Cx<'_>, input: PutKeyPolicyInput) -> Result<(), KmsError> {
    refuse_alias(&input.key_id)?;
    let Found { mut key, revision, .. } = cx.key(&input.key_id, "kms:PutKeyPolicy", Reach::OwnAccount).await?;
    require_customers(&key)?;
    if input.policy_name.is_some_and(|name| name != DEFAULT) {
        return Err(KmsError::Validation("PolicyName must be default.".to_owned()));
    }
    require_not_pending(&key)?;
    key.policy = input.policy;
    check(cx, &key, input.bypass_policy_lockout_safety_check)?;
    cx.kms.keys.replace(&key, revision).await
}

/// Checks the policy that `key` is to have. Unless asked not to, refuses one under which the caller could not put
/// another. (API Reference, PutKeyPolicy, `BypassPolicyLockoutSafetyCheck`.)
pub(super) fn check(cx: &Cx<'_>, key: &Key, bypass: Option<bool>) -> Result<(), KmsError> {
    policy::check(&key.policy)?;
    if bypass == Some(true) {
        return Ok(());
    }
    let found = Found { key: key.clone(), revision: 0, alias: None };
    cx.authorize("kms:PutKeyPolicy", &found, Reach::OwnAccount, None).map_err(|_| {
        let message = "The new key policy will not allow you to update the key policy in the future.";
        KmsError::MalformedPolicy(message.to_owned())
    })
}
