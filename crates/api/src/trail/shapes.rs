//! Trails in the shapes of the API.

use opentrail_trails::Trail;
use opentrail_wire::cloudtrail as wire;

/// What GetTrail and DescribeTrails answer. Settings that are not set are left out.
pub(crate) fn trail(trail: &Trail) -> wire::Trail {
    wire::Trail {
        name: Some(trail.key.name.to_string()),
        s3_bucket_name: Some(trail.bucket.clone()),
        s3_key_prefix: trail.prefix.clone(),
        kms_key_id: trail.kms_key.clone(),
        sns_topic_name: trail.topic.as_ref().map(|topic| topic.name.clone()),
        sns_topic_arn: trail.topic.as_ref().map(|topic| topic.arn.clone()),
        cloud_watch_logs_log_group_arn: trail.log_group.as_ref().map(|group| group.arn.clone()),
        cloud_watch_logs_role_arn: trail.log_group.as_ref().map(|group| group.role.clone()),
        include_global_service_events: Some(trail.include_global_service_events),
        is_multi_region_trail: Some(trail.multi_region),
        home_region: Some(trail.key.home_region.to_string()),
        trail_arn: Some(trail.arn().to_string()),
        log_file_validation_enabled: Some(trail.log_file_validation),
        has_custom_event_selectors: Some(trail.has_custom_selectors()),
        has_insight_selectors: Some(!trail.insights.is_empty()),
        is_organization_trail: Some(trail.organization.is_some()),
        recursive_logging: Some(trail.recursive_logging),
    }
}

/// What CreateTrail answers.
pub(crate) fn created(trail: &Trail) -> wire::CreateTrailOutput {
    wire::CreateTrailOutput {
        name: Some(trail.key.name.to_string()),
        s3_bucket_name: Some(trail.bucket.clone()),
        s3_key_prefix: trail.prefix.clone(),
        kms_key_id: trail.kms_key.clone(),
        sns_topic_name: trail.topic.as_ref().map(|topic| topic.name.clone()),
        sns_topic_arn: trail.topic.as_ref().map(|topic| topic.arn.clone()),
        cloud_watch_logs_log_group_arn: trail.log_group.as_ref().map(|group| group.arn.clone()),
        cloud_watch_logs_role_arn: trail.log_group.as_ref().map(|group| group.role.clone()),
        include_global_service_events: Some(trail.include_global_service_events),
        is_multi_region_trail: Some(trail.multi_region),
        trail_arn: Some(trail.arn().to_string()),
        log_file_validation_enabled: Some(trail.log_file_validation),
        is_organization_trail: Some(trail.organization.is_some()),
        recursive_logging: Some(trail.recursive_logging),
    }
}

/// What UpdateTrail answers.
pub(crate) fn updated(trail: &Trail) -> wire::UpdateTrailOutput {
    wire::UpdateTrailOutput {
        name: Some(trail.key.name.to_string()),
        s3_bucket_name: Some(trail.bucket.clone()),
        s3_key_prefix: trail.prefix.clone(),
        kms_key_id: trail.kms_key.clone(),
        sns_topic_name: trail.topic.as_ref().map(|topic| topic.name.clone()),
        sns_topic_arn: trail.topic.as_ref().map(|topic| topic.arn.clone()),
        cloud_watch_logs_log_group_arn: trail.log_group.as_ref().map(|group| group.arn.clone()),
        cloud_watch_logs_role_arn: trail.log_group.as_ref().map(|group| group.role.clone()),
        include_global_service_events: Some(trail.include_global_service_events),
        is_multi_region_trail: Some(trail.multi_region),
        trail_arn: Some(trail.arn().to_string()),
        log_file_validation_enabled: Some(trail.log_file_validation),
        is_organization_trail: Some(trail.organization.is_some()),
        recursive_logging: Some(trail.recursive_logging),
    }
}
