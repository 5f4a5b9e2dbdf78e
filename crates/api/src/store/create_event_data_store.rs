use opentrail_model::{AdvancedEventSelector, FieldSelector, SelectorField};
use opentrail_stores::{EventDataStore, StoreKey};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{CreateEventDataStoreInput, CreateEventDataStoreOutput};

use super::settings::{self, StoreSettingsError};
use super::shapes;
use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::error::ApiError;
use crate::selector::advanced_from_wire;
use crate::tag::{self, TagError};
use crate::trail::Changed;

/// Creates an event data store, which collects from its own creation on.
pub(crate) async fn create_event_data_store(
    cx: Context<'_>,
    input: CreateEventDataStoreInput,
) -> Outcome<Changed<CreateEventDataStoreOutput>> {
    let tags = tag::from_wire(input.tags_list.unwrap_or_default());
    let id = cx.services.random.uuid();
    let of_organization = input.organization_enabled.unwrap_or(false);
    let account = cx.owner_of_new(of_organization);
    let key = StoreKey { account, home_region: cx.region().clone(), id };
    let arn = key.arn().to_string();
    cx.authorize(Access::on("CreateEventDataStore", &arn).requesting(&tags))?;
    if !tags.is_empty() {
        cx.authorize(Access::on("AddTags", &arn).requesting(&tags))?;
    }

    let billing_mode = settings::billing_mode(input.billing_mode.as_deref()).unwrap_or_default();
    let retention_days = match input.retention_period {
        Some(days) => settings::retention(days, billing_mode)?,
        None => billing_mode.default_retention_days(),
    };
    let selectors = input.advanced_event_selectors.filter(|selectors| !selectors.is_empty());
    let selectors = match selectors {
        Some(given) => advanced_from_wire(given)?,
        None => vec![default_selector()],
    };
    let created = EventDataStore::new(key, input.name, selectors, cx.now());
    let mut store = EventDataStore {
        multi_region: input.multi_region_enabled.unwrap_or(created.multi_region),
        retention_days,
        termination_protection: input.termination_protection_enabled.unwrap_or(created.termination_protection),
        billing_mode,
        ingesting: input.start_ingestion.unwrap_or(created.ingesting),
        tags: tag::validation::put(&[], tags).map_err(invalid_tag)?,
        ..created
    };
    settings::check(&store)?;
    if !store.ingesting && !store.kind().can_stop() {
        return Err(StoreSettingsError::CannotStop.into());
    }
    if of_organization {
        settings::check_organization(&store)?;
        store.set_organization(Some(cx.require_organization()?));
    }
    if let Some(text) = &input.kms_key_id {
        store.kms_key = Some(cx.services.store_kms.check(&store.key, text).await?);
    }
    let output = shapes::created(&store);
    Ok(Changed::new(output, cx.create_store(store).await?))
}

/// The operation declares one error for whatever is wrong with tags.
fn invalid_tag(error: TagError) -> ApiError {
    Exception::invalid_tag_parameter(error.to_string()).into()
}

/// What a store without selectors collects. (API Reference, CreateEventDataStore; User Guide, samples of the AWS CLI.)
fn default_selector() -> AdvancedEventSelector {
    let category =
        FieldSelector { equals: vec!["Management".into()], ..FieldSelector::of(SelectorField::EventCategory) };
    AdvancedEventSelector { name: Some("Default management events".into()), field_selectors: vec![category] }
}
