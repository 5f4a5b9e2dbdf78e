use opentrail_model::Selectors;
use opentrail_trails::Trail;
use opentrail_wire::cloudtrail::{CreateTrailInput, CreateTrailOutput};

use super::change::Changed;
use super::destination::{validate_bucket, validate_prefix};
use super::settings;
use super::{named, shapes};
use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::tag;

/// Creates a trail. It does not log until StartLogging.
///
/// The order of the checks is a choice where clients do not pin it: name, settings, organization, tags, name of the
/// bucket, prefix, name taken, trails in the Region, bucket there, bucket policy, KMS key, log group and role, topic.
pub(crate) async fn create_trail(cx: Context<'_>, input: CreateTrailInput) -> Outcome<Changed<CreateTrailOutput>> {
    let tags = tag::from_wire(input.tags_list.unwrap_or_default());
    let of_organization = input.is_organization_trail.unwrap_or(false);
    let owner = cx.owner_of_new(of_organization);
    let arn = named::expand(&cx, owner, &input.name);
    cx.authorize(Access::on("CreateTrail", &arn).requesting(&tags))?;
    if !tags.is_empty() {
        cx.authorize(Access::on("AddTags", &arn).requesting(&tags))?;
    }

    let mut trail = Trail {
        key: named::parse_new(&cx, owner, &input.name)?,
        // Later than any version of an earlier trail of this name, whatever became of the entry that deleted it.
        version: u64::try_from(cx.now().as_millis()).unwrap_or_default(),
        bucket: input.s3_bucket_name,
        prefix: input.s3_key_prefix.filter(|prefix| !prefix.is_empty()),
        kms_key: None,
        organization: None,
        include_global_service_events: input.include_global_service_events.unwrap_or(true),
        multi_region: input.is_multi_region_trail.unwrap_or(false),
        log_file_validation: input.enable_log_file_validation.unwrap_or(false),
        recursive_logging: input.recursive_logging.unwrap_or(true),
        logging: false,
        started: None,
        stopped: None,
        selectors: Selectors::default(),
        aggregation: Vec::new(),
        insights: Vec::new(),
        topic: None,
        log_group: None,
        tags: Vec::new(),
        created: cx.now(),
    };
    settings::validate(&trail)?;
    if of_organization {
        trail.organization = Some(cx.require_organization()?);
    }
    trail.tags = tag::validation::put(&[], tags)?;
    validate_bucket(&trail.bucket)?;
    validate_prefix(trail.prefix.as_deref().unwrap_or_default())?;
    cx.require_free(&trail).await?;
    cx.check_bucket(&trail).await?;
    trail.kms_key = cx.check_key(&trail, input.kms_key_id.as_deref().unwrap_or_default()).await?;
    let group = input.cloud_watch_logs_log_group_arn.unwrap_or_default();
    trail.log_group =
        cx.check_log_group(&trail, &group, input.cloud_watch_logs_role_arn.as_deref().unwrap_or_default()).await?;
    // Last, as the topic is told of it.
    trail.topic = cx.check_topic(&trail, input.sns_topic_name.as_deref().unwrap_or_default()).await?;

    let output = shapes::created(&trail);
    Ok(Changed::new(output, cx.create(trail).await?))
}
