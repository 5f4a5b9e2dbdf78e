//! Event data stores in the shapes of the API.

use opentrail_stores::EventDataStore;
use opentrail_wire::cloudtrail as wire;

use crate::selector::advanced_to_wire;
use crate::tag;

/// `FederationStatus`. Enabling and disabling are done before the call is answered, so that nobody sees a store on the way.
pub(crate) fn federation_status(store: &EventDataStore) -> Option<String> {
    Some(if store.federation_role.is_some() { "ENABLED" } else { "DISABLED" }.into())
}

fn arn(store: &EventDataStore) -> Option<String> {
    Some(store.arn().to_string())
}

fn selectors(store: &EventDataStore) -> Option<Vec<wire::AdvancedEventSelector>> {
    Some(store.advanced_event_selectors.iter().map(advanced_to_wire).collect())
}

fn days(store: &EventDataStore) -> Option<i32> {
    i32::try_from(store.retention_days).ok()
}

/// `PartitionKeys` as the store's table has them. (User Guide and API Reference do not say which ones AWS has.)
fn partition_keys() -> Option<Vec<wire::PartitionKey>> {
    let day = wire::PartitionKey { name: "event_date".into(), r#type: "date".into() };
    Some(vec![day])
}

/// What CreateEventDataStore answers. The status is the one that a store has while it is made.
pub(super) fn created(store: &EventDataStore) -> wire::CreateEventDataStoreOutput {
    wire::CreateEventDataStoreOutput {
        event_data_store_arn: arn(store),
        name: Some(store.name.clone()),
        status: Some("CREATED".into()),
        advanced_event_selectors: selectors(store),
        multi_region_enabled: Some(store.multi_region),
        organization_enabled: Some(store.organization.is_some()),
        retention_period: days(store),
        termination_protection_enabled: Some(store.termination_protection),
        tags_list: Some(tag::to_wire(&store.tags)),
        created_timestamp: Some(store.created),
        updated_timestamp: Some(store.updated),
        billing_mode: Some(store.billing_mode.as_str().into()),
        kms_key_id: store.kms_key.clone(),
    }
}

/// What GetEventDataStore answers.
pub(super) fn got(store: &EventDataStore) -> wire::GetEventDataStoreOutput {
    wire::GetEventDataStoreOutput {
        event_data_store_arn: arn(store),
        name: Some(store.name.clone()),
        status: Some(store.status().as_str().into()),
        advanced_event_selectors: selectors(store),
        multi_region_enabled: Some(store.multi_region),
        organization_enabled: Some(store.organization.is_some()),
        retention_period: days(store),
        termination_protection_enabled: Some(store.termination_protection),
        created_timestamp: Some(store.created),
        updated_timestamp: Some(store.updated),
        billing_mode: Some(store.billing_mode.as_str().into()),
        federation_status: federation_status(store),
        federation_role_arn: store.federation_role.clone(),
        // The key's ARN, whatever named it: a choice, as the API Reference says so of one operation and shows an alias
        // in another.
        kms_key_id: store.kms_key.clone(),
        partition_keys: partition_keys(),
    }
}

/// What UpdateEventDataStore answers.
pub(super) fn updated(store: &EventDataStore) -> wire::UpdateEventDataStoreOutput {
    let got = got(store);
    wire::UpdateEventDataStoreOutput {
        event_data_store_arn: got.event_data_store_arn,
        name: got.name,
        status: got.status,
        advanced_event_selectors: got.advanced_event_selectors,
        multi_region_enabled: got.multi_region_enabled,
        organization_enabled: got.organization_enabled,
        retention_period: got.retention_period,
        termination_protection_enabled: got.termination_protection_enabled,
        created_timestamp: got.created_timestamp,
        updated_timestamp: got.updated_timestamp,
        billing_mode: got.billing_mode,
        federation_status: got.federation_status,
        federation_role_arn: got.federation_role_arn,
        kms_key_id: got.kms_key_id,
    }
}

/// What RestoreEventDataStore answers.
pub(super) fn restored(store: &EventDataStore) -> wire::RestoreEventDataStoreOutput {
    let got = got(store);
    wire::RestoreEventDataStoreOutput {
        event_data_store_arn: got.event_data_store_arn,
        name: got.name,
        status: got.status,
        advanced_event_selectors: got.advanced_event_selectors,
        multi_region_enabled: got.multi_region_enabled,
        organization_enabled: got.organization_enabled,
        retention_period: got.retention_period,
        termination_protection_enabled: got.termination_protection_enabled,
        created_timestamp: got.created_timestamp,
        updated_timestamp: got.updated_timestamp,
        billing_mode: got.billing_mode,
        kms_key_id: got.kms_key_id,
    }
}
