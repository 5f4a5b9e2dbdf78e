//! Operations on a key's material.

use opentrail_wire::kms::{
    DisableKeyRotationInput, EnableKeyRotationInput, GetKeyRotationStatusInput, GetKeyRotationStatusOutput,
    ListKeyRotationsInput, ListKeyRotationsOutput, RotateKeyOnDemandInput, RotateKeyOnDemandOutput, RotationsListEntry,
};

use super::keys::refuse_alias;
use super::paging::{Asked, page};
use super::{Cx, Reach, require_customers};
use crate::error::KmsError;
use crate::key::{DAY, Rotation, RotationType, StoredMaterial};
use crate::kms::require_enabled;
use crate::repository::Found;

/// `RotationPeriodInDays` when it is not given. (API Reference, EnableKeyRotation.)
const PERIOD_DAYS: u16 = 365;

/// On-demand rotations of one key. (KMS Developer Guide, "Resource quotas".)
const MOST_ON_DEMAND: usize = 25;

pub(super) async fn enable(cx: &Cx<'_>, input: EnableKeyRotationInput) -> Result<(), KmsError> {
    let mut found = usable(cx, &input.key_id, "kms:EnableKeyRotation").await?;
    let period_days = match input.rotation_period_in_days {
        Some(days) => u16::try_from(days).unwrap_or(PERIOD_DAYS),
        None => found.key.rotation.map_or(PERIOD_DAYS, |rotation| rotation.period_days),
    };
    let next = cx.kms.now() + DAY * u32::from(period_days);
    let next = match found.key.rotation {
        Some(rotation) if rotation.period_days == period_days => rotation.next,
        _ => next,
    };
    found.key.rotation = Some(Rotation { period_days, next });
    cx.kms.keys.replace(&found.key, found.revision).await
}

pub(super) async fn disable(cx: &Cx<'_>, input: DisableKeyRotationInput) -> Result<(), KmsError> {
    let mut found = usable(cx, &input.key_id, "kms:DisableKeyRotation").await?;
    found.key.rotation = None;
    cx.kms.keys.replace(&found.key, found.revision).await
}

pub(super) async fn on_demand(cx: &Cx<'_>, input: RotateKeyOnDemandInput) -> Result<RotateKeyOnDemandOutput, KmsError> {
    let mut found = usable(cx, &input.key_id, "kms:RotateKeyOnDemand").await?;
    let on_demand = |material: &&StoredMaterial| material.rotated == Some(RotationType::OnDemand);
    if found.key.materials.iter().filter(on_demand).count() >= MOST_ON_DEMAND {
        let message = format!("{} was rotated on demand {MOST_ON_DEMAND} times already.", found.key.arn());
        return Err(KmsError::LimitExceeded(message));
    }
    cx.kms.rotate(&mut found.key, RotationType::OnDemand);
    cx.kms.keys.replace(&found.key, found.revision).await?;
    Ok(RotateKeyOnDemandOutput { key_id: Some(found.key.arn()) })
}

pub(super) async fn status(
    cx: &Cx<'_>,
    input: GetKeyRotationStatusInput,
) -> Result<GetKeyRotationStatusOutput, KmsError> {
    refuse_alias(&input.key_id)?;
    let found = cx.key(&input.key_id, "kms:GetKeyRotationStatus", Reach::AnyAccount).await?;
    let rotation = found.key.rotation;
    Ok(GetKeyRotationStatusOutput {
        key_rotation_enabled: Some(rotation.is_some()),
        key_id: Some(found.key.arn()),
        rotation_period_in_days: rotation.map(|rotation| i32::from(rotation.period_days)),
        next_rotation_date: rotation.map(|rotation| rotation.next),
        ..GetKeyRotationStatusOutput::default()
    })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListKeyRotationsInput) -> Result<ListKeyRotationsOutput, KmsError> {
    refuse_alias(&input.key_id)?;
    let found = cx.key(&input.key_id, "kms:ListKeyRotations", Reach::OwnAccount).await?;
    let all = input.include_key_material.as_deref() == Some("ALL_KEY_MATERIAL");
    let (key, count) = (&found.key, found.key.materials.len());
    let entry = |(index, material): (usize, &StoredMaterial)| RotationsListEntry {
        key_id: Some(key.id.to_string()),
        key_material_id: Some(material.id.clone()),
        key_material_state: Some(if index + 1 == count { "CURRENT" } else { "NON_CURRENT" }.to_owned()),
        rotation_date: material.rotated.map(|_| material.made),
        rotation_type: material.rotated.map(|why| match why {
            RotationType::Automatic => "AUTOMATIC".to_owned(),
            RotationType::OnDemand => "ON_DEMAND".to_owned(),
        }),
        ..RotationsListEntry::default()
    };
    let asked = Asked { limit: input.limit, marker: input.marker };
    let list = format!("rotations/{}", key.id);
    let after = asked.after(cx, &list)?;
    let shown = key.materials.iter().enumerate().filter(|(_, material)| all || material.rotated.is_some());
    let page = page(cx, &list, &after, asked.limit(100, 1000), shown, |(index, _)| format!("{index:08}"));
    Ok(ListKeyRotationsOutput {
        rotations: Some(page.items.into_iter().map(entry).collect()),
        truncated: Some(page.next.is_some()),
        next_marker: page.next,
    })
}

async fn usable(cx: &Cx<'_>, key_id: &str, action: &'static str) -> Result<Found, KmsError> {
    refuse_alias(key_id)?;
    let found = cx.key(key_id, action, Reach::OwnAccount).await?;
    require_customers(&found.key)?;
    require_enabled(&found.key)?;
    Ok(found)
}
