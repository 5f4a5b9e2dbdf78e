//! Rules over the settings of an event data store, common to its creation and its changes.

use opentrail_selectors::{Holder, validate};
use opentrail_stores::{BillingMode, EventDataStore, Kind};

use crate::context::Outcome;

/// A setting that a store cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreSettingsError {
    #[error(
        "RetentionPeriod {days} is out of range: with BillingMode {} it is 7 to {} days.",
        mode.as_str(), mode.max_retention_days()
    )]
    Retention { days: i32, mode: BillingMode },
    #[error("BillingMode cannot be changed to FIXED_RETENTION_PRICING; create another event data store.")]
    BillingMode,
    #[error("Give at least one setting to change.")]
    Nothing,
    #[error(
        "StartIngestion can be false for management, data and network activity events and for configuration items only."
    )]
    CannotStop,
    #[error(
        "Events from outside AWS are collected in one Region: set MultiRegionEnabled to false for ActivityAuditLog events."
    )]
    OneRegion,
    #[error("The kind of events that an event data store collects cannot be changed; create another event data store.")]
    KindChange,
    #[error(
        "OrganizationEnabled cannot be true: events from outside of AWS and evidence are collected for one account."
    )]
    OneAccount,
    #[error("KmsKeyId cannot be changed: the event data store has another KMS key, which it keeps.")]
    OtherKey,
}

/// Checks that the settings fit together.
pub(super) fn check(store: &EventDataStore) -> Outcome<()> {
    validate(&store.selectors(), Holder::EventDataStore)?;
    if store.kind() == Kind::ActivityAuditLog && store.multi_region {
        return Err(StoreSettingsError::OneRegion.into());
    }
    retention(i32::try_from(store.retention_days).unwrap_or(i32::MAX), store.billing_mode)?;
    Ok(())
}

/// Checks a `RetentionPeriod`. The least and the greatest of all are among the service model's constraints.
pub(super) fn retention(days: i32, mode: BillingMode) -> Result<u32, StoreSettingsError> {
    match u32::try_from(days) {
        Ok(valid) if (7..=mode.max_retention_days()).contains(&valid) => Ok(valid),
        _ => Err(StoreSettingsError::Retention { days, mode }),
    }
}

/// Checks that a store of this kind can be one of an organization. (User Guide, "Organization event data stores"; for
/// evidence, of which it says nothing, a choice.)
pub(super) fn check_organization(store: &EventDataStore) -> Result<(), StoreSettingsError> {
    match store.kind() {
        Kind::CloudTrail | Kind::ConfigurationItem | Kind::Insight => Ok(()),
        Kind::ActivityAuditLog | Kind::Evidence => Err(StoreSettingsError::OneAccount),
    }
}

/// `BillingMode`, whose values are among the service model's constraints.
pub(super) fn billing_mode(text: Option<&str>) -> Option<BillingMode> {
    let modes = [BillingMode::ExtendableRetentionPricing, BillingMode::FixedRetentionPricing];
    text.and_then(|text| modes.into_iter().find(|mode| mode.as_str() == text))
}
