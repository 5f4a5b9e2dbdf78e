//! Operations on keys as such: made, shown, switched on and off, deleted.

use opentrail_catalog::Expect;
use opentrail_wire::kms::{
    CancelKeyDeletionInput, CancelKeyDeletionOutput, CreateKeyInput, CreateKeyOutput, DescribeKeyInput,
    DescribeKeyOutput, DisableKeyInput, EnableKeyInput, KeyListEntry, KeyMetadata, ListKeysInput, ListKeysOutput,
    ScheduleKeyDeletionInput, ScheduleKeyDeletionOutput, UpdateKeyDescriptionInput,
};

use super::paging::{Asked, page};
use super::{Cx, Reach, policies, refuse_grant_tokens, require_customers, tags};
use crate::error::KmsError;
use crate::key::{DAY, Key, KeyManager, KeyPlace, KeyState};
use crate::policy::default_policy;
use crate::repository::put_key;

/// The waiting period before a deletion, in days. (API Reference, ScheduleKeyDeletion, `PendingWindowInDays`.)
const WINDOW_DAYS: std::ops::RangeInclusive<i32> = 7..=30;

pub(super) async fn create(cx: &Cx<'_>, input: CreateKeyInput) -> Result<CreateKeyOutput, KmsError> {
    let tags = tags::from_wire(input.tags.unwrap_or_default());
    cx.authorize_plainly("kms:CreateKey", "*")?;
    if !tags.is_empty() {
        cx.authorize_plainly("kms:TagResource", "*")?;
    }
    for (member, value, only) in [
        ("KeySpec", input.key_spec.as_deref(), "SYMMETRIC_DEFAULT"),
        ("CustomerMasterKeySpec", input.customer_master_key_spec.as_deref(), "SYMMETRIC_DEFAULT"),
        ("KeyUsage", input.key_usage.as_deref(), "ENCRYPT_DECRYPT"),
        ("Origin", input.origin.as_deref(), "AWS_KMS"),
    ] {
        if let Some(other) = value.filter(|value| *value != only) {
            return Err(KmsError::Unsupported(format!("{member} {other} is not available here: use {only}.")));
        }
    }
    if input.custom_key_store_id.is_some() || input.xks_key_id.is_some() {
        return Err(KmsError::Unsupported("There are no custom key stores here.".to_owned()));
    }
    if input.multi_region == Some(true) {
        return Err(KmsError::Unsupported("Multi-Region keys are not available here.".to_owned()));
    }
    let policy = input.policy.unwrap_or_else(|| default_policy(cx.account(), cx.region()));
    let mut key = cx.kms.new_key(cx.account(), cx.region(), policy, input.description.unwrap_or_default());
    key.tags = tags::put(Vec::new(), tags)?;
    policies::check(cx, &key, input.bypass_policy_lockout_safety_check)?;
    cx.kms.keys.commit(vec![put_key(&key, Expect::Absent)]).await?;
    cx.touch(key.arn());
    Ok(CreateKeyOutput { key_metadata: Some(metadata(&key)) })
}

pub(super) async fn describe(cx: &Cx<'_>, input: DescribeKeyInput) -> Result<DescribeKeyOutput, KmsError> {
    refuse_grant_tokens(input.grant_tokens)?;
    let found = cx.key(&input.key_id, "kms:DescribeKey", Reach::AnyAccount).await?;
    Ok(DescribeKeyOutput { key_metadata: Some(metadata(&found.key)) })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListKeysInput) -> Result<ListKeysOutput, KmsError> {
    cx.authorize_plainly("kms:ListKeys", "*")?;
    if input.resource_owners.is_some() {
        return Err(KmsError::Unsupported("ResourceOwners is not available.".to_owned()));
    }
    let asked = Asked { limit: input.limit, marker: input.marker };
    let (after, limit) = (asked.after(cx, "keys")?, asked.limit(100, 1000));
    // One more than asked for tells whether there is another page.
    let ids = cx.kms.keys.page(cx.account(), cx.region(), &after, limit + 1, cx.kms.now()).await?;
    let page = page(cx, "keys", &after, limit, ids, |id| id.to_string());
    let entry = |id| {
        let place = KeyPlace { account: cx.account(), region: cx.region().clone(), id };
        KeyListEntry { key_id: Some(id.to_string()), key_arn: Some(place.arn()) }
    };
    Ok(ListKeysOutput {
        keys: Some(page.items.into_iter().map(entry).collect()),
        truncated: Some(page.next.is_some()),
        next_marker: page.next,
    })
}

pub(super) async fn enable(cx: &Cx<'_>, input: EnableKeyInput) -> Result<(), KmsError> {
    switch(cx, &input.key_id, "kms:EnableKey", KeyState::Enabled).await
}

pub(super) async fn disable(cx: &Cx<'_>, input: DisableKeyInput) -> Result<(), KmsError> {
    switch(cx, &input.key_id, "kms:DisableKey", KeyState::Disabled).await
}

async fn switch(cx: &Cx<'_>, key_id: &str, action: &'static str, state: KeyState) -> Result<(), KmsError> {
    refuse_alias(key_id)?;
    let mut found = cx.key(key_id, action, Reach::OwnAccount).await?;
    require_customers(&found.key)?;
    require_not_pending(&found.key)?;
    if found.key.state == state {
        return Ok(());
    }
    found.key.state = state;
    cx.kms.keys.replace(&found.key, found.revision).await
}

pub(super) async fn schedule_deletion(
    cx: &Cx<'_>,
    input: ScheduleKeyDeletionInput,
) -> Result<ScheduleKeyDeletionOutput, KmsError> {
    refuse_alias(&input.key_id)?;
    let mut found = cx.key(&input.key_id, "kms:ScheduleKeyDeletion", Reach::OwnAccount).await?;
    require_customers(&found.key)?;
    let days = input.pending_window_in_days.unwrap_or(*WINDOW_DAYS.end());
    if !WINDOW_DAYS.contains(&days) {
        let message = "PendingWindowInDays must be between 7 and 30 days (inclusive).";
        return Err(KmsError::Validation(message.to_owned()));
    }
    require_not_pending(&found.key)?;
    let at = cx.kms.now() + DAY * u32::try_from(days).unwrap_or_default();
    found.key.state = KeyState::PendingDeletion { at };
    cx.kms.keys.replace(&found.key, found.revision).await?;
    Ok(ScheduleKeyDeletionOutput {
        key_id: Some(found.key.arn()),
        deletion_date: Some(at),
        key_state: Some("PendingDeletion".to_owned()),
        pending_window_in_days: Some(days),
    })
}

/// The key is disabled afterwards. (API Reference, CancelKeyDeletion.)
pub(super) async fn cancel_deletion(
    cx: &Cx<'_>,
    input: CancelKeyDeletionInput,
) -> Result<CancelKeyDeletionOutput, KmsError> {
    refuse_alias(&input.key_id)?;
    let mut found = cx.key(&input.key_id, "kms:CancelKeyDeletion", Reach::OwnAccount).await?;
    if !matches!(found.key.state, KeyState::PendingDeletion { .. }) {
        return Err(KmsError::InvalidState { arn: found.key.arn(), problem: "is not pending deletion" });
    }
    found.key.state = KeyState::Disabled;
    cx.kms.keys.replace(&found.key, found.revision).await?;
    Ok(CancelKeyDeletionOutput { key_id: Some(found.key.arn()) })
}

pub(super) async fn update_description(cx: &Cx<'_>, input: UpdateKeyDescriptionInput) -> Result<(), KmsError> {
    refuse_alias(&input.key_id)?;
    let mut found = cx.key(&input.key_id, "kms:UpdateKeyDescription", Reach::OwnAccount).await?;
    require_customers(&found.key)?;
    require_not_pending(&found.key)?;
    found.key.description = input.description;
    cx.kms.keys.replace(&found.key, found.revision).await
}

/// Operations that manage a key take no alias. (API Reference, `KeyId` of each.)
pub(super) fn refuse_alias(key_id: &str) -> Result<(), KmsError> {
    if key_id.starts_with("alias/") || (key_id.starts_with("arn:") && key_id.contains(":alias/")) {
        return Err(KmsError::NotFound(format!("Invalid keyId {key_id}: this operation takes a key id or a key ARN")));
    }
    Ok(())
}

pub(super) fn require_not_pending(key: &Key) -> Result<(), KmsError> {
    match key.state {
        KeyState::PendingDeletion { .. } => {
            Err(KmsError::InvalidState { arn: key.arn(), problem: "is pending deletion" })
        }
        KeyState::Enabled | KeyState::Disabled => Ok(()),
    }
}

fn metadata(key: &Key) -> KeyMetadata {
    let (state, deletion_date) = match key.state {
        KeyState::Enabled => ("Enabled", None),
        KeyState::Disabled => ("Disabled", None),
        KeyState::PendingDeletion { at } => ("PendingDeletion", Some(at)),
    };
    let manager = match key.manager {
        KeyManager::Customer => "CUSTOMER",
        KeyManager::Aws => "AWS",
    };
    KeyMetadata {
        aws_account_id: Some(key.account.to_string()),
        key_id: key.id.to_string(),
        arn: Some(key.arn()),
        creation_date: Some(key.created),
        enabled: Some(key.state == KeyState::Enabled),
        description: Some(key.description.clone()),
        key_usage: Some("ENCRYPT_DECRYPT".to_owned()),
        key_state: Some(state.to_owned()),
        deletion_date,
        origin: Some("AWS_KMS".to_owned()),
        key_manager: Some(manager.to_owned()),
        customer_master_key_spec: Some("SYMMETRIC_DEFAULT".to_owned()),
        key_spec: Some("SYMMETRIC_DEFAULT".to_owned()),
        encryption_algorithms: Some(vec!["SYMMETRIC_DEFAULT".to_owned()]),
        multi_region: Some(false),
        current_key_material_id: Some(key.current().1.id.clone()),
        ..KeyMetadata::default()
    }
}
