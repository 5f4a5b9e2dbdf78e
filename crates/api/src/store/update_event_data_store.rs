use opentrail_stores::{BillingMode, StoreError};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{UpdateEventDataStoreInput, UpdateEventDataStoreOutput};

use super::settings::{self, StoreSettingsError};
use super::shapes;
use crate::context::{Context, Outcome, RecordOrder};
use crate::error::ApiError;
use crate::selector::advanced_from_wire;
use crate::trail::Changed;

/// Changes the settings that the request gives, and no others.
pub(crate) async fn update_event_data_store(
    cx: Context<'_>,
    input: UpdateEventDataStoreInput,
) -> Outcome<Changed<UpdateEventDataStoreOutput>> {
    let store = cx.authorize_store("UpdateEventDataStore", &input.event_data_store).await?.require_active()?;
    let only_named =
        UpdateEventDataStoreInput { event_data_store: input.event_data_store.clone(), ..Default::default() };
    if input == only_named {
        return Err(StoreSettingsError::Nothing.into());
    }

    let mut changed = store.value.clone();
    match (changed.billing_mode, settings::billing_mode(input.billing_mode.as_deref())) {
        (BillingMode::ExtendableRetentionPricing, Some(BillingMode::FixedRetentionPricing)) => {
            return Err(StoreSettingsError::BillingMode.into());
        }
        (_, given) => changed.billing_mode = given.unwrap_or(changed.billing_mode),
    }
    if let Some(days) = input.retention_period {
        changed.retention_days = settings::retention(days, changed.billing_mode)?;
    }
    if let Some(name) = input.name {
        changed.name = name;
    }
    if let Some(selectors) = input.advanced_event_selectors {
        changed.advanced_event_selectors = advanced_from_wire(selectors)?;
    }
    let organization = cx.converted(changed.key.account, &changed.organization, input.organization_enabled)?;
    if organization.is_some() {
        settings::check_organization(&changed)?;
    }
    changed.set_organization(organization);
    changed.multi_region = input.multi_region_enabled.unwrap_or(changed.multi_region);
    changed.termination_protection = input.termination_protection_enabled.unwrap_or(changed.termination_protection);
    settings::check(&changed)?;
    if changed.kind() != store.value.kind() {
        return Err(StoreSettingsError::KindChange.into());
    }
    if let Some(text) = &input.kms_key_id {
        let key = cx.services.store_kms.check(&changed.key, text).await?;
        if changed.kms_key.as_ref().is_some_and(|known| *known != key) {
            return Err(StoreSettingsError::OtherKey.into());
        }
        changed.kms_key = Some(key);
    }
    if changed == store.value {
        return Ok(Changed::nothing(shapes::updated(&changed)));
    }
    changed.updated = cx.now();
    cx.services.stores.require_name(&changed).await?;
    if changed.multi_region && !store.value.multi_region {
        cx.services.stores.require_room(&changed).await.map_err(no_room)?;
    }
    let output = shapes::updated(&changed);
    Ok(Changed::new(output, cx.replace_idle_store(changed, store.revision, RecordOrder::RecordFirst).await?))
}

/// The operation declares no error of its own for a Region that is full.
fn no_room(error: StoreError) -> ApiError {
    match error {
        full @ StoreError::TooMany { .. } => Exception::operation_not_permitted(full.to_string()).into(),
        other => other.into(),
    }
}
