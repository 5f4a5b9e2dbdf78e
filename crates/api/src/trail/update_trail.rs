use opentrail_trails::{Trail, TrailError};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{UpdateTrailInput, UpdateTrailOutput};

use super::change::Changed;
use super::destination::{validate_bucket, validate_prefix};
use super::settings;
use super::shapes;
use crate::context::{Context, Outcome, RecordOrder};
use crate::error::ApiError;

/// Changes the settings that the request gives, and no others.
///
/// The bucket is checked when the request gives it or the prefix, even unchanged, and when the trail becomes an
/// organization's or is one no more; a choice, so that other settings can be changed while a bucket is away.
pub(crate) async fn update_trail(cx: Context<'_>, input: UpdateTrailInput) -> Outcome<Changed<UpdateTrailOutput>> {
    let trail = cx.authorize_trail("UpdateTrail", &input.name).await?.require_at_home(&cx)?;
    let organization = cx.converted(trail.value.key.account, &trail.value.organization, input.is_organization_trail)?;
    let converts = organization.is_some() != trail.value.organization.is_some();
    let moves = input.s3_bucket_name.is_some() || input.s3_key_prefix.is_some() || converts;
    let key = input.kms_key_id.clone();
    let topic = input.sns_topic_name.clone();
    let (group, role) = (input.cloud_watch_logs_log_group_arn.clone(), input.cloud_watch_logs_role_arn.clone());
    let mut changed = with_changes(Trail { organization, ..trail.value.clone() }, input);
    settings::validate(&changed)?;
    validate_bucket(&changed.bucket)?;
    validate_prefix(changed.prefix.as_deref().unwrap_or_default())?;
    if changed.multi_region && !trail.value.multi_region {
        let shadows = if changed.key.account == cx.account() { cx.shadows().await? } else { Vec::new() };
        cx.services.trails.require_room(&changed, &shadows).await.map_err(no_room)?;
    }
    if moves {
        cx.check_bucket(&changed).await?;
    }
    match (&key, &changed.kms_key) {
        (Some(key), _) => changed.kms_key = cx.check_key(&changed, key).await?,
        // A bucket elsewhere may be out of the key's reach.
        (None, Some(key)) if moves => changed.kms_key = cx.check_key(&changed, key).await?,
        (None, _) => {}
    }
    if group.is_some() || role.is_some() {
        // One of the two alone is taken with the other as it is.
        let known = trail.value.log_group.clone();
        let (known_group, known_role) = known.map(|known| (known.arn, known.role)).unwrap_or_default();
        let (group, role) = (group.unwrap_or(known_group), role.unwrap_or(known_role));
        changed.log_group = cx.check_log_group(&changed, &group, &role).await?;
    }
    if let Some(topic) = &topic
        && changed.topic.as_ref().map_or("", |known| &known.name) != topic
    {
        changed.topic = cx.check_topic(&changed, topic).await?;
    }

    let output = shapes::updated(&changed);
    if changed == trail.value {
        return Ok(Changed::nothing(output));
    }
    Ok(Changed::new(output, cx.replace(changed, trail.revision, RecordOrder::RecordFirst).await?))
}

/// The operation declares no error of its own for a Region that is full.
fn no_room(error: TrailError) -> ApiError {
    match error {
        full @ TrailError::TooMany { .. } => Exception::operation_not_permitted(full.to_string()).into(),
        other => other.into(),
    }
}

/// The trail with what the request gives. An empty prefix means none.
fn with_changes(mut trail: Trail, input: UpdateTrailInput) -> Trail {
    let was_multi_region = trail.multi_region;
    trail.multi_region = input.is_multi_region_trail.unwrap_or(trail.multi_region);
    if trail.multi_region != was_multi_region {
        // Global service events follow the conversion unless the request says otherwise.
        // (User Guide, "Converting a trail that applies to one Region to apply to all Regions", and the reverse.)
        trail.include_global_service_events = trail.multi_region;
    }
    if let Some(include) = input.include_global_service_events {
        trail.include_global_service_events = include;
    }
    if let Some(bucket) = input.s3_bucket_name {
        trail.bucket = bucket;
    }
    if let Some(prefix) = input.s3_key_prefix {
        trail.prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    }
    trail.log_file_validation = input.enable_log_file_validation.unwrap_or(trail.log_file_validation);
    trail.recursive_logging = input.recursive_logging.unwrap_or(trail.recursive_logging);
    trail
}
